"""The common part of all exports: layers with their weights, the members of an ensemble, and activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastmlp.activations import Activation, OwnActivation
from fastmlp.architecture import Layer
from fastmlp.ensembles import Ensemble
from fastmlp.losses import GaussianNLL
from fastmlp.network import Network

T = TypeVar("T")


class WeightedLayer(NamedTuple):
    """A layer with copies of its W, shape (inputs, units) or (units,), and b, shape (units,) or None without bias."""

    layer: Layer
    W: NDArray[Any]
    b: NDArray[Any] | None


class Mixture(NamedTuple):
    """How the outputs of an ensemble's members become one prediction, which `fastmlp.ensembles.mixture` defines.

    Attributes
    ----------
    members : int
        The number of members.
    outputs : int
        The number of outputs of each member.
    columns : int
        The number of values that are predicted: the first outputs, all of them except with `GaussianNLL`.
    epsilon : float or None
        The epsilon of `GaussianNLL`, whose other outputs are the logarithms of variances. None for other losses.
    """

    members: int
    outputs: int
    columns: int
    epsilon: float | None


class Exported(NamedTuple):
    """What a network or an ensemble consists of.

    Attributes
    ----------
    networks : list of list of WeightedLayer
        The layers of each member, or those of the network as the only element.
    mixture : Mixture or None
        How the members predict together. None for a network.
    dtype : dtype
        The dtype of the weights, inputs and outputs.
    """

    networks: list[list[WeightedLayer]]
    mixture: Mixture | None
    dtype: np.dtype[Any]


def exported(model: object, function: str) -> Exported:
    """Return the layers of a network, or of the members of an ensemble, after the last finished step.

    Raises
    ------
    TypeError
        If `model` is neither. The message begins with `function`, the name of the called function.
    """
    if not isinstance(model, Ensemble):
        if not isinstance(model, Network):
            raise TypeError(_refusal(model, function, "fastmlp.Network or fastmlp.Ensemble"))
        return Exported([weighted_layers(model, function)], None, model.architecture.dtype)
    first, loss = model.networks[0].architecture, model.networks[0].architecture.loss
    columns = loss.target_columns(first.outputs) if isinstance(loss, GaussianNLL) else first.outputs
    epsilon = loss.epsilon if isinstance(loss, GaussianNLL) else None
    networks = [weighted_layers(network, function) for network in model.networks]
    return Exported(networks, Mixture(len(networks), first.outputs, columns, epsilon), first.dtype)


def weighted_layers(network: object, function: str) -> list[WeightedLayer]:
    """Return the layers of a network with their weights after the last finished step.

    Raises
    ------
    TypeError
        If `network` is not a `fastmlp.Network`. The message begins with `function`, the name of the called function.
    """
    if not isinstance(network, Network):
        raise TypeError(_refusal(network, function, "fastmlp.Network"))
    pairs = zip(network.architecture.layers, network.get_weights(), strict=True)
    return [WeightedLayer(layer, W, b) for layer, (W, b) in pairs]


def _refusal(given: object, function: str, needed: str) -> str:
    """Return the message for an object of the wrong type, with what to do if it contains or resembles a network."""
    kind, hint = type(given), ""
    if isinstance(given, Ensemble):
        hint = "; its attribute `networks` has the members"
    elif hasattr(given, "coefs_"):
        hint = "; fastmlp.from_sklearn(estimator) makes one of a fitted estimator"
    elif isinstance(getattr(given, "network", None), Network):
        hint = "; give its attribute `network`"
    return f"{function} needs a {needed}, got {kind.__module__}.{kind.__qualname__}{hint}"


def translate_activation(
    activation: Activation, table: Mapping[str, T], layer: int, target: str, member: int | None = None
) -> T:
    """Return the entry of `table` for the formula of an activation.

    Parameters
    ----------
    activation : Activation
        The activation of a layer.
    table : mapping
        From the name of a formula to its equivalent in the target.
    layer : int
        The index of the layer, for the message.
    target : str
        The name of the target, for the message.
    member : int, optional
        The index of the member of an ensemble that has the layer, for the message. None for a single network.

    Raises
    ------
    ValueError
        If the table has no such formula, or the user registered the activation.
    """
    own = isinstance(activation, OwnActivation)
    if own or activation.formula not in table:
        origin = "registered by register_activation" if own else "built in"
        where = f"layer {layer}" if member is None else f"layer {layer} of member {member}"
        raise ValueError(
            f"{where} has the activation {activation.label!r}, {origin}, which {target} does not support. "
            f"Supported are: {', '.join(table)}"
        )
    return table[activation.formula]
