"""How far two computations of one network can differ: bounds that hold for every order of its sums.

A `Ball` is the result in float64 of an expression, and a radius: any computation of the expression in a dtype of unit
roundoff u stays within the radius, whatever the order of its sums, with or without fused multiply-adds. The radius
follows from the magnitudes of the terms. A sum of n products has at most n + 1 roundings on the way of each term, so
its error is at most `gamma(n + 1) sum|terms|` with `gamma(k) = k u / (1 - k u)` (Higham, Accuracy and Stability of
Numerical Algorithms, 2002, sections 3.1 and 4.2). To this the radii of the terms are added. Numbers below the smallest
normal number are flushed to 0, so each operation can lose that number, too.

An activation is computed as `g(z (1 + e1)) (1 + e2)` with |e1| and |e2| of at most `ROUNDINGS` u: its vector functions
are within 2 units of the last place (tests/kernels/micro), and each is followed by a few operations. An error r of z
becomes an error of at most `r max|g'|` of g(z), and `r max|g''|` of g'(z). Where g' jumps within r of z, the jump is
added, so no example is left out because it is near a kink.

Two results of one expression therefore differ by at most twice the radius. No tolerance was chosen by looking at
results.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from cases import Array

from fastmlp.architecture import Architecture, Layer
from fastmlp.losses import Loss
from fastmlp.reference import activations as formulas
from fastmlp.reference import losses as loss_formulas

ROUNDINGS = 16
"""Roundings of an elementwise function, in units of u: two functions of 4 u each, and 8 operations."""


class Arithmetic(NamedTuple):
    """The arithmetic of a dtype: the unit roundoff, and the smallest normal number."""

    u: float
    tiny: float

    @classmethod
    def of(cls, dtype: Any) -> Arithmetic:
        info = np.finfo(dtype)
        return cls(float(info.eps) / 2, float(info.tiny))

    def gamma(self, roundings: int) -> float:
        """Return the relative error of that many roundings one after the other."""
        return roundings * self.u / (1 - roundings * self.u)


class Ball:
    """Numbers and, for each, the largest error of any computation of it."""

    def __init__(self, value: Any, radius: Any, arithmetic: Arithmetic) -> None:
        self.value = np.asarray(value, np.float64)
        self.radius = np.broadcast_to(np.asarray(radius, np.float64), self.value.shape)
        self.arithmetic = arithmetic

    @property
    def size(self) -> Array:
        """The largest magnitude that a computation can find."""
        return np.abs(self.value) + self.radius

    @property
    def T(self) -> Ball:
        return Ball(self.value.T, self.radius.T, self.arithmetic)

    def _ball(self, other: Any) -> Ball:
        return other if isinstance(other, Ball) else Ball(other, 0.0, self.arithmetic)

    def rounded(self, roundings: int = 1) -> Ball:
        """Return the ball with the error of further roundings."""
        error = self.arithmetic.gamma(roundings) * self.size + roundings * self.arithmetic.tiny
        return Ball(self.value, self.radius + error, self.arithmetic)

    def __add__(self, other: Any) -> Ball:
        other = self._ball(other)
        return Ball(self.value + other.value, self.radius + other.radius, self.arithmetic).rounded()

    def __sub__(self, other: Any) -> Ball:
        other = self._ball(other)
        return Ball(self.value - other.value, self.radius + other.radius, self.arithmetic).rounded()

    def __mul__(self, other: Any) -> Ball:
        other = self._ball(other)
        radius = self.size * other.size - np.abs(self.value) * np.abs(other.value)
        return Ball(self.value * other.value, radius, self.arithmetic).rounded()

    def __matmul__(self, other: Any) -> Ball:
        other = self._ball(other)
        sizes, terms = self.size @ other.size, self.value.shape[-1]
        radius = sizes - np.abs(self.value) @ np.abs(other.value)
        error = self.arithmetic.gamma(terms + 1) * sizes + 2 * (terms + 1) * self.arithmetic.tiny
        return Ball(self.value @ other.value, radius + error, self.arithmetic)

    def sum(self, axis: int, keepdims: bool = False) -> Ball:
        """Return the sum along an axis, in any order."""
        terms = self.value.shape[axis]
        sizes = self.size.sum(axis=axis, keepdims=keepdims)
        radius = self.radius.sum(axis=axis, keepdims=keepdims)
        error = self.arithmetic.gamma(terms) * sizes + terms * self.arithmetic.tiny
        return Ball(self.value.sum(axis=axis, keepdims=keepdims), radius + error, self.arithmetic)


# Activations ----------------------------------------------------------------------------------------------------------


class Slopes(NamedTuple):
    """The largest |g'| and |g''| of an activation; where g' jumps, |g''| to both sides, and the largest jump."""

    first: float
    second: float
    jump: float = 0.0


def slopes_of(layer: Layer) -> Slopes:
    """Return the bounds of the derivatives of a layer's activation; `test_bounds.py` tests them."""
    name, numbers = layer.activation.formula, layer.activation.parameters
    if name == "elu":
        return Slopes(max(1.0, numbers[0]), numbers[0], abs(1 - numbers[0]))
    return SLOPES[name]


SELU_SLOPE = formulas.SELU_SCALE * formulas.SELU_ALPHA
SLOPES = {
    "linear": Slopes(1.0, 0.0),
    "relu": Slopes(1.0, 0.0, 1.0),
    "leaky_relu": Slopes(1.0, 0.0, 1.0),
    "relu6": Slopes(1.0, 0.0, 1.0),
    "selu": Slopes(SELU_SLOPE, SELU_SLOPE, SELU_SLOPE - formulas.SELU_SCALE),
    "softplus": Slopes(1.0, 0.25),
    "gelu": Slopes(1.13, 0.8),
    "gelu_tanh": Slopes(1.13, 0.85),
    "silu": Slopes(1.1, 0.5),
    "mish": Slopes(1.09, 0.65),
    "sigmoid": Slopes(0.25, 0.1),
    "hard_sigmoid": Slopes(1 / 6, 0.0, 1 / 6),
    "tanh": Slopes(1.0, 0.77),
}


def activated(layer: Layer, Z: Ball, cancels: bool = False) -> Ball:
    """Return g(Z). With `cancels`, g may also be computed as a difference of numbers up to the largest slope.

    ONNX Runtime computes elu as `alpha (e^z - 1)`, of which 1 takes all but the first digits of a small z.
    """
    arithmetic, activation = Z.arithmetic, layer.activation
    A = formulas.formula_of(activation).forward(Z.value, *activation.parameters)
    moved = Z.radius + arithmetic.gamma(ROUNDINGS) * Z.size  # how far the argument can be off
    if activation.name == "exponential":
        radius = A * np.expm1(moved)
    elif activation.name == "softmax":
        # The exponent of each term is off by `moved`, the largest z of the row that is subtracted, too. So numerator
        # and denominator are off by a factor of at most e^(2 moved) each, and the sum has a rounding for each unit.
        largest = 4 * moved.max(axis=1, keepdims=True)
        radius = A * np.expm1(largest + arithmetic.gamma(layer.units))
    else:
        radius = np.where(_is_flat(layer, Z.value, moved), 0.0, slopes_of(layer).first * moved)
        radius = radius + cancels * arithmetic.gamma(ROUNDINGS) * slopes_of(layer).first
    return Ball(A, radius, arithmetic).rounded(ROUNDINGS)


def _is_flat(layer: Layer, z: Array, moved: Array) -> Array:
    """Return where a piecewise linear g is constant from `z - moved` to `z + moved`."""
    formula = formulas.formula_of(layer.activation)
    if layer.activation.name not in ("relu", "relu6", "hard_sigmoid"):
        return np.zeros(z.shape, bool)
    low, high = (formula.backward(np.ones_like(z), end, end) for end in (z - moved, z + moved))
    crossed = [(z - moved < kink) & (kink < z + moved) for kink in formula.kinks]
    return (low == 0) & (high == 0) & ~np.any(crossed, axis=0)


def through_activation(layer: Layer, dA: Ball, Z: Ball, A: Ball) -> Ball:
    """Return `dA o g'(Z)`, with the Jacobian matrix of softmax."""
    if layer.activation.mixes_units:
        return A * (dA - (dA * A).sum(axis=1, keepdims=True))
    arithmetic, activation = Z.arithmetic, layer.activation
    formula = formulas.formula_of(activation)
    ones = np.ones_like(Z.value)
    derivative = formula.backward(ones, Z.value, A.value, *activation.parameters)
    if activation.name == "exponential":
        return dA * A
    slopes = slopes_of(layer)
    moved = Z.radius + arithmetic.gamma(ROUNDINGS) * Z.size
    at_kink = sum((np.abs(Z.value - kink) <= moved for kink in formula.kinks), np.zeros(Z.value.shape, bool))
    radius = slopes.second * moved + slopes.jump * at_kink + arithmetic.gamma(ROUNDINGS) * slopes.first
    return dA * Ball(derivative, radius, arithmetic).rounded()


# Losses ---------------------------------------------------------------------------------------------------------------

CLIPPED = ("binary_crossentropy", "categorical_crossentropy", "kl_divergence")
CLIPPED_BELOW = ("poisson", "half_poisson_deviance")
NOT_CONVEX = ("gamma", "tweedie", "gaussian_nll", "binary_focal_crossentropy")
"""The losses that are not convex in each output, whose slopes have no bound here."""


@contextmanager
def clipping_of(dtype: np.dtype[Any]) -> Iterator[float]:
    """Let the formulas in float64 clip outputs as a network of that dtype does. Yield the limit."""
    limit = 1e-7 if dtype == np.float32 else 1e-15
    limit = float(dtype.type(limit))
    with mock.patch.object(loss_formulas, "_epsilon", return_value=limit):
        yield limit


def loss_of(architecture: Architecture, Z: Ball, A: Ball, y: Array) -> tuple[Ball, Ball]:
    """Return the loss of each row (n,), and its derivative with respect to Z if the pair is exact, else to A.

    Every loss is convex in each output a, so its slope is monotone between the limits of clipping. Over an interval the
    slope is largest at one of its ends, or where the interval is cut by clipping. An error r of a therefore changes
    the loss by at most r times the largest slope. The loss itself has a rounding for each operation and each output.
    """
    loss, exact = architecture.loss, architecture.exact_pair
    arithmetic, outputs = Z.arithmetic, A.value.shape[1]
    with clipping_of(architecture.dtype) as limit:
        if exact:
            pair = loss_formulas.EXACT_PAIRS[(architecture.layers[-1].activation.name, loss.name)]
            value, argument = pair.value(Z.value, y, *loss.parameters), Z
            slope = _exact_slope(loss, A, y)
        else:
            formula = loss_formulas.formula_of(loss)
            value, argument = formula.value(A.value, y, *loss.parameters), A
            slope = _slope(loss, formula.gradient, A, y, limit)
        sizes = _sizes_of_terms(loss, exact, Z, A, y, limit).sum(axis=1)
    moved = (slope.size * argument.radius).sum(axis=1)
    error = arithmetic.gamma(ROUNDINGS + outputs) * sizes + (ROUNDINGS + outputs) * arithmetic.tiny
    return Ball(value, moved + error, arithmetic), slope


def _smoothed(loss: Loss, y: Array, arithmetic: Arithmetic) -> Ball:
    """Return the smoothed targets."""
    smoothing = getattr(loss, "label_smoothing", 0.0)
    classes = 2 if loss.name == "binary_crossentropy" else y.shape[1]
    return Ball(loss_formulas.smoothed(y, smoothing, classes), 0.0, arithmetic).rounded(3 if smoothing else 0)


def _exact_slope(loss: Loss, A: Ball, y: Array) -> Ball:
    """Return delta of an exact pair: `a - y`, `a sum(y) - y` for softmax, or the mean over the outputs."""
    targets = _smoothed(loss, y, A.arithmetic)
    if loss.targets == "classes":
        return A * targets.sum(axis=1, keepdims=True) - targets
    return (A - targets) * (1 / y.shape[1]) if loss.name == "poisson" else A - targets


def _slope(loss: Loss, gradient: Any, A: Ball, y: Array, limit: float) -> Ball:
    """Return dA: the formula, with the largest difference from it at the ends of the interval around A."""
    arithmetic = A.arithmetic
    moved = A.radius + arithmetic.gamma(ROUNDINGS) * (A.size + np.abs(_of_outputs(y, A)))
    moved = moved + arithmetic.gamma(ROUNDINGS) if getattr(loss, "label_smoothing", 0.0) else moved
    ends = [A.value - moved, A.value + moved]
    if loss.name in CLIPPED:
        inside = limit + np.finfo(np.float64).eps, 1 - limit - np.finfo(np.float64).eps
        ends += [np.clip(end, *inside) for end in ends]
    elif loss.name in CLIPPED_BELOW:
        ends += [np.maximum(end, limit) for end in ends]
    middle = gradient(A.value, y, *loss.parameters)
    found = [gradient(end, y, *loss.parameters) for end in ends]
    radius = np.max([np.abs(each - middle) for each in found], axis=0)
    return Ball(middle, radius, arithmetic).rounded(ROUNDINGS)


def _of_outputs(y: Array, A: Ball) -> Array:
    """Return the target of each output."""
    return np.repeat(y, A.value.shape[1] // y.shape[1], axis=1)


def _sizes_of_terms(loss: Loss, exact: bool, Z: Ball, A: Ball, y: Array, limit: float) -> Array:
    """Return for each output the sum of the magnitudes of the terms of the loss, (n, outputs)."""
    share = 1 / A.value.shape[1]
    a, y = A.size, np.abs(_of_outputs(y, A))
    entropy = y * np.abs(np.log(np.where(y > 0, y, 1)))
    if exact and loss.targets == "classes":
        logits = 2 * Z.size.max(axis=1, keepdims=True) + math.log(y.shape[1])
        return (y + 1) * (1 + logits) + entropy
    if exact and loss.name == "binary_crossentropy":
        return (1 + y) * (1 + Z.size)
    logarithm = Z.size if exact else np.abs(np.log(np.maximum(np.abs(A.value) - A.radius, limit)))
    logarithm = np.maximum(logarithm, np.log(np.maximum(a, 1)))
    below_one = -np.log(np.maximum(1 - np.minimum(a, 1), limit))
    return {
        "mean_squared_error": share * (a + y) ** 2,
        "half_squared_error": (a + y) ** 2,
        "mean_absolute_error": share * (a + y),
        "huber": share * (loss.parameters[0] if loss.parameters else 0) * (a + y + sum(loss.parameters)),
        "log_cosh": share * (2 + a + y),
        "hinge": share * (1 + a),
        "quantile": share * (a + y),
        "poisson": share * (a + y * (1 + logarithm)),
        "half_poisson_deviance": a + 2 * y * (1 + logarithm) + entropy,
        "binary_crossentropy": (1 + y) * (logarithm + below_one + 1),
        "categorical_crossentropy": (y + 1) * (1 + logarithm),
        "kl_divergence": (y + 1) * (1 + logarithm) + entropy,
    }[loss.name]


# Networks -------------------------------------------------------------------------------------------------------------


class Bounded(NamedTuple):
    """What a network computes without dropout, as balls: outputs, loss, and the gradient (dW, db) of each layer."""

    outputs: Ball
    loss: Ball
    gradients: list[tuple[Ball, Ball | None]]


def forward(network: Any, X: Array, cancels: bool = False) -> tuple[list[Ball], list[Ball]]:
    """Return A, which begins with X, and Z of all layers, of any computation in the dtype of the network."""
    architecture = network.architecture
    arithmetic = Arithmetic.of(architecture.dtype)
    A, Z = [Ball(X.astype(architecture.dtype), 0.0, arithmetic)], []
    for layer, (W, b) in zip(architecture.layers, network.get_weights(), strict=True):
        z = A[-1] @ Ball(W, 0.0, arithmetic)
        Z.append(z if b is None else z + b.astype(np.float64))
        A.append(activated(layer, Z[-1], cancels))
    return A, Z


def bounded(network: Any, X: Array, y: Array, sample_weight: Array | None = None) -> Bounded:
    """Return outputs, loss and gradients of a network on all rows together.

    The scale of a row, its weight over the sum of all, is computed in float64 and rounded to the dtype, then multiplied
    by the slope of the loss.
    """
    architecture = network.architecture
    arithmetic, layers = Arithmetic.of(architecture.dtype), architecture.layers
    rows = len(X)
    y = targets_of(architecture, y)
    weights = np.ones(rows) if sample_weight is None else np.asarray(sample_weight, np.float64)
    share = weights / (weights.sum() or 1.0)
    A, Z = forward(network, X)
    losses, slope = loss_of(architecture, Z[-1], A[-1], y)
    float64 = Arithmetic.of(np.float64)
    data = float((losses.value * share).sum())
    error = float((losses.radius * share).sum()) + float64.gamma(rows + 8) * float((losses.size * share).sum())

    scaled = slope * Ball(share[:, np.newaxis], 0.0, arithmetic).rounded(2)
    delta = scaled if architecture.exact_pair else through_activation(layers[-1], scaled, Z[-1], A[-1])
    gradients: list[tuple[Ball, Ball | None]] = []
    penalty, penalty_size = 0.0, 0.0
    for l in reversed(range(len(layers))):
        W, b = network.get_weights()[l]
        W, layer = W.astype(np.float64), layers[l]
        dW, db = A[l].T @ delta, None if b is None else delta.sum(axis=0)
        if layer.l1 or layer.l2:
            dW = dW + Ball(layer.l1 * np.sign(W), 0.0, arithmetic).rounded(2)
            dW = dW + Ball(layer.l2 * W, 0.0, arithmetic).rounded(2)
            penalty += layer.l1 * float(np.abs(W).sum()) + layer.l2 / 2 * float((W**2).sum())
            penalty_size += arithmetic.gamma(W.size + 4) * (
                layer.l1 * float(np.abs(W).sum()) + layer.l2 / 2 * float((W**2).sum())
            )
        gradients.insert(0, (dW, db))
        if l:
            delta = through_activation(layers[l - 1], delta @ W.T, Z[l - 1], A[l])
    loss = Ball(data + penalty, error + penalty_size, float64).rounded(4)
    return Bounded(A[-1], loss, gradients)


def targets_of(architecture: Architecture, y: Array) -> Array:
    """Return y as rows of float64, as the network rounds them."""
    if architecture.loss.targets == "classes" and y.ndim == 1:
        return np.eye(architecture.outputs)[y]
    return y.reshape(-1, architecture.target_columns).astype(architecture.dtype).astype(np.float64)


# Comparisons ----------------------------------------------------------------------------------------------------------


def assert_within(got: Any, expected: Any, ball: Ball, what: str = "") -> None:
    """Check that two computations of one expression differ by at most twice the radius of its ball."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    assert got.shape == expected.shape == ball.value.shape, (what, got.shape, expected.shape, ball.value.shape)
    excess = np.abs(got - expected) - 2 * ball.radius
    assert (excess <= 0).all(), f"{what}: {got} and {expected} differ by more than {2 * ball.radius}"


def assert_equal_gradients(got: Any, expected: Any, bounds: Bounded) -> None:
    """Check two results of `loss_and_gradients`."""
    assert_within(got[0], expected[0], bounds.loss, "loss")
    for l, (first, second, balls) in enumerate(zip(got[1], expected[1], bounds.gradients, strict=True)):
        for name, one, other, ball in zip("Wb", first, second, balls, strict=True):
            assert (one is None) == (other is None) == (ball is None)
            if one is not None:
                assert_within(one, other, ball, f"d{name}[{l}]")
