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

from fastmlp._data.names import Names
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
MEMBERS = "members"  # the key of the metadata that only the file of an ensemble has
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
    model_file.write(path, *encode(checkpoint))


def encode(checkpoint: Checkpoint) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Return the metadata and the tensors of a file.

    Raises
    ------
    ValueError
        If `read` would refuse the file, for example because a weight is not finite.
    """
    metadata = description.encode(checkpoint, checkpoint.slots is not None)
    tensors = _named("", checkpoint.weights)
    for slot, layers in (checkpoint.slots or {}).items():
        tensors |= _named(f"optimizer.{slot}.", layers)
    if checkpoint.totals is not None:
        tensors[_TOTALS] = checkpoint.totals
    try:
        described, complete = decode(model_file.VERSION, metadata)
        description.decode_names(metadata, described.architecture)
        expected = ExpectedTensors(described.architecture, complete)
        for name, tensor in tensors.items():
            expected.take(name, tensor.shape, tensor.dtype)
        expected.require_all()
        _check_numbers(described.architecture.optimizer, tensors)
    except ValueError as error:
        raise ValueError(f"the network cannot be saved: {error}") from None
    return metadata, tensors


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
        if MEMBERS in metadata:
            raise ValueError("it holds an ensemble; load it with fastmlp.Ensemble.load")
        described, complete = decode(version, metadata)
        expected = ExpectedTensors(described.architecture, complete)
        for tensor in tensors:
            expected.take(*tensor)
        expected.require_all()
        found.append((described, complete))

    _, metadata, tensors = model_file.read(path, accept)
    ((described, complete),) = found
    with model_file.naming(path):
        return assemble(described, complete, description.decode_names(metadata, described.architecture), tensors)


def assemble(described: Description, complete: bool, names: Names, tensors: Mapping[str, NDArray[Any]]) -> Checkpoint:
    """Return the checkpoint of a description and its tensors, which `ExpectedTensors` has taken.

    Raises
    ------
    ValueError
        If a tensor holds values that no training can produce.
    """
    architecture, slots = described.architecture, None
    _check_numbers(architecture.optimizer, tensors)
    count = len(architecture.layers)
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


def decode(version: str, metadata: Mapping[str, str]) -> tuple[Description, bool]:
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


class ExpectedTensors:
    """The tensors that a file must hold of one network; each is ticked off when it is taken.

    Parameters
    ----------
    architecture : Architecture
        The network.
    complete : bool
        Whether there are the tensors of the optimizer, too.
    """

    def __init__(self, architecture: Architecture, complete: bool) -> None:
        self.architecture, self.complete = architecture, complete
        layers = architecture.layers
        self._prefixes = ["", *(f"optimizer.{slot}." for slot in architecture.optimizer.slots if complete)]
        self._seen = np.zeros((len(self._prefixes), len(layers), 2), bool)
        self._seen[:, :, 1] = [not layer.use_bias for layer in layers]
        self._totals_seen = not complete

    def take(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Tick a tensor off; raise ValueError if it is unknown or has another shape. Names must be different."""
        layers, match = self.architecture.layers, _OF_LAYER.fullmatch(name)
        if name == _TOTALS and self.complete:
            _check_shape(name, shape, dtype, (3,), np.dtype(np.float64))
            self._totals_seen = True
        elif match and match[1] in self._prefixes and int(match[2]) < len(layers):
            place = (self._prefixes.index(match[1]), int(match[2]), "Wb".index(match[3]))
            if self._seen[place]:  # a bias of a layer without bias: names are different
                raise ValueError(f"tensor {name!r} is unknown")
            _check_shape(name, shape, dtype, _shape(layers[int(match[2])], match[3]), self.architecture.dtype)
            self._seen[place] = True
        else:
            raise ValueError(f"tensor {name!r} is unknown")

    def require_all(self) -> None:
        """Raise ValueError if a tensor is missing."""
        if not self._seen.all():
            prefix, index, which = (int(place[0]) for place in np.nonzero(~self._seen))
            name = f"{self._prefixes[prefix]}layers.{index}.{'Wb'[which]}"
            raise ValueError(f"tensor {name!r} is missing")
        if not self._totals_seen:
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
