"""What all schedules have in common, and the one that never changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime.checks import number
from fastmlp._runtime.plain_math import power
from fastmlp._runtime.settings import Settings

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Schedule(Settings, ABC):
    """The base of the schedules; a user makes a `CosineDecay`, a `StepDecay` or another."""

    def rates(self, steps: ArrayLike) -> Floats:
        """The learning rate of each step.

        Parameters
        ----------
        steps : array_like of int
            Numbers of steps, from 0 for the first.

        Returns
        -------
        ndarray of float64
            Of the shape of `steps`.

        Raises
        ------
        TypeError, ValueError
            If `steps` are not whole numbers, or negative.
        """
        given = np.asarray(steps)
        if given.dtype.kind not in "iu":
            raise TypeError(f"steps must be whole numbers, got {given.dtype}")
        if (given < 0).any():
            raise ValueError(f"steps are counted from 0, got {given.min()}")
        with np.errstate(over="ignore", under="ignore"):
            return self._rates(given.astype(np.int64))

    @abstractmethod
    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        """The rates of steps that are known to be whole and not negative."""


@dataclass(frozen=True)
class ConstantRate(Schedule):
    """The same rate for every step.

    Parameters
    ----------
    learning_rate : float
        The rate, at least 0.
    """

    learning_rate: float

    name = "constant"

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        return np.full(steps.shape, self.learning_rate)


def resolve(given: float | Schedule, what: str = "learning_rate") -> Schedule:
    """A number as a `ConstantRate`, or the schedule itself.

    Raises
    ------
    TypeError, ValueError
        If it is neither a schedule nor a number of at least 0; `what` says in the error what it should be.
    """
    if isinstance(given, Schedule):
        return given
    if not isinstance(given, (int, float, np.number)):
        raise TypeError(f"{what} must be a number or a schedule such as CosineDecay(1e-3, 1000), got {given!r}")
    return ConstantRate(number(given, what))


def factor(base: float, exponent: Floats) -> Floats:
    """`base ** exponent`, finite."""
    return np.minimum(power(base, exponent), np.finfo(np.float64).max)
