"""Inference: predictions, losses, gradients, and the Jacobian of the outputs.

The kernels read X a piece at a time, so that no buffer grows with the number of rows.
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import RowArray, converted, raise_not_finite
from fastmlp._data.staging import kernel_ready_pieces, point_to_inputs, point_to_targets
from fastmlp._data.targets import Targets
from fastmlp._data.weights import Weights, total_weight
from fastmlp._engine.flops import SERIAL_FLOPS, forward_flops
from fastmlp._engine.plan import Plan, Plans
from fastmlp._engine.purposes import JACOBIAN, LOSS, PREDICTION
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address
from fastmlp.kernels.drivers.evaluation import sum_losses, sum_penalties
from fastmlp.kernels.drivers.regions import region_parallel, region_serial
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.layout import MIN_WEIGHT_SUM, PANEL, STEP_ROW
from fastmlp.kernels.phases.inputs import input_deltas_region, transposes_region

PREDICT_ROWS = 256  # rows that a thread computes together through all layers
GRADIENT_ROWS = 1024  # rows of which losses and gradients are computed at a time
BUFFER_BYTES = 128 << 20  # the maximum memory for activations, unless 16 rows need more

_FLOAT64, _INT64 = np.dtype(np.float64), np.dtype(np.int64)


def prepare(plans: Plans, rows: int) -> None:
    """Make the plans, and load the kernels, for a loss and a prediction of `rows` rows."""
    plans.get(LOSS, gradient_rows(plans, rows))
    plans.get(PREDICTION, _prediction_rows(plans, rows, None))
    for driver in (region_serial, region_parallel) if plans.thread_count() > 1 else (region_serial,):
        driver.address(_INT64)


def predict(plans: Plans, X: RowArray, layer: int | None = None, batch_size: int | None = None) -> NDArray[Any]:
    """Return the activations (n, units) of a layer; None is the output layer.

    Raises
    ------
    ValueError
        If a value of X is NaN, infinite or too large for the dtype. The kernels check that.
    """
    architecture = plans.parameters.architecture
    index = len(architecture.layers) - 1 if layer is None else layer
    units = architecture.layers[index].units
    memory.require(len(X) * units * architecture.dtype.itemsize, *_PREDICTIONS)
    plan = plans.get(PREDICTION, _prediction_rows(plans, len(X), batch_size))
    out = np.empty((len(X), units), architecture.dtype)
    record = plan.record
    record.output_layer, record.output_stride = index, out.shape[1]
    for start, piece in kernel_ready_pieces(X, architecture.dtype):
        point_to_inputs(plan.record, piece)
        record.output = address(out) + start * out.strides[0]
        record.rows = len(piece)
        record.not_finite = 0
        run(plan, "rows_region", forward_flops(architecture, len(piece)))
        if record.not_finite:
            raise_not_finite(X, architecture.dtype)
    return out


def hidden(plans: Plans, X: RowArray) -> list[NDArray[Any]]:
    """Return the activations (n, units) of every hidden layer."""
    architecture = plans.parameters.architecture
    layers = architecture.layers[:-1]
    size = len(X) * sum(layer.units for layer in layers) * architecture.dtype.itemsize
    memory.require(size, "the activations of all hidden layers, (n, units) each,", _PREDICTIONS[1])
    return [predict(plans, X, layer) for layer in range(len(layers))]


def loss(
    plans: Plans, X: RowArray, targets: Targets, weights: Weights | None, out: NDArray[Any] | None = None
) -> float:
    """Return the weighted mean of the losses of the rows, penalties included, dropout off.

    `out` (n, outputs) receives the output activations, with the bits of `predict`.
    """
    plan = plans.get(LOSS, gradient_rows(plans, len(X)))
    plan.record.backward = 0
    mean = _mean_loss(plan, X, targets, weights, out)
    return mean + _penalties(plan)


def loss_and_gradient(
    plans: Plans, X: RowArray, targets: Targets, weights: Weights | None
) -> tuple[float, NDArray[Any]]:
    """Return the loss, penalties included, and its gradient in the layout of the parameter vector.

    The gradient is a buffer that the next call overwrites.
    """
    plan = plans.get(LOSS, gradient_rows(plans, len(X)))
    plan.record.backward = 1
    gradient = plan.buffer("gradient")
    gradient[:] = 0
    mean = _mean_loss(plan, X, targets, weights)
    return mean + _penalties(plan), gradient


def jacobian(plans: Plans, X: RowArray) -> NDArray[Any]:
    """Return the derivative of each output with respect to each input, (n, outputs, inputs)."""
    architecture = plans.parameters.architecture
    size = len(X) * architecture.outputs * architecture.inputs * architecture.dtype.itemsize
    memory.require(size, "the gradients of the inputs, (n, outputs, inputs),", _PREDICTIONS[1])
    plan = plans.get(JACOBIAN, gradient_rows(plans, len(X)))
    result = np.empty((len(X), architecture.outputs, architecture.inputs), architecture.dtype)
    plan.record.output_stride = result[:1].size
    _run_alone(plan, transposes_region)
    for start, piece in kernel_ready_pieces(X, architecture.dtype, plan.rows):
        for output in range(architecture.outputs):
            seed = np.zeros((len(piece), architecture.outputs), architecture.dtype)  # dJ/dA: 1 at one output
            seed[:, output] = 1
            point_to_inputs(plan.record, piece)
            point_to_targets(plan.record, Targets(None, seed, architecture), None)
            plan.record.rows = len(piece)
            run(plan, "rows_region", 0.0)
            plan.record.output = address(result[start:, output])
            _run_alone(plan, input_deltas_region)
    return result


_PREDICTIONS = ("the activations of all rows, (n, units),", "fewer rows in a call would take less")


def gradient_rows(plans: Plans, rows: int) -> int:
    """Return how many rows are computed together; only the network decides this number, because it decides bits."""
    architecture = plans.parameters.architecture
    columns = architecture.inputs + 3 * architecture.units
    return max(min(rows, GRADIENT_ROWS, _rows_that_fit(columns * architecture.dtype.itemsize)), 1)


def _prediction_rows(plans: Plans, rows: int, batch_size: int | None) -> int:
    """Return how many rows of a prediction a thread computes together."""
    architecture = plans.parameters.architecture
    columns = architecture.inputs + architecture.units
    usual = min(PREDICT_ROWS, _rows_that_fit(columns * architecture.dtype.itemsize))
    return usual if batch_size is None else min(batch_size, max(rows, usual))


def _rows_that_fit(row_bytes: int) -> int:
    """Return how many rows of `row_bytes` bytes fit into `BUFFER_BYTES`, a multiple of 16 and at least 16."""
    return max(BUFFER_BYTES // row_bytes // PANEL, 1) * PANEL


def _mean_loss(
    plan: Plan, X: RowArray, targets: Targets, weights: Weights | None, out: NDArray[Any] | None = None
) -> float:
    """Return the weighted mean of the losses of the rows, and write the output activations to `out`.

    A plan with a backward pass also adds the gradients of the rows.
    """
    architecture = plan.parameters.architecture
    sum_of_weights = total_weight(weights, len(X))
    plan.record.scale = 1.0 / sum_of_weights if sum_of_weights >= MIN_WEIGHT_SUM else 0.0
    plan.record.penalty_factor = plan.record.scale if plan.record.averages_penalties else 1.0
    plan.record.penalised = 0
    plan.record.writes_output, plan.record.output_stride = out is not None, architecture.outputs
    losses = 0.0
    for start, piece in kernel_ready_pieces(X, architecture.dtype, plan.rows):
        rows = slice(start, start + len(piece))
        piece_weights = None if weights is None else converted(weights[rows], _FLOAT64)
        piece_targets = targets.take(rows)
        point_to_inputs(plan.record, piece)
        point_to_targets(plan.record, piece_targets, piece_weights)
        plan.record.rows = len(piece)
        if out is not None:
            plan.record.output = address(out) + start * out.strides[0]
        flops = forward_flops(architecture, len(piece))
        run(plan, "rows_region", flops)
        if plan.record.backward:
            run(plan, "gradients_region", flops)
        losses += sum_losses.function_for(_INT64)(plan.record.row_losses, len(piece))
    return losses / sum_of_weights if sum_of_weights > 0 else math.nan


def _penalties(plan: Plan) -> float:
    """Return the penalties and add their gradient to the plan's, by a pass over all blocks without rows."""
    if not plan.parameters.architecture.penalised:
        return 0.0
    plan.record.penalised, plan.record.rows = 1, 0
    run(plan, "gradients_region", 0.0)
    return float(sum_penalties.function_for(_INT64)(plan.address))


_STEP = np.zeros(STEP_ROW)  # the constants of a step, which an inference does not use
_STEP_ADDRESS = address(_STEP)


def _run_alone(plan: Plan, region: Kernel) -> None:
    """Run a region on one thread."""
    plan.record.threads = 1
    code = region.address(plan.parameters.architecture.dtype)
    region_serial.function_for(_INT64)(code, plan.address, _STEP_ADDRESS)


def run(plan: Plan, region: str, flops: float) -> None:
    """Run the region in a field of the plan, in parallel if that is faster."""
    record = plan.record
    arguments = (getattr(record, region), plan.address, _STEP_ADDRESS)
    if plan.threads == 1 or flops < SERIAL_FLOPS:
        record.threads = 1
        region_serial.function_for(_INT64)(*arguments)
        return
    tuner = plan.tuner(region, plan.threads, record.rows)
    parallel = tuner.parallel() and threads.available(plan.threads) > 1
    record.threads = plan.threads if parallel else 1
    driver = (region_parallel if parallel else region_serial).function_for(_INT64)
    started = time.perf_counter()
    with threads.limited_to(plan.threads) if parallel else contextlib.nullcontext():
        driver(*arguments)
    tuner.measured(parallel, time.perf_counter() - started)
