"""Schedules that fall by a power of the step, or by its inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.plain_math import power
from fastmlp._runtime.settings import require
from fastmlp.schedules.base import Floats, Schedule, finite_power


@dataclass(frozen=True, eq=False, repr=False)
class StepDecay(Schedule):
    """Multiply the rate by `gamma` after every `step_size` steps, as PyTorch's StepLR does.

    The rate is `initial_learning_rate * gamma ** (step // step_size)`.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    step_size : int
        The number of steps with the same rate, at least 1.
    gamma : float
        The factor from one rate to the next, positive.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type.

    Examples
    --------
    >>> from fastmlp import StepDecay
    >>> StepDecay(0.5, step_size=2, gamma=0.5).rates([0, 1, 2, 3, 4])
    array([0.5  , 0.5  , 0.25 , 0.25 , 0.125])
    """

    initial_learning_rate: float
    step_size: int
    gamma: float = 0.1

    name = "step"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gamma > 0, self, "gamma", self.gamma, "positive")

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        periods = _periods(steps, self.step_size, staircase=True)
        return self.initial_learning_rate * finite_power(self.gamma, periods)


@dataclass(frozen=True, eq=False, repr=False)
class ExponentialDecay(Schedule):
    """Decay the rate exponentially, as Keras does.

    The rate is `initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    decay_steps : int
        The number of steps in which the rate changes by the factor `decay_rate`, at least 1.
    decay_rate : float
        The factor, positive; above 1 the rate grows.
    staircase : bool
        Whether the exponent is the whole number `step // decay_steps`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type.
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
        periods = _periods(steps, self.decay_steps, self.staircase)
        return self.initial_learning_rate * finite_power(self.decay_rate, periods)


@dataclass(frozen=True, eq=False, repr=False)
class InverseTimeDecay(Schedule):
    """Decay the rate by the inverse of the step, as Keras does.

    The rate is `initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    decay_steps : int
        The unit in which steps are counted, at least 1.
    decay_rate : float
        How fast the rate falls, at least 0.
    staircase : bool
        Whether whole units are counted, `step // decay_steps`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type.
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    name = "inverse_time"

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        periods = _periods(steps, self.decay_steps, self.staircase)
        return self.initial_learning_rate / (1.0 + self.decay_rate * periods)


@dataclass(frozen=True, eq=False, repr=False)
class InverseScaling(Schedule):
    """Divide the rate by a power of the step, as scikit-learn's "invscaling" does.

    The rate is `initial_learning_rate / (step + 1) ** power`, where step counts the steps of the optimizer.
    scikit-learn counts samples instead, and changes the rate between epochs.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    power : float
        How fast the rate falls, at least 0.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type.
    """

    initial_learning_rate: float
    power: float = 0.5

    name = "inverse_scaling"

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        return self.initial_learning_rate / power(steps.astype(np.float64) + 1.0, self.power)


@dataclass(frozen=True, eq=False, repr=False)
class PolynomialDecay(Schedule):
    """Decay the rate by a polynomial of the step to an end rate, where it stays, as Keras does.

    Up to `decay_steps` the rate is
    `(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power + end_learning_rate`, and
    `end_learning_rate` from then on.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    decay_steps : int
        The number of steps after which the rate is `end_learning_rate`, at least 1.
    end_learning_rate : float
        The last rate, at least 0.
    power : float
        The exponent, positive; 1 gives a straight line.
    cycle : bool
        Whether the rate rises again after `decay_steps`: the formula then takes the next multiple of `decay_steps`
        in place of `decay_steps`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type.
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


def _periods(steps: NDArray[np.int64], length: int, staircase: bool) -> Floats:
    """Return how many periods of this length the steps are: whole periods only if `staircase`."""
    periods: Floats = (steps // length).astype(np.float64) if staircase else steps / length
    return periods
