"""The buffers of a plan and their sizes, for a purpose and a number of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmlp._engine.parameters import panels
from fastmlp._engine.purposes import Purpose
from fastmlp._engine.step_plan import CHUNK_ROWS, RowBlocking, row_blocking
from fastmlp.activations import Activation, OwnActivation
from fastmlp.architecture import Architecture, Layer
from fastmlp.kernels.layout import PANEL, TEAM_CLAIMS, TEAM_LINE, WORK, loss_workspace
from fastmlp.kernels.operations.activations import ACTIVATIONS, ActivationKernels
from fastmlp.kernels.operations.columns import COLUMNS
from fastmlp.kernels.operations.user_functions import activation_kernels

BufferSizes = dict[str, tuple[int, Any]]
"""From the field of the plan that points to a buffer to its number of elements and dtype."""


def buffer_sizes(
    architecture: Architecture, parameter_count: int, purpose: Purpose, rows: int, threads: int
) -> BufferSizes:
    """Return the size of each buffer of a plan. All layers share the buffers "activations" and "deltas"."""
    blocking = blocking_for(architecture, purpose, rows)
    capacity = capacity_for(blocking, purpose, rows, threads)
    dtype, stride = architecture.dtype, capacity * PANEL
    layers = architecture.layers
    columns = target_columns(architecture, purpose)
    widest = max(panels(columns), *(panels(layer.units) for layer in layers))
    scratch = WORK + loss_workspace(widest)
    blocks = sum(panels(layer.rows) * panels(layer.units) for layer in layers)
    sizes: BufferSizes = {
        "scratch": (scratch * threads, dtype),
        "inputs": (panels(architecture.inputs) * stride, dtype),
        "activations": (sum(_panels(layer, purpose) for layer in layers) * stride, dtype),
    }
    if purpose.backward:
        sizes["deltas"] = (sum(panels(layer.units) for layer in layers) * stride, dtype)
        sizes["targets"] = (panels(columns) * stride, dtype)
        sizes["row_weights"] = (capacity, np.float64)  # float64: their mean must not depend on their scale
        sizes["row_losses"] = (panels(rows) * PANEL, np.float64)
        sizes["block_penalties"] = (blocks, np.float64)
    clips_norm = limits_norm(architecture, purpose)
    if purpose.stores_gradient or clips_norm:
        sizes["gradient"] = (parameter_count, dtype)
    if clips_norm:
        sizes["block_squares"] = (blocks, np.float64)
    if purpose.updates:
        sizes["snapshot"] = (parameter_count * (1 + len(architecture.optimizer.slots)), dtype)
    if purpose.runs_phases:
        sizes["team"] = (TEAM_CLAIMS + threads * TEAM_LINE, np.int64)
    if blocking.groups:
        sizes["group_gradients"] = (blocking.groups * parameter_count, dtype)
    return sizes


def target_columns(architecture: Architecture, purpose: Purpose) -> int:
    """Return the numbers of a row that stand in the place of targets: those of the loss, or dJ/dA."""
    return architecture.outputs if purpose.takes_gradient else architecture.target_columns


def bytes_of(sizes: BufferSizes) -> int:
    """Return the total number of bytes of buffers."""
    return sum(count * np.dtype(kind).itemsize for count, kind in sizes.values())


def blocking_for(architecture: Architecture, purpose: Purpose, rows: int) -> RowBlocking:
    """Return the blocking of rows for a purpose."""
    return row_blocking(architecture, rows) if purpose.groups_rows else RowBlocking(0, CHUNK_ROWS)


def limits_norm(architecture: Architecture, purpose: Purpose) -> bool:
    """Return whether a plan limits the norm of the gradient."""
    return purpose.updates and architecture.clips_norm


def capacity_for(blocking: RowBlocking, purpose: Purpose, rows: int, threads: int) -> int:
    """Return the number of rows of each buffer: all rows of a batch, or for each thread the rows of one chunk."""
    per_thread = not purpose.backward or blocking.groups > 0
    return panels(blocking.chunk_rows if blocking.groups else rows) * PANEL * (threads if per_thread else 1)


def saves_derivatives(layer: Layer, purpose: Purpose) -> bool:
    """Return whether the forward pass saves g'(Z), because it does not follow from g(Z)."""
    return purpose.backward and kernels_of(layer.activation).forward_saving is not None


def kernels_of(activation: Activation) -> ActivationKernels:
    """Return the kernels of an activation, built in or registered by the user."""
    if isinstance(activation, OwnActivation):
        return activation_kernels(activation.name, activation.forward, activation.derivative)
    return ACTIVATIONS[activation.formula]


def saves_factor(layer: Layer, purpose: Purpose) -> bool:
    """Return whether the forward pass saves what W is multiplied by, because it is not A below."""
    return purpose.backward and layer.is_columns and COLUMNS[layer.kind].forward_saving is not None


def _panels(layer: Layer, purpose: Purpose) -> int:
    """Return how many panels a layer stores: of A, with dropout of g(Z) and D, saved derivatives, and the factor."""
    dropped = 2 if layer.dropout and purpose.drops else 0
    copies = 1 + dropped + saves_derivatives(layer, purpose) + saves_factor(layer, purpose)
    return copies * panels(layer.units) + saves_factor(layer, purpose)
