"""The family of Adam: steps along the mean of the gradients, divided by the root of the mean of their squares.

Both means begin with 0 and are therefore too small at first. The factors `1 / (1 - beta^t)` correct them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from fastmlp._runtime.plain_math import power, powers
from fastmlp.optimizers.base import Floats, StepOptimizer, Steps, constants_table
from fastmlp.schedules import Schedule

_LAST_MULTIPLIED_STEP = 1 << 20


@dataclass(frozen=True, eq=False, repr=False)
class _Moments(StepOptimizer):
    """What Adam and Nadam share: the two moments m and v.

    The slots hold `m / (1 - beta_1)` and `v / (1 - beta_2)`, which saves the update rule two multiplications. The
    constants of a step contain the missing factors.
    """

    learning_rate: float | Schedule = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    squares = ("v", "v_max")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_below_1("beta_1", "beta_2")
        self._require_epsilon(self.epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        """The two moments m and v."""
        return ("m", "v")

    def _root_correction(self, steps: Steps) -> Floats:
        """Return for each step the square root of the corrected v, divided by the square root of the slot."""
        root: Floats = np.sqrt((1 - self.beta_2) / (1 - powers(self.beta_2, steps)))
        return root


@dataclass(frozen=True, eq=False, repr=False)
class Adam(_Moments):
    """Adam (Kingma and Ba, 2015).

    Step t, counted from 1, changes a parameter w with the gradient g and the means m and v, which begin with 0:

        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g^2
        w = w - learning_rate (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Epsilon is added to the root of the corrected v, as in PyTorch. With `epsilon_hat` it is added to the root of v
    itself, as at the end of section 2 of the paper, in Keras and in scikit-learn:

        w = w - learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

    Parameters
    ----------
    learning_rate : float or Schedule
        The step size, at least 0.
    beta_1, beta_2 : float
        The decay of the means m and v, in [0, 1).
    epsilon : float
        Keeps the division finite; at least 1e-30, so that float32 can hold it.
    amsgrad : bool
        Whether to divide by the largest v so far instead of the current v (Reddi et al., 2018).
    epsilon_hat : bool
        Whether epsilon is added to the root of v before its correction.
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
    >>> from fastmlp import Adam, CosineDecay, Network
    >>> network = Network([4, 16, 3], optimizer=Adam(CosineDecay(1e-3, 2000), global_clipnorm=1.0))
    """

    amsgrad: bool = False
    epsilon_hat: bool = False

    name = "adam"
    newer_fields = ("epsilon_hat",)

    @property
    def kernel(self) -> str:
        """The name of the compiled update rule: the name of the optimizer, then `"_amsgrad"` if it applies."""
        return f"{self.name}_amsgrad" if self.amsgrad else self.name

    @property
    def slots(self) -> tuple[str, ...]:
        """The two moments m and v, and with amsgrad the largest v."""
        return ("m", "v", "v_max") if self.amsgrad else ("m", "v")

    def constants(self, steps: Steps) -> Floats:
        """Return `[beta_1, beta_2, -step size, epsilon]`; step size and epsilon include the corrections of m and v."""
        root = self._root_correction(steps)
        first = (1 - self.beta_1) / (1 - powers(self.beta_1, steps))
        beside_root = np.sqrt(1 - self.beta_2) if self.epsilon_hat else root
        step_sizes = -self.rates(steps) * first / root
        return constants_table(steps, self.beta_1, self.beta_2, step_sizes, self.epsilon / beside_root)


@dataclass(frozen=True, eq=False, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Step t, counted from 1, changes a weight w with the gradient g and the means m and v, which begin with 0:

        w = w - learning_rate weight_decay w
        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g^2
        w = w - learning_rate (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Biases do not decay.

    Parameters
    ----------
    learning_rate : float or Schedule
        The step size, at least 0.
    beta_1, beta_2 : float
        The decay of the means m and v, in [0, 1).
    epsilon : float
        Keeps the division finite; at least 1e-30, so that float32 can hold it.
    amsgrad : bool
        Whether to divide by the largest v so far instead of the current v (Reddi et al., 2018).
    epsilon_hat : bool
        Whether epsilon is added to the root of v before its correction, as in Keras.
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

    weight_decay: float = 1e-2

    name = "adamw"

    def decay(self, steps: Steps) -> Floats:
        """Return the factor of the weights at the start of each step, `1 - learning_rate * weight_decay`."""
        return 1.0 - self.rates(steps) * self.weight_decay

    def for_biases(self) -> StepOptimizer:
        """Return the optimizer that updates the biases: this one without weight decay."""
        return dataclasses.replace(self, weight_decay=0.0)


@dataclass(frozen=True, eq=False, repr=False)
class Nadam(_Moments):
    """Adam with Nesterov momentum (Dozat, 2016) that grows from step to step, as in PyTorch.

    Step t, counted from 1, changes a parameter w with the gradient g and the means m and v, which begin with 0. mu_t is
    the momentum of step t, and M_t is the product of mu_1 to mu_t:

        mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2)
        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g^2
        u = g (1 - mu_t) / (1 - M_t) + m mu_(t+1) / (1 - M_(t+1))
        w = w - learning_rate u / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Parameters
    ----------
    learning_rate : float or Schedule
        The step size, at least 0.
    beta_1, beta_2 : float
        The decay of the means m and v, in [0, 1).
    epsilon : float
        Keeps the division finite; at least 1e-30, so that float32 can hold it.
    momentum_decay : float
        How fast the momentum grows towards beta_1, at least 0.
    clipvalue : float, optional
        Clip each element of the gradient to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        Scale the whole gradient down so that its norm is at most about this; excludes `clipvalue`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type, or both limits of the gradient are given.
    """

    learning_rate: float | Schedule = 2e-3
    momentum_decay: float = 4e-3

    name = "nadam"

    def constants(self, steps: Steps) -> Floats:
        """Return `[beta_1, beta_2, factor of g, factor of m, epsilon]`, with the corrections of m and v included."""
        root, rates = self._root_correction(steps), self.rates(steps)
        mu, next_mu = self._momentum(steps), self._momentum(steps + 1)
        M = self._momentum_products(steps, mu)
        of_gradient = -rates * (1 - mu) / (1 - M) / root
        of_mean = -rates * next_mu / (1 - M * next_mu) * (1 - self.beta_1) / root
        return constants_table(steps, self.beta_1, self.beta_2, of_gradient, of_mean, self.epsilon / root)

    def _momentum(self, steps: Steps) -> Floats:
        """Return mu_t of each step."""
        return self.beta_1 * (1.0 - 0.5 * power(0.96, steps.astype(np.float64) * self.momentum_decay))

    def _momentum_products(self, steps: Steps, mu: Floats) -> Floats:
        """Return M_t of each step; the steps are consecutive, and mu holds their momentum.

        Beyond step 2^20, M is the M of that step times a power of beta_1: either every later mu equals beta_1 to the
        last bit, or M is 0 already. For if 0.96^(t momentum_decay) is still at least 2^-54 at step 2^20, its sum over
        the steps before exceeds 10,000, and M is less than e^-5000.
        """
        multiplied = int(np.count_nonzero(steps <= _LAST_MULTIPLIED_STEP))
        with np.errstate(under="ignore"):
            before = self._momentum_product(min(int(steps[0]) - 1, _LAST_MULTIPLIED_STEP))
            products = np.multiply.accumulate(np.append(before, mu[:multiplied]))
            return np.append(
                products[1:], products[-1] * powers(self.beta_1, steps[multiplied:] - _LAST_MULTIPLIED_STEP)
            )

    def _momentum_product(self, step: int) -> float:
        """Return M of one step, multiplied factor by factor from step 1, so that its bits do not depend on the caller.

        Return 0 as soon as M is below 2^-60, because then `1 - M` is 1: with the defaults after 53 steps. Without this
        the product would take 1.3 s at step 10 million.
        """
        product, block = 1.0, 1 << 12
        for first in range(1, step + 1, block):
            factors = self._momentum(np.arange(first, min(first + block, step + 1)))
            product = float(np.multiply.accumulate(np.append(product, factors))[-1])
            if product < 2.0**-60:
                return 0.0
        return product
