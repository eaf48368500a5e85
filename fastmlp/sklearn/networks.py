"""The network that computes for an estimator: made of its parameters, and kept at its coefs_ and intercepts_."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import losses, optimizers
from fastmlp._engine import inference
from fastmlp._runtime.checks import number
from fastmlp.activations import Activation
from fastmlp.activations import resolve as activation_of
from fastmlp.layers import Dense
from fastmlp.losses import BinaryCrossentropy, CategoricalCrossentropy, Loss
from fastmlp.network import Network
from fastmlp.optimizers import SGD, Adam, Optimizer

LEAST_EPSILON = 1e-30  # of an optimizer, which float32 can hold

# scikit-learn's names of what fastmlp calls otherwise.
ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid", "exp": "exponential"}
LOSSES = {"squared_error": "half_squared_error", "poisson": "half_poisson_deviance"}
_NAMES = {own: name for name, own in ACTIVATIONS.items()}


class Compiled:
    """A network, and the arrays that its weights were last copied from or to.

    The estimator's coefs_ and intercepts_ are what counts: whoever changes them, by setting them or in place, changes
    the predictions, as in scikit-learn.

    Parameters
    ----------
    network : Network
        Of one estimator alone.
    made_of : tuple
        Parameters of the estimator; with others it needs another network.
    """

    def __init__(self, network: Network, made_of: tuple[Any, ...]) -> None:
        network._plans.averaged_penalties = True
        self.network, self.made_of = network, made_of
        self._known: list[NDArray[Any]] = []

    def take(self, coefs: Sequence[NDArray[Any]], intercepts: Sequence[NDArray[Any]]) -> None:
        """Copy these weights in, unless they are those that it has."""
        given = [*coefs, *intercepts]
        if len(given) != len(self._known) or not all(map(_equal, given, self._known)):
            self.network.set_weights(list(zip(coefs, intercepts, strict=True)))
            self._known = [array.copy() for array in given]

    def give(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Copies of the weights: coefs and intercepts."""
        pairs = self.network.get_weights()
        coefs, intercepts = [w for w, _ in pairs], [b for _, b in pairs if b is not None]
        self._known = [array.copy() for array in (*coefs, *intercepts)]
        return coefs, intercepts

    def forget(self) -> None:
        """Know nothing of the weights, since somebody else has changed them."""
        self._known = []

    def remember(self, other: Compiled) -> None:
        """Take over what the same optimizer remembers of another network of these shapes, and its counters."""
        own, its = self.network._parameters, other.network._parameters
        own.slots[:], own.state[:] = its.slots, its.state

    def suits(self, coefs: Sequence[NDArray[Any]]) -> bool:
        """Whether weights of these shapes and dtype are those of this network."""
        architecture = self.network.architecture
        shapes = [(layer.inputs, layer.units) for layer in architecture.layers]
        return [w.shape for w in coefs] == shapes and coefs[0].dtype == architecture.dtype

    def predict(self, X: Any) -> NDArray[Any]:
        """The activations of the output layer, (n, outputs); X is an array or `SparseRows`."""
        network = self.network
        if isinstance(X, np.ndarray):
            return network.predict(X)
        with network._use.turn, network._use.lock:
            return inference.predict(network._plans, X)

    def __getstate__(self) -> dict[str, Any]:
        """The network; which weights it has is found out again."""
        return {"network": self.network, "made_of": self.made_of}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build it anew: plans are of a process."""
        self.__init__(state["network"], state["made_of"])  # type: ignore[misc]


def _equal(new: NDArray[Any], old: NDArray[Any]) -> bool:
    """`np.array_equal`, without its checks: a prediction asks, and for one row they would take a tenth of its time."""
    return new.shape == old.shape and bool((new == old).all())


def layers_for(
    coefs: Sequence[NDArray[Any]], activations: Sequence[Activation], dropout: Sequence[float], alpha: float
) -> list[int | Dense]:
    """The layers of a network for weights of these shapes; the last drops nothing."""
    layers: list[int | Dense] = [coefs[0].shape[0]]
    for w, activation, rate in zip(coefs, activations, [*dropout, 0.0], strict=True):
        layers.append(Dense(w.shape[1], activation, dropout=rate, l2=alpha, weight_init="zeros"))
    return layers


def hidden_activations(given: Any, layers: int) -> list[Activation]:
    """Those of the hidden layers: one for all, or one each.

    Raises
    ------
    ValueError
        If there is not one for each layer, or a name is unknown.
    """
    if isinstance(given, (str, Activation)):
        given = [given] * layers
    if len(given) != layers:
        raise ValueError(f"activation must be one, or one for each of the {layers} hidden layers, got {list(given)!r}")
    return [named_activation(each) for each in given]


def named_activation(given: str | Activation) -> Activation:
    """The activation of scikit-learn's name, or of fastmlp's."""
    return activation_of(ACTIVATIONS.get(given, given) if isinstance(given, str) else given)


def name_of(activation: Activation) -> str:
    """What scikit-learn calls it."""
    return _NAMES.get(activation.name, activation.name)


def dropout_rates(given: Any, layers: int) -> list[float]:
    """The share of units that each hidden layer drops.

    Raises
    ------
    ValueError
        If there is not one for each layer, or one is not in [0, 1).
    """
    rates = [given] * layers if np.ndim(given) == 0 else list(given)
    if len(rates) != layers:
        raise ValueError(f"dropout must be one number, or one for each of the {layers} hidden layers, got {rates!r}")
    return [number(rate, "dropout", below=1.0) for rate in rates]


def regression_loss(given: str | Loss) -> Loss:
    """The loss of a regressor."""
    return losses.resolve(LOSSES.get(given, given) if isinstance(given, str) else given)


def classification_loss(given: str | Loss, output: str) -> Loss:
    """The loss of a classifier whose outputs are "softmax" of several classes, or "logistic" each.

    A cross-entropy takes the form that suits the outputs, with its label smoothing.
    """
    if given == "log_loss":
        given = "categorical_crossentropy"
    loss = losses.resolve(given)
    if isinstance(loss, (CategoricalCrossentropy, BinaryCrossentropy)):
        form = CategoricalCrossentropy if output == "softmax" else BinaryCrossentropy
        return form(label_smoothing=loss.label_smoothing)
    return loss


def is_margin(given: str | Loss) -> bool:
    """Whether the loss is of scores, whose sign tells the class."""
    return given != "log_loss" and losses.resolve(given).targets == "signs"


def update_rule(estimator: Any) -> Optimizer:
    """What the estimator's solver does with a gradient, or the optimizer that takes its place."""
    limits = {name: getattr(estimator, name) for name in ("clipvalue", "global_clipnorm")}
    limits = {name: float(limit) for name, limit in limits.items() if limit is not None}
    if estimator.optimizer is not None:
        return dataclasses.replace(optimizers.resolve(estimator.optimizer), **limits)
    rate = float(estimator.learning_rate_init)
    if estimator.solver == "sgd":
        momentum = float(estimator.momentum)
        return SGD(rate, momentum=momentum, nesterov=bool(estimator.nesterovs_momentum and momentum > 0), **limits)
    epsilon = max(float(estimator.epsilon), LEAST_EPSILON)
    return Adam(rate, float(estimator.beta_1), float(estimator.beta_2), epsilon=epsilon, epsilon_hat=True, **limits)
