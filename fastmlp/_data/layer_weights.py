"""The weights that `Network.set_weights` takes: checked, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import check_finite, real_array
from fastmlp.architecture import Architecture

CheckedWeights = tuple[NDArray[Any], NDArray[Any] | None]
"""W (inputs, units) and b (units,) of a layer; None without a bias."""


def check_layer_weights(
    weights: Sequence[tuple[ArrayLike, ArrayLike | None]], architecture: Architecture
) -> list[CheckedWeights]:
    """Return each layer's (W, b) as arrays of finite real numbers.

    Raises
    ------
    TypeError
        If the weights are not a sequence of pairs, or do not hold real numbers.
    ValueError
        If the number of layers or a shape differs, or a value is not finite in the network's dtype.
    """
    layers = architecture.layers
    expected = f"weights must be {len(layers)} pairs (W, b)"
    try:
        pairs: list[tuple[Any, ...]] = [tuple(pair) for pair in weights]
    except TypeError:
        raise TypeError(f"{expected}, got {type(weights).__name__}") from None
    if len(pairs) != len(layers) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{expected}, got {len(pairs)} entries of lengths {[len(pair) for pair in pairs]}")
    return [_check_layer(index, w, b, architecture) for index, (w, b) in enumerate(pairs)]


def _check_layer(index: int, w: Any, b: Any, architecture: Architecture) -> CheckedWeights:
    layer = architecture.layers[index]
    if (b is not None) != layer.use_bias:
        raise ValueError(f"layer {index} has {'a' if layer.use_bias else 'no'} bias, got b={b!r}")
    if w is None:
        raise ValueError(f"W of layer {index} must have shape {(layer.inputs, layer.units)}, got None")
    checked_w = _check_array(w, (layer.inputs, layer.units), f"W of layer {index}", architecture)
    return checked_w, None if b is None else _check_array(b, (layer.units,), f"b of layer {index}", architecture)


def _check_array(values: Any, shape: tuple[int, ...], name: str, architecture: Architecture) -> NDArray[Any]:
    array = real_array(values, name)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    check_finite(array, architecture.dtype, name, hint="")
    return array
