"""The activations as block functions: g in place over a panel of Z, and delta times g'.

An activation that works on each number alone is two scalar functions, g(z) and g'(a) of its own output a; one that
mixes the units of a row is two kernels over a block of rows. linear and relu have none: a threshold in the product's
last instruction is all they need (measured at 30-16-8-2, batch 32: 0.3 of 2.0 microseconds).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmlp.kernels import functions
from fastmlp.kernels._jit import Floats, Kernel, Reals, inline, kernel
from fastmlp.kernels.functions import exp, one
from fastmlp.kernels.lanes import (
    divide_units,
    dot_over_units,
    jacobian_of_softmax,
    lanes_from_panels,
    max_over_units,
    panels_from_lanes,
    subtract_from_units,
    sum_over_units,
)
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.simd import shift


@dataclass(frozen=True)
class ActivationKernels:
    """How a layer computes its activation.

    Parameters
    ----------
    threshold : float
        z is replaced by it where z is less: 0 for relu, minus infinity where nothing is to be replaced.
    forward, derivative : Kernel or None
        g over Z in place, and delta *= g'; None where the threshold is all.
    """

    threshold: float = -math.inf
    forward: Kernel | None = None
    derivative: Kernel | None = None


def elementwise(g: Any, derivative: Any) -> ActivationKernels:
    """The kernels of two compiled scalar functions, g(z) and the derivative as a function of a = g(z)."""
    name = g.__name__

    @kernel(name)
    def forward(a: Reals, count: int, parameters: Floats) -> None:
        for i in range(count):
            a[i] = g(a[i])

    @kernel(f"{name} derivative")
    def backward(delta: Reals, a: Reals, count: int, parameters: Floats) -> None:
        for i in range(count):
            delta[i] *= derivative(a[i])

    return ActivationKernels(forward=forward, derivative=backward)


@inline
def sigmoid_derivative(a: float) -> float:
    """`a (1 - a)`."""
    return a * (one(a) - a)


@inline
def tanh_derivative(a: float) -> float:
    """`1 - a^2`."""
    return functions.fma(-a, a, one(a))


@kernel()
def softmax(a: Reals, rows: int, units: int, stride: int, scratch: Reals) -> None:
    """`a[r, :] = e^z[r, :] / sum(e^z[r, :])`, 16 rows at a time, a row in each lane."""
    top, total = scratch, shift(scratch, PANEL)
    z = shift(scratch, 2 * PANEL)
    for first in range(0, rows, PANEL):
        lanes_from_panels(z, shift(a, first * PANEL), units, stride)
        softmax_of_lanes(z, top, total, units)
        panels_from_lanes(shift(a, first * PANEL), z, units, stride)


@kernel()
def softmax_derivative(delta: Reals, a: Reals, rows: int, units: int, stride: int, scratch: Reals) -> None:
    """`delta[r, i] = a[r, i] (delta[r, i] - sum over j of delta[r, j] a[r, j])`: the product with the full Jacobian."""
    total = scratch
    p = shift(scratch, PANEL)
    d = shift(p, (units + PANEL) * PANEL)
    for first in range(0, rows, PANEL):
        lanes_from_panels(p, shift(a, first * PANEL), units, stride)
        lanes_from_panels(d, shift(delta, first * PANEL), units, stride)
        dot_over_units(total, d, p, units)
        jacobian_of_softmax(d, p, total, units)
        panels_from_lanes(shift(delta, first * PANEL), d, units, stride)


@inline
def softmax_of_lanes(z: Reals, top: Reals, total: Reals, units: int) -> None:
    """Replace z[unit, lane] by the softmax over units; `top` is left the largest z, `total` the sum of e^(z - top)."""
    max_over_units(top, z, units)
    subtract_from_units(z, top, units)
    for i in range(units * PANEL):
        z[i] = exp(z[i])
    sum_over_units(total, z, units)
    divide_units(z, total, units)


ACTIVATIONS: dict[str, ActivationKernels] = {
    "linear": ActivationKernels(),
    "relu": ActivationKernels(threshold=0.0),
    "sigmoid": elementwise(functions.sigmoid, sigmoid_derivative),
    "tanh": elementwise(functions.tanh, tanh_derivative),
    "softmax": ActivationKernels(forward=softmax, derivative=softmax_derivative),
}
