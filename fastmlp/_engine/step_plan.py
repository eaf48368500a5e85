"""The program of a training step: which phases it has, and how its rows are cut.

Every way leads to the same bits but one: where rows are grouped, each group's gradient is summed on its own. So that is
decided by the network and the size of the batch alone, never by threads.
"""

from __future__ import annotations

from typing import NamedTuple

from fastmlp._engine.parameters import panels
from fastmlp.architecture import Architecture
from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.phases.blocks import tiles_region
from fastmlp.kernels.phases.epoch import check_region, keep_region
from fastmlp.kernels.phases.gradients import gradients_region, update_region
from fastmlp.kernels.phases.groups import groups_region
from fastmlp.kernels.phases.rows import rows_region
from fastmlp.kernels.phases.units import delta_region, forward_region, inputs_region

CACHE_BYTES = 1 << 20  # of a core of its own
CHUNK = 256  # rows that go through all layers together, at most
GROUP_ROWS, MOST_GROUPS = 512, 32  # at least and at most; in 32 groups of 312 rows 4-32-16-4 takes 1.3 % longer
GROUP_BYTES = 2 << 20  # of the gradients of all groups: to add up 32 groups of 64-5x64, 3.2 MB, takes 0.3 ms of 21
HEAVY_BLOCKS = 64  # of weights: from here on a layer is done by units where there are several threads


class Phase(NamedTuple):
    """A region, the layer that it is about or begins with, and what is done once it is over."""

    region: Kernel
    layer: int = 0
    then: int = at.GO_ON


class RowBlocking(NamedTuple):
    """How the rows of a batch are cut: into groups, if not 0, and rows that go through all layers together."""

    groups: int
    chunk: int


def row_blocking(architecture: Architecture, rows: int) -> RowBlocking:
    """Groups where what a batch makes of the layers fills more than caches hold, and the weights are few."""
    if rows < 4 * GROUP_ROWS:
        return RowBlocking(0, CHUNK)
    item = architecture.dtype.itemsize
    units = sum(_padded(layer.units) for layer in architecture.layers)
    row_bytes = (_padded(architecture.inputs) + 2 * units) * item
    weights = sum(_padded(layer.inputs) * _padded(layer.units) for layer in architecture.layers)
    if rows * row_bytes < 2 * CACHE_BYTES or weights * item > CACHE_BYTES // 2:
        return RowBlocking(0, CHUNK)
    groups = 1 << (min(MOST_GROUPS, rows // GROUP_ROWS, GROUP_BYTES // (weights * item))).bit_length() - 1
    most = min(CHUNK, max(CACHE_BYTES // 2 // row_bytes, PANEL))
    group_rows = -(-rows // groups)
    chunks = -(-group_rows // most)
    return RowBlocking(groups, _padded(-(-group_rows // chunks)))


def program(architecture: Architecture, threads: int, grouped: bool) -> list[Phase]:
    """What an epoch begins and ends with, then the phases of a step."""
    clipping = architecture.optimizer.global_clipnorm is not None
    heavy = 0 if threads == 1 or grouped else _layers_by_units(architecture)
    phases = [Phase(keep_region, then=at.BEGIN_EPOCH), Phase(check_region, then=at.END_EPOCH)]
    if heavy:
        phases.append(Phase(inputs_region))
    phases += [Phase(forward_region, index) for index in range(heavy)]
    phases.append(Phase(rows_region, heavy, at.TAKE_LOSSES))
    phases += [Phase(delta_region, index) for index in range(heavy - 1, 0, -1)]
    if clipping:
        phases += [Phase(groups_region if grouped else gradients_region, then=at.CHOOSE_FACTOR)]
        phases += [Phase(update_region, then=at.END_STEP)]
    else:
        phases += [Phase(groups_region if grouped else tiles_region, then=at.END_STEP)]
    return phases


def _layers_by_units(architecture: Architecture) -> int:
    """How many layers, from the first on, are done by units: up to the last one that is heavy."""
    found = 0
    for index, layer in enumerate(architecture.layers):
        if layer.activation.mixes_units:
            break
        if panels(layer.inputs) * panels(layer.units) >= HEAVY_BLOCKS:
            found = index + 1
    return found


def _padded(count: int) -> int:
    return panels(count) * PANEL
