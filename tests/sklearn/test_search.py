"""MLPSearchCV: the results of scikit-learn's searches, from fits that were trained together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from fastmlp.sklearn import MLPClassifier, MLPRegressor, MLPSearchCV
from fastmlp.sklearn import prepared as module

X, y = load_breast_cancer(return_X_y=True)
X, y = X[::2], y[::2]
NUMBERS, TARGETS = load_diabetes(return_X_y=True)
WEIGHTS = 1.0 + np.arange(len(TARGETS)) % 5

CLASSIFIER = MLPClassifier((8,), max_iter=10, random_state=0)
REGRESSOR = MLPRegressor(hidden_layer_sizes=(8,), max_iter=10, random_state=0)
SCALED = make_pipeline(StandardScaler(), CLASSIFIER)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of fits that were trained together."""
    counts: list[int] = []
    original = module.fit_together

    def counting(fits: Any) -> None:
        original(fits)
        counts.append(sum(fit.seconds is not None for fit in fits))

    monkeypatch.setattr(module, "fit_together", counting)
    return counts


def assert_equal(found: Any, expected: Any) -> None:
    assert found.cv_results_.keys() == expected.cv_results_.keys()
    for key, values in expected.cv_results_.items():
        if "time" in key:
            assert (found.cv_results_[key] >= 0).all()
        elif key == "params" or values.dtype == object:
            assert [*map(str, found.cv_results_[key])] == [*map(str, values)]
        else:
            np.testing.assert_array_equal(found.cv_results_[key], values, err_msg=key)
    names = {name for name in vars(expected) if name.endswith("_")}
    assert {name for name in vars(found) if name.endswith("_")} == names | {"search_"}
    if "best_estimator_" in names:
        assert (str(found.best_params_), found.best_score_) == (str(expected.best_params_), expected.best_score_)
        assert type(found.best_estimator_) is type(expected.best_estimator_)


GRIDS: dict[str, tuple[Any, Any, dict[str, Any], int]] = {
    "a pipeline": (
        SCALED,
        {"mlpclassifier__hidden_layer_sizes": [(8,), (4, 4)], "mlpclassifier__learning_rate_init": [1e-3, 1e-2]},
        {"return_train_score": True},
        12,
    ),
    "steps before the network": (
        SCALED,
        {"standardscaler": [StandardScaler(), MinMaxScaler(), "passthrough"], "mlpclassifier__alpha": [1e-4, 1.0]},
        {"scoring": ["roc_auc", "accuracy"], "refit": "roc_auc"},
        18,
    ),
    "some fits that need Python": (CLASSIFIER, {"solver": ["adam", "sgd", "lbfgs"]}, {}, 6),
    "early stopping": (clone(CLASSIFIER).set_params(early_stopping=True), {"alpha": [1e-4, 1e-2]}, {}, 6),
    "numbers of objects": (
        clone(CLASSIFIER).set_params(optimizer="adamw"),
        {"optimizer__learning_rate": [1e-3, 1e-2]},
        {"refit": False},
        6,
    ),
    "several lists": (CLASSIFIER, [{"alpha": [1e-3]}, {"activation": ["tanh", "gelu"]}], {"n_jobs": 1}, 9),
    "a network alone in a pipeline": (Pipeline([("mlp", CLASSIFIER)]), {"mlp__alpha": [1e-3, 1e-2]}, {}, 6),
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_has_the_results_of_scikit_learn(name: str, trained: list[int]) -> None:
    estimator, grid, options, count = GRIDS[name]
    found = MLPSearchCV(estimator, grid, cv=3, **options).fit(X, y)
    expected = GridSearchCV(estimator, grid, cv=3, **{**options, "n_jobs": None}).fit(X, y)
    assert_equal(found, expected)
    assert trained == [count]
    if hasattr(found, "best_estimator_"):
        np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
        assert found.score(X, y) == expected.score(X, y)


def test_weights_and_groups() -> None:
    groups = np.arange(len(TARGETS)) % 7
    for estimator, prefix in ((REGRESSOR, ""), (make_pipeline(StandardScaler(), REGRESSOR), "mlpregressor__")):
        grid, data = {f"{prefix}alpha": [1e-3, 1.0]}, {"groups": groups, f"{prefix}sample_weight": WEIGHTS}
        found, expected = (
            kind(estimator, grid, cv=GroupKFold(3)).fit(NUMBERS, TARGETS, **data)
            for kind in (MLPSearchCV, GridSearchCV)
        )
        assert_equal(found, expected)


def test_splits_without_a_seed_are_the_same_for_all_candidates() -> None:
    search = MLPSearchCV(SCALED, {"mlpclassifier__alpha": [1e-4, 1e-4]}, cv=ShuffleSplit(3)).fit(X, y)
    first, second = (
        [search.cv_results_[f"split{k}_test_score"][candidate] for k in range(3)] for candidate in range(2)
    )
    assert first == second


@pytest.mark.parametrize("name", ["targets", "targets of a pipeline", "a pipeline of targets", "pipelines"])
def test_estimators_around_the_network(name: str, trained: list[int]) -> None:
    scaled = TransformedTargetRegressor(REGRESSOR, transformer=StandardScaler())
    estimator, parameter = {
        "targets": (scaled, "regressor__alpha"),
        "targets of a pipeline": (
            TransformedTargetRegressor(make_pipeline(StandardScaler(), REGRESSOR), transformer=StandardScaler()),
            "regressor__mlpregressor__alpha",
        ),
        "a pipeline of targets": (
            make_pipeline(StandardScaler(), scaled),
            "transformedtargetregressor__regressor__alpha",
        ),
        "pipelines": (
            Pipeline([("scale", StandardScaler()), ("rest", make_pipeline(MinMaxScaler(), REGRESSOR))]),
            "rest__mlpregressor__alpha",
        ),
    }[name]
    found, expected = (
        kind(estimator, {parameter: [1e-4, 10.0]}, cv=3).fit(NUMBERS, TARGETS) for kind in (MLPSearchCV, GridSearchCV)
    )
    assert_equal(found, expected)
    assert trained == [6]
    np.testing.assert_array_equal(found.predict(NUMBERS), expected.predict(NUMBERS))


RANDOM = {"alpha": loguniform(1e-5, 1.0)}
LISTS = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0]}
ROUNDS = {"resource": "max_iter", "max_resources": 12, "min_resources": 3, "factor": 2, "random_state": 0}


@pytest.mark.parametrize(
    ("kind", "strategy", "grid", "options"),
    [
        (RandomizedSearchCV, "random", RANDOM, {"n_iter": 4, "random_state": 3}),
        (HalvingGridSearchCV, "halving", LISTS, ROUNDS),
        (HalvingGridSearchCV, "halving", LISTS, {"random_state": 0}),
        (HalvingRandomSearchCV, "halving random", RANDOM, {"n_candidates": 6, "factor": 2, "random_state": 0}),
    ],
)
def test_other_strategies(kind: Any, strategy: str, grid: Any, options: dict[str, Any], trained: list[int]) -> None:
    found = MLPSearchCV(CLASSIFIER, grid, strategy=strategy, cv=3, **options).fit(X, y)
    expected = kind(
        CLASSIFIER, grid, cv=3, **options, **({"return_train_score": False} if "halving" in strategy else {})
    )
    assert_equal(found, expected.fit(X, y))
    assert sum(trained) == 3 * len(found.cv_results_["params"])


def test_transformers_are_fitted_once_a_fold() -> None:
    fits = []

    class Counting(StandardScaler):
        def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
            fits.append(len(X))
            return super().fit(X, y)

    pipeline = make_pipeline(Counting(), CLASSIFIER)
    MLPSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1e-3, 1e-2]}, cv=3, refit=False).fit(X, y)
    assert len(fits) == 3


def test_some_fits_at_a_time(monkeypatch: pytest.MonkeyPatch, trained: list[int]) -> None:
    monkeypatch.setattr(module, "TOGETHER", 4)
    found = MLPSearchCV(SCALED, {"mlpclassifier__alpha": [1e-4, 1e-3, 1e-2]}, cv=3).fit(X, y)
    assert trained == [4, 4, 1]
    expected = GridSearchCV(SCALED, {"mlpclassifier__alpha": [1e-4, 1e-3, 1e-2]}, cv=3).fit(X, y)
    assert_equal(found, expected)


def test_fits_that_fail() -> None:
    grid = {"hidden_layer_sizes": [(4,), (0,)]}
    results = []
    for kind in (MLPSearchCV, GridSearchCV):
        with (
            pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"),
            pytest.warns(UserWarning, match="test scores are non-finite"),
        ):
            results.append(kind(CLASSIFIER, grid, cv=3).fit(X, y))
    assert_equal(*results)
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0"):
        MLPSearchCV(CLASSIFIER, grid, cv=3, error_score="raise").fit(X, y)
    pipeline = make_pipeline(StandardScaler(with_mean="no"), CLASSIFIER)
    with pytest.raises(ValueError, match="with_mean"):
        MLPSearchCV(pipeline, {"mlpclassifier__alpha": [1.0]}, cv=3).fit(X, y)
    with pytest.raises(ValueError, match="Invalid parameter 'alfa'"):
        MLPSearchCV(CLASSIFIER, {"alfa": [1.0]}, cv=3).fit(X, y)


def test_a_pool_of_processes_of_the_user_changes_nothing() -> None:
    with joblib.parallel_config("loky", n_jobs=2):
        found = MLPSearchCV(CLASSIFIER, {"alpha": [1e-4, 1e-2]}, cv=3).fit(X, y)
    assert_equal(found, GridSearchCV(CLASSIFIER, {"alpha": [1e-4, 1e-2]}, cv=3).fit(X, y))


def test_metadata_routing_leaves_the_fits_to_scikit_learn(trained: list[int]) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = clone(REGRESSOR).set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        found, expected = (
            kind(estimator, {"alpha": [1e-3, 1.0]}, cv=3).fit(NUMBERS, TARGETS, sample_weight=WEIGHTS)
            for kind in (MLPSearchCV, GridSearchCV)
        )
    assert_equal(found, expected)
    assert trained == [0]


def test_it_is_an_estimator() -> None:
    search = MLPSearchCV(CLASSIFIER, {"alpha": [1e-4, 1e-2]}, cv=3)
    assert repr(clone(search)) == repr(search)
    assert cross_val_score(search, X, y, cv=2).shape == (2,)
    search.fit(X, y)
    assert search.fit(X[:100], y[:100]).n_features_in_ == X.shape[1]
    assert list(search.classes_) == [0, 1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"strategy": "gird"}, ValueError, "strategy must be one of 'grid', 'random', 'halving', 'halving random'"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be None, -1 or at least 1, got 0"),
        (
            {"estimator": StandardScaler()},
            TypeError,
            "needs an estimator of fastmlp.sklearn, or a Pipeline or",
        ),
        ({"strategy": "random", "n_iter": 0}, ValueError, "n_iter"),
    ],
)
def test_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"estimator": CLASSIFIER, "param_grid": {"alpha": [1.0]}, "cv": 3, **options}
    with pytest.raises(error, match=message):
        MLPSearchCV(**given).fit(X, y)
