"""Compiled gradients match differences of the compiled loss and the reference. Predictions match the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import (
    BATCHES,
    DTYPES,
    OPTIONS,
    PAIRS,
    SIZES,
    TOLERANCE,
    Array,
    Training,
    data_for,
    each_part_once,
    largest_error,
    relative_error,
    sample_weights,
    tensors,
)

from fastmlp import Dense, Network, check_gradients
from fastmlp._engine.purposes import LOSS
from fastmlp.reference import Network as Reference
from fastmlp.reference.activations import ACTIVATIONS
from fastmlp.reference.losses import LOSSES

SLOPES = 1e-6
KINK = 1e-3
STEP = 1e-5


def away_from_kinks(network: Any, X: Array) -> Array:
    """Return the rows whose every Z is at a distance from the kinks of its activation."""
    trace = Reference.like(network, "float64").forward(X)
    far = np.ones(len(X), bool)
    for Z, layer in zip(trace.Z, network.architecture.layers, strict=True):
        for kink in ACTIVATIONS[layer.activation.formula].kinks:
            far &= (np.abs(Z - kink) > KINK).all(axis=1)
    return far


def away_from_kinks_of_the_loss(network: Any, X: Array, y: Array) -> Array:
    """Return the rows whose outputs are at a distance from the kink of the loss."""
    loss = network.architecture.loss
    kink = LOSSES[loss.name].kink
    if kink is None:
        return np.ones(len(X), bool)
    A = Reference.like(network, "float64").predict(X)
    return (np.abs(kink(A, y, *loss.parameters)) > KINK).all(axis=1)


def slopes(network: Network, X: Array, y: Array, weights: Array) -> list[Array]:
    """The central differences of the compiled loss at every parameter."""
    pairs = network.get_weights()
    found = []
    for tensor in tensors(pairs):
        slope = np.empty_like(tensor)
        for i in np.ndindex(tensor.shape):
            start = tensor[i]
            sides = []
            for moved in (start + STEP, start - STEP):
                tensor[i] = moved
                network.set_weights(pairs)
                sides.append(network.evaluate(X, y, weights)["loss"])
            tensor[i] = start
            slope[i] = (sides[0] - sides[1]) / (2 * STEP)
        found.append(slope)
    network.set_weights(pairs)
    return found


@pytest.mark.parametrize("name", each_part_once(PAIRS))
def test_gradients_are_the_slopes_of_the_loss(name: str) -> None:
    network = PAIRS[name].make(Network, "float64")
    X, y = data_for(network, 24, "float64")
    far = away_from_kinks(network, X) & away_from_kinks_of_the_loss(network, X, y)
    X, y = X[far], y[far]
    assert len(X) >= 12
    weights = sample_weights("random", len(X))
    weights[1] = 0
    if not network.architecture.exact_pair and network.architecture.loss.targets in ("classes", "binary", "counts"):
        A = network.predict(X)
        assert ((A > 0.01) & (A < 0.99)).all()
    _, gradients = network.loss_and_gradients(X, y, weights)
    for g, slope in zip(tensors(gradients), slopes(network, X, y, weights), strict=True):
        assert np.abs(g - slope).max() / max(np.abs(g).max(), 1e-6) <= SLOPES


def check_against_reference(case: Training, rows: int, dtype: str, weights: Array | None = None) -> None:
    """Compare loss and gradients with the reference in float64, from the same rounded numbers."""
    network = case.make(Network, dtype)
    X, y = data_for(network, rows, dtype)
    y64 = y if y.ndim == 1 and y.dtype.kind == "i" else y.astype(np.float64)
    reference = Reference.like(network, "float64")
    loss, gradients = network.loss_and_gradients(X, y, weights)
    expected_loss, expected = reference.loss_and_gradients(X.astype(np.float64), y64, weights)
    assert loss == pytest.approx(expected_loss, rel=TOLERANCE[dtype])
    assert largest_error(gradients, expected) <= TOLERANCE[dtype]
    assert all(g.dtype == dtype for g in tensors(gradients))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_those_of_the_reference(name: str, dtype: str) -> None:
    check_against_reference(PAIRS[name], 33, dtype, sample_weights("zeros", 33))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIONS)
def test_gradients_of_every_option_are_those_of_the_reference(name: str, dtype: str) -> None:
    check_against_reference(OPTIONS[name], 20, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [*BATCHES, 300, 1100])
def test_gradients_over_any_number_of_rows_are_those_of_the_reference(rows: int, dtype: str) -> None:
    layers = (17, Dense(33, "tanh", l2=0.1), Dense(9, l1=0.01), 3)
    check_against_reference(Training(layers, {"output": "softmax"}), rows, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", ["linear", "softmax", "sigmoid", "tanh"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradients_of_any_size_are_those_of_the_reference(size: tuple[int, int, int], output: str, dtype: str) -> None:
    if output == "softmax" and size[-1] == 1:
        output = "sigmoid"
    check_against_reference(Training(size, {"output": output}), 19, dtype)


# Input gradients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PAIRS if name.endswith("-mean_squared_error")])
def test_input_gradients_are_the_slopes_of_the_outputs(name: str) -> None:
    network = PAIRS[name].make(Network, "float64")
    X, _ = data_for(network, 9, "float64")
    X = X[away_from_kinks(network, X)]
    jacobian = network.input_gradients(X)
    assert jacobian.shape == (len(X), 3, 4)
    for i in range(4):
        nudge = STEP * (np.arange(4) == i)
        slope = (network.predict(X + nudge) - network.predict(X - nudge)) / (2 * STEP)
        assert np.abs(jacobian[:, :, i] - slope).max() / max(np.abs(jacobian).max(), 1e-6) <= SLOPES


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*each_part_once(PAIRS), *OPTIONS])
def test_what_a_network_says_is_what_the_reference_says(name: str, dtype: str) -> None:
    """Predictions, hidden activations, the Jacobian, metrics."""
    case = {**PAIRS, **OPTIONS}[name]
    network = case.make(Network, dtype)
    reference = Reference.like(network, "float64")
    X, y = data_for(network, 33, dtype)
    X64, y64 = X.astype(np.float64), y if y.dtype.kind == "i" else y.astype(np.float64)
    tolerance = TOLERANCE[dtype]
    assert relative_error(network.predict(X), reference.predict(X64)) <= tolerance
    assert relative_error(network.input_gradients(X), reference.input_gradients(X64)) <= tolerance
    hidden, expected = network.hidden_activations(X), reference.hidden_activations(X64)
    assert len(hidden) == len(expected) == len(network.architecture.layers) - 1
    for got, truth in zip(hidden, expected, strict=True):
        assert relative_error(got, truth) <= tolerance
    weights = sample_weights("random", 33)
    metrics, truths = network.evaluate(X, y, weights), reference.evaluate(X64, y64, weights)
    assert list(metrics) == list(truths)
    for key, value in truths.items():
        assert metrics[key] == pytest.approx(value, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [0, *BATCHES, 255, 256, 257, 600])
def test_predictions_of_any_number_of_rows_are_the_same_bits(rows: int, dtype: str) -> None:
    network = OPTIONS["five layers"].make(Network, dtype)
    X, _ = data_for(network, 600, dtype)
    expected = network.predict(X)
    np.testing.assert_array_equal(network.predict(X[:rows]), expected[:rows])
    for batch_size in (1, 16, 17, 1000):
        np.testing.assert_array_equal(network.predict(X[:rows], batch_size=batch_size), expected[:rows])


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_may_lie_in_any_way(dtype: str) -> None:
    network = OPTIONS["five layers"].make(Network, dtype)
    X, y = data_for(network, 40, dtype)
    expected = network.predict(X)
    wide = np.full((80, 19), np.nan, dtype)
    wide[::2, 5:12] = X
    layouts = [np.asfortranarray(X), wide[::2, 5:12], X[::-1][::-1], X.astype(X.dtype.newbyteorder()), X.tolist()]
    for given in layouts:
        np.testing.assert_array_equal(network.predict(given), expected)
        assert largest_error(network.loss_and_gradients(given, y)[1], network.loss_and_gradients(X, y)[1]) == 0.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_classes_are_those_of_the_reference(dtype: str) -> None:
    for outputs, output in ((3, "softmax"), (1, "sigmoid")):
        network: Any = Network([9, 17, outputs], output=output, dtype=dtype, seed=1)
        X, _ = data_for(network, 100, dtype)
        classes = network.predict_classes(X)
        np.testing.assert_array_equal(classes, Reference.like(network).predict_classes(X))
        assert len(set(classes.tolist())) > 1


# The check that users run --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", ["penalties", "hidden softmax", "several sigmoid outputs", "no bias", "sizes 17-33-15", "dropout"]
)
def test_a_compiled_network_passes_the_gradient_check(name: str, dtype: str) -> None:
    network = OPTIONS[name].make(Network, dtype)
    report = check_gradients(network, *data_for(network, 20, dtype), samples=20)
    assert report.ok, str(report)
    assert all(tensor.compiled is not None for tensor in report.tensors)


def test_the_gradient_check_sees_a_derivative_that_is_left_out() -> None:
    network = OPTIONS["five layers"].make(Network, "float64")
    rows = data_for(network, 20, "float64")
    assert check_gradients(network, *rows, samples=5).ok
    network._engine.plans.get(LOSS, 20)._layers[3].derivative = 0
    report = check_gradients(network, *rows, samples=5)
    assert [tensor.ok for tensor in report.tensors] == [tensor.layer > 3 for tensor in report.tensors]
