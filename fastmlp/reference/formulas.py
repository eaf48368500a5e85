# mypy: disable-error-code="no-any-return"
# (NumPy's own type hints give Any for arithmetic on arrays of an unnamed floating type.)
"""Every formula of a multi-layer perceptron, one line each, and its derivative beside it.

Rows are samples: Z, A, y are (n, units). `A = g(Z)` is an activation before dropout, dA the derivative of the loss J
with respect to it, delta the one with respect to Z. The tables at the end of each section find a formula by its name.
Stable forms are used where the plain ones would overflow or cancel; they stand in the docstrings next to those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastmlp.optimizers import SGD, Adam, Optimizer

Array: TypeAlias = NDArray[np.floating[Any]]

# ---------------------------------------------------------------------------------------------------------------------
# Activations: A = g(Z), then delta = dA o g'(Z)
# ---------------------------------------------------------------------------------------------------------------------


def linear(Z: Array) -> Array:
    """`g(z) = z`."""
    return Z


def linear_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = 1`."""
    return dA


def relu(Z: Array) -> Array:
    """`g(z) = max(z, 0)`."""
    return np.maximum(Z, 0)


def relu_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = 1 where z > 0, else 0`, also at 0."""
    return dA * (Z > 0)


def sigmoid(Z: Array) -> Array:
    """`g(z) = 1 / (1 + e^-z)`, for negative z as `e^z / (1 + e^z)`: the exponential never overflows."""
    E = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1, E) / (1 + E)


def sigmoid_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = a (1 - a)`."""
    return dA * A * (1 - A)


def tanh(Z: Array) -> Array:
    """`g(z) = (e^z - e^-z) / (e^z + e^-z)`."""
    return np.tanh(Z)


def tanh_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = 1 - a^2`."""
    return dA * (1 - A**2)


def softmax(Z: Array) -> Array:
    """`a_k = e^z_k / sum_j e^z_j` in each row; subtracting the row's largest z changes nothing but the overflow."""
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def softmax_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`da_j/dz_k = a_j ([j = k] - a_k)`, so `delta_k = a_k (dA_k - sum_j dA_j a_j)`: the Jacobian is never built."""
    return A * (dA - (dA * A).sum(axis=1, keepdims=True))


class Activation(NamedTuple):
    """`forward(Z) -> A` and `backward(dA, Z, A) -> delta`; `kinked` where g' jumps at z = 0."""

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array, Array], Array]
    kinked: bool = False


ACTIVATIONS = {
    "linear": Activation(linear, linear_backward),
    "relu": Activation(relu, relu_backward, kinked=True),
    "sigmoid": Activation(sigmoid, sigmoid_backward),
    "tanh": Activation(tanh, tanh_backward),
    "softmax": Activation(softmax, softmax_backward),
}

# ---------------------------------------------------------------------------------------------------------------------
# Losses of one sample (n,), and dA, the derivative of each with respect to A (n, outputs)
# ---------------------------------------------------------------------------------------------------------------------


def mean_squared_error(A: Array, y: Array) -> Array:
    """`mean_k (a_k - y_k)^2`."""
    return ((A - y) ** 2).mean(axis=1)


def mean_squared_error_gradient(A: Array, y: Array) -> Array:
    """`2 (a_k - y_k) / outputs`."""
    return 2 * (A - y) / A.shape[1]


def binary_crossentropy(A: Array, y: Array) -> Array:
    """`-sum_k [y_k log a_k + (1 - y_k) log(1 - a_k)]`."""
    A = clipped(A)
    return -(y * np.log(A) + (1 - y) * np.log1p(-A)).sum(axis=1)


def binary_crossentropy_gradient(A: Array, y: Array) -> Array:
    """`(a_k - y_k) / (a_k (1 - a_k))`, and 0 where a_k was clipped."""
    C = clipped(A)
    return np.where(A == C, (C - y) / (C * (1 - C)), 0)


def categorical_crossentropy(A: Array, y: Array) -> Array:
    """`-sum_k y_k log a_k`."""
    return -(y * np.log(clipped(A))).sum(axis=1)


def categorical_crossentropy_gradient(A: Array, y: Array) -> Array:
    """`-y_k / a_k`, and 0 where a_k was clipped."""
    C = clipped(A)
    return np.where(A == C, -y / C, 0)


def clipped(A: Array) -> Array:
    """A within [eps, 1 - eps], where the logarithms of the cross-entropies live."""
    eps = 1e-7 if A.dtype == np.float32 else 1e-15
    return np.clip(A, eps, 1 - eps)


class Loss(NamedTuple):
    """`value(A, y) -> (n,)` and `gradient(A, y) -> dA`."""

    value: Callable[[Array, Array], Array]
    gradient: Callable[[Array, Array], Array]


LOSSES = {
    "mean_squared_error": Loss(mean_squared_error, mean_squared_error_gradient),
    "binary_crossentropy": Loss(binary_crossentropy, binary_crossentropy_gradient),
    "categorical_crossentropy": Loss(categorical_crossentropy, categorical_crossentropy_gradient),
}

# ---------------------------------------------------------------------------------------------------------------------
# Exact pairs: where a loss meets its own activation, log and exp cancel, and so do g' and the denominator of dA.
# The loss follows from Z and delta from A, without clipping, for any finite Z.
# ---------------------------------------------------------------------------------------------------------------------


def sigmoid_binary_crossentropy(Z: Array, y: Array) -> Array:
    """`sum_k [log(1 + e^z_k) - z_k y_k]`, with `log(1 + e^z) = max(z, 0) + log(1 + e^-|z|)`."""
    return (np.maximum(Z, 0) - Z * y + np.log1p(np.exp(-np.abs(Z)))).sum(axis=1)


def sigmoid_binary_crossentropy_delta(A: Array, y: Array) -> Array:
    """`a_k - y_k`."""
    return A - y


def softmax_categorical_crossentropy(Z: Array, y: Array) -> Array:
    """`sum_k y_k (log sum_j e^z_j - z_k)`, with the row's largest z subtracted from each."""
    Z = Z - Z.max(axis=1, keepdims=True)
    return (y * (np.log(np.exp(Z).sum(axis=1, keepdims=True)) - Z)).sum(axis=1)


def softmax_categorical_crossentropy_delta(A: Array, y: Array) -> Array:
    """`a_k sum_j y_j - y_k`; the familiar `a - y` where the targets of a row sum to 1."""
    return A * y.sum(axis=1, keepdims=True) - y


class ExactPair(NamedTuple):
    """`value(Z, y) -> (n,)` and `delta(A, y) -> delta`."""

    value: Callable[[Array, Array], Array]
    delta: Callable[[Array, Array], Array]


EXACT_PAIRS = {
    ("sigmoid", "binary_crossentropy"): ExactPair(sigmoid_binary_crossentropy, sigmoid_binary_crossentropy_delta),
    ("softmax", "categorical_crossentropy"): ExactPair(
        softmax_categorical_crossentropy, softmax_categorical_crossentropy_delta
    ),
}

# ---------------------------------------------------------------------------------------------------------------------
# Penalties on the weights of a layer
# ---------------------------------------------------------------------------------------------------------------------


def penalty(W: Array, l1: float, l2: float) -> float:
    """`l1 sum|W| + l2/2 sum W^2`, summed in float64."""
    W = W.astype(np.float64)
    return float(l1 * np.abs(W).sum() + l2 / 2 * (W**2).sum())


def penalty_gradient(W: Array, l1: float, l2: float) -> Array:
    """`l1 sign(W) + l2 W`."""
    return l1 * np.sign(W) + l2 * W


# ---------------------------------------------------------------------------------------------------------------------
# Optimizers: step t (from 1) moves a parameter w in place, against its gradient g; slots keep what it remembers of g
# ---------------------------------------------------------------------------------------------------------------------


def sgd(settings: SGD, w: Array, g: Array, slots: dict[str, Array], t: int) -> None:
    """`w = w - rate g`; with momentum `v = momentum v - rate g`, `w = w + v`; Nesterov's looks one step of v ahead."""
    rate, momentum = settings.learning_rate, settings.momentum
    if not momentum:
        w -= rate * g
        return
    v = slots["v"]
    v[...] = momentum * v - rate * g
    w += momentum * v - rate * g if settings.nesterov else v


def adam(settings: Adam, w: Array, g: Array, slots: dict[str, Array], t: int) -> None:
    """`w = w - rate m_hat / (sqrt(v_hat) + epsilon)`, the hats taking the start at 0 out of the means m, v."""
    beta_1, beta_2, m, v = settings.beta_1, settings.beta_2, slots["m"], slots["v"]
    m[...] = beta_1 * m + (1 - beta_1) * g
    v[...] = beta_2 * v + (1 - beta_2) * g**2
    m_hat = m / (1 - beta_1**t)
    v_hat = v / (1 - beta_2**t)
    w -= settings.learning_rate * m_hat / (np.sqrt(v_hat) + settings.epsilon)


Update: TypeAlias = Callable[[Any, Array, Array, dict[str, Array], int], None]

OPTIMIZERS: dict[str, Update] = {"sgd": sgd, "adam": adam}


def empty_slots(optimizer: Optimizer, w: Array) -> dict[str, Array]:
    """What the optimizer remembers of a parameter before the first step: zeros."""
    return {name: np.zeros_like(w) for name in optimizer.slots}
