"""`check_gradients` accepts right gradients, finds wrong ones, and reports what it could not measure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.gradient_check import GradientReport, check_gradients
from fastmlp.layers import Dense
from fastmlp.reference import Network
from fastmlp.reference import activations as formulas


class Compiled:
    """A stand-in for a compiled network: a reference network whose bias gradients can be falsified."""

    def __init__(self, network: Network, factor: float = 1.0) -> None:
        self.network, self.factor = network, factor
        self.architecture, self.epoch, self.step = network.architecture, network.epoch, network.step
        self.get_weights = network.get_weights

    def loss_and_gradients(self, X: Any, y: Any, sample_weight: Any = None) -> tuple[float, Any]:
        loss, gradients = self.network.loss_and_gradients(X, y, sample_weight)
        return loss, [(dW, None if db is None else self.factor * db) for dW, db in gradients]


def toy(n: int = 20) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    return rng.normal(size=(n, 3)), rng.uniform(0.1, 0.9, (n, 2))


def tanh_network(dtype: str = "float64") -> Network:
    layers: list[int | Dense] = [3, Dense(5, "tanh", dropout=0.3, l2=0.1), Dense(4, "tanh", use_bias=False), 2]
    return Network(layers, output="softmax", dtype=dtype, seed=1)


NETWORKS: dict[str, dict[str, Any]] = {
    "relu, softmax, categorical cross-entropy": {"output": "softmax"},
    "softmax, sigmoid, binary cross-entropy": {"activation": "softmax", "output": "sigmoid"},
    "sigmoid, softmax, squared error": {
        "activation": "sigmoid",
        "output": "softmax",
        "loss": "mean_squared_error",
    },
    "tanh, linear, squared error": {"activation": "tanh", "output": "linear"},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_right_gradients_are_called_right(name: str, dtype: str) -> None:
    net = Network([3, Dense(6, l1=0.01), Dense(5, dropout=0.5, l2=0.1), 2], dtype=dtype, seed=1, **NETWORKS[name])
    report = check_gradients(net, *toy(), sample_weight=np.arange(20.0))
    assert report.ok, str(report)
    assert [(tensor.layer, tensor.tensor) for tensor in report.tensors] == [(l, t) for l in range(3) for t in "Wb"]
    assert all(0 < tensor.checked <= tensor.size for tensor in report.tensors)
    assert all(tensor.difference > 0 and tensor.compiled is None for tensor in report.tensors)


def test_a_wrong_derivative_is_found_in_the_layers_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = formulas.Formula(np.tanh, lambda dA, Z, A: dA * (1 - A))
    monkeypatch.setitem(formulas.ACTIVATIONS, "tanh", wrong)
    report = check_gradients(tanh_network(), *toy())
    assert not report.ok
    assert [tensor.ok for tensor in report.tensors] == [False, False, False, True, True]
    assert "WRONG" in str(report)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize(("error", "right"), [(0.0, True), (0.3, True), (3.0, False), (np.nan, False)])
def test_a_compiled_network_is_compared_with_the_reference(
    dtype: str, tolerance: float, error: float, right: bool
) -> None:
    report = check_gradients(Compiled(tanh_network(dtype), 1 + error * tolerance), *toy())
    assert report.ok == right
    for tensor in report.tensors:
        assert tensor.compiled is not None
        assert tolerance < tensor.compiled_tolerance < 2 * tolerance
        assert tensor.ok == (right or tensor.tensor == "W")


def test_a_network_that_is_certain_of_every_row_is_still_right() -> None:
    X = np.array([[1.0], [-1.0]])
    network = fastmlp.Network([1, Dense(2, "softmax")], seed=0)
    network.set_weights([(np.array([[6.0, -6.0]]), np.array([0.1, -0.1]))])  # p - y is about 1e-5, rounded to 6e-8
    report = check_gradients(network, X, [0, 1])
    assert report.ok, str(report)
    assert max(tensor.compiled for tensor in report.tensors if tensor.compiled is not None) > 1e-4


@pytest.mark.parametrize("kind", [Network, fastmlp.Network])
def test_a_gradient_of_zero_is_right(kind: Any) -> None:
    network = kind([3, Dense(4, "tanh"), 2], dtype="float64", seed=0)
    (W, b), (V, c) = network.get_weights()
    network.set_weights([(W, b), (0 * V, c)])  # nothing of the first layer reaches the loss
    assert check_gradients(network, *toy()).ok


def test_weights_of_samples_reach_the_compiled_network() -> None:
    class IgnoresWeights(Compiled):
        def loss_and_gradients(self, X: Any, y: Any, sample_weight: Any = None) -> tuple[float, Any]:
            return super().loss_and_gradients(X, y)

    weights = np.arange(20.0)
    assert check_gradients(Compiled(tanh_network()), *toy(), sample_weight=weights).ok
    assert not check_gradients(IgnoresWeights(tanh_network()), *toy(), sample_weight=weights).ok


def test_parameters_at_a_kink_are_left_out() -> None:
    X, y = toy()
    X[0] = 0  # with biases of 0, every relu of the first layer is at its kink in this row
    report = check_gradients(Network([3, Dense(4, "relu"), 2], dtype="float64", seed=0), X, y)
    W, b, *rest = report.tensors
    assert W.ok
    assert W.checked == W.size
    assert not b.ok
    assert b.checked == 0
    assert all(tensor.ok for tensor in rest)
    assert not report.ok
    assert "at kinks" in str(report)


def test_weights_at_the_kink_of_their_penalty_are_left_out() -> None:
    net = Network([3, Dense(4, "tanh", l1=0.1), 2], dtype="float64", seed=0)
    net.W[0][0, :2] = 0, 1e-8
    report = check_gradients(net, *toy())
    assert report.ok, str(report)
    assert report.tensors[0].checked == report.tensors[0].size - 2


def test_samples_and_seed_choose_what_is_measured() -> None:
    def check(**options: int) -> GradientReport:
        return check_gradients(tanh_network(), *toy(), **options)

    assert [tensor.checked for tensor in check(samples=3).tensors] == [3, 3, 3, 3, 2]
    assert check(samples=3, seed=1) == check(samples=3, seed=1) != check(samples=3, seed=2)


def test_a_vanished_gradient_beside_a_large_loss_is_not_called_wrong_for_its_rounding() -> None:
    X, y = toy()
    y = 1e4 * y
    net = Network([3, Dense(2, "linear")], loss="mean_squared_error", dtype="float64", seed=0)
    best = np.linalg.lstsq(np.c_[X, np.ones(len(X))], y, rcond=None)[0]
    net.set_weights([(best[:3], best[3])])
    report = check_gradients(net, X, y)
    assert report.ok, str(report)
    assert all(tensor.difference > 1e-6 for tensor in report.tensors)


def test_the_network_is_not_changed() -> None:
    net = tanh_network("float32")
    X, y = toy()
    net.fit(X, y)
    before, counters = net.get_weights(), (net.epoch, net.step)
    check_gradients(net, X, y)
    for (W, b), (V, c) in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(W, V)
        np.testing.assert_array_equal(b, c)
    assert (net.epoch, net.step) == counters


def test_a_report_prints_one_line_for_each_tensor() -> None:
    report = check_gradients(tanh_network(), *toy())
    head, *lines, verdict = str(report).splitlines()
    assert head.split() == ["tensor", "checked", "differences", "compiled"]
    assert [line.split()[:2] for line in lines] == [
        ["W[0]", "15/15"], ["b[0]", "5/5"], ["W[1]", "20/20"], ["W[2]", "8/8"], ["b[2]", "2/2"],
    ]  # fmt: skip
    assert verdict == "All gradients are right."


@pytest.mark.parametrize(("options", "message"), [
    ({"samples": 0}, "samples must be at least 1, got 0"),
    ({"step": 0.0}, "step must be at least 1e-12"),
    ({"sample_weight": [1.0]}, r"sample_weight must have shape \(20,\), got \(1,\)"),
])  # fmt: skip
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_gradients(tanh_network(), *toy(), **options)


def test_columns_are_taken_by_name_and_labels_may_be_strings() -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.normal(size=(20, 3)), columns=["a", "b", "c"])
    labels = np.array(["no", "yes"])[rng.integers(0, 2, 20)]
    network = fastmlp.Network([3, 4, 2], output="softmax", seed=0)
    network.fit(frame, labels)
    assert check_gradients(network, frame[["c", "a", "b"]], labels).ok
