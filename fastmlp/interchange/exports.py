"""The common part of all exports: the layers of a network with their weights, and the translation of activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from numpy.typing import NDArray

from fastmlp.activations import Activation, OwnActivation
from fastmlp.architecture import Layer
from fastmlp.network import Network

T = TypeVar("T")


class WeightedLayer(NamedTuple):
    """A layer with copies of its W, shape (inputs, units) or (units,), and b, shape (units,) or None without bias."""

    layer: Layer
    W: NDArray[Any]
    b: NDArray[Any] | None


def weighted_layers(network: object, function: str) -> list[WeightedLayer]:
    """Return the layers of a network with their weights after the last finished step.

    Raises
    ------
    TypeError
        If `network` is not a `fastmlp.Network`. The message begins with `function`, the name of the called function.
    """
    if not isinstance(network, Network):
        kind = type(network)
        hint = "; give its attribute `network`" if isinstance(getattr(network, "network", None), Network) else ""
        if hasattr(network, "coefs_"):
            hint = "; fastmlp.from_sklearn(estimator) makes one of a fitted estimator"
        raise TypeError(f"{function} needs a fastmlp.Network, got {kind.__module__}.{kind.__qualname__}{hint}")
    pairs = zip(network.architecture.layers, network.get_weights(), strict=True)
    return [WeightedLayer(layer, W, b) for layer, (W, b) in pairs]


def translate_activation(activation: Activation, table: Mapping[str, T], layer: int, target: str) -> T:
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

    Raises
    ------
    ValueError
        If the table has no such formula, or the user registered the activation.
    """
    own = isinstance(activation, OwnActivation)
    if own or activation.formula not in table:
        origin = "registered by register_activation" if own else "built in"
        raise ValueError(
            f"layer {layer} has the activation {activation.label!r}, {origin}, which {target} does not support. "
            f"Supported are: {', '.join(table)}"
        )
    return table[activation.formula]
