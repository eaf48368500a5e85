"""Fits of several estimators at once: each has the bits, the attributes, the warnings and the errors of its own fit."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from cases import assert_same_bits
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.preprocessing import scale

from fastmlp import AdamW, Callback, LeakyReLU
from fastmlp.history import History
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from fastmlp.sklearn.conventions import EpochOrders
from fastmlp.sklearn.together import PendingFit, _epochs_without_gain, fit_together

CANCER, IRIS = load_breast_cancer(return_X_y=True), load_iris(return_X_y=True)
X, y = scale(CANCER[0]), CANCER[1]
WEIGHTS = np.random.RandomState(0).rand(150)
OBJECTS = ("_compiled", "_optimizer", "_label_binarizer")  # whose state the other attributes and predictions show

TRAINED: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "classes": (MLPClassifier((16, 8), max_iter=30), X, y, {}),
    "stopped by the loss": (MLPClassifier((4,), max_iter=300, tol=0.05, n_iter_no_change=3), X, y, {}),
    "stopped by the accuracy": (
        MLPClassifier((16,), max_iter=300, early_stopping=True, learning_rate_init=0.01),
        X,
        y,
        {},
    ),
    "dropout": (
        MLPClassifier((16,), max_iter=100, early_stopping=True, batch_size=16, dropout=0.2, learning_rate_init=0.01),
        *IRIS,
        {},
    ),
    "no shuffle": (
        MLPClassifier((16,), max_iter=60, solver="sgd", learning_rate_init=0.1, shuffle=False, class_weight="balanced"),
        *IRIS,
        {},
    ),
    "float32 and weights": (
        MLPClassifier((16,), max_iter=20, restore_best_weights=True, optimizer=AdamW(0.05), activation=LeakyReLU(0.1)),
        IRIS[0].astype(np.float32),
        IRIS[1],
        {"sample_weight": WEIGHTS},
    ),
    "hinge": (MLPClassifier((16,), max_iter=50, loss="hinge", early_stopping=True), X, y, {}),
    "numbers": (MLPRegressor(hidden_layer_sizes=(16,), max_iter=60), X[:, 1:], X[:, 0], {}),
    "several numbers": (
        MLPRegressor(hidden_layer_sizes=(16,), max_iter=60, n_iter_no_change=2, tol=0.1),
        X[:, 2:],
        X[:, :2],
        {},
    ),
    "several labels": (MLPClassifier((16,), max_iter=20), X[:, 2:], (X[:, :2] > 0).astype(int), {}),
    "diverges": (
        MLPRegressor(hidden_layer_sizes=(16,), max_iter=60, solver="sgd", learning_rate_init=1e4),
        X[:, 2:],
        X[:, :2],
        {},
    ),
    "diverges after a best epoch": (
        MLPClassifier((16,), max_iter=60, solver="sgd", learning_rate_init=1e6, early_stopping=True),
        X,
        y,
        {},
    ),
    "is refused": (MLPClassifier((0,), max_iter=60), X, y, {}),
}
LEFT: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "lbfgs": (MLPClassifier((4,), max_iter=10, solver="lbfgs"), X, y, {}),
    "a rate that adapts": (MLPClassifier((4,), max_iter=10, solver="sgd", learning_rate="adaptive"), X, y, {}),
    "callbacks": (MLPClassifier((4,), max_iter=10, callbacks=[Callback()]), X, y, {}),
    "R2": (MLPRegressor(hidden_layer_sizes=(4,), max_iter=10, early_stopping=True), X[:, 1:], X[:, 0], {}),
    "a scorer": (MLPClassifier((4,), max_iter=10, early_stopping=True, scoring="roc_auc"), X, y, {}),
    "a weighted accuracy": (
        MLPClassifier((4,), max_iter=10, early_stopping=True),
        *IRIS,
        {"sample_weight": WEIGHTS},
    ),
}


def assert_same(found: Any, expected: Any, place: str) -> None:
    if isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), place
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, place)
    elif isinstance(expected, np.ndarray) and expected.dtype.kind == "f":
        assert_same_bits(found, expected)
    elif isinstance(expected, np.random.RandomState):
        assert pickle.dumps(found.get_state()) == pickle.dumps(expected.get_state()), place
    elif isinstance(expected, History):
        assert (found.history, found.epoch, found.ending) == (expected.history, expected.epoch, expected.ending)
    else:
        assert repr(found) == repr(expected), place


def outcome(work: Any) -> tuple[list[tuple[type, str]], Any]:
    """Return the warnings and the error of a call."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            work()
        except ValueError as error:
            return [], repr(error)
    return [(each.category, str(each.message)) for each in seen], None


def pending(seeds: int, cases: dict[str, tuple[Any, Any, Any, dict[str, Any]]]) -> list[PendingFit]:
    return [
        PendingFit(clone(estimator).set_params(random_state=seed), *data, options)
        for estimator, *data, options in cases.values()
        for seed in range(seeds)
    ]


def test_fits_together_are_equal_to_fits_alone() -> None:
    together, alone = pending(2, TRAINED), pending(2, TRAINED)
    warned: list[tuple[type, str]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit_together(together)
    names = [name for name in TRAINED for _ in range(2)]
    for name, found, expected in zip(names, together, alone, strict=True):
        seen = outcome(found.finish)
        wanted = outcome(lambda fit=expected: fit.estimator.fit(fit.X, fit.y, **fit.options))
        assert seen == wanted, name
        warned += seen[0]
        if seen[1] is not None:
            continue
        assert found.seconds is not None
        assert found.seconds > 0
        one, other = vars(found.estimator), vars(expected.estimator)
        assert one.keys() == other.keys(), name
        for attribute in one.keys() - set(OBJECTS):
            assert_same(one[attribute], other[attribute], f"{attribute} of {name!r}")
        assert_same_bits(found.estimator.predict(found.X), expected.estimator.predict(found.X))
        pickle.dumps(found.estimator)
    assert len(warned) > 4


@pytest.mark.parametrize("name", ["classes", "numbers"])
def test_a_fit_goes_on_as_one_alone(name: str) -> None:
    (found,), (expected,) = pending(1, {name: TRAINED[name]}), pending(1, {name: TRAINED[name]})
    fit_together([found])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.finish()
        expected.estimator.fit(expected.X, expected.y)
    for _ in range(2):
        one, other = (fit.estimator.partial_fit(fit.X, fit.y) for fit in (found, expected))
        assert_same(one.coefs_, other.coefs_, name)


def test_fits_that_need_python_are_left_as_they_were() -> None:
    fits = pending(1, LEFT)
    before = [vars(fit.estimator).copy() for fit in fits]
    fit_together(fits)
    for name, fit, state in zip(LEFT, fits, before, strict=True):
        assert not fit.finish(), name
        assert fit.seconds is None
        assert vars(fit.estimator) == state, name


def test_large_networks_are_left() -> None:
    fit = PendingFit(MLPClassifier((3000, 3000), max_iter=1), np.zeros((3000, 30)), np.arange(3000) % 2, {})
    fit_together([fit])
    assert not fit.finish()
    assert not hasattr(fit.estimator, "coefs_")


def test_draws_that_are_taken_back() -> None:
    rows = np.arange(10, 20)
    plain = EpochOrders(rows, np.random.RandomState(0))
    expected = [plain.next() for _ in range(6)]
    generator = np.random.RandomState(0)
    orders = EpochOrders(rows, generator)
    found = [*orders.draw(2)]
    orders.keep(2)
    found += [*orders.draw(4)][:2]
    orders.keep(2)
    found += [*orders.draw(2)]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("values", "waited"), [([], 0), ([3, 2, 1], 0), ([3, 2.95, 2.9], 2), ([3, 2.95, 2.9, 2.7], 0), ([1, 2, 3], 2)]
)
def test_epochs_without_gain(values: list[float], waited: int) -> None:
    assert _epochs_without_gain(values, 0.1) == waited
