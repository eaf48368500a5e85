"""The phases of a training step, or of a part of one, and the blocking of the rows of a batch.

Every sequence of phases gives the same bits, with one exception: if rows are grouped, the gradient of each group is
summed separately. Therefore the network and the size of the batch decide about groups, and never the number of threads.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from fastmlp._engine.parameters import panels
from fastmlp.architecture import Architecture
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.phases.blocks import blocks_region
from fastmlp.kernels.phases.epoch import check_region, snapshot_region
from fastmlp.kernels.phases.gradients import gradients_region, squares_region, update_region
from fastmlp.kernels.phases.groups import groups_region, sum_groups_region
from fastmlp.kernels.phases.inputs import input_deltas_region, transposes_region
from fastmlp.kernels.phases.rows import rows_region
from fastmlp.kernels.phases.units import delta_region, forward_region, inputs_region
from fastmlp.kernels.tables import (
    BEGIN_EPOCH,
    CHOOSE_FACTOR,
    CONTINUE,
    END_CALL,
    END_EPOCH,
    END_STEP,
    TAKE_LOSSES,
)

CACHE_BYTES = 1 << 20  # of a core's own cache
CHUNK_ROWS = 256  # the maximum number of rows that pass through all layers together
GROUP_ROWS, MAX_GROUPS = 512, 32  # the minimum rows of a group; in 32 groups of 312 rows 4-32-16-4 takes 1.3 % longer
GROUP_BYTES = 2 << 20  # gradients of all groups: to sum 32 groups of 64-5x64, 3.2 MB, takes 0.3 ms of 21
HEAVY_BLOCKS = 64  # a layer of at least so many blocks is computed by units on several threads


Program = Literal["step", "gradient", "forward", "backward", "input_gradient", "update"]
"""What a call of the drivers computes.

"step" is a whole step. "gradient" is a step without its update, and "update" is the update by a gradient that is known.
"forward" writes the activations of the last layer; "backward" computes the gradient from them and dJ/dA, and
"input_gradient" dJ/dX as well.
"""


class StepPhase(NamedTuple):
    """A phase: its region, the layer that it computes or begins with, and what is done once after it."""

    region: Kernel
    layer: int = 0
    then: int = CONTINUE


class RowBlocking(NamedTuple):
    """The blocking of the rows of a batch: the number of groups, 0 for none, and the rows of a chunk."""

    groups: int
    chunk_rows: int


def row_blocking(architecture: Architecture, rows: int) -> RowBlocking:
    """Return the blocking of a batch: groups if its activations do not fit into caches and the weights are few."""
    if rows < 4 * GROUP_ROWS:
        return RowBlocking(0, CHUNK_ROWS)
    itemsize = architecture.dtype.itemsize
    units = sum(_padded(layer.units) for layer in architecture.layers)
    row_bytes = (_padded(architecture.inputs) + 2 * units) * itemsize
    weights = sum(_padded(layer.rows) * _padded(layer.units) for layer in architecture.layers)
    if rows * row_bytes < 2 * CACHE_BYTES or weights * itemsize > CACHE_BYTES // 2:
        return RowBlocking(0, CHUNK_ROWS)
    groups = 1 << (min(MAX_GROUPS, rows // GROUP_ROWS, GROUP_BYTES // (weights * itemsize))).bit_length() - 1
    max_rows = min(CHUNK_ROWS, max(CACHE_BYTES // 2 // row_bytes, PANEL))
    group_rows = -(-rows // groups)
    chunks = -(-group_rows // max_rows)
    return RowBlocking(groups, _padded(-(-group_rows // chunks)))


def phases_of(program: Program, architecture: Architecture, threads: int, grouped: bool = False) -> list[StepPhase]:
    """Return the phases before and after an epoch, then the phases of a program.

    Parameters
    ----------
    program : Program
        What to compute.
    architecture : Architecture
        The network.
    threads : int
        The number of shares into which a phase is divided.
    grouped : bool
        Whether the rows of the batch are grouped.
    """
    clips_norm = architecture.clips_norm
    by_units = 0 if threads == 1 or grouped else _layers_by_units(architecture)
    phases = [StepPhase(snapshot_region, then=BEGIN_EPOCH), StepPhase(check_region, then=END_EPOCH)]
    if program == "update":
        if clips_norm:
            phases.append(StepPhase(squares_region, then=CHOOSE_FACTOR))
        return [*phases, StepPhase(update_region, then=END_STEP)]
    if program in ("step", "gradient", "forward"):
        if by_units:
            phases.append(StepPhase(inputs_region))
        phases += [StepPhase(forward_region, index) for index in range(by_units)]
    then = {"step": TAKE_LOSSES, "forward": END_CALL}.get(program, CONTINUE)
    phases.append(StepPhase(rows_region, by_units, then))
    if program == "forward":
        return phases
    lowest = 0 if program == "input_gradient" else architecture.lowest_trained
    phases += [StepPhase(delta_region, index) for index in range(by_units - 1, lowest, -1)]
    if program == "step" and not clips_norm:
        return [*phases, StepPhase(groups_region if grouped else blocks_region, then=END_STEP)]
    gradient = sum_groups_region if grouped else gradients_region
    if program == "step":
        return [*phases, StepPhase(gradient, then=CHOOSE_FACTOR), StepPhase(update_region, then=END_STEP)]
    if program == "input_gradient":
        phases += [StepPhase(gradient), StepPhase(transposes_region)]
        return [*phases, StepPhase(input_deltas_region, then=END_CALL)]
    return [*phases, StepPhase(gradient, then=END_CALL)]


def _layers_by_units(architecture: Architecture) -> int:
    """Return how many layers are computed by units: all up to the last layer with many blocks."""
    count = 0
    for index, layer in enumerate(architecture.layers):
        if layer.mixes_columns:
            break
        if panels(layer.rows) * panels(layer.units) >= HEAVY_BLOCKS:
            count = index + 1
    return count


def _padded(count: int) -> int:
    return panels(count) * PANEL
