"""The losses as kernels: the loss of each row, and delta of the last layer.

A kernel takes 16 rows at a time and transposes them, so that each lane is a row. A loss reads A = g(Z) and computes
dJ/dA, which the derivative of the activation turns into delta. An exact pair of activation and loss reads Z and
computes dJ/dZ, which is delta. The losses of this module have a target for each output, so that `columns` is `units`.

Formulas: `fastmlp.reference.losses`.
"""

from __future__ import annotations

from typing import Any

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import Kernel, inline, kernel, parameter_count, scalar
from fastmlp.kernels.layout import LOSS_LANES, PANEL
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
    finish_losses,
    lanes_from_panels,
    panels_from_lanes,
    sum_over_units,
    weighted_difference,
)
from fastmlp.kernels.operations.activations import normalized_exp, subtract_max
from fastmlp.kernels.operations.distribution_losses import gaussian_nll, quantile
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
from fastmlp.kernels.vocabulary.pointers import offset, parameter_tuple, real_like

# Label smoothing spreads a share of the targets over two classes (binary) or over all classes (categorical).
NO_SMOOTHING, OVER_TWO_CLASSES, OVER_ALL_CLASSES = 0, 1, 2

_LN2 = constant(0.6931471805599453)
_smallest = constant(1e-30)
epsilon = constant(1e-7, 1e-15)  # cross-entropies that read A clip it to [epsilon, 1 - epsilon]


def elementwise_loss(
    name: str,
    value: Any,
    gradient: Any,
    *,
    mean: bool = False,
    smoothing: int = NO_SMOOTHING,
    numbers: int | None = None,
    cached: bool = True,
) -> Kernel:
    """Make the kernel of two scalar functions of (a, y), which are summed, or with `mean` averaged, over the outputs.

    What the functions take behind them are the loss's parameters, of which there are `numbers` if that is given. With
    smoothing, the parameter is the share of y that is spread over the classes.
    """
    first_parameters = parameter_tuple(parameter_count(value) - 2 if numbers is None else numbers)

    @kernel(name, cached=cached)
    def loss(
        delta: Reals,
        a: Reals,
        y: Reals,
        weights: Floats,
        losses: Floats,
        rows: int,
        units: int,
        columns: int,
        stride: int,
        scale: float,
        scratch: Reals,
        parameters: Floats,
    ) -> None:
        share = 1.0 / units if mean else 1.0
        matrix_size = (units + PANEL) * PANEL
        p = offset(scratch, LOSS_LANES * PANEL)
        t, values = offset(p, matrix_size), offset(p, 2 * matrix_size)
        own = first_parameters(parameters, a)
        for first in range(0, rows, PANEL):
            lanes_from_panels(p, offset(a, first * PANEL), units, stride)
            lanes_from_panels(t, offset(y, first * PANEL), units, stride)
            if smoothing != NO_SMOOTHING:
                smooth_targets(t, units, smoothing, parameters[0])
            for i in range(units * PANEL):
                values[i] = value(p[i], t[i], *own)
            for i in range(units * PANEL):
                t[i] = gradient(p[i], t[i], *own)
            finish_losses(delta, losses, weights, scratch, t, values, first, units, units, stride, scale, share)

    return loss


@inline
def smooth_targets(t: Reals, units: int, smoothing: int, share: float) -> None:
    """Replace the targets y by `y (1 - share) + share / classes`, of two classes or of as many as there are units."""
    classes = 2 if smoothing == OVER_TWO_CLASSES else units
    kept, added = real_like(1.0 - share, t), real_like(share / classes, t)
    for i in range(units * PANEL):
        t[i] = fma(t[i], kept, added)


@scalar
def squared_error(a: float, y: float) -> float:
    """Return `(a - y)^2`."""
    return (a - y) * (a - y)


@scalar
def squared_error_gradient(a: float, y: float) -> float:
    """Return `2 (a - y)`."""
    return two(a) * (a - y)


@scalar
def half_squared_error(a: float, y: float) -> float:
    """Return `(a - y)^2 / 2`."""
    return half(a) * (a - y) * (a - y)


@scalar
def half_squared_error_gradient(a: float, y: float) -> float:
    """Return `a - y`."""
    return a - y


@scalar
def absolute_error(a: float, y: float) -> float:
    """Return `|a - y|`."""
    return abs(a - y)


@scalar
def absolute_error_gradient(a: float, y: float) -> float:
    """Return `sign(a - y)`."""
    difference = a - y
    return one(a) if difference > zero(a) else (-one(a) if difference < zero(a) else difference)


@scalar
def huber(a: float, y: float, delta: float) -> float:
    """Return `d^2 / 2` for `d = |a - y|` up to delta, beyond it `delta (d - delta / 2)`."""
    d = abs(a - y)
    return delta * (d - half(a) * delta) if d > delta else half(a) * d * d


@scalar
def huber_gradient(a: float, y: float, delta: float) -> float:
    """Return `a - y`, clipped to [-delta, delta]."""
    difference = a - y
    difference = delta if difference > delta else difference
    return -delta if difference < -delta else difference


@scalar
def log_cosh(a: float, y: float) -> float:
    """Return `d + log(1 + e^-2d) - log(2)` for `d = |a - y|`; for d < 1 as `log(1 + t^2 / (2 (1 + t)))`, t = e^-d - 1.

    Both branches share one exponential and one logarithm, which takes 2 ns an element in float32 in place of 4.
    """
    d = abs(a - y)
    t = expm1(-d)
    decay = one(a) + t
    value = log1p_to_1(half(a) * t * t / decay if d < one(a) else decay * decay)
    return value if d < one(a) else value + (d - _LN2(a))


@scalar
def log_cosh_gradient(a: float, y: float) -> float:
    """Return `tanh(a - y)`."""
    return tanh(a - y)


@scalar
def poisson(a: float, y: float) -> float:
    """Return `a - y log a`."""
    return a - y * log(maximum(a, epsilon(a)))


@scalar
def poisson_gradient(a: float, y: float) -> float:
    """Return `1 - y / a`; 1 where a is clipped."""
    return one(a) if a < epsilon(a) else one(a) - y / a


@scalar
def poisson_of_logits(z: float, y: float) -> float:
    """Return Poisson's loss of e^z: `e^z - y z`."""
    return exp(z) - y * z


@scalar
def poisson_of_logits_gradient(z: float, y: float) -> float:
    """Return `e^z - y`."""
    return exp(z) - y


@scalar
def entropy_term(y: float) -> float:
    """Return `y log y`, 0 for 0."""
    return y * log(y if y > zero(y) else one(y))


@scalar
def half_poisson_deviance(a: float, y: float) -> float:
    """Return `y log(y / a) - y + a`."""
    return entropy_term(y) - y + poisson(a, y)


@scalar
def half_poisson_deviance_of_logits(z: float, y: float) -> float:
    """Return half of Poisson's deviance of e^z: `y (log y - z) - y + e^z`."""
    return entropy_term(y) - y + poisson_of_logits(z, y)


@scalar
def gamma(a: float, y: float) -> float:
    """Return half the deviance of the gamma distribution, `log(a / y) + y / a - 1`."""
    mean = maximum(a, epsilon(a))
    return log(mean) - log(y) + (y / mean - one(a))


@scalar
def gamma_gradient(a: float, y: float) -> float:
    """Return `(1 - y / a) / a`; 0 where a is clipped."""
    return zero(a) * a if a < epsilon(a) else (one(a) - y / a) / a


@scalar
def gamma_of_logits(z: float, y: float) -> float:
    """Return half the deviance of the gamma distribution of e^z: `z - log y + y e^-z - 1`."""
    return (z - log(y)) + (y * exp(-z) - one(z))


@scalar
def gamma_of_logits_gradient(z: float, y: float) -> float:
    """Return `1 - y e^-z`."""
    return one(z) - y * exp(-z)


@scalar
def tweedie_of_logits(z: float, y: float, power: float) -> float:
    """Return half of Tweedie's deviance of e^z.

    It is `y^(2-p) / ((1-p)(2-p)) - y e^((1-p)z) / (1-p) + e^((2-p)z) / (2-p)`.
    """
    first, second = one(z) - power, two(z) - power
    largest = exp(second * log(y if y > zero(y) else one(y)))
    of_y = largest if y > zero(y) else zero(y)
    return of_y / (first * second) - y * exp(first * z) / first + exp(second * z) / second


@scalar
def tweedie_of_logits_gradient(z: float, y: float, power: float) -> float:
    """Return `e^((2-p)z) - y e^((1-p)z)`."""
    return exp((two(z) - power) * z) - y * exp((one(z) - power) * z)


@scalar
def tweedie(a: float, y: float, power: float) -> float:
    """Return half of Tweedie's deviance, for `a = e^z`."""
    return tweedie_of_logits(log(maximum(a, epsilon(a))), y, power)


@scalar
def tweedie_gradient(a: float, y: float, power: float) -> float:
    """Return `a^(1-p) - y a^-p`; 0 where a is clipped."""
    logarithm = log(maximum(a, epsilon(a)))
    slope = exp((one(a) - power) * logarithm) - y * exp(-(power * logarithm))
    return zero(a) * a if a < epsilon(a) else slope


@scalar
def hinge(a: float, y: float) -> float:
    """Return `max(1 - s a, 0)` with s = 1 where y > 0, else -1."""
    margin = one(a) - (a if y > zero(a) else -a)
    return zero(a) if margin < zero(a) else margin


@scalar
def hinge_gradient(a: float, y: float) -> float:
    """Return `-s` where `s a < 1`, else 0, with s = 1 where y > 0, else -1."""
    sign = one(a) if y > zero(a) else -one(a)
    return zero(a) * a if sign * a >= one(a) else -sign + zero(a) * a


@scalar
def binary_crossentropy_of_logits(z: float, y: float) -> float:
    """Return the binary cross-entropy of sigmoid(z): `max(z, 0) - z y + log(1 + e^-|z|)`."""
    return maximum(z, zero(z)) - z * y + log1p_to_1(small_exp(-abs(z)))


@scalar
def binary_crossentropy_of_logits_gradient(z: float, y: float) -> float:
    """Return `sigmoid(z) - y`."""
    return sigmoid(z) - y


@scalar
def clip_probability(a: float) -> float:
    """Return a, clipped to [epsilon, 1 - epsilon]."""
    return minimum(maximum(a, epsilon(a)), one(a) - epsilon(a))


@scalar
def binary_crossentropy(a: float, y: float) -> float:
    """Return `-y log a - (1 - y) log(1 - a)`."""
    p = clip_probability(a)
    return -(y * log(p) + (one(a) - y) * log(one(a) - p))


@scalar
def binary_crossentropy_gradient(a: float, y: float) -> float:
    """Return `(a - y) / (a (1 - a))`, 0 where a is clipped."""
    p = clip_probability(a)
    return (p - y) / (p * (one(a) - p)) if p == a else zero(a) * a


@scalar
def focus(p: float, y: float, gamma: float) -> float:
    """Return `q^gamma` of the error `q = p (1 - y) + (1 - p) y`."""
    return exp(gamma * log(error_of(p, y)))


@scalar
def error_of(p: float, y: float) -> float:
    """Return how far the probability p is from y, `p (1 - y) + (1 - p) y`, at least 1e-30."""
    return maximum(p * (one(p) - y) + (one(p) - p) * y, _smallest(p))


@scalar
def weight_of_class(y: float, positive: float, negative: float) -> float:
    """Return `positive y + negative (1 - y)`."""
    return positive * y + negative * (one(y) - y)


@scalar
def focal_slope(p: float, y: float, gamma: float, entropy: float) -> float:
    """Return the derivative of the focal loss by z, for `p = sigmoid(z)`: `q^g (p - y + g entropy q' / q)`."""
    q_slope = (one(p) - two(p) * y) * (p * (one(p) - p))
    return focus(p, y, gamma) * (p - y + gamma * entropy * q_slope / error_of(p, y))


@scalar
def focal_of_logits(z: float, y: float, gamma: float, positive: float, negative: float) -> float:
    """Return the focal loss of sigmoid(z): the binary cross-entropy times the weight of the class and `q^gamma`."""
    factor = weight_of_class(y, positive, negative) * focus(sigmoid(z), y, gamma)
    return factor * binary_crossentropy_of_logits(z, y)


@scalar
def focal_of_logits_gradient(z: float, y: float, gamma: float, positive: float, negative: float) -> float:
    """Return the derivative of the focal loss of sigmoid(z)."""
    slope = focal_slope(sigmoid(z), y, gamma, binary_crossentropy_of_logits(z, y))
    return weight_of_class(y, positive, negative) * slope


@scalar
def focal(a: float, y: float, gamma: float, positive: float, negative: float) -> float:
    """Return the focal loss of a clipped probability."""
    p = clip_probability(a)
    return weight_of_class(y, positive, negative) * focus(p, y, gamma) * binary_crossentropy(a, y)


@scalar
def focal_gradient(a: float, y: float, gamma: float, positive: float, negative: float) -> float:
    """Return the derivative of the focal loss by a, 0 where a is clipped."""
    p = clip_probability(a)
    slope = focal_slope(p, y, gamma, binary_crossentropy(a, y)) / (p * (one(a) - p))
    return weight_of_class(y, positive, negative) * slope if p == a else zero(a) * a


@scalar
def categorical_crossentropy(a: float, y: float) -> float:
    """Return `-y log a`."""
    return -(y * log(clip_probability(a)))


@scalar
def categorical_crossentropy_gradient(a: float, y: float) -> float:
    """Return `-y / a`, 0 where a is clipped."""
    return -y / clip_probability(a) if clip_probability(a) == a else zero(a) * a


@scalar
def kl_divergence(a: float, y: float) -> float:
    """Return `y (log y - log a)`."""
    return entropy_term(y) + categorical_crossentropy(a, y)


def softmax_crossentropy(name: str, smoothing: int, subtract_entropy: bool) -> Kernel:
    """Make the kernel of softmax and categorical cross-entropy from Z: `-sum y log p` and `w (p sum(y) - y) / sum(w)`.

    With `subtract_entropy` it is the Kullback-Leibler divergence, which subtracts the entropy of y and has the same
    gradient.
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
        columns: int,
        stride: int,
        scale: float,
        scratch: Reals,
        parameters: Floats,
    ) -> None:
        largest, total = scratch, offset(scratch, PANEL)
        mass, dot = offset(scratch, 2 * PANEL), offset(scratch, 3 * PANEL)
        p = offset(scratch, LOSS_LANES * PANEL)
        t = offset(p, (units + PANEL) * PANEL)
        for first in range(0, rows, PANEL):
            lanes_from_panels(p, offset(z, first * PANEL), units, stride)
            lanes_from_panels(t, offset(y, first * PANEL), units, stride)
            if smoothing != NO_SMOOTHING:
                smooth_targets(t, units, smoothing, parameters[0])
            sum_over_units(mass, t, units)
            subtract_max(p, largest, units)  # before the dot product, or a small loss cancels out of two large numbers
            dot_over_units(dot, t, p, units)
            normalized_exp(p, total, units)
            for lane in range(PANEL):
                value = mass[lane] * log(total[lane]) - dot[lane]
                losses[first + lane] = value * weights[first + lane]
                total[lane] = weights[first + lane] * scale
            if subtract_entropy:
                add_entropy_terms(losses, weights, t, first, units, dot, offset(t, (units + PANEL) * PANEL))
            weighted_difference(t, p, mass, total, units)
            panels_from_lanes(offset(delta, first * PANEL), t, units, stride)

    return loss


@inline
def add_entropy_terms(
    losses: Floats, weights: Floats, t: Reals, first: int, units: int, total: Reals, values: Reals
) -> None:
    """Add `w sum y log y` to the losses of 16 rows. `total` and `values` are scratch."""
    for i in range(units * PANEL):
        values[i] = entropy_term(t[i])
    sum_over_units(total, values, units)
    for lane in range(PANEL):
        losses[first + lane] += total[lane] * weights[first + lane]


@kernel()
def given_gradient(
    delta: Reals,
    a: Reals,
    y: Reals,
    row_weights: Floats,
    losses: Floats,
    rows: int,
    units: int,
    columns: int,
    stride: int,
    scale: float,
    work: Reals,
    parameters: Floats,
) -> None:
    """Stand in for a loss: dJ/dA is given in place of the targets, with the weights of the rows in it, and J is 0."""
    for panel in range((units + PANEL - 1) // PANEL):
        for i in range(panel * stride, panel * stride + rows * PANEL):
            delta[i] = y[i]
    for r in range(rows):
        losses[r] = 0.0


# The kernels that read A, by the name of the loss; below, those of exact pairs, which read Z.
LOSSES: dict[str, Kernel] = {
    "mean_squared_error": elementwise_loss("mean_squared_error", squared_error, squared_error_gradient, mean=True),
    "half_squared_error": elementwise_loss("half_squared_error", half_squared_error, half_squared_error_gradient),
    "mean_absolute_error": elementwise_loss("mean_absolute_error", absolute_error, absolute_error_gradient, mean=True),
    "huber": elementwise_loss("huber", huber, huber_gradient, mean=True),
    "log_cosh": elementwise_loss("log_cosh", log_cosh, log_cosh_gradient, mean=True),
    "poisson": elementwise_loss("poisson", poisson, poisson_gradient, mean=True),
    "half_poisson_deviance": elementwise_loss("half_poisson_deviance", half_poisson_deviance, poisson_gradient),
    "gamma": elementwise_loss("gamma", gamma, gamma_gradient, mean=True),
    "tweedie": elementwise_loss("tweedie", tweedie, tweedie_gradient, mean=True),
    "hinge": elementwise_loss("hinge", hinge, hinge_gradient, mean=True),
    "binary_crossentropy": elementwise_loss(
        "binary_crossentropy", binary_crossentropy, binary_crossentropy_gradient, smoothing=OVER_TWO_CLASSES
    ),
    "binary_focal_crossentropy": elementwise_loss("binary_focal_crossentropy", focal, focal_gradient),
    "categorical_crossentropy": elementwise_loss(
        "categorical_crossentropy",
        categorical_crossentropy,
        categorical_crossentropy_gradient,
        smoothing=OVER_ALL_CLASSES,
    ),
    "kl_divergence": elementwise_loss("kl_divergence", kl_divergence, categorical_crossentropy_gradient),
    "quantile": quantile,
    "gaussian_nll": gaussian_nll,
}
EXACT_PAIRS: dict[str, Kernel] = {
    "poisson": elementwise_loss("exponential with poisson", poisson_of_logits, poisson_of_logits_gradient, mean=True),
    "half_poisson_deviance": elementwise_loss(
        "exponential with half_poisson_deviance", half_poisson_deviance_of_logits, poisson_of_logits_gradient
    ),
    "gamma": elementwise_loss("exponential with gamma", gamma_of_logits, gamma_of_logits_gradient, mean=True),
    "tweedie": elementwise_loss("exponential with tweedie", tweedie_of_logits, tweedie_of_logits_gradient, mean=True),
    "binary_focal_crossentropy": elementwise_loss(
        "sigmoid with binary_focal_crossentropy", focal_of_logits, focal_of_logits_gradient
    ),
    "binary_crossentropy": elementwise_loss(
        "sigmoid with binary_crossentropy",
        binary_crossentropy_of_logits,
        binary_crossentropy_of_logits_gradient,
        smoothing=OVER_TWO_CLASSES,
    ),
    "categorical_crossentropy": softmax_crossentropy(
        "softmax with categorical_crossentropy", OVER_ALL_CLASSES, subtract_entropy=False
    ),
    "kl_divergence": softmax_crossentropy("softmax with kl_divergence", NO_SMOOTHING, subtract_entropy=True),
}
