"""The base classes of the optimizers: what all have, and what those have that make a step for each batch."""

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


@dataclass(frozen=True, eq=False, repr=False)
class Optimizer(Settings, ABC):
    """The base class of the optimizers.

    Attributes
    ----------
    slots : tuple of str
        The names of the values that the optimizer keeps for each parameter.
    squares : tuple of str
        The names of the slots that hold squares, which are never negative.
    """

    squares: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def slots(self) -> tuple[str, ...]:
        """The names of the values that the optimizer keeps for each parameter."""

    @property
    def first_slot_value(self) -> float:
        """The value of the first slot before the first step; all other slots begin with 0."""
        return 0.0

    def __repr__(self) -> str:
        """Return the class and the numbers that differ from the defaults."""
        return f"{type(self).__name__}({', '.join(self._changed())})"

    def _changed(self) -> list[str]:
        """Return the numbers that differ from the defaults, as arguments."""
        numbers = {entry: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return [f"{entry.name}={value!r}" for entry, value in numbers.items() if value != entry.default]


@dataclass(frozen=True, eq=False, repr=False)
class StepOptimizer(Optimizer):
    """The base class of the optimizers that make a step for each batch of rows.

    Parameters
    ----------
    learning_rate : float or Schedule
        The step size, at least 0.
    clipvalue : float, optional
        Limit of each element of the gradient, penalties included: the element is clipped to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        Limit of the norm n of the whole gradient, penalties included: if n is greater, the gradient is multiplied by
        `global_clipnorm / (n + 1e-6)`, as in PyTorch (Pascanu et al., 2013). At most one of the two limits is given.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type, or both limits are given.
    """

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
        require(not both, self, "clipvalue", self.clipvalue, "None if global_clipnorm is given (give one limit only)")

    def __repr__(self) -> str:
        """Return the class, the learning rate, and the numbers that differ from the defaults."""
        shown = [text for text in self._changed() if not text.startswith("learning_rate=")]
        return f"{type(self).__name__}({', '.join([repr(self.learning_rate), *shown])})"

    @property
    def kernel(self) -> str:
        """The name of the compiled update rule."""
        return self.name

    @abstractmethod
    def constants(self, steps: Steps) -> Floats:
        """Return what the compiled update rule multiplies with in each step.

        Every number comes from additions, multiplications, divisions and square roots in float64, so that it has the
        same bits on every machine.

        Parameters
        ----------
        steps : array of int64
            The numbers of the steps, counted from 1.

        Returns
        -------
        array of shape (steps, at most 6)
            One row for each step; its columns stand in the order in which the rule unpacks them.
        """

    def decay(self, steps: Steps) -> Floats:
        """Return the factor of the weights at the start of each step, (steps,): 1, or less with weight decay."""
        return np.ones(len(steps))

    def for_biases(self) -> StepOptimizer:
        """Return the optimizer that updates the biases: this one without weight decay."""
        return self

    def rates(self, steps: Steps) -> Floats:
        """Return the learning rate of each step, (steps,); steps are counted from 1."""
        return resolve(self.learning_rate).rates(steps - 1)

    def rate(self, step: int) -> float:
        """Return the learning rate of one step, counted from 1."""
        return float(self.rates(np.array([step]))[0])

    def _require_below_1(self, *names: str) -> None:
        """Check that each of these fields lies in [0, 1)."""
        for name in names:
            value = getattr(self, name)
            require(0 <= value < 1, self, name, value, "at least 0 and less than 1")

    def _require_epsilon(self, epsilon: float) -> None:
        """Check that epsilon is large enough for float32."""
        require(1e-30 <= epsilon < math.inf, self, "epsilon", epsilon, "finite and at least 1e-30")


def constants_table(steps: Steps, *columns: float | Floats) -> Floats:
    """Return an array of shape (steps, columns); a column that is a single number is the same in every step."""
    table = np.empty((len(steps), len(columns)))
    for index, column in enumerate(columns):
        table[:, index] = column
    return table
