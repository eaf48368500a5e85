"""Layers at rest: how many steps each layer has missed, and which layers share the optimizer's constants.

The constants of a step depend on its number by the learning rate, and with some optimizers by the number of steps that
the moments have seen, which a layer at rest misses.
"""

from __future__ import annotations

from typing import NamedTuple

from fastmlp.architecture import Architecture


class Pace(NamedTuple):
    """What decides the constants of a layer beside the optimizer: steps it has missed, and the factor of its rate."""

    missed: int = 0
    factor: float = 1.0


class Rests:
    """How many steps of the optimizer each layer of a network has missed.

    Parameters
    ----------
    architecture : Architecture
        The network. Its layers have missed nothing so far.
    missed : sequence of int, optional
        How many steps each layer has missed before `step`.
    step : int
        The number of completed steps.
    """

    def __init__(self, architecture: Architecture, missed: tuple[int, ...] | None = None, step: int = 0) -> None:
        self._missed = missed or (0,) * len(architecture.layers)
        self._since = step
        self._trainable = tuple(layer.trainable for layer in architecture.layers)
        self._factors = tuple(layer.learning_rate_factor for layer in architecture.layers)
        self._before: Rests | None = None  # a change in the epoch under way, which may be undone

    def missed(self, step: int) -> tuple[int, ...]:
        """Return how many of the first `step` steps each layer has missed."""
        more = max(step - self._since, 0)
        return tuple(
            missed if trains else missed + more for missed, trains in zip(self._missed, self._trainable, strict=True)
        )

    def changed(self, architecture: Architecture, step: int, within_epoch: bool) -> Rests:
        """Return the rests from now on, where other layers are trained after `step` steps."""
        after = Rests(architecture, self.missed(step), step)
        after._before = self if within_epoch else None
        return after

    def undone(self, architecture: Architecture, step: int) -> Rests:
        """Return the rests back at an earlier step, as after a failed epoch; the same layers rest as now."""
        then = self
        while then._since > step and then._before is not None:
            then = then._before
        return Rests(architecture, then.missed(step), step)

    def paces(self) -> tuple[Pace, ...]:
        """Return the pace of each layer. That of a layer at rest, whose constants are not used, is the usual one."""
        return tuple(
            Pace(missed, factor) if trains else Pace()
            for missed, factor, trains in zip(self._missed, self._factors, self._trainable, strict=True)
        )
