"""The losses as block functions: the loss of each row, and delta for the last layer.

Each takes 16 rows at a time, turned so that a lane is a row. An exact pair reads Z and gives dJ/dZ; any other loss
reads A = g(Z) and gives dJ/dA, which the activation's derivative then turns into delta.

Formulas: `fastmlp.reference.losses`.
"""

from __future__ import annotations

from typing import Any

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import Kernel, arguments_of, inline, kernel, scalar
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.micro.functions import (
    exp,
    expm1,
    log,
    log1p_to_1,
    sigmoid,
    small_exp,
    tanh,
)
from fastmlp.kernels.micro.lanes import (
    dot_over_units,
    lanes_from_panels,
    panels_from_lanes,
    scale_units,
    sum_over_units,
    weighted_difference,
)
from fastmlp.kernels.operations.activations import normalised_exponentials, subtract_largest
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
from fastmlp.kernels.vocabulary.simd import first_numbers, offset, real_like

# What the losses need of scratch: some rows of 16 lanes, and up to three matrices of lanes.
SCRATCH_LANES = 4
SCRATCH_MATRICES = 3

# Over how many classes the smoothed share of the targets is spread.
NO_SMOOTHING, OF_TWO, OF_ALL = 0, 1, 2

_LN2 = constant(0.6931471805599453)
epsilon = constant(1e-7, 1e-15)  # how far unpaired cross-entropies keep a from 0 and 1


def by_element(
    name: str, value: Any, gradient: Any, *, mean: bool = False, smoothing: int = NO_SMOOTHING, cached: bool = True
) -> Kernel:
    """The kernel of two compiled scalar functions of (a, y), summed, or for `mean` averaged, over the outputs.

    Where the functions take one number more, it is the loss's parameter; with smoothing that is the share of y that is
    spread over the classes.
    """
    numbers = first_numbers(arguments_of(value) - 2)

    @kernel(name, cached=cached)
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
        total, factor = scratch, offset(scratch, PANEL)
        room = (units + PANEL) * PANEL
        p = offset(scratch, SCRATCH_LANES * PANEL)
        t, values = offset(p, room), offset(p, 2 * room)
        own = numbers(parameters, a)
        for first in range(0, rows, PANEL):
            lanes_from_panels(p, offset(a, first * PANEL), units, stride)
            lanes_from_panels(t, offset(y, first * PANEL), units, stride)
            if smoothing != NO_SMOOTHING:
                smooth(t, units, smoothing, parameters[0])
            for i in range(units * PANEL):
                values[i] = value(p[i], t[i], *own)
            for i in range(units * PANEL):
                t[i] = gradient(p[i], t[i], *own)
            sum_over_units(total, values, units)
            for lane in range(PANEL):
                factor[lane] = weights[first + lane] * (scale * share)
                losses[first + lane] = total[lane] * share * weights[first + lane]
            scale_units(t, factor, units)
            panels_from_lanes(offset(delta, first * PANEL), t, units, stride)

    return loss


@inline
def smooth(t: Reals, units: int, smoothing: int, share: float) -> None:
    """`y (1 - s) + s / classes`, two of them or as many as there are units."""
    kept, added = real_like(1.0 - share, t), real_like(share / (2 if smoothing == OF_TWO else units), t)
    for i in range(units * PANEL):
        t[i] = fma(t[i], kept, added)


@scalar
def squared_error(a: float, y: float) -> float:
    """`(a - y)^2`."""
    return (a - y) * (a - y)


@scalar
def squared_error_gradient(a: float, y: float) -> float:
    """`2 (a - y)`."""
    return two(a) * (a - y)


@scalar
def half_squared_error(a: float, y: float) -> float:
    """`(a - y)^2 / 2`."""
    return half(a) * (a - y) * (a - y)


@scalar
def half_squared_error_gradient(a: float, y: float) -> float:
    """`a - y`."""
    return a - y


@scalar
def absolute_error(a: float, y: float) -> float:
    """`|a - y|`."""
    return abs(a - y)


@scalar
def absolute_error_gradient(a: float, y: float) -> float:
    """`sign(a - y)`."""
    difference = a - y
    return one(a) if difference > zero(a) else (-one(a) if difference < zero(a) else difference)


@scalar
def huber(a: float, y: float, delta: float) -> float:
    """`d^2 / 2` for `d = |a - y|` up to delta, beyond `delta (d - delta / 2)`."""
    d = abs(a - y)
    return delta * (d - half(a) * delta) if d > delta else half(a) * d * d


@scalar
def huber_gradient(a: float, y: float, delta: float) -> float:
    """`a - y`, brought to between -delta and delta."""
    difference = a - y
    difference = delta if difference > delta else difference
    return -delta if difference < -delta else difference


@scalar
def log_cosh(a: float, y: float) -> float:
    """`d + log(1 + e^-2d) - log(2)` for `d = |a - y|`; near 0, from `t = e^-d - 1`, `log(1 + t^2 / (2 (1 + t)))`.

    Both take one exponential and one logarithm between them: 2 of 4 ns an element in float32.
    """
    d = abs(a - y)
    t = expm1(-d)
    decay = one(a) + t
    value = log1p_to_1(half(a) * t * t / decay if d < one(a) else decay * decay)
    return value if d < one(a) else value + (d - _LN2(a))


@scalar
def log_cosh_gradient(a: float, y: float) -> float:
    """`tanh(a - y)`."""
    return tanh(a - y)


@scalar
def poisson(a: float, y: float) -> float:
    """`a - y log a`."""
    return a - y * log(at_least(a, epsilon(a)))


@scalar
def poisson_gradient(a: float, y: float) -> float:
    """`1 - y / a`, where a was clipped 1."""
    return one(a) if a < epsilon(a) else one(a) - y / a


@scalar
def poisson_loss(z: float, y: float) -> float:
    """Poisson of e^z: `e^z - y z`."""
    return exp(z) - y * z


@scalar
def poisson_loss_gradient(z: float, y: float) -> float:
    """`e^z - y`."""
    return exp(z) - y


@scalar
def entropy_term(y: float) -> float:
    """`y log y`, 0 for 0."""
    return y * log(y if y > zero(y) else one(y))


@scalar
def half_poisson_deviance(a: float, y: float) -> float:
    """`y log(y / a) - y + a`."""
    return entropy_term(y) - y + poisson(a, y)


@scalar
def half_deviance_loss(z: float, y: float) -> float:
    """Half of Poisson's deviance of e^z: `y (log y - z) - y + e^z`."""
    return entropy_term(y) - y + poisson_loss(z, y)


@scalar
def hinge(a: float, y: float) -> float:
    """`max(1 - s a, 0)`, s = 1 where y > 0, else -1."""
    margin = one(a) - (a if y > zero(a) else -a)
    return zero(a) if margin < zero(a) else margin


@scalar
def hinge_gradient(a: float, y: float) -> float:
    """`-s` where `s a < 1`, else 0."""
    sign = one(a) if y > zero(a) else -one(a)
    return zero(a) * a if sign * a >= one(a) else -sign + zero(a) * a


@scalar
def logistic_loss(z: float, y: float) -> float:
    """Binary cross-entropy of sigmoid(z): `max(z, 0) - z y + log(1 + e^-|z|)`."""
    return at_least(z, zero(z)) - z * y + log1p_to_1(small_exp(-abs(z)))


@scalar
def logistic_loss_gradient(z: float, y: float) -> float:
    """`sigmoid(z) - y`."""
    return sigmoid(z) - y


@scalar
def clipped(a: float) -> float:
    """a, kept inside of (0, 1) by epsilon."""
    return at_most(at_least(a, epsilon(a)), one(a) - epsilon(a))


@scalar
def binary_crossentropy(a: float, y: float) -> float:
    """`-y log a - (1 - y) log(1 - a)`."""
    p = clipped(a)
    return -(y * log(p) + (one(a) - y) * log(one(a) - p))


@scalar
def binary_crossentropy_gradient(a: float, y: float) -> float:
    """`(a - y) / (a (1 - a))`, 0 where a was clipped."""
    p = clipped(a)
    return (p - y) / (p * (one(a) - p)) if p == a else zero(a) * a


@scalar
def categorical_crossentropy(a: float, y: float) -> float:
    """`-y log a`."""
    return -(y * log(clipped(a)))


@scalar
def categorical_crossentropy_gradient(a: float, y: float) -> float:
    """`-y / a`, 0 where a was clipped."""
    return -y / clipped(a) if clipped(a) == a else zero(a) * a


@scalar
def divergence(a: float, y: float) -> float:
    """`y (log y - log a)`."""
    return entropy_term(y) + categorical_crossentropy(a, y)


def softmax_pair(name: str, smoothing: int, less_entropy: bool) -> Kernel:
    """Softmax and categorical cross-entropy from Z: `-sum y log p` and `w (p sum(y) - y) / sum(w)`.

    Less the entropy of y it is the divergence of Kullback and Leibler, of the same gradient.
    """

    @kernel(name)
    def loss(
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
        top, total, mass, dot = scratch, offset(scratch, PANEL), offset(scratch, 2 * PANEL), offset(scratch, 3 * PANEL)
        p = offset(scratch, SCRATCH_LANES * PANEL)
        t = offset(p, (units + PANEL) * PANEL)
        for first in range(0, rows, PANEL):
            lanes_from_panels(p, offset(z, first * PANEL), units, stride)
            lanes_from_panels(t, offset(y, first * PANEL), units, stride)
            if smoothing != NO_SMOOTHING:
                smooth(t, units, smoothing, parameters[0])
            sum_over_units(mass, t, units)
            subtract_largest(p, top, units)  # first, or a small loss is what is left of two large numbers
            dot_over_units(dot, t, p, units)
            normalised_exponentials(p, total, units)
            for lane in range(PANEL):
                value = mass[lane] * log(total[lane]) - dot[lane]
                losses[first + lane] = value * weights[first + lane]
                total[lane] = weights[first + lane] * scale
            if less_entropy:
                add_entropy_terms(losses, weights, t, first, units, dot, offset(t, (units + PANEL) * PANEL))
            weighted_difference(t, p, mass, total, units)
            panels_from_lanes(offset(delta, first * PANEL), t, units, stride)

    return loss


@inline
def add_entropy_terms(
    losses: Floats, weights: Floats, t: Reals, first: int, units: int, total: Reals, values: Reals
) -> None:
    """Add `w sum y log y` to the losses of 16 rows."""
    for i in range(units * PANEL):
        values[i] = entropy_term(t[i])
    sum_over_units(total, values, units)
    for lane in range(PANEL):
        losses[first + lane] += total[lane] * weights[first + lane]


@scalar
def nothing(a: float, y: float) -> float:
    """No loss."""
    return zero(a)


@scalar
def chosen(a: float, y: float) -> float:
    """Y itself."""
    return y


# In place of a loss: dJ/dA = y, with which the rows region turns a choice of outputs y into their gradient.
output_seed = by_element("output_seed", nothing, chosen)

# What each loss is computed by: from A, or with its partner activation from Z.
LOSSES: dict[str, Kernel] = {
    "mean_squared_error": by_element("mean_squared_error", squared_error, squared_error_gradient, mean=True),
    "half_squared_error": by_element("half_squared_error", half_squared_error, half_squared_error_gradient),
    "mean_absolute_error": by_element("mean_absolute_error", absolute_error, absolute_error_gradient, mean=True),
    "huber": by_element("huber", huber, huber_gradient, mean=True),
    "log_cosh": by_element("log_cosh", log_cosh, log_cosh_gradient, mean=True),
    "poisson": by_element("poisson", poisson, poisson_gradient, mean=True),
    "half_poisson_deviance": by_element("half_poisson_deviance", half_poisson_deviance, poisson_gradient),
    "hinge": by_element("hinge", hinge, hinge_gradient, mean=True),
    "binary_crossentropy": by_element(
        "binary_crossentropy", binary_crossentropy, binary_crossentropy_gradient, smoothing=OF_TWO
    ),
    "categorical_crossentropy": by_element(
        "categorical_crossentropy", categorical_crossentropy, categorical_crossentropy_gradient, smoothing=OF_ALL
    ),
    "kl_divergence": by_element("kl_divergence", divergence, categorical_crossentropy_gradient),
}
EXACT_PAIRS: dict[str, Kernel] = {
    "poisson": by_element("exponential with poisson", poisson_loss, poisson_loss_gradient, mean=True),
    "half_poisson_deviance": by_element("half_deviance_loss", half_deviance_loss, poisson_loss_gradient),
    "binary_crossentropy": by_element("logistic_loss", logistic_loss, logistic_loss_gradient, smoothing=OF_TWO),
    "categorical_crossentropy": softmax_pair("softmax_crossentropy", OF_ALL, less_entropy=False),
    "kl_divergence": softmax_pair("softmax_divergence", NO_SMOOTHING, less_entropy=True),
}
