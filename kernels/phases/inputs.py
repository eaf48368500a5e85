"""The gradient of the inputs, `dX = delta W^T` of the first layer, after the rows region. Training does not need it."""

from __future__ import annotations

import math

from fastmlp.kernels.host.annotations import Floats
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import panels_to_row
from fastmlp.kernels.operations.flat import transpose_block
from fastmlp.kernels.phases.blocks import share_of_blocks
from fastmlp.kernels.phases.forward import product_of_columns, scratch_of, share, work_of
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals
from fastmlp.kernels.vocabulary.pointers import call, exists, null_like, offset, real_like


@kernel()
def transposes_region(plan: Plan, step: Floats, thread: int) -> None:
    """Write one thread's share of the transpose of the first layer's W, which no step writes."""
    first, last, _ = share_of_blocks(plan, 0, thread)
    for block in range(first, last):
        transpose_block(plan.layers[0], plan.weights, block)


@kernel()
def input_deltas_region(plan: Plan, step: Floats, thread: int) -> None:
    """Write `delta W^T` of the first layer to one thread's share of the rows of `output`.

    The targets are read by then, and their first panel is the workspace. A layer of columns writes over its delta.
    """
    control = flush_denormals()
    layer = plan.layers[0]
    stride = plan.capacity * PANEL
    first, last = share(plan.rows, thread, plan.threads)
    zeros, delta = scratch_of(plan, thread), offset(layer.delta, first * PANEL)
    rows, nothing, threshold = last - first, null_like(zeros), real_like(-math.inf, plan.weights)
    by_columns = exists(layer.columns)
    if by_columns:
        factor, w, work = offset(layer.factor, first * PANEL), offset(plan.weights, layer.w), work_of(plan, thread)
        call(layer.columns_back, (delta, delta, factor, w, delta, rows, layer.units, stride, -math.inf, work))
    for panel in range(layer.input_panels):
        out = offset(delta, panel * stride) if by_columns else offset(plan.targets, first * PANEL)
        w = offset(layer.wt, panel * layer.unit_panels * BLOCK)
        columns = layer.inputs - panel * PANEL
        if not by_columns:
            product_of_columns(plan, columns, out, delta, w, layer.units, zeros, nothing, stride, threshold, rows)
        for r in range(rows):
            row = offset(plan.output, (first + r) * plan.output_stride + panel * PANEL)
            panels_to_row(row, offset(out, r * PANEL), min(columns, PANEL), stride)
    restore_denormals(control)
