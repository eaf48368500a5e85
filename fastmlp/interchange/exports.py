"""What every export begins with: a network's layers with their weights, and how another format says an activation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from numpy.typing import NDArray

from fastmlp.activations import Activation, OwnActivation
from fastmlp.architecture import Layer
from fastmlp.network import Network

T = TypeVar("T")


class Weighted(NamedTuple):
    """A layer and copies of its W (inputs, units) and b (units,), None without bias."""

    layer: Layer
    W: NDArray[Any]
    b: NDArray[Any] | None


def weighted_layers(network: object, function: str) -> list[Weighted]:
    """The layers of a network, with their weights as one finished step left them.

    Raises
    ------
    TypeError
        If it is not a `fastmlp.Network`; the message names the function that was called.
    """
    if not isinstance(network, Network):
        kind = type(network)
        hint = "; give its network" if isinstance(getattr(network, "network", None), Network) else ""
        raise TypeError(f"{function} takes a fastmlp.Network, got {kind.__module__}.{kind.__qualname__}{hint}")
    pairs = zip(network.architecture.layers, network.get_weights(), strict=True)
    return [Weighted(layer, W, b) for layer, (W, b) in pairs]


def said(activation: Activation, table: Mapping[str, T], index: int, place: str) -> T:
    """What `table` has for the formula of layer `index`.

    Raises
    ------
    ValueError
        If it has none; the message names layer and activation, and lists what there is.
    """
    own = isinstance(activation, OwnActivation)
    if own or activation.formula not in table:
        what = "registered by register_activation" if own else "built in"
        raise ValueError(
            f"layer {index} has the activation {activation.label!r}, {what}, which {place} does not have. "
            f"There are: {', '.join(table)}"
        )
    return table[activation.formula]
