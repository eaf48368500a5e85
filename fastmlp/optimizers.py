"""The optimizers: frozen objects of their numbers, and the constants that a compiled step takes from them.

The formulas stand in `fastmlp.reference`, their compiled form in `fastmlp.kernels.optimizers`. They are PyTorch's, with
its defaults, except that the velocity of SGD contains the learning rate, as in Keras and scikit-learn.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastmlp._checks import lookup, number


def _require(holds: bool, owner: str, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise ValueError(f"{owner}: {name} must be {wanted}, got {value!r}")


@dataclass(frozen=True)
class Optimizer(ABC):
    """The base of the optimizers; a user makes an `SGD` or an `Adam`.

    Parameters
    ----------
    learning_rate : float
        The size of a step, greater than or equal to 0.
    """

    learning_rate: float = 1e-3

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.type == "float":
                value = number(getattr(self, field.name), f"{self.name}: {field.name}")
                object.__setattr__(self, field.name, value)

    @property
    def kernel(self) -> str:
        """The name of the compiled update rule."""
        return self.name

    @property
    @abstractmethod
    def slots(self) -> tuple[str, ...]:
        """The names of the values it keeps beside each parameter."""

    @abstractmethod
    def constants(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the update rule multiplies with, a row for each step, counted from 1.

        Every number comes from additions, multiplications, divisions and square roots of float64, so it has the same
        bits on every machine.
        """

    def to_dict(self) -> dict[str, object]:
        """Name and numbers, as a model file stores them."""
        return {"name": self.name, **dataclasses.asdict(self)}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever et al., 2013).

    `v = momentum * v - learning_rate * g`, then `w = w + v`, with Nesterov `w = w + momentum * v - learning_rate * g`.

    Parameters
    ----------
    learning_rate : float
        The size of a step.
    momentum : float
        The share of the last velocity that is kept, in [0, 1).
    nesterov : bool
        Look ahead along the velocity; needs momentum.
    """

    learning_rate: float = 1e-2
    momentum: float = 0.0
    nesterov: bool = False

    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(0 <= self.momentum < 1, self.name, "momentum", self.momentum, "at least 0 and less than 1")
        _require(isinstance(self.nesterov, bool), self.name, "nesterov", self.nesterov, "True or False")
        _require(
            self.momentum > 0 or not self.nesterov, self.name, "momentum", self.momentum, "positive with nesterov=True"
        )

    @property
    def kernel(self) -> str:
        """`"sgd"`, or `"momentum"` where there is a velocity to keep."""
        return "momentum" if self.momentum else "sgd"

    @property
    def slots(self) -> tuple[str, ...]:
        """The velocity, where there is momentum."""
        return ("v",) if self.momentum else ()

    def constants(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """`[-learning_rate]`, or `[momentum, -learning_rate, share of v, share of g]` with momentum."""
        rate, momentum = -self.learning_rate, self.momentum
        if not momentum:
            row = [rate]
        elif self.nesterov:
            row = [momentum, rate, momentum, rate]
        else:
            row = [momentum, rate, 1.0, 0.0]
        return np.tile(np.array(row), (len(steps), 1))


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), as PyTorch computes it: epsilon stands beside the corrected square root.

    `m = beta_1 m + (1 - beta_1) g`, `v = beta_2 v + (1 - beta_2) g^2`,
    `w = w - learning_rate * (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)`.

    Parameters
    ----------
    learning_rate : float
        The size of a step.
    beta_1, beta_2 : float
        The decay of the two moments, in [0, 1).
    epsilon : float
        Keeps the division finite; at least 1e-30, so that float32 can hold it.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    name: ClassVar[str] = "adam"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta_1", "beta_2"):
            value = getattr(self, name)
            _require(0 <= value < 1, self.name, name, value, "at least 0 and less than 1")
        _require(1e-30 <= self.epsilon < math.inf, self.name, "epsilon", self.epsilon, "finite and at least 1e-30")

    @property
    def slots(self) -> tuple[str, ...]:
        """The two moments, kept undivided: `m / (1 - beta_1)` and `v / (1 - beta_2)`."""
        return ("m", "v")

    def constants(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """`[beta_1, beta_2, -step size, epsilon]`, the corrections of both moments folded into the last two."""
        first = (1 - self.beta_1) / (1 - _powers(self.beta_1, steps))
        second = np.sqrt((1 - self.beta_2) / (1 - _powers(self.beta_2, steps)))
        table = np.empty((len(steps), 4))
        table[:, 0] = self.beta_1
        table[:, 1] = self.beta_2
        table[:, 2] = -self.learning_rate * first / second
        table[:, 3] = self.epsilon / second
        return table


def _powers(base: float, exponents: NDArray[np.int64]) -> NDArray[np.float64]:
    """`base ** exponents` by squaring: only multiplications, whose bits no maths library can change."""
    result = np.ones(len(exponents))
    square, left = base, exponents
    while left.any():
        result = np.where(left & 1, result * square, result)
        square, left = square * square, left >> 1
    return result


KINDS: dict[str, type[Optimizer]] = {kind.name: kind for kind in (SGD, Adam)}
OPTIMIZERS: dict[str, Optimizer] = {name: kind() for name, kind in KINDS.items()}


def resolve(optimizer: str | Optimizer) -> Optimizer:
    """The optimizer of that name with its defaults, or the object itself.

    Raises
    ------
    ValueError
        If no optimizer has that name; the message lists those there are.
    TypeError
        If it is neither a name nor an `Optimizer`.
    """
    return lookup(optimizer, Optimizer, OPTIMIZERS, "optimizer")  # type: ignore[type-abstract]


def from_dict(stored: dict[str, object]) -> Optimizer:
    """The optimizer that `Optimizer.to_dict` described.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or a number is missing, unknown or out of range.
    """
    numbers = dict(stored)
    name = numbers.pop("name", None)
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"unknown optimizer {name!r}. There are: {', '.join(KINDS)}")
    return KINDS[name](**numbers)  # type: ignore[arg-type]
