"""Gradients that are stored whole: for a caller that requests or gives them, or for a step that clips their norm."""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import BIAS_CONSTANTS, BLOCK, PANEL, STEP_CONSTANTS, WORK
from fastmlp.kernels.micro.panels import add_squares, sum_of_rows
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
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals
from fastmlp.kernels.vocabulary.pointers import offset, real_like


@kernel()
def gradients_region(plan: Plan, step: Floats, thread: int) -> None:
    """Compute the gradients and penalties of one thread's share of the weight blocks. Update nothing."""
    control = flush_denormals()
    scratch = scratch_of(plan, thread)
    before = 0
    for index in range(plan.layer_count):
        first, last, count = share_of_blocks(plan, index, thread)
        for block in range(first, last if plan.layers[index].trains != 0 else first):
            write_gradient(plan, index, block, before, scratch)
        before += count
    restore_denormals(control)


@kernel()
def squares_region(plan: Plan, step: Floats, thread: int) -> None:
    """Store the sums of the squares of one thread's share of the gradient buffer, block by block."""
    before = 0
    for index in range(plan.layer_count):
        first, last, count = share_of_blocks(plan, index, thread)
        for block in range(first, last if plan.layers[index].trains != 0 else first):
            store_squares(plan, index, block, before)
        before += count


@kernel()
def update_region(plan: Plan, step: Floats, thread: int) -> None:
    """Update one thread's share of the weight blocks by the gradient buffer, whose norm is known."""
    control = flush_denormals()
    scratch = scratch_of(plan, thread)
    for index in range(plan.layer_count):
        first, last, _ = share_of_blocks(plan, index, thread)
        if plan.layers[index].trains == 0:
            continue
        load_constants(scratch, plan.layers[index], step)
        for block in range(first, last):
            update_scaled(plan, index, block, scratch)
    restore_denormals(control)


@inline
def write_gradient(plan: Plan, index: int, block: int, before: int, scratch: Reals) -> None:
    """Write or add a block's gradient to the gradient buffer, and beside the first of a panel the biases' gradient."""
    layer = plan.layers[index]
    panel, w_panel = panels_of_block(layer, block)
    sums = offset(plan.gradient, layer.w + block * BLOCK)
    start = sums if plan.accumulates != 0 else scratch
    add_gradient(plan, index, block, sums, start, 0, plan.rows)
    if plan.penalised != 0:
        penalise(plan, index, block, before, sums)
    if w_panel == 0:
        _, delta = operands(plan, index, w_panel, panel, 0)
        db, bias_sums = offset(scratch, WORK), offset(plan.gradient, layer.b + panel * PANEL)
        sum_of_rows(db, delta, plan.rows)
        for i in range(PANEL):
            bias_sums[i] = db[i] + (bias_sums[i] if plan.accumulates != 0 else 0.0)
    if plan.clips_norm != 0:
        store_squares(plan, index, block, before)


@inline
def store_squares(plan: Plan, index: int, block: int, before: int) -> None:
    """Store the sum of the squares of a block's gradient, which for the first block of a panel includes the biases'."""
    layer = plan.layers[index]
    panel, w_panel = panels_of_block(layer, block)
    total = offset(plan.block_squares, before + block)
    total[0] = 0.0
    add_squares(offset(plan.gradient, layer.w + block * BLOCK), rows_of_block(layer, block), 1.0, total)
    if w_panel == 0 and layer.uses_bias != 0:
        add_squares(offset(plan.gradient, layer.b + panel * PANEL), 1, 1.0, total)


@inline
def update_scaled(plan: Plan, index: int, block: int, scratch: Reals) -> None:
    """Update one block, and the biases beside the first of a panel, by their gradient times this step's factor."""
    layer = plan.layers[index]
    panel, w_panel = panels_of_block(layer, block)
    rows = rows_of_block(layer, block)
    update_by_buffer(plan, layer.w + block * BLOCK, BLOCK, rows, offset(scratch, STEP_CONSTANTS))
    write_transposed(plan, index, block)
    if w_panel == 0 and layer.uses_bias != 0:
        update_by_buffer(plan, layer.b + panel * PANEL, PANEL, 1, offset(scratch, BIAS_CONSTANTS))


@inline
def update_by_buffer(plan: Plan, place: int, count: int, rows: int, constants: Reals) -> None:
    """Update `rows` rows of the `count` parameters at `place` by the gradient buffer times the clip factor."""
    gradient = offset(plan.gradient, place)
    factor = real_like(plan.clip_factor, gradient)
    for i in range(count):
        gradient[i] *= factor
    update_parameters(plan, place, count, rows, gradient, constants)
