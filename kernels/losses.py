"""The losses as block functions: the loss of each row, and delta for the last layer.

Each takes 16 rows at a time, turned so that a lane is a row. An exact pair reads Z and gives dJ/dZ; any other loss
reads A = g(Z) and gives dJ/dA, which the activation's derivative then turns into delta.

Formulas: section "Losses" of `fastmlp.reference.formulas`.
"""

from __future__ import annotations

from typing import Any

from fastmlp.kernels._jit import Floats, Kernel, Reals, inline, kernel
from fastmlp.kernels.activations import lanes_from_panels, panels_from_lanes, softmax_of_lanes
from fastmlp.kernels.functions import constant, exp, log, log1p, one, sigmoid, two, zero
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.simd import shift

SCRATCH_LANES = 3  # how many rows of 16 lanes the losses and softmax use beside two blocks of units

epsilon = constant(1e-7, 1e-15)  # how far unpaired cross-entropies keep a from 0 and 1


def by_element(value: Any, gradient: Any, mean: bool, name: str) -> Kernel:
    """The kernel of two compiled scalar functions of (a, y), summed, or for `mean` averaged, over the outputs."""

    def loss(
        delta: Reals,
        a: Reals,
        y: Reals,
        weights: Reals,
        losses: Floats,
        rows: int,
        units: int,
        stride: int,
        scale: float,
        scratch: Reals,
        parameters: Floats,
    ) -> None:
        share = 1.0 / units if mean else 1.0
        total = scratch
        factor = shift(scratch, PANEL)
        p = shift(scratch, SCRATCH_LANES * PANEL)
        t = shift(p, (units + PANEL) * PANEL)
        for first in range(0, rows, PANEL):
            lanes_from_panels(p, shift(a, first * PANEL), units, stride)
            lanes_from_panels(t, shift(y, first * PANEL), units, stride)
            for lane in range(PANEL):
                total[lane] = 0.0
                factor[lane] = weights[first + lane] * (scale * share)
            for i in range(0, units * PANEL, PANEL):
                for lane in range(PANEL):
                    total[lane] += value(p[i + lane], t[i + lane])
                    t[i + lane] = gradient(p[i + lane], t[i + lane]) * factor[lane]
            panels_from_lanes(shift(delta, first * PANEL), t, units, stride)
            for lane in range(PANEL):
                losses[first + lane] = total[lane] * share * weights[first + lane]

    return Kernel(loss, name)


@inline
def squared_error(a: float, y: float) -> float:
    """`(a - y)^2`."""
    return (a - y) * (a - y)


@inline
def squared_error_gradient(a: float, y: float) -> float:
    """`2 (a - y)`."""
    return two(a) * (a - y)


@inline
def logistic_loss(z: float, y: float) -> float:
    """Binary cross-entropy of sigmoid(z): `max(z, 0) - z y + log(1 + e^-|z|)`."""
    return (z if not z < zero(z) else zero(z)) - z * y + log1p(exp(-abs(z)))


@inline
def logistic_loss_gradient(z: float, y: float) -> float:
    """`sigmoid(z) - y`."""
    return sigmoid(z) - y


@inline
def clipped(a: float) -> float:
    """a, kept inside of (0, 1) by epsilon."""
    a = a if not a < epsilon(a) else epsilon(a)
    return a if not a > one(a) - epsilon(a) else one(a) - epsilon(a)


@inline
def binary_crossentropy(a: float, y: float) -> float:
    """`-y log a - (1 - y) log(1 - a)`."""
    p = clipped(a)
    return -(y * log(p) + (one(a) - y) * log(one(a) - p))


@inline
def binary_crossentropy_gradient(a: float, y: float) -> float:
    """`(a - y) / (a (1 - a))`, 0 where a was clipped."""
    p = clipped(a)
    return (p - y) / (p * (one(a) - p)) if p == a else zero(a) * a


@inline
def categorical_crossentropy(a: float, y: float) -> float:
    """`-y log a`."""
    return -(y * log(clipped(a)))


@inline
def categorical_crossentropy_gradient(a: float, y: float) -> float:
    """`-y / a`, 0 where a was clipped."""
    return -y / clipped(a) if clipped(a) == a else zero(a) * a


@kernel
def softmax_crossentropy(
    delta: Reals,
    z: Reals,
    y: Reals,
    weights: Reals,
    losses: Floats,
    rows: int,
    units: int,
    stride: int,
    scale: float,
    scratch: Reals,
    parameters: Floats,
) -> None:
    """Softmax and categorical cross-entropy from Z: `-sum y log p` and `w (p sum(y) - y) / sum(w)`."""
    top = scratch
    total = shift(scratch, PANEL)
    mass = shift(scratch, 2 * PANEL)
    p = shift(scratch, SCRATCH_LANES * PANEL)
    t = shift(p, (units + PANEL) * PANEL)
    for first in range(0, rows, PANEL):
        lanes_from_panels(p, shift(z, first * PANEL), units, stride)
        lanes_from_panels(t, shift(y, first * PANEL), units, stride)
        for lane in range(PANEL):
            mass[lane] = 0.0
            losses[first + lane] = 0.0
        for i in range(0, units * PANEL, PANEL):
            for lane in range(PANEL):
                mass[lane] += t[i + lane]
                losses[first + lane] -= t[i + lane] * p[i + lane]
        softmax_of_lanes(p, top, total, units)
        for lane in range(PANEL):
            value = losses[first + lane] + mass[lane] * (top[lane] + log(total[lane]))
            losses[first + lane] = value * weights[first + lane]
            total[lane] = weights[first + lane] * scale
        for i in range(0, units * PANEL, PANEL):
            for lane in range(PANEL):
                t[i + lane] = (p[i + lane] * mass[lane] - t[i + lane]) * total[lane]
        panels_from_lanes(shift(delta, first * PANEL), t, units, stride)


@inline
def nothing(a: float, y: float) -> float:
    """No loss."""
    return zero(a)


@inline
def chosen(a: float, y: float) -> float:
    """Y itself."""
    return y


# In place of a loss: dJ/dA = y, with which the rows region turns a choice of outputs y into their gradient.
output_seed = by_element(nothing, chosen, False, "output_seed")

# What each loss is computed by: from A, or with its partner activation from Z.
LOSSES: dict[str, Kernel] = {
    "mean_squared_error": by_element(squared_error, squared_error_gradient, True, "mean_squared_error"),
    "binary_crossentropy": by_element(binary_crossentropy, binary_crossentropy_gradient, False, "binary_crossentropy"),
    "categorical_crossentropy": by_element(
        categorical_crossentropy, categorical_crossentropy_gradient, False, "categorical_crossentropy"
    ),
}
EXACT_PAIRS: dict[str, Kernel] = {
    "binary_crossentropy": by_element(logistic_loss, logistic_loss_gradient, False, "logistic_loss"),
    "categorical_crossentropy": softmax_crossentropy,
}
