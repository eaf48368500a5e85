"""Rates that fall by a power of the step, or by its inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.plain_math import power
from fastmlp._runtime.settings import require
from fastmlp.schedules.base import Floats, Schedule, factor


@dataclass(frozen=True)
class StepDecay(Schedule):
    """A decay every so many steps: `initial_learning_rate * gamma ** (step // step_size)` (PyTorch's StepLR).

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    step_size : int
        How many steps have the same rate.
    gamma : float
        The factor from one rate to the next, positive.
    """

    initial_learning_rate: float
    step_size: int
    gamma: float = 0.1

    name = "step"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gamma > 0, self, "gamma", self.gamma, "positive")

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        return self.initial_learning_rate * factor(self.gamma, _share(steps, self.step_size, whole=True))


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)` (Keras).

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    decay_steps : int
        After how many steps the rate is `decay_rate` times what it was.
    decay_rate : float
        The factor, positive; above 1 the rate grows.
    staircase : bool
        Take whole `decay_steps` only, `step // decay_steps`.
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    name = "exponential"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.decay_rate > 0, self, "decay_rate", self.decay_rate, "positive")

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        return self.initial_learning_rate * factor(self.decay_rate, _share(steps, self.decay_steps, self.staircase))


@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)` (Keras).

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    decay_steps : int
        The unit in which steps are counted.
    decay_rate : float
        How fast the rate falls, at least 0.
    staircase : bool
        Take whole `decay_steps` only, `step // decay_steps`.
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    name = "inverse_time"

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        share = _share(steps, self.decay_steps, self.staircase)
        return self.initial_learning_rate / (1.0 + self.decay_rate * share)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """`initial_learning_rate / (step + 1) ** power`, scikit-learn's "invscaling" with steps of the optimizer.

    scikit-learn itself counts samples, and changes the rate between epochs.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    power : float
        How fast the rate falls, at least 0.
    """

    initial_learning_rate: float
    power: float = 0.5

    name = "inverse_scaling"

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        return self.initial_learning_rate / power(steps.astype(np.float64) + 1.0, self.power)


@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """`(initial - end) * (1 - step / decay_steps) ** power + end`, then the end rate (Keras).

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    decay_steps : int
        After how many steps the rate is `end_learning_rate`.
    end_learning_rate : float
        Where it ends, at least 0.
    power : float
        1 is a straight line; positive.
    cycle : bool
        Instead of staying at the end rate, take the next multiple of `decay_steps` for `decay_steps`.
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 1e-4
    power: float = 1.0
    cycle: bool = False

    name = "polynomial"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.power > 0, self, "power", self.power, "positive")

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        cycles = np.maximum(np.ceil(steps / self.decay_steps), 1.0) if self.cycle else 1.0
        left = 1.0 - np.minimum(steps / (self.decay_steps * cycles), 1.0)
        fall = self.initial_learning_rate - self.end_learning_rate
        return fall * power(left, self.power) + self.end_learning_rate


def _share(steps: NDArray[np.int64], unit: int, whole: bool) -> Floats:
    """Steps in units of so many, or only how many whole units they are."""
    share: Floats = (steps // unit).astype(np.float64) if whole else steps / unit
    return share
