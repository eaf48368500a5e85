"""The rows region: a thread takes a share of the batch's rows through gather, every forward layer, the loss, every
delta.

Nothing is shared between threads, so the rows stay in the cache of one core, and the bits do not depend on who did
them. The delta recursion is `delta[l] = ((delta[l+1] @ W[l+1]^T) o D[l]) o g'(Z[l])`.
"""

from __future__ import annotations

import math

from fastmlp.kernels import layout as at
from fastmlp.kernels._jit import Floats, Ints, Reals, inline, kernel
from fastmlp.kernels.forward import (
    forward_layer,
    gather_inputs,
    layer_numbers,
    layer_row,
    own_scratch,
    product_of_columns,
    share,
    target_number,
)
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.panels import panels_to_row, row_to_panels
from fastmlp.kernels.random import DROPOUT_DRAW, key, uniform
from fastmlp.kernels.simd import (
    call,
    floats_at,
    flush_denormals,
    ints_at,
    real_like,
    reals_at,
    restore_denormals,
    shift,
)

CHUNK = 256  # rows that go through all layers together, so that their activations stay in L2


@kernel()
def rows_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """The share of one thread in the rows of this step: activations, deltas and the loss of each row."""
    control = flush_denormals()
    first, last = share(plan[at.ROWS], thread, plan[at.THREADS])
    work = shift(own_scratch(weights, plan, thread), at.WORK)
    zeros = own_scratch(weights, plan, thread)
    for start in range(first, last, CHUNK):
        count = min(CHUNK, last - start)
        gather_inputs(weights, plan, plan[at.POSITION] + start, start, count)
        gather_targets(weights, plan, plan[at.POSITION] + start, start, count)
        for index in range(plan[at.LAYERS]):
            forward_layer(weights, plan, index, start, count, work)
            drop_out(weights, plan, index, start, count)
        loss_and_last_delta(weights, plan, start, count, work)
        if plan[at.BACKWARD] != 0:
            for index in range(plan[at.LAYERS] - 1, 0, -1):
                delta_below(weights, plan, index, start, count, zeros, work)
    restore_denormals(control)


@inline
def gather_targets(weights: Reals, plan: Ints, position: int, first: int, rows: int) -> None:
    """Targets into panels, a class label as a row with a single 1, and the weights of the rows."""
    stride = plan[at.CAPACITY] * PANEL
    last = layer_row(plan, plan[at.LAYERS] - 1)
    panels = shift(reals_at(plan[at.TARGETS], weights), first * PANEL)
    y = reals_at(plan[at.Y], weights)
    labels = ints_at(plan[at.LABELS])
    sample_weights = floats_at(plan[at.SAMPLE_WEIGHTS])
    row_weights = shift(floats_at(plan[at.ROW_WEIGHTS]), first)
    for r in range(rows):
        row = target_number(plan, position + r)
        if plan[at.LABELS] != 0:
            for panel in range(last[at.UNIT_PANELS]):
                for i in range(PANEL):
                    panels[panel * stride + r * PANEL + i] = 0.0
            panels[labels[row] // PANEL * stride + r * PANEL + labels[row] % PANEL] = 1.0
        else:
            row_to_panels(shift(panels, r * PANEL), shift(y, row * plan[at.Y_STRIDE]), last[at.UNITS], stride)
        if plan[at.SAMPLE_WEIGHTS] != 0:
            row_weights[r] = sample_weights[row]
        else:
            row_weights[r] = 1.0


@inline
def drop_out(weights: Reals, plan: Ints, index: int, first: int, rows: int) -> None:
    """`A = D o g(Z)`, where the layer has dropout: D is drawn for (step, layer) at (place in the batch, unit)."""
    layer = layer_row(plan, index)
    if layer[at.MASK] < 0:
        return
    state = ints_at(plan[at.STATE])
    share = layer_numbers(plan, index)[at.DROPOUT]
    stream = key(state[at.SEED], DROPOUT_DRAW, state[at.STEP] + 1, index)
    kept = 1.0 / (1.0 - share)
    stride = plan[at.CAPACITY] * PANEL
    buffer = reals_at(plan[at.ACTIVATIONS], weights)
    for panel in range(layer[at.UNIT_PANELS]):
        for r in range(first, first + rows):
            place = panel * stride + r * PANEL
            mask = shift(buffer, layer[at.MASK] + place)
            a = shift(buffer, layer[at.A] + place)
            g = shift(buffer, layer[at.G] + place)
            element = r * layer[at.UNITS] + panel * PANEL
            for i in range(PANEL):
                mask[i] = kept if uniform(stream, element + i) >= share else 0.0
            for i in range(PANEL):
                a[i] = g[i] * mask[i]


@inline
def loss_and_last_delta(weights: Reals, plan: Ints, first: int, rows: int, work: Reals) -> None:
    """The loss of each row and delta of the last layer, from Z for an exact pair, else through g'."""
    index = plan[at.LAYERS] - 1
    layer = layer_row(plan, index)
    numbers = floats_at(plan[at.NUMBERS])
    stride = plan[at.CAPACITY] * PANEL
    delta = shift(reals_at(plan[at.DELTAS], weights), layer[at.DELTA] + first * PANEL)
    a = shift(reals_at(plan[at.ACTIVATIONS], weights), layer[at.G] + first * PANEL)
    y = shift(reals_at(plan[at.TARGETS], weights), first * PANEL)
    row_weights = shift(floats_at(plan[at.ROW_WEIGHTS]), first)
    losses = shift(floats_at(plan[at.ROW_LOSSES]), first)
    scale, parameters = numbers[at.SCALE], shift(numbers, at.LOSS_PARAMETERS)
    call(plan[at.LOSS], (delta, a, y, row_weights, losses, rows, layer[at.UNITS], stride, scale, work, parameters))
    if plan[at.BACKWARD] != 0:
        threshold = real_like(layer_numbers(plan, index)[at.THRESHOLD], weights)
        for panel in range(layer[at.UNIT_PANELS]):
            for i in range(panel * stride, panel * stride + rows * PANEL):
                delta[i] = 0.0 if a[i] <= threshold else delta[i]
        derive(weights, plan, index, first, rows, work)


@inline
def delta_below(weights: Reals, plan: Ints, index: int, first: int, rows: int, zeros: Reals, work: Reals) -> None:
    """Delta of the layer below `index`; the derivative of a threshold is part of the product, any other follows."""
    layer = layer_row(plan, index)
    under = layer_row(plan, index - 1)
    stride = plan[at.CAPACITY] * PANEL
    deltas = reals_at(plan[at.DELTAS], weights)
    buffer = reals_at(plan[at.ACTIVATIONS], weights)
    transposed = shift(reals_at(plan[at.TRANSPOSED], weights), layer[at.WT])
    above = shift(deltas, layer[at.DELTA] + first * PANEL)
    threshold = real_like(layer_numbers(plan, index - 1)[at.THRESHOLD], weights)
    for panel in range(layer[at.INPUT_PANELS]):
        place = panel * stride + first * PANEL
        w = shift(transposed, panel * layer[at.UNIT_PANELS] * BLOCK)
        out = shift(deltas, under[at.DELTA] + place)
        a = shift(buffer, under[at.A] + place)
        columns = layer[at.INPUTS] - panel * PANEL
        product_of_columns(columns, out, above, w, layer[at.UNITS], zeros, a, stride, threshold, rows)
        if under[at.MASK] >= 0:
            mask = shift(buffer, under[at.MASK] + place)
            for i in range(rows * PANEL):
                out[i] *= mask[i]
    derive(weights, plan, index - 1, first, rows, work)


@inline
def derive(weights: Reals, plan: Ints, index: int, first: int, rows: int, work: Reals) -> None:
    """`delta *= g'(Z)`, for activations whose derivative is a kernel, from g(Z) or from the slopes that were kept."""
    layer = layer_row(plan, index)
    if layer[at.DERIVATIVE] == 0:
        return
    stride = plan[at.CAPACITY] * PANEL
    delta = shift(reals_at(plan[at.DELTAS], weights), layer[at.DELTA] + first * PANEL)
    kept = layer[at.SLOPES] if layer[at.SLOPES] >= 0 else layer[at.G]
    known = shift(reals_at(plan[at.ACTIVATIONS], weights), kept + first * PANEL)
    if layer[at.MIXES] != 0:
        call(layer[at.DERIVATIVE], (delta, known, rows, layer[at.UNITS], stride, work))
        return
    parameters = shift(layer_numbers(plan, index), at.ACTIVATION_PARAMETERS)
    for panel in range(layer[at.UNIT_PANELS]):
        place = panel * stride
        call(layer[at.DERIVATIVE], (shift(delta, place), shift(known, place), rows * PANEL, parameters))


@kernel()
def input_deltas(weights: Reals, plan: Ints) -> None:
    """`delta W^T` of the first layer into the rows of OUTPUT, after the rows region; X in its panels is overwritten."""
    control = flush_denormals()
    layer = layer_row(plan, 0)
    stride = plan[at.CAPACITY] * PANEL
    zeros = own_scratch(weights, plan, 0)
    transposed = shift(reals_at(plan[at.TRANSPOSED], weights), layer[at.WT])
    delta = shift(reals_at(plan[at.DELTAS], weights), layer[at.DELTA])
    panels = shift(reals_at(plan[at.ACTIVATIONS], weights), layer[at.BELOW])
    nothing, threshold, rows = reals_at(0, weights), real_like(-math.inf, weights), plan[at.ROWS]
    for panel in range(layer[at.INPUT_PANELS]):
        w = shift(transposed, panel * layer[at.UNIT_PANELS] * BLOCK)
        out, columns = shift(panels, panel * stride), layer[at.INPUTS] - panel * PANEL
        product_of_columns(columns, out, delta, w, layer[at.UNITS], zeros, nothing, stride, threshold, rows)
    for r in range(rows):
        row = shift(reals_at(plan[at.OUTPUT], weights), r * plan[at.OUTPUT_STRIDE])
        panels_to_row(row, shift(panels, r * PANEL), layer[at.INPUTS], stride)
    restore_denormals(control)
