"""By units: all rows of one layer at a time; each thread takes a share of the layer's panels of units.

A thread then reads the weights that it has updated itself, and some of the transposed weights of others. By rows, every
thread reads all weights, most of which another core has just written. The price is two meetings of the threads a layer.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Floats
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.operations.dropout import drop_out
from fastmlp.kernels.phases.forward import forward_panels, gather_inputs, scratch_of, share
from fastmlp.kernels.phases.rows import delta_panels
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals


@kernel()
def inputs_region(plan: Plan, step: Floats, thread: int) -> None:
    """Copy one thread's share of the rows of X into panels."""
    first, last = share(plan.rows, thread, plan.threads)
    gather_inputs(plan, plan.position + first, first, last - first)


@kernel()
def forward_region(plan: Plan, step: Floats, thread: int) -> None:
    """Compute A of one layer: one thread's share of its panels, of the last of them perhaps only some rows."""
    control = flush_denormals()
    index = plan.layer
    begin, end, parts = share_of_panels(plan, plan.layers[index].unit_panels, thread)
    for panel in range(begin // parts, (end + parts - 1) // parts):
        first, last = rows_of_panel(plan, panel, begin, end, parts)
        forward_panels(plan, index, panel, panel + 1, first, last - first)
        drop_out(plan, index, panel, panel + 1, first, first, last - first)
    restore_denormals(control)


@kernel()
def delta_region(plan: Plan, step: Floats, thread: int) -> None:
    """Compute delta of the layer below one: one thread's share of its panels, of the last perhaps only some rows."""
    control = flush_denormals()
    index = plan.layer
    zeros = scratch_of(plan, thread)
    begin, end, parts = share_of_panels(plan, plan.layers[index].input_panels, thread)
    for panel in range(begin // parts, (end + parts - 1) // parts):
        first, last = rows_of_panel(plan, panel, begin, end, parts)
        delta_panels(plan, index, panel, panel + 1, first, last - first, zeros)
    restore_denormals(control)


@inline
def share_of_panels(plan: Plan, panels: int, thread: int) -> tuple[int, int, int]:
    """Return one thread's share of all parts of 16 rows of all panels, panel after panel, and the parts of a panel."""
    parts = (plan.rows + PANEL - 1) // PANEL
    count = parts * panels
    return count * thread // plan.threads, count * (thread + 1) // plan.threads, parts


@inline
def rows_of_panel(plan: Plan, panel: int, begin: int, end: int, parts: int) -> tuple[int, int]:
    """Return which rows of that panel the parts from `begin` to `end` hold."""
    first = max(begin - panel * parts, 0) * PANEL
    return first, min((end - panel * parts) * PANEL, plan.rows)
