"""Check the weights that a user gives a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import check_finite, real_array
from fastmlp.architecture import Architecture, Layer

CheckedWeights = tuple[NDArray[Any], NDArray[Any] | None]
"""W (inputs, units) and b (units,) of a layer; None without a bias."""


def check_layer_weights(
    weights: Sequence[tuple[ArrayLike, ArrayLike | None]], architecture: Architecture
) -> list[CheckedWeights]:
    """Return each layer's (W, b) as arrays of finite real numbers.

    Raises
    ------
    TypeError
        If the weights are no sequence of pairs, or hold something else than real numbers.
    ValueError
        If the number of layers or a shape differs, or a value is not finite in the network's dtype.
    """
    layers = architecture.layers
    expected = f"weights must be {len(layers)} pairs (W, b)"
    try:
        pairs = [tuple(pair) for pair in weights]
    except TypeError:
        raise TypeError(f"{expected}, got {type(weights).__name__}") from None
    if len(pairs) != len(layers) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{expected}, got {len(pairs)} entries of lengths {[len(pair) for pair in pairs]}")
    return [
        _check_layer(layer, index, *pair, architecture)
        for index, (layer, pair) in enumerate(zip(layers, pairs, strict=True))
    ]


def _check_layer(layer: Layer, index: int, w: Any, b: Any, architecture: Architecture) -> CheckedWeights:
    if (b is not None) != layer.use_bias:
        raise ValueError(f"layer {index} has {'a' if layer.use_bias else 'no'} bias, got b={b!r}")
    if w is None:
        raise ValueError(f"W of layer {index} must have shape {(layer.inputs, layer.units)}, got None")
    checked_w = _check_array(w, (layer.inputs, layer.units), f"W of layer {index}", architecture)
    return checked_w, None if b is None else _check_array(b, (layer.units,), f"b of layer {index}", architecture)


def _check_array(given: Any, shape: tuple[int, ...], name: str, architecture: Architecture) -> NDArray[Any]:
    array = real_array(given, name)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    check_finite(array, architecture.dtype, name)
    return array
