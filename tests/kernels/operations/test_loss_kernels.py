"""The compiled losses and their deltas equal the formulas of the reference."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from cases import (
    BATCHES,
    DTYPES,
    LOSSES,
    TOLERANCE,
    Array,
    from_panels,
    heavy_but,
    outputs_for,
    relative_error,
    rounded,
    run,
    scratch,
    to_panels,
)

from fastmlp import Dense, Network
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.operations import losses
from fastmlp.losses import Loss
from fastmlp.reference import losses as formulas
from fastmlp.reference.activations import ACTIVATIONS

UNITS = (1, 2, 7, 15, 16, 17, 40)
CANARY = -987.25
SCALE = 0.37

PAIRS = {name: loss for name, loss in LOSSES.items() if loss.partner}

Formula = Callable[..., Array]


def computed(kernel: Any, P: Array, y: Array, weights: Array, numbers: Sequence[float] = (0.0,)) -> tuple[Array, Array]:
    """Return the losses (rows,) and delta (rows, units) of a kernel for P, which is A or Z. Check the canaries."""
    rows, units = P.shape
    capacity = (-(-rows // PANEL) + 1) * PANEL
    delta = to_panels(np.full_like(P, CANARY), capacity, CANARY)
    found = np.full(capacity, CANARY)
    row_weights = np.zeros(capacity)
    row_weights[:rows] = weights
    arguments = (delta, to_panels(P, capacity, 0.5), to_panels(y, capacity), row_weights, found)
    sizes = rows, units, y.shape[1], capacity * PANEL
    with scratch(units, P.dtype.name) as work:
        run(kernel, P.dtype.name, *arguments, *sizes, SCALE, work, np.array([*numbers, 0.0]))
    assert (delta[:, -PANEL:] == CANARY).all()
    assert (found[-PANEL:] == CANARY).all()
    assert (from_panels(delta)[:rows, units:] == 0).all()
    return found[:rows], from_panels(delta)[:rows, :units]


def check(
    kernel: Any, P: Array, y: Array, dtype: str, value: Formula, delta: Formula, numbers: tuple[float, ...]
) -> None:
    """Check a kernel of P, which is A or Z, against the formulas of the loss and of delta."""
    (P, P64), (y, y64) = rounded(P, dtype), rounded(y, dtype)
    weights, weights64 = rounded(np.random.default_rng(4).uniform(0.1, 2, len(P)), dtype)
    weights[::5] = weights64[::5] = 0
    found, deltas = computed(kernel, P, y, weights, numbers)
    assert relative_error(found, value(P64, y64, *numbers) * weights64) <= TOLERANCE[dtype]
    assert relative_error(deltas, delta(P64, y64, *numbers) * (weights64 * SCALE)[:, None]) <= TOLERANCE[dtype]


def targets(rows: int, units: int, kind: str, loss: Loss) -> Array:
    rng = np.random.default_rng(rows + units)
    if loss.targets == "signs":
        return rng.choice([-1.0, 1.0] if kind == "one-hot" else [0.0, 1.0], (rows, units))
    columns = loss.target_columns(units)
    if loss.targets == "positive":
        return rng.gamma(2.0, size=(rows, units)) + 0.1
    if loss.targets == "counts":
        return rng.poisson(2.0, (rows, units)) if kind == "one-hot" else rng.uniform(0, 5, (rows, units))
    if kind == "one-hot" and columns == units:
        return np.eye(units)[rng.integers(0, units, rows)]
    return rng.uniform(0, 1, (rows, columns))


def test_every_loss_of_the_reference_has_its_kernels() -> None:
    assert losses.LOSSES.keys() == formulas.LOSSES.keys() == {loss.name for loss in LOSSES.values()}
    assert {(LOSSES[name].partner, name) for name in losses.EXACT_PAIRS} == formulas.EXACT_PAIRS.keys()
    assert losses.EXACT_PAIRS.keys() == {loss.name for loss in PAIRS.values()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["one-hot", "soft"])
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_outputs_follow_the_formula(name: str, units: int, kind: str, dtype: str) -> None:
    loss = LOSSES[name]
    formula, units = formulas.LOSSES[loss.name], outputs_for(loss, units)
    for rows in BATCHES:
        A = np.random.default_rng(rows).uniform(0.02, 0.98, (rows, units))
        if loss.targets in ("values", "signs"):
            A = 4 * A - 2
        y = targets(rows, units, kind, loss)
        check(losses.LOSSES[loss.name], A, y, dtype, formula.value, formula.gradient, loss.parameters)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("largest", "kind"),
    heavy_but(
        [(1.0, "soft"), (30.0, "one-hot"), (1e4, "soft")], itertools.product([1.0, 30.0, 1e4], ["one-hot", "soft"])
    ),
)
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", PAIRS)
def test_exact_pairs_follow_the_formula_from_logits(
    name: str, units: int, largest: float, kind: str, dtype: str
) -> None:
    loss = PAIRS[name]
    pair, g = formulas.EXACT_PAIRS[loss.partner, loss.name], ACTIVATIONS[loss.partner].forward
    if loss.partner == "exponential":
        largest = min(largest, 20.0)  # the loss contains e^z, which is infinite for 1e4

    def delta(Z: Array, y: Array, *numbers: float) -> Array:
        return pair.delta(g(Z), y, *numbers)

    for rows in BATCHES:
        Z = np.random.default_rng(rows).uniform(-largest, largest, (rows, units))
        Z.flat[0] = largest
        Z.flat[-1] = -largest
        y = targets(rows, units, kind, loss)
        check(losses.EXACT_PAIRS[loss.name], Z, y, dtype, pair.value, delta, loss.parameters)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["binary_crossentropy", "categorical_crossentropy", "kl_divergence"])
def test_logits_of_one_class_far_ahead_cost_nothing_or_their_distance(name: str, dtype: str) -> None:
    y = np.array([[1.0, 0.0], [0.0, 1.0]], dtype)
    Z = np.array([[1e4, -1e4], [1e4, -1e4]], dtype)
    found, delta = computed(losses.EXACT_PAIRS[name], Z, y, np.ones(2, dtype))
    np.testing.assert_array_equal(found, [0.0, 2e4])
    np.testing.assert_allclose(delta, np.array([[0, 0], [SCALE, -SCALE]]), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["binary_crossentropy", "categorical_crossentropy", "kl_divergence"])
def test_outside_of_their_domain_cross_entropies_are_clipped_and_flat(name: str, dtype: str) -> None:
    A = np.array([[0.0, 0.5], [1.0, 0.5], [-3.0, 0.5], [4.0, 0.5], [1e-30, 0.5]], dtype)
    y = np.full((5, 2), 0.3, dtype)
    found, delta = computed(losses.LOSSES[name], A, y, np.ones(5, dtype))
    formula = formulas.LOSSES[name]
    assert relative_error(found, formula.value(A, y)) <= TOLERANCE[dtype]
    assert relative_error(delta, formula.gradient(A, y) * SCALE) <= TOLERANCE[dtype]
    assert (delta[:, 0] == 0).all()
    assert (delta[:, 1] != 0).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernels", ["LOSSES", "EXACT_PAIRS"])
def test_nan_goes_through_to_its_loss_and_its_delta(kernels: str, dtype: str) -> None:
    for name, kernel in getattr(losses, kernels).items():
        for units in (2, 18):
            P, columns = np.full((20, units), 0.4, dtype), LOSSES[name].target_columns(units)
            y = np.full((20, columns), 1.0 if name == "hinge" else 0.5, dtype)
            P[3, units - 1] = np.nan
            found, delta = computed(kernel, P, y, np.ones(20, dtype), LOSSES[name].parameters)
            np.testing.assert_array_equal(np.isnan(found), np.arange(20) == 3, err_msg=name)
            np.testing.assert_array_equal(np.isnan(delta).any(axis=1), np.arange(20) == 3, err_msg=name)
            assert np.isnan(delta[3, -1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_share_of_a_row_reaches_the_loss_unrounded(dtype: str) -> None:
    for rows in (1, 2, 4, 8, 64):
        network = Network([1, Dense(1, "linear")], loss="mean_squared_error", dtype=dtype, seed=0)
        network.set_weights([(np.ones((1, 1)), np.zeros(1))])
        _, [(dW, db)] = network.loss_and_gradients(np.ones((rows, 1)), np.zeros((rows, 1)))
        assert (dW[0, 0], db[0]) == (2.0, 2.0)  # type: ignore[index]  # 2 (a - y) times rows / rows, all exact


@pytest.mark.parametrize("name", ["categorical_crossentropy", "kl_divergence"])
def test_what_all_logits_of_a_row_have_in_common_costs_no_digits(name: str) -> None:
    Z, y = np.array([[9.0, 0.0, -3.0]], np.float32), np.array([[1.0, 0.0, 0.0]], np.float32)
    found = [computed(losses.EXACT_PAIRS[name], Z + shift, y, np.ones(1))[0] for shift in np.float32([0, 64])]
    np.testing.assert_array_equal(found[1], found[0])
    expected = np.log1p(np.exp(-9.0) + np.exp(-12.0))
    np.testing.assert_allclose(found[0], expected, rtol=1e-3)  # of 1.00013, in float32
