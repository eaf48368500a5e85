"""What a fit has learned stays: parameters set later, refused calls and changes between fits do not damage it."""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from behaviour import Tried, estimator_state
from sklearn.exceptions import ConvergenceWarning

import fastmlp
from fastmlp import sklearn as ours
from fastmlp._engine.engine import engine_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
Y: dict[str, Any] = {
    "binary": np.array(["no", "yes"])[np.arange(30) % 2],
    "classes": np.array(["ant", "bee", "cow"])[np.arange(30) % 3],
    "labels": (X[:, :3] > 0).astype(int),
    "hinge": np.arange(30) % 3,
    "number": X[:, 0],
    "numbers": X[:, :2],
    "counts": RNG.poisson(1.0, 30),
}


def estimator(kind: str, **more: Any) -> Any:
    common = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, "learning_rate_init": 0.01}
    common |= {"hinge": {"loss": "hinge"}, "counts": {"loss": "poisson"}}.get(kind, {})
    kinds = ours.MLPRegressor if kind in ("number", "numbers", "counts") else ours.MLPClassifier
    return kinds(**(common | more))


def quiet(work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return work(*arguments, **more)


def learned(model: Any, y: Any) -> dict[str, Any]:
    """Return everything that others can learn about a fitted estimator, as bytes and plain values."""
    methods = ("predict", "predict_proba", "predict_log_proba", "decision_function")
    found: dict[str, Any] = {name: getattr(model, name)(X).tolist() for name in methods if hasattr(model, name)}
    network = fastmlp.from_sklearn(model, seed=0)  # ONNX, C and PyTorch export this network
    return found | {
        "score": model.score(X, y),
        "architecture": network.architecture,
        "network": network.predict(X).tolist(),
        "activations": model.hidden_activations_,
    }


AFTERWARDS: list[dict[str, Any]] = [
    {"loss": "hinge"},
    {"loss": "log_loss"},
    {"loss": "mean_absolute_error"},
    {"loss": "poisson"},
    {"loss": "unknown"},
    {"activation": "tanh"},
    {"activation": ["relu", "tanh", "gelu"]},
    {"activation": fastmlp.LeakyReLU(0.5)},
    {"dropout": 0.5},
    {"dropout": [0.1, 0.2]},
    {"hidden_layer_sizes": (9, 9)},
    {"dropout": [0.1, 0.2], "hidden_layer_sizes": (8, 4)},
    {"alpha": -1},
    {"n_threads": 0},
    {"n_threads": 1},
    {"n_threads": 2},
    {"optimizer": "adamm"},
    {"solver": "lbfgs"},
]


@pytest.mark.parametrize("kind", Y)
def test_parameters_set_after_a_fit_change_nothing_that_was_learned(kind: str, tried: Tried) -> None:
    model, y = estimator(kind), Y[kind]
    quiet(model.fit, X, y)
    expected = learned(model, y)
    everything = {name: {"no": "value"} for name in model.get_params(deep=False)}
    for parameters in (*AFTERWARDS, everything):
        assert learned(model.set_params(**parameters), y) == expected, parameters
    assert learned(pickle.loads(pickle.dumps(model)), y) == expected
    tried("a parameter set after a fit changes nothing that was learned", len(AFTERWARDS) + len(everything))


@pytest.mark.parametrize("kind", ["classes", "number"])
def test_the_next_fit_takes_the_parameters_that_were_set(kind: str) -> None:
    model, y = estimator(kind, warm_start=True), Y[kind]
    quiet(model.fit, X, y)
    twin = copy.deepcopy(model)
    quiet(model.set_params(activation="tanh", alpha=0.5, n_threads=1).fit, X, y)
    quiet(twin.fit, X, y)
    assert [each.name for each in model.hidden_activations_] == ["tanh"]
    assert learned(model, y) != learned(twin, y)


def test_the_number_of_threads_holds_from_the_next_prediction_on() -> None:
    model = quiet(estimator("number", n_threads=1).fit, X, Y["number"])
    for given, used in ((2, 2), (0, 2), ("many", 2), (1, 1)):  # no fit would accept 0 and "many"
        model.set_params(n_threads=given).predict(X)
        assert engine_of(model._compiled.network).threads == used
    model.coefs_ = [weights.astype(np.float32) for weights in model.coefs_]
    model.set_params(n_threads=0).predict(X.astype(np.float32))


def test_an_estimator_that_was_not_fitted_has_the_methods_of_its_loss() -> None:
    hinge, plain, unknown = (ours.MLPClassifier(loss=loss) for loss in ("hinge", "log_loss", "unknown"))
    methods = [(hasattr(each, "decision_function"), hasattr(each, "predict_proba")) for each in (hinge, plain, unknown)]
    assert methods == [(True, False), (False, True), (False, True)]  # fit says what is wrong with the loss
    with pytest.raises(AttributeError, match="not fitted"):
        _ = plain.hidden_activations_


# Changes between fits ------------------------------------------------------------------------------------------------

STATES: list[dict[str, Any]] = [
    {"solver": solver, "early_stopping": early, "restore_best_weights": restore}
    for solver, (early, restore) in itertools.product(
        ("adam", "sgd", "lbfgs"), [(False, False), (True, False), (False, True)]
    )
]
CHANGES: list[dict[str, Any]] = [
    {"scoring": "loss"},
    {"dropout": 0.3},
    {"dropout": [0.1, 0.2]},
    {"activation": "tanh"},
    {"activation": ["relu", "tanh"]},
    {"optimizer": "rmsprop"},
    {"loss": "hinge"},
    {"loss": "huber"},
    {"loss": "poisson"},
    {"hidden_layer_sizes": (4, 4)},
    {"alpha": 0.1},
    {"n_threads": 1},
    {"batch_size": 7},
    {"learning_rate": "invscaling"},
    {"clipvalue": 1.0},
]
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "fit": lambda model, y: model.set_params(warm_start=False).fit(X, y),
    "warm": lambda model, y: model.fit(X, y),
    "partial_fit": lambda model, y: model.partial_fit(X, y),
    "validation": lambda model, y: model.fit(X, y, X_val=X[:9], y_val=y[:9]),
}


def outcome(model: Any, call: Callable[[Any, Any], Any], y: Any) -> str:
    """Return whether a call works or is refused; check that a refused call changes nothing, and what a fit leaves."""
    before, said = estimator_state(model), ""
    try:
        quiet(call, model, y)
    except ValueError as error:
        said = str(error)
    except AttributeError as error:
        said = str(error)
        if "no attribute 'partial_fit'" not in said:
            raise
    if said:
        assert estimator_state(model) == before | {"warm_start": pickle.dumps(model.warm_start)}, said
        return "refused"
    assert np.isfinite(model.score(X, y))
    if model.solver != "lbfgs":
        assert (model.validation_scores_ is not None) == (model.best_loss_ is None) == model.early_stopping
    return "works"


def test_each_change_of_state_between_two_fits_works_or_is_refused(tried: Tried) -> None:
    found: Counter[str] = Counter()
    for first in STATES:
        model = quiet(estimator("classes", warm_start=True, **first).fit, X, Y["classes"])
        for then, name in itertools.product(STATES, ("warm", "partial_fit")):
            said = outcome(copy.deepcopy(model).set_params(**then), CALLS[name], Y["classes"])
            refused = then["early_stopping"] or then["restore_best_weights"] or then["solver"] == "lbfgs"
            assert said == ("refused" if name == "partial_fit" and refused else "works"), (first, then, name)
            found[said] += 1
    tried("a change of state between two fits works or is refused", sum(found.values()))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", Y)
def test_each_pair_of_changes_between_fits_works_or_is_refused(kind: str, tried: Tried) -> None:
    found: Counter[str] = Counter()
    for first in STATES:
        model = quiet(estimator(kind, **first).fit, X, Y[kind])
        for change, call in itertools.product([{}, *STATES, *CHANGES], CALLS.values()):
            found[outcome(copy.deepcopy(model).set_params(warm_start=True, **change), call, Y[kind])] += 1
    assert min(found["works"], found["refused"]) > 0
    tried("a change of state between two fits works or is refused", sum(found.values()))


@pytest.mark.parametrize(
    ("change", "data", "continues"),
    [
        ({}, {}, True),
        ({"scoring": "loss"}, {}, False),
        ({}, {"X_val": X[10:20], "y_val": Y["classes"][10:20]}, False),
        ({"random_state": 1}, {}, True),  # other rows are held out, but scikit-learn compares their scores, too
    ],
)
def test_a_best_score_continues_only_if_the_same_rows_are_scored_in_the_same_way(
    change: dict[str, Any], data: dict[str, Any], continues: bool
) -> None:
    """Compared with a score of another kind, all that a fit learned could be lost for weights of the last fit."""
    model = estimator("classes", early_stopping=True, warm_start=True, n_iter_no_change=9)
    quiet(model.fit, X, Y["classes"])
    model.best_validation_score_ = 2.0  # better than any score can become
    before = [w.copy() for w in model.coefs_]
    quiet(model.set_params(**change).fit, X, Y["classes"], **data)
    same = all((new == old).all() for new, old in zip(model.coefs_, before, strict=True))
    assert (model.best_validation_score_ == 2.0) == same == continues
    if not continues:
        assert model.best_validation_score_ == max(model.validation_scores_[-2:])


def test_weights_of_another_fit_or_of_the_user_begin_a_best_score_of_their_own() -> None:
    model = estimator("classes", early_stopping=True, warm_start=True)
    quiet(model.fit, X, Y["classes"])
    model.best_validation_score_ = 2.0
    quiet(model.set_params(solver="lbfgs").fit, X, Y["classes"])
    quiet(model.set_params(solver="adam").fit, X, Y["classes"])
    assert model.best_validation_score_ <= 1


# Refused calls -------------------------------------------------------------------------------------------------------

MASKED = np.ma.array(X, mask=X > 1)
REFUSED: dict[str, Callable[[Any], Any]] = {
    "other features, bad weights": lambda m: m.fit(X[:, :2], Y["classes"], -np.ones(30)),
    "other classes, bad weights": lambda m: m.fit(X, np.arange(30) % 5, -np.ones(30)),
    "other classes, bad y_val": lambda m: m.set_params(early_stopping=True).fit(
        X[:, :3], np.arange(30) % 5, X_val=X[:, :3], y_val=np.full(30, 7)
    ),
    "NaN": lambda m: m.fit(np.full((30, 2), np.nan), Y["classes"]),
    "too few rows to hold out": lambda m: m.set_params(early_stopping=True).fit(X[:4, :2], ["x", "y", "x", "y"]),
    "masked": lambda m: m.fit(MASKED, Y["classes"]),
    "partial_fit, features": lambda m: m.partial_fit(X[:, :2], Y["classes"]),
    "partial_fit, classes": lambda m: m.partial_fit(X, np.arange(30) % 5),
    "class_weight": lambda m: m.set_params(class_weight={"ant": -1}).fit(X[:, :2], Y["classes"]),
    "callback": lambda m: m.set_params(callbacks=[fastmlp.EarlyStopping("val_loss")]).fit(X[:, :2], Y["classes"]),
    "lbfgs": lambda m: m.set_params(solver="lbfgs").fit(X[:, :2], Y["classes"], -np.ones(30)),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("fitted", [False, True])
def test_a_refused_call_changes_nothing(what: str, fitted: bool) -> None:
    generator = np.random.RandomState(0)
    model = estimator("classes", random_state=generator)
    if fitted:
        quiet(model.fit, X, Y["classes"])
    parameters = set(model.get_params())
    before = {name: value for name, value in estimator_state(model).items() if name not in parameters}
    drawn = pickle.dumps(generator)
    with pytest.raises(ValueError):  # noqa: PT011  (whatever it says)
        REFUSED[what](model)
    assert {name: value for name, value in estimator_state(model).items() if name not in parameters} == before
    assert pickle.dumps(generator) == drawn


def test_a_first_partial_fit_that_is_refused_leaves_no_classes() -> None:
    model = estimator("classes")
    with pytest.raises(ValueError, match="classes not in"):
        model.partial_fit(X, Y["classes"], classes=["ant", "bee"])
    assert not hasattr(model, "classes_")
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, Y["classes"])
    quiet(model.set_params(warm_start=True).fit, X, Y["binary"])
    assert model.classes_.tolist() == ["no", "yes"]


def test_set_params_sets_all_or_nothing() -> None:
    model = estimator("classes", optimizer="adam")
    before = model.get_params()
    for wrong in ({"foo": 1}, {"optimizer__learning_rate": -1.0}, {"optimizer__foo": 1}, {"loss__delta": 1}):
        with pytest.raises(ValueError, match=r"Invalid parameter|must be at least 0"):
            model.set_params(alpha=7.0, **wrong)
        assert model.get_params() == before


def test_a_user_may_replace_weights_by_whole_numbers_but_not_by_nan() -> None:
    model = quiet(estimator("classes").fit, X, Y["classes"])
    model.coefs_ = [np.round(w).astype(int) for w in model.coefs_]
    network = fastmlp.from_sklearn(copy.deepcopy(model))
    np.testing.assert_array_equal(model.predict_proba(X), network.predict(X))
    model.coefs_[1] = np.where(np.eye(4, 3) > 0, np.nan, 0.0)
    with pytest.raises(ValueError, match=r"^coefs_ must be finite, but coefs_\[1\]\[0, 0\] is nan$"):
        model.predict(X)
