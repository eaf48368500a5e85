"""Losses beside other libraries, and losses whose targets have fewer columns than the network has outputs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, LOSSES, assert_same_bits, outputs_for, tensors
from sklearn import metrics as sklearn_metrics
from sklearn.exceptions import ConvergenceWarning

from fastmlp import (
    Adam,
    BinaryFocalCrossentropy,
    CosineDecay,
    Dense,
    GaussianNLL,
    Network,
    Quantile,
    Tweedie,
    check_gradients,
    losses,
    to_sklearn,
)
from fastmlp.reference import Network as Reference
from fastmlp.sklearn import MLPRegressor

rng = np.random.default_rng(0)
N = 60
X = rng.normal(size=(N, 3))
LEVELS = (0.1, 0.5, 0.9)


def own_loss(loss: Any, y: Any, outputs: int = 1, weights: Any = None, **options: Any) -> tuple[float, Any]:
    """Return the loss that a network evaluates in float64, and its predictions."""
    net = Network([3, 8, outputs], loss=loss, dtype="float64", seed=0, **options)
    return net.evaluate(X, y, weights)["loss"], net.predict(X)


# Other libraries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, rng.uniform(0.1, 2.0, N)], ids=["", "weighted"])
def test_deviances_and_pinball_losses_are_those_of_scikit_learn(weights: Any) -> None:
    y = rng.gamma(2.0, size=N)
    found, mean = own_loss("gamma", y, weights=weights)
    assert found == pytest.approx(sklearn_metrics.mean_gamma_deviance(y, mean[:, 0], sample_weight=weights) / 2)
    y[::3] = 0
    for power in (1.1, 1.5, 1.99):
        found, mean = own_loss(Tweedie(power), y, weights=weights)
        expected = sklearn_metrics.mean_tweedie_deviance(y, mean[:, 0], sample_weight=weights, power=power)
        assert found == pytest.approx(expected / 2)
    found, quantiles = own_loss(Quantile(LEVELS), y, 3, weights)
    expected = [
        sklearn_metrics.mean_pinball_loss(y, a, sample_weight=weights, alpha=level)
        for a, level in zip(quantiles.T, LEVELS, strict=True)
    ]
    assert found == pytest.approx(np.mean(expected))


def test_gaussian_nll_and_its_gradient_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    y = rng.normal(size=(N, 2))
    net = Network([3, 8, 4], loss=GaussianNLL(1e-3), dtype="float64", seed=0)
    loss, gradients = net.loss_and_gradients(X, y)
    (W0, b0), (W1, b1) = [[torch.tensor(each, requires_grad=True) for each in pair] for pair in net.get_weights()]
    outputs = torch.relu(torch.tensor(X) @ W0 + b0) @ W1 + b1
    variance = torch.exp(outputs[:, 2:]) + 1e-3
    expected = torch.nn.functional.gaussian_nll_loss(outputs[:, :2], torch.tensor(y), variance, eps=1e-12)
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-12)
    for found, parameter in zip(tensors(gradients), (W0, b0, W1, b1), strict=True):
        np.testing.assert_allclose(found, parameter.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (0.0, 0.25), (0.7, 0.25), (5.0, 0.9)])
def test_the_focal_loss_is_that_of_its_paper(gamma: float, alpha: float | None) -> None:
    y = rng.integers(0, 2, N)
    found, p = own_loss(BinaryFocalCrossentropy(gamma, alpha), y, output="sigmoid")
    right = np.where(y == 1, p[:, 0], 1 - p[:, 0])
    weight = 1.0 if alpha is None else np.where(y == 1, alpha, 1 - alpha)
    assert found == pytest.approx(np.mean(-weight * (1 - right) ** gamma * np.log(right)))
    if gamma == 0 and alpha is None:
        assert found == pytest.approx(own_loss("binary_crossentropy", y, output="sigmoid")[0])


# Targets of another width ---------------------------------------------------------------------------------------------


def test_outputs_of_several_targets_stand_side_by_side() -> None:
    y = rng.normal(size=(N, 2))
    net = Network([3, 8, 6], loss=Quantile(LEVELS), dtype="float64", seed=0)
    predicted = net.predict(X)
    expected = [
        sklearn_metrics.mean_pinball_loss(y[:, target], predicted[:, 3 * target + place], alpha=level)
        for target, (place, level) in itertools.product(range(2), enumerate(LEVELS))
    ]
    measured = net.evaluate(X, y)
    assert measured["loss"] == pytest.approx(np.mean(expected))
    assert measured["mean_absolute_error"] == pytest.approx(np.abs(predicted[:, [1, 4]] - y).mean())
    net = Network([3, 8, 4], loss="gaussian_nll", dtype="float64", seed=0)
    assert net.evaluate(X, y)["mean_absolute_error"] == pytest.approx(np.abs(net.predict(X)[:, :2] - y).mean())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", [Quantile(LEVELS), GaussianNLL()], ids=["quantile", "gaussian_nll"])
def test_every_way_of_training_takes_targets_of_that_width(loss: Any, dtype: str, tmp_path: Path) -> None:
    y = X[:, 0] + 0.1 * rng.normal(size=N)
    outputs = outputs_for(loss, 2)

    def network(kind: Any = Network) -> Any:
        return kind([3, 8, outputs], loss=loss, optimizer=Adam(0.01), dtype=dtype, seed=0)

    net, staged, chunks, reference = network(), network(), network(), network(Reference)
    order = {"epochs": 3, "batch_size": 7, "shuffle": False}
    history = net.fit(X, y, validation_data=(X, y[:, None]), **order)
    assert {"loss", "val_loss", "val_mean_absolute_error", "val_r2"} <= history.history.keys()
    staged.fit(X.astype("f2").astype("f8"), y.astype("f2"), **order)  # no kernel reads these where they are
    chunks.fit(lambda: iter([(X[:20], y[:20]), (X[20:], y[20:])]), **order)
    assert_same_bits(chunks.flat_weights(), net.flat_weights())
    reference.fit(X, y, **order)
    for found, expected in zip(tensors(net.get_weights()), tensors(reference.get_weights()), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4 if dtype == "float32" else 1e-10, atol=1e-6)
    few, many = network(), network()
    many._engine.few_row_passes.max_rows = 0
    for each in (few, many):
        each.train_on_batch(X[:9], y[:9])
        each.train_on_batch(X[:9], y[:9], sample_weight=np.arange(9))
        each.apply_gradients(each.gradients(X[:9], y[:9, None]))
        each.train_on_gradient(X[:9], np.ones((9, outputs)))
    assert_same_bits(few.flat_weights(), many.flat_weights())
    net.save(tmp_path / "net.safetensors")
    again = Network.load(tmp_path / "net.safetensors")
    assert again.architecture.loss == loss
    assert again.evaluate(X, y) == net.evaluate(X, y)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_agree_with_central_differences(name: str) -> None:
    loss = LOSSES[name]
    outputs = outputs_for(loss, 2)
    output = {"classes": "softmax", "binary": "sigmoid", "counts": "softplus", "positive": "softplus"}
    layers = [3, Dense(5, "tanh"), Dense(outputs, output.get(loss.targets, "linear"))]
    net = Network(layers, loss=loss, dtype="float64", seed=1)
    y = rng.uniform(0.1, 0.9, (20, loss.target_columns(outputs)))
    y = np.sign(y - 0.5) if loss.targets == "signs" else y
    report = check_gradients(net, X[:20], y)
    assert report.ok, str(report)


def test_quantiles_cover_their_share_of_rows_that_no_fit_saw() -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (4000, 1))
    y = np.sin(3 * x[:, 0]) + (0.1 + 0.4 * (x[:, 0] > 0)) * np.random.default_rng(2).normal(size=4000)
    net = Network([1, 32, 3], loss=Quantile(LEVELS), optimizer=Adam(CosineDecay(0.01, 40 * 60)), seed=0)
    net.fit(x[:2000], y[:2000], epochs=60, batch_size=50)
    below = (y[2000:, None] <= net.predict(x[2000:])).mean(axis=0)
    # A share of 2,000 rows has a deviation of at most 0.0112, and the fit on 2,000 others as much again.
    np.testing.assert_allclose(below, LEVELS, atol=4 * 0.0158)


def test_the_predicted_deviation_follows_that_of_the_target() -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (4000, 1))
    deviation = np.where(x[:, 0] > 0, 0.5, 0.1)
    y = x[:, 0] + deviation * np.random.default_rng(2).normal(size=4000)
    net = Network([1, 32, 2], loss="gaussian_nll", optimizer=Adam(CosineDecay(0.01, 40 * 60)), seed=0)
    net.fit(x[:2000], y[:2000], epochs=60, batch_size=50)
    found = np.exp(net.predict(x[2000:])[:, 1] / 2)
    for side in (x[2000:, 0] > 0.1, x[2000:, 0] < -0.1):
        assert np.median(found[side]) == pytest.approx(deviation[2000:][side][0], rel=0.15)


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network([3, 4], loss=Quantile(LEVELS)), "quantile of 3 levels needs 3 outputs for each target, got 4"),
        (lambda: Network([3, 3], loss="gaussian_nll"), "needs two outputs for each target, mean and log variance, got"),
        (lambda: Quantile(()), "levels must be between 0 and 1 and in ascending order"),
        (lambda: Quantile((0.5, 0.1)), "levels must be between 0 and 1 and in ascending order"),
        (lambda: Quantile((0.5, 0.5)), "levels must be between 0 and 1 and in ascending order"),
        (lambda: Quantile((0.5, 1.0)), "levels must be between 0 and 1 and in ascending order"),
        (lambda: Quantile((0.0,)), "levels must be between 0 and 1 and in ascending order"),
        (lambda: Tweedie(1.0), "power must be from 1.001 to 1.999, got 1.0"),
        (lambda: Tweedie(2.0), "power must be from 1.001 to 1.999, got 2.0"),
        (lambda: GaussianNLL(0.0), "epsilon must be greater than 0, and at most 1e15, got 0.0"),
        (lambda: BinaryFocalCrossentropy(1e4), "gamma must be from 0 to 1000, got 10000.0"),
        (lambda: BinaryFocalCrossentropy(alpha=1.0), "alpha must be None, or between 0 and 1, got 1.0"),
        (lambda: own_loss("gamma", np.zeros(N)), "y must be greater than 0 for gamma, got numbers from 0 to 0"),
        (lambda: Network([3, 1], loss="gamma").fit(X, np.full(N, 1e-40)), "y must be greater than 0 for gamma"),
        (
            lambda: Network([3, 1], loss="gamma").train_on_batch(X, np.full(N, 1e-40)),
            "must be greater than 0 for gamma",
        ),
        (lambda: own_loss(Quantile(LEVELS), np.zeros((N, 3)), 3), r"y must have shape \(60, 1\) for quantile"),
    ],
)
def test_what_a_loss_does_not_take_is_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_estimators_take_a_loss_with_an_output_for_each_target() -> None:
    for loss in ("gaussian_nll", Quantile(LEVELS)):
        with pytest.raises(ValueError, match="has several outputs for each target, but an estimator has one; use"):
            MLPRegressor(loss=loss).fit(X, X[:, 0])
    median = MLPRegressor(loss=Quantile(0.9), hidden_layer_sizes=(8,), max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning):
        assert median.fit(X, X[:, 0]).predict(X).shape == (N,)
    with pytest.raises(ValueError, match="does not support the loss 'gaussian_nll', which has several outputs"):
        to_sklearn(Network([3, 2], loss="gaussian_nll"))


def test_one_level_needs_no_tuple() -> None:
    assert Quantile(0.3) == Quantile([0.3]) == losses.Quantile((0.3,))  # type: ignore[arg-type]
    assert repr(Quantile(LEVELS)) == "Quantile(levels=(0.1, 0.5, 0.9))"
    with pytest.raises(TypeError, match=r"a level must be a number, got '0\.5'"):
        Quantile("0.5")  # type: ignore[arg-type]
