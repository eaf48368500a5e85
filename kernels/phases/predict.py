"""The prediction region: each thread takes its share of the rows through the forward pass, some at a time.

It also looks whether the inputs are finite, while they are in the cache. To look at them before, as training does,
takes a second way through memory: 4 % of a prediction of 256 rows by 784-256-256-256-10.
"""

from __future__ import annotations

from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Floats, Ints, Reals, inline, kernel
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.micro.finite import count_not_finite
from fastmlp.kernels.micro.panels import panels_to_row
from fastmlp.kernels.phases.forward import forward_layer, gather_inputs, layer_row, own_scratch, share
from fastmlp.kernels.vocabulary.simd import flush_denormals, offset, reals_at, restore_denormals


@kernel()
def predict_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """The share of one thread; it owns as many rows of the buffers as CAPACITY gives each thread.

    BROKEN becomes 1 where an input is not finite.
    """
    control = flush_denormals()
    work = offset(own_scratch(weights, plan, thread), at.WORK)
    room = plan[at.CAPACITY] // plan[at.THREADS] // PANEL * PANEL
    first, last = share(plan[at.ROWS], thread, plan[at.THREADS])
    for start in range(first, last, room):
        count = min(room, last - start)
        gather_inputs(weights, plan, plan[at.POSITION] + start, thread * room, count)
        check_finite(weights, plan, thread * room, count)
        for index in range(plan[at.OUTPUT_LAYER] + 1):
            forward_layer(weights, plan, index, thread * room, count, work)
        scatter_outputs(weights, plan, start, thread * room, count)
    restore_denormals(control)


@inline
def check_finite(weights: Reals, plan: Ints, first: int, rows: int) -> None:
    """Note whether inputs in their panels, whose padding is 0, are NaN or infinite."""
    inputs = offset(reals_at(plan[at.ACTIVATIONS], weights), first * PANEL)
    for panel in range(layer_row(plan, 0)[at.INPUT_PANELS]):
        if count_not_finite(offset(inputs, panel * plan[at.CAPACITY] * PANEL), rows * PANEL) != 0:
            plan[at.BROKEN] = 1


@inline
def scatter_outputs(weights: Reals, plan: Ints, position: int, first: int, rows: int) -> None:
    """Panels of the output layer into rows of the user's array."""
    layer = layer_row(plan, plan[at.OUTPUT_LAYER])
    panels = offset(reals_at(plan[at.ACTIVATIONS], weights), layer[at.G] + first * PANEL)
    out = reals_at(plan[at.OUTPUT], weights)
    for r in range(rows):
        row = offset(out, (position + r) * plan[at.OUTPUT_STRIDE])
        panels_to_row(row, offset(panels, r * PANEL), layer[at.UNITS], plan[at.CAPACITY] * PANEL)
