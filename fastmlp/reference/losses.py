# mypy: disable-error-code="no-any-return"
# (NumPy's own type hints give Any for arithmetic on arrays of an unnamed floating type.)
"""The losses, each followed by its gradient dA; then the exact pairs of a loss and an activation, and the penalties.

Rows are samples: Z, A and y have shape (n, outputs). A loss is a number for each sample, (n,). Its gradient dA is the
derivative with respect to A, (n, outputs). In the docstrings a_k, y_k and z_k are the elements of output k in one row.

To add a loss, write its value and its gradient here, add a line to `LOSSES`, and follow the list of places in
CONTRIBUTING.md.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastmlp.losses import Loss
from fastmlp.own_losses import OwnLoss
from fastmlp.reference.activations import Array, elementwise


def mean_squared_error(A: Array, y: Array) -> Array:
    """`mean_k (a_k - y_k)^2`."""
    return ((A - y) ** 2).mean(axis=1)


def mean_squared_error_gradient(A: Array, y: Array) -> Array:
    """`2 (a_k - y_k) / outputs`."""
    return 2 * (A - y) / A.shape[1]


def half_squared_error(A: Array, y: Array) -> Array:
    """`sum_k (a_k - y_k)^2 / 2`."""
    return ((A - y) ** 2).sum(axis=1) / 2


def half_squared_error_gradient(A: Array, y: Array) -> Array:
    """`a_k - y_k`."""
    return A - y


def mean_absolute_error(A: Array, y: Array) -> Array:
    """`mean_k |a_k - y_k|`."""
    return np.abs(A - y).mean(axis=1)


def mean_absolute_error_gradient(A: Array, y: Array) -> Array:
    """`sign(a_k - y_k) / outputs`; at the kink a_k = y_k it is 0."""
    return np.sign(A - y) / A.shape[1]


def huber(A: Array, y: Array, delta: float) -> Array:
    """The mean over k of `d^2 / 2` where `d <= delta`, else `delta (d - delta / 2)`, with `d = |a_k - y_k|`."""
    d = np.abs(A - y)
    return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2)).mean(axis=1)


def huber_gradient(A: Array, y: Array, delta: float) -> Array:
    """`clip(a_k - y_k, -delta, delta) / outputs`."""
    return np.clip(A - y, -delta, delta) / A.shape[1]


def log_cosh(A: Array, y: Array) -> Array:
    """`mean_k log(cosh(d))` with `d = |a_k - y_k|`.

    For d >= 1 it is computed as `d + log(1 + e^-2d) - log(2)`, which cannot overflow, and for smaller d as
    `log(1 + (1 - e^-d)^2 / (2 e^-d))`, which keeps all digits near 0.
    """
    d = np.abs(A - y)
    near = np.log1p(np.expm1(-np.minimum(d, 1)) ** 2 / (2 * np.exp(-np.minimum(d, 1))))
    return np.where(d < 1, near, d + np.log1p(np.exp(-2 * d)) - math.log(2)).mean(axis=1)


def log_cosh_gradient(A: Array, y: Array) -> Array:
    """`tanh(a_k - y_k) / outputs`."""
    return np.tanh(A - y) / A.shape[1]


def poisson(A: Array, y: Array) -> Array:
    """`mean_k (a_k - y_k log a_k)`; in the logarithm a_k is clipped to at least epsilon."""
    return (A - y * np.log(_positive(A))).mean(axis=1)


def poisson_gradient(A: Array, y: Array) -> Array:
    """`(1 - y_k / a_k) / outputs`; where a_k was clipped the logarithm is constant, and `1 / outputs` remains."""
    C = _positive(A)
    return (1 - np.where(A == C, y / C, 0)) / A.shape[1]


def half_poisson_deviance(A: Array, y: Array) -> Array:
    """`sum_k [y_k log(y_k / a_k) - y_k + a_k]` with 0 log 0 = 0; log a_k clips a_k to at least epsilon."""
    return (A - y - y * np.log(_positive(A))).sum(axis=1) - _entropy(y)


def half_poisson_deviance_gradient(A: Array, y: Array) -> Array:
    """`1 - y_k / a_k`; where a_k was clipped, 1."""
    return poisson_gradient(A, y) * A.shape[1]


def gamma(A: Array, y: Array) -> Array:
    """`mean_k (log(a_k / y_k) + y_k / a_k - 1)`; a_k is clipped to at least epsilon."""
    C = _positive(A)
    return (np.log(C) - np.log(y) + y / C - 1).mean(axis=1)


def gamma_gradient(A: Array, y: Array) -> Array:
    """`(1 - y_k / a_k) / a_k / outputs`; 0 where a_k was clipped."""
    C = _positive(A)
    return np.where(A == C, (1 - y / C) / C, 0) / A.shape[1]


def tweedie(A: Array, y: Array, p: float) -> Array:
    """`mean_k [y_k^(2-p) / ((1-p)(2-p)) - y_k a_k^(1-p) / (1-p) + a_k^(2-p) / (2-p)]`; a_k is at least epsilon."""
    C = _positive(A)
    of_y = y ** (2 - p) / ((1 - p) * (2 - p))
    return (of_y - y * C ** (1 - p) / (1 - p) + C ** (2 - p) / (2 - p)).mean(axis=1)


def tweedie_gradient(A: Array, y: Array, p: float) -> Array:
    """`(a_k^(1-p) - y_k a_k^(-p)) / outputs`; 0 where a_k was clipped."""
    C = _positive(A)
    return np.where(A == C, C ** (1 - p) - y * C**-p, 0) / A.shape[1]


def quantile(A: Array, y: Array, *levels: float) -> Array:
    """`mean_k max(q d, (q - 1) d)` with `d = y - a_k`, where q is the level of output k and y its target."""
    d, q = _errors_and_levels(A, y, levels)
    return np.maximum(q * d, (q - 1) * d).mean(axis=1)


def quantile_gradient(A: Array, y: Array, *levels: float) -> Array:
    """`-q / outputs` where y > a_k, `(1 - q) / outputs` where y < a_k, and 0 where they are equal."""
    d, q = _errors_and_levels(A, y, levels)
    return np.where(d > 0, -q, np.where(d < 0, 1 - q, 0)) / A.shape[1]


def gaussian_nll(A: Array, y: Array, epsilon: float) -> Array:
    """`mean_k (log v_k + (y_k - m_k)^2 / v_k) / 2` with `v = e^s + epsilon`, for A = [m, s]."""
    m, s = np.split(A, 2, axis=1)
    v = np.exp(s) + epsilon
    return ((np.log(v) + (y - m) ** 2 / v) / 2).mean(axis=1)


def gaussian_nll_gradient(A: Array, y: Array, epsilon: float) -> Array:
    """`-(y_k - m_k) / v_k` for m, and `(e^s_k / v_k) (1 - (y_k - m_k)^2 / v_k) / 2` for s, divided by the targets."""
    m, s = np.split(A, 2, axis=1)
    v = np.exp(s) + epsilon
    return np.hstack([-(y - m) / v, np.exp(s) / v * (1 - (y - m) ** 2 / v) / 2]) / y.shape[1]


def hinge(A: Array, y: Array) -> Array:
    """`mean_k max(1 - s_k a_k, 0)`, where s_k is 1 if y_k > 0, else -1."""
    return np.maximum(1 - _signs(y) * A, 0).mean(axis=1)


def hinge_gradient(A: Array, y: Array) -> Array:
    """`-s_k / outputs` where `s_k a_k < 1`, else 0; s_k is 1 if y_k > 0, else -1."""
    return np.where(_signs(y) * A < 1, -_signs(y), 0) / A.shape[1]


def binary_crossentropy(A: Array, y: Array, smoothing: float = 0.0) -> Array:
    """`-sum_k [y_k log a_k + (1 - y_k) log(1 - a_k)]`, with clipped a_k and smoothed y_k."""
    A, y = clipped(A), smoothed(y, smoothing, 2)
    return -(y * np.log(A) + (1 - y) * np.log1p(-A)).sum(axis=1)


def binary_crossentropy_gradient(A: Array, y: Array, smoothing: float = 0.0) -> Array:
    """`(a_k - y_k) / (a_k (1 - a_k))` with smoothed y_k, and 0 where a_k was clipped."""
    C = clipped(A)
    return np.where(A == C, (C - smoothed(y, smoothing, 2)) / (C * (1 - C)), 0)


def binary_focal_crossentropy(A: Array, y: Array, gamma: float, positive: float, negative: float) -> Array:
    """`-sum_k w_k q_k^gamma [y_k log a_k + (1 - y_k) log(1 - a_k)]` with clipped a_k and `q = a (1 - y) + (1 - a) y`.

    The weight is `w = positive y + negative (1 - y)`.
    """
    C = clipped(A)
    return (_focal_factor(C, y, gamma, positive, negative) * -(y * np.log(C) + (1 - y) * np.log1p(-C))).sum(axis=1)


def binary_focal_crossentropy_gradient(A: Array, y: Array, gamma: float, positive: float, negative: float) -> Array:
    """`w q^gamma [(a - y) / (a (1 - a)) + gamma H (1 - 2 y) / q]`, H the cross-entropy of output k; 0 where clipped."""
    C = clipped(A)
    entropy = -(y * np.log(C) + (1 - y) * np.log1p(-C))
    slope = (C - y) / (C * (1 - C)) + gamma * entropy * (1 - 2 * y) / _error(C, y)
    return np.where(A == C, _focal_factor(C, y, gamma, positive, negative) * slope, 0)


def categorical_crossentropy(A: Array, y: Array, smoothing: float = 0.0) -> Array:
    """`-sum_k y_k log a_k`, with clipped a_k and smoothed y_k."""
    return -(smoothed(y, smoothing, A.shape[1]) * np.log(clipped(A))).sum(axis=1)


def categorical_crossentropy_gradient(A: Array, y: Array, smoothing: float = 0.0) -> Array:
    """`-y_k / a_k` with smoothed y_k, and 0 where a_k was clipped."""
    C = clipped(A)
    return np.where(A == C, -smoothed(y, smoothing, A.shape[1]) / C, 0)


def kl_divergence(A: Array, y: Array) -> Array:
    """`sum_k y_k (log y_k - log a_k)` with 0 log 0 = 0, and clipped a_k."""
    return categorical_crossentropy(A, y) - _entropy(y)


def kl_divergence_gradient(A: Array, y: Array) -> Array:
    """`-y_k / a_k`, as for the cross-entropy, because the entropy of y does not depend on A."""
    return categorical_crossentropy_gradient(A, y)


def clipped(A: Array) -> Array:
    """Clip A to [epsilon, 1 - epsilon], so that the logarithms of the cross-entropies are finite."""
    return np.clip(A, _epsilon(A), 1 - _epsilon(A))


def smoothed(y: Array, smoothing: float, classes: int) -> Array:
    """`y (1 - s) + s / classes`: the share s of the targets is spread evenly over all classes."""
    return y * (1 - smoothing) + smoothing / classes if smoothing else y


def _positive(A: Array) -> Array:
    """Clip A to at least epsilon, so that its logarithm is finite."""
    return np.maximum(A, _epsilon(A))


def _epsilon(A: Array) -> float:
    """The limit of clipping, which depends on the dtype of A."""
    return 1e-7 if A.dtype == np.float32 else 1e-15


def _signs(y: Array) -> Array:
    """The targets of the hinge loss: 1 where y > 0, else -1."""
    return np.where(y > 0, 1, -1).astype(y.dtype)


def _entropy(y: Array) -> Array:
    """`-sum_k y_k log y_k` with 0 log 0 = 0."""
    return -_times_log(y).sum(axis=1)


def _times_log(x: Array) -> Array:
    """`x log x` with 0 log 0 = 0."""
    return x * np.log(np.where(x > 0, x, 1))


def _errors_and_levels(A: Array, y: Array, levels: tuple[float, ...]) -> tuple[Array, Array]:
    """`y - a` and the level of each output; the outputs of a target stand beside each other."""
    return np.repeat(y, len(levels), axis=1) - A, np.tile(np.array(levels, A.dtype), y.shape[1])


def _error(a: Array, y: Array) -> Array:
    """`a (1 - y) + (1 - a) y`, how far a probability is from y."""
    return a * (1 - y) + (1 - a) * y


def _focal_factor(a: Array, y: Array, gamma: float, positive: float, negative: float) -> Array:
    """The weight of the class times `q^gamma`, with `q` of `_error`."""
    return (positive * y + negative * (1 - y)) * _error(a, y) ** gamma


def _quantile_kink(A: Array, y: Array, *levels: float) -> Array:
    return _errors_and_levels(A, y, levels)[0]


def _absolute_error_kink(A: Array, y: Array) -> Array:
    return A - y


def _huber_kink(A: Array, y: Array, delta: float) -> Array:
    return np.abs(A - y) - delta


def _hinge_kink(A: Array, y: Array) -> Array:
    return 1 - _signs(y) * A


class Formula(NamedTuple):
    """A loss and its gradient.

    Parameters
    ----------
    value : function
        `value(A, y, *numbers)` returns the loss of each sample, (n,). The numbers are `Loss.parameters`.
    gradient : function
        `gradient(A, y, *numbers)` returns dA, of shape (n, outputs).
    kink : function or None
        `kink(A, y, *numbers)` is 0 where dA jumps and has different signs on the two sides. Tests take no differences
        across a kink.
    """

    value: Callable[..., Array]
    gradient: Callable[..., Array]
    kink: Callable[..., Array] | None = None


LOSSES = {
    "mean_squared_error": Formula(mean_squared_error, mean_squared_error_gradient),
    "half_squared_error": Formula(half_squared_error, half_squared_error_gradient),
    "mean_absolute_error": Formula(mean_absolute_error, mean_absolute_error_gradient, kink=_absolute_error_kink),
    "huber": Formula(huber, huber_gradient, kink=_huber_kink),
    "log_cosh": Formula(log_cosh, log_cosh_gradient),
    "poisson": Formula(poisson, poisson_gradient),
    "half_poisson_deviance": Formula(half_poisson_deviance, half_poisson_deviance_gradient),
    "gamma": Formula(gamma, gamma_gradient),
    "tweedie": Formula(tweedie, tweedie_gradient),
    "quantile": Formula(quantile, quantile_gradient, kink=_quantile_kink),
    "gaussian_nll": Formula(gaussian_nll, gaussian_nll_gradient),
    "hinge": Formula(hinge, hinge_gradient, kink=_hinge_kink),
    "binary_crossentropy": Formula(binary_crossentropy, binary_crossentropy_gradient),
    "binary_focal_crossentropy": Formula(binary_focal_crossentropy, binary_focal_crossentropy_gradient),
    "categorical_crossentropy": Formula(categorical_crossentropy, categorical_crossentropy_gradient),
    "kl_divergence": Formula(kl_divergence, kl_divergence_gradient),
}


def formula_of(loss: Loss) -> Formula:
    """Return the formula of a loss.

    Functions that a user registered are applied row by row, or element by element, to the mean over the outputs.
    """
    if not isinstance(loss, OwnLoss):
        return LOSSES[loss.name]
    own, given = loss.definition, loss.given
    if own.by_row:
        return _formula_of_rows(own.value, own.gradient, given)
    value, gradient = (elementwise(functools.partial(each, **given)) for each in (own.value, own.gradient))
    return Formula(lambda A, y, *_: value(A, y).mean(axis=1), lambda A, y, *_: gradient(A, y) / A.shape[1])


def _formula_of_rows(value: Callable[..., Any], gradient: Callable[..., Any], given: dict[str, Any]) -> Formula:
    """Return the formula of `value(a, y, ...)` and `gradient(a, y, out, ...)` of a row."""

    def arrays(dtype: Any) -> dict[str, Any]:
        return {key: np.array(each, dtype) if isinstance(each, tuple) else each for key, each in given.items()}

    def losses(A: Array, y: Array, *_: float) -> Array:
        return np.array([value(a, t, **arrays(A.dtype)) for a, t in zip(A, y, strict=True)], A.dtype)

    def gradients(A: Array, y: Array, *_: float) -> Array:
        dA = np.zeros_like(A)
        for a, t, out in zip(A, y, dA, strict=True):
            gradient(a, t, out, **arrays(A.dtype))
        return dA

    return Formula(losses, gradients)


# ---------------------------------------------------------------------------------------------------------------------
# Exact pairs: a loss together with the activation that it belongs to. Log and exp cancel, and so do g' and the
# denominator of dA. The loss is computed from Z and delta from A, without clipping, for any finite Z.
# ---------------------------------------------------------------------------------------------------------------------


def sigmoid_binary_crossentropy(Z: Array, y: Array, smoothing: float = 0.0) -> Array:
    """`sum_k [log(1 + e^z_k) - z_k y_k]`, where log(1 + e^z) is computed as `max(z, 0) + log(1 + e^-|z|)`."""
    return _entropy_of_logits(Z, smoothed(y, smoothing, 2)).sum(axis=1)


def _entropy_of_logits(Z: Array, y: Array) -> Array:
    """The binary cross-entropy of each output, `log(1 + e^z) - z y`, for `a = sigmoid(z)`."""
    return np.maximum(Z, 0) - Z * y + np.log1p(np.exp(-np.abs(Z)))


def sigmoid_binary_crossentropy_delta(A: Array, y: Array, smoothing: float = 0.0) -> Array:
    """`a_k - y_k`."""
    return A - smoothed(y, smoothing, 2)


def softmax_categorical_crossentropy(Z: Array, y: Array, smoothing: float = 0.0) -> Array:
    """`sum_k y_k (log sum_j e^z_j - z_k)`; the largest z of the row is subtracted first, so that nothing overflows."""
    Z, y = Z - Z.max(axis=1, keepdims=True), smoothed(y, smoothing, Z.shape[1])
    return (y * (np.log(np.exp(Z).sum(axis=1, keepdims=True)) - Z)).sum(axis=1)


def softmax_categorical_crossentropy_delta(A: Array, y: Array, smoothing: float = 0.0) -> Array:
    """`a_k sum_j y_j - y_k`, which is `a_k - y_k` if the targets of the row sum to 1."""
    y = smoothed(y, smoothing, A.shape[1])
    return A * y.sum(axis=1, keepdims=True) - y


def softmax_kl_divergence(Z: Array, y: Array) -> Array:
    """`sum_k y_k (log y_k + log sum_j e^z_j - z_k)`, the cross-entropy minus the entropy of y."""
    return softmax_categorical_crossentropy(Z, y) - _entropy(y)


def exponential_poisson(Z: Array, y: Array) -> Array:
    """`mean_k (e^z_k - y_k z_k)`."""
    return (np.exp(Z) - y * Z).mean(axis=1)


def exponential_poisson_delta(A: Array, y: Array) -> Array:
    """`(a_k - y_k) / outputs`."""
    return (A - y) / A.shape[1]


def exponential_half_poisson_deviance(Z: Array, y: Array) -> Array:
    """`sum_k [e^z_k - y_k z_k - y_k + y_k log y_k]` with 0 log 0 = 0."""
    return (np.exp(Z) - y * Z - y).sum(axis=1) - _entropy(y)


def exponential_half_poisson_deviance_delta(A: Array, y: Array) -> Array:
    """`a_k - y_k`."""
    return A - y


def exponential_gamma(Z: Array, y: Array) -> Array:
    """`mean_k (z_k - log y_k + y_k e^-z_k - 1)`."""
    return (Z - np.log(y) + y * np.exp(-Z) - 1).mean(axis=1)


def exponential_gamma_delta(A: Array, y: Array) -> Array:
    """`(1 - y_k / a_k) / outputs`."""
    return (1 - y / A) / A.shape[1]


def exponential_tweedie(Z: Array, y: Array, p: float) -> Array:
    """`mean_k [y_k^(2-p) / ((1-p)(2-p)) - y_k e^((1-p) z_k) / (1-p) + e^((2-p) z_k) / (2-p)]`."""
    of_y = y ** (2 - p) / ((1 - p) * (2 - p))
    return (of_y - y * np.exp((1 - p) * Z) / (1 - p) + np.exp((2 - p) * Z) / (2 - p)).mean(axis=1)


def exponential_tweedie_delta(A: Array, y: Array, p: float) -> Array:
    """`(a_k^(2-p) - y_k a_k^(1-p)) / outputs`."""
    return (A ** (2 - p) - y * A ** (1 - p)) / A.shape[1]


def sigmoid_binary_focal_crossentropy(Z: Array, y: Array, gamma: float, positive: float, negative: float) -> Array:
    """`sum_k w_k q_k^gamma H_k`, where H is the binary cross-entropy, computed from Z; see the loss of a."""
    a = np.exp(-np.logaddexp(0, -Z))  # sigmoid(z), without overflow
    return (_focal_factor(a, y, gamma, positive, negative) * _entropy_of_logits(Z, y)).sum(axis=1)


def sigmoid_binary_focal_crossentropy_delta(
    A: Array, y: Array, gamma: float, positive: float, negative: float
) -> Array:
    """`w q^gamma [a - y + gamma (1 - 2 y) H a (1 - a) / q]`, where H a (1 - a) is 0 for a = 0 and a = 1."""
    H_times_slope = -(y * (1 - A) * _times_log(A) + (1 - y) * A * _times_log(1 - A))
    slope = A - y + gamma * (1 - 2 * y) * H_times_slope / np.maximum(_error(A, y), 1e-30)
    return _focal_factor(A, y, gamma, positive, negative) * slope


class ExactPair(NamedTuple):
    """A loss together with its activation.

    Parameters
    ----------
    value : function
        `value(Z, y, *numbers)` returns the loss of each sample, (n,). The numbers are `Loss.parameters`.
    delta : function
        `delta(A, y, *numbers)` returns the derivative with respect to Z, (n, outputs).
    """

    value: Callable[..., Array]
    delta: Callable[..., Array]


EXACT_PAIRS = {
    ("sigmoid", "binary_crossentropy"): ExactPair(sigmoid_binary_crossentropy, sigmoid_binary_crossentropy_delta),
    ("softmax", "categorical_crossentropy"): ExactPair(
        softmax_categorical_crossentropy, softmax_categorical_crossentropy_delta
    ),
    ("softmax", "kl_divergence"): ExactPair(softmax_kl_divergence, softmax_categorical_crossentropy_delta),
    ("exponential", "poisson"): ExactPair(exponential_poisson, exponential_poisson_delta),
    ("exponential", "gamma"): ExactPair(exponential_gamma, exponential_gamma_delta),
    ("exponential", "tweedie"): ExactPair(exponential_tweedie, exponential_tweedie_delta),
    ("sigmoid", "binary_focal_crossentropy"): ExactPair(
        sigmoid_binary_focal_crossentropy, sigmoid_binary_focal_crossentropy_delta
    ),
    ("exponential", "half_poisson_deviance"): ExactPair(
        exponential_half_poisson_deviance, exponential_half_poisson_deviance_delta
    ),
}

# ---------------------------------------------------------------------------------------------------------------------
# Penalties on the weights of a layer
# ---------------------------------------------------------------------------------------------------------------------


def penalty(W: Array, l1: float, l2: float) -> float:
    """`l1 sum|W| + l2/2 sum W^2` over the elements of W (inputs, units), summed in float64."""
    W = W.astype(np.float64)
    return float(l1 * np.abs(W).sum() + l2 / 2 * (W**2).sum())


def penalty_gradient(W: Array, l1: float, l2: float) -> Array:
    """`l1 sign(W) + l2 W`, of shape (inputs, units); the l1 term is 0 at W = 0."""
    return l1 * np.sign(W) + l2 * W
