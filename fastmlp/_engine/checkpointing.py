"""The memory of a network as a checkpoint, and a checkpoint as the memory of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from fastmlp._engine.parameters import Parameters
from fastmlp._io.checkpoint import Checkpoint, LayerArrays
from fastmlp._io.description import COUNTERS

_RENAMED = {"rows": "epoch_rows", "batch_size": "epoch_batch_size", "mark": "epoch_fingerprint"}
_STATE_FIELDS = {name: _RENAMED.get(name, name) for name in COUNTERS}
"""The field of `fastmlp.kernels.tables.State` of each counter of a file; most have the same name."""


def to_checkpoint(
    parameters: Parameters, *, optimizer: bool, table: str | None = None, best: tuple[str, float] | None = None
) -> Checkpoint:
    """Return copies of all that a model file holds, without the optimizer's state unless `optimizer`.

    Raises
    ------
    MemoryError
        If there is no room for the copies.
    """
    slots, totals = None, None
    if optimizer:
        names = parameters.architecture.optimizer.slots
        slots = {name: parameters.unpack(parameters.slots[index]) for index, name in enumerate(names)}
        totals = parameters.sums()
    return Checkpoint(
        architecture=parameters.architecture,
        counters={name: getattr(parameters.state, field) for name, field in _STATE_FIELDS.items()},
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
        If there is no room for it.
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
    return parameters


def _pack(parameters: Parameters, vector: NDArray[Any], layers: Sequence[LayerArrays]) -> None:
    for index, (w, b) in enumerate(layers):
        parameters.pack(vector, index, w, b)
