# mypy: disable-error-code="no-any-return"
# (NumPy's own type hints give Any for arithmetic on arrays of an unnamed floating type.)
"""The optimizers: step t (from 1) moves a parameter w in place, against its gradient g.

`slots` keep what an optimizer remembers of g; `settings` are its numbers, the learning rate already that of step t.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from fastmlp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, RMSprop
from fastmlp.reference.activations import Array

Slots: TypeAlias = dict[str, Array]


def sgd(settings: SGD, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate g`; with momentum `v = momentum v - rate g`, `w = w + v`; Nesterov's looks one step of v ahead."""
    momentum = settings.momentum
    if not momentum:
        w -= rate * g
        return
    v = slots["v"]
    v[...] = momentum * v - rate * g
    w += momentum * v - rate * g if settings.nesterov else v


def rmsprop(settings: RMSprop, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate g / (sqrt(v) + epsilon)`, v the mean of g^2, centered less the square of the mean of g."""
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
    """`w = w - rate g / (sqrt(s) + epsilon)`, s the sum of g^2."""
    s = slots["s"]
    s += g**2
    w -= rate * g / (np.sqrt(s) + settings.epsilon)


def adadelta(settings: Adadelta, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate u`, `u = g sqrt(d + epsilon) / sqrt(v + epsilon)`; v, d the means of g^2 and u^2."""
    v, d, rho, epsilon = slots["v"], slots["d"], settings.rho, settings.epsilon
    v[...] = rho * v + (1 - rho) * g**2
    u = np.sqrt(d + epsilon) / np.sqrt(v + epsilon) * g
    d[...] = rho * d + (1 - rho) * u**2
    w -= rate * u


def adam(settings: Adam, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate m_hat / (sqrt(v_hat) + epsilon)`, the hats taking the start at 0 out of the means m, v."""
    m_hat, v_hat = corrected_moments(settings, g, slots, t)
    if settings.amsgrad:
        largest, v_corrected = slots["v_max"], 1 - settings.beta_2**t
        largest[...] = np.maximum(largest, slots["v"])
        v_hat = largest / v_corrected
    w -= rate * m_hat / (np.sqrt(v_hat) + settings.epsilon)


def adamw(settings: AdamW, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """`w = w - rate weight_decay w`, then Adam."""
    w -= rate * settings.weight_decay * w
    adam(settings, rate, w, g, slots, t)


def nadam(settings: Nadam, rate: float, w: Array, g: Array, slots: Slots, t: int) -> None:
    """Adam with `(1 - mu_t) g / (1 - M_t) + mu_(t+1) m / (1 - M_(t+1))` for m_hat, M_t the product of mu_1 to mu_t."""
    mu = settings.beta_1 * (1 - 0.5 * 0.96 ** (np.arange(1, t + 2) * settings.momentum_decay))
    M = np.cumprod(mu)
    _, v_hat = corrected_moments(settings, g, slots, t)
    ahead = (1 - mu[-2]) / (1 - M[-2]) * g + mu[-1] / (1 - M[-1]) * slots["m"]
    w -= (rate * ahead / (np.sqrt(v_hat) + settings.epsilon)).astype(w.dtype)


def corrected_moments(settings: Adam | Nadam, g: Array, slots: Slots, t: int) -> tuple[Array, Array]:
    """`m_hat = m / (1 - beta_1^t)` and `v_hat = v / (1 - beta_2^t)`, m and v the means of g and g^2."""
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


def update(optimizer: Optimizer, w: Array, g: Array, slots: Slots, t: int) -> None:
    """Step t of any of them on a weight matrix (inputs, units) or the biases (units,) of a layer."""
    settings = optimizer if w.ndim == 2 else optimizer.for_biases()
    OPTIMIZERS[optimizer.name](settings, optimizer.rate(t), w, g, slots, t)


def empty_slots(optimizer: Optimizer, w: Array) -> Slots:
    """What the optimizer remembers of a parameter before the first step: zeros, in the first slot what it asks for."""
    slots = {name: np.zeros_like(w) for name in optimizer.slots}
    for name in optimizer.slots[:1]:
        slots[name][...] = optimizer.first_slot_value
    return slots


def limited(optimizer: Optimizer, gradients: Sequence[Array]) -> list[Array]:
    """The gradients of all parameters: each element within `clipvalue`, or all together within `global_clipnorm`.

    A gradient of the norm n, the root of the sum of all squares, is multiplied by `min(clipnorm / (n + 1e-6), 1)`.
    """
    factor, most = 1.0, optimizer.clipvalue
    if optimizer.global_clipnorm is not None:
        norm = np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients))
        factor = float(min(optimizer.global_clipnorm / (norm + 1e-6), 1.0))
    return [factor * (g if most is None else np.clip(g, -most, most)) for g in gradients]
