"""Optimizers that divide by the size of past gradients: RMSprop, Adagrad and Adadelta."""

from __future__ import annotations

from dataclasses import dataclass

from fastmlp._runtime.settings import require
from fastmlp.optimizers.base import Floats, Optimizer, Steps, columns
from fastmlp.schedules import Schedule


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """RMSprop (Hinton, 2012), centered (Graves, 2013) and with momentum where asked for.

    `v = rho v + (1 - rho) g^2`, `u = g / (sqrt(v) + epsilon)`, `w = w - learning_rate * u`; centered, with
    `c = rho c + (1 - rho) g`, by `sqrt(v - c^2)`; with momentum, `m = momentum * m + u` takes the place of u.

    Parameters
    ----------
    learning_rate : float or Schedule
        The size of a step.
    rho : float
        The decay of the means, in [0, 1).
    momentum : float
        The share of m that is kept, in [0, 1).
    epsilon : float
        Keeps the division finite; at least 1e-30, so that float32 can hold it.
    centered : bool
        Divide by the deviation in place of the root of the mean square.
    clipvalue, global_clipnorm : float, optional
        As in `Optimizer`.
    """

    learning_rate: float | Schedule = 1e-2
    rho: float = 0.99
    momentum: float = 0.0
    epsilon: float = 1e-8
    centered: bool = False

    name = "rmsprop"
    squares = ("v",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_shares("rho", "momentum")
        self._require_epsilon(self.epsilon)

    @property
    def kernel(self) -> str:
        """`"rmsprop"`, with what it is centered and has momentum by."""
        return self.name + ("_centered" if self.centered else "") + ("_momentum" if self.momentum else "")

    @property
    def slots(self) -> tuple[str, ...]:
        """The mean of the squares, and the mean and the velocity where they are wanted."""
        return ("v", *(["c"] if self.centered else []), *(["m"] if self.momentum else []))

    def constants(self, steps: Steps) -> Floats:
        """`[rho, 1 - rho, -learning_rate, epsilon, momentum]`."""
        return columns(steps, self.rho, 1 - self.rho, -self.rates(steps), self.epsilon, self.momentum)


@dataclass(frozen=True, repr=False)
class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011): `s = s + g^2`, `w = w - learning_rate * g / (sqrt(s) + epsilon)`.

    Parameters
    ----------
    learning_rate : float or Schedule
        The size of a step.
    initial_accumulator_value : float
        What s begins with.
    epsilon : float
        Keeps the division finite; at least 1e-30, so that float32 can hold it.
    clipvalue, global_clipnorm : float, optional
        As in `Optimizer`.
    """

    learning_rate: float | Schedule = 1e-2
    initial_accumulator_value: float = 0.0
    epsilon: float = 1e-10

    name = "adagrad"
    squares = ("s",)

    def __post_init__(self) -> None:
        super().__post_init__()
        value = self.initial_accumulator_value
        require(value <= 1e30, self, "initial_accumulator_value", value, "at most 1e30")
        self._require_epsilon(self.epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        """The sum of the squares."""
        return ("s",)

    @property
    def first_slot_value(self) -> float:
        """`initial_accumulator_value`."""
        return self.initial_accumulator_value

    def constants(self, steps: Steps) -> Floats:
        """`[-learning_rate, epsilon]`."""
        return columns(steps, -self.rates(steps), self.epsilon)


@dataclass(frozen=True, repr=False)
class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012): steps as large as the last ones were, in the units of the weights.

    `v = rho v + (1 - rho) g^2`, `u = g sqrt(d + epsilon) / sqrt(v + epsilon)`, `d = rho d + (1 - rho) u^2`,
    `w = w - learning_rate * u`.

    Parameters
    ----------
    learning_rate : float or Schedule
        A factor of every step.
    rho : float
        The decay of both means, in [0, 1).
    epsilon : float
        Begins the first steps; at least 1e-30, so that float32 can hold it.
    clipvalue, global_clipnorm : float, optional
        As in `Optimizer`.
    """

    learning_rate: float | Schedule = 1.0
    rho: float = 0.9
    epsilon: float = 1e-6

    name = "adadelta"
    squares = ("v", "d")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_shares("rho")
        self._require_epsilon(self.epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        """The means of the squares of gradients and of steps."""
        return ("v", "d")

    def constants(self, steps: Steps) -> Floats:
        """`[rho, 1 - rho, -learning_rate, epsilon]`."""
        return columns(steps, self.rho, 1 - self.rho, -self.rates(steps), self.epsilon)
