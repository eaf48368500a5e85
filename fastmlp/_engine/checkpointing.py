"""The conversion between the memory of a network and a checkpoint, the content of a model file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from fastmlp._data.names import Names
from fastmlp._engine.parameters import Parameters
from fastmlp._engine.rests import Rests
from fastmlp._io.checkpoint import Checkpoint, LayerArrays
from fastmlp._io.description import COUNTERS

_RENAMED = {"rows": "epoch_rows", "batch_size": "epoch_batch_size", "mark": "epoch_fingerprint"}
_STATE_FIELDS = {name: _RENAMED.get(name, name) for name in COUNTERS}
"""From the name of a counter in a file to the field of `fastmlp.kernels.tables.State`."""


def to_checkpoint(
    parameters: Parameters,
    names: Names,
    *,
    optimizer: bool,
    table: str | None = None,
    best: tuple[str, float] | None = None,
) -> Checkpoint:
    """Return a checkpoint with copies of the parameters; if `optimizer` is True, with the optimizer's state.

    Raises
    ------
    MemoryError
        If there is no memory for the copies.
    """
    slots, totals = None, None
    if optimizer:
        kinds = parameters.architecture.optimizer.slots
        slots = {name: parameters.unpack(parameters.slots[index]) for index, name in enumerate(kinds)}
        totals = parameters.sums()
    return Checkpoint(
        architecture=parameters.architecture,
        counters={name: getattr(parameters.state, field) for name, field in _STATE_FIELDS.items()},
        missed=parameters.rests.missed(int(parameters.state.step)),
        names=names.copy(),
        table=table,
        best=best,
        weights=parameters.unpack(parameters.weights),
        slots=slots,
        totals=totals,
    )


def from_checkpoint(stored: Checkpoint) -> Parameters:
    """Return the memory of a network, filled from a checkpoint.

    Raises
    ------
    MemoryError
        If there is no memory for the network.
    """
    parameters = Parameters(stored.architecture)
    _pack(parameters, parameters.weights, stored.weights)
    parameters.refresh_transposed()
    if stored.slots is not None and stored.totals is not None:
        for index, name in enumerate(stored.architecture.optimizer.slots):
            _pack(parameters, parameters.slots[index], stored.slots[name])
        parameters.set_sums(stored.totals)
    for name, field in _STATE_FIELDS.items():
        setattr(parameters.state, field, stored.counters[name])
    parameters.rests = Rests(stored.architecture, stored.missed, stored.counters["step"])
    return parameters


def _pack(parameters: Parameters, vector: NDArray[Any], layers: Sequence[LayerArrays]) -> None:
    for index, (w, b) in enumerate(layers):
        parameters.pack(vector, index, w, b)
