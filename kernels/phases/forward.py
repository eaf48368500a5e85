"""The forward pass of a block of rows, which training and prediction share: `A = D o g(A_below @ W + b)`.

`first` is the row of the buffers where the block begins, a multiple of 16; `position` is where in the order of the
user's rows it begins.
"""

from __future__ import annotations

from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Floats, Ints, Reals, inline
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import row_to_panels
from fastmlp.kernels.micro.product import narrow_panel_product, panel_product
from fastmlp.kernels.vocabulary.simd import (
    call,
    floats_at,
    ints_at,
    offset,
    real_like,
    reals_at,
)


@inline
def layer_row(plan: Ints, index: int) -> Ints:
    """The plan's words on that layer."""
    return offset(plan, at.HEAD + index * at.LAYER)


@inline
def layer_numbers(plan: Ints, index: int) -> Floats:
    """The plan's float64 numbers on that layer."""
    return offset(floats_at(plan[at.NUMBERS]), at.NUMBER_HEAD + index * at.NUMBER_LAYER)


@inline
def own_scratch(weights: Reals, plan: Ints, thread: int) -> Reals:
    """The scratch of that thread."""
    return offset(reals_at(plan[at.SCRATCH], weights), thread * plan[at.SCRATCH_STRIDE])


@inline
def share(count: int, thread: int, threads: int) -> tuple[int, int]:
    """Where a thread's part of that many rows or numbers begins and ends, at whole panels."""
    panels = (count + PANEL - 1) // PANEL
    return panels * thread // threads * PANEL, min(count, panels * (thread + 1) // threads * PANEL)


@inline
def row_number(plan: Ints, position: int) -> int:
    """Which row of the user's data stands at that position."""
    return ints_at(plan[at.ORDER])[position] if plan[at.ORDER] != 0 else position


@inline
def target_number(plan: Ints, position: int) -> int:
    """Which row of the targets and weights belongs to that position; they may be staged where X is not."""
    return row_number(plan, position) if plan[at.TARGETS_FROM] < 0 else position - plan[at.TARGETS_FROM]


@inline
def gather_inputs(weights: Reals, plan: Ints, position: int, first: int, rows: int) -> None:
    """Rows of X into panels: the shuffle's gather is the packing."""
    x = reals_at(plan[at.X], weights)
    panels = reals_at(plan[at.ACTIVATIONS], weights)
    inputs = layer_row(plan, 0)[at.INPUTS]
    for r in range(rows):
        row = offset(x, row_number(plan, position + r) * plan[at.X_STRIDE])
        row_to_panels(offset(panels, (first + r) * PANEL), row, inputs, plan[at.CAPACITY] * PANEL)


@inline
def product_of_columns(
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
    """`panel_product`, the narrow one where no more than `columns` <= 8 columns are left to compute."""
    if columns > PANEL // 2:
        panel_product(out, a, w, k, bias, below, stride, threshold, rows)
    else:
        narrow_panel_product(out, a, w, k, bias, below, stride, threshold, rows)


@inline
def forward_layer(weights: Reals, plan: Ints, index: int, first: int, rows: int, work: Reals) -> None:
    """Z = A_below @ W + b and g(Z) of one layer."""
    layer = layer_row(plan, index)
    forward_panels(weights, plan, index, 0, layer[at.UNIT_PANELS], first, rows)
    if layer[at.FORWARD] != 0 and layer[at.MIXES] != 0:
        out = offset(reals_at(plan[at.ACTIVATIONS], weights), layer[at.G] + first * PANEL)
        call(layer[at.FORWARD], (out, rows, layer[at.UNITS], plan[at.CAPACITY] * PANEL, work))


@inline
def forward_panels(
    weights: Reals, plan: Ints, index: int, from_panel: int, to_panel: int, first: int, rows: int
) -> None:
    """Some panels of a layer: Z, and g(Z) of each panel while it is in L1, unless g mixes the units of a row."""
    layer = layer_row(plan, index)
    numbers = layer_numbers(plan, index)
    stride = plan[at.CAPACITY] * PANEL
    buffer = reals_at(plan[at.ACTIVATIONS], weights)
    below = offset(buffer, layer[at.BELOW] + first * PANEL)
    nothing = reals_at(0, weights)
    threshold = real_like(numbers[at.THRESHOLD], weights)
    parameters = offset(numbers, at.ACTIVATION_PARAMETERS)
    for panel in range(from_panel, to_panel):
        w = offset(weights, layer[at.W] + panel * layer[at.INPUT_PANELS] * BLOCK)
        bias = offset(weights, layer[at.B] + panel * PANEL)
        out = offset(buffer, layer[at.G] + panel * stride + first * PANEL)
        columns = layer[at.UNITS] - panel * PANEL
        product_of_columns(columns, out, below, w, layer[at.INPUTS], bias, nothing, stride, threshold, rows)
        if layer[at.FORWARD] != 0 and layer[at.MIXES] == 0:
            slopes = offset(buffer, layer[at.SLOPES] + panel * stride + first * PANEL)
            call(layer[at.FORWARD], (out, slopes, rows * PANEL, parameters))
