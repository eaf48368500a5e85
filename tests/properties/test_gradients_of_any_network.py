"""Relations of the gradient of any network: to the reference in NumPy, and to differences of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from bounds import Ball, Bounded, assert_equal_gradients, assert_within, bounded, clipping_of, targets_of
from cases import Array, tensors
from hypothesis import assume, given
from networks import Case, cases

from fastmlp.gradient_check import _loss_and_sides
from fastmlp.reference import Network as Reference

H = 2.0**-14


@given(cases(dropout=False, centred=True))
def test_loss_and_gradients_are_those_of_the_reference(case: Case) -> None:
    """To the derived bound: two computations, in different orders and with different functions."""
    network, data = case.network(), case.data()
    reference = Reference.like(network, "float64")
    arguments = data["X"].astype(np.float64), data["y"], data["sample_weight"]
    bounds: Bounded = bounded(network, *data.values())
    with clipping_of(network.architecture.dtype):
        expected = reference.loss_and_gradients(*arguments)
    assert_within(network.predict(data["X"]), reference.predict(arguments[0]), bounds.outputs, "predictions")
    assert_equal_gradients(network.loss_and_gradients(*data.values()), expected, bounds)


@given(cases(dropout=False, centred=True, dtypes=("float64",)))
def test_gradients_are_slopes_of_the_loss(case: Case) -> None:
    """To the error of differences, along a random direction v, where no unit crosses a kink.

    D(h) = (J(w + h v) - J(w - h v)) / 2h differs from the slope by c h^2 and terms of order h^4, and by the rounding
    errors of both J over 2h. D(2h) differs by 4 c h^2. So |D(2h) - D(h)| is three times the first error, and twice the
    rounding error of J over h covers those of both differences.
    """
    network, data = case.network(), case.data()
    weights, rng = network.get_weights(), np.random.default_rng(case.seed)
    direction = [tuple(None if w is None else rng.normal(size=w.shape) for w in pair) for pair in weights]
    norm = np.sqrt(sum((v**2).sum() for v in tensors(direction)))
    _, gradients = network.loss_and_gradients(*data.values())
    slope = sum((g * v).sum() for g, v in zip(tensors(gradients), tensors(direction), strict=True)) / norm

    losses, sides, bounds = {}, [], bounded(network, *data.values())
    for steps in (-2, -1, 1, 2):
        network.set_weights(moved(weights, direction, steps * H / norm))
        losses[steps] = network.loss_and_gradients(*data.values())[0]
        y = targets_of(network.architecture, data["y"])
        sides.append(_loss_and_sides(Reference.like(network), (data["X"], y, weights_of(data)))[1])
    assume(all((each == sides[0]).all() for each in sides))
    near, far = (losses[1] - losses[-1]) / (2 * H), (losses[2] - losses[-2]) / (4 * H)
    rounding = bounds.loss.radius / H + float(
        sum((ball.radius * np.abs(v)).sum() for ball, v in balls(bounds, direction)) / norm
    )
    assert abs(near - slope) <= abs(far - near) + 2 * rounding


def moved(weights: Any, direction: Any, step: float) -> Any:
    """Return the weights after a step along the direction."""
    pairs = zip(weights, direction, strict=True)
    return [tuple(None if w is None else w + step * v for w, v in zip(pair, way, strict=True)) for pair, way in pairs]


def balls(bounds: Bounded, direction: Any) -> list[tuple[Ball, Array]]:
    """Return the ball of each tensor of the gradient, beside that tensor of the direction."""
    return list(zip(tensors(bounds.gradients), tensors(direction), strict=True))


def weights_of(data: dict[str, Any]) -> Array:
    """Return the weights of the rows, 1 if there are none."""
    return np.ones(len(data["X"])) if data["sample_weight"] is None else data["sample_weight"]
