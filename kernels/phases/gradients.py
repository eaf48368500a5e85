"""Gradients for those who want them whole: a user who asks, or a step that clips their norm before it updates."""

from __future__ import annotations

from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Floats, Ints, Reals, inline, kernel
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import add_squares, sum_of_rows
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
def gradients_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """The share of one thread in the weight blocks: gradients and penalties; nothing is updated."""
    control = flush_denormals()
    scratch = own_scratch(weights, plan, thread)
    before = 0
    for index in range(plan[at.LAYERS]):
        first, last, count = share_of_layer(plan, index, thread)
        for block in range(first, last):
            write_gradient(weights, plan, index, block, before, scratch)
        before += count
    restore_denormals(control)


@kernel()
def update_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """The same share, updated by what stands in the gradient buffer, now that its norm is known."""
    control = flush_denormals()
    scratch = own_scratch(weights, plan, thread)
    take_constants(scratch, step)
    for index in range(plan[at.LAYERS]):
        first, last, _ = share_of_layer(plan, index, thread)
        for block in range(first, last):
            update_scaled(weights, plan, index, block, scratch)
    restore_denormals(control)


@inline
def write_gradient(weights: Reals, plan: Ints, index: int, block: int, before: int, scratch: Reals) -> None:
    """Write a block's gradient of these rows to the gradient buffer, or add it there, and the biases' beside it."""
    layer = layer_row(plan, index)
    buffer = reals_at(plan[at.GRADIENT], weights)
    panel, inputs = place_of(layer, block)
    a, delta = operands(weights, plan, index, inputs, panel, 0)
    sums = offset(buffer, layer[at.W] + block * BLOCK)
    start = sums if plan[at.ADDING] != 0 else scratch
    used = used_of(layer, inputs, panel)
    call(plan[at.PRODUCT], (sums, start, a, delta, plan[at.ROWS], *used))
    if plan[at.PENALISED] != 0:
        penalise(weights, plan, index, block, before, sums)
    if inputs == 0:
        bias_gradient = offset(scratch, at.WORK)
        bias_sums = offset(buffer, layer[at.B] + panel * PANEL)
        sum_of_rows(bias_gradient, delta, plan[at.ROWS])
        for i in range(PANEL):
            bias_sums[i] = bias_gradient[i] + (bias_sums[i] if plan[at.ADDING] != 0 else 0.0)
    if plan[at.CLIPPING] != 0:
        note_squares(weights, plan, index, block, before)


@inline
def note_squares(weights: Reals, plan: Ints, index: int, block: int, before: int) -> None:
    """The sum of the squares of a block's gradient, and of the biases' beside the first of a panel."""
    layer = layer_row(plan, index)
    panel, inputs = place_of(layer, block)
    buffer = reals_at(plan[at.GRADIENT], weights)
    total = offset(floats_at(plan[at.TILE_SQUARES]), before + block)
    total[0] = 0.0
    rows = min(PANEL, layer[at.INPUTS] - inputs * PANEL)  # the rest comes of padding
    add_squares(offset(buffer, layer[at.W] + block * BLOCK), rows, 1.0, total)
    if inputs == 0 and layer[at.USES_BIAS] != 0:
        add_squares(offset(buffer, layer[at.B] + panel * PANEL), 1, 1.0, total)


@inline
def update_scaled(weights: Reals, plan: Ints, index: int, block: int, scratch: Reals) -> None:
    """Update one block, and the biases beside the first of a panel, by their gradient times this step's factor."""
    layer = layer_row(plan, index)
    panel, inputs = place_of(layer, block)
    place = layer[at.W] + block * BLOCK
    rows = min(PANEL, layer[at.INPUTS] - inputs * PANEL)
    update_by_buffer(weights, plan, place, BLOCK, rows, offset(scratch, at.STEP_CONSTANTS))
    write_transposed(weights, plan, index, block)
    if inputs == 0 and layer[at.USES_BIAS] != 0:
        place = layer[at.B] + panel * PANEL
        update_by_buffer(weights, plan, place, PANEL, 1, offset(scratch, at.BIAS_CONSTANTS))


@inline
def update_by_buffer(weights: Reals, plan: Ints, place: int, count: int, rows: int, constants: Reals) -> None:
    """Update `rows` rows of the `count` parameters at `place` by what the gradient buffer holds for them."""
    gradient = offset(reals_at(plan[at.GRADIENT], weights), place)
    factor = real_like(floats_at(plan[at.NUMBERS])[at.CLIP_FACTOR], weights)
    for i in range(count):
        gradient[i] *= factor
    update_here(weights, plan, place, count, rows, gradient, constants)
