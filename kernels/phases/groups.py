"""Where rows are grouped: each group's gradients are summed as its chunks of rows go by, and then the groups.

Groups, not threads, decide the order of the sums, so any number of threads gives the same bits.
"""

from __future__ import annotations

from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Floats, Ints, Reals, inline, kernel
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import sum_of_rows
from fastmlp.kernels.phases.blocks import (
    operands,
    penalise,
    place_of,
    share_of_layer,
    take_constants,
    update_here,
    used_of,
    write_transposed,
)
from fastmlp.kernels.phases.forward import layer_row, own_scratch
from fastmlp.kernels.phases.gradients import note_squares
from fastmlp.kernels.vocabulary.simd import call, flush_denormals, offset, reals_at, restore_denormals


@kernel()
def group_products(weights: Reals, plan: Ints, group: int, first: int, rows: int, scratch: Reals) -> None:
    """Add the gradients of a chunk of rows, which lie in the buffers from `first`, to those of their group."""
    gradients = offset(reals_at(plan[at.GROUP_GRADIENTS], weights), group * plan[at.PARAMETERS])
    db = offset(scratch, at.WORK)
    for index in range(plan[at.LAYERS]):
        layer = layer_row(plan, index)
        for block in range(layer[at.UNIT_PANELS] * layer[at.INPUT_PANELS]):
            panel, inputs = place_of(layer, block)
            a, delta = operands(weights, plan, index, inputs, panel, first)
            sums = offset(gradients, layer[at.W] + block * BLOCK)
            used = used_of(layer, inputs, panel)
            call(plan[at.PRODUCT], (sums, sums, a, delta, rows, *used))
            if inputs == 0:
                bias_sums = offset(gradients, layer[at.B] + panel * PANEL)
                sum_of_rows(db, delta, rows)
                for i in range(PANEL):
                    bias_sums[i] += db[i]


@kernel()
def groups_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """The share of one thread in the weight blocks: the sum over the groups, penalties and the update."""
    control = flush_denormals()
    scratch = own_scratch(weights, plan, thread)
    take_constants(scratch, step)
    before = 0
    for index in range(plan[at.LAYERS]):
        first, last, count = share_of_layer(plan, index, thread)
        for block in range(first, last):
            add_groups(weights, plan, index, block, before, scratch)
        before += count
    restore_denormals(control)


@inline
def add_groups(weights: Reals, plan: Ints, index: int, block: int, before: int, scratch: Reals) -> None:
    """Add up what the groups of rows brought, group after group, and update, unless the norm is to be known first."""
    layer = layer_row(plan, index)
    keeps = plan[at.CLIPPING] != 0
    panel, inputs = place_of(layer, block)
    place = layer[at.W] + block * BLOCK
    gradient = offset(reals_at(plan[at.GRADIENT], weights), place) if keeps else offset(scratch, at.WORK)
    sum_of_groups(weights, plan, place, BLOCK, gradient)
    if plan[at.PENALISED] != 0:
        penalise(weights, plan, index, block, before, gradient)
    if not keeps:
        rows = min(PANEL, layer[at.INPUTS] - inputs * PANEL)
        update_here(weights, plan, place, BLOCK, rows, gradient, offset(scratch, at.STEP_CONSTANTS))
        write_transposed(weights, plan, index, block)
    if inputs == 0 and layer[at.USES_BIAS] != 0:
        place = layer[at.B] + panel * PANEL
        db = offset(reals_at(plan[at.GRADIENT], weights), place) if keeps else offset(scratch, at.WORK)
        sum_of_groups(weights, plan, place, PANEL, db)
        if not keeps:
            update_here(weights, plan, place, PANEL, 1, db, offset(scratch, at.BIAS_CONSTANTS))
    if keeps:
        note_squares(weights, plan, index, block, before)


@inline
def sum_of_groups(weights: Reals, plan: Ints, place: int, count: int, out: Reals) -> None:
    """The sum over the groups, in their order, of the `count` gradients at `place`."""
    sums = offset(reals_at(plan[at.GROUP_GRADIENTS], weights), place)
    for i in range(count):
        out[i] = sums[i]
    for group in range(1, plan[at.GROUPS]):
        more = offset(sums, group * plan[at.PARAMETERS])
        for i in range(count):
            out[i] += more[i]
