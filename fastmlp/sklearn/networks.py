"""The network that computes for an estimator: how the estimator's parameters translate into a `fastmlp.Network`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import activations, losses, optimizers
from fastmlp._data.weights import MAX_WEIGHT
from fastmlp._engine.engine import engine_of
from fastmlp._runtime.checks import number
from fastmlp.activations import Activation
from fastmlp.layers import Dense
from fastmlp.losses import BinaryCrossentropy, CategoricalCrossentropy, Loss
from fastmlp.network import Network
from fastmlp.optimizers import SGD, Adam, StepOptimizer

SMALLEST_EPSILON = 1e-30  # of an optimizer; float32 cannot hold much smaller numbers

# Names of scikit-learn, and the names of the same functions in fastmlp.
ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid", "exp": "exponential"}
LOSSES = {"squared_error": "half_squared_error", "poisson": "half_poisson_deviance"}
_SKLEARN_NAMES = {own: name for name, own in ACTIVATIONS.items()}


class EstimatorNetwork:
    """The network of one estimator, and a snapshot of the weights last copied to or from it.

    The estimator's `coefs_` and `intercepts_` are authoritative, as in scikit-learn: a user who replaces them, or
    changes them in place, changes the predictions. The snapshot shows whether they differ from the network's weights.

    Parameters
    ----------
    network : Network
        The network. No other estimator uses it.
    parameters : tuple
        The parameters of the estimator that the network was made with. Other values need another network.
    """

    def __init__(self, network: Network, parameters: tuple[Any, ...]) -> None:
        engine_of(network).averages_penalties = True
        self.network, self.parameters = network, parameters
        self._snapshot: list[NDArray[Any]] = []

    def set_weights(self, coefs: Sequence[NDArray[Any]], intercepts: Sequence[NDArray[Any]]) -> None:
        """Copy weights into the network, unless they equal the snapshot."""
        given = [*coefs, *intercepts]
        if len(given) != len(self._snapshot) or not all(map(_equal, given, self._snapshot)):
            _check_finite(coefs, intercepts)
            self.network.set_weights(list(zip(coefs, intercepts, strict=True)))
            self._snapshot = [array.copy() for array in given]

    def get_weights(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Return copies of the weights of the network, as `coefs_` and `intercepts_`."""
        pairs = self.network.get_weights()
        coefs, intercepts = [w for w, _ in pairs], [b for _, b in pairs if b is not None]
        self._snapshot = [array.copy() for array in (*coefs, *intercepts)]
        return coefs, intercepts

    def drop_snapshot(self) -> None:
        """Drop the snapshot, because other code has changed the weights of the network."""
        self._snapshot = []

    def copy_optimizer_state(self, other: EstimatorNetwork) -> None:
        """Copy the slots of the optimizer and the counters of a network with the same shapes and optimizer."""
        engine_of(self.network).copy_optimizer_state(engine_of(other.network))

    def has_shapes_of(self, coefs: Sequence[NDArray[Any]]) -> bool:
        """Return whether the layers of the network have the shapes and the dtype of `coefs`."""
        architecture = self.network.architecture
        shapes = [(layer.inputs, layer.units) for layer in architecture.layers]
        return [w.shape for w in coefs] == shapes and dtype_of(coefs, architecture.dtype) == architecture.dtype

    def has_threads(self, n_threads: Any) -> bool:
        """Return whether the network uses so many threads. A value that no fit would accept is ignored."""
        valid = n_threads is None or (isinstance(n_threads, Integral) and int(n_threads) >= 1)
        return not valid or n_threads == engine_of(self.network).threads

    def adapted(self, coefs: Sequence[NDArray[Any]], n_threads: Any) -> EstimatorNetwork:
        """Return a network that differs in the shapes and the dtype of its weights, or in the number of threads.

        The optimizer keeps its state if the shapes are the same.
        """
        architecture = self.network.architecture
        if len(coefs) != len(architecture.layers):
            raise ValueError(f"coefs_ has {len(coefs)} layers, but the last fit had {len(architecture.layers)}")
        layers = [
            Dense(w.shape[1], layer.activation, dropout=layer.dropout, l2=layer.l2, weight_init="zeros")
            for w, layer in zip(coefs, architecture.layers, strict=True)
        ]
        network = Network(
            [coefs[0].shape[0], *layers],
            loss=architecture.loss,
            optimizer=architecture.optimizer,
            dtype=dtype_of(coefs, architecture.dtype),
            seed=architecture.seed,
            threads=engine_of(self.network).threads if self.has_threads(n_threads) else n_threads,
        )
        other = EstimatorNetwork(network, self.parameters)
        if self.has_shapes_of(coefs):
            other.copy_optimizer_state(self)
        return other

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the activations of the output layer, shape (n, outputs); X is an array or `SparseRows`."""
        if isinstance(X, np.ndarray):
            return self.network.predict(X)
        return engine_of(self.network).predict(X)

    def __getstate__(self) -> dict[str, Any]:
        """Return the network and the parameters. The snapshot is taken again when it is needed."""
        return {"network": self.network, "parameters": self.parameters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the object up again, because plans hold addresses of one process."""
        self.__init__(state["network"], state["parameters"])  # type: ignore[misc]


def _check_finite(coefs: Sequence[NDArray[Any]], intercepts: Sequence[NDArray[Any]]) -> None:
    """Raise ValueError if weights that the user has replaced are NaN or infinite."""
    for name, arrays in (("coefs_", coefs), ("intercepts_", intercepts)):
        for index, array in enumerate(arrays):
            if len(wrong := np.argwhere(~np.isfinite(array))):
                place = f"{name}[{index}]{[int(i) for i in wrong[0]]}"
                raise ValueError(f"{name} must be finite, but {place} is {array[tuple(wrong[0])]}")


def _equal(new: NDArray[Any], old: NDArray[Any]) -> bool:
    """Return whether two arrays are equal.

    Each prediction calls this. The checks of `np.array_equal` would take a tenth of the time of a one-row prediction.
    """
    return new.shape == old.shape and bool((new == old).all())


def dtype_of(coefs: Sequence[NDArray[Any]], other: Any = np.float64) -> np.dtype[Any]:
    """Return the dtype of a network with these weights: theirs, or `other` if no network has their dtype."""
    return coefs[0].dtype if coefs[0].dtype in (np.float32, np.float64) else np.dtype(other)


def layers_for(
    coefs: Sequence[NDArray[Any]], activation_of_layer: Sequence[Activation], dropout: Sequence[float], alpha: float
) -> list[int | Dense]:
    """Return the layers of a network for weights of these shapes; the last layer has no dropout."""
    layers: list[int | Dense] = [coefs[0].shape[0]]
    for w, activation, rate in zip(coefs, activation_of_layer, [*dropout, 0.0], strict=True):
        layers.append(Dense(w.shape[1], activation, dropout=rate, l2=alpha, weight_init="zeros"))
    return layers


def hidden_activations(given: Any, layers: int) -> list[Activation]:
    """Return the activation of each hidden layer, from one activation for all layers or one for each layer.

    Raises
    ------
    ValueError
        If the number of activations is not the number of hidden layers, or a name is unknown.
    """
    if isinstance(given, (str, Activation)):
        given = [given] * layers
    if len(given) != layers:
        raise ValueError(
            "activation must be one activation, or a sequence with one for each of the "
            f"{layers} hidden layers, got {list(given)!r}"
        )
    return [resolve_activation(each) for each in given]


def resolve_activation(given: str | Activation) -> Activation:
    """Return the activation with a name of scikit-learn or fastmlp, or `given` itself if it is an activation."""
    return activations.resolve(ACTIVATIONS.get(given, given) if isinstance(given, str) else given)


def sklearn_name(activation: Activation) -> str:
    """Return scikit-learn's name of an activation, or fastmlp's if scikit-learn has none."""
    return _SKLEARN_NAMES.get(activation.name, activation.name)


def dropout_rates(given: Any, layers: int) -> list[float]:
    """Return the dropout rate of each hidden layer, from one rate for all layers or one for each layer.

    Raises
    ------
    ValueError
        If the number of rates is not the number of hidden layers, or a rate is not in [0, 1).
    """
    rates = [given] * layers if np.ndim(given) == 0 else list(given)
    if len(rates) != layers:
        raise ValueError(
            f"dropout must be one number, or a sequence with one for each of the {layers} hidden layers, got {rates!r}"
        )
    return [number(rate, "dropout", below=1.0) for rate in rates]


def regression_loss(given: str | Loss) -> Loss:
    """Return the loss of a regressor, from a name of scikit-learn or fastmlp or a loss.

    Raises
    ------
    ValueError
        If the outputs of the loss are not one for each target, as those of an estimator are.
    """
    loss = losses.resolve(LOSSES.get(given, given) if isinstance(given, str) else given)
    if not loss.has_estimates or loss.estimates(2) != slice(None):
        raise ValueError(
            f"loss={loss.label} has several outputs for each target, but an estimator has one; use fastmlp.Network"
        )
    return loss


def classification_loss(given: str | Loss, output: str) -> Loss:
    """Return the loss of a classifier with the output activation "softmax" or "logistic".

    The output activation decides whether a cross-entropy is categorical or binary. Its label smoothing is kept.
    """
    if given == "log_loss":
        given = "categorical_crossentropy"
    loss = losses.resolve(given)
    if isinstance(loss, (CategoricalCrossentropy, BinaryCrossentropy)):
        form = CategoricalCrossentropy if output == "softmax" else BinaryCrossentropy
        return form(label_smoothing=loss.label_smoothing)
    return loss


def is_margin(given: str | Loss) -> bool:
    """Return whether the loss is a margin loss: the outputs are scores, and their sign decides the class."""
    loss = losses.LOSSES.get(given) if isinstance(given, str) else given
    return isinstance(loss, Loss) and loss.targets == "signs"


def check_hidden_sizes(given: Any) -> None:
    """Raise TypeError if the size of a hidden layer is no whole number; scikit-learn checks the rest."""
    for size in given if isinstance(given, Iterable) and not isinstance(given, str) else ():
        if not isinstance(size, Integral):
            raise TypeError(f"hidden_layer_sizes must be whole numbers, one for each hidden layer, got {given!r}")


def check_class_weight(given: Any) -> None:
    """Raise ValueError or TypeError if a weight in a dict, or in one dict of a list, is negative or not finite."""
    for each in given if isinstance(given, list) else [given]:
        for label, weight in each.items() if isinstance(each, Mapping) else ():
            number(weight, f"class_weight[{label!r}]", below=MAX_WEIGHT)


def optimizer_for(estimator: Any) -> StepOptimizer:
    """Return the estimator's `optimizer`, or the optimizer that does what its solver 'sgd' or 'adam' does."""
    limits = {name: getattr(estimator, name) for name in ("clipvalue", "global_clipnorm")}
    limits = {name: float(limit) for name, limit in limits.items() if limit is not None}
    if estimator.optimizer is not None:
        optimizer = optimizers.resolve(estimator.optimizer)
        if not isinstance(optimizer, StepOptimizer):
            raise ValueError(f"optimizer must make a step for each batch, got {optimizer}; write solver='lbfgs'")
        return dataclasses.replace(optimizer, **limits)
    rate = float(estimator.learning_rate_init)
    if estimator.solver == "sgd":
        momentum = float(estimator.momentum)
        return SGD(rate, momentum=momentum, nesterov=bool(estimator.nesterovs_momentum and momentum > 0), **limits)
    epsilon = max(float(estimator.epsilon), SMALLEST_EPSILON)
    return Adam(rate, float(estimator.beta_1), float(estimator.beta_2), epsilon=epsilon, epsilon_hat=True, **limits)
