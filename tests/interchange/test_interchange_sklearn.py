"""to_sklearn and from_sklearn: predictions and further training are those of scikit-learn in both directions."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import sklearn.neural_network
from cases import DTYPES, Array
from conversion import TOLERANCE, difference, registered_activation, rows
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp.sklearn
from fastmlp import (
    ELU,
    Dense,
    Ensemble,
    Huber,
    Network,
    from_sklearn,
    register_with_skl2onnx,
    to_onnx,
    to_sklearn,
)

RNG = np.random.default_rng(7)
X = rows("float64", 60)
TARGETS: dict[str, Any] = {
    "two classes": np.array(["ill", "well"])[RNG.integers(0, 2, 60)],
    "three classes": RNG.integers(0, 3, 60) * 10,
    "labels": RNG.integers(0, 2, (60, 3)),
    "one number": RNG.normal(size=60),
    "two numbers": RNG.normal(size=(60, 2)),
    "counts": RNG.poisson(3, 60),
}
HIDDEN = {"identity": "linear", "relu": "relu", "logistic": "sigmoid", "tanh": "tanh"}


def fitted(
    target: str, activation: Any = "relu", dtype: str = "float64", of: Any = sklearn.neural_network, **options: Any
) -> Any:
    """Return an estimator of scikit-learn or fastmlp after three epochs."""
    regressor = target in ("one number", "two numbers", "counts")
    loss = {"loss": "poisson"} if target == "counts" else {}
    kind = of.MLPRegressor if regressor else of.MLPClassifier
    made = kind(hidden_layer_sizes=[8, 6], activation=activation, max_iter=3, random_state=0, **loss, **options)
    with pytest.warns(ConvergenceWarning):
        return made.fit(X.astype(dtype), TARGETS[target])


@pytest.mark.parametrize("target", TARGETS)
def test_estimators_of_fastmlp_become_equal_networks(target: str) -> None:
    estimator = fitted_compiled(target, activation=["gelu", "tanh"])
    data = X.astype(np.float32)
    assert difference(from_sklearn(estimator).predict(data), outputs(estimator, data)) <= TOLERANCE["float32"]


def test_estimators_with_a_hinge_loss_become_networks_of_scores() -> None:
    estimator = fitted_compiled("three classes", loss="hinge")
    data = X.astype(np.float32)
    net = from_sklearn(estimator, loss="hinge")
    assert difference(net.predict(data), estimator._forward_pass_fast(data)) <= TOLERANCE["float32"]


@pytest.mark.parametrize("target", ["two classes", "three classes", "labels"])
def test_classes_from_scores_equal_those_of_the_estimator(target: str) -> None:
    """The threshold of the scores of two classes is 0, not 0.5."""
    estimator = fitted_compiled(target, loss="hinge")
    estimator.intercepts_[-1] += 0.25 - np.median(from_sklearn(estimator).predict(X), axis=0)
    found = from_sklearn(estimator).predict_classes(X)
    called = found if target == "labels" else estimator.classes_[found]
    assert (called == estimator.predict(X)).all()


def outputs(estimator: Any, data: Array) -> Array:
    """Return the predictions of the estimator as a network has them, shape (rows, outputs)."""
    if isinstance(estimator, MLPRegressor):
        return np.asarray(estimator.predict(data)).reshape(len(data), -1)
    probabilities = np.asarray(estimator.predict_proba(data))
    return probabilities[:, 1:] if estimator.n_outputs_ == 1 else probabilities


def net_for(output: str, units: int, hidden: str = "relu", dtype: str = "float64", **options: Any) -> Network:
    """Return a network with biases; without them, rows for which all relu are 0 would be exact ties."""
    layers = [5, *(Dense(size, hidden, bias_init="he_normal") for size in (8, 6)), Dense(units, bias_init="he_normal")]
    return Network(layers, output=output, dtype=dtype, seed=3, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("target", TARGETS)
def test_a_network_predicts_as_its_estimator(target: str, activation: str, dtype: str) -> None:
    estimator = fitted(target, activation, dtype)
    net = from_sklearn(estimator)
    data = X.astype(dtype)
    assert net.architecture.dtype == dtype
    assert difference(net.predict(data), outputs(estimator, data)) <= TOLERANCE[dtype]
    if target in ("two classes", "three classes"):
        assert (estimator.classes_[net.predict_classes(data)] == estimator.predict(data)).all()


@pytest.mark.parametrize(
    ("target", "loss"),
    [
        ("two classes", "binary_crossentropy"),
        ("three classes", "categorical_crossentropy"),
        ("one number", "mean_squared_error"),
        ("counts", "poisson"),
    ],
)
def test_the_loss_follows_from_the_output(target: str, loss: str) -> None:
    assert from_sklearn(fitted(target)).architecture.loss.name == loss


def test_loss_optimizer_and_seed_can_be_given() -> None:
    net = from_sklearn(fitted("one number"), loss=Huber(0.5), optimizer="sgd", seed=9)
    assert (net.architecture.loss, net.architecture.optimizer.name, net.seed) == (Huber(0.5), "sgd", 9)


def test_an_activation_for_each_layer_is_read() -> None:
    """Estimators of `fastmlp.sklearn` may have one."""
    estimator = fitted("one number")
    estimator.activation = ["logistic", ELU(0.5)]
    layers = from_sklearn(estimator).architecture.layers
    assert [layer.activation.label for layer in layers] == ["sigmoid", "elu(alpha=0.5)", "linear"]
    estimator.activation = ["relu"]
    with pytest.raises(ValueError, match="2 hidden layers, but 1 activations"):
        from_sklearn(estimator)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", HIDDEN.values())
@pytest.mark.parametrize(
    ("output", "units"),
    [("softmax", 2), ("softmax", 4), ("sigmoid", 1), ("sigmoid", 3), ("linear", 1), ("linear", 2), ("exponential", 1)],
)
def test_an_estimator_predicts_as_its_network(output: str, units: int, hidden: str, dtype: str) -> None:
    net, data = net_for(output, units, hidden, dtype), X.astype(dtype)
    estimator = to_sklearn(net)
    expected = net.predict(data)[:, 1:] if (output, units) == ("softmax", 2) else net.predict(data)
    assert difference(outputs(estimator, data), expected) <= TOLERANCE[dtype]
    assert estimator.coefs_[0].dtype == dtype


@pytest.mark.parametrize("target", TARGETS)
def test_a_round_trip_gives_the_same_estimator(target: str) -> None:
    estimator = fitted(target)
    classes = None if target == "labels" else getattr(estimator, "classes_", None)
    back = to_sklearn(from_sklearn(estimator), classes=classes)
    assert type(back) is type(estimator)
    assert (back.predict(X) == estimator.predict(X)).all()
    for name in ("coefs_", "intercepts_"):
        for array, expected in zip(getattr(back, name), getattr(estimator, name), strict=True):
            assert array.tobytes() == expected.tobytes()
    left = {"_optimizer", "_random_state", "_best_coefs", "_best_intercepts"}  # set by each fit
    assert set(vars(estimator)) - set(vars(back)) == left
    assert back.out_activation_ == estimator.out_activation_


def test_two_softmax_outputs_become_one_logistic_output() -> None:
    net = net_for("softmax", 2)
    W = net.get_weights()[-1][0]
    net.set_weights([*net.get_weights()[:-1], (W, np.array([0.25, -1.5]))])
    estimator = to_sklearn(net, classes=["no", "yes"])
    assert (estimator.coefs_[-1] == W[:, 1:] - W[:, :1]).all()
    assert estimator.intercepts_[-1].tolist() == [-1.75]
    assert (estimator.out_activation_, estimator.n_outputs_) == ("logistic", 1)
    assert difference(estimator.predict_proba(X), net.predict(X)) <= 1e-12


@pytest.mark.parametrize(("output", "units"), [("softmax", 2), ("softmax", 3), ("sigmoid", 1)])
def test_classes_in_any_order_belong_to_their_outputs(output: str, units: int) -> None:
    net, classes = net_for(output, units), np.array(["virginica", "setosa", "nivea"])[: max(units, 2)]
    estimator = to_sklearn(net, classes=classes)
    assert estimator.classes_.tolist() == sorted(classes)
    found = dict(zip(estimator.classes_, estimator.predict_proba(X).T, strict=True))
    expected = net.predict(X) if units > 1 else np.hstack([1 - net.predict(X), net.predict(X)])
    for name, column in zip(classes, expected.T, strict=True):
        np.testing.assert_allclose(found[name], column, rtol=0, atol=1e-12)
    assert (estimator.predict(X) == classes[net.predict_classes(X)]).all()


def test_estimators_can_be_scored_pickled_cloned_and_used_in_pipelines() -> None:
    net, labels = net_for("softmax", 3), TARGETS["three classes"]
    estimator = to_sklearn(net, classes=[0, 10, 20])
    assert estimator.score(X, labels) == accuracy_score(labels, 10 * net.predict_classes(X))
    assert (pickle.loads(pickle.dumps(estimator)).predict(X) == estimator.predict(X)).all()
    assert (make_pipeline(StandardScaler(), estimator)[-1].predict(X) == estimator.predict(X)).all()
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert copy.hidden_layer_sizes == (8, 6)
    assert not hasattr(copy, "coefs_")
    numbers = net_for("linear", 1)
    assert to_sklearn(numbers).score(X, TARGETS["one number"]) == pytest.approx(
        r2_score(TARGETS["one number"], numbers.predict(X))
    )


def test_feature_names_are_set() -> None:
    pandas = pytest.importorskip("pandas")

    names = list("abcde")
    estimator = to_sklearn(net_for("linear", 1), feature_names=names)
    frame = pandas.DataFrame(X, columns=names)
    assert (estimator.predict(frame) == to_sklearn(net_for("linear", 1)).predict(X)).all()
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(frame[names[::-1]])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_converted_estimator_continues_training_as_the_original(target: str, solver: str) -> None:
    """The reference is scikit-learn without the state of its optimizer, which a network does not have."""
    estimator = fitted(target, solver=solver)
    labels = None if target == "labels" else getattr(estimator, "classes_", None)
    for way in ("partial_fit", "fit"):
        back = to_sklearn(from_sklearn(estimator), classes=labels).set_params(**estimator.get_params())
        twin = pickle.loads(pickle.dumps(estimator))
        del twin._optimizer
        twin.t_, twin.loss_curve_, twin.best_loss_ = 0, [], np.inf
        for each in (back, twin):
            if way == "partial_fit":
                for _ in range(3):
                    each.partial_fit(X, TARGETS[target])
            else:
                with pytest.warns(ConvergenceWarning):
                    each.set_params(warm_start=True).fit(X, TARGETS[target])
        assert outputs(back, X).tobytes() == outputs(twin, X).tobytes()
        assert back.loss_curve_ == twin.loss_curve_
        assert len(back.loss_curve_) == 3
        assert not np.array_equal(outputs(back, X), outputs(estimator, X))
        assert from_sklearn(estimator).get_weights()[0][0].tobytes() == estimator.coefs_[0].tobytes()


def test_a_network_with_two_softmax_outputs_continues_training() -> None:
    labels = TARGETS["two classes"]
    estimator = to_sklearn(net_for("softmax", 2, dtype="float32"), classes=["well", "ill"])
    estimator.set_params(learning_rate_init=0.02, random_state=0)
    before = estimator.score(X, labels)
    for _ in range(200):
        estimator.partial_fit(X, labels)
    assert estimator.score(X, labels) > max(before, 0.9)
    with pytest.raises(ValueError, match="classes not in"):
        estimator.partial_fit(X, np.array(["ill", "dead"] * 30))


def test_dropout_penalties_and_missing_biases_change_no_prediction() -> None:
    layers = [5, Dense(8, use_bias=False, dropout=0.5, l1=0.1), Dense(6, l2=0.1), Dense(2, use_bias=False)]
    net = Network(layers, dtype="float64", loss="huber", seed=3)
    estimator = to_sklearn(net)
    assert estimator.loss == "squared_error"
    assert not estimator.intercepts_[0].any()
    assert difference(outputs(estimator, X), net.predict(X)) <= 1e-12


def test_a_network_without_hidden_layers_becomes_an_estimator() -> None:
    net = Network([5, 3], output="softmax", dtype="float64", seed=0)
    estimator = to_sklearn(net)
    assert difference(outputs(estimator, X), net.predict(X)) <= 1e-12
    estimator.partial_fit(X, RNG.integers(0, 3, 60))
    assert difference(from_sklearn(estimator).predict(X), outputs(estimator, X)) <= 1e-12


def test_weights_are_copies() -> None:
    net = net_for("linear", 1)
    before = net.predict(X)
    estimator = to_sklearn(net)
    copy = from_sklearn(estimator)
    estimator.coefs_[0][:] = 0
    assert (net.predict(X) == before).all()
    assert (copy.predict(X) == before).all()


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        (
            lambda: net_for("softmax", 3, "gelu"),
            {},
            "layer 0 has the activation 'gelu', built in, .*Supported are: linear, ",
        ),
        (
            lambda: Network([5, Dense(4, "tanh"), Dense(4, "relu"), 1]),
            {},
            "in scikit-learn all hidden layers .* got 'tanh' in layer 0 and 'relu' in layer 1",
        ),
        (
            lambda: net_for("tanh", 1),
            {},
            "does not support the output activation 'tanh' with the loss 'mean_squared_error'",
        ),
        (
            lambda: net_for("sigmoid", 1, loss="mean_squared_error"),
            {},
            "output activation 'sigmoid' with the loss 'mean_",
        ),
        (
            lambda: net_for("linear", 1, loss="hinge"),
            {},
            "does not support the output activation 'linear' with the loss 'hinge'",
        ),
        (
            lambda: net_for("linear", 1),
            {"classes": [0, 1]},
            r"classes must be None for a regressor, .* 'linear' becomes, got \[0, 1\]",
        ),
        (lambda: net_for("softmax", 3), {"classes": [0, 1]}, r"classes must be 3 different labels, .* got \[0, 1\]"),
        (lambda: net_for("softmax", 3), {"classes": [0, 1, 1]}, "classes must be 3 different labels"),
        (lambda: net_for("sigmoid", 1), {"classes": ["yes"]}, "classes must be 2 different labels"),
        (lambda: net_for("sigmoid", 3), {"classes": [0, 1, 2]}, "classes must be None for 3 sigmoid outputs"),
        (lambda: net_for("linear", 1), {"feature_names": ["a"]}, "feature_names must be 5 strings, .* got"),
        (lambda: net_for("linear", 1), {"feature_names": range(5)}, "feature_names must be 5 strings"),
        (lambda: net_for("linear", 1), {"feature_names": "abcde"}, "feature_names must be 5 strings, .* got 'abcde'"),
    ],
)
def test_networks_that_scikit_learn_does_not_support_are_refused(
    net: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        to_sklearn(net(), **options)


def test_registered_activations_are_refused_by_name() -> None:
    with (
        registered_activation() as net,
        pytest.raises(ValueError, match="layer 1 has the activation 'softsign', registered"),
    ):
        to_sklearn(net)


def test_only_fitted_perceptrons_are_accepted() -> None:
    with pytest.raises(ValueError, match="this MLPClassifier is not fitted; call fit first"):
        from_sklearn(MLPClassifier())
    for given, kind in (
        (MLPRegressor, "MLPRegressor"),
        (LogisticRegression(), "LogisticRegression"),
        (None, "NoneType"),
    ):
        with pytest.raises(TypeError, match=f"got {kind}; give the last step of a pipeline, or"):
            from_sklearn(given)
    with pytest.raises(TypeError, match=r"to_sklearn needs a fastmlp\.Network, got sklearn"):
        to_sklearn(MLPClassifier())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Ensemble; its attribute `networks` has the members"):
        to_sklearn(Ensemble([5, 3], members=2, seed=0))  # type: ignore[arg-type]


def test_without_scikit_learn_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import fastmlp\n"
        "for call in (lambda: fastmlp.from_sklearn(1), lambda: fastmlp.to_sklearn(fastmlp.Network([1, 1]))):\n"
        "    try:\n        call()\n    except ImportError as error:\n        print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.partition(": ")[2] for line in said] == ['pip install "fastmlp[sklearn]"'] * 2


# skl2onnx -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def _registered_with_skl2onnx() -> None:
    pytest.importorskip("skl2onnx")
    register_with_skl2onnx()


def fitted_compiled(target: str, **options: Any) -> Any:
    """Return a fitted estimator of fastmlp.sklearn."""
    return fitted(target, dtype="float32", of=fastmlp.sklearn, **options)


def converted(estimator: Any, data: Array) -> list[Array]:
    skl2onnx, onnxruntime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    options = {id(last): {"zipmap": False}} if isinstance(last, MLPClassifier) else {}
    model = skl2onnx.to_onnx(estimator, data[:1], options=options)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(each) for each in session.run(None, {"X": data})]


@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("target", ["two classes", "three classes", "labels", "one number"])
@pytest.mark.usefixtures("_registered_with_skl2onnx")
def test_skl2onnx_converts_pipelines(target: str, activation: str) -> None:
    data = X.astype(np.float32)
    last = fitted_compiled(target, activation=activation)
    last.set_params(activation="gelu")  # the next fit would take it
    pipeline = make_pipeline(StandardScaler().fit(data), last)
    found = converted(pipeline, data)
    if target == "one number":
        assert difference(found[0][:, 0], pipeline.predict(data)) <= TOLERANCE["float32"]
    else:
        assert (found[0] == pipeline.predict(data)).all()
        assert difference(found[1], pipeline.predict_proba(data).astype(np.float32)) <= TOLERANCE["float32"]


@pytest.mark.parametrize(
    ("target", "changes", "message"),
    [
        (
            "one number",
            {"activation": "gelu"},
            "Regressor cannot be converted with activation='gelu', .*identity, relu",
        ),
        ("one number", {"activation": ["relu", "tanh"]}, r"activation=\['relu', 'tanh'\]"),
        ("counts", {}, "out_activation_='exp', skl2onnx supports identity; use"),
        (
            "two classes",
            {"out_activation_": "identity"},
            "out_activation_='identity', skl2onnx supports logistic, softmax",
        ),
        (
            "two numbers",
            {},
            r"with 2 outputs, which skl2onnx converts wrongly; use fastmlp\.to_onnx\(fastmlp\.from_sklearn",
        ),
    ],
)
@pytest.mark.usefixtures("_registered_with_skl2onnx")
def test_estimators_that_skl2onnx_cannot_convert_are_refused(
    target: str, changes: dict[str, Any], message: str
) -> None:
    estimator = fitted_compiled(target, **{name: value for name, value in changes.items() if name == "activation"})
    vars(estimator).update(changes)
    with pytest.raises(ValueError, match=message):
        converted(estimator, X.astype(np.float32))


@pytest.mark.usefixtures("_registered_with_skl2onnx")
def test_two_labels_of_a_row_are_refused() -> None:
    estimator = fitted_compiled("labels")
    with pytest.warns(ConvergenceWarning):
        estimator.fit(X, TARGETS["labels"][:, :2])
    with pytest.raises(ValueError, match="with 2 outputs, which skl2onnx converts wrongly"):
        converted(estimator, X.astype(np.float32))


def test_the_network_of_a_refused_estimator_can_be_converted() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    estimator, data = fitted("counts", dtype="float32"), X.astype(np.float32)
    model = to_onnx(from_sklearn(estimator))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert difference(session.run(None, {"X": data})[0], outputs(estimator, data)) <= TOLERANCE["float32"]


@pytest.mark.parametrize("layers", [[3, 4, 3], [3, 4, 2], [3, 4, 1]])
def test_names_of_columns_and_classes_go_both_ways(layers: list[int]) -> None:
    pandas = pytest.importorskip("pandas")
    network = Network(layers, output="sigmoid" if layers[-1] == 1 else "softmax", seed=0)
    labels = np.array(["red", "blue", "green"])[np.arange(30) % max(layers[-1], 2)]
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=["a", "b", "c"])
    network.fit(frame, labels)
    estimator = to_sklearn(network)
    assert estimator.feature_names_in_.tolist() == ["a", "b", "c"]
    assert estimator.classes_.tolist() == list(network.classes or ())
    assert estimator.predict(frame).tolist() == network.predict_labels(frame).tolist()
    back = from_sklearn(estimator)
    assert (back.feature_names, back.classes) == (network.feature_names, network.classes)
    assert back.predict_labels(frame[["c", "a", "b"]]).tolist() == network.predict_labels(frame).tolist()


def test_names_that_a_network_cannot_have_are_left_out() -> None:
    estimator = fitted("counts")
    estimator.feature_names_in_ = np.array(["a"] * X.shape[1], object)
    assert from_sklearn(estimator).feature_names is None
    assert from_sklearn(fitted("labels")).classes is None
