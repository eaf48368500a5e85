"""GradientMonitor: norms, dead and saturated units are those of the reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from behaviour import small_network
from recording import LABELS, X, fitted

from fastmlp import SGD, Dense, GradientMonitor, LambdaCallback, Network
from fastmlp.activations import ACTIVATIONS
from fastmlp.reference import Network as Reference
from fastmlp.reference.activations import formula_of


def norm(array: Any) -> float:
    return math.sqrt(float((np.asarray(array, np.float64) ** 2).sum()))


def test_each_layer_is_measured_after_each_epoch() -> None:
    layers: list[int | Dense] = [3, Dense(6, "tanh", dropout=0.2, l2=1e-3), Dense(5, l1=1e-4), Dense(3, "softmax")]
    network, monitor, twins = Network(layers, dtype="float64", seed=7), GradientMonitor(X, LABELS), list[Any]()
    twin = LambdaCallback(on_epoch_end=lambda epoch, logs: twins.append(Reference.like(network)))
    fitted(twin, monitor, network=network)
    assert monitor.epoch == [0, 1, 2]
    assert monitor.layers == ["1: 3-6 tanh", "2: 6-5 relu", "3: 5-3 softmax"]
    assert list(monitor.history) == ["weight_norm", "gradient_norm", "activation_rms", "dead", "saturated"]
    for place, reference in enumerate(twins):
        outputs = [*reference.hidden_activations(X), reference.predict(X)]
        expected = {
            "weight_norm": [norm(W) for W, _ in reference.get_weights()],
            "gradient_norm": [norm(dW) for dW, _ in reference.loss_and_gradients(X, LABELS)[1]],
            "activation_rms": [norm(A) / math.sqrt(A.size) for A in outputs],
            "dead": [math.nan, sum(not unit.any() for unit in outputs[1].T) / 5, math.nan],
        }
        for name, values in expected.items():
            assert monitor.history[name][place] == pytest.approx(values, rel=1e-10, nan_ok=True)
        assert math.isfinite(monitor.history["saturated"][place][0])
        assert all(math.isnan(share) for share in monitor.history["saturated"][place][1:])
    assert all(type(value) is float for entry in monitor.history.values() for values in entry for value in values)


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_a_unit_that_is_0_for_all_rows_is_dead(activation: str) -> None:
    network = Network([3, Dense(4, activation), 3], output="softmax", optimizer=SGD(0.0), seed=0)
    (W, _), last = network.get_weights()
    network.set_weights([(W, np.array([-1e3, 1e3, -1e3, 0.0])), last])
    monitor = GradientMonitor(X, LABELS)
    fitted(monitor, network=network, epochs=1)
    assert monitor.history["dead"][0] == [0.5, pytest.approx(math.nan, nan_ok=True)]
    dead = [not dW[:, unit].any() for dW in [network.loss_and_gradients(X, LABELS)[1][0][0]] for unit in (0, 2)]
    assert dead == [True, True]


@pytest.mark.parametrize(("name", "scale"), [("sigmoid", 12), ("tanh", 6)])
def test_saturated_means_a_slope_below_6_percent_of_the_steepest(name: str, scale: int) -> None:
    network = Network([3, Dense(40, name), 3], output="softmax", optimizer=SGD(0.0), dtype="float64", seed=0)
    (W, b), last = network.get_weights()
    network.set_weights([(scale * W, b), last])
    monitor = GradientMonitor(X, LABELS)
    fitted(monitor, network=network, epochs=1)
    Z, A = X @ network.get_weights()[0][0], network.hidden_activations(X)[0]
    formula = formula_of(ACTIVATIONS[name])
    slopes = formula.backward(np.ones_like(Z), Z, A)
    steepest = formula.backward(1.0, 0.0, formula.forward(np.zeros(1))).item()
    share = np.mean(slopes < (1 - 0.97**2) * steepest)
    assert 0.1 < share < 0.9
    assert monitor.history["saturated"][0][0] == share


def test_hard_sigmoid_is_saturated_where_it_is_flat() -> None:
    network = Network([3, Dense(2, "hard_sigmoid"), 3], output="softmax", optimizer=SGD(0.0), seed=0)
    (W, _), last = network.get_weights()
    network.set_weights([(W, np.array([0.0, 1e3])), last])
    monitor = GradientMonitor(X * 0.1, LABELS)
    fitted(monitor, network=network, epochs=1)
    assert monitor.history["saturated"][0][0] == 0.5


def test_gradients_vanish_in_a_deep_sigmoid_network() -> None:
    network = Network([3, *(Dense(16, "sigmoid") for _ in range(6)), 3], output="softmax", seed=0)
    monitor = GradientMonitor(X, LABELS)
    fitted(monitor, network=network, epochs=1)
    norms = monitor.history["gradient_norm"][0]
    assert norms == sorted(norms)
    assert norms[0] < 1e-3 * norms[-1]


def test_every_selects_the_epochs_and_each_fit_resets_the_monitor() -> None:
    monitor = GradientMonitor(X[:5], LABELS[:5], every=3)
    network = fitted(monitor, epochs=7)
    assert monitor.epoch == [2, 5]
    assert {len(values) for values in monitor.history.values()} == {2}
    fitted(monitor, network=network, epochs=2)
    assert monitor.epoch == [8]


def test_norms_are_right_where_squares_overflow_float32() -> None:
    network = Network([2, 2], optimizer=SGD(0.0), seed=0)
    network.set_weights([([[3e25, 0], [0, 4e25]], [0, 0])])
    monitor = GradientMonitor([[1e-20, 0.0], [0.0, 1e-20]], np.zeros((2, 2)))
    network.fit([[1e-20, 0.0]], [[0.0, 0.0]], callbacks=[monitor])
    assert monitor.history["weight_norm"][0] == [pytest.approx(5e25, rel=1e-6)]


@pytest.mark.parametrize(
    ("X_given", "y_given", "error", "message"),
    [
        (X[:, :2], LABELS, ValueError, "GradientMonitor: X must have"),
        (X[:4], LABELS[:5], ValueError, "GradientMonitor: X and y must have the same number of rows"),
        (X[:0], LABELS[:0], ValueError, "GradientMonitor: X must have at least one row"),
        (X, None, (TypeError, ValueError), "GradientMonitor: y"),
        (None, None, (TypeError, ValueError), "GradientMonitor: X"),
    ],
)
def test_invalid_rows_are_refused_before_the_first_step(X_given: Any, y_given: Any, error: Any, message: str) -> None:
    network = small_network()
    with pytest.raises(error, match=message):
        fitted(GradientMonitor(X_given, y_given), network=network)
    assert network.step == 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: GradientMonitor(X, LABELS, every=0), ValueError, "every must be at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
