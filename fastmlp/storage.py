"""What a model file holds: the architecture and the counters as JSON in its metadata, every tensor under its name.

Tensors are "layers.0.W" (inputs, units) and "layers.0.b" (units,), layers counted from 0; with the optimizer's state
also "optimizer.m.layers.0.W" and so on for each of its slots, and "training.totals", the losses of an epoch under
way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import architecture as architectures
from fastmlp import model_file
from fastmlp._checks import whole_number
from fastmlp.architecture import Architecture
from fastmlp.kernels import layout as at
from fastmlp.model_file import ModelFormatError
from fastmlp.parameters import LayerWeights, Parameters

_COUNTERS = {
    "epoch": at.EPOCH,
    "batch": at.BATCH_OF_EPOCH,
    "step": at.STEP,
    "rows": at.EPOCH_ROWS,
    "batch_size": at.EPOCH_BATCH_SIZE,
    "mark": at.EPOCH_MARK,
}
_TOTALS = "training.totals"
_TABLE = "table"
_BEST = "best"


def save(
    path: str | Path,
    parameters: Parameters,
    optimizer: bool,
    table: str | None = None,
    best: tuple[str, float] | None = None,
) -> None:
    """Write a network's memory to a file, which is the old one or the new one at any moment.

    `table` is the JSON of the table that its inputs are columns of, `best` the name and value of a figure that was
    never better in this training; each lies under a key of its own in the metadata.
    """
    counters = {name: int(parameters.state[word]) for name, word in _COUNTERS.items()}
    metadata = {
        "architecture": json.dumps(parameters.architecture.to_dict()),
        "training": json.dumps({**counters, "optimizer_state": optimizer}),
    }
    if table is not None:
        metadata[_TABLE] = table
    if best is not None:
        metadata[_BEST] = json.dumps({"monitor": best[0], "value": repr(float(best[1]))})
    tensors = _named("", parameters.unpack(parameters.weights))
    if optimizer:
        for slot, name in enumerate(parameters.architecture.optimizer.slots):
            tensors |= _named(f"optimizer.{name}.", parameters.unpack(parameters.slots[slot]))
        tensors[_TOTALS] = parameters.totals.copy()
    model_file.write(path, metadata, tensors)


def load(path: str | Path) -> tuple[Parameters, str | None]:
    """The memory of a network out of a file that `save` wrote, and the description of its table, if there is one.

    The description is as it stands in the file: who uses it must check it.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelFormatError
        If anything in it is not as `save` writes it.
    """
    metadata, tensors = model_file.read(path)
    try:
        architecture = architectures.from_dict(json.loads(metadata["architecture"]))
        training = json.loads(metadata["training"])
        counters = {name: whole_number(training[name], name, least=0) for name in _COUNTERS}
        complete = training["optimizer_state"]
        if not isinstance(complete, bool) or max(counters.values()) >= 2**62:
            raise ValueError(f"training is {training!r}")
        if counters["batch"] and counters["batch"] * counters["batch_size"] >= counters["rows"]:
            raise ValueError(f"batch {counters['batch']} is not within an epoch of {counters['rows']} rows")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ModelFormatError(f"{path}: the description of the network is wrong: {error}") from error
    _check_tensors(path, architecture, tensors, complete)
    parameters = Parameters(architecture)
    _fill(parameters, parameters.weights, "", tensors)
    for slot, name in enumerate(architecture.optimizer.slots if complete else ()):
        _fill(parameters, parameters.slots[slot], f"optimizer.{name}.", tensors)
    if complete:
        parameters.totals[:] = tensors[_TOTALS]
    for name, word in _COUNTERS.items():
        parameters.state[word] = counters[name]
    parameters.refresh_transposed()
    return parameters, metadata.get(_TABLE)


def best_of(path: str | Path, architecture: Architecture, monitor: str) -> float | None:
    """The best value of a figure that a file holds of the training of this network; None if it holds none.

    Raises
    ------
    OSError
        If there is a file that cannot be read.
    """
    try:
        metadata, _ = model_file.read(path)
        best = json.loads(metadata[_BEST])
        same = json.loads(metadata["architecture"]) == architecture.to_dict() and best["monitor"] == monitor
        return float(best["value"]) if same else None
    except (FileNotFoundError, ModelFormatError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _named(prefix: str, layers: list[LayerWeights]) -> dict[str, NDArray[Any]]:
    tensors = {}
    for index, (w, b) in enumerate(layers):
        tensors[f"{prefix}layers.{index}.W"] = w
        if b is not None:
            tensors[f"{prefix}layers.{index}.b"] = b
    return tensors


def _shapes(architecture: Architecture, complete: bool) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """The name, shape and dtype of every tensor that belongs in the file."""
    prefixes = ["", *(f"optimizer.{name}." for name in (architecture.optimizer.slots if complete else ()))]
    shapes: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
    for prefix in prefixes:
        for index, layer in enumerate(architecture.layers):
            shapes[f"{prefix}layers.{index}.W"] = ((layer.inputs, layer.units), architecture.dtype)
            if layer.use_bias:
                shapes[f"{prefix}layers.{index}.b"] = ((layer.units,), architecture.dtype)
    if complete:
        shapes[_TOTALS] = ((3,), np.dtype(np.float64))
    return shapes


def _check_tensors(
    path: str | Path, architecture: Architecture, tensors: dict[str, NDArray[Any]], complete: bool
) -> None:
    expected = _shapes(architecture, complete)
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    for name in sorted(expected.keys() ^ found.keys()):
        raise ModelFormatError(f"{path}: tensor {name!r} is {'missing' if name in expected else 'unknown'}")
    for name, (shape, dtype) in expected.items():
        if found[name] != (shape, dtype):
            raise ModelFormatError(f"{path}: tensor {name!r} is {found[name]}, expected {(shape, dtype)}")
        if not np.isfinite(tensors[name]).all():
            raise ModelFormatError(f"{path}: tensor {name!r} holds NaN or infinity")


def _fill(parameters: Parameters, vector: NDArray[Any], prefix: str, tensors: dict[str, NDArray[Any]]) -> None:
    for index in range(len(parameters.architecture.layers)):
        name = f"{prefix}layers.{index}"
        parameters.pack(vector, index, tensors[f"{name}.W"], tensors.get(f"{name}.b"))
