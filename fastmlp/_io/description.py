"""What a model file says of a network beside its tensors: JSON texts in the file's metadata, format version 2.

    network    {"dtype": "float32", "seed": 7}
    layers     [{"inputs": 3, "units": 6, "activation": {"name": "tanh"}, "l1": 0.0, ...}, ...], with a "kind" if a
               layer is not dense
    loss       {"name": "huber", "delta": 0.5}
    optimizer  {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0, ...}
    training   {"optimizer_state": true, "epoch": 2, "batch": 0, "step": 12, ...}, the counters of `COUNTERS`, and
               "missed": {"0": 120}, the steps that layers at rest have missed, if there are any
    best       {"monitor": "val_loss", "value": "0.25"}, optional
    feature_names, classes   ["age", "fare", ...], the names of inputs and of classes, each optional
    table      the schema of the table whose columns are the inputs, optional; `fastmlp.tables` knows its content

How the format may change
-------------------------
A file that was ever released loads for ever, to the same bits; tests/data holds such files, which are never rewritten.

- A new counter, and a new key of the metadata, of "network" or of "training", is optional. An older fastmlp ignores it,
  and a newer one takes a default where a file does not have it. So it may hold only what a reader can ignore and still
  compute the same network.
- A new field of a layer, loss, optimizer, activation, initializer or schedule has a default, which files without it
  take (the default of `Dense`, or a name in `Settings.newer_fields`). An older fastmlp refuses a field that it does not
  know, because the network would compute something else there.
- Any other change, such as a new tensor or another meaning of a key, needs a new format version. Then the functions
  that read version 2 move into a module of their own, as `version_1`, and this module describes version 3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastmlp import architecture as architectures
from fastmlp._data.names import Names, check_names, class_count
from fastmlp._runtime.checks import whole_number
from fastmlp.architecture import Architecture

COUNTERS = {
    "epoch": 0,  # epochs that are finished
    "batch": 0,  # finished batches of the current epoch
    "step": 0,  # optimizer steps that are finished
    "rows": 0,  # rows of the current epoch
    "batch_size": 0,  # rows of each of its batches
    "mark": 0,  # a checksum of its data, to recognize other data
}
"""The counters of a training, with the values that they have in files without them."""

COUNTER_LIMIT = 2**62
TEXT_LIMIT = 10_000
"""Characters of JSON that are decoded at a time: a layer, "network" with "loss" and "optimizer", "training", "best".

Python's objects take up to 30 times the characters that describe them. In files that fastmlp wrote, a layer takes some
250 characters and the others some 500.
"""

_DECODER = json.JSONDecoder()
_MARK = re.compile(r"[ \t\n\r]*+([\[,\]])[ \t\n\r]*+")  # what stands before, between and after the elements of an array


@dataclass(frozen=True, kw_only=True, eq=False)
class Description:
    """What a model file says of a network beside its tensors.

    Parameters
    ----------
    architecture : Architecture
        Layers, loss, optimizer, dtype and seed.
    counters : mapping of str to int
        The values of `COUNTERS`.
    names : Names
        The names of inputs and classes that the network knows.
    table : str, optional
        The JSON of the schema of the table whose columns are the inputs. Its user must check it.
    best : tuple of str and float, optional
        Name and value of a figure that was never better in this training.
    missed : tuple of int
        How many steps each layer has missed, because it rested; empty if none has.
    """

    architecture: Architecture
    counters: Mapping[str, int]
    names: Names = field(default_factory=Names)
    table: str | None = None
    best: tuple[str, float] | None = None
    missed: tuple[int, ...] = ()


def encode(description: Description, optimizer_state: bool) -> dict[str, str]:
    """Return the metadata of a file; `optimizer_state` says whether the file has the optimizer's tensors."""
    network = description.architecture.to_dict()
    parts = {key: network.pop(key) for key in ("layers", "loss", "optimizer")}
    training: dict[str, Any] = {"optimizer_state": optimizer_state, **description.counters}
    if any(description.missed):
        training["missed"] = {str(layer): steps for layer, steps in enumerate(description.missed) if steps}
        for layer, own in zip(parts["layers"], description.architecture.layers, strict=True):
            if own.learns:
                layer["trainable"] = own.trainable  # so that versions which do not know of rests refuse the file
    metadata = {key: json.dumps(part) for key, part in {"network": network, **parts, "training": training}.items()}
    if description.best is not None:
        monitor, value = description.best
        metadata["best"] = json.dumps({"monitor": monitor, "value": repr(float(value))})  # JSON has no infinity
    for key, names in zip(_NAMES, (description.names.features, description.names.classes), strict=True):
        if names is not None:
            metadata[key] = json.dumps(names)
    if description.table is not None:
        metadata["table"] = description.table
    return metadata


_NAMES = ("feature_names", "classes")


def decode(metadata: Mapping[str, str]) -> tuple[Description, bool]:
    """Return the description without names, and whether the file has the optimizer's tensors; inverts `encode`.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError
        If something is missing, unknown, out of range or not JSON.
    """
    architecture = _decode_architecture(metadata)
    (training,) = decode_objects(metadata, "training")
    return describe(architecture, training, metadata)


def describe(
    architecture: Architecture, training: Mapping[str, Any], metadata: Mapping[str, str]
) -> tuple[Description, bool]:
    """Return what `decode` returns, from the decoded parts and the rest of the metadata, for all format versions.

    Raises
    ------
    ValueError, TypeError, KeyError, RecursionError
        If something is missing, out of range or not JSON.
    """
    optimizer_state = training["optimizer_state"]
    if not isinstance(optimizer_state, bool):
        raise ValueError(f"optimizer_state must be true or false, got {optimizer_state!r}")
    counters, best = _checked_counters({**COUNTERS, **training}), _decode_best(metadata)
    missed = _checked_missed(training, len(architecture.layers), counters["step"])
    table = metadata.get("table")
    described = Description(architecture=architecture, counters=counters, missed=missed, table=table, best=best)
    return described, optimizer_state


def decode_names(metadata: Mapping[str, str], architecture: Architecture) -> Names:
    """Return the names of inputs and classes, for all format versions.

    All are checked before the first is kept, because Python's strings take up to 20 times the text of short names.

    Raises
    ------
    ValueError
        If something is not a JSON array of strings, or is nothing that a network of this architecture can have.
    """
    found = [Strings(metadata[key], key) if key in metadata else None for key in _NAMES]
    for names, what, count in zip(
        found, ("columns", "classes"), (architecture.inputs, class_count(architecture)), strict=True
    ):
        if names is not None:
            check_names(names, what, count)
    return Names(*(None if names is None else tuple(names) for names in found))


class Strings:
    """The strings of a JSON array, decoded each time when they are iterated over."""

    def __init__(self, text: str, key: str) -> None:
        self.text, self.key = text, key

    def __iter__(self) -> Iterator[str]:
        """Yield one string after the other; raise ValueError for anything else."""
        return _elements(self.text, self.key, "name", _decode_string)


def decode_objects(metadata: Mapping[str, str], *keys: str) -> list[dict[str, Any]]:
    """Decode the JSON objects under some keys of the metadata; together they may take `TEXT_LIMIT` characters.

    Raises
    ------
    ValueError, KeyError, RecursionError
        If one is missing or anything else, or they are too long.
    """
    length = sum(len(metadata[key]) for key in keys)
    if length > TEXT_LIMIT:
        names = " and ".join(map(repr, keys))
        raise ValueError(f"the JSON of {names} takes {length} characters, the limit is {TEXT_LIMIT}")
    values = [json.loads(metadata[key]) for key in keys]
    for key, value in zip(keys, values, strict=True):
        if not isinstance(value, dict):
            raise ValueError(f"{key!r} must hold a JSON object, got {metadata[key][:40]!r}")
    return values


def _checked_counters(training: Mapping[str, Any]) -> dict[str, int]:
    counters = {name: whole_number(training[name], name, 0) for name in COUNTERS}
    for name, value in counters.items():
        if value >= COUNTER_LIMIT:
            raise ValueError(f"{name} must be less than {COUNTER_LIMIT}, got {value}")
    if counters["batch"] and counters["batch"] * counters["batch_size"] >= counters["rows"]:
        raise ValueError(
            f"batch {counters['batch']}, of {counters['batch_size']} rows each, is not within an epoch of "
            f"{counters['rows']} rows"
        )
    return counters


def _checked_missed(training: Mapping[str, Any], layers: int, step: int) -> tuple[int, ...]:
    stored, missed = training.get("missed", {}), [0] * layers
    if not isinstance(stored, dict):
        raise TypeError(f"missed must be a JSON object, got {stored!r}")
    for layer, steps in stored.items():
        if layer not in map(str, range(layers)):
            raise ValueError(f"missed names the layer {layer!r} of {layers} layers")
        missed[int(layer)] = whole_number(steps, "missed", 0)
        if missed[int(layer)] > step:
            raise ValueError(f"layer {layer} cannot have missed {steps} of {step} steps")
    return tuple(missed)


def _decode_best(metadata: Mapping[str, str]) -> tuple[str, float] | None:
    if "best" not in metadata:
        return None
    (best,) = decode_objects(metadata, "best")
    monitor, value = best["monitor"], best["value"]
    if not isinstance(monitor, str) or not isinstance(value, str):
        raise TypeError(f"'best' must hold a name and a number as text, got {monitor!r} and {value!r}")
    return monitor, float(value)


def _decode_architecture(metadata: Mapping[str, str]) -> Architecture:
    network, loss, optimizer = decode_objects(metadata, "network", "loss", "optimizer")
    layers = _decode_layers(metadata["layers"])
    return architectures.from_dict({**network, "layers": layers, "loss": loss, "optimizer": optimizer})


def _decode_layers(text: str) -> Iterator[Any]:
    """Decode the layers one after the other, so that only one is in memory."""
    return _elements(text, "layers", "layer", _decode_layer)


def _decode_layer(text: str, begin: int) -> tuple[Any, int]:
    """Return the value at a position, and its length.

    The decoder gets at most `TEXT_LIMIT` characters, which bounds the memory of a hostile element.
    """
    try:
        return _DECODER.raw_decode(text[begin : begin + TEXT_LIMIT])
    except ValueError as error:
        raise ValueError(f"not JSON of at most {TEXT_LIMIT} characters: {error}") from None


def _decode_string(text: str, begin: int) -> tuple[str, int]:
    """Return the string at a position, and how many characters describe it."""
    if text[begin : begin + 1] != '"':
        raise ValueError("not a string")
    value, end = _DECODER.raw_decode(text, begin)
    return value, end - begin


def _elements(text: str, key: str, what: str, decode: Callable[[str, int], tuple[Any, int]]) -> Iterator[Any]:
    """Yield the elements of the JSON array under a key of the metadata; `decode` decodes one, which is a `what`."""
    mark = _MARK.match(text)
    if not mark or mark[1] != "[":
        raise ValueError(f"{key!r} must hold a JSON array, got {text[:40]!r}")
    index, empty = 0, _MARK.match(text, mark.end())
    mark = empty if empty and empty[1] == "]" else mark
    while mark[1] != "]":
        begin = mark.end()
        try:
            element, length = decode(text, begin)
        except ValueError as error:
            raise ValueError(f"{what} {index} is {error}") from None
        yield element
        end = begin + length
        mark = _MARK.match(text, end)
        if not mark or mark[1] == "[":
            raise ValueError(f"{key!r} has {text[end : end + 20]!r} after {what} {index}, expected ',' or ']'")
        index += 1
    if mark.end() != len(text):
        raise ValueError(f"{key!r} has {text[mark.end() : mark.end() + 20]!r} after its end")
