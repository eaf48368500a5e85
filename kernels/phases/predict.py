"""The prediction region: each thread computes the forward pass of its share of the rows, some rows at a time.

The region also checks that the inputs are finite, while they are in the cache. A check before the prediction, as
training does it, takes a second pass through memory: 4 % of a prediction of 256 rows by 784-256-256-256-10.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Floats
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.micro.finite import any_not_finite
from fastmlp.kernels.phases.forward import forward_layer, gather_inputs, scatter_outputs, share, work_of
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals
from fastmlp.kernels.vocabulary.pointers import offset


@kernel()
def predict_region(plan: Plan, step: Floats, thread: int) -> None:
    """Predict one thread's share of the rows. Each thread owns an equal part of the rows of the buffers.

    `not_finite` becomes 1 if an input is NaN or infinite.
    """
    control = flush_denormals()
    work = work_of(plan, thread)
    buffer_rows = plan.capacity // plan.threads // PANEL * PANEL
    first, last = share(plan.rows, thread, plan.threads)
    for start in range(first, last, buffer_rows):
        count = min(buffer_rows, last - start)
        gather_inputs(plan, plan.position + start, thread * buffer_rows, count)
        check_inputs(plan, thread * buffer_rows, count)
        for index in range(plan.output_layer + 1):
            forward_layer(plan, index, thread * buffer_rows, count, work)
        scatter_outputs(plan, start, thread * buffer_rows, count)
    restore_denormals(control)


@inline
def check_inputs(plan: Plan, first: int, rows: int) -> None:
    """Set `not_finite` if an input in the panels is NaN or infinite. Padding is 0."""
    inputs = offset(plan.inputs, first * PANEL)
    for panel in range(plan.layers[0].input_panels):
        if any_not_finite(offset(inputs, panel * plan.capacity * PANEL), rows * PANEL) != 0:
            plan.not_finite = 1
