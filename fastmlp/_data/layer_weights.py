"""Weights, or gradients, of each layer: checked, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import check_finite, real_array
from fastmlp.architecture import Architecture

CheckedWeights = tuple[NDArray[Any], NDArray[Any] | None]
"""W (inputs, units), or (units,) of a layer of columns, and b (units,) of a layer; None without a bias."""


class PairNames(NamedTuple):
    """What messages call the pairs, and the two arrays of a pair."""

    pairs: str
    w: str
    b: str


WEIGHTS, GRADIENTS = PairNames("weights", "W", "b"), PairNames("gradients", "dW", "db")


def check_layer_weights(
    weights: Sequence[tuple[ArrayLike, ArrayLike | None]], architecture: Architecture, names: PairNames = WEIGHTS
) -> list[CheckedWeights]:
    """Return each layer's (W, b), or (dW, db), as arrays of finite real numbers.

    Raises
    ------
    TypeError
        If the weights are not a sequence of pairs, or do not hold real numbers.
    ValueError
        If the number of layers or a shape differs, or a value is not finite in the network's dtype.
    """
    layers = architecture.layers
    expected = f"{names.pairs} must be {len(layers)} pairs ({names.w}, {names.b})"
    try:
        pairs: list[tuple[Any, ...]] = [tuple(pair) for pair in weights]
    except TypeError:
        raise TypeError(f"{expected}, got {type(weights).__name__}") from None
    if len(pairs) != len(layers) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{expected}, got {len(pairs)} entries of lengths {[len(pair) for pair in pairs]}")
    return [check_layer(index, w, b, architecture, names) for index, (w, b) in enumerate(pairs)]


def check_layer(index: int, w: Any, b: Any, architecture: Architecture, names: PairNames = WEIGHTS) -> CheckedWeights:
    """Return (W, b), or (dW, db), of one layer as arrays of finite real numbers.

    Raises
    ------
    TypeError, ValueError
        As `check_layer_weights` does.
    """
    layer = architecture.layers[index]
    if (b is not None) != layer.use_bias:
        raise ValueError(f"layer {index} has {'a' if layer.use_bias else 'no'} bias, got {names.b}={b!r}")
    if w is None:
        raise ValueError(f"{names.w} of layer {index} must have shape {layer.shape}, got None")
    checked_w = _check_array(w, layer.shape, f"{names.w} of layer {index}", architecture)
    if b is None:
        return checked_w, None
    return checked_w, _check_array(b, (layer.units,), f"{names.b} of layer {index}", architecture)


def _check_array(values: Any, shape: tuple[int, ...], name: str, architecture: Architecture) -> NDArray[Any]:
    array = real_array(values, name)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    check_finite(array, architecture.dtype, name, hint="")
    return array
