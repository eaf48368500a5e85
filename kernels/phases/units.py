"""By units: all rows of one layer at a time, each thread a share of its panels of units.

A thread then reads the weights that it has updated itself, and of the transposed ones some others. By rows, every
thread reads all weights, most of which another core has just written. The price are two meetings a layer.
"""

from __future__ import annotations

from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Floats, Ints, Reals, inline, kernel
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.operations.dropout import drop_out
from fastmlp.kernels.phases.forward import forward_panels, gather_inputs, layer_row, own_scratch, share
from fastmlp.kernels.phases.rows import delta_panels
from fastmlp.kernels.vocabulary.simd import flush_denormals, restore_denormals


@kernel()
def inputs_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """X into panels: one thread's share of the rows."""
    first, last = share(plan[at.ROWS], thread, plan[at.THREADS])
    gather_inputs(weights, plan, plan[at.POSITION] + first, first, last - first)


@kernel()
def forward_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """A of one layer: one thread's share of the panels, where it does not end with a whole panel some of its rows."""
    control = flush_denormals()
    index = plan[at.LAYER_OF_PHASE]
    begin, end, parts = share_of_panels(plan, layer_row(plan, index)[at.UNIT_PANELS], thread)
    for panel in range(begin // parts, (end + parts - 1) // parts):
        first, last = rows_of_panel(plan, panel, begin, end, parts)
        forward_panels(weights, plan, index, panel, panel + 1, first, last - first)
        drop_out(weights, plan, index, panel, panel + 1, first, first, last - first)
    restore_denormals(control)


@kernel()
def delta_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """Delta of the layer below one: one thread's share of its panels, likewise."""
    control = flush_denormals()
    index = plan[at.LAYER_OF_PHASE]
    zeros = own_scratch(weights, plan, thread)
    begin, end, parts = share_of_panels(plan, layer_row(plan, index)[at.INPUT_PANELS], thread)
    for panel in range(begin // parts, (end + parts - 1) // parts):
        first, last = rows_of_panel(plan, panel, begin, end, parts)
        delta_panels(weights, plan, index, panel, panel + 1, first, last - first, zeros)
    restore_denormals(control)


@inline
def share_of_panels(plan: Ints, panels: int, thread: int) -> tuple[int, int, int]:
    """A thread's share of all parts of 16 rows of all panels, panel after panel, and how many parts a panel has."""
    parts = (plan[at.ROWS] + PANEL - 1) // PANEL
    count = parts * panels
    return count * thread // plan[at.THREADS], count * (thread + 1) // plan[at.THREADS], parts


@inline
def rows_of_panel(plan: Ints, panel: int, begin: int, end: int, parts: int) -> tuple[int, int]:
    """Which rows of that panel the parts from `begin` to `end` hold."""
    first = max(begin - panel * parts, 0) * PANEL
    return first, min((end - panel * parts) * PANEL, plan[at.ROWS])
