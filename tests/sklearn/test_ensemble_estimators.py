"""MLPEnsembleClassifier and MLPEnsembleRegressor: estimators that scikit-learn's checks accept."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import assert_same_bits
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import check_estimator

from fastmlp import SGD, AdamW, GaussianNLL, Quantile
from fastmlp.sklearn import MLPEnsembleClassifier, MLPEnsembleRegressor

CANCER, DIABETES = load_breast_cancer(return_X_y=True), load_diabetes(return_X_y=True)
X, y = scale(CANCER[0]), CANCER[1]
NUMBERS, TARGETS = scale(DIABETES[0]), scale(DIABETES[1])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.mark.parametrize("kind", [MLPEnsembleClassifier, MLPEnsembleRegressor])
def test_checks_of_scikit_learn(kind: Any) -> None:
    done = check_estimator(
        kind((8,), n_estimators=2, max_iter=60, learning_rate_init=0.02, random_state=0), on_skip=None
    )
    assert len(done) > 40


def test_probabilities_are_the_mean_of_the_members() -> None:
    model = MLPEnsembleClassifier((16,), n_estimators=4, max_iter=20, learning_rate_init=0.01, random_state=0)
    model.fit(X, y)
    members = np.stack([network.predict(X) for network in model.ensemble_.networks])
    mean, std = model.predict_proba(X, return_std=True)
    np.testing.assert_allclose(mean, members.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(std, members.std(axis=0), rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(model.predict(X), model.classes_[mean.argmax(axis=1)])
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), mean, rtol=1e-12)
    assert model.score(X, y) > 0.95


def test_labels_are_those_of_y() -> None:
    names = np.array(["malignant", "benign"])[y]
    model = MLPEnsembleClassifier((8,), n_estimators=2, max_iter=20, random_state=0).fit(X, names)
    assert list(model.classes_) == ["benign", "malignant"]
    assert set(model.predict(X)) == {"benign", "malignant"}


def test_a_standard_deviation_with_the_noise_of_the_targets() -> None:
    options: dict[str, Any] = {"n_estimators": 3, "max_iter": 60, "learning_rate_init": 0.01, "random_state": 0}
    plain, noisy = (
        MLPEnsembleRegressor((16,), loss=loss, **options).fit(NUMBERS, TARGETS) for loss in (None, "gaussian_nll")
    )
    for model in (plain, noisy):
        mean, std = model.predict(NUMBERS, return_std=True)
        assert mean.shape == std.shape == TARGETS.shape
        assert_same_bits(mean, model.predict(NUMBERS))
        assert model.sample_y(NUMBERS, 5).shape == (len(TARGETS), 5)
    inside = np.abs(TARGETS - noisy.predict(NUMBERS)) < noisy.predict(NUMBERS, return_std=True)[1]
    assert 0.55 < inside.mean() < 0.85  # 0.68 for normal noise
    assert np.median(plain.predict(NUMBERS, return_std=True)[1]) < np.median(noisy.predict(NUMBERS, return_std=True)[1])


def test_several_targets() -> None:
    model = MLPEnsembleRegressor((8,), n_estimators=2, max_iter=5, loss=GaussianNLL(), random_state=0)
    model.fit(NUMBERS[:, 2:], NUMBERS[:, :2])
    mean, std = model.predict(NUMBERS[:, 2:], return_std=True)
    assert mean.shape == std.shape == (len(NUMBERS), 2)
    assert model.sample_y(NUMBERS[:, 2:], 3).shape == (len(NUMBERS), 2, 3)


def test_the_penalty_is_that_of_a_single_estimator() -> None:
    """With one member the loss of the first step has the penalty `alpha / 2 * sum W^2 / n` of MLPClassifier."""
    for alpha in (0.0, 10.0):
        model = MLPEnsembleClassifier((8,), n_estimators=1, max_iter=1, alpha=alpha, batch_size=len(X), random_state=0)
        model.fit(X, y)
        network = model.ensemble_.networks[0]
        fresh = type(network)(
            [30, 8, 2], activation="relu", output="softmax", dtype="float64", seed=network.seed
        )  # its initial weights
        data = fresh.evaluate(X, y)["loss"]
        squares = sum(float((W**2).sum()) for W, _ in fresh.get_weights())
        expected = data + alpha / 2 * squares / len(X)
        assert model.histories_[0]["loss"][0] == pytest.approx(expected, rel=1e-12)


def test_float32_bootstrap_optimizer_and_pickles() -> None:
    model = MLPEnsembleClassifier(
        (8, 4), ["tanh", "gelu"], n_estimators=3, bootstrap=True, dropout=[0.1, 0.0], optimizer=AdamW(0.01), max_iter=5
    )
    model.set_params(random_state=0).fit(X.astype(np.float32), y)
    assert model.predict_proba(X.astype(np.float32)).dtype == np.float32
    again = pickle.loads(pickle.dumps(model))
    assert_same_bits(again.predict_proba(X), model.predict_proba(X))
    assert_same_bits(clone(model).fit(X.astype(np.float32), y).predict_proba(X), model.predict_proba(X))


def test_in_a_pipeline() -> None:
    model = make_pipeline(StandardScaler(), MLPEnsembleClassifier((8,), n_estimators=2, random_state=0))
    assert cross_val_score(model, *CANCER, cv=3).min() > 0.8


def test_weights_of_0_leave_rows_out() -> None:
    half = (np.arange(len(X)) % 2).astype(float)
    options: dict[str, Any] = {"n_estimators": 2, "max_iter": 3, "batch_size": 10_000, "random_state": 0}
    found = MLPEnsembleClassifier((8,), **options).fit(X, y, sample_weight=half).predict_proba(X)
    expected = MLPEnsembleClassifier((8,), **options).fit(X[1::2], y[1::2]).predict_proba(X)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_warnings_and_errors() -> None:
    with pytest.warns(ConvergenceWarning, match="2 of 2 networks reached the maximum of 3 iterations"):
        MLPEnsembleClassifier((8,), n_estimators=2, max_iter=3, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="non-finite"), pytest.warns(UserWarning, match="became NaN or infinite"):
        MLPEnsembleRegressor((8,), n_estimators=2, optimizer=SGD(1e6), random_state=0).fit(NUMBERS, TARGETS)
    for model, message in (
        (MLPEnsembleClassifier(loss="hinge"), "has no class probabilities"),
        (MLPEnsembleRegressor(loss=Quantile((0.1, 0.9))), "has several outputs for each target"),
        (MLPEnsembleClassifier(n_estimators=0), "n_estimators"),
        (MLPEnsembleClassifier((8, 8), activation=["relu"]), "one for each of the 2 hidden layers"),
    ):
        data = (NUMBERS, TARGETS) if isinstance(model, MLPEnsembleRegressor) else (X, y)
        with pytest.raises(ValueError, match=message):
            model.fit(*data)
        assert not hasattr(model, "n_features_in_")
    with pytest.raises(TypeError, match="hidden_layer_size"):
        MLPEnsembleClassifier(hidden_layer_size=(8,))


def test_it_is_more_accurate_than_its_members() -> None:
    train, test = np.arange(0, len(X), 2), np.arange(1, len(X), 2)
    model = MLPEnsembleClassifier((16,), n_estimators=10, max_iter=40, bootstrap=True, random_state=0)
    model.fit(X[train], y[train])
    losses = [network.evaluate(X[test], y[test])["loss"] for network in model.ensemble_.networks]
    assert model.ensemble_.evaluate(X[test], y[test])["loss"] < np.mean(losses)
