"""A compiled training is the reference's: losses, metrics and weights, for every kind of network and fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import OPTIONS, PAIRS, TRAININGS, Training, data_for, each_part_once, largest_error, relative_error, tensors

from fastmlp import SGD, Adam, AdamW, Dense, Nadam, Network, StepDecay
from fastmlp.optimizers import Optimizer
from fastmlp.reference import Network as Reference

EPOCHS = 3
WHOLE_TRAINING = 1e-9
FLOAT32 = 1e-5

Both = tuple[Any, Any]


def both(case: Training, dtype: str, epochs: int) -> Both:
    """The compiled network and the reference, each after the same fit."""
    networks = case.make(Network, dtype), case.make(Reference, dtype)
    for network in networks:
        network.fit(**case.arguments(network, dtype), epochs=epochs)
    return networks


def check_history(network: Any, reference: Any, tolerance: float) -> None:
    """Compare every loss and metric of every epoch, relative to at least 1, because a metric may be 0."""
    got, expected = network.history.history, reference.history.history
    assert set(got) == set(expected)
    for name, values in expected.items():
        if name.endswith("loss"):
            np.testing.assert_allclose(got[name], values, rtol=tolerance, atol=1e-300, err_msg=name)
        else:
            np.testing.assert_allclose(got[name], values, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("name", TRAININGS)
def test_three_epochs_in_float64_are_those_of_the_reference(name: str) -> None:
    network, reference = both(TRAININGS[name], "float64", EPOCHS)
    check_history(network, reference, WHOLE_TRAINING)
    assert largest_error(network.get_weights(), reference.get_weights()) <= WHOLE_TRAINING
    assert (network.epoch, network.step) == (reference.epoch, reference.step)
    assert len(network.history.history["loss"]) == EPOCHS


@pytest.mark.parametrize("name", OPTIONS)
def test_training_moves_what_can_be_moved(name: str) -> None:
    case = OPTIONS[name]
    before, after = case.make(Network, "float64").get_weights(), both(case, "float64", EPOCHS)[0].get_weights()
    moved = [bool((b != a).any()) for b, a in zip(tensors(before), tensors(after), strict=True)]
    assert all(moved)


@pytest.mark.parametrize("name", [*each_part_once(PAIRS), *OPTIONS])
def test_a_short_run_in_float32_is_that_of_the_reference(name: str) -> None:
    network, reference = both(TRAININGS[name], "float32", 1)
    check_history(network, reference, FLOAT32)
    assert all(tensor.dtype == np.float32 for tensor in tensors(network.get_weights()))


@pytest.mark.parametrize(
    "loss", ["categorical_crossentropy", "binary_crossentropy", "kl_divergence", "poisson", "half_poisson_deviance"]
)
def test_steps_asked_for_one_by_one_are_those_of_the_reference(loss: str) -> None:
    case = next(case for name, case in PAIRS.items() if name.endswith(f"-{loss}") and not case.centred)
    network, reference = case.make(Network, "float64"), case.make(Reference, "float64")
    X, y = data_for(network, 33, "float64")
    for rows in (33, 1, 16, 17, 5):
        weights = np.linspace(0, 2, rows) if rows > 1 else None
        got = network.train_on_batch(X[:rows], y[:rows], weights)
        assert got == pytest.approx(reference.train_on_batch(X[:rows], y[:rows], weights), rel=WHOLE_TRAINING)
    assert largest_error(network.get_weights(), reference.get_weights()) <= WHOLE_TRAINING


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batches_without_weight_move_nothing_and_cost_nothing(dtype: str) -> None:
    layers: list[int | Dense] = [4, Dense(9, "tanh"), 2]
    network, other = (Network(layers, optimizer=SGD(0.1), dtype=dtype, seed=0) for _ in range(2))
    X, y = data_for(network, 20, dtype)
    history = network.fit(X, y, sample_weight=[0.0] * 16 + [1.0] * 4, batch_size=8, shuffle=False)
    assert history.history["loss"] == [other.train_on_batch(X[16:], y[16:])]
    for weighted, alone in zip(tensors(network.get_weights()), tensors(other.get_weights()), strict=True):
        np.testing.assert_array_equal(weighted, alone)


@pytest.mark.parametrize("optimizer", [Adam, AdamW, Nadam])
def test_rates_that_fade_raise_nothing_whatever_numpy_is_told_to_raise(optimizer: type[Optimizer]) -> None:
    network = Network([3, 1], output="linear", optimizer=optimizer(StepDecay(0.1, step_size=2)), seed=0)
    with np.errstate(all="raise"):
        network.fit(np.eye(3), np.eye(3)[:, 0])
    assert network.step == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_whose_squares_float32_cannot_hold_is_clipped_to_its_norm(dtype: str) -> None:
    optimizer = SGD(1.0, global_clipnorm=0.5)
    network = Network([3, Dense(1, use_bias=False)], output="linear", optimizer=optimizer, dtype=dtype, seed=0)
    before = network.get_weights()[0][0].astype(np.float64)
    network.train_on_batch(np.full((4, 3), 1e10, dtype), np.full((4, 1), 1e12, dtype))
    moved = network.get_weights()[0][0] - before
    assert np.linalg.norm(moved) == pytest.approx(0.5, rel=1e-6)


def test_a_fit_goes_on_where_the_last_one_stopped() -> None:
    case = OPTIONS["dropout"]
    networks = case.make(Network, "float64"), case.make(Reference, "float64")
    for network in networks:
        for epochs in (2, 1):
            network.fit(**case.arguments(network, "float64"), epochs=epochs)
    assert relative_error(networks[0].history.history["loss"], networks[1].history.history["loss"]) <= WHOLE_TRAINING
    assert largest_error(networks[0].get_weights(), networks[1].get_weights()) <= WHOLE_TRAINING


@pytest.mark.parametrize("labels", ["int64", "int32", "uint8", "float64", "one-hot"])
def test_labels_of_any_kind_train_alike(labels: str) -> None:
    case = OPTIONS["one layer of classes"]
    network, expected = case.make(Network, "float64"), case.make(Network, "float64")
    X, y = data_for(network, 40, "float64")
    expected.fit(X, y)
    network.fit(X, np.eye(17)[y] if labels == "one-hot" else y.astype(labels))
    assert largest_error(network.get_weights(), expected.get_weights()) == 0.0
