"""Random sequences of calls of an estimator, with scikit-learn's own estimator as the model.

Each call is made on both. Both must return values of the same shapes, have the same fitted attributes, and refuse the
same calls with the same types of exceptions. A refused call leaves no trace in the estimator of fastmlp: its state
before and after is equal to the bit. Where scikit-learn computes the same, weights and predictions agree.

The model departs from scikit-learn in what the documentation says:

- Predictions use the activation of the last fit; the model keeps it beside scikit-learn's estimator.
- Continuing with other sizes of layers or another number of outputs, invalid parameters in a second `partial_fit`, and
  negative weights are refused.
- Where scikit-learn fails with an error of its internals, because the solver or early stopping has changed between two
  fits, fastmlp works. The model then takes the state of the estimator of fastmlp.
- After a second fit with early stopping, or one with 'lbfgs', the weights are not compared until the next fit anew: the
  former restores other weights, and the line searches of the latter amplify rounding errors.
"""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from behaviour import estimator_state
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from scipy import sparse
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastmlp import sklearn as ours

Array = np.ndarray[Any, np.dtype[Any]]

# Adam divides a gradient g by |g| + 1e-8, so that one step moves a weight by the learning rate times (the rounding
# errors of g) / 1e-8 at most. A gradient here is a sum of less than 100 products of numbers below 10, whose order
# differs: an error of 100 x 10 x 2.2e-16. A sequence has at most 6 fits of 2 iterations of 4 batches: 48 steps with a
# learning rate of 0.001, which makes 48 x 0.001 x 2.2e-13 / 1e-8.
TOLERANCE = 1.1e-6

ROWS = 15
CLASSES = {"binary": 2, "classes": 3}
RESULTS = ("predict", "predict_proba", "predict_log_proba")
OWN = {"history_", "hidden_activations_"}

PARAMETERS: dict[str, list[Any]] = {
    "solver": ["adam", "sgd", "lbfgs"],
    "activation": ["relu", "tanh", "identity", "logistic"],
    "alpha": [0.0, 1e-4, 0.5],
    "batch_size": ["auto", 4, 99],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "max_iter": [1, 2],
    "shuffle": [True, False],
    "warm_start": [False, True],
    "early_stopping": [False, True],
    "hidden_layer_sizes": [(3,), (2, 4)],
    "momentum": [0.0, 0.9],
    "random_state": [0, 1],
}
INVALID: list[dict[str, Any]] = [
    {"solver": "newton"},
    {"activation": "sinus"},
    {"alpha": -1},
    {"batch_size": 0},
    {"max_iter": 0},
    {"hidden_layer_sizes": (0,)},
    {"hidden_layer_sizes": (2.5,)},
    {"validation_fraction": 0.01, "early_stopping": True},
    {"random_state": "a"},
]
DATA = ("usual", "other", "sparse", "lists", "features", "classes", "outputs", "short", "nan", "negative weights")


def inputs(which: str) -> Any:
    X = np.random.default_rng(which == "other").normal(size=(ROWS, 3 if which != "features" else 2))
    if which == "nan":
        X[3, 1] = np.nan
    return sparse.csr_matrix(np.maximum(X, 0)) if which == "sparse" else X.tolist() if which == "lists" else X


def targets(kind: str, which: str) -> Any:
    rng = np.random.default_rng(2 + (which == "other"))
    if kind in CLASSES:
        count = CLASSES[kind] + (which == "classes")
        return np.array(["ant", "bee", "cow", "dog"])[rng.permutation(ROWS) % count]
    columns = 2 + (which == "outputs")
    values = rng.normal(size=(ROWS, columns))
    if kind == "labels":
        return (values > 0).astype(int)
    return values[:, 0] if kind == "number" and which != "outputs" else values


def sample(kind: str, which: str) -> tuple[Any, Any, Any]:
    """Return X, y and the weights of the rows."""
    y = targets(kind, which)
    weights = {"other": np.linspace(0.5, 2, ROWS), "negative weights": -np.ones(ROWS)}.get(which)
    return inputs(which), y[:-3] if which == "short" else y, weights


def attempt(call: Callable[[Any], Any], model: Any) -> tuple[Any, Exception | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(model), None
        except Exception as error:
            return None, error


def family(error: Exception | None) -> type[BaseException] | None:
    """Return the general type of an exception, which users catch; None without one."""
    general = (NotFittedError, ValueError, TypeError, AttributeError, Exception)
    return next((kind for kind in general if isinstance(error, kind)), None)


def fitted_attributes(model: Any) -> set[str]:
    return {name for name in vars(model) if name.endswith("_")} - OWN


class Sequences(RuleBasedStateMachine):
    """An estimator of fastmlp, one of scikit-learn, and the calls that are made on both."""

    @initialize(
        kind=st.sampled_from(["binary", "classes", "labels", "number", "numbers"]),
        chosen=st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in PARAMETERS.items()}),
    )
    def begin(self, kind: str, chosen: dict[str, Any]) -> None:
        name = "MLPRegressor" if kind.startswith("number") else "MLPClassifier"
        parameters = {
            "hidden_layer_sizes": (3,),
            "max_iter": 2,
            "random_state": 0,
            "validation_fraction": 0.3,
            **chosen,
        }
        self.kind, self.activation, self.agrees = kind, None, True
        self.model, self.own = (getattr(module, name)(**parameters) for module in (theirs, ours))

    # Calls that keep what was learned --------------------------------------------------------------------------------

    @rule(name=st.sampled_from(sorted(PARAMETERS)), data=st.data())
    def set_params(self, name: str, data: st.DataObject) -> None:
        value = data.draw(st.sampled_from(PARAMETERS[name]), name)
        for each in (self.model, self.own):
            each.set_params(**{name: value})

    @rule(wrong=st.sampled_from(["alhpa", "optimizer__learning_rate", "alpha__x"]))
    def set_a_parameter_that_does_not_exist(self, wrong: str) -> None:
        before = estimator_state(self.own)
        for each in (self.model, self.own):
            _, error = attempt(lambda model: model.set_params(tol=0.5, **{wrong: 1}), copy.copy(each))
            assert isinstance(error, (ValueError, AttributeError)), error
        _, error = attempt(lambda model: model.set_params(tol=0.5, **{wrong: 1}), self.own)
        assert error is not None
        assert estimator_state(self.own) == before

    @rule()
    def pickle_or_copy(self) -> None:
        self.model, self.own = copy.deepcopy(self.model), pickle.loads(pickle.dumps(self.own))

    @rule(how=st.sampled_from(RESULTS), which=st.sampled_from(["usual", "other", "sparse", "features", "nan"]))
    def predict(self, how: str, which: str) -> None:
        if how == "predict" or self.kind in (*CLASSES, "labels"):
            self.compare_values(lambda model: getattr(model, how)(inputs(which)))

    @rule(which=st.sampled_from(["usual", "other", "features", "short"]))
    def score(self, which: str) -> None:
        self.compare_values(lambda model: model.score(*sample(self.kind, which)))

    def compare_values(self, call: Callable[[Any], Any]) -> None:
        """Make a call that returns values on both; the model has the activation of the last fit."""
        view = copy.copy(self.model)
        view.activation = self.activation
        (expected, refused), (found, error) = attempt(call, view), attempt(call, self.own)
        assert family(error) is family(refused), (error, refused)
        if error is None:
            assert type(found) is type(expected)
            assert np.shape(found) == np.shape(expected)
            if self.agrees and np.asarray(found).dtype.kind == "f":
                np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
            elif self.agrees:
                np.testing.assert_array_equal(found, expected)

    # Calls that learn ------------------------------------------------------------------------------------------------

    @rule(which=st.sampled_from(DATA))
    def fit(self, which: str) -> None:
        X, y, weights = sample(self.kind, which)
        anew = not self.own.warm_start or not hasattr(self.own, "coefs_")
        self.learn(lambda model: model.fit(X, y, weights), which, anew)

    @rule(which=st.sampled_from(DATA), classes=st.sampled_from(["none", "all", "other"]))
    def partial_fit(self, which: str, classes: str) -> None:
        X, y, weights = sample(self.kind, which)
        more = {}
        if self.kind in (*CLASSES, "labels") and classes != "none":
            y_all = np.arange(2) if self.kind == "labels" else np.unique(targets(self.kind, "usual"))
            more["classes"] = y_all if classes == "all" else y_all[1:]
        self.learn(lambda model: model.partial_fit(X, y, weights, **more), which, not hasattr(self.own, "coefs_"))

    @rule(parameters=st.sampled_from(INVALID), incremental=st.booleans())
    def fit_with_invalid_parameters(self, parameters: dict[str, Any], incremental: bool) -> None:
        given = {name: getattr(self.own, name) for name in parameters}
        for each in (self.model, self.own):
            each.set_params(**parameters)
        X, y, _ = sample(self.kind, "usual")
        if incremental and hasattr(self.own, "coefs_"):
            self.learn(lambda model: model.partial_fit(X, y), "invalid parameters", False)
        else:
            self.learn(lambda model: model.fit(X, y), "usual", not self.own.warm_start)
        for each in (self.model, self.own):
            each.set_params(**given)

    def learn(self, call: Callable[[Any], Any], which: str, anew: bool) -> None:
        """Make a call that learns on both, and compare what they have become or how they refused."""
        before, follower = estimator_state(self.own), copy.deepcopy(self.model)
        (_, refused), (_, error) = attempt(call, follower), attempt(call, self.own)
        if error is not None:
            assert estimator_state(self.own) == before, error
            assert family(error) is family(refused) or self.refused_here_alone(which, anew), (error, refused)
            return
        self.activation = self.own.activation
        if refused is None:
            repeated = self.own.early_stopping and not anew
            self.agrees = (self.agrees or anew) and self.own.solver != "lbfgs" and not repeated
            self.model = follower
        else:  # scikit-learn fails at its own state
            assert not isinstance(refused, (ValueError, NotFittedError)), refused
            assert not anew, refused
            self.model, self.agrees = self.as_scikit_learn(), False
        self.compare_states()

    def refused_here_alone(self, which: str, anew: bool) -> bool:
        """Return whether the documentation says that fastmlp refuses what scikit-learn tries."""
        if which == "negative weights" or anew:
            return which == "negative weights"
        if which == "invalid parameters":
            return True
        sizes = [w.shape[1] for w in self.own.coefs_[:-1]]
        outputs = np.shape(targets(self.kind, which))[1:] or (1,)
        return sizes != [*np.ravel(self.own.hidden_layer_sizes)] or outputs != self.own.intercepts_[-1].shape

    def as_scikit_learn(self) -> Any:
        """Return an estimator of scikit-learn with the state of fastmlp's, which begins with a new optimizer."""
        model = type(self.model)(**{name: getattr(self.own, name) for name in self.model.get_params()})
        kept = {k: v for k, v in vars(self.own).items() if k not in ("_compiled", "_optimizer", "history_")}
        vars(model).update(copy.deepcopy(kept))
        return model

    def compare_states(self) -> None:
        own, model = self.own, self.model
        extra = {"loss_curve_"} if own.solver == "lbfgs" else set()
        assert fitted_attributes(own) - extra == fitted_attributes(model) - extra
        for name in ("n_layers_", "n_outputs_", "n_features_in_", "out_activation_"):
            assert getattr(own, name) == getattr(model, name), name
        for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
            assert (getattr(own, name, None) is None) == (getattr(model, name, None) is None), name
        for found, expected in zip([*own.coefs_, *own.intercepts_], [*model.coefs_, *model.intercepts_], strict=True):
            assert found.shape == expected.shape
            if self.agrees:
                np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
        if self.agrees:
            assert (own.n_iter_, own.t_, own._no_improvement_count) == (
                model.n_iter_,
                model.t_,
                model._no_improvement_count,
            )
            np.testing.assert_allclose(own.loss_curve_, model.loss_curve_, rtol=TOLERANCE, atol=TOLERANCE)
            if model.validation_scores_ is not None:
                np.testing.assert_allclose(own.validation_scores_, model.validation_scores_, rtol=0, atol=TOLERANCE)

    @precondition(lambda self: hasattr(self.own, "coefs_"))
    @rule()
    def clone(self) -> None:
        self.model, self.own = clone(self.model), clone(self.own)
        self.agrees = True
        assert not fitted_attributes(self.own)


TestSequences = Sequences.TestCase
TestSequences.settings = settings(stateful_step_count=6)
