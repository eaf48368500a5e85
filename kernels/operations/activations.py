"""The activations as kernels: g in place over a panel of Z, and `delta *= g'`.

There are three kinds:

- An elementwise activation whose derivative follows from its output a = g(z) is two scalar functions, g(z) and g'(a)
  (`elementwise`).
- Another elementwise activation is one scalar function that returns both g(z) and g'(z) (`with_derivative`).
- An activation that mixes the units of a row, such as softmax, is two kernels over a block of rows.

linear and relu have no kernels. They are a threshold in the last instruction of the product, which saves 0.3 of 2.0 us
at 30-16-8-2, batch 32.

Formulas: `fastmlp.reference.activations`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import Kernel, inline, kernel, parameter_count, scalar
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
    constant,
    fma,
    half,
    maximum,
    minimum,
    one,
    two,
    zero,
)
from fastmlp.kernels.vocabulary.loops import interleaved_loop
from fastmlp.kernels.vocabulary.pointers import offset, parameter_tuple


@dataclass(frozen=True)
class ActivationKernels:
    """How a layer computes its activation.

    Parameters
    ----------
    threshold : float
        The product replaces z by the threshold where z is less: 0 for relu, minus infinity for any other activation.
    forward : Kernel or None
        g over Z, in place; None if the threshold is the whole activation.
    derivative : Kernel or None
        `delta *= g'`, from g(Z) or from the saved g'(Z); None if the threshold is the whole activation.
    forward_saving : Kernel or None
        g over Z, in place, which also saves g'(Z) for `derivative`; None if g' follows from g(Z).
    """

    threshold: float = -math.inf
    forward: Kernel | None = None
    derivative: Kernel | None = None
    forward_saving: Kernel | None = None


def elementwise(name: str, g: Any, derivative: Any) -> ActivationKernels:
    """Make the kernels of two scalar functions, g(z) and the derivative as a function of a = g(z).

    If the functions take a second argument, it is the activation's parameter.
    """
    first_parameters = parameter_tuple(parameter_count(g) - 1)

    @scalar
    def apply(i: int, a: Reals, values: tuple[float, ...]) -> None:
        a[i] = g(a[i], *values)

    @scalar
    def apply_derivative(i: int, delta: Reals, a: Reals, values: tuple[float, ...]) -> None:
        delta[i] *= derivative(a[i], *values)

    @kernel(name)
    def forward(a: Reals, derivatives: Reals, count: int, parameters: Floats) -> None:
        interleaved_loop(count, apply, (a, first_parameters(parameters, a)))

    @kernel(f"{name} derivative")
    def backward(delta: Reals, a: Reals, count: int, parameters: Floats) -> None:
        interleaved_loop(count, apply_derivative, (delta, a, first_parameters(parameters, a)))

    return ActivationKernels(forward=forward, derivative=backward)


def with_derivative(name: str, g: Any, cached: bool = True) -> ActivationKernels:
    """Make the kernels of one scalar function of z that returns g(z) and g'(z), which share their exponential.

    The forward pass saves g'(z), so the backward pass costs one multiplication. To compute g' from a saved z would cost
    as much as the forward pass.
    """

    @scalar
    def apply(i: int, a: Reals) -> None:
        a[i] = g(a[i])[0]

    @scalar
    def apply_saving(i: int, a: Reals, derivatives: Reals) -> None:
        a[i], derivatives[i] = g(a[i])

    @kernel(name, cached=cached)
    def forward(a: Reals, derivatives: Reals, count: int, parameters: Floats) -> None:
        interleaved_loop(count, apply, (a,))

    @kernel(f"{name} saving its derivative", cached=cached)
    def forward_saving(a: Reals, derivatives: Reals, count: int, parameters: Floats) -> None:
        interleaved_loop(count, apply_saving, (a, derivatives))

    return ActivationKernels(forward=forward, derivative=times_derivatives, forward_saving=forward_saving)


@kernel()
def times_derivatives(delta: Reals, derivatives: Reals, count: int, parameters: Floats) -> None:
    """Compute `delta *= g'` from the derivatives that the forward pass saved."""
    for i in range(count):
        delta[i] *= derivatives[i]


# Elementwise, with a derivative that follows from the output ----------------------------------------------------------

_three, _four, _six, _twenty = (constant(value) for value in (3.0, 4.0, 6.0, 20.0))
_SIXTH = constant(1.0 / 6.0)
_SELU_SCALE, _SELU_SCALE_ALPHA = constant(1.0507009873554805), constant(1.0507009873554805 * 1.6732632423543772)
_DENSITY_AT_0 = constant(1.0 / math.sqrt(2.0 * math.pi))
_DENSITY_CUTOFF = constant(14.5, 39.0)
_GELU_OUTER, _GELU_CUBE, _GELU_CUTOFF = constant(math.sqrt(8.0 / math.pi)), constant(0.044715), constant(22.0)


@scalar
def leaky_relu(z: float, slope: float) -> float:
    """Return z; below 0, `slope z`."""
    return slope * z if z < zero(z) else z


@scalar
def leaky_relu_derivative(a: float, slope: float) -> float:
    """Return 1; where a is not above 0, the slope."""
    return one(a) if a > zero(a) else slope


@scalar
def relu6(z: float) -> float:
    """Return `min(max(z, 0), 6)`."""
    return minimum(maximum(z, zero(z)), _six(z))


@scalar
def relu6_derivative(a: float) -> float:
    """Return 1 between 0 and 6, else 0."""
    return one(a) if zero(a) < a < _six(a) else zero(a)


@scalar
def elu(z: float, alpha: float) -> float:
    """Return z; below 0, `alpha (e^z - 1)`."""
    below = alpha * expm1(minimum(z, zero(z)))
    return below if z < zero(z) else z


@scalar
def elu_derivative(a: float, alpha: float) -> float:
    """Return 1; where a is not above 0, `a + alpha`."""
    return one(a) if a > zero(a) else a + alpha


@scalar
def selu(z: float) -> float:
    """Return `scale z`; below 0, `scale alpha (e^z - 1)`."""
    below = _SELU_SCALE_ALPHA(z) * expm1(minimum(z, zero(z)))
    return below if z < zero(z) else _SELU_SCALE(z) * z


@scalar
def selu_derivative(a: float) -> float:
    """Return `scale`; where a is not above 0, `a + scale alpha`."""
    return _SELU_SCALE(a) if a > zero(a) else a + _SELU_SCALE_ALPHA(a)


@scalar
def softplus(z: float) -> float:
    """Return `max(z, 0) + log(1 + e^-|z|)`."""
    return maximum(z, zero(z)) + log1p_to_1(small_exp(-abs(z)))


@scalar
def softplus_derivative(a: float) -> float:
    """Return `1 - e^-a`."""
    return -expm1(-a)


@scalar
def exponential_derivative(a: float) -> float:
    """Return a: the derivative of e^z is e^z."""
    return a


@scalar
def sigmoid_derivative(a: float) -> float:
    """Return `a (1 - a)`."""
    return a * (one(a) - a)


@scalar
def hard_sigmoid(z: float) -> float:
    """Return `min(max(z + 3, 0), 6) / 6`."""
    return relu6(z + _three(z)) * _SIXTH(z)


@scalar
def hard_sigmoid_derivative(a: float) -> float:
    """Return 1 / 6 between 0 and 1, else 0."""
    return _SIXTH(a) if zero(a) < a < one(a) else zero(a)


@scalar
def tanh_derivative(a: float) -> float:
    """Return `1 - a^2`."""
    return fma(-a, a, one(a))


# Elementwise, value and derivative together ---------------------------------------------------------------------------


@scalar
def gelu(z: float) -> tuple[float, float]:
    """Return `z Phi(z)` and `Phi(z) + z phi(z)`, of the standard normal distribution.

    Phi(-|z|) is phi times Mills' ratio. So one exponential serves both, and small values below 0 keep their digits. |z|
    is limited to the argument from which the density is 0 in its dtype.
    """
    t = minimum(abs(z), _DENSITY_CUTOFF(z))
    density = _DENSITY_AT_0(z) * small_exp(-half(z) * t * t)
    tail = density * mills_ratio(t)
    cdf = tail if z < zero(z) else one(z) - tail
    return z * cdf, fma(z, density, cdf)


@scalar
def gelu_tanh(z: float) -> tuple[float, float]:
    """Return `z (1 + tanh(u / 2)) / 2 = z sigmoid(u)` with `u = 2 c (z + d z^3)`, and its derivative.

    |z| is limited to 22, beyond which sigmoid(u) is 0 or 1.
    """
    t = minimum(abs(z), _GELU_CUTOFF(z))
    cube = _GELU_CUBE(z) * t * t
    s, complement = sigmoid_and_complement(small_exp(-_GELU_OUTER(z) * fma(cube, t, t)), z)
    inner = _GELU_OUTER(z) * fma(_three(z), cube, one(z))
    return z * s, fma(z * s * complement, inner, s)


@scalar
def silu(z: float) -> tuple[float, float]:
    """Return `z s` and `s + z s (1 - s)` with `s = sigmoid(z)`."""
    s, complement = sigmoid_and_complement(small_exp(-abs(z)), z)
    return z * s, fma(z * s, complement, s)


@scalar
def sigmoid_and_complement(e: float, z: float) -> tuple[float, float]:
    """Return `s = 1 / (1 + e)` and `1 - s`, both to full precision, for e = e^-|z|; swapped where z is below 0."""
    larger = one(z) / (one(z) + e)
    smaller = e * larger
    return (smaller, larger) if z < zero(z) else (larger, smaller)


@scalar
def mish(z: float) -> tuple[float, float]:
    """Return `z t` and `t + z (1 - t^2) sigmoid(z)` with `t = tanh(log(1 + e^z))`.

    With `n = e^z` and `w = n (n + 2)`: `t = w / (w + 2)`, `(1 - t^2) sigmoid(z) = 4 n (n + 1) / (w + 2)^2`. In t, z is
    limited to 20, beyond which t is 1 in both dtypes.
    """
    limited = minimum(z, _twenty(z))
    n = small_exp(limited)
    w = n * (n + two(z))
    inverse = one(z) / (w + two(z))
    t = w * inverse
    return z * t, fma(_four(z) * limited * n, (n + one(z)) * inverse * inverse, t)


# Over all units of a row ----------------------------------------------------------------------------------------------


@kernel()
def softmax(a: Reals, rows: int, units: int, stride: int, scratch: Reals) -> None:
    """Compute `a[r, :] = e^z[r, :] / sum(e^z[r, :])` in place, 16 rows at a time, a row in each lane."""
    largest, total = scratch, offset(scratch, PANEL)
    z = offset(scratch, 2 * PANEL)
    for first in range(0, rows, PANEL):
        lanes_from_panels(z, offset(a, first * PANEL), units, stride)
        subtract_max(z, largest, units)
        normalized_exp(z, total, units)
        panels_from_lanes(offset(a, first * PANEL), z, units, stride)


@kernel()
def softmax_derivative(delta: Reals, a: Reals, rows: int, units: int, stride: int, scratch: Reals) -> None:
    """Multiply delta by the Jacobian of softmax: `delta[r, i] = a[r, i] (delta[r, i] - sum_j delta[r, j] a[r, j])`."""
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
def subtract_max(z: Reals, largest: Reals, units: int) -> None:
    """Subtract from z[unit, lane] the maximum over the units, which is stored in `largest`."""
    max_over_units(largest, z, units)
    subtract_from_units(z, largest, units)


@inline
def normalized_exp(z: Reals, total: Reals, units: int) -> None:
    """Replace z[unit, lane] by e^z divided by its sum over the units, which is stored in `total`."""
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
    "gelu": with_derivative("gelu", gelu),
    "gelu_tanh": with_derivative("gelu_tanh", gelu_tanh),
    "silu": with_derivative("silu", silu),
    "mish": with_derivative("mish", mish),
    "sigmoid": elementwise("sigmoid", sigmoid, sigmoid_derivative),
    "hard_sigmoid": elementwise("hard_sigmoid", hard_sigmoid, hard_sigmoid_derivative),
    "tanh": elementwise("tanh", tanh, tanh_derivative),
    "softmax": ActivationKernels(forward=softmax, derivative=softmax_derivative),
}
