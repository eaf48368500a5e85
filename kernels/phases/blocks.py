"""By blocks: a thread computes `dW = A_below^T delta` over the whole batch for a share of the 16 x 16 weight blocks.

A block is updated while its gradient is in L1, so there is no buffer of gradients and no sum over threads: each block
has one owner and one order of summation. The update of a block waits for the product of the next block, and is woven
into it where the processor gains by that; then the block's transpose, which the next step's deltas need, is written.
"""

from __future__ import annotations

import numpy as np

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import BIAS_CONSTANTS, BLOCK, CONSTANT_COUNT, DECAY, PANEL, STEP_CONSTANTS, WORK
from fastmlp.kernels.micro.columns import column_products
from fastmlp.kernels.micro.panels import add_abs, add_squares, sum_of_rows
from fastmlp.kernels.micro.product import block_product, narrow_block_product
from fastmlp.kernels.operations.flat import transpose_block
from fastmlp.kernels.phases.forward import scratch_of
from fastmlp.kernels.tables import Layer, Plan
from fastmlp.kernels.vocabulary.arithmetic import one, zero
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals
from fastmlp.kernels.vocabulary.pointers import call, exists, offset, real_like


@kernel()
def blocks_region(plan: Plan, step: Floats, thread: int) -> None:
    """Compute the gradients and penalties of one thread's share of the weight blocks, and update them."""
    control = flush_denormals()
    scratch = scratch_of(plan, thread)
    before = 0
    for index in range(plan.layer_count):
        first, last, count = share_of_blocks(plan, index, thread)
        if first < last and plan.layers[index].trains != 0:
            load_constants(scratch, plan.layers[index], step)
            update_blocks(plan, index, first, last, before, scratch)
        before += count
    restore_denormals(control)


@inline
def load_constants(scratch: Reals, layer: Layer, step: Floats) -> None:
    """Copy a layer's constants of this step into the scratch, for W and for b. Only a matrix W decays."""
    constants = offset(step, layer.constants)
    for i in range(CONSTANT_COUNT):
        scratch[STEP_CONSTANTS + i] = scratch[BIAS_CONSTANTS + i] = constants[i]
    scratch[BIAS_CONSTANTS + DECAY] = 1.0
    if exists(layer.columns):
        scratch[STEP_CONSTANTS + DECAY] = 1.0


@inline
def share_of_blocks(plan: Plan, index: int, thread: int) -> tuple[int, int, int]:
    """Return where one thread's share of a layer's blocks begins and ends, and how many blocks the layer has.

    Every layer is divided as `units` divides it, so that a thread updates the weights that it reads.
    """
    layer = plan.layers[index]
    count = layer.unit_panels * layer.w_panels
    return count * thread // plan.threads, count * (thread + 1) // plan.threads, count


@inline
def update_blocks(plan: Plan, index: int, first: int, last: int, before: int, scratch: Reals) -> None:
    """Compute the gradients of the blocks from `first` to `last` of one layer, and update them.

    `before` is the number of blocks of the layers below. The waiting block is the one whose gradient is known and whose
    update is not yet done; at first there is none, so 0 of its rows are updated.
    """
    layer = plan.layers[index]
    stride, constants = plan.parameter_count, offset(scratch, STEP_CONSTANTS)
    gradient, waiting_gradient = offset(scratch, WORK), offset(scratch, WORK + BLOCK)
    waiting, waiting_rows = layer.w + first * BLOCK, 0
    for block in range(first, last):
        panel, w_panel = panels_of_block(layer, block)
        a, delta = operands(plan, index, w_panel, panel, 0)
        w, slots = offset(plan.weights, waiting), offset(plan.slots, waiting)
        update = (w, slots, stride, waiting_gradient, constants, waiting_rows)
        used = extent_of_block(layer, w_panel, panel)
        if exists(plan.product_update) and waiting_rows > 0 and min(used) > PANEL // 2:
            call(plan.product_update, (gradient, a, delta, plan.rows, *update))
        else:  # a product of 8 inputs or units takes half as long alone, less than what weaving would save
            add_gradient(plan, index, block, gradient, scratch, 0, plan.rows)
            call(plan.update, update)
        if waiting_rows > 0:
            write_transposed(plan, index, block - 1)
        waiting, waiting_rows = layer.w + block * BLOCK, min(PANEL, used[0])
        if plan.penalised != 0:
            penalise(plan, index, block, before, gradient)
        clip(plan, gradient, BLOCK)
        if w_panel == 0 and layer.uses_bias != 0:
            update_bias(plan, index, panel, delta, scratch)
        gradient, waiting_gradient = waiting_gradient, gradient
    w, slots = offset(plan.weights, waiting), offset(plan.slots, waiting)
    call(plan.update, (w, slots, stride, waiting_gradient, constants, waiting_rows))
    write_transposed(plan, index, last - 1)


@kernel()
def product(out: Reals, start: Reals, a: Reals, delta: Reals, rows: int, inputs: int, units: int) -> None:
    """Compute a block of `start + A^T delta`; rows from `inputs` and columns from `units` on are padding."""
    if units > PANEL // 2:
        block_product(out, start, a, delta, rows, inputs)
    else:
        narrow_block_product(out, start, a, delta, rows, inputs)


@inline
def add_products(
    plan: Plan, out: Reals, start: Reals, a: Reals, delta: Reals, rows: int, inputs: int, units: int
) -> None:
    """Compute `product`, some rows at a time, so that those of both panels stay in L1 for all tiles of the block."""
    for first in range(0, max(rows, 1), plan.product_rows):
        place, count = first * PANEL, min(plan.product_rows, rows - first)
        call(plan.product, (out, start, offset(a, place), offset(delta, place), count, inputs, units))
        start = out


@inline
def update_parameters(plan: Plan, place: int, count: int, rows: int, gradient: Reals, constants: Reals) -> None:
    """Update `rows` rows of the `count` parameters at `place` by their gradient, which is clipped by value first."""
    clip(plan, gradient, count)
    w, slots = offset(plan.weights, place), offset(plan.slots, place)
    call(plan.update, (w, slots, plan.parameter_count, gradient, constants, rows))


@inline
def add_gradient(plan: Plan, index: int, block: int, out: Reals, start: Reals, first: int, rows: int) -> None:
    """Compute a block of `start + dW`, where dW is the sum over some rows, which begin at `first` in the buffers.

    Only the rows of W are computed: in a layer of columns one, and the rest of the block stays as it is.
    """
    layer = plan.layers[index]
    panel, w_panel = panels_of_block(layer, block)
    a, delta = operands(plan, index, w_panel, panel, first)
    if exists(layer.columns):
        column_products(out, start, a, delta, rows)
    else:
        add_products(plan, out, start, a, delta, rows, *extent_of_block(layer, w_panel, panel))


@inline
def panels_of_block(layer: Layer, block: int) -> tuple[int, int]:
    """Return the panel of units and the panel of rows of a block of the layer's W."""
    panel = block // layer.w_panels
    return panel, block - panel * layer.w_panels


@inline
def extent_of_block(layer: Layer, w_panel: int, panel: int) -> tuple[int, int]:
    """Return the number of rows and units of W from a block on; below 16, the rest of the block is padding."""
    return layer.w_rows - w_panel * PANEL, layer.units - panel * PANEL


@inline
def rows_of_block(layer: Layer, block: int) -> int:
    """Return how many rows of a block are rows of W; the others are padding."""
    return min(PANEL, layer.w_rows - block % layer.w_panels * PANEL)


@inline
def operands(plan: Plan, index: int, w_panel: int, panel: int, row: int) -> tuple[Reals, Reals]:
    """Return the panels of what W is multiplied by and of delta that give a block of dW, from a row on."""
    layer = plan.layers[index]
    stride = plan.capacity * PANEL
    a = offset(layer.factor, (panel if exists(layer.columns) else w_panel) * stride + row * PANEL)
    return a, offset(layer.delta, panel * stride + row * PANEL)


@inline
def write_transposed(plan: Plan, index: int, block: int) -> None:
    """Write the transpose of a block after its update. The first layer's is not read by a step, and so not written."""
    if index > 0:
        transpose_block(plan.layers[index], plan.weights, block)


@inline
def update_bias(plan: Plan, index: int, panel: int, delta: Reals, scratch: Reals) -> None:
    """Compute `db = sum over the batch of delta` for one panel, and update its 16 biases."""
    place = plan.layers[index].b + panel * PANEL
    gradient = offset(scratch, WORK + 2 * BLOCK)
    sum_of_rows(gradient, delta, plan.rows)
    update_parameters(plan, place, PANEL, 1, gradient, offset(scratch, BIAS_CONSTANTS))


@inline
def clip(plan: Plan, gradient: Reals, count: int) -> None:
    """Clip each element of a gradient to [-clip_value, clip_value], if there is a limit."""
    if plan.clip_value == np.inf:
        return
    limit = real_like(plan.clip_value, gradient)
    for i in range(count):
        g = limit if gradient[i] > limit else gradient[i]
        gradient[i] = -limit if g < -limit else g


@inline
def penalise(plan: Plan, index: int, block: int, before: int, gradient: Reals) -> None:
    """Add `l1 sign(W) + l2 W` to dW, and store the block's penalty `l1 sum|W| + l2 / 2 sum W^2` before the step."""
    layer = plan.layers[index]
    l1, l2 = layer.l1 * plan.penalty_factor, layer.l2 * plan.penalty_factor
    penalty = offset(plan.block_penalties, before + block)
    penalty[0] = 0.0
    w = offset(plan.weights, layer.w + block * BLOCK)
    if l1 != 0.0:
        add_abs(w, PANEL, l1, penalty)
    if l2 != 0.0:
        add_squares(w, PANEL, 0.5 * l2, penalty)
    if l1 != 0.0 or l2 != 0.0:
        real_l1, real_l2 = real_like(l1, w), real_like(l2, w)
        for i in range(BLOCK):
            sign = one(w[i]) if w[i] > zero(w[i]) else (-one(w[i]) if w[i] < zero(w[i]) else w[i])
            gradient[i] += real_l1 * sign + real_l2 * w[i]
