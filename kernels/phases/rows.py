"""By rows: a thread takes a share of the batch's rows through gather, forward layers, the loss and deltas.

Nothing is shared between threads, so the rows stay in the cache of one core, and the bits do not depend on who did
them. The delta recursion is `delta[l] = ((delta[l+1] @ W[l+1]^T) o D[l]) o g'(Z[l])`.
"""

from __future__ import annotations

import math

from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Floats, Ints, Reals, inline, kernel
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import panels_to_row, row_to_panels
from fastmlp.kernels.operations.dropout import drop_out
from fastmlp.kernels.phases.forward import (
    forward_layer,
    gather_inputs,
    layer_numbers,
    layer_row,
    own_scratch,
    product_of_columns,
    share,
    target_number,
)
from fastmlp.kernels.vocabulary.simd import (
    call,
    floats_at,
    flush_denormals,
    ints_at,
    offset,
    real_like,
    reals_at,
    restore_denormals,
)


@kernel()
def rows_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """The share of one thread in the rows of this step: activations, deltas and the loss of each row.

    From LAYER_OF_PHASE on and back to it; what lies below is done by units. Where rows are grouped, a thread has room
    for one chunk of them, which is used again and again and stays in its cache, and the gradients of each group are
    summed as the chunks go by: groups, not threads, decide the order of the sum.
    """
    control = flush_denormals()
    scratch = own_scratch(weights, plan, thread)
    grouped = plan[at.GROUPS] != 0
    pieces = plan[at.GROUPS] if grouped else plan[at.THREADS]
    for piece in range(pieces * thread // plan[at.THREADS], pieces * (thread + 1) // plan[at.THREADS]):
        first, last = share(plan[at.ROWS], piece, pieces)
        if grouped:
            clear_group(weights, plan, piece)
        for start in range(first, last, plan[at.CHUNK]):
            rows = min(plan[at.CHUNK], last - start)
            place = thread * plan[at.CHUNK] if grouped else start
            forward_and_back(weights, plan, start, place, rows, scratch)
            if grouped:
                call(plan[at.GROUP_PRODUCTS], (weights, plan, piece, place, rows, scratch))
    restore_denormals(control)


@inline
def forward_and_back(weights: Reals, plan: Ints, start: int, first: int, rows: int, scratch: Reals) -> None:
    """Rows `start` and following of the batch through the layers and back, in the rows of the buffers from `first`."""
    work = offset(scratch, at.WORK)
    lowest = plan[at.LAYER_OF_PHASE]
    if lowest == 0:
        gather_inputs(weights, plan, plan[at.POSITION] + start, first, rows)
    gather_targets(weights, plan, plan[at.POSITION] + start, first, rows)
    for index in range(lowest, plan[at.LAYERS]):
        forward_layer(weights, plan, index, first, rows, work)
        drop_out(weights, plan, index, 0, layer_row(plan, index)[at.UNIT_PANELS], start, first, rows)
    loss_and_last_delta(weights, plan, start, first, rows, work)
    if plan[at.BACKWARD] != 0:
        for index in range(plan[at.LAYERS] - 1, max(lowest, 1) - 1, -1):
            delta_below(weights, plan, index, first, rows, scratch)


@inline
def clear_group(weights: Reals, plan: Ints, group: int) -> None:
    """Begin the sum of a group's gradients."""
    sums = offset(reals_at(plan[at.GROUP_GRADIENTS], weights), group * plan[at.PARAMETERS])
    for i in range(plan[at.PARAMETERS]):
        sums[i] = 0.0


@inline
def gather_targets(weights: Reals, plan: Ints, position: int, first: int, rows: int) -> None:
    """Targets into panels, a class label as a row with a single 1, and the weights of the rows."""
    stride = plan[at.CAPACITY] * PANEL
    last = layer_row(plan, plan[at.LAYERS] - 1)
    panels = offset(reals_at(plan[at.TARGETS], weights), first * PANEL)
    y = reals_at(plan[at.Y], weights)
    labels = ints_at(plan[at.LABELS])
    sample_weights = floats_at(plan[at.SAMPLE_WEIGHTS])
    row_weights = offset(floats_at(plan[at.ROW_WEIGHTS]), first)
    for r in range(rows):
        row = target_number(plan, position + r)
        if plan[at.LABELS] != 0:
            for panel in range(last[at.UNIT_PANELS]):
                for i in range(PANEL):
                    panels[panel * stride + r * PANEL + i] = 0.0
            panels[labels[row] // PANEL * stride + r * PANEL + labels[row] % PANEL] = 1.0
        else:
            row_to_panels(offset(panels, r * PANEL), offset(y, row * plan[at.Y_STRIDE]), last[at.UNITS], stride)
        if plan[at.SAMPLE_WEIGHTS] != 0:
            row_weights[r] = sample_weights[row]
        else:
            row_weights[r] = 1.0


@inline
def loss_and_last_delta(weights: Reals, plan: Ints, start: int, first: int, rows: int, work: Reals) -> None:
    """The loss of each row and delta of the last layer, from Z for an exact pair, else through g'."""
    index = plan[at.LAYERS] - 1
    layer = layer_row(plan, index)
    numbers = floats_at(plan[at.NUMBERS])
    stride = plan[at.CAPACITY] * PANEL
    delta = offset(reals_at(plan[at.DELTAS], weights), layer[at.DELTA] + first * PANEL)
    a = offset(reals_at(plan[at.ACTIVATIONS], weights), layer[at.G] + first * PANEL)
    y = offset(reals_at(plan[at.TARGETS], weights), first * PANEL)
    row_weights = offset(floats_at(plan[at.ROW_WEIGHTS]), first)
    losses = offset(floats_at(plan[at.ROW_LOSSES]), start)
    scale, parameters = numbers[at.SCALE], offset(numbers, at.LOSS_PARAMETERS)
    call(plan[at.LOSS], (delta, a, y, row_weights, losses, rows, layer[at.UNITS], stride, scale, work, parameters))
    if plan[at.BACKWARD] != 0:
        limit = layer_numbers(plan, index)[at.THRESHOLD]
        if limit != -math.inf:
            threshold = real_like(limit, weights)
            for panel in range(layer[at.UNIT_PANELS]):
                for i in range(panel * stride, panel * stride + rows * PANEL):
                    delta[i] = 0.0 if a[i] <= threshold else delta[i]
        derive(weights, plan, index, first, rows, work)


@inline
def delta_below(weights: Reals, plan: Ints, index: int, first: int, rows: int, scratch: Reals) -> None:
    """Delta of the layer below `index`."""
    delta_panels(weights, plan, index, 0, layer_row(plan, index)[at.INPUT_PANELS], first, rows, scratch)
    if layer_row(plan, index - 1)[at.MIXES] != 0:
        derive(weights, plan, index - 1, first, rows, offset(scratch, at.WORK))


@inline
def delta_panels(
    weights: Reals, plan: Ints, index: int, from_panel: int, to_panel: int, first: int, rows: int, zeros: Reals
) -> None:
    """Some panels of it; the derivative of a threshold is part of the product, that of units on their own follows."""
    layer = layer_row(plan, index)
    under = layer_row(plan, index - 1)
    stride = plan[at.CAPACITY] * PANEL
    deltas = reals_at(plan[at.DELTAS], weights)
    buffer = reals_at(plan[at.ACTIVATIONS], weights)
    transposed = offset(reals_at(plan[at.TRANSPOSED], weights), layer[at.WT])
    above = offset(deltas, layer[at.DELTA] + first * PANEL)
    threshold = real_like(layer_numbers(plan, index - 1)[at.THRESHOLD], weights)
    for panel in range(from_panel, to_panel):
        place = panel * stride + first * PANEL
        w = offset(transposed, panel * layer[at.UNIT_PANELS] * BLOCK)
        out = offset(deltas, under[at.DELTA] + place)
        a = offset(buffer, under[at.A] + place)
        columns = layer[at.INPUTS] - panel * PANEL
        product_of_columns(columns, out, above, w, layer[at.UNITS], zeros, a, stride, threshold, rows)
        if under[at.MASK] >= 0:
            mask = offset(buffer, under[at.MASK] + place)
            for i in range(rows * PANEL):
                out[i] *= mask[i]
        if under[at.MIXES] == 0:
            derive_panel(weights, plan, index - 1, place, rows)


@inline
def derive(weights: Reals, plan: Ints, index: int, first: int, rows: int, work: Reals) -> None:
    """`delta *= g'(Z)`, for activations whose derivative is a kernel."""
    layer = layer_row(plan, index)
    stride = plan[at.CAPACITY] * PANEL
    if layer[at.MIXES] == 0:
        for panel in range(layer[at.UNIT_PANELS]):
            derive_panel(weights, plan, index, panel * stride + first * PANEL, rows)
    elif layer[at.DERIVATIVE] != 0:
        delta = offset(reals_at(plan[at.DELTAS], weights), layer[at.DELTA] + first * PANEL)
        known = offset(reals_at(plan[at.ACTIVATIONS], weights), layer[at.G] + first * PANEL)
        call(layer[at.DERIVATIVE], (delta, known, rows, layer[at.UNITS], stride, work))


@inline
def derive_panel(weights: Reals, plan: Ints, index: int, place: int, rows: int) -> None:
    """The same of one panel, `place` elements into the layer's: from g(Z), or from the slopes that were kept."""
    layer = layer_row(plan, index)
    if layer[at.DERIVATIVE] == 0:
        return
    delta = offset(reals_at(plan[at.DELTAS], weights), layer[at.DELTA] + place)
    kept = layer[at.SLOPES] if layer[at.SLOPES] >= 0 else layer[at.G]
    known = offset(reals_at(plan[at.ACTIVATIONS], weights), kept + place)
    parameters = offset(layer_numbers(plan, index), at.ACTIVATION_PARAMETERS)
    call(layer[at.DERIVATIVE], (delta, known, rows * PANEL, parameters))


@kernel()
def input_deltas(weights: Reals, plan: Ints) -> None:
    """`delta W^T` of the first layer into the rows of OUTPUT, after the rows region; X in its panels is overwritten."""
    control = flush_denormals()
    layer = layer_row(plan, 0)
    stride = plan[at.CAPACITY] * PANEL
    zeros = own_scratch(weights, plan, 0)
    transposed = offset(reals_at(plan[at.TRANSPOSED], weights), layer[at.WT])
    delta = offset(reals_at(plan[at.DELTAS], weights), layer[at.DELTA])
    panels = offset(reals_at(plan[at.ACTIVATIONS], weights), layer[at.BELOW])
    nothing, threshold, rows = reals_at(0, weights), real_like(-math.inf, weights), plan[at.ROWS]
    for panel in range(layer[at.INPUT_PANELS]):
        w = offset(transposed, panel * layer[at.UNIT_PANELS] * BLOCK)
        out, columns = offset(panels, panel * stride), layer[at.INPUTS] - panel * PANEL
        product_of_columns(columns, out, delta, w, layer[at.UNITS], zeros, nothing, stride, threshold, rows)
    for r in range(rows):
        row = offset(reals_at(plan[at.OUTPUT], weights), r * plan[at.OUTPUT_STRIDE])
        panels_to_row(row, offset(panels, r * PANEL), layer[at.INPUTS], stride)
    restore_denormals(control)
