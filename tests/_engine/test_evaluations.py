"""Evaluations by kernels: the loss and the metrics of the rows of validation, beside `Network.evaluate`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import DTYPES, LOSSES, data_for, outputs_for

from fastmlp import Callback, Dense, Network
from fastmlp._engine import evaluations, flops, inference
from fastmlp._engine.engine import engine_of
from fastmlp._engine.evaluations import CODES, Evaluation, can_evaluate
from fastmlp.kernels.host import threads
from fastmlp.losses import Loss
from fastmlp.metrics.evaluation import SelectedMetrics, select_metrics
from fastmlp.metrics.registry import TARGET_KINDS

rng = np.random.default_rng(0)


def network(loss: Loss, dtype: str, outputs: int, **options: Any) -> Network:
    output = loss.partner or {"signs": "tanh", "binary": "sigmoid"}.get(loss.targets, "softplus")
    outputs = max(outputs, 2) if output == "softmax" else outputs
    layers = [4, Dense(9, "gelu", l1=0.01, l2=0.1), Dense(outputs_for(loss, outputs), output)]
    return Network(layers, loss=loss, dtype=dtype, seed=1, **options)


def metrics_of(loss: Loss) -> SelectedMetrics:
    """Return the metrics that kernels compute and that suit a loss."""
    kind = TARGET_KINDS[loss.targets]
    if not loss.has_estimates or not kind.default_metrics:
        return {}
    names = ["accuracy"] if kind.default_metrics == ("accuracy",) else sorted(CODES.keys() - {"accuracy"})
    return select_metrics(names, loss)


def evaluated(net: Network, X: Any, y: Any, weights: Any, metrics: SelectedMetrics) -> dict[str, float]:
    samples = net._check_samples(X, y, weights)
    return Evaluation(engine_of(net).plans, samples, metrics)()


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_values_are_those_of_evaluate(loss: Loss, outputs: int) -> None:
    for dtype in DTYPES:
        net, metrics = network(loss, dtype, outputs), metrics_of(loss)
        for rows in (1, 17, 1500):  # more rows than a piece has
            X, y = data_for(net, rows, dtype)
            for weights in (None, rng.uniform(0.1, 2, rows)):
                asked = {name: metric for name, metric in metrics.items() if rows > 1 or name != "r2"}
                found = evaluated(net, X, y, weights, asked)
                expected = net.evaluate(X, y, weights, metrics=asked)
                assert list(found) == list(expected)
                assert found["loss"] == expected["loss"]
                for name, value in expected.items():
                    assert found[name] == pytest.approx(value, rel=1e-6 if dtype == "float32" else 1e-12), name


def test_targets_of_every_form_are_compared() -> None:
    net = Network([4, 3], output="softmax", dtype="float64", seed=0)
    X, labels = rng.normal(size=(50, 4)), rng.integers(0, 3, 50)
    metrics = select_metrics(["accuracy"], net.architecture.loss)
    for y in (labels, np.eye(3)[labels], rng.dirichlet(np.ones(3), 50)):
        assert evaluated(net, X, y, None, metrics)["accuracy"] == pytest.approx(
            net.evaluate(X, y, metrics=metrics)["accuracy"], rel=1e-14
        )


def test_equal_targets_have_the_r2_of_the_metric() -> None:
    net = Network([2, 2], dtype="float64", seed=0)
    net.set_weights([(np.zeros((2, 2)), np.array([0.1, 5.0]))])
    X, metrics = rng.normal(size=(9, 2)), select_metrics(["r2"], net.architecture.loss)
    y = np.c_[np.full(9, 0.1), np.full(9, 4.0)]
    assert evaluated(net, X, y, None, metrics)["r2"] == net.evaluate(X, y, metrics=metrics)["r2"] == 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_layout_and_the_threads_change_no_bit(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = min(2, threads.available())
    X, y, weights = rng.normal(size=(3000, 20)).astype(dtype), rng.normal(size=(3000, 2)), rng.uniform(0, 2, 3000)
    layers = [20, Dense(40, "tanh", l2=0.1), 2]
    metrics = metrics_of(Network(layers, seed=0).architecture.loss)
    found = []
    for limit in (0.0, 1e18):  # pieces, or one call
        monkeypatch.setattr(evaluations, "SERIAL_FLOPS", limit)
        for each in (1, count):
            net = Network(layers, dtype=dtype, seed=0, threads=each)
            found.append(evaluated(net, X, y, weights, metrics))
    net = Network(layers, dtype=dtype, seed=0)
    samples = net._check_samples(np.asfortranarray(X), y, weights)
    monkeypatch.setattr(evaluations, "converted_if_small", lambda array, dtype: array)
    found.append(Evaluation(engine_of(net).plans, samples, metrics)())
    assert all(each == found[0] for each in found)
    assert flops.SERIAL_FLOPS > 0
    assert inference.GRADIENT_ROWS < 3000


def test_a_fit_reports_what_evaluate_says() -> None:
    net = Network([4, 9, 3], output="softmax", dtype="float64", seed=0)
    X, y, weights = rng.normal(size=(60, 4)), rng.integers(0, 3, 60), rng.uniform(0, 2, 60)
    history = net.fit(X[:30], y[:30], epochs=3, validation_data=(X[30:], y[30:], weights[30:]))
    values = net.evaluate(X[30:], y[30:], weights[30:])
    assert history["val_loss"][-1] == values["loss"]
    assert history["val_accuracy"][-1] == pytest.approx(values["accuracy"], rel=1e-14)
    net.freeze(0)
    history = net.fit(X[:30], y[:30], epochs=1, validation_data=(X[30:], y[30:]), metrics=["roc_auc", "accuracy"])
    assert list(history) == ["loss", "val_loss", "val_roc_auc", "val_accuracy"]


def test_metrics_that_kernels_do_not_compute_are_left_to_numpy() -> None:
    loss = Network([4, 3], output="softmax").architecture.loss
    assert can_evaluate(select_metrics(["accuracy"], loss))
    assert not can_evaluate(select_metrics(["accuracy", "roc_auc"], loss))

    def accuracy(y: Any, predictions: Any) -> float:
        return 0.5

    assert not can_evaluate(select_metrics([accuracy], loss))


def test_layers_that_are_trained_again_have_their_penalties_again() -> None:
    class Thaw(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            self.losses = [*getattr(self, "losses", []), self.network.evaluate(X[30:], y[30:])["loss"]]
            self.network.unfreeze()

    net = Network([4, Dense(9, l2=1.0, trainable=False), 2], dtype="float64", seed=0)
    X, y, thaw = rng.normal(size=(60, 4)), rng.normal(size=(60, 2)), Thaw()
    history = net.fit(X[:30], y[:30], epochs=3, validation_data=(X[30:], y[30:]), callbacks=[thaw])
    assert history["val_loss"] == thaw.losses
