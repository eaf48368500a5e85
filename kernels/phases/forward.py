"""The forward pass of a block of rows, which training and prediction share: `A = D o g(A_below @ W + b)`.

Throughout the phases, `position` is where a block of rows begins in the order of the user's rows, `start` where it
begins in the batch, and `first` where it begins in the buffers, a multiple of 16.
"""

from __future__ import annotations

import math

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import BLOCK, PANEL, WORK
from fastmlp.kernels.micro.panels import panels_to_row, row_to_panels
from fastmlp.kernels.micro.product import narrow_panel_product, panel_product, row_product
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.pointers import call, exists, null_like, offset, real_like


@inline
def scratch_of(plan: Plan, thread: int) -> Reals:
    """Return the scratch of one thread, which begins with a block of zeros."""
    return offset(plan.scratch, thread * plan.scratch_stride)


@inline
def work_of(plan: Plan, thread: int) -> Reals:
    """Return the workspace in one thread's scratch."""
    return offset(plan.scratch, thread * plan.scratch_stride + WORK)


@inline
def share(count: int, thread: int, threads: int) -> tuple[int, int]:
    """Return where one thread's share of `count` rows or elements begins and ends, in multiples of 16."""
    panels = (count + PANEL - 1) // PANEL
    return panels * thread // threads * PANEL, min(count, panels * (thread + 1) // threads * PANEL)


@inline
def row_at(plan: Plan, position: int) -> int:
    """Return the row of the user's data at a position of the epoch."""
    return plan.order[position] if exists(plan.order) else position


@inline
def target_row_at(plan: Plan, position: int) -> int:
    """Return the row of targets and weights at a position of the epoch. They may be staged where X is not."""
    return row_at(plan, position) if plan.targets_from < 0 else position - plan.targets_from


@inline
def gather_inputs(plan: Plan, position: int, first: int, rows: int) -> None:
    """Copy rows of X into panels. Shuffled rows are gathered and packed in this one copy."""
    inputs = plan.layers[0].inputs
    for r in range(rows):
        row = offset(plan.x, row_at(plan, position + r) * plan.x_stride)
        row_to_panels(offset(plan.inputs, (first + r) * PANEL), row, inputs, plan.capacity * PANEL)


@inline
def product_of_columns(
    plan: Plan,
    columns: int,
    out: Reals,
    a: Reals,
    w: Reals,
    k: int,
    bias: Reals,
    below: Reals,
    stride: int,
    threshold: float,
    rows: int,
) -> None:
    """Compute `panel_product`, by its narrow form if at most 8 columns of the panel are used.

    Some of the k at a time, so that their weights stay in L1 while all rows pass. The sums wait in `out`.
    """
    start, start_stride = bias, 0
    for first in range(0, k, plan.product_inputs):
        is_last = first + plan.product_inputs >= k
        count = min(plan.product_inputs, k - first)
        limit, mask = (threshold, below) if is_last else (real_like(-math.inf, out), null_like(out))
        panels, weights = offset(a, first // PANEL * stride), offset(w, first * PANEL)
        if columns > PANEL // 2:
            panel_product(out, panels, weights, count, start, start_stride, mask, stride, limit, rows)
        else:
            narrow_panel_product(out, panels, weights, count, start, start_stride, mask, stride, limit, rows)
        start, start_stride = out, PANEL


@kernel()
def row_products(
    out: Reals,
    a: Reals,
    w: Reals,
    w_stride: int,
    k: int,
    bias: Reals,
    bias_stride: int,
    below: Reals,
    stride: int,
    threshold: float,
    panels: int,
) -> None:
    """Compute `row_product`."""
    limit = real_like(threshold, out)
    row_product(out, a, w, w_stride, k, bias, bias_stride, below, stride, limit, panels)


@inline
def forward_layer(plan: Plan, index: int, first: int, rows: int, work: Reals) -> None:
    """Compute Z = A_below @ W + b, or Z of a layer of columns, and g(Z) of one layer."""
    layer = plan.layers[index]
    forward_panels(plan, index, 0, layer.unit_panels, first, rows, work)
    if exists(layer.forward) and layer.mixes_units != 0:
        call(layer.forward, (offset(layer.g, first * PANEL), rows, layer.units, plan.capacity * PANEL, work))


@inline
def forward_panels(plan: Plan, index: int, from_panel: int, to_panel: int, first: int, rows: int, work: Reals) -> None:
    """Compute some panels of a layer: Z, and g(Z) while the panel is in L1, unless g mixes the units of a row."""
    layer = plan.layers[index]
    stride = plan.capacity * PANEL
    below = offset(layer.below, first * PANEL)
    threshold = real_like(layer.threshold, plan.weights)
    w_stride = layer.input_panels * BLOCK
    by_columns = exists(layer.columns)
    by_row = rows == 1 and exists(plan.row_product) and not by_columns
    if by_columns:
        columns_of_panels(plan, index, from_panel, to_panel, first, rows, work)
    if by_row:
        out = offset(layer.g, from_panel * stride + first * PANEL)
        w = offset(plan.weights, layer.w + from_panel * w_stride)
        bias, nothing = offset(plan.weights, layer.b + from_panel * PANEL), null_like(out)
        products = (out, below, w, w_stride, layer.inputs, bias, PANEL, nothing, stride, layer.threshold)
        call(plan.row_product, (*products, to_panel - from_panel))
    for panel in range(from_panel, to_panel):
        place = panel * stride + first * PANEL
        out, columns = offset(layer.g, place), layer.units - panel * PANEL
        if not by_row and not by_columns:
            w, bias = offset(plan.weights, layer.w + panel * w_stride), offset(plan.weights, layer.b + panel * PANEL)
            product_of_columns(
                plan, columns, out, below, w, layer.inputs, bias, null_like(out), stride, threshold, rows
            )
        if exists(layer.forward) and layer.mixes_units == 0:
            call(layer.forward, (out, offset(layer.saved_derivatives, place), rows * PANEL, layer.parameters))


@inline
def columns_of_panels(
    plan: Plan, index: int, from_panel: int, to_panel: int, first: int, rows: int, work: Reals
) -> None:
    """Compute some panels of Z of a layer of columns; all of them where the layer normalizes rows."""
    layer = plan.layers[index]
    stride = plan.capacity * PANEL
    place = from_panel * stride + first * PANEL
    out, below, factor = offset(layer.g, place), offset(layer.below, place), offset(layer.factor, place)
    w, b = offset(plan.weights, layer.w + from_panel * BLOCK), offset(plan.weights, layer.b + from_panel * PANEL)
    units = min(layer.units, to_panel * PANEL) - from_panel * PANEL
    sizes = (rows, units, stride, layer.threshold, layer.epsilon)
    call(layer.columns, (out, below, factor, w, b, *sizes, work))


@inline
def scatter_outputs(plan: Plan, position: int, first: int, rows: int) -> None:
    """Copy panels of the output layer into rows of the user's array."""
    layer = plan.layers[plan.output_layer]
    panels = offset(layer.g, first * PANEL)
    for r in range(rows):
        row = offset(plan.output, (position + r) * plan.output_stride)
        panels_to_row(row, offset(panels, r * PANEL), layer.units, plan.capacity * PANEL)
