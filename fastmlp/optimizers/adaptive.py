"""Optimizers that divide the gradient by the size of past gradients: RMSprop, Adagrad and Adadelta."""

from __future__ import annotations

from dataclasses import dataclass

from fastmlp._runtime.settings import require
from fastmlp.optimizers.base import Floats, StepOptimizer, Steps, constants_table
from fastmlp.schedules import Schedule


@dataclass(frozen=True, eq=False, repr=False)
class RMSprop(StepOptimizer):
    """RMSprop (Hinton, 2012), optionally centered (Graves, 2013) and with momentum.

    A step changes a parameter w with the gradient g and the means v, c and m, which begin with 0:

        v = rho v + (1 - rho) g^2
        u = g / (sqrt(v) + epsilon)
        w = w - learning_rate u

    If centered, `c = rho c + (1 - rho) g` and `sqrt(v - c^2)` takes the place of `sqrt(v)`. With momentum,
    `m = momentum m + u` takes the place of u in the last line.

    Parameters
    ----------
    learning_rate : float or Schedule
        The step size, at least 0.
    rho : float
        The decay of the means v and c, in [0, 1).
    momentum : float
        The share of m that is kept from step to step, in [0, 1).
    epsilon : float
        Keeps the division finite; at least 1e-30, so that float32 can hold it.
    centered : bool
        Whether to divide by the standard deviation of the gradients instead of their root mean square.
    clipvalue : float, optional
        Clip each element of the gradient to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        Scale the whole gradient down so that its norm is at most about this; excludes `clipvalue`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type, or both limits of the gradient are given.
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
        self._require_below_1("rho", "momentum")
        self._require_epsilon(self.epsilon)

    @property
    def kernel(self) -> str:
        """The name of the compiled update rule: `"rmsprop"`, then `"_centered"` and `"_momentum"` if they apply."""
        return self.name + ("_centered" if self.centered else "") + ("_momentum" if self.momentum else "")

    @property
    def slots(self) -> tuple[str, ...]:
        """The mean v of the squares; the mean c of the gradients if centered; m if there is momentum."""
        return ("v", *(["c"] if self.centered else []), *(["m"] if self.momentum else []))

    def constants(self, steps: Steps) -> Floats:
        """Return `[rho, 1 - rho, -learning_rate, epsilon, momentum]` for each step."""
        return constants_table(steps, self.rho, 1 - self.rho, -self.rates(steps), self.epsilon, self.momentum)


@dataclass(frozen=True, eq=False, repr=False)
class Adagrad(StepOptimizer):
    """Adagrad (Duchi et al., 2011): divide by the root of the sum of all squared gradients so far.

    A step changes a parameter w with the gradient g and the sum s, which begins with `initial_accumulator_value`:

        s = s + g^2
        w = w - learning_rate g / (sqrt(s) + epsilon)

    Parameters
    ----------
    learning_rate : float or Schedule
        The step size, at least 0.
    initial_accumulator_value : float
        The value of s before the first step, from 0 to 1e30.
    epsilon : float
        Keeps the division finite; at least 1e-30, so that float32 can hold it.
    clipvalue : float, optional
        Clip each element of the gradient to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        Scale the whole gradient down so that its norm is at most about this; excludes `clipvalue`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type, or both limits of the gradient are given.
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
        """The sum s of the squares."""
        return ("s",)

    @property
    def first_slot_value(self) -> float:
        """The value of s before the first step, `initial_accumulator_value`."""
        return self.initial_accumulator_value

    def constants(self, steps: Steps) -> Floats:
        """Return `[-learning_rate, epsilon]` for each step."""
        return constants_table(steps, -self.rates(steps), self.epsilon)


@dataclass(frozen=True, eq=False, repr=False)
class Adadelta(StepOptimizer):
    """Adadelta (Zeiler, 2012): scale each step by the size of the last steps, so that it has the units of the weights.

    A step changes a parameter w with the gradient g and the means v and d, which begin with 0:

        v = rho v + (1 - rho) g^2
        u = g sqrt(d + epsilon) / sqrt(v + epsilon)
        d = rho d + (1 - rho) u^2
        w = w - learning_rate u

    Parameters
    ----------
    learning_rate : float or Schedule
        A factor of every step, at least 0.
    rho : float
        The decay of both means, in [0, 1).
    epsilon : float
        Determines the size of the first steps; at least 1e-30, so that float32 can hold it.
    clipvalue : float, optional
        Clip each element of the gradient to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        Scale the whole gradient down so that its norm is at most about this; excludes `clipvalue`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type, or both limits of the gradient are given.
    """

    learning_rate: float | Schedule = 1.0
    rho: float = 0.9
    epsilon: float = 1e-6

    name = "adadelta"
    squares = ("v", "d")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_below_1("rho")
        self._require_epsilon(self.epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        """The mean v of the squared gradients and the mean d of the squared steps."""
        return ("v", "d")

    def constants(self, steps: Steps) -> Floats:
        """Return `[rho, 1 - rho, -learning_rate, epsilon]` for each step."""
        return constants_table(steps, self.rho, 1 - self.rho, -self.rates(steps), self.epsilon)
