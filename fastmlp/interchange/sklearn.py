"""Conversion from and to the perceptrons of scikit-learn. It needs scikit-learn: `pip install "fastmlp[sklearn]"`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import activations
from fastmlp._data.names import Names, class_count
from fastmlp._engine.engine import engine_of
from fastmlp._runtime.extras import needed_by
from fastmlp.activations import Activation
from fastmlp.interchange.exports import WeightedLayer, translate_activation, weighted_layers
from fastmlp.layers import Dense
from fastmlp.losses import Loss
from fastmlp.network import Network
from fastmlp.optimizers import Optimizer

_HIDDEN_ACTIVATIONS = {"linear": "identity", "relu": "relu", "sigmoid": "logistic", "tanh": "tanh"}
"""From the names of hidden activations in fastmlp to those in scikit-learn."""

_FASTMLP_NAMES = {"identity": "linear", "logistic": "sigmoid", "exp": "exponential"}
"""From the names of activations in scikit-learn to those in fastmlp, where they differ."""

_OUTPUT_ACTIVATIONS = {
    ("softmax", "classes"): "softmax",
    ("sigmoid", "binary"): "logistic",
    ("linear", "values"): "identity",
    ("exponential", "counts"): "exp",
}
"""From output activation and targets of the loss to scikit-learn's `out_activation_`. The first two are classifiers."""

_ALTERNATIVE = "use fastmlp.to_onnx(fastmlp.from_sklearn(estimator)), which converts the network alone"


def from_sklearn(
    estimator: Any,
    *,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer | None = None,
    seed: int | None = None,
) -> Network:
    """Return a network with the layers and the weights of a fitted perceptron of scikit-learn.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        A fitted estimator of `sklearn.neural_network` or `fastmlp.sklearn`. Earlier steps of a pipeline, such as a
        scaler, are not converted; apply them to X first.
    loss : str or Loss, optional
        The loss for further training, as in `Network`. By default it follows from the outputs, as in scikit-learn:
        cross-entropy, squared error (without the factor 1/2 of scikit-learn) or Poisson loss. Scores of two classes, or
        of several labels in a row, keep the hinge loss. Scores of more classes get the squared error; with
        `loss="hinge"`, `predict_classes` decides for each class separately by the sign of its score.
    optimizer : str or Optimizer, optional
        The optimizer for further training, as in `Network`.
    seed : int, optional
        The seed for further training, as in `Network`.

    Returns
    -------
    Network
        A network that predicts what `predict_proba` of a classifier returns (for two classes, its second column), or
        `predict` of a regressor. It has the dtype of `coefs_`, or float64 if they are no float32 or float64, the names
        in `feature_names_in_`, and those in `classes_` if they are strings.

    Raises
    ------
    ImportError
        If scikit-learn is not installed. The message gives the command that installs it.
    TypeError
        If `estimator` is not an MLPClassifier or MLPRegressor.
    ValueError
        If the estimator is not fitted.

    Notes
    -----
    Output k of a classifier belongs to `estimator.classes_[k]`. A binary classifier has one sigmoid output, the
    probability of `estimator.classes_[1]`. In both cases `estimator.classes_[net.predict_classes(X)]` are the predicted
    labels. With a hinge loss the outputs are scores, and `predict_classes` decides as the estimator does. The
    parameters of training, such as `alpha` and the solver, are not converted.

    Examples
    --------
    >>> estimator = MLPClassifier([32]).fit(X, labels)
    >>> net = from_sklearn(estimator)
    >>> estimator.classes_[net.predict_classes(X)]
    """
    with needed_by("from_sklearn", "fastmlp[sklearn]"):
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    if not isinstance(estimator, (MLPClassifier, MLPRegressor)):
        kind = estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__
        hint = "the last step of a pipeline, or the best_estimator_ of a search"
        raise TypeError(f"estimator must be a fitted MLPClassifier or MLPRegressor, got {kind}; give {hint}")
    if not hasattr(estimator, "coefs_"):
        raise ValueError(f"this {type(estimator).__name__} is not fitted; call fit first")
    coefs = estimator.coefs_
    activation = getattr(estimator, "hidden_activations_", estimator.activation)  # scikit-learn uses its parameter
    names = [*_hidden_activations(activation, len(coefs) - 1), estimator.out_activation_]
    layers = [Dense(W.shape[1], _resolve_activation(name)) for W, name in zip(coefs, names, strict=True)]
    if loss is None and _classifies_by_sign(estimator):
        loss = "hinge"
    dtype = coefs[0].dtype if coefs[0].dtype in (np.float32, np.float64) else np.float64
    network = Network([len(coefs[0]), *layers], loss=loss, optimizer=optimizer, seed=seed, dtype=dtype)
    network.set_weights(list(zip(coefs, estimator.intercepts_, strict=True)))
    engine_of(network).names = _names_of(estimator, network)
    return network


def _names_of(estimator: Any, network: Network) -> Names:
    """Return the names of columns, if they differ from each other, and the classes, if they are strings."""
    names, architecture = Names(), network.architecture
    columns, classes = (list(getattr(estimator, name, ())) for name in ("feature_names_in_", "classes_"))
    if columns and len(set(columns)) == len(columns):
        names.set_features(tuple(columns), architecture)
    if class_count(architecture) == len(classes) and all(isinstance(label, str) for label in classes):
        names.set_classes(classes, architecture)
    return names


def _classifies_by_sign(estimator: Any) -> bool:
    """Return whether the sign of a score decides about a class. With more than two classes the largest score does."""
    from sklearn.neural_network import MLPClassifier

    scores = isinstance(estimator, MLPClassifier) and estimator.out_activation_ == "identity"
    return scores and estimator._label_binarizer.y_type_ != "multiclass"


def _hidden_activations(given: Any, layers: int) -> list[str | Activation]:
    """Return the activation of each hidden layer. Estimators of `fastmlp.sklearn` may have one for each layer."""
    chosen = [given] * layers if isinstance(given, (str, Activation)) else list(given)
    if len(chosen) != layers:
        raise ValueError(f"estimator has {layers} hidden layers, but {len(chosen)} activations: {chosen!r:.200}")
    return chosen


def _resolve_activation(given: str | Activation) -> Activation:
    """Return the activation with a name of scikit-learn or fastmlp."""
    return activations.resolve(_FASTMLP_NAMES.get(given, given) if isinstance(given, str) else given)


def to_sklearn(network: Network, classes: ArrayLike | None = None, feature_names: Sequence[str] | None = None) -> Any:
    """Return the network as a fitted `MLPClassifier` or `MLPRegressor` of scikit-learn.

    Parameters
    ----------
    network : Network
        The network. All hidden layers must have the same activation: linear, relu, tanh or sigmoid. The output
        activation and the loss decide which estimator it becomes, see the table below.
    classes : array-like, optional
        The label of each output; for a single sigmoid output, the labels of 0 and of 1. None takes those of the
        network or, if it knows none, whole numbers from 0. scikit-learn sorts labels, and the outputs are sorted with
        them.
    feature_names : sequence of str of length `inputs`, optional
        The names of the columns of X, for `feature_names_in_`. None takes those of the network, if it knows any.

    Returns
    -------
    MLPClassifier or MLPRegressor
        The estimator. It has copies of the weights, in the dtype of the network.

    Raises
    ------
    ImportError
        If scikit-learn is not installed. The message gives the command that installs it.
    TypeError
        If `network` is not a Network.
    ValueError
        If scikit-learn has no such network (the message names the layer), or `classes` or `feature_names` is invalid.

    Notes
    -----
    ==============================  =====================================================================
    output, targets of the loss     estimator
    ==============================  =====================================================================
    softmax, classes                MLPClassifier. Two softmax outputs become one logistic output, as in
                                    scikit-learn, with `W[:, 1] - W[:, 0]` and `b[1] - b[0]`. This is the
                                    same function, except for one rounding.
    sigmoid, binary                 MLPClassifier; several outputs are a multilabel problem
    linear, values                  MLPRegressor(loss="squared_error")
    exponential, counts             MLPRegressor(loss="poisson")
    ==============================  =====================================================================

    The estimator predicts as if scikit-learn had fitted it. If two classes are equally probable, `predict` returns the
    first in sorted order, as in scikit-learn. Predictions do not depend on the loss: a network with Huber loss becomes
    a regressor whose `partial_fit` continues with the squared error.

    Training continues with `partial_fit`, or with `fit` after `set_params(warm_start=True)`. The parameters of
    training, such as solver, learning_rate_init and alpha, have the defaults of scikit-learn; change them with
    `set_params`. Dropout, penalties and the state of the optimizer are not converted. A layer without bias gets
    intercepts of 0, which scikit-learn trains.

    Examples
    --------
    >>> estimator = to_sklearn(net, classes=["benign", "malignant"])
    >>> estimator.predict(X), estimator.score(X, labels)
    """
    with needed_by("to_sklearn", "fastmlp[sklearn]"):
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    layers = weighted_layers(network, "to_sklearn")
    for index, each in enumerate(layers):
        if each.layer.is_columns:
            kind = each.layer.kind.replace("_", " ")
            raise ValueError(f"layer {index} is a {kind} layer, which estimators of scikit-learn do not have")
    output = _output_activation(network)
    classes = network.classes if classes is None else classes
    feature_names = network.feature_names if feature_names is None else feature_names
    names = None if feature_names is None else _check_feature_names(feature_names, network.architecture.inputs)
    sizes = tuple(each.layer.units for each in layers[:-1])
    parameters = {"hidden_layer_sizes": sizes, "activation": _hidden_activation(layers)}
    coefs = [each.W for each in layers]
    intercepts = [np.zeros_like(W[0]) if each.b is None else each.b for each, W in zip(layers, coefs, strict=True)]
    if output in ("softmax", "logistic"):
        estimator = MLPClassifier(**parameters)
        binarizer, coefs[-1], intercepts[-1] = _sort_outputs(classes, output, coefs[-1], intercepts[-1])
        estimator._label_binarizer, estimator.classes_ = binarizer, binarizer.classes_
        output = "logistic" if len(intercepts[-1]) == 1 else output
    else:
        if classes is not None:
            raise ValueError(
                "classes must be None for a regressor, which a network with the output activation "
                f"{network.architecture.layers[-1].activation.name!r} becomes, got {classes!r:.200}"
            )
        estimator = MLPRegressor(loss="poisson" if output == "exp" else "squared_error", **parameters)
    _set_fitted_attributes(estimator, coefs, intercepts, output, network.epoch)
    if names is not None:
        estimator.feature_names_in_ = names
    return estimator


def _output_activation(network: Network) -> str:
    """Return scikit-learn's name of the output activation."""
    architecture = network.architecture
    last, loss = architecture.layers[-1].activation, architecture.loss
    if architecture.target_columns != architecture.outputs:
        raise ValueError(
            f"scikit-learn does not support the loss {loss.label!r}, which has several outputs for each target"
        )
    if (last.name, loss.targets) not in _OUTPUT_ACTIVATIONS:
        raise ValueError(
            f"scikit-learn does not support the output activation {last.label!r} with the loss {loss.label!r}. "
            "Supported are: softmax with categorical_crossentropy, sigmoid with binary_crossentropy, linear with "
            "mean_squared_error or another loss of any values, exponential with poisson"
        )
    return _OUTPUT_ACTIVATIONS[last.name, loss.targets]


def _hidden_activation(layers: list[WeightedLayer]) -> str:
    """Return scikit-learn's name of the only activation of all hidden layers."""
    hidden = [each.layer.activation for each in layers[:-1]]
    names = [translate_activation(g, _HIDDEN_ACTIVATIONS, index, "scikit-learn") for index, g in enumerate(hidden)]
    for index, name in enumerate(names):
        if name != names[0]:
            raise ValueError(
                "in scikit-learn all hidden layers have the same activation, got "
                f"{hidden[0].name!r} in layer 0 and {hidden[index].name!r} in layer {index}"
            )
    return names[0] if names else "identity"


def _check_feature_names(names: Sequence[str], inputs: int) -> NDArray[np.object_]:
    given = [names] if isinstance(names, str) else list(names)
    if len(given) != inputs or not all(isinstance(name, str) for name in given):
        raise ValueError(f"feature_names must be {inputs} strings, one for each input, got {names!r:.200}")
    return np.array([str(name) for name in given], dtype=object)


def _sort_outputs(
    classes: ArrayLike | None, output: str, W: NDArray[Any], b: NDArray[Any]
) -> tuple[Any, NDArray[Any], NDArray[Any]]:
    """Return the label binarizer of a classifier, and W and b of its last layer in the order of sorted labels."""
    from sklearn.preprocessing import LabelBinarizer

    outputs = len(b)
    if output == "logistic" and outputs > 1:
        if classes is not None:
            raise ValueError(
                f"classes must be None for {outputs} sigmoid outputs, which are numbered labels, got {classes!r:.200}"
            )
        return LabelBinarizer().fit(np.eye(outputs, dtype=int)), W, b
    labels = _check_classes(classes, max(outputs, 2))
    binarizer = LabelBinarizer().fit(labels)
    order = np.argsort(labels)
    if outputs == 1:
        sign = W.dtype.type(1 if order[0] == 0 else -1)  # sigmoid(-z) is 1 - sigmoid(z)
        return binarizer, W * sign, b * sign
    W, b = W[:, order], b[order]
    if outputs == 2:
        W, b = W[:, 1:] - W[:, :1], b[1:] - b[:1]
    return binarizer, W, b


def _check_classes(classes: ArrayLike | None, count: int) -> NDArray[Any]:
    labels = np.arange(count) if classes is None else np.asarray(classes)
    if labels.shape != (count,) or len(np.unique(labels)) != count:
        raise ValueError(f"classes must be {count} different labels, one for each class, got {classes!r:.200}")
    return labels


def _set_fitted_attributes(
    estimator: Any, coefs: list[NDArray[Any]], intercepts: list[NDArray[Any]], output: str, epochs: int
) -> None:
    """Set the attributes that a fit sets, except the optimizer, which the first `partial_fit` creates."""
    estimator.coefs_, estimator.intercepts_ = coefs, intercepts
    estimator.n_features_in_, estimator.n_outputs_ = len(coefs[0]), len(intercepts[-1])
    estimator.n_layers_, estimator.out_activation_ = len(coefs) + 1, output
    estimator.n_iter_, estimator.t_ = epochs, 0
    estimator.loss_, estimator.loss_curve_, estimator.best_loss_ = np.inf, [], np.inf
    estimator._no_improvement_count = 0
    estimator.validation_scores_ = estimator.best_validation_score_ = None


def register_with_skl2onnx() -> None:
    """Register the estimators of `fastmlp.sklearn` with skl2onnx, so that it converts them alone and in a Pipeline.

    Call it once in a process. skl2onnx converts the estimators with its own converters for scikit-learn. The conversion
    raises ValueError for estimators that these do not support or convert wrongly: hidden activations other than one of
    identity, relu, logistic and tanh for all layers; the Poisson loss; scores of a hinge loss; regressors with several
    outputs; multilabel problems with two labels. `to_onnx(from_sklearn(estimator))` converts all of these.

    Raises
    ------
    ImportError
        If skl2onnx or scikit-learn is not installed.

    Examples
    --------
    >>> fastmlp.register_with_skl2onnx()
    >>> model = skl2onnx.to_onnx(pipeline, X[:1])
    """
    with needed_by("register_with_skl2onnx", "skl2onnx"):
        import skl2onnx
        from skl2onnx.common import shape_calculator as shapes
        from skl2onnx.operator_converters import multilayer_perceptron as converters
    estimators = importlib.import_module("fastmlp.sklearn")
    options = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]}
    skl2onnx.update_registered_converter(
        estimators.MLPClassifier,
        "FastmlpMLPClassifier",
        shapes.calculate_linear_classifier_output_shapes,
        _checked(converters.convert_sklearn_mlp_classifier),
        options=options,
    )
    skl2onnx.update_registered_converter(
        estimators.MLPRegressor,
        "FastmlpMLPRegressor",
        shapes.calculate_linear_regressor_output_shapes,
        _checked(converters.convert_sklearn_mlp_regressor),
    )


def _checked(convert: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
    """Return a converter that checks the estimator first, and reads the activation of its last fit."""

    def checked(scope: Any, operator: Any, container: Any) -> None:
        estimator = operator.raw_operator
        parameter, estimator.activation = estimator.activation, _convertible_activation(estimator)
        try:
            convert(scope, operator, container)
        finally:
            estimator.activation = parameter

    return checked


def _convertible_activation(estimator: Any) -> str:
    """Return scikit-learn's name of the hidden activation of the last fit.

    Raises
    ------
    ValueError
        If skl2onnx 1.20 fails to convert the estimator or converts it wrongly.
    """
    from sklearn.base import is_classifier

    kind, classifies = type(estimator).__name__, is_classifier(estimator)
    outputs, output = estimator.n_outputs_, estimator.out_activation_
    hidden = [_HIDDEN_ACTIVATIONS.get(each.name, each.label) for each in estimator.hidden_activations_]
    activation = hidden[0] if len({*hidden}) == 1 else hidden or "identity"
    for what, given, names in (
        ("activation", activation, [*_HIDDEN_ACTIVATIONS.values()]),
        ("out_activation_", output, ["logistic", "softmax"] if classifies else ["identity"]),
    ):
        if given not in names:
            limits = f"skl2onnx supports {', '.join(names)}"
            raise ValueError(f"{kind} cannot be converted with {what}={given!r:.200}, {limits}; {_ALTERNATIVE}")
    # skl2onnx merges the outputs of a regressor into one column, and takes the first of two labels for the absence of
    # the second.
    if (outputs == 2 and output == "logistic") if classifies else outputs > 1:
        raise ValueError(
            f"{kind} cannot be converted with {outputs} outputs, which skl2onnx converts wrongly; {_ALTERNATIVE}"
        )
    assert isinstance(activation, str)
    return activation
