"""Relations of the scikit-learn estimators: names of classes, kinds of X, copies, and parameters set after a fit."""

from __future__ import annotations

import contextlib
import copy
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from cases import Array, assert_same_bits
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning

from fastmlp.sklearn import MLPClassifier, MLPRegressor

PARAMETERS = {
    "hidden_layer_sizes": st.sampled_from([(), (3,), (8, 5)]),
    "activation": st.sampled_from(["identity", "logistic", "tanh", "relu", "gelu", "softmax"]),
    "solver": st.sampled_from(["adam", "sgd", "lbfgs"]),
    "alpha": st.sampled_from([0.0, 1e-4, 0.1]),
    "batch_size": st.sampled_from(["auto", 4, 7]),
    "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
    "learning_rate_init": st.sampled_from([0.01, 0.1]),
    "max_iter": st.integers(1, 4),
    "shuffle": st.booleans(),
    "random_state": st.integers(0, 100),
    "early_stopping": st.booleans(),
    "validation_fraction": st.just(0.3),
    "momentum": st.sampled_from([0.0, 0.9]),
}
"""Parameters that both estimators have."""


@st.composite
def estimators(
    draw: Any, kinds: tuple[str, ...] = ("classes", "labels", "numbers", "counts")
) -> tuple[Any, Array, Array]:
    """Draw an estimator, X and y. A classifier has classes from 0 on, each several times."""
    parameters, seed = draw(st.fixed_dictionaries(PARAMETERS)), draw(st.integers(0, 2**32 - 1))
    rng, rows, columns = np.random.default_rng(seed), draw(st.integers(20, 40)), draw(st.sampled_from((1, 3, 16)))
    X = rng.normal(size=(rows, columns)) * (rng.uniform(size=(rows, columns)) < 0.8)  # some zeros, for sparse data
    kind = draw(st.sampled_from(kinds))
    if parameters["solver"] != "lbfgs":
        parameters["dropout"] = draw(st.sampled_from([0.0, 0.3]))
    if kind in ("classes", "labels"):
        classes = draw(st.sampled_from((2, 3, 5)))
        y = np.arange(rows) % classes if kind == "classes" else rng.integers(0, 2, (rows, classes))
        loss = draw(st.sampled_from(("log_loss", "hinge") if parameters["solver"] != "lbfgs" else ("log_loss",)))
        return MLPClassifier(**parameters, loss=loss), X, y
    loss, y = ("poisson", rng.poisson(2.0, rows)) if kind == "counts" else ("squared_error", rng.normal(size=rows))
    return MLPRegressor(**parameters, loss=loss), X, y.astype(np.float64)


@contextlib.contextmanager
def unfinished() -> Iterator[None]:
    """Let fits end before they converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def fitted(estimator: Any, X: Any, y: Any) -> Any:
    with unfinished():
        return clone(estimator).fit(X, y)


def predictions(estimator: Any, X: Any) -> list[bytes]:
    """Return what the estimator predicts, to the bit."""
    found = [estimator.predict(X)]
    if is_classifier(estimator) and hasattr(estimator, "predict_proba"):
        found += [estimator.predict_proba(X), estimator.predict_log_proba(X)]
    return [np.ascontiguousarray(array).tobytes() for array in found]


NAMES: dict[str, Any] = {
    "texts": np.array(["ant", "bee", "cow", "dog", "elk"]),
    "objects": np.array(["a", "b", "c", "d", "e"], object),
    "negative": np.array([-7, -3, 0, 4, 1000]),
    "float": np.array([-3.0, 0.0, 2.0, 3.0, 1e10]),
    "bool": np.array([False, True]),
}
"""Names of classes, sorted."""


@given(estimators(kinds=("classes",)), st.sampled_from([*NAMES]))
def test_names_of_classes_change_nothing(drawn: Any, names: str) -> None:
    """To the bit: names that sort as the numbers do, of any dtype."""
    estimator, X, y = drawn
    if names == "bool" and y.max() > 1:
        return
    of_numbers, of_names = fitted(estimator, X, y), fitted(estimator, X, NAMES[names][y])
    assert of_names.classes_.tolist() == NAMES[names][: y.max() + 1].tolist()
    assert (of_names.predict(X) == NAMES[names][of_numbers.predict(X)]).all()
    if hasattr(of_numbers, "predict_proba"):
        assert_same_bits(of_names.predict_proba(X), of_numbers.predict_proba(X))
    for one, other in zip(of_names.coefs_, of_numbers.coefs_, strict=True):
        assert_same_bits(one, other)
    assert of_names.score(X, NAMES[names][y]) == of_numbers.score(X, y)


KINDS = {
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "frame": lambda X: pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]),
    "list": lambda X: X.tolist(),
    "Fortran": np.asfortranarray,
}


CHANGES: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(4,), (2, 2, 2), ()],
    "activation": ["relu", "tanh", "softmax", "no such activation"],
    "solver": ["lbfgs", "adam", "no such solver"],
    "alpha": [10.0, -1.0],
    "batch_size": [1, "auto", 0],
    "learning_rate_init": [5.0, -1.0],
    "max_iter": [1, -1],
    "random_state": [99],
    "warm_start": [True],
    "early_stopping": [True, False],
    "validation_fraction": [0.1, 2.0],
    "dropout": [0.5, [0.1, 0.2, 0.3, 0.4], -1.0],
    "optimizer": ["lion", "no such optimizer"],
    "clipvalue": [0.1, -1.0],
    "n_threads": [1, 2, 0],
    "callbacks": [[]],
    "loss": ["hinge", "log_loss", "squared_error", "poisson", "mean_absolute_error"],
}
"""Values to set after a fit, valid and invalid ones."""


@given(
    estimators(),
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(sorted(CHANGES)), st.integers(0, 3), min_size=1, max_size=4),
)
def test_kinds_of_X_copies_and_parameters_set_after_a_fit_change_no_prediction(
    drawn: Any, kind: str, changes: dict[str, int]
) -> None:
    """To the bit: predictions depend on what was learned, and not on how X is stored."""
    estimator, X, y = drawn
    plain, learned = fitted(estimator, X, y), fitted(estimator, KINDS[kind](X), y)
    expected = predictions(plain, X)
    assert predictions(learned, KINDS[kind](X)) == expected
    assert repr(learned.loss_curve_) == repr(plain.loss_curve_)
    plain.set_params(**{name: CHANGES[name][place % len(CHANGES[name])] for name, place in changes.items()})
    for same in (plain, pickle.loads(pickle.dumps(plain)), copy.deepcopy(plain)):
        assert predictions(same, X) == expected
        assert str(same.get_params()) == str(plain.get_params())
