"""Arguments of the estimators: label matrices, one class, masked arrays, nested parameters, and messages."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp
from fastmlp import SGD, Adam, AdamW, CategoricalCrossentropy, CosineDecay, EarlyStopping, Huber, LeakyReLU
from fastmlp import sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

Array = np.ndarray[Any, np.dtype[Any]]
X = np.random.default_rng(0).normal(size=(30, 4))
Y = np.arange(30) % 3
LABELS = (X[:, :3] > 0).astype(int)


def classifier(module: Any = ours, **more: Any) -> Any:
    return module.MLPClassifier((4,), max_iter=2, random_state=0, **more)


def regressor(**more: Any) -> Any:
    return ours.MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0, **more)


# Label matrices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix, sparse.lil_array])
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("weights", [None, np.linspace(0.1, 1, 30)], ids=["unweighted", "weighted"])
def test_sparse_labels_are_learned_as_in_scikit_learn(layout: Any, early: bool, weights: Array | None) -> None:
    reference, compiled = (
        classifier(module, early_stopping=early).fit(X, layout(LABELS), weights) for module in (theirs, ours)
    )
    assert type(compiled.predict(X)) is type(reference.predict(X))
    assert (compiled.predict(X) != reference.predict(X)).nnz == 0
    np.testing.assert_allclose(compiled.predict_proba(X), reference.predict_proba(X), rtol=0, atol=1e-9)
    assert compiled.score(X, layout(LABELS)) == reference.score(X, layout(LABELS))
    if early:
        assert compiled.validation_scores_ == pytest.approx(reference.validation_scores_, abs=1e-9)


@pytest.mark.parametrize("scoring", [None, "loss", "f1_macro"])
def test_validation_labels_and_samples_may_be_sparse(scoring: str | None) -> None:
    layouts = (np.asarray, sparse.csr_matrix, sparse.coo_array)
    model, found = classifier(early_stopping=True, scoring=scoring), []
    for (first, of_y), (second, of_y_val) in itertools.product(enumerate(layouts), repeat=2):
        of_X_val = layouts[(first + second) % 3]
        model.fit(X, of_y(LABELS), X_val=of_X_val(X[:11]), y_val=of_y_val(LABELS[:11]))
        found.append(model.validation_scores_)
    assert all(scores == found[0] for scores in found)


def test_any_number_but_0_is_a_label_in_y_val_as_in_y() -> None:
    model = classifier(early_stopping=True).fit(X, LABELS, X_val=X, y_val=LABELS)
    other = classifier(early_stopping=True).fit(X, LABELS, X_val=X, y_val=5 * LABELS)
    assert model.validation_scores_ == other.validation_scores_


# One class -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [0, 1, 7.0, True, "a"])
@pytest.mark.parametrize("more", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_one_class_is_learned_as_in_scikit_learn(label: Any, more: dict[str, Any]) -> None:
    y = np.full(30, label)
    reference, compiled = (classifier(module, **more).fit(X, y) for module in (theirs, ours))
    assert compiled.classes_.tolist() == reference.classes_.tolist() == [label]
    np.testing.assert_array_equal(compiled.predict(X), reference.predict(X))
    assert compiled.predict_proba(X).shape == (30, 2)  # of scikit-learn's single logistic output
    np.testing.assert_allclose(compiled.predict_proba(X), reference.predict_proba(X), rtol=0, atol=1e-6)
    assert compiled.score(X, y) == 1.0
    if not more:
        parts = [classifier(module).partial_fit(X, y, classes=[label]) for module in (theirs, ours)]
        np.testing.assert_allclose(*(each.predict_proba(X) for each in parts), rtol=0, atol=1e-9)


# Masked arrays -------------------------------------------------------------------------------------------------------

MASKED, MASKED_Y = np.ma.array(X, mask=X > 1), np.ma.array(Y, mask=Y > 1)
MASKED_W = np.ma.array(X[:, 0] ** 2, mask=Y > 1)
FITTED: dict[str, Callable[[Any], Any]] = {
    "X": lambda m: m.fit(MASKED, Y),
    "y": lambda m: m.fit(X, MASKED_Y),
    "sample_weight": lambda m: m.fit(X, Y, MASKED_W),
    "X_val": lambda m: m.fit(X, Y, X_val=MASKED, y_val=Y),
    "y_val": lambda m: m.fit(X, Y, X_val=X, y_val=MASKED_Y),
    "sample_weight_val": lambda m: m.fit(X, Y, X_val=X, y_val=Y, sample_weight_val=MASKED_W),
    "X of partial_fit": lambda m: m.partial_fit(MASKED, Y),
    "y of partial_fit": lambda m: m.partial_fit(X, MASKED_Y),
    "X, a list of rows": lambda m: m.fit(list(MASKED), Y),
    "X of predict": lambda m: m.predict(MASKED),
    "X of predict_proba": lambda m: m.predict_proba(MASKED),
    "X of score": lambda m: m.score(MASKED, Y),
    "y of score": lambda m: m.score(X, MASKED_Y),
    "sample_weight of score": lambda m: m.score(X, Y, MASKED_W),
}


@pytest.mark.parametrize("make", [classifier, regressor])
def test_masked_values_are_refused(make: Callable[..., Any]) -> None:
    model = make().fit(X, Y)
    for what, call in FITTED.items():
        if "proba" not in what or make is classifier:
            name = what.partition(" ")[0].strip(",")
            with pytest.raises(ValueError, match=f"^{name} must have a value in every place, but some are masked"):
                call(model)


def test_a_mask_that_hides_nothing_is_accepted() -> None:
    model = classifier().fit(np.ma.array(X, mask=False), np.ma.array(Y))
    np.testing.assert_array_equal(model.predict(np.ma.array(X)), classifier().fit(X, Y).predict(X))


# Nested parameters ---------------------------------------------------------------------------------------------------


def test_numbers_of_objects_are_parameters() -> None:
    schedule = CosineDecay(1e-3, 200)
    model = classifier(optimizer=AdamW(schedule), activation=LeakyReLU(0.2), loss=CategoricalCrossentropy(0.1))
    found = model.get_params()
    assert found["optimizer__weight_decay"] == AdamW(schedule).weight_decay
    assert found["optimizer__learning_rate"] == schedule
    assert found["optimizer__learning_rate__decay_steps"] == 200
    assert (found["activation__slope"], found["loss__label_smoothing"]) == (0.2, 0.1)
    assert not any("__" in name for name in model.get_params(deep=False))
    assert not any("__" in name for name in classifier().get_params())
    assert classifier(optimizer="sgd").get_params()["optimizer__momentum"] == 0.0


def test_set_params_puts_a_changed_copy_in_place() -> None:
    optimizer = AdamW(CosineDecay(1e-3, 200))
    model = classifier(optimizer=optimizer, loss="categorical_crossentropy")
    twin = clone(model)
    model.set_params(optimizer__learning_rate__decay_steps=50, optimizer__beta_1=0.8, loss__label_smoothing=0.3)
    assert model.optimizer == AdamW(CosineDecay(1e-3, 50), beta_1=0.8)
    assert model.loss == CategoricalCrossentropy(0.3)
    assert twin.optimizer == optimizer == AdamW(CosineDecay(1e-3, 200))  # frozen, and shared with nobody's search
    model.set_params(optimizer=SGD(0.5), optimizer__momentum=0.9)
    assert model.optimizer == SGD(0.5, momentum=0.9)
    model.set_params(
        optimizer="adam", optimizer__learning_rate=CosineDecay(0.1, 9), optimizer__learning_rate__alpha=0.5
    )
    assert model.optimizer == Adam(CosineDecay(0.1, 9, alpha=0.5))
    assert regressor(loss="huber").set_params(loss__delta=0.25).loss == Huber(0.25)
    assert model.set_params(activation=LeakyReLU(), activation__slope=0.5).activation == LeakyReLU(0.5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"optimizer__lr": 1},
            r"^Invalid parameter 'lr' for estimator Adam\(0.001\). Valid parameters are: \['learning_",
        ),
        ({"optimizer__learning_rate__steps": 1}, r"^Invalid parameter 'learning_rate__steps' for estimator Adam"),
        ({"optimizer": None, "optimizer__momentum": 1}, r"'optimizer__momentum' for estimator .*: optimizer is None"),
        ({"loss__delta": 1}, r"^Invalid parameter 'loss__delta' for estimator .*: loss is 'log_loss', which has no"),
        ({"activation": ["relu"], "activation__slope": 1}, r"activation is \['relu'\], which has no parameters"),
        ({"optimiser__momentum": 1}, r"^Invalid parameter 'optimiser' for estimator MLPClassifier"),
        ({"optimizer__learning_rate": -1}, r"^adam: learning_rate must be at least 0"),
    ],
)
def test_wrong_nested_parameters_are_refused_as_in_scikit_learn(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".*", r"[\s\S]*")):
        classifier(optimizer=Adam()).set_params(**parameters)


def test_a_subclass_may_have_fewer_parameters() -> None:
    class Fixed(ours.MLPRegressor):  # type: ignore[misc]
        def __init__(self, alpha: float = 0.1) -> None:
            super().__init__(alpha=alpha, hidden_layer_sizes=(3,), max_iter=2)

    model = clone(Fixed().set_params(alpha=0.5)).fit(X, Y)
    assert model.get_params() == {"alpha": 0.5}


def test_searches_vary_the_numbers_of_an_optimizer() -> None:
    given = SGD(0.1)
    pipeline = make_pipeline(StandardScaler(), classifier(optimizer=given))
    grid = {"mlpclassifier__optimizer__learning_rate": [1e-9, 0.5], "mlpclassifier__optimizer__momentum": [0.0, 0.9]}
    search = GridSearchCV(pipeline.set_params(mlpclassifier__max_iter=30), grid, cv=3).fit(X, Y)
    assert search.best_estimator_[-1].optimizer.learning_rate == 0.5
    assert len({*search.cv_results_["mean_test_score"]}) > 1
    assert given == SGD(0.1)
    other = {"optimizer__learning_rate__initial_learning_rate": [1e-9, 0.5]}
    random = RandomizedSearchCV(classifier(optimizer=Adam(CosineDecay(0.1, 60))), other, n_iter=2, cv=3, random_state=0)
    assert random.fit(X, Y).best_estimator_.optimizer.learning_rate.decay_steps == 60


# Words ---------------------------------------------------------------------------------------------------------------

TOO_LARGE = np.where(np.arange(120).reshape(30, 4) == 6, 1e300, X)
WORDS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: classifier().fit(X.astype(np.float32), Y).predict(TOO_LARGE),
        ValueError,
        r"X\[1, 2\] is 1e\+300, which float32 cannot hold; scale it down, or compute in float64$",
    ),
    (lambda: classifier(class_weight={0: -1}).fit(X, Y), ValueError, r"^class_weight\[0\] must be at least 0 .*got -1"),
    (lambda: classifier(class_weight={0: 1e101}).fit(X, Y), ValueError, r"^class_weight\[0\] must .*less than 1e\+100"),
    (lambda: classifier(class_weight={0: "a"}).fit(X, Y), TypeError, r"^class_weight\[0\] must be a number, got 'a'"),
    (
        lambda: classifier(class_weight=dict.fromkeys(range(3), 2.0)).fit(X, Y, -np.ones(30)),
        ValueError,
        "^sample_weight must be at least 0, got -1$",
    ),
    (
        lambda: classifier(class_weight=dict.fromkeys(range(3), 1e60)).fit(X, Y, np.full(30, 1e60)),
        ValueError,
        "^sample_weight times class_weight must be less than",
    ),
    (
        lambda: classifier(early_stopping=True).fit(X, Y, X_val=X, y_val=Y, sample_weight_val=-np.ones(30)),
        ValueError,
        "^sample_weight_val must be at least 0, got -1$",
    ),
    (
        lambda: classifier(early_stopping=True).fit(X, Y, X_val=np.full((9, 4), np.nan), y_val=Y[:9]),
        ValueError,
        "^in X_val: Input X contains NaN",
    ),
    (
        lambda: classifier(early_stopping=True).fit(X, LABELS, X_val=X, y_val=LABELS + 0.5),
        ValueError,
        "^y_val must hold 0 and 1 for each label, as y does, got continuous-multioutput values",
    ),
    (
        lambda: regressor(early_stopping=True, loss="poisson", scoring="loss").fit(X, Y, X_val=X, y_val=-Y),
        ValueError,
        "^y_val must be at least 0",
    ),
    (lambda: regressor().fit(X, sparse.csr_matrix(X)), TypeError, r"^y must be a dense array .* use y\.toarray\(\)"),
    (lambda: regressor().fit(X, ["a"] * 30), ValueError, "^y must hold numbers .*an MLPClassifier learns labels"),
    (
        lambda: regressor(loss="categorical_crossentropy").fit(X, Y),
        ValueError,
        "needs shares of at least 2 classes in each row of y, got 1 column; an MLPClassifier learns labels",
    ),
    (
        lambda: classifier(callbacks=[EarlyStopping()]).fit(X, Y),
        ValueError,
        "^EarlyStopping monitors 'val_loss', but an estimator .* monitor 'loss', or set early_stopping=True",
    ),
    (lambda: classifier().set_params(hidden_layer_sizes=(2.5,)).fit(X, Y), TypeError, "must be whole numbers, .*2.5"),
    (
        lambda: regressor(warm_start=True).fit(X, X[:, 0]).fit(X, X[:, :2]),
        ValueError,
        "^y has 2 outputs, but this fit would continue with a network of 1 outputs; fit with warm_start=False",
    ),
    (
        lambda: classifier(warm_start=True).fit(X, Y).set_params(loss="hinge").fit(X, Y),
        ValueError,
        "^loss='hinge' needs the output activation 'identity', but this fit would continue with 'softmax'; restore",
    ),
    (lambda: fastmlp.to_c(classifier().fit(X, Y), "x.h"), TypeError, r"; fastmlp\.from_sklearn\(estimator\) makes one"),
]


@pytest.mark.parametrize(("call", "error", "message"), WORDS)
def test_errors_name_what_the_user_gave(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
