"""The activations as block functions: g in place over a panel of Z, and delta times g'.

An activation that works on each number alone is two scalar functions, g(z) and g'(a) of its own output a, or one of
both g(z) and g'(z) where g' does not follow from a; one that mixes the units of a row is two kernels over a block of
rows. linear and relu have none: a threshold in the product's last instruction is all they need (measured at 30-16-8-2,
batch 32: 0.3 of 2.0 microseconds).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import Kernel, arguments_of, inline, kernel, scalar
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.micro.functions import (
    exp,
    expm1,
    log1p_to_1,
    mills_ratio,
    sigmoid,
    small_exp,
    tanh,
)
from fastmlp.kernels.micro.lanes import (
    divide_units,
    dot_over_units,
    jacobian_of_softmax,
    lanes_from_panels,
    max_over_units,
    panels_from_lanes,
    subtract_from_units,
    sum_over_units,
)
from fastmlp.kernels.vocabulary.arithmetic import (
    at_least,
    at_most,
    constant,
    fma,
    half,
    one,
    two,
    zero,
)
from fastmlp.kernels.vocabulary.loops import each
from fastmlp.kernels.vocabulary.simd import first_numbers, offset


@dataclass(frozen=True)
class ActivationKernels:
    """How a layer computes its activation.

    Parameters
    ----------
    threshold : float
        z is replaced by it where z is less: 0 for relu, minus infinity where nothing is to be replaced.
    forward, derivative : Kernel or None
        g over Z in place, and delta *= g'; None where the threshold is all.
    keeping : Kernel or None
        g over Z in place that also writes g'(Z) to where `derivative` finds it; None where g' follows from g(Z).
    """

    threshold: float = -math.inf
    forward: Kernel | None = None
    derivative: Kernel | None = None
    keeping: Kernel | None = None


def elementwise(name: str, g: Any, derivative: Any) -> ActivationKernels:
    """The kernels of two compiled scalar functions, g(z) and the derivative as a function of a = g(z).

    Where they take one number more, it is the activation's parameter.
    """
    numbers = first_numbers(arguments_of(g) - 1)

    @scalar
    def apply(i: int, a: Reals, own: tuple[float, ...]) -> None:
        a[i] = g(a[i], *own)

    @scalar
    def apply_derivative(i: int, delta: Reals, a: Reals, own: tuple[float, ...]) -> None:
        delta[i] *= derivative(a[i], *own)

    @kernel(name)
    def forward(a: Reals, slopes: Reals, count: int, parameters: Floats) -> None:
        each(count, apply, (a, numbers(parameters, a)))

    @kernel(f"{name} derivative")
    def backward(delta: Reals, a: Reals, count: int, parameters: Floats) -> None:
        each(count, apply_derivative, (delta, a, numbers(parameters, a)))

    return ActivationKernels(forward=forward, derivative=backward)


def with_slope(name: str, both: Any, cached: bool = True) -> ActivationKernels:
    """The kernels of one compiled scalar function of z that returns g(z) and g'(z), which share their exponential.

    Kept, g' costs a multiplication on the way back; found from a kept Z it would cost all of `both` again.
    """

    @scalar
    def apply(i: int, a: Reals) -> None:
        a[i] = both(a[i])[0]

    @scalar
    def apply_keeping(i: int, a: Reals, slopes: Reals) -> None:
        a[i], slopes[i] = both(a[i])

    @kernel(name, cached=cached)
    def forward(a: Reals, slopes: Reals, count: int, parameters: Floats) -> None:
        each(count, apply, (a,))

    @kernel(f"{name} with its slope", cached=cached)
    def keeping(a: Reals, slopes: Reals, count: int, parameters: Floats) -> None:
        each(count, apply_keeping, (a, slopes))

    return ActivationKernels(forward=forward, derivative=times_slope, keeping=keeping)


@kernel()
def times_slope(delta: Reals, slopes: Reals, count: int, parameters: Floats) -> None:
    """`delta *= g'` where the slopes were kept."""
    for i in range(count):
        delta[i] *= slopes[i]


# Of z alone ----------------------------------------------------------------------------------------------------------

_three, _four, _six, _twenty = (constant(value) for value in (3.0, 4.0, 6.0, 20.0))
_SIXTH = constant(1.0 / 6.0)
_SELU_SCALE, _SELU_FALL = constant(1.0507009873554805), constant(1.0507009873554805 * 1.6732632423543772)
_DENSITY_AT_0 = constant(1.0 / math.sqrt(2.0 * math.pi))
_DENSITY_MOST = constant(14.5, 39.0)
_GELU_OUTER, _GELU_CUBE, _GELU_MOST = constant(math.sqrt(8.0 / math.pi)), constant(0.044715), constant(22.0)


@scalar
def leaky_relu(z: float, slope: float) -> float:
    """`z`, below 0 `slope z`."""
    return slope * z if z < zero(z) else z


@scalar
def leaky_relu_derivative(a: float, slope: float) -> float:
    """1, or the slope where a is not above 0."""
    return one(a) if a > zero(a) else slope


@scalar
def relu6(z: float) -> float:
    """`min(max(z, 0), 6)`."""
    return at_most(at_least(z, zero(z)), _six(z))


@scalar
def relu6_derivative(a: float) -> float:
    """1 between 0 and 6, else 0."""
    return one(a) if zero(a) < a < _six(a) else zero(a)


@scalar
def elu(z: float, alpha: float) -> float:
    """`z`, below 0 `alpha (e^z - 1)`."""
    below = alpha * expm1(at_most(z, zero(z)))
    return below if z < zero(z) else z


@scalar
def elu_derivative(a: float, alpha: float) -> float:
    """1, or `a + alpha` where a is not above 0."""
    return one(a) if a > zero(a) else a + alpha


@scalar
def selu(z: float) -> float:
    """`scale z`, below 0 `scale alpha (e^z - 1)`."""
    below = _SELU_FALL(z) * expm1(at_most(z, zero(z)))
    return below if z < zero(z) else _SELU_SCALE(z) * z


@scalar
def selu_derivative(a: float) -> float:
    """`scale`, or `a + scale alpha` where a is not above 0."""
    return _SELU_SCALE(a) if a > zero(a) else a + _SELU_FALL(a)


@scalar
def softplus(z: float) -> float:
    """`max(z, 0) + log(1 + e^-|z|)`."""
    return at_least(z, zero(z)) + log1p_to_1(small_exp(-abs(z)))


@scalar
def softplus_derivative(a: float) -> float:
    """`1 - e^-a`."""
    return -expm1(-a)


@scalar
def exponential_derivative(a: float) -> float:
    """The derivative of e^z is a."""
    return a


@scalar
def sigmoid_derivative(a: float) -> float:
    """`a (1 - a)`."""
    return a * (one(a) - a)


@scalar
def hard_sigmoid(z: float) -> float:
    """`min(max(z + 3, 0), 6) / 6`."""
    return relu6(z + _three(z)) * _SIXTH(z)


@scalar
def hard_sigmoid_derivative(a: float) -> float:
    """1 / 6 between 0 and 1, else 0."""
    return _SIXTH(a) if zero(a) < a < one(a) else zero(a)


@scalar
def tanh_derivative(a: float) -> float:
    """`1 - a^2`."""
    return fma(-a, a, one(a))


# With their slope ----------------------------------------------------------------------------------------------------


@scalar
def gelu(z: float) -> tuple[float, float]:
    """`z Phi(z)` and `Phi(z) + z phi(z)`, of the standard normal: Phi(-|z|) is phi times Mills' ratio.

    So one exponential serves both, and small values below 0 keep their digits. From where the density is 0 in either
    dtype, |z| goes no further.
    """
    t = at_most(abs(z), _DENSITY_MOST(z))
    density = _DENSITY_AT_0(z) * small_exp(-half(z) * t * t)
    tail = density * mills_ratio(t)
    share = tail if z < zero(z) else one(z) - tail
    return z * share, fma(z, density, share)


@scalar
def gelu_tanh(z: float) -> tuple[float, float]:
    """`z (1 + tanh(u / 2)) / 2 = z sigmoid(u)`, `u = 2 c (z + d z^3)`, and its slope; beyond 22 all is 0 or 1."""
    near = at_most(abs(z), _GELU_MOST(z))
    cube = _GELU_CUBE(z) * near * near
    s, rest = shares(small_exp(-_GELU_OUTER(z) * fma(cube, near, near)), z)
    inner = _GELU_OUTER(z) * fma(_three(z), cube, one(z))
    return z * s, fma(z * s * rest, inner, s)


@scalar
def silu(z: float) -> tuple[float, float]:
    """`z s` and `s + z s (1 - s)` with `s = sigmoid(z)`."""
    s, rest = shares(small_exp(-abs(z)), z)
    return z * s, fma(z * s, rest, s)


@scalar
def shares(e: float, z: float) -> tuple[float, float]:
    """`s = 1 / (1 + e)` and `1 - s`, both with all their digits; the other way round where z is below 0."""
    larger = one(z) / (one(z) + e)
    smaller = e * larger
    return (smaller, larger) if z < zero(z) else (larger, smaller)


@scalar
def mish(z: float) -> tuple[float, float]:
    """`z t` and `t + z (1 - t^2) sigmoid(z)`, `t = tanh(log(1 + e^z))`.

    With `n = e^z` and `w = n (n + 2)`: `t = w / (w + 2)`, `(1 - t^2) sigmoid(z) = 4 n (n + 1) / (w + 2)^2`. Beyond 20
    t is 1 in either dtype.
    """
    near = at_most(z, _twenty(z))
    n = small_exp(near)
    w = n * (n + two(z))
    inverse = one(z) / (w + two(z))
    t = w * inverse
    return z * t, fma(_four(z) * near * n, (n + one(z)) * inverse * inverse, t)


# Of all units of a row -----------------------------------------------------------------------------------------------


@kernel()
def softmax(a: Reals, rows: int, units: int, stride: int, scratch: Reals) -> None:
    """`a[r, :] = e^z[r, :] / sum(e^z[r, :])`, 16 rows at a time, a row in each lane."""
    top, total = scratch, offset(scratch, PANEL)
    z = offset(scratch, 2 * PANEL)
    for first in range(0, rows, PANEL):
        lanes_from_panels(z, offset(a, first * PANEL), units, stride)
        subtract_largest(z, top, units)
        normalised_exponentials(z, total, units)
        panels_from_lanes(offset(a, first * PANEL), z, units, stride)


@kernel()
def softmax_derivative(delta: Reals, a: Reals, rows: int, units: int, stride: int, scratch: Reals) -> None:
    """`delta[r, i] = a[r, i] (delta[r, i] - sum over j of delta[r, j] a[r, j])`: the product with the full Jacobian."""
    total = scratch
    p = offset(scratch, PANEL)
    d = offset(p, (units + PANEL) * PANEL)
    for first in range(0, rows, PANEL):
        lanes_from_panels(p, offset(a, first * PANEL), units, stride)
        lanes_from_panels(d, offset(delta, first * PANEL), units, stride)
        dot_over_units(total, d, p, units)
        jacobian_of_softmax(d, p, total, units)
        panels_from_lanes(offset(delta, first * PANEL), d, units, stride)


@inline
def subtract_largest(z: Reals, top: Reals, units: int) -> None:
    """Subtract from z[unit, lane] the largest over the units, which is left in `top`."""
    max_over_units(top, z, units)
    subtract_from_units(z, top, units)


@inline
def normalised_exponentials(z: Reals, total: Reals, units: int) -> None:
    """Replace z[unit, lane] by e^z over its sum over the units, which is left in `total`."""
    for i in range(units * PANEL):
        z[i] = exp(z[i])
    sum_over_units(total, z, units)
    divide_units(z, total, units)


ACTIVATIONS: dict[str, ActivationKernels] = {
    "linear": ActivationKernels(),
    "relu": ActivationKernels(threshold=0.0),
    "leaky_relu": elementwise("leaky_relu", leaky_relu, leaky_relu_derivative),
    "relu6": elementwise("relu6", relu6, relu6_derivative),
    "elu": elementwise("elu", elu, elu_derivative),
    "selu": elementwise("selu", selu, selu_derivative),
    "softplus": elementwise("softplus", softplus, softplus_derivative),
    "exponential": elementwise("exponential", exp, exponential_derivative),
    "gelu": with_slope("gelu", gelu),
    "gelu_tanh": with_slope("gelu_tanh", gelu_tanh),
    "silu": with_slope("silu", silu),
    "mish": with_slope("mish", mish),
    "sigmoid": elementwise("sigmoid", sigmoid, sigmoid_derivative),
    "hard_sigmoid": elementwise("hard_sigmoid", hard_sigmoid, hard_sigmoid_derivative),
    "tanh": elementwise("tanh", tanh, tanh_derivative),
    "softmax": ActivationKernels(forward=softmax, derivative=softmax_derivative),
}
