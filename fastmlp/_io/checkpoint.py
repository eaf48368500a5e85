"""What a model file holds: the architecture and the counters as JSON in its metadata, every tensor under its name.

Tensors are "layers.0.W" (inputs, units) and "layers.0.b" (units,), layers counted from 0; with the optimizer's state
also "optimizer.m.layers.0.W" and so on for each of its slots, and "training.totals", the losses of an epoch under
way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp import architecture as architectures
from fastmlp._engine.parameters import LayerWeights, Parameters
from fastmlp._io import model_file
from fastmlp._io.model_file import ModelFormatError
from fastmlp._runtime.checks import whole_number
from fastmlp.architecture import Architecture

_COUNTERS = {
    "epoch": "epoch",
    "batch": "batch",
    "step": "step",
    "rows": "epoch_rows",
    "batch_size": "epoch_batch_size",
    "mark": "epoch_fingerprint",
}
_TOTALS = "training.totals"
_TABLE = "table"
_BEST = "best"

_LAYERS = '{"layers": ['
_REST = '], "loss": '
_PART = 10_000
"""Characters that the description of a layer, and that of all but the layers, may take; some 250 and 500 do."""

_DECODER = json.JSONDecoder()
_OF_LAYER = re.compile(r"(|optimizer\.[a-z_]+\.)layers\.(0|[1-9][0-9]{0,18})\.([Wb])")


class _Network(NamedTuple):
    """What a file's metadata say of its network."""

    architecture: Architecture
    counters: dict[str, int]
    complete: bool  # whether what the optimizer remembers is there


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

    Raises
    ------
    ValueError
        If `load` would refuse the file: an older one that is good must not give way to it.
    OSError
        If the file cannot be written.
    """
    counters = {name: getattr(parameters.state, word) for name, word in _COUNTERS.items()}
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
        tensors[_TOTALS] = parameters.sums()
    _check_numbers(_described(metadata), tensors)
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
    found: list[_Network] = []

    def accept(metadata: Mapping[str, str], tensors: model_file.Tensors) -> None:
        network = _described(metadata)
        _check_tensors(network, tensors)
        found.append(network)

    metadata, tensors = model_file.read(path, accept)
    (architecture, counters, complete) = network = found[0]
    with model_file.naming(path):
        _check_numbers(network, tensors)
    parameters = Parameters(architecture)
    _fill(parameters, parameters.weights, "", tensors)
    for slot, name in enumerate(architecture.optimizer.slots if complete else ()):
        _fill(parameters, parameters.slots[slot], f"optimizer.{name}.", tensors)
    if complete:
        parameters.set_sums(tensors[_TOTALS])
    for name, word in _COUNTERS.items():
        setattr(parameters.state, word, counters[name])
    parameters.refresh_transposed()
    return parameters, metadata.get(_TABLE)


def best_of(path: str | Path, architecture: Architecture, monitor: str) -> float | None:
    """The best value of a figure that a file holds of the training of this network; None if it holds none.

    The learning rate may be another: it changes within a training.

    Raises
    ------
    OSError
        If there is a file that cannot be read.
    """
    try:
        metadata, _ = model_file.read(path)
        best = json.loads(metadata[_BEST])
        described = [json.loads(metadata["architecture"]), architecture.to_dict()]
        for each in described:
            del each["optimizer"]["learning_rate"]
        same = described[0] == described[1] and best["monitor"] == monitor
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


def _described(metadata: Mapping[str, str]) -> _Network:
    """What the metadata describe; a ValueError if it cannot be."""
    try:
        architecture = architectures.from_dict(_architecture(metadata["architecture"]))
        training = _json(metadata["training"])
        counters = {name: whole_number(training[name], name, minimum=0) for name in _COUNTERS}
        complete = training["optimizer_state"]
        if not isinstance(complete, bool) or max(counters.values()) >= 2**62:
            raise ValueError(f"training is {training!r}")
        if counters["batch"] and counters["batch"] * counters["batch_size"] >= counters["rows"]:
            raise ValueError(f"batch {counters['batch']} is not within an epoch of {counters['rows']} rows")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"the description of the network is wrong: {error!s:.2000}") from None
    return _Network(architecture, counters, complete)


def _architecture(text: str) -> dict[str, Any]:
    """The architecture as `Architecture.to_dict` describes it, but its layers one after the other.

    As Python's objects a description takes up to 30 times its characters, so only one layer is there at any moment.
    """
    end = text.rfind(_REST)
    if not text.startswith(_LAYERS) or end < 0:
        raise ValueError(f"it must be written as {_LAYERS}...{_REST}..., got {text[:40]!r}")
    return {"layers": _layers(text, end), **_json(text, end + len("], "), "{")}


def _layers(text: str, end: int) -> Iterator[Any]:
    at = len(_LAYERS)
    while at < end:
        layer, used = _DECODER.raw_decode(text[at : min(at + _PART, end)])
        yield layer
        at += used
        if text[at : at + 2] != ", " and at != end:
            raise ValueError(f"it has {text[at : at + 20]!r} after a layer")
        at += 2


def _json(text: str, begin: int = 0, opening: str = "") -> dict[str, Any]:
    if len(text) - begin > _PART:
        raise ValueError(f"it takes {len(text) - begin} characters beside the layers, the limit is {_PART}")
    return dict(json.loads(opening + text[begin:]))


def _prefixes(network: _Network) -> list[str]:
    slots = network.architecture.optimizer.slots if network.complete else ()
    return ["", *(f"optimizer.{name}." for name in slots)]


def _check_tensors(network: _Network, tensors: model_file.Tensors) -> None:
    """Whether the tensors, whose names differ, are those of the network."""
    layers, prefixes = network.architecture.layers, _prefixes(network)
    seen = np.zeros((len(prefixes), len(layers), 2), bool)
    seen[:, :, 1] = [not layer.use_bias for layer in layers]
    totals_seen = not network.complete
    for name, shape, dtype in tensors:
        match = _OF_LAYER.fullmatch(name)
        if name == _TOTALS and network.complete:
            expected: Any = ((3,), np.dtype(np.float64))
            totals_seen = True
        elif match and match[1] in prefixes and int(match[2]) < len(layers):
            layer = layers[int(match[2])]
            place = (prefixes.index(match[1]), int(match[2]), "Wb".index(match[3]))
            expected = ((layer.inputs, layer.units) if match[3] == "W" else (layer.units,), network.architecture.dtype)
            if seen[place]:  # a bias where there is none: names come once only
                raise ValueError(f"tensor {name!r} is unknown")
            seen[place] = True
        else:
            raise ValueError(f"tensor {name!r} is unknown")
        if (shape, dtype) != expected:
            raise ValueError(f"tensor {name!r} is {(shape, dtype)}, expected {expected}")
    if not seen.all():
        prefix, index, which = (int(place[0]) for place in np.nonzero(~seen))
        name = f"{prefixes[prefix]}layers.{index}.{'Wb'[which]}"
        raise ValueError(f"tensor {name!r} is missing")
    if not totals_seen:
        raise ValueError(f"tensor {_TOTALS!r} is missing")


def _check_numbers(network: _Network, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Whether the tensors hold what training can have left."""
    squares = tuple(f"optimizer.{name}." for name in network.architecture.optimizer.squares)
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ValueError(f"tensor {name!r} holds NaN or infinity")
        if squares and name.startswith(squares) and tensor.size and tensor.min() < 0:
            raise ValueError(f"tensor {name!r} holds {tensor.min()}, but it is made of squares")


def _fill(parameters: Parameters, vector: NDArray[Any], prefix: str, tensors: dict[str, NDArray[Any]]) -> None:
    for index in range(len(parameters.architecture.layers)):
        name = f"{prefix}layers.{index}"
        parameters.pack(vector, index, tensors[f"{name}.W"], tensors.get(f"{name}.b"))
