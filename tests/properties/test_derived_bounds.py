"""The bounds of the derivatives of the activations, on which the bounds of all relations rest."""

from __future__ import annotations

import numpy as np
import pytest
from bounds import SLOPES, Arithmetic, Ball, slopes_of
from cases import ACTIVATIONS

from fastmlp.activations import Activation
from fastmlp.architecture import build
from fastmlp.layers import Dense
from fastmlp.reference import activations as formulas

BOUNDED = {name: each for name, each in ACTIVATIONS.items() if each.name not in ("softmax", "exponential")}


@pytest.mark.parametrize("activation", BOUNDED.values(), ids=BOUNDED)
def test_no_slope_exceeds_its_bound(activation: Activation) -> None:
    """Between neighbours of a fine grid without a kink, g and g' change by no more than the bounds allow."""
    layer = build([1, Dense(1, activation)], loss="mean_squared_error", seed=0).layers[0]
    slopes, formula = slopes_of(layer), formulas.formula_of(activation)
    z = np.linspace(-12.0, 12.0, 240_001) + 1e-7
    g = formula.forward(z, *activation.parameters)
    derivative = formula.backward(np.ones_like(z), z, g, *activation.parameters)
    smooth = ~np.any([(z[:-1] <= kink) & (kink <= z[1:]) for kink in formula.kinks or (99,)], axis=0)
    width = z[1] - z[0]
    assert np.abs(derivative).max() <= slopes.first * (1 + 1e-12)
    assert (np.abs(np.diff(derivative))[smooth] <= slopes.second * width * (1 + 1e-6) + 1e-12).all()
    assert (np.abs(np.diff(derivative))[~smooth] <= slopes.jump + slopes.second * width).all()
    assert slopes.first <= 1.1 * max(np.abs(derivative).max(), 1e-9)  # the bounds are no larger than they must be
    assert slopes.second <= 1.4 * max((np.abs(np.diff(derivative)) / width)[smooth].max(), 0) + 1e-9


def test_every_activation_has_bounds() -> None:
    special = {"softmax", "exponential", "elu"}
    assert SLOPES.keys() | special == formulas.ACTIVATIONS.keys(), "SLOPES of tests/properties/bounds.py"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_order_of_a_product_stays_within_its_ball(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for terms in (1, 2, 17, 300):
        a, w = rng.normal(size=(5, terms)).astype(dtype), rng.normal(size=(terms, 4)).astype(dtype)
        exact = (a.astype(np.longdouble) @ w.astype(np.longdouble)).astype(np.float64)
        ball = Ball(a, 0.0, Arithmetic.of(dtype)) @ w
        for _ in range(20):
            order = rng.permutation(terms)
            sums = np.zeros((5, 4), dtype)
            for k in order:  # one after the other, the order with the largest errors
                sums = sums + a[:, k : k + 1] * w[k]
            assert (np.abs(sums - exact) <= ball.radius).all()
            assert (np.abs(sums - exact) <= 1e-3 * ball.size.max()).all()
