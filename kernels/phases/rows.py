"""By rows: a thread computes the forward pass, the loss and the deltas of a share of the batch's rows.

No two threads share rows, so they stay in the cache of one core, and the bits do not depend on which thread computed
them. The delta recursion is `delta[l] = ((delta[l+1] @ W[l+1]^T) o D[l]) o g'(Z[l])`.
"""

from __future__ import annotations

import math

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import BLOCK, PANEL, WORK
from fastmlp.kernels.micro.panels import row_to_panels
from fastmlp.kernels.operations.dropout import drop_out
from fastmlp.kernels.phases.forward import (
    forward_layer,
    gather_inputs,
    product_of_columns,
    scatter_outputs,
    scratch_of,
    share,
    target_row_at,
)
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals
from fastmlp.kernels.vocabulary.pointers import call, exists, null_like, offset, real_like


@kernel()
def rows_region(plan: Plan, step: Floats, thread: int) -> None:
    """Compute one thread's share of the rows of this step: activations, deltas and the loss of each row.

    The region computes the layers from `plan.layer` up, and back down to it; the layers below are computed by units. If
    rows are grouped, a thread has buffers for one chunk of rows. Every chunk reuses them, so they stay cached. The
    gradients of each group are summed chunk after chunk: groups, not threads, decide the order of the sum.
    """
    control = flush_denormals()
    scratch = scratch_of(plan, thread)
    grouped = plan.groups != 0
    pieces = plan.groups if grouped else plan.threads
    for piece in range(pieces * thread // plan.threads, pieces * (thread + 1) // plan.threads):
        first, last = share(plan.rows, piece, pieces)
        if grouped:
            clear_group(plan, piece)
        for start in range(first, last, plan.chunk_rows):
            rows = min(plan.chunk_rows, last - start)
            place = thread * plan.chunk_rows if grouped else start
            forward_and_back(plan, start, place, rows, scratch)
            if grouped:
                call(plan.group_products, (plan, piece, place, rows, scratch))
    restore_denormals(control)


@inline
def forward_and_back(plan: Plan, start: int, first: int, rows: int, scratch: Reals) -> None:
    """Compute the forward pass, the loss and the deltas of some rows of the batch, or a part of that."""
    work = offset(scratch, WORK)
    lowest = plan.layer
    if plan.forward != 0:
        if lowest == 0:
            gather_inputs(plan, plan.position + start, first, rows)
        for index in range(lowest, plan.layer_count):
            forward_layer(plan, index, first, rows, work)
            drop_out(plan, index, 0, plan.layers[index].unit_panels, start, first, rows)
    if exists(plan.loss):
        gather_targets(plan, plan.position + start, first, rows)
        loss_and_last_delta(plan, start, first, rows, work)
    if plan.writes_output != 0:
        complete_outputs(plan, first, rows, work)
        scatter_outputs(plan, start, first, rows)
    if plan.backward != 0:
        for index in range(plan.layer_count - 1, max(lowest, plan.lowest_trained + 1) - 1, -1):
            delta_below(plan, index, first, rows, scratch)


@inline
def clear_group(plan: Plan, group: int) -> None:
    """Set the sums of a group's gradients to 0."""
    sums = offset(plan.group_gradients, group * plan.parameter_count)
    for i in range(plan.parameter_count):
        sums[i] = 0.0


@inline
def gather_targets(plan: Plan, position: int, first: int, rows: int) -> None:
    """Copy targets into panels, a class label as a one-hot row, and copy the weights of the rows."""
    stride = plan.capacity * PANEL
    last = plan.layers[plan.layer_count - 1]
    panels = offset(plan.targets, first * PANEL)
    row_weights = offset(plan.row_weights, first)
    for r in range(rows):
        row = target_row_at(plan, position + r)
        if exists(plan.labels):
            label = plan.labels[row]
            for panel in range(last.unit_panels):
                for i in range(PANEL):
                    panels[panel * stride + r * PANEL + i] = 0.0
            panels[label // PANEL * stride + r * PANEL + label % PANEL] = 1.0
        else:
            row_to_panels(offset(panels, r * PANEL), offset(plan.y, row * plan.y_stride), plan.target_columns, stride)
        if exists(plan.sample_weights):
            row_weights[r] = plan.sample_weights[row]
        else:
            row_weights[r] = 1.0


@inline
def loss_and_last_delta(plan: Plan, start: int, first: int, rows: int, work: Reals) -> None:
    """Compute the loss of each row and delta of the last layer: from Z for an exact pair, else by dJ/dA and g'."""
    index = plan.layer_count - 1
    layer = plan.layers[index]
    stride = plan.capacity * PANEL
    delta, a = offset(layer.delta, first * PANEL), offset(layer.g, first * PANEL)
    y, row_weights = offset(plan.targets, first * PANEL), offset(plan.row_weights, first)
    losses = offset(plan.row_losses, start)
    sizes = (rows, layer.units, plan.target_columns, stride)
    call(plan.loss, (delta, a, y, row_weights, losses, *sizes, plan.scale, work, plan.loss_parameters))
    if plan.backward != 0:
        if layer.threshold != -math.inf:
            threshold = real_like(layer.threshold, plan.weights)
            for panel in range(layer.unit_panels):
                for i in range(panel * stride, panel * stride + rows * PANEL):
                    delta[i] = 0.0 if a[i] <= threshold else delta[i]
        apply_derivative(plan, index, first, rows, work)


@inline
def complete_outputs(plan: Plan, first: int, rows: int, work: Reals) -> None:
    """Compute A from Z in the last layer, if its loss has read Z."""
    if not exists(plan.output_forward):
        return
    layer = plan.layers[plan.layer_count - 1]
    stride = plan.capacity * PANEL
    a = offset(layer.g, first * PANEL)
    if layer.mixes_units != 0:
        call(plan.output_forward, (a, rows, layer.units, stride, work))
    else:
        for panel in range(layer.unit_panels):
            out = offset(a, panel * stride)
            call(plan.output_forward, (out, null_like(out), rows * PANEL, layer.parameters))


@inline
def delta_below(plan: Plan, index: int, first: int, rows: int, scratch: Reals) -> None:
    """Compute delta of the layer below `index`."""
    delta_panels(plan, index, 0, plan.layers[index].input_panels, first, rows, scratch)
    if plan.layers[index - 1].mixes_units != 0:
        apply_derivative(plan, index - 1, first, rows, offset(scratch, WORK))


@inline
def delta_panels(plan: Plan, index: int, from_panel: int, to_panel: int, first: int, rows: int, zeros: Reals) -> None:
    """Compute some panels of delta of the layer below `index`.

    The derivative of a threshold is part of the product. Any other elementwise derivative follows while the panel is in
    L1.
    """
    layer = plan.layers[index]
    under = plan.layers[index - 1]
    stride = plan.capacity * PANEL
    above = offset(layer.delta, first * PANEL)
    threshold = real_like(under.threshold, plan.weights)
    w_stride = layer.unit_panels * BLOCK
    by_columns = exists(layer.columns)
    by_row = rows == 1 and exists(plan.row_product) and not by_columns
    if by_columns:
        columns_back(plan, index, from_panel, to_panel, first, rows, offset(zeros, WORK))
    if by_row:
        place = from_panel * stride + first * PANEL
        w, out, a = offset(layer.wt, from_panel * w_stride), offset(under.delta, place), offset(under.a, place)
        products = (out, above, w, w_stride, layer.units, zeros, 0, a, stride, under.threshold)
        call(plan.row_product, (*products, to_panel - from_panel))
    for panel in range(from_panel, to_panel):
        place = panel * stride + first * PANEL
        out, columns = offset(under.delta, place), layer.inputs - panel * PANEL
        if not by_row and not by_columns:
            w, a = offset(layer.wt, panel * w_stride), offset(under.a, place)
            product_of_columns(plan, columns, out, above, w, layer.units, zeros, a, stride, threshold, rows)
        if exists(under.mask):
            mask = offset(under.mask, place)
            for i in range(rows * PANEL):
                out[i] *= mask[i]
        if under.mixes_units == 0:
            apply_derivative_to_panel(plan, index - 1, place, rows)


@inline
def columns_back(plan: Plan, index: int, from_panel: int, to_panel: int, first: int, rows: int, work: Reals) -> None:
    """Compute some panels of delta below a layer of columns; all of them where the layer normalizes rows."""
    layer = plan.layers[index]
    under = plan.layers[index - 1]
    stride = plan.capacity * PANEL
    place = from_panel * stride + first * PANEL
    out, delta, factor = offset(under.delta, place), offset(layer.delta, place), offset(layer.factor, place)
    w, below = offset(plan.weights, layer.w + from_panel * BLOCK), offset(under.a, place)
    units = min(layer.units, to_panel * PANEL) - from_panel * PANEL
    call(layer.columns_back, (out, delta, factor, w, below, rows, units, stride, under.threshold, work))


@inline
def apply_derivative(plan: Plan, index: int, first: int, rows: int, work: Reals) -> None:
    """Compute `delta *= g'(Z)` of one layer, if the derivative of its activation is a kernel."""
    layer = plan.layers[index]
    stride = plan.capacity * PANEL
    if layer.mixes_units == 0:
        for panel in range(layer.unit_panels):
            apply_derivative_to_panel(plan, index, panel * stride + first * PANEL, rows)
    elif exists(layer.derivative):
        delta, g = offset(layer.delta, first * PANEL), offset(layer.g, first * PANEL)
        call(layer.derivative, (delta, g, rows, layer.units, stride, work))


@inline
def apply_derivative_to_panel(plan: Plan, index: int, place: int, rows: int) -> None:
    """Compute `delta *= g'(Z)` of the panel at `place` in the layer's buffers, from g(Z) or saved derivatives."""
    layer = plan.layers[index]
    if not exists(layer.derivative):
        return
    known = layer.saved_derivatives if exists(layer.saved_derivatives) else layer.g
    call(layer.derivative, (offset(layer.delta, place), offset(known, place), rows * PANEL, layer.parameters))
