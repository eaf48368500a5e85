"""By units: all rows of one layer at a time; each thread computes a share of the layer's panels of units.

A thread then reads the weights that it has updated itself, and some transposed weights that other threads updated. By
rows, every thread reads all weights, most of which another core has just written. The price is two synchronizations of
the threads a layer.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Floats
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.operations.dropout import drop_out
from fastmlp.kernels.phases.forward import forward_panels, gather_inputs, scratch_of, share, work_of
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
    """Compute one thread's share of A of one layer: some panels, the first and the last perhaps only in part."""
    control = flush_denormals()
    index = plan.layer
    begin, end, parts = share_of_panels(plan, plan.layers[index].unit_panels, thread)
    for panel in range(begin // parts, (end + parts - 1) // parts):
        first, last = rows_of_panel(plan, panel, begin, end, parts)
        forward_panels(plan, index, panel, panel + 1, first, last - first, work_of(plan, thread))
        drop_out(plan, index, panel, panel + 1, first, first, last - first)
    restore_denormals(control)


@kernel()
def delta_region(plan: Plan, step: Floats, thread: int) -> None:
    """Compute one thread's share of delta of the layer below: some panels, the first and the last perhaps in part."""
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
    """Return where one thread's share of the layer begins and ends, and the parts of a panel.

    A part is 16 rows of a panel. Parts are counted panel after panel.
    """
    parts = (plan.rows + PANEL - 1) // PANEL
    count = parts * panels
    return count * thread // plan.threads, count * (thread + 1) // plan.threads, parts


@inline
def rows_of_panel(plan: Plan, panel: int, begin: int, end: int, parts: int) -> tuple[int, int]:
    """Return where the rows of a panel begin and end that belong to the parts from `begin` to `end`."""
    first = max(begin - panel * parts, 0) * PANEL
    return first, min((end - panel * parts) * PANEL, plan.rows)
