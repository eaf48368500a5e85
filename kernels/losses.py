"""The losses as block functions: the loss of each row, and delta for the last layer.

Each takes 16 rows at a time, turned so that a lane is a row. An exact pair reads Z and gives dJ/dZ; any other loss
reads A = g(Z) and gives dJ/dA, which the activation's derivative then turns into delta.

Formulas: section "Losses" of `fastmlp.reference.formulas`.
"""

from __future__ import annotations

from typing import Any

from fastmlp.kernels._jit import Floats, Kernel, Reals, inline, kernel
from fastmlp.kernels.activations import softmax_of_lanes
from fastmlp.kernels.functions import constant, exp, log, log1p, one, sigmoid, two, zero
from fastmlp.kernels.lanes import (
    dot_over_units,
    lanes_from_panels,
    panels_from_lanes,
    scale_units,
    sum_over_units,
    weighted_difference,
)
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.simd import shift

# What the losses need of scratch: some rows of 16 lanes, and up to three matrices of lanes.
SCRATCH_LANES = 4
SCRATCH_MATRICES = 3

epsilon = constant(1e-7, 1e-15)  # how far unpaired cross-entropies keep a from 0 and 1


def by_element(value: Any, gradient: Any, mean: bool, name: str) -> Kernel:
    """The kernel of two compiled scalar functions of (a, y), summed, or for `mean` averaged, over the outputs."""

    @kernel(name)
    def loss(
        delta: Reals,
        a: Reals,
        y: Reals,
        weights: Floats,
        losses: Floats,
        rows: int,
        units: int,
        stride: int,
        scale: float,
        scratch: Reals,
        parameters: Floats,
    ) -> None:
        share = 1.0 / units if mean else 1.0
        total, factor = scratch, shift(scratch, PANEL)
        room = (units + PANEL) * PANEL
        p = shift(scratch, SCRATCH_LANES * PANEL)
        t, values = shift(p, room), shift(p, 2 * room)
        for first in range(0, rows, PANEL):
            lanes_from_panels(p, shift(a, first * PANEL), units, stride)
            lanes_from_panels(t, shift(y, first * PANEL), units, stride)
            for i in range(units * PANEL):
                values[i] = value(p[i], t[i])
            for i in range(units * PANEL):
                t[i] = gradient(p[i], t[i])
            sum_over_units(total, values, units)
            for lane in range(PANEL):
                factor[lane] = weights[first + lane] * (scale * share)
                losses[first + lane] = total[lane] * share * weights[first + lane]
            scale_units(t, factor, units)
            panels_from_lanes(shift(delta, first * PANEL), t, units, stride)

    return loss


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


@kernel()
def softmax_crossentropy(
    delta: Reals,
    z: Reals,
    y: Reals,
    weights: Floats,
    losses: Floats,
    rows: int,
    units: int,
    stride: int,
    scale: float,
    scratch: Reals,
    parameters: Floats,
) -> None:
    """Softmax and categorical cross-entropy from Z: `-sum y log p` and `w (p sum(y) - y) / sum(w)`."""
    top, total, mass, dot = scratch, shift(scratch, PANEL), shift(scratch, 2 * PANEL), shift(scratch, 3 * PANEL)
    p = shift(scratch, SCRATCH_LANES * PANEL)
    t = shift(p, (units + PANEL) * PANEL)
    for first in range(0, rows, PANEL):
        lanes_from_panels(p, shift(z, first * PANEL), units, stride)
        lanes_from_panels(t, shift(y, first * PANEL), units, stride)
        sum_over_units(mass, t, units)
        dot_over_units(dot, t, p, units)
        softmax_of_lanes(p, top, total, units)
        for lane in range(PANEL):
            value = mass[lane] * (top[lane] + log(total[lane])) - dot[lane]
            losses[first + lane] = value * weights[first + lane]
            total[lane] = weights[first + lane] * scale
        weighted_difference(t, p, mass, total, units)
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
