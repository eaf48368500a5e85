"""Checkpoints: a network's description and arrays, and how they are written to a model file and read from it.

Tensors are "layers.0.W" (inputs, units), or (units,) of a layer of columns, and "layers.0.b" (units,), layers counted
from 0; with the optimizer's state also "optimizer.m.layers.0.W" and so on for each of its slots, and "training.totals",
the sums of the current epoch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._io import description, model_file, version_1
from fastmlp._io.description import Description
from fastmlp._io.model_file import ModelFormatError
from fastmlp.architecture import Architecture, Layer
from fastmlp.optimizers import Optimizer, StepOptimizer

LayerArrays = tuple[NDArray[Any], NDArray[Any] | None]
"""W (inputs, units) and b (units,) of a layer, or arrays of these shapes; None in place of b without bias."""

_DECODERS: dict[str, Callable[[Mapping[str, str]], tuple[Description, bool]]] = {
    "1": version_1.decode,
    "2": description.decode,
}
_TOTALS = "training.totals"
_OF_LAYER = re.compile(r"(|optimizer\.[a-z_]+\.)layers\.(0|[1-9][0-9]{0,18})\.([Wb])")


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint(Description):
    """All that a model file holds of a network: its description, and these arrays.

    Parameters
    ----------
    weights : sequence of (W, b)
        The parameters of each layer.
    slots : mapping of str to sequence of (W, b), optional
        What the optimizer keeps for each parameter, by the names in `Optimizer.slots`. None leaves the optimizer's
        state out of the file.
    totals : ndarray of 3 float64, optional
        Losses, weights and penalties of the current epoch; present if and only if `slots` is.
    """

    weights: Sequence[LayerArrays]
    slots: Mapping[str, Sequence[LayerArrays]] | None
    totals: NDArray[np.float64] | None


def write(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a model file; an older file of that name stays as it is until the new one is complete.

    Raises
    ------
    ValueError
        If `read` would refuse the file, for example because a weight is not finite. A good older file stays.
    OSError
        If the file cannot be written.
    """
    metadata = description.encode(checkpoint, checkpoint.slots is not None)
    tensors = _named("", checkpoint.weights)
    for slot, layers in (checkpoint.slots or {}).items():
        tensors |= _named(f"optimizer.{slot}.", layers)
    if checkpoint.totals is not None:
        tensors[_TOTALS] = checkpoint.totals
    try:
        described, complete = _decode(model_file.VERSION, metadata)
        description.decode_names(metadata, described.architecture)
        shapes = ((name, tensor.shape, tensor.dtype) for name, tensor in tensors.items())
        _check_shapes(described.architecture, complete, shapes)
        _check_numbers(described.architecture.optimizer, tensors)
    except ValueError as error:
        raise ValueError(f"the network cannot be saved: {error}") from None
    model_file.write(path, metadata, tensors)


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a model file of any format version.

    Everything is checked but the table's schema, which is returned as it stands in the file. The arrays are views of
    one block of memory, as large as the file's tensors.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelFormatError
        If anything in it differs from what `write` wrote.
    """
    found: list[tuple[Description, bool]] = []

    def accept(version: str, metadata: Mapping[str, str], tensors: model_file.Tensors) -> None:
        described, complete = _decode(version, metadata)
        _check_shapes(described.architecture, complete, tensors)
        found.append((described, complete))

    _, metadata, tensors = model_file.read(path, accept)
    ((described, complete),) = found
    architecture = described.architecture
    with model_file.naming(path):
        _check_numbers(architecture.optimizer, tensors)
        names = description.decode_names(metadata, architecture)
    count, slots = len(architecture.layers), None
    if complete:
        slots = {slot: _layers(tensors, f"optimizer.{slot}.", count) for slot in architecture.optimizer.slots}
    return Checkpoint(
        **{**vars(described), "names": names},
        weights=_layers(tensors, "", count),
        slots=slots,
        totals=tensors.get(_TOTALS),
    )


def best_of(path: str | os.PathLike[str], architecture: Architecture, monitor: str) -> float | None:
    """Return the best value of a figure in the training of this network, or None if the file does not hold it.

    The learning rates may differ, because a learning rate can change within a training.

    Raises
    ------
    OSError
        If there is a file that cannot be read.
    """
    try:
        found = read(path)
    except (FileNotFoundError, ModelFormatError):
        return None
    if found.best is None or found.best[0] != monitor:
        return None
    kept = found.architecture
    if isinstance(kept.optimizer, StepOptimizer) and isinstance(architecture.optimizer, StepOptimizer):
        kept = kept.with_learning_rate(architecture.optimizer.learning_rate)
    same = kept.to_dict() == architecture.to_dict()  # by name: a function may have been registered anew
    return found.best[1] if same else None


def _decode(version: str, metadata: Mapping[str, str]) -> tuple[Description, bool]:
    """Return the description and whether the file has the optimizer's tensors, or raise ValueError."""
    try:
        return _DECODERS[version](metadata)
    except KeyError as error:
        raise ValueError(f"the description of the network is wrong: {error!s:.2000} is missing") from None
    except (TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"the description of the network is wrong: {error!s:.2000}") from None


def _named(prefix: str, layers: Sequence[LayerArrays]) -> dict[str, NDArray[Any]]:
    """Return the arrays of all layers under the names of their tensors."""
    tensors = {}
    for index, (w, b) in enumerate(layers):
        tensors[f"{prefix}layers.{index}.W"] = w
        if b is not None:
            tensors[f"{prefix}layers.{index}.b"] = b
    return tensors


def _layers(tensors: Mapping[str, NDArray[Any]], prefix: str, count: int) -> list[LayerArrays]:
    """Return the arrays of `count` layers; the inverse of `_named`."""
    names = (f"{prefix}layers.{index}" for index in range(count))
    return [(tensors[f"{name}.W"], tensors.get(f"{name}.b")) for name in names]


def _check_shapes(architecture: Architecture, complete: bool, tensors: model_file.Tensors) -> None:
    """Check that there are the tensors of the network, if `complete` with the optimizer's, and no others.

    Names must be different.
    """
    layers = architecture.layers
    prefixes = ["", *(f"optimizer.{slot}." for slot in architecture.optimizer.slots if complete)]
    seen = np.zeros((len(prefixes), len(layers), 2), bool)
    seen[:, :, 1] = [not layer.use_bias for layer in layers]
    totals_seen = not complete
    for name, shape, dtype in tensors:
        match = _OF_LAYER.fullmatch(name)
        if name == _TOTALS and complete:
            _check_shape(name, shape, dtype, (3,), np.dtype(np.float64))
            totals_seen = True
        elif match and match[1] in prefixes and int(match[2]) < len(layers):
            place = (prefixes.index(match[1]), int(match[2]), "Wb".index(match[3]))
            if seen[place]:  # a bias of a layer without bias: names are different
                raise ValueError(f"tensor {name!r} is unknown")
            _check_shape(name, shape, dtype, _shape(layers[int(match[2])], match[3]), architecture.dtype)
            seen[place] = True
        else:
            raise ValueError(f"tensor {name!r} is unknown")
    if not seen.all():
        prefix, index, which = (int(place[0]) for place in np.nonzero(~seen))
        name = f"{prefixes[prefix]}layers.{index}.{'Wb'[which]}"
        raise ValueError(f"tensor {name!r} is missing")
    if not totals_seen:
        raise ValueError(f"tensor {_TOTALS!r} is missing")


def _shape(layer: Layer, which: str) -> tuple[int, ...]:
    return layer.shape if which == "W" else (layer.units,)


def _check_shape(
    name: str, shape: tuple[int, ...], dtype: np.dtype[Any], wanted: tuple[int, ...], wanted_dtype: np.dtype[Any]
) -> None:
    if (shape, dtype) != (wanted, wanted_dtype):
        raise ValueError(
            f"tensor {name!r} has shape {shape} and dtype {dtype}, expected shape {wanted} and dtype {wanted_dtype}"
        )


def _check_numbers(optimizer: Optimizer, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Check that the tensors hold only values that a training can produce."""
    squares = tuple(f"optimizer.{slot}." for slot in optimizer.squares)
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ValueError(f"tensor {name!r} holds NaN or infinity")
        if squares and name.startswith(squares) and tensor.size and tensor.min() < 0:
            raise ValueError(f"tensor {name!r} holds {tensor.min()}, but a mean or sum of squares cannot be negative")
