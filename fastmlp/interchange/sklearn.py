"""Networks from and to the perceptrons of scikit-learn; it needs that, `pip install "fastmlp[sklearn]"`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import activations
from fastmlp._runtime.extras import needed_by
from fastmlp.activations import Activation
from fastmlp.interchange.exports import Weighted, said, weighted_layers
from fastmlp.layers import Dense
from fastmlp.losses import Loss
from fastmlp.network import Network
from fastmlp.optimizers import Optimizer

_HIDDEN = {"linear": "identity", "relu": "relu", "sigmoid": "logistic", "tanh": "tanh"}
"""Our names of hidden activations, and scikit-learn's."""

_OURS = {"identity": "linear", "logistic": "sigmoid", "exp": "exponential"}
"""Its names that are not ours."""

_OUTPUTS = {
    ("softmax", "classes"): "softmax",
    ("sigmoid", "binary"): "logistic",
    ("linear", "values"): "identity",
    ("exponential", "counts"): "exp",
}
"""From output activation and the targets of the loss to its `out_activation_`; the first two are classifiers'."""

_INSTEAD = "fastmlp.to_onnx(fastmlp.from_sklearn(estimator)) converts the network alone"


def from_sklearn(
    estimator: Any,
    *,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer | None = None,
    seed: int | None = None,
) -> Network:
    """A network with the layers and weights of a fitted multi-layer perceptron.

    Its outputs are numbered: output k of a classifier is `estimator.classes_[k]`. A binary classifier has one sigmoid
    output, the probability of `estimator.classes_[1]`, so that `estimator.classes_[net.predict_classes(X)]` are labels
    either way. With a hinge loss outputs are scores, and `predict_classes` takes them as the estimator does. The
    network has the dtype of `coefs_`. What is of training, `alpha` and the solver, is not carried over.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Of `sklearn.neural_network` or of `fastmlp.sklearn`, fitted. A step of a pipeline before it, a scaler perhaps,
        stays with you.
    loss, optimizer, seed : optional
        As in `Network`, for further training. The loss that follows from the output is scikit-learn's: cross-entropy,
        squared error (without its factor of 1/2) or Poisson's. Scores of two classes, or of several labels a row, keep
        the hinge loss; those of more classes have the squared error unless you give `loss="hinge"`, with which
        `predict_classes` says of each class by itself whether its score is positive.

    Returns
    -------
    Network
        It predicts what `predict_proba` gives (of a binary classifier its second column), or `predict` of a regressor.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    TypeError
        If it is anything else.
    ValueError
        If it is not fitted.

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
        hint = "the last step of a pipeline, the best_estimator_ of a search"
        raise TypeError(f"estimator must be a fitted MLPClassifier or MLPRegressor, got {kind}; give {hint}")
    if not hasattr(estimator, "coefs_"):
        raise ValueError(f"this {type(estimator).__name__} is not fitted; call fit first")
    coefs = estimator.coefs_
    chosen = [*_per_layer(estimator.activation, len(coefs) - 1), estimator.out_activation_]
    layers = [Dense(W.shape[1], _ours(each)) for W, each in zip(coefs, chosen, strict=True)]
    if loss is None and _tells_by_sign(estimator):
        loss = "hinge"
    network = Network([len(coefs[0]), *layers], loss=loss, optimizer=optimizer, seed=seed, dtype=coefs[0].dtype)
    network.set_weights(list(zip(coefs, estimator.intercepts_, strict=True)))
    return network


def _tells_by_sign(estimator: Any) -> bool:
    """Whether a class is there where its score is positive; of more than two classes the largest score decides."""
    from sklearn.neural_network import MLPClassifier

    scores = isinstance(estimator, MLPClassifier) and estimator.out_activation_ == "identity"
    return scores and estimator._label_binarizer.y_type_ != "multiclass"


def _per_layer(given: Any, layers: int) -> list[str | Activation]:
    """The activations of the hidden layers; of `fastmlp.sklearn` there may be one for each."""
    found = [given] * layers if isinstance(given, (str, Activation)) else list(given)
    if len(found) != layers:
        raise ValueError(f"estimator has {layers} hidden layers, but {len(found)} activations: {found!r:.200}")
    return found


def _ours(activation: str | Activation) -> Activation:
    return activations.resolve(_OURS.get(activation, activation) if isinstance(activation, str) else activation)


def to_sklearn(network: Network, classes: ArrayLike | None = None, feature_names: Sequence[str] | None = None) -> Any:
    """The network as a fitted `MLPClassifier` or `MLPRegressor` of scikit-learn.

    It predicts as if it had been fitted there, and goes on learning with `partial_fit`, or with `fit` where
    `set_params(warm_start=True)`. All that concerns training has scikit-learn's defaults, to be changed by
    `set_params` before: solver, learning_rate_init, alpha and so on. Dropout, penalties and the optimizer's memory stay
    behind. A layer without bias has intercepts of 0, which scikit-learn would train.

    Parameters
    ----------
    network : Network
        All hidden layers have the same activation: linear, relu, tanh or sigmoid. Output and loss decide what it
        becomes, see below.
    classes : array-like, optional
        The label of each output, in their order; of the two classes of a single sigmoid output, that of 0 and that of
        1. None takes whole numbers from 0. scikit-learn sorts labels, and the outputs are sorted with them.
    feature_names : sequence of str, optional
        The columns of X by name, `feature_names_in_`.

    Returns
    -------
    MLPClassifier or MLPRegressor
        In the network's dtype; weights are copies.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    ValueError, TypeError
        If it has no such network, or classes or names do not suit; the message says which layer.

    Notes
    -----
    ==============================  =====================================================================
    output, targets of the loss     becomes
    ==============================  =====================================================================
    softmax, classes                MLPClassifier; with two outputs, of one logistic output, as
                                    scikit-learn has it: W is `W[:, 1] - W[:, 0]`, b likewise, which is
                                    the same function, rounded once
    sigmoid, binary                 MLPClassifier; with several outputs of a multilabel problem
    linear, values                  MLPRegressor(loss="squared_error")
    exponential, counts             MLPRegressor(loss="poisson")
    ==============================  =====================================================================

    Of two classes that are equally probable, `predict` takes the first of the sorted, as scikit-learn does.

    Predictions do not depend on the loss: a Huber network becomes a regressor too, whose `partial_fit` goes on with
    the squared error.

    Examples
    --------
    >>> estimator = to_sklearn(net, classes=["benign", "malignant"])
    >>> estimator.predict(X), estimator.score(X, labels)
    """
    with needed_by("to_sklearn", "fastmlp[sklearn]"):
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    layers = weighted_layers(network, "to_sklearn")
    output = _output(network)
    names = None if feature_names is None else _check_feature_names(feature_names, network.architecture.inputs)
    sizes = tuple(each.layer.units for each in layers[:-1])
    settings = {"hidden_layer_sizes": sizes, "activation": _hidden_activation(layers)}
    coefs = [each.W for each in layers]
    intercepts = [np.zeros_like(W[0]) if each.b is None else each.b for each, W in zip(layers, coefs, strict=True)]
    if output in ("softmax", "logistic"):
        estimator = MLPClassifier(**settings)
        binarizer, coefs[-1], intercepts[-1] = _by_class(classes, output, coefs[-1], intercepts[-1])
        estimator._label_binarizer, estimator.classes_ = binarizer, binarizer.classes_
        output = "logistic" if len(intercepts[-1]) == 1 else output
    else:
        if classes is not None:
            raise ValueError(
                f"classes are of classifiers; the output {network.architecture.layers[-1].activation.name} "
                "makes a regressor"
            )
        estimator = MLPRegressor(loss="poisson" if output == "exp" else "squared_error", **settings)
    _fitted(estimator, coefs, intercepts, output, network.epoch)
    if names is not None:
        estimator.feature_names_in_ = names
    return estimator


def _output(network: Network) -> str:
    architecture = network.architecture
    last, loss = architecture.layers[-1].activation, architecture.loss
    if (last.name, loss.targets) not in _OUTPUTS:
        raise ValueError(
            f"the output {last.label!r} with the loss {loss.label!r} is nothing that scikit-learn has. There are: "
            "softmax with categorical_crossentropy, sigmoid with binary_crossentropy, linear with mean_squared_error "
            "or another loss of any values, exponential with poisson"
        )
    return _OUTPUTS[last.name, loss.targets]


def _hidden_activation(layers: list[Weighted]) -> str:
    hidden = [each.layer.activation for each in layers[:-1]]
    found = [said(activation, _HIDDEN, index, "scikit-learn") for index, activation in enumerate(hidden)]
    for index, name in enumerate(found):
        if name != found[0]:
            raise ValueError(
                f"layer {index} has the activation {hidden[index].name!r}, layer 0 {hidden[0].name!r}; "
                "in scikit-learn all hidden layers have the same"
            )
    return found[0] if found else "identity"


def _check_feature_names(names: Sequence[str], inputs: int) -> NDArray[np.object_]:
    given = [names] if isinstance(names, str) else list(names)
    if len(given) != inputs or not all(isinstance(name, str) for name in given):
        raise ValueError(f"feature_names must be {inputs} strings, one for each input, got {names!r:.200}")
    return np.array([str(name) for name in given], dtype=object)


def _by_class(
    classes: ArrayLike | None, output: str, W: NDArray[Any], b: NDArray[Any]
) -> tuple[Any, NDArray[Any], NDArray[Any]]:
    """What knows the labels, and the last layer as scikit-learn has it: outputs in the order of sorted labels."""
    from sklearn.preprocessing import LabelBinarizer

    outputs = len(b)
    if output == "logistic" and outputs > 1:
        if classes is not None:
            raise ValueError(
                f"{outputs} sigmoid outputs are {outputs} labels of a row, which have numbers; leave classes out"
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


def _fitted(
    estimator: Any, coefs: list[NDArray[Any]], intercepts: list[NDArray[Any]], output: str, epochs: int
) -> None:
    """Set what a fit leaves behind. The optimizer is made by the first `partial_fit`, from the parameters of then."""
    estimator.coefs_, estimator.intercepts_ = coefs, intercepts
    estimator.n_features_in_, estimator.n_outputs_ = len(coefs[0]), len(intercepts[-1])
    estimator.n_layers_, estimator.out_activation_ = len(coefs) + 1, output
    estimator.n_iter_, estimator.t_ = epochs, 0
    estimator.loss_, estimator.loss_curve_, estimator.best_loss_ = np.inf, [], np.inf
    estimator._no_improvement_count = 0
    estimator.validation_scores_ = estimator.best_validation_score_ = None


def register_with_skl2onnx() -> None:
    """Teach skl2onnx the estimators of `fastmlp.sklearn`, alone and as steps of a Pipeline.

    Call it once in a process, then `skl2onnx.to_onnx(pipeline, X[:1])` converts. The work is done by skl2onnx's own
    converters, so what those do not know, or get wrong, raises ValueError in the conversion: hidden activations other
    than identity, relu, logistic and tanh, one for all layers; Poisson's loss; scores of a hinge loss; regressors of
    several outputs; multilabel problems of two labels. `to_onnx(from_sklearn(estimator))` converts all of these.

    Raises
    ------
    ImportError
        If skl2onnx or scikit-learn is not installed.
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
    def checked(scope: Any, operator: Any, container: Any) -> None:
        _require_convertible(operator.raw_operator)
        convert(scope, operator, container)

    return checked


def _require_convertible(estimator: Any) -> None:
    """Refuse what skl2onnx 1.20 fails at, or converts to something else."""
    from sklearn.base import is_classifier

    kind, classifies = type(estimator).__name__, is_classifier(estimator)
    outputs, output = estimator.n_outputs_, estimator.out_activation_
    known = {
        "activation": [*_HIDDEN.values()],
        "out_activation_": ["logistic", "softmax"] if classifies else ["identity"],
    }
    for what, names in known.items():
        found = getattr(estimator, what)
        if not isinstance(found, str) or found not in names:
            there = f"skl2onnx has {', '.join(names)} there"
            raise ValueError(f"{kind} cannot be converted with {what}={found!r:.200}, {there}; {_INSTEAD}")
    # It makes one column of several, and of two labels of a row takes the first for the absence of the second.
    if (outputs == 2 and output == "logistic") if classifies else outputs > 1:
        raise ValueError(f"{kind} cannot be converted with {outputs} outputs, which skl2onnx gets wrong; {_INSTEAD}")
