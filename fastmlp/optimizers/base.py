"""What every optimizer is: a learning rate, limits of the gradient, and constants for each step."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.checks import number
from fastmlp._runtime.settings import Settings, require
from fastmlp.schedules import Schedule, resolve

Steps = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Optimizer(Settings, ABC):
    """The base of the optimizers.

    Parameters
    ----------
    learning_rate : float or Schedule
        The size of a step, greater than or equal to 0.
    clipvalue : float, optional
        Every element of the gradient, penalties included, is brought to between -clipvalue and clipvalue.
    global_clipnorm : float, optional
        Where the norm n of the whole gradient is greater, the gradient is multiplied by `clipnorm / (n + 1e-6)`, as in
        PyTorch (Pascanu et al., 2013).

    Attributes
    ----------
    squares : tuple of str
        Those of its slots that hold squares, which are never negative.
    """

    squares: ClassVar[tuple[str, ...]] = ()

    learning_rate: float | Schedule = 1e-3
    clipvalue: float | None = field(default=None, kw_only=True)
    global_clipnorm: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        resolve(self.learning_rate, f"{self.name}: learning_rate")
        if not isinstance(self.learning_rate, Schedule):
            object.__setattr__(self, "learning_rate", float(self.learning_rate))
        for name in ("clipvalue", "global_clipnorm"):
            if getattr(self, name) is not None:
                limit = number(getattr(self, name), f"{self.name}: {name}")
                require(limit >= 1e-30, self, name, limit, "None, or greater than 0")
                object.__setattr__(self, name, limit)
        both = self.clipvalue is not None and self.global_clipnorm is not None
        require(not both, self, "clipvalue", self.clipvalue, "None where global_clipnorm is given: one limit at a time")

    def __repr__(self) -> str:
        """The class, its learning rate, and the numbers that are not the defaults."""
        numbers = {entry: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        others = [f"{entry.name}={value!r}" for entry, value in numbers.items() if value != entry.default]
        shown = [entry for entry in others if not entry.startswith("learning_rate=")]
        return f"{type(self).__name__}({', '.join([repr(self.learning_rate), *shown])})"

    @property
    def kernel(self) -> str:
        """The name of the compiled update rule."""
        return self.name

    @property
    @abstractmethod
    def slots(self) -> tuple[str, ...]:
        """The names of the values it keeps beside each parameter."""

    @property
    def first_slot_value(self) -> float:
        """What the first slot holds before the first step; any other holds 0."""
        return 0.0

    @abstractmethod
    def constants(self, steps: Steps) -> Floats:
        """What the update rule multiplies with, a row of at most 6 for each step, counted from 1.

        Every number comes from additions, multiplications, divisions and square roots of float64, so it has the same
        bits on every machine.
        """

    def decay(self, steps: Steps) -> Floats:
        """What each step multiplies the weights with before all else, (steps,): 1, or less for a weight decay."""
        return np.ones(len(steps))

    def for_biases(self) -> Optimizer:
        """The same, as it treats biases: they do not decay."""
        return self

    def rates(self, steps: Steps) -> Floats:
        """The learning rate of each step, counted from 1."""
        return resolve(self.learning_rate).rates(steps - 1)

    def rate(self, step: int) -> float:
        """The learning rate of one step, counted from 1."""
        return float(self.rates(np.array([step]))[0])

    def _require_shares(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            require(0 <= value < 1, self, name, value, "at least 0 and less than 1")

    def _require_epsilon(self, epsilon: float) -> None:
        require(1e-30 <= epsilon < math.inf, self, "epsilon", epsilon, "finite and at least 1e-30")


def columns(steps: Steps, *values: float | Floats) -> Floats:
    """A table with a row for each step; a number is the same in all of them."""
    table = np.empty((len(steps), len(values)))
    for column, value in enumerate(values):
        table[:, column] = value
    return table
