"""The tiles region: a thread takes a share of the 16 x 16 weight blocks, `dW = A_below^T delta` over the whole batch
each.

The block is updated while its gradient is in L1, so there is no buffer of gradients and no sum over threads: each
block has one owner and one order of summation. A block waits, held, until the product of the next one, in whose
shadow its update runs; then its transpose, which the next step's deltas need, is written.
"""

from __future__ import annotations

import numpy as np

from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Floats, Ints, Reals, inline, kernel
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import add_abs, add_squares, sum_of_rows, transpose
from fastmlp.kernels.micro.product import block_product, narrow_block_product
from fastmlp.kernels.phases.forward import layer_numbers, layer_row, own_scratch
from fastmlp.kernels.vocabulary.arithmetic import one, zero
from fastmlp.kernels.vocabulary.simd import (
    call,
    floats_at,
    flush_denormals,
    offset,
    real_like,
    reals_at,
    restore_denormals,
)


@kernel()
def tiles_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """The share of one thread in the weight blocks of this step: gradients, penalties and the update."""
    control = flush_denormals()
    scratch = own_scratch(weights, plan, thread)
    take_constants(scratch, step)
    before = 0
    for index in range(plan[at.LAYERS]):
        first, last, count = share_of_layer(plan, index, thread)
        if first < last:
            update_blocks(weights, plan, index, first, last, before, scratch)
        before += count
    restore_denormals(control)


@inline
def take_constants(scratch: Reals, step: Floats) -> None:
    """The optimizer's constants of this step; biases do not decay."""
    for i in range(at.CONSTANT_COUNT):
        scratch[at.STEP_CONSTANTS + i] = scratch[at.BIAS_CONSTANTS + i] = step[i]
    scratch[at.BIAS_CONSTANTS + at.DECAY] = 1.0


@inline
def share_of_layer(plan: Ints, index: int, thread: int) -> tuple[int, int, int]:
    """Which blocks of a layer are that thread's, from the first to the last, and how many there are.

    Every layer is cut, where `units` cuts it, so that a thread updates the weights that it reads.
    """
    layer = layer_row(plan, index)
    count = layer[at.UNIT_PANELS] * layer[at.INPUT_PANELS]
    return count * thread // plan[at.THREADS], count * (thread + 1) // plan[at.THREADS], count


@inline
def update_blocks(weights: Reals, plan: Ints, index: int, first: int, last: int, before: int, scratch: Reals) -> None:
    """Gradient and update of the blocks `first` to `last` of one layer."""
    layer = layer_row(plan, index)
    slots = reals_at(plan[at.SLOTS], weights)
    slot_stride = plan[at.SLOT_STRIDE]
    constants = offset(scratch, at.STEP_CONSTANTS)
    gradient, held_gradient = offset(scratch, at.WORK), offset(scratch, at.WORK + BLOCK)
    held, held_rows = layer[at.W] + first * BLOCK, 0
    for block in range(first, last):
        panel, inputs = place_of(layer, block)
        a, delta = operands(weights, plan, index, inputs, panel, 0)
        waiting = (offset(weights, held), offset(slots, held), slot_stride, held_gradient, constants, held_rows)
        used = used_of(layer, inputs, panel)
        if held_rows > 0 and min(used) > PANEL // 2:
            call(plan[at.PRODUCT_UPDATE], (gradient, a, delta, plan[at.ROWS], *waiting))
        else:  # a product of 8 inputs or units takes half as long alone, less than what the shadow would save
            call(plan[at.PRODUCT], (gradient, scratch, a, delta, plan[at.ROWS], *used))
            call(plan[at.UPDATE], waiting)
        if held_rows > 0:
            write_transposed(weights, plan, index, block - 1)
        held, held_rows = layer[at.W] + block * BLOCK, min(PANEL, layer[at.INPUTS] - inputs * PANEL)
        if plan[at.PENALISED] != 0:
            penalise(weights, plan, index, block, before, gradient)
        clip(plan, gradient, BLOCK)
        if inputs == 0 and layer[at.USES_BIAS] != 0:
            update_bias(weights, plan, index, panel, delta, scratch)
        gradient, held_gradient = held_gradient, gradient
    waiting = (offset(weights, held), offset(slots, held), slot_stride, held_gradient, constants, held_rows)
    call(plan[at.UPDATE], waiting)
    write_transposed(weights, plan, index, last - 1)


@kernel()
def product(out: Reals, start: Reals, a: Reals, delta: Reals, rows: int, inputs: int, units: int) -> None:
    """A block of `start + A^T delta`, of which that many inputs and units are used; what else it has is padding."""
    if units > PANEL // 2:
        block_product(out, start, a, delta, rows, inputs)
    else:
        narrow_block_product(out, start, a, delta, rows, inputs)


@inline
def update_here(
    weights: Reals, plan: Ints, place: int, count: int, rows: int, gradient: Reals, constants: Reals
) -> None:
    """Update `rows` rows of the `count` parameters at `place` by this gradient, clipped by value."""
    clip(plan, gradient, count)
    slots = offset(reals_at(plan[at.SLOTS], weights), place)
    call(plan[at.UPDATE], (offset(weights, place), slots, plan[at.SLOT_STRIDE], gradient, constants, rows))


@inline
def place_of(layer: Ints, block: int) -> tuple[int, int]:
    """The panel of units and the panel of inputs that a block of the layer's W stands for."""
    panel = block // layer[at.INPUT_PANELS]
    return panel, block - panel * layer[at.INPUT_PANELS]


@inline
def used_of(layer: Ints, inputs: int, panel: int) -> tuple[int, int]:
    """How many inputs and units there are from a block of W on; where that is less than 16, the rest is padding."""
    return layer[at.INPUTS] - inputs * PANEL, layer[at.UNITS] - panel * PANEL


@inline
def operands(weights: Reals, plan: Ints, index: int, inputs: int, panel: int, row: int) -> tuple[Reals, Reals]:
    """The panel of A below and the panel of delta whose product is a block of dW, from that row on."""
    layer = layer_row(plan, index)
    stride = plan[at.CAPACITY] * PANEL
    a = offset(reals_at(plan[at.ACTIVATIONS], weights), layer[at.BELOW] + inputs * stride + row * PANEL)
    delta = offset(reals_at(plan[at.DELTAS], weights), layer[at.DELTA] + panel * stride + row * PANEL)
    return a, delta


@inline
def write_transposed(weights: Reals, plan: Ints, index: int, block: int) -> None:
    """Bring a block's transpose up to date; the first layer has none, since nobody asks for delta of the input."""
    if index == 0:
        return
    layer = layer_row(plan, index)
    panel, inputs = place_of(layer, block)
    place = layer[at.WT] + (inputs * layer[at.UNIT_PANELS] + panel) * BLOCK
    transpose(offset(reals_at(plan[at.TRANSPOSED], weights), place), offset(weights, layer[at.W] + block * BLOCK))


@inline
def update_bias(weights: Reals, plan: Ints, index: int, panel: int, delta: Reals, scratch: Reals) -> None:
    """`db = sum over the batch of delta`, and the update of 16 biases."""
    place = layer_row(plan, index)[at.B] + panel * PANEL
    gradient = offset(scratch, at.WORK + 2 * BLOCK)
    sum_of_rows(gradient, delta, plan[at.ROWS])
    update_here(weights, plan, place, PANEL, 1, gradient, offset(scratch, at.BIAS_CONSTANTS))


@inline
def clip(plan: Ints, gradient: Reals, count: int) -> None:
    """Bring each element to between minus and plus the limit, where there is one."""
    limit = floats_at(plan[at.NUMBERS])[at.CLIP_VALUE]
    if limit == np.inf:
        return
    most = real_like(limit, gradient)
    for i in range(count):
        g = most if gradient[i] > most else gradient[i]
        gradient[i] = -most if g < -most else g


@inline
def penalise(weights: Reals, plan: Ints, index: int, block: int, before: int, gradient: Reals) -> None:
    """`dW += l1 sign(W) + l2 W`, and the penalty `l1 sum|W| + l2 / 2 sum W^2` of the block before the step."""
    numbers = layer_numbers(plan, index)
    factor = floats_at(plan[at.NUMBERS])[at.PENALTY_FACTOR]
    l1, l2 = numbers[at.L1] * factor, numbers[at.L2] * factor
    penalty = offset(floats_at(plan[at.TILE_PENALTIES]), before + block)
    penalty[0] = 0.0
    w = offset(weights, layer_row(plan, index)[at.W] + block * BLOCK)
    if l1 != 0.0:
        add_abs(w, PANEL, l1, penalty)
    if l2 != 0.0:
        add_squares(w, PANEL, 0.5 * l2, penalty)
    if l1 != 0.0 or l2 != 0.0:
        share_1, share_2 = real_like(l1, w), real_like(l2, w)
        for i in range(BLOCK):
            sign = one(w[i]) if w[i] > zero(w[i]) else (-one(w[i]) if w[i] < zero(w[i]) else w[i])
            gradient[i] += share_1 * sign + share_2 * w[i]
