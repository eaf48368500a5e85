"""The purposes of plans: what a plan computes decides which buffers and kernels it has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)  # a plan is found by the identity of its purpose
class Purpose:
    """The use of a plan.

    Parameters
    ----------
    subject : str
        What a MemoryError names, with a place for the number of rows.
    advice : str
        What it says would take less.
    backward : bool
        Whether it computes deltas.
    runs_phases : bool
        Whether the drivers of training run it, phase after phase, instead of a single region.
    updates : bool
        Whether it updates the weights, and so keeps a snapshot to undo that.
    drops : bool
        Whether it can drop units.
    groups_rows : bool
        Whether it sums the gradients of a long batch in groups of rows.
    stores_gradient : bool
        Whether the whole gradient is stored. A plan that updates stores it anyway if the norm is limited.
    takes_gradient : bool
        Whether dJ/dA is given in place of the targets.
    """

    subject: str
    advice: str
    backward: bool = True
    runs_phases: bool = False
    updates: bool = False
    drops: bool = False
    groups_rows: bool = False
    stores_gradient: bool = False
    takes_gradient: bool = False


_ROWS = "(what the layers make of {rows:,} rows)"
_UNDO = "a copy of the network, to undo it, and what its layers make of {rows:,} rows"
_NARROWER = "narrower layers would take less"
_FEWER_ROWS = f"fewer rows or {_NARROWER}"

TRAINING = Purpose(
    "a fit in batches of {rows:,} rows (a copy of the network, to undo an epoch, and what its layers make of a batch)",
    f"a smaller batch_size or {_NARROWER}",
    runs_phases=True,
    updates=True,
    drops=True,
    groups_rows=True,
)
STEP = Purpose(
    f"a step ({_UNDO})",
    _FEWER_ROWS,
    runs_phases=True,
    updates=True,
    drops=True,
    groups_rows=True,
    stores_gradient=True,
)
GRADIENT_STEP = Purpose(f"a step ({_UNDO})", _FEWER_ROWS, runs_phases=True, updates=True, takes_gradient=True)
PASS = Purpose(
    f"a forward and a backward pass {_ROWS}",
    _FEWER_ROWS,
    runs_phases=True,
    drops=True,
    stores_gradient=True,
    takes_gradient=True,
)
LOSS = Purpose(f"a loss {_ROWS}", _NARROWER, stores_gradient=True)
VALIDATION = Purpose(f"a validation {_ROWS}", _NARROWER, stores_gradient=True)
JACOBIAN = Purpose(f"gradients of the inputs {_ROWS}", _NARROWER, takes_gradient=True)
PREDICTION = Purpose(f"a prediction {_ROWS}", _NARROWER, backward=False)
