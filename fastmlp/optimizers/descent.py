"""Optimizers that move along the gradient or along its sign: SGD and Lion."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from fastmlp._runtime.settings import require
from fastmlp.optimizers.base import Floats, StepOptimizer, Steps, constants_table
from fastmlp.schedules import Schedule


@dataclass(frozen=True, eq=False, repr=False)
class SGD(StepOptimizer):
    """Stochastic gradient descent, with momentum (Polyak, 1964) or Nesterov momentum (Sutskever et al., 2013).

    A step changes a parameter w with the gradient g and the velocity v, which begins with 0:

        without momentum:  w = w - learning_rate g
        with momentum:     v = momentum v - learning_rate g
                           w = w + v
        with nesterov:     w = w + momentum v - learning_rate g  in place of the last line

    Parameters
    ----------
    learning_rate : float or Schedule
        The step size, at least 0.
    momentum : float
        The share of the velocity that is kept from step to step, in [0, 1].
    nesterov : bool
        Whether to look ahead along the velocity; needs momentum.
    clipvalue : float, optional
        Clip each element of the gradient to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        Scale the whole gradient down so that its norm is at most about this; excludes `clipvalue`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type, or both limits of the gradient are given.

    Examples
    --------
    >>> from fastmlp import SGD, Network
    >>> network = Network([4, 16, 3], optimizer=SGD(0.1, momentum=0.9, nesterov=True))
    """

    learning_rate: float | Schedule = 1e-2
    momentum: float = 0.0
    nesterov: bool = False

    name = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.momentum <= 1, self, "momentum", self.momentum, "at least 0 and at most 1")
        require(self.momentum > 0 or not self.nesterov, self, "momentum", self.momentum, "positive with nesterov=True")

    @property
    def kernel(self) -> str:
        """The name of the compiled update rule: `"momentum"` if there is a velocity, else `"sgd"`."""
        return "momentum" if self.momentum else "sgd"

    @property
    def slots(self) -> tuple[str, ...]:
        """The velocity v, if there is momentum."""
        return ("v",) if self.momentum else ()

    def constants(self, steps: Steps) -> Floats:
        """Return `[-learning_rate]`, or with momentum `[momentum, -learning_rate, factor of v, factor of g]`."""
        rates = -self.rates(steps)
        if not self.momentum:
            return constants_table(steps, rates)
        if self.nesterov:
            return constants_table(steps, self.momentum, rates, self.momentum, rates)
        return constants_table(steps, self.momentum, rates, 1.0, 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class Lion(StepOptimizer):
    """Lion, evolved sign momentum (Chen et al., 2023): each step moves every weight by the learning rate, up or down.

    A step changes a parameter w with the gradient g and the mean m, which begins with 0:

        w = w - learning_rate (sign(beta_1 m + (1 - beta_1) g) + weight_decay w)
        m = beta_2 m + (1 - beta_2) g

    Biases do not decay.

    Parameters
    ----------
    learning_rate : float or Schedule
        The step size, at least 0.
    beta_1 : float
        The share of m in the direction of the step, in [0, 1).
    beta_2 : float
        The share of m that is kept from step to step, in [0, 1).
    weight_decay : float
        The share of the weights, times the learning rate, that each step removes; at least 0.
    clipvalue : float, optional
        Clip each element of the gradient to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        Scale the whole gradient down so that its norm is at most about this; excludes `clipvalue`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type, or both limits of the gradient are given.
    """

    learning_rate: float | Schedule = 1e-4
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0

    name = "lion"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_below_1("beta_1", "beta_2")

    @property
    def slots(self) -> tuple[str, ...]:
        """The mean m of the gradients."""
        return ("m",)

    def constants(self, steps: Steps) -> Floats:
        """Return `[beta_1, 1 - beta_1, beta_2, 1 - beta_2, -learning_rate]` for each step."""
        return constants_table(steps, self.beta_1, 1 - self.beta_1, self.beta_2, 1 - self.beta_2, -self.rates(steps))

    def decay(self, steps: Steps) -> Floats:
        """Return the factor of the weights at the start of each step, `1 - learning_rate * weight_decay`."""
        return 1.0 - self.rates(steps) * self.weight_decay

    def for_biases(self) -> StepOptimizer:
        """Return the optimizer that updates the biases: this one without weight decay."""
        return dataclasses.replace(self, weight_decay=0.0)
