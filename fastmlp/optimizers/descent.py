"""Optimizers that move along the gradient or its sign: SGD and Lion."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from fastmlp._runtime.settings import require
from fastmlp.optimizers.base import Floats, Optimizer, Steps, columns
from fastmlp.schedules import Schedule


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever et al., 2013).

    `v = momentum * v - learning_rate * g`, then `w = w + v`, with Nesterov `w = w + momentum * v - learning_rate * g`.

    Parameters
    ----------
    learning_rate : float or Schedule
        The size of a step.
    momentum : float
        The share of the last velocity that is kept, in [0, 1].
    nesterov : bool
        Look ahead along the velocity; needs momentum.
    clipvalue, global_clipnorm : float, optional
        As in `Optimizer`.
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
        """`"sgd"`, or `"momentum"` where there is a velocity to keep."""
        return "momentum" if self.momentum else "sgd"

    @property
    def slots(self) -> tuple[str, ...]:
        """The velocity, where there is momentum."""
        return ("v",) if self.momentum else ()

    def constants(self, steps: Steps) -> Floats:
        """`[-learning_rate]`, or `[momentum, -learning_rate, share of v, share of g]` with momentum."""
        rates = -self.rates(steps)
        if not self.momentum:
            return columns(steps, rates)
        if self.nesterov:
            return columns(steps, self.momentum, rates, self.momentum, rates)
        return columns(steps, self.momentum, rates, 1.0, 0.0)


@dataclass(frozen=True, repr=False)
class Lion(Optimizer):
    """Evolved sign momentum (Chen et al., 2023): every step moves every weight by the learning rate, up or down.

    `w = w - learning_rate * (sign(beta_1 m + (1 - beta_1) g) + weight_decay * w)`, then
    `m = beta_2 m + (1 - beta_2) g`; biases do not decay.

    Parameters
    ----------
    learning_rate : float or Schedule
        The size of a step.
    beta_1, beta_2 : float
        The shares of m in the sign and in the next m, in [0, 1).
    weight_decay : float
        The share of the weights, times the learning rate, that each step takes away.
    clipvalue, global_clipnorm : float, optional
        As in `Optimizer`.
    """

    learning_rate: float | Schedule = 1e-4
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0

    name = "lion"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_shares("beta_1", "beta_2")

    @property
    def slots(self) -> tuple[str, ...]:
        """The mean of the gradients."""
        return ("m",)

    def constants(self, steps: Steps) -> Floats:
        """`[beta_1, 1 - beta_1, beta_2, 1 - beta_2, -learning_rate]`."""
        return columns(steps, self.beta_1, 1 - self.beta_1, self.beta_2, 1 - self.beta_2, -self.rates(steps))

    def decay(self, steps: Steps) -> Floats:
        """`1 - learning_rate * weight_decay`."""
        return 1.0 - self.rates(steps) * self.weight_decay

    def for_biases(self) -> Optimizer:
        """Without weight decay."""
        return dataclasses.replace(self, weight_decay=0.0)
