"""Evaluations of rows that do not change: their loss and metrics after each epoch, by kernels that are pointed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import FLOAT64, converted, converted_if_small
from fastmlp._data.samples import Samples
from fastmlp._data.staging import kernel_ready_pieces, point_to_inputs, point_to_targets
from fastmlp._data.weights import total_weight
from fastmlp._engine import inference
from fastmlp._engine.flops import SERIAL_FLOPS, forward_flops
from fastmlp._engine.plan import Plan, Plans
from fastmlp._engine.purposes import LOSS, VALIDATION, Purpose
from fastmlp._engine.records import address_of, new_record
from fastmlp._runtime.buffers import address
from fastmlp.architecture import Architecture
from fastmlp.kernels import tables
from fastmlp.kernels.drivers.evaluation import begin_piece, end_piece, evaluate, finish_evaluation
from fastmlp.metrics.evaluation import SelectedMetrics
from fastmlp.metrics.registry import METRICS, TARGET_KINDS

CODES = {
    "accuracy": tables.ACCURACY,
    "mean_absolute_error": tables.MEAN_ABSOLUTE_ERROR,
    "mean_squared_error": tables.MEAN_SQUARED_ERROR,
    "root_mean_squared_error": tables.ROOT_MEAN_SQUARED_ERROR,
    "r2": tables.R2,
}
"""The metrics that kernels compute, and their codes."""


def can_evaluate(metrics: SelectedMetrics) -> bool:
    """Return whether kernels can compute all of the metrics."""
    return all(name in CODES and METRICS.get(name) is metric for name, metric in metrics.items())


class Evaluation:
    """The loss and the metrics of samples, with the same bits for any layout and any number of threads.

    Kernels are pointed once to samples that they can read where they are. Others are converted in each call, X a piece
    at a time.

    Parameters
    ----------
    plans : Plans
        The plans of the network.
    samples : Samples
        The samples.
    metrics : mapping
        The metrics, by name, for which `can_evaluate` is true.
    in_one_call : bool, optional
        Whether one call evaluates all rows on one thread. None decides by the work.

    Attributes
    ----------
    record : record of `fastmlp.kernels.tables.Evaluation`
        The table that the kernels read.
    plan : Plan
        The plan that evaluates.
    values : ndarray
        The loss and the metrics of the last evaluation.
    """

    def __init__(
        self, plans: Plans, samples: Samples, metrics: SelectedMetrics, in_one_call: bool | None = None
    ) -> None:
        architecture, rows = plans.parameters.architecture, len(samples.X)
        self.names = ("loss", *metrics)
        self._plans, self._architecture = plans, architecture
        self._piece_rows = inference.gradient_rows(plans, rows)
        self._outputs = np.empty((rows, architecture.outputs), architecture.dtype)
        self.values, self._codes = np.empty(len(self.names)), np.array([CODES[name] for name in metrics], np.int64)
        self._samples = samples._replace(X=converted_if_small(samples.X, architecture.dtype))
        small = forward_flops(architecture, rows) < SERIAL_FLOPS
        self._in_one_call = self._samples.are_kernel_ready() and (small if in_one_call is None else in_one_call)
        self.record = self._filled(samples, metrics)
        self.plan = self._pointed(VALIDATION if self._in_one_call else LOSS)
        functions = (evaluate, begin_piece, end_piece, finish_evaluation)
        self._evaluate, *self._pieces = (kernel.function_for(architecture.dtype) for kernel in functions)

    @property
    def buffers(self) -> tuple[NDArray[Any], ...]:
        """The arrays that an evaluation overwrites."""
        return self._outputs, self._sums

    def __call__(self) -> dict[str, float]:
        """Return the loss, penalties included, and the metrics by their names."""
        self.record.penalised = self._plans.parameters.architecture.penalised  # layers may rest meanwhile
        if self._in_one_call:
            self.plan.follow_rests()
            self._evaluate(address_of(self.record))
        else:
            self._evaluate_pieces()
        return dict(zip(self.names, self.values.tolist(), strict=True))

    def _evaluate_pieces(self) -> None:
        """Compute the rows a piece at a time, on several threads if that is faster.

        Other inferences use the same plan, so it is pointed to the rows anew, and left as they expect it.
        """
        plan, place, (begin, end, finish) = self._pointed(LOSS), address_of(self.record), self._pieces
        X, targets, weights = self._samples
        targets = targets if targets.kernel_ready else targets.take(slice(None))
        weights = None if weights is None else converted(weights[:], FLOAT64)
        point_to_targets(plan.record, targets, weights)
        self.record.loss_sum = 0.0
        try:
            for start, piece in kernel_ready_pieces(X, self._architecture.dtype, self._piece_rows):
                point_to_inputs(plan.record, piece)
                plan.record.x -= start * piece.strides[0]  # kernels count from the first row of all
                begin(place, start)
                inference.run(plan, "rows_region", forward_flops(self._architecture, len(piece)))
                end(place)
            finish(place)
        finally:
            plan.record.position, plan.record.writes_output = 0, 0

    def _pointed(self, purpose: Purpose) -> Plan:
        """Return a plan that evaluates. One that belongs to this evaluation is pointed to its rows for good."""
        plan = self._plans.get(purpose, self._piece_rows)
        record, weight = plan.record, self.record.weight_sum
        record.backward, record.scale = 0, 0.0
        record.penalty_factor = 1.0 / weight if record.averages_penalties else 1.0
        record.writes_output, record.output_stride = 1, self._architecture.outputs
        if purpose is VALIDATION:
            X, targets, weights = self._samples
            assert isinstance(X, np.ndarray)
            point_to_inputs(record, X)
            point_to_targets(record, targets, weights if isinstance(weights, np.ndarray) else None)
            record.accumulates = 0
        self.record.plan = plan.address  # type: ignore[assignment]
        return plan

    def _filled(self, samples: Samples, metrics: SelectedMetrics) -> tables.Evaluation:
        architecture, loss = self._architecture, self._architecture.loss
        record: tables.Evaluation = new_record(tables.Evaluation)
        weight = total_weight(samples.weights, len(samples.X))
        estimates = range(architecture.outputs)[loss.estimates(architecture.outputs)]
        self._sums, self._totals = np.zeros(len(estimates)), squares_around_mean(samples, metrics, weight)
        record.rows, record.piece_rows = len(samples.X), self._piece_rows
        record.weight_sum, record.penalised = weight, architecture.penalised
        record.reads = _reads(architecture, samples)
        record.first_estimate, record.estimate_step, record.estimates = estimates.start, estimates.step, len(estimates)
        record.metric_count = len(self._codes)
        for name, array in (
            ("outputs", self._outputs),
            ("metrics", self._codes),
            ("totals", self._totals),
            ("sums", self._sums),
            ("values", self.values),
        ):
            setattr(record, name, address(array))
        return record


def _reads(architecture: Architecture, samples: Samples) -> int:
    """Return what the metrics compare."""
    kind = TARGET_KINDS[architecture.loss.targets]
    if kind.default_metrics != ("accuracy",):
        return tables.READS_NUMBERS
    if kind.positive is None:
        return tables.READS_CLASSES if samples.targets.labels is None else tables.READS_LABELS
    return tables.READS_HALVES if architecture.loss.targets == "binary" else tables.READS_SIGNS


def squares_around_mean(samples: Samples, metrics: SelectedMetrics, weight: float) -> NDArray[np.float64]:
    """Return for each target the weighted sum of the squares of its differences from the weighted mean, for r2."""
    if "r2" not in metrics:
        return np.zeros(1)
    y = converted(samples.targets.as_array(), FLOAT64)
    weights = np.ones(len(y)) if samples.weights is None else converted(samples.weights[:], FLOAT64)
    equal = (y == y[:1])[weights > 0].all(axis=0)
    with np.errstate(all="ignore"):  # infinity and NaN are valid results
        means = (y * weights[:, np.newaxis]).sum(axis=0) / weight
        totals: NDArray[np.float64] = ((y - means) ** 2 * weights[:, np.newaxis]).sum(axis=0)
    return np.ascontiguousarray(np.where(equal, 0.0, totals))


Evaluate = Callable[[], dict[str, float]]
"""A function that returns the loss and the metrics of the rows of validation."""
