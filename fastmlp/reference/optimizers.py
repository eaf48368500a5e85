# mypy: disable-error-code="no-any-return"
# (NumPy's own type hints give Any for arithmetic on arrays of an unnamed floating type.)
"""The optimizers: step t, counted from 1, changes a parameter w in place, against its gradient g.

w and g have the same shape: (inputs, units) for weights, (units,) for biases. `slots` holds what the optimizer
remembers of earlier gradients: arrays of the shape of w, by name, which the step also changes in place. `settings` is
the optimizer with its numbers, and `rate` its learning rate in step t.

To add an optimizer, write its step here, add a line to `OPTIMIZERS`, and follow the list of places in
`fastmlp/optimizers/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from fastmlp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, RMSprop, StepOptimizer
from fastmlp.reference.activations import Array

Slots: TypeAlias = dict[str, Array]


def sgd(settings: SGD, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate g`; with momentum `v = momentum v - rate g` and `w = w + v`.

    With Nesterov momentum `w = w + momentum v - rate g`: w moves one step of v ahead.
    """
    momentum = settings.momentum
    if not momentum:
        w -= rate * g
        return
    v = slots["v"]
    v[...] = momentum * v - rate * g
    w += momentum * v - rate * g if settings.nesterov else v


def rmsprop(settings: RMSprop, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`v = rho v + (1 - rho) g^2`, `u = g / (sqrt(v) + epsilon)`, `w = w - rate u`.

    If centered, `c = rho c + (1 - rho) g`, and the variance `v - c^2` takes the place of v in u. With momentum,
    `m = momentum m + u` takes the place of u in the step.
    """
    v, rho = slots["v"], settings.rho
    v[...] = rho * v + (1 - rho) * g**2
    variance = v
    if settings.centered:
        c = slots["c"]
        c[...] = rho * c + (1 - rho) * g
        variance = np.maximum(v - c**2, 0)
    u: Array = g / (np.sqrt(variance) + settings.epsilon)
    if settings.momentum:
        m = slots["m"]
        m[...] = settings.momentum * m + u
        u = m
    w -= rate * u


def adagrad(settings: Adagrad, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`s = s + g^2`, `w = w - rate g / (sqrt(s) + epsilon)`."""
    s = slots["s"]
    s += g**2
    w -= rate * g / (np.sqrt(s) + settings.epsilon)


def adadelta(settings: Adadelta, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`v = rho v + (1 - rho) g^2`, `u = g sqrt(d + epsilon) / sqrt(v + epsilon)`, `d = rho d + (1 - rho) u^2`.

    Then `w = w - rate u`.
    """
    v, d, rho, epsilon = slots["v"], slots["d"], settings.rho, settings.epsilon
    v[...] = rho * v + (1 - rho) * g**2
    u = np.sqrt(d + epsilon) / np.sqrt(v + epsilon) * g
    d[...] = rho * d + (1 - rho) * u**2
    w -= rate * u


def adam(settings: Adam, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate m_hat / (sqrt(v_hat) + epsilon)` with the corrected means m_hat and v_hat.

    With amsgrad, v_hat is the largest v so far, corrected. With `epsilon_hat`, epsilon is added to sqrt(v) before the
    correction: the denominator is `(sqrt(v) + epsilon) / sqrt(1 - beta_2^t)`.
    """
    m_hat, v_hat = corrected_moments(settings, g, slots, t)
    if settings.amsgrad:
        largest, v_corrected = slots["v_max"], 1 - settings.beta_2**t
        largest[...] = np.maximum(largest, slots["v"])
        v_hat = largest / v_corrected
    epsilon = settings.epsilon / np.sqrt(1 - settings.beta_2**t) if settings.epsilon_hat else settings.epsilon
    w -= rate * m_hat / (np.sqrt(v_hat) + epsilon)


def adamw(settings: AdamW, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate weight_decay w`, followed by the step of Adam."""
    w -= rate * settings.weight_decay * w
    adam(settings, rate, w, g, slots, t)


def nadam(settings: Nadam, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate ((1 - mu_t) g / (1 - M_t) + mu_(t+1) m / (1 - M_(t+1))) / (sqrt(v_hat) + epsilon)`.

    The momentum is `mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2)`, and M_t is the product of mu_1 to mu_t.
    """
    mu = settings.beta_1 * (1 - 0.5 * 0.96 ** (np.arange(1, t + 2) * settings.momentum_decay))
    M = np.cumprod(mu)
    _, v_hat = corrected_moments(settings, g, slots, t)
    ahead = (1 - mu[-2]) / (1 - M[-2]) * g + mu[-1] / (1 - M[-1]) * slots["m"]
    w -= (rate * ahead / (np.sqrt(v_hat) + settings.epsilon)).astype(w.dtype)


def corrected_moments(settings: Adam | Nadam, g: Array, slots: Slots, t: int) -> tuple[Array, Array]:
    """Update the means m of g and v of g^2; return `m_hat = m / (1 - beta_1^t)` and `v_hat = v / (1 - beta_2^t)`.

    The means begin with 0 and are too small at first; the divisions correct this.
    """
    beta_1, beta_2, m, v = settings.beta_1, settings.beta_2, slots["m"], slots["v"]
    m[...] = beta_1 * m + (1 - beta_1) * g
    v[...] = beta_2 * v + (1 - beta_2) * g**2
    return m / (1 - beta_1**t), v / (1 - beta_2**t)


def lion(settings: Lion, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate (sign(beta_1 m + (1 - beta_1) g) + weight_decay w)`, then `m = beta_2 m + (1 - beta_2) g`."""
    m, beta_1, beta_2 = slots["m"], settings.beta_1, settings.beta_2
    w -= rate * (np.sign(beta_1 * m + (1 - beta_1) * g) + settings.weight_decay * w)
    m[...] = beta_2 * m + (1 - beta_2) * g


Update: TypeAlias = Callable[[Any, float, Array, Array, Slots, int], None]
"""`(settings, rate, w, g, slots, t)`."""

OPTIMIZERS: dict[str, Update] = {
    "sgd": sgd,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "adam": adam,
    "adamw": adamw,
    "nadam": nadam,
    "lion": lion,
}


def update(optimizer: StepOptimizer, w: Array, g: Array, slots: Slots, t: int, rate: float | None = None) -> None:
    """Do step t of an optimizer on the weights (inputs, units) or the biases (units,) of a layer, in place.

    The learning rate of a layer that has rested, or has a factor of its own, is not that of its step t.
    """
    settings = optimizer if w.ndim == 2 else optimizer.for_biases()
    OPTIMIZERS[optimizer.name](settings, optimizer.rate(t) if rate is None else rate, w, g, slots, t)


def empty_slots(optimizer: Optimizer, w: Array) -> Slots:
    """Return the slots of a parameter before the first step: zeros, and in the first slot `first_slot_value`."""
    slots = {name: np.zeros_like(w) for name in optimizer.slots}
    for name in optimizer.slots[:1]:
        slots[name][...] = optimizer.first_slot_value
    return slots


def clip_gradients(optimizer: StepOptimizer, gradients: Sequence[Array]) -> list[Array]:
    """Clip the gradients of all parameters as the optimizer demands; without limits return them unchanged.

    With `clipvalue` each element is clipped to [-clipvalue, clipvalue]. With `global_clipnorm` all gradients are
    multiplied by `min(global_clipnorm / (n + 1e-6), 1)`, where n is the root of the sum of the squares of all elements.
    """
    factor, limit = 1.0, optimizer.clipvalue
    if optimizer.global_clipnorm is not None:
        norm = np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients))
        factor = float(min(optimizer.global_clipnorm / (norm + 1e-6), 1.0))
    return [factor * (g if limit is None else np.clip(g, -limit, limit)) for g in gradients]
