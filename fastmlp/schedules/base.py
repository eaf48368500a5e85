"""The base class of the schedules, and the schedule that never changes."""

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


@dataclass(frozen=True, eq=False, repr=False)
class Schedule(Settings, ABC):
    """The base class of the schedules; create one of its subclasses, such as `CosineDecay`.

    An optimizer takes a schedule in place of a number: `Adam(CosineDecay(1e-3, 2000))`.
    """

    def rates(self, steps: ArrayLike) -> Floats:
        """Return the learning rate of each step.

        Parameters
        ----------
        steps : array-like of int
            The numbers of the steps, from 0 for the first step of the optimizer; any shape.

        Returns
        -------
        array of float64
            The rates, in the shape of `steps`.

        Raises
        ------
        TypeError
            If `steps` are not whole numbers.
        ValueError
            If a step is negative.

        Examples
        --------
        >>> from fastmlp import StepDecay
        >>> StepDecay(0.5, step_size=2, gamma=0.5).rates([0, 1, 2, 3, 4])
        array([0.5  , 0.5  , 0.25 , 0.25 , 0.125])
        """
        given = np.asarray(steps)
        if given.dtype.kind not in "iu":
            raise TypeError(f"steps must be whole numbers, got {given.dtype}")
        if (given < 0).any():
            raise ValueError(f"steps must be at least 0, got {given.min()}")
        with np.errstate(over="ignore", under="ignore"):
            return self._rates(given.astype(np.int64))

    @abstractmethod
    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        """Return the rates, in the shape of `steps`, which are already checked."""


@dataclass(frozen=True, eq=False, repr=False)
class ConstantRate(Schedule):
    """A learning rate that does not change.

    Parameters
    ----------
    learning_rate : float
        The rate, at least 0.

    Raises
    ------
    ValueError, TypeError
        If the rate is out of range or not a number.
    """

    learning_rate: float

    name = "constant"

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        return np.full(steps.shape, self.learning_rate)


def resolve(given: float | Schedule, what: str = "learning_rate") -> Schedule:
    """Return a number as a `ConstantRate`, and a schedule unchanged.

    Parameters
    ----------
    given : float or Schedule
        A number of at least 0, or a schedule.
    what : str
        The name of the argument in error messages.

    Raises
    ------
    TypeError
        If the argument is neither a number nor a schedule.
    ValueError
        If the number is negative or not finite.
    """
    if isinstance(given, Schedule):
        return given
    if not isinstance(given, (int, float, np.number)):
        raise TypeError(f"{what} must be a number or a schedule such as CosineDecay(1e-3, 1000), got {given!r}")
    return ConstantRate(number(given, what))


def finite_power(base: float, exponent: Floats) -> Floats:
    """Return `base ** exponent`, and the largest float64 where that overflows."""
    return np.minimum(power(base, exponent), np.finfo(np.float64).max)
