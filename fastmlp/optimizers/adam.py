"""The family of Adam: means of the gradient and of its square, without the pull of their start at 0."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from fastmlp._runtime.plain_math import power, powers
from fastmlp.optimizers.base import Floats, Optimizer, Steps, columns
from fastmlp.schedules import Schedule

_SETTLED = 1 << 20  # steps


@dataclass(frozen=True, repr=False)
class _Moments(Optimizer):
    """What they share: the two moments, kept undivided, `m / (1 - beta_1)` and `v / (1 - beta_2)`."""

    learning_rate: float | Schedule = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_shares("beta_1", "beta_2")
        self._require_epsilon(self.epsilon)

    squares = ("v", "v_max")

    @property
    def slots(self) -> tuple[str, ...]:
        """The two moments."""
        return ("m", "v")

    def _root_correction(self, steps: Steps) -> Floats:
        """The square root of the corrected v over that of the undivided one."""
        root: Floats = np.sqrt((1 - self.beta_2) / (1 - powers(self.beta_2, steps)))
        return root


@dataclass(frozen=True, repr=False)
class Adam(_Moments):
    """Adam (Kingma and Ba, 2015), as PyTorch computes it: epsilon stands beside the corrected square root.

    With `epsilon_hat` it stands beside the root of v as it is, as at the end of section 2 of the paper, in Keras and in
    scikit-learn: `w = w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)`.

    `m = beta_1 m + (1 - beta_1) g`, `v = beta_2 v + (1 - beta_2) g^2`,
    `w = w - learning_rate * (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)`.

    Parameters
    ----------
    learning_rate : float or Schedule
        The size of a step.
    beta_1, beta_2 : float
        The decay of the two moments, in [0, 1).
    epsilon : float
        Keeps the division finite; at least 1e-30, so that float32 can hold it.
    amsgrad : bool
        Divide by the largest v so far (Reddi et al., 2018).
    epsilon_hat : bool
        Where epsilon stands.
    clipvalue, global_clipnorm : float, optional
        As in `Optimizer`.
    """

    amsgrad: bool = False
    epsilon_hat: bool = False

    name = "adam"
    newer_fields = ("epsilon_hat",)

    @property
    def kernel(self) -> str:
        """The name, and whether it is amsgrad."""
        return f"{self.name}_amsgrad" if self.amsgrad else self.name

    @property
    def slots(self) -> tuple[str, ...]:
        """The two moments, and for amsgrad the largest v."""
        return ("m", "v", "v_max") if self.amsgrad else ("m", "v")

    def constants(self, steps: Steps) -> Floats:
        """`[beta_1, beta_2, -step size, epsilon]`, the corrections of both moments folded into the last two."""
        root = self._root_correction(steps)
        first = (1 - self.beta_1) / (1 - powers(self.beta_1, steps))
        beside = np.sqrt(1 - self.beta_2) if self.epsilon_hat else root
        return columns(steps, self.beta_1, self.beta_2, -self.rates(steps) * first / root, self.epsilon / beside)


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    `w = w - learning_rate * weight_decay * w` before the step of Adam; biases do not decay.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, amsgrad, epsilon_hat, clipvalue, global_clipnorm
        As in `Adam`.
    weight_decay : float
        The share of the weights, times the learning rate, that each step takes away.
    """

    weight_decay: float = 1e-2

    name = "adamw"

    def decay(self, steps: Steps) -> Floats:
        """`1 - learning_rate * weight_decay`."""
        return 1.0 - self.rates(steps) * self.weight_decay

    def for_biases(self) -> Optimizer:
        """Without weight decay."""
        return dataclasses.replace(self, weight_decay=0.0)


@dataclass(frozen=True, repr=False)
class Nadam(_Moments):
    """Adam with Nesterov's momentum (Dozat, 2016), whose share grows from step to step, as PyTorch computes it.

    With `mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2)` and `M_t` the product of mu_1 to mu_t, m and v as in Adam:
    `w = w - learning_rate * (g (1 - mu_t) / (1 - M_t) + m mu_(t+1) / (1 - M_t mu_(t+1))) / (sqrt(v / (1 - beta_2^t)) +
    epsilon)`.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, clipvalue, global_clipnorm
        As in `Adam`.
    momentum_decay : float
        How fast the share grows.
    """

    learning_rate: float | Schedule = 2e-3
    momentum_decay: float = 4e-3

    name = "nadam"

    def constants(self, steps: Steps) -> Floats:
        """`[beta_1, beta_2, -share of g, -share of m, epsilon]`."""
        root, rates = self._root_correction(steps), self.rates(steps)
        now, following = self._momentum(steps), self._momentum(steps + 1)
        product = self._products(steps, now)
        of_gradient = -rates * (1 - now) / (1 - product) / root
        of_mean = -rates * following / (1 - product * following) * (1 - self.beta_1) / root
        return columns(steps, self.beta_1, self.beta_2, of_gradient, of_mean, self.epsilon / root)

    def _momentum(self, steps: Steps) -> Floats:
        """The mu of each step."""
        return self.beta_1 * (1.0 - 0.5 * power(0.96, steps.astype(np.float64) * self.momentum_decay))

    def _products(self, steps: Steps, mu: Floats) -> Floats:
        """The product of mu up to each of these steps.

        Beyond step 2^20 every mu is beta_1 to the last bit, or the product has been 0 for long: where 0.96^(t
        momentum_decay) is not yet below 2^-54 there, its sum over the steps before is above 10,000.
        """
        near = int(np.count_nonzero(steps <= _SETTLED))
        with np.errstate(under="ignore"):
            products = np.multiply.accumulate(np.append(self._product_to(min(int(steps[0]) - 1, _SETTLED)), mu[:near]))
            return np.append(products[1:], products[-1] * powers(self.beta_1, steps[near:] - _SETTLED))

    def _product_to(self, step: int) -> float:
        """The product of mu up to that step, factor after factor, so that its bits depend on nothing else.

        0 as soon as 1 less the product is 1, since then it makes no difference: by default after 53 steps. Multiplied
        on, it would take 1.3 s at step 10 million.
        """
        product, piece = 1.0, 1 << 12
        for first in range(1, step + 1, piece):
            factors = self._momentum(np.arange(first, min(first + piece, step + 1)))
            product = float(np.multiply.accumulate(np.append(product, factors))[-1])
            if product < 2.0**-60:
                return 0.0
        return product
