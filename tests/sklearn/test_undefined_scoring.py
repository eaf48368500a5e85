"""Early stopping of the estimators never takes an undefined score for a number, nor for "not better"."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastmlp import UndefinedScoreError
from fastmlp.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
NUMBERS = X @ [1.0, -2.0, 0.5]
CLASSES = (X[:, 0] > 0).astype(int)
ZERO, ONES = np.zeros(60), np.ones(60)


def regressor(**options: Any) -> MLPRegressor:
    return MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0, **options)


def classifier(**options: Any) -> MLPClassifier:
    return MLPClassifier(hidden_layer_sizes=(4,), max_iter=5, random_state=0, **options)


NEGATIVE = {"X_val": X[CLASSES == 0], "y_val": CLASSES[CLASSES == 0]}
REFUSED: dict[str, tuple[Any, Any, Any, dict[str, Any], str]] = {
    "R² of one sample": (
        regressor(early_stopping=True),
        NUMBERS,
        None,
        {"X_val": X[:1], "y_val": NUMBERS[:1]},
        "early stopping scores R², which needs at least two validation samples, got 1",
    ),
    "R² by name": (
        regressor(early_stopping=True, scoring="r2"),
        NUMBERS,
        None,
        {"X_val": X[:1], "y_val": NUMBERS[:1]},
        "scoring='r2' is NaN for the 1 validation samples, and early stopping cannot compare",
    ),
    "ROC AUC of one class": (
        classifier(early_stopping=True, scoring="roc_auc"),
        CLASSES,
        None,
        NEGATIVE,
        r"scoring='roc_auc' is NaN for the \d+ validation samples of the classes \[0\]",
    ),
    "validation weights": (
        classifier(early_stopping=True),
        CLASSES,
        None,
        {"X_val": X, "y_val": CLASSES, "sample_weight_val": ZERO},
        "at least one non-zero number|sample_weight of the validation samples must give a row a weight",
    ),
    "weights": (
        classifier(),
        CLASSES,
        ZERO,
        {},
        "at least one non-zero number|must give a row a weight greater than 0",
    ),
    "classes": (
        classifier(class_weight={0: 0, 1: 0}),
        CLASSES,
        None,
        {},
        "sample_weight and class_weight of the training samples must give a row a weight greater than 0",
    ),
    "classes of lbfgs": (
        classifier(solver="lbfgs", class_weight={0: 0, 1: 0}),
        CLASSES,
        None,
        {},
        "sample_weight and class_weight must give a row a weight greater than 0",
    ),
    "classes and weights": (
        classifier(class_weight={0: 0}),
        CLASSES,
        (CLASSES == 0).astype(float),
        {},
        "sample_weight and class_weight of the training samples must give a row a weight greater than 0",
    ),
}


@pytest.mark.parametrize(("estimator", "y", "weights", "validation", "message"), REFUSED.values(), ids=list(REFUSED))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_has_no_score_is_refused_before_training(
    estimator: Any, y: Any, weights: Any, validation: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y, weights, **validation)
    assert not hasattr(estimator, "coefs_")
    estimator.set_params(early_stopping=False, scoring=None, **({"class_weight": None} if y is CLASSES else {}))
    estimator.fit(X, y)
    before = [w.copy() for w in estimator.coefs_]
    estimator.set_params(class_weight={0: 0, 1: 0}) if y is CLASSES else estimator.set_params(scoring="r2")
    estimator.set_params(early_stopping=y is not CLASSES)
    with pytest.raises(ValueError, match=r"must give a row a weight|is NaN for the 1 validation samples"):
        estimator.fit(X, y, **({} if y is CLASSES else {"X_val": X[:1], "y_val": NUMBERS[:1]}))
    assert all((w == was).all() for w, was in zip(estimator.coefs_, before, strict=True))


def test_weights_of_the_training_samples_of_a_split_must_have_a_sum() -> None:
    """The only sample with a weight becomes a validation sample, or a training sample."""
    found = set()
    for row in range(0, 60, 3):
        weights = np.where(np.arange(60) == row, 1.0, 0.0)
        with pytest.raises(ValueError, match="must give a row a weight greater than 0") as error:
            classifier(early_stopping=True, validation_fraction=0.5).fit(X, CLASSES, weights)
        found.add("validation" in str(error.value))
    assert found == {True, False}


class Series:
    """A scorer that returns given numbers, one for each iteration."""

    def __init__(self, *values: float) -> None:
        self.left = list(values)

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        return self.left.pop(0)


def test_the_first_nan_raises_and_the_best_weights_and_the_history_remain() -> None:
    values = [1.0, 3.0, 2.0, math.nan]
    estimator = regressor(early_stopping=True, scoring=Series(*values))
    with pytest.raises(UndefinedScoreError, match="validation score is NaN after iteration 4; the best weights"):
        estimator.fit(X, NUMBERS)
    np.testing.assert_equal(estimator.validation_scores_, values)
    assert estimator.best_validation_score_ == 3.0
    assert (estimator.n_iter_, len(estimator.loss_curve_), estimator.history_.epoch) == (4, 4, [0, 1, 2, 3])
    expected = regressor(early_stopping=True, scoring=Series(1.0, 3.0)).set_params(max_iter=2)
    with pytest.warns(ConvergenceWarning):
        expected.fit(X, NUMBERS)
    for w, best in zip(estimator.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(w, best)
    assert np.isfinite(estimator.predict(X)).all()


@pytest.mark.parametrize(
    ("scoring", "what"), [(None, "predictions of validation samples"), (Series(*range(0, -99, -1)), "loss")]
)
def test_a_fit_that_diverges_ends_with_a_warning_and_has_its_history(scoring: Any, what: str) -> None:
    estimator = regressor(early_stopping=True, activation="identity", solver="sgd", learning_rate_init=10.0)
    with pytest.warns(ConvergenceWarning, match=f"{what} became NaN or infinite in iteration"):
        estimator.set_params(max_iter=100, scoring=scoring).fit(X, NUMBERS, X_val=X[:9], y_val=NUMBERS[:9])
    scores = estimator.validation_scores_
    assert np.isnan(scores).tolist() == [False] * (len(scores) - 1) + [True]
    assert estimator.n_iter_ == len(estimator.loss_curve_) == len(scores)
    assert len(estimator.history_.epoch) == len(scores) - (what == "loss")
    assert estimator.best_validation_score_ == max(scores[:-1])
    if scoring is None:
        assert estimator.score(X[:9], NUMBERS[:9]) == estimator.best_validation_score_


def test_the_error_of_a_scorer_with_a_name_is_raised_before_training() -> None:
    estimator = classifier(early_stopping=True, scoring="neg_log_loss")
    with pytest.raises(ValueError, match="y_true contains only one label"):
        estimator.fit(X, CLASSES, **NEGATIVE)
    assert not hasattr(estimator, "coefs_")


def test_a_batch_without_weight_does_not_lower_the_loss_of_an_iteration() -> None:
    """The batches are [0, 10), [10, 20) and so on; all samples of weight 0 are in the first four of six batches."""
    weights = np.repeat([0.0, 1.0], [40, 20])
    options = {"batch_size": 10, "shuffle": False, "solver": "sgd", "learning_rate_init": 1e-12, "alpha": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = regressor(**options).set_params(max_iter=1).fit(X, NUMBERS, weights)
        other = regressor(**options).set_params(max_iter=1).fit(X[40:], NUMBERS[40:])
    assert one.loss_ == pytest.approx(other.loss_, rel=1e-9)
