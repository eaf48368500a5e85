"""By groups of rows: each group sums the gradients of its chunks of rows, then the groups are added.

Groups, not threads, decide the order of the sums, so any number of threads gives the same bits.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import BIAS_CONSTANTS, BLOCK, PANEL, STEP_CONSTANTS, WORK
from fastmlp.kernels.micro.panels import sum_of_rows
from fastmlp.kernels.phases.blocks import (
    add_gradient,
    load_constants,
    operands,
    panels_of_block,
    penalise,
    rows_of_block,
    share_of_blocks,
    update_parameters,
    write_transposed,
)
from fastmlp.kernels.phases.forward import scratch_of
from fastmlp.kernels.phases.gradients import store_squares
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals
from fastmlp.kernels.vocabulary.pointers import offset


@kernel()
def group_products(plan: Plan, group: int, first: int, rows: int, scratch: Reals) -> None:
    """Add the gradients of a chunk of rows, which begin at `first` in the buffers, to the sums of its group."""
    gradients = offset(plan.group_gradients, group * plan.parameter_count)
    db = offset(scratch, WORK)
    for index in range(plan.layer_count):
        layer = plan.layers[index]
        for block in range(layer.unit_panels * layer.w_panels if layer.trains != 0 else 0):
            panel, w_panel = panels_of_block(layer, block)
            sums = offset(gradients, layer.w + block * BLOCK)
            add_gradient(plan, index, block, sums, sums, first, rows)
            if w_panel == 0:
                _, delta = operands(plan, index, w_panel, panel, first)
                bias_sums = offset(gradients, layer.b + panel * PANEL)
                sum_of_rows(db, delta, rows)
                for i in range(PANEL):
                    bias_sums[i] += db[i]


@kernel()
def groups_region(plan: Plan, step: Floats, thread: int) -> None:
    """Sum the groups' gradients of one thread's share of the weight blocks, add penalties, and update."""
    add_groups_of_share(plan, step, thread, False)


@kernel()
def sum_groups_region(plan: Plan, step: Floats, thread: int) -> None:
    """Sum the groups' gradients of one thread's share of the weight blocks, add penalties, and update nothing."""
    add_groups_of_share(plan, step, thread, True)


@inline
def add_groups_of_share(plan: Plan, step: Floats, thread: int, stores_gradient: bool) -> None:
    """Sum the groups' gradients of one thread's share of the blocks, and store the sums or update the blocks."""
    control = flush_denormals()
    scratch, before = scratch_of(plan, thread), 0
    for index in range(plan.layer_count):
        first, last, count = share_of_blocks(plan, index, thread)
        if not stores_gradient:
            load_constants(scratch, plan.layers[index], step)
        for block in range(first, last if plan.layers[index].trains != 0 else first):
            add_groups(plan, index, block, before, scratch, stores_gradient)
        before += count
    restore_denormals(control)


@inline
def add_groups(plan: Plan, index: int, block: int, before: int, scratch: Reals, stores_gradient: bool) -> None:
    """Sum a block's gradients over the groups, and store the sum in the gradient buffer or update the block by it."""
    layer = plan.layers[index]
    panel, w_panel = panels_of_block(layer, block)
    place = layer.w + block * BLOCK
    gradient = offset(plan.gradient, place) if stores_gradient else offset(scratch, WORK)
    sum_of_groups(plan, place, BLOCK, gradient)
    if plan.penalised != 0:
        penalise(plan, index, block, before, gradient)
    if not stores_gradient:
        rows = rows_of_block(layer, block)
        update_parameters(plan, place, BLOCK, rows, gradient, offset(scratch, STEP_CONSTANTS))
        write_transposed(plan, index, block)
    if w_panel == 0 and layer.uses_bias != 0:
        place = layer.b + panel * PANEL
        db = offset(plan.gradient, place) if stores_gradient else offset(scratch, WORK)
        sum_of_groups(plan, place, PANEL, db)
        if not stores_gradient:
            update_parameters(plan, place, PANEL, 1, db, offset(scratch, BIAS_CONSTANTS))
    if plan.clips_norm != 0:
        store_squares(plan, index, block, before)


@inline
def sum_of_groups(plan: Plan, place: int, count: int, out: Reals) -> None:
    """Compute `out`, the sum over the groups, in their order, of the `count` gradients at `place`."""
    sums = offset(plan.group_gradients, place)
    for i in range(count):
        out[i] = sums[i]
    for group in range(1, plan.groups):
        group_sums = offset(sums, group * plan.parameter_count)
        for i in range(count):
            out[i] += group_sums[i]
