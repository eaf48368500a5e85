"""The metrics of rows of outputs, as weighted means in float64, one row after the other.

Formulas: `fastmlp.metrics`. The sums there are those of NumPy, so the last bits differ.
"""

from __future__ import annotations

import math

import numpy as np

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import inline
from fastmlp.kernels.phases.forward import target_row_at
from fastmlp.kernels.tables import (
    ACCURACY,
    MEAN_ABSOLUTE_ERROR,
    MEAN_SQUARED_ERROR,
    R2,
    READS_CLASSES,
    READS_HALVES,
    READS_LABELS,
    Evaluation,
    Plan,
)
from fastmlp.kernels.vocabulary.pointers import exists, offset


@inline
def metric_value(evaluation: Evaluation, plan: Plan, code: int) -> float:
    """Return one metric of the outputs."""
    if code == ACCURACY:
        if evaluation.reads == READS_LABELS or evaluation.reads == READS_CLASSES:
            return sum_of_right_classes(evaluation, plan) / evaluation.weight_sum
        return mean_of_right_decisions(evaluation, plan)
    if code == MEAN_ABSOLUTE_ERROR:
        return mean_absolute_error(evaluation, plan)
    sum_squares(evaluation, plan)
    total, count = 0.0, evaluation.estimates
    for j in range(count):
        mean = evaluation.sums[j] / evaluation.weight_sum
        if code == MEAN_SQUARED_ERROR:
            total += mean
        elif code == R2:
            total += r2_of_output(evaluation.sums[j], evaluation.totals[j])
        else:
            total += math.sqrt(mean)
    return total / count


@inline
def r2_of_output(residual: float, total: float) -> float:
    """Return R2 of one output: of true values that are all equal 1 if every prediction is exact, else 0."""
    if total > 0.0:
        return 1.0 - residual / total
    return 1.0 if residual == 0.0 else 0.0


@inline
def weight_at(plan: Plan, position: int) -> float:
    """Return the weight of the row at a position."""
    return plan.sample_weights[target_row_at(plan, position)] if exists(plan.sample_weights) else 1.0


@inline
def argmax(values: Reals, count: int) -> int:
    """Return the place of the largest of some numbers, the first of equal ones; of a NaN if there is one."""
    best = 0
    for i in range(1, count):
        if values[best] == values[best] and not values[i] <= values[best]:
            best = i
    return best


@inline
def sum_of_right_classes(evaluation: Evaluation, plan: Plan) -> float:
    """Return the sum of the weights of the rows whose largest output is that of their class."""
    total, units = 0.0, evaluation.estimates
    for row in range(evaluation.rows):
        found = argmax(offset(evaluation.outputs, row * units), units)
        target = target_row_at(plan, row)
        if evaluation.reads == READS_LABELS:
            right = plan.labels[target]
        else:
            right = argmax(offset(plan.y, target * plan.y_stride), units)
        if found == right:
            total += weight_at(plan, row)
    return total


@inline
def mean_of_right_decisions(evaluation: Evaluation, plan: Plan) -> float:
    """Return the mean over the outputs of the weighted shares of right decisions."""
    units, sums, halves = evaluation.estimates, evaluation.sums, evaluation.reads == READS_HALVES
    for j in range(units):
        sums[j] = 0.0
    for row in range(evaluation.rows):
        out = offset(evaluation.outputs, row * units)
        y = offset(plan.y, target_row_at(plan, row) * plan.y_stride)
        weight = weight_at(plan, row)
        for j in range(units):
            same = (out[j] >= 0.5) == (y[j] >= 0.5) if halves else (out[j] > 0.0) == (y[j] > 0.0)
            if same:
                sums[j] += weight
    total = 0.0
    for j in range(units):
        total += sums[j] / evaluation.weight_sum
    return total / units


@inline
def estimates_of(evaluation: Evaluation, plan: Plan, row: int) -> tuple[Reals, Reals]:
    """Return the first output that estimates a target, and the targets, of a row."""
    units = plan.layers[plan.layer_count - 1].units
    out = offset(evaluation.outputs, row * units + evaluation.first_estimate)
    return out, offset(plan.y, target_row_at(plan, row) * plan.y_stride)


@inline
def mean_absolute_error(evaluation: Evaluation, plan: Plan) -> float:
    """Return the weighted mean of the absolute errors, averaged over the targets."""
    total, count, step = 0.0, evaluation.estimates, evaluation.estimate_step
    for row in range(evaluation.rows):
        out, y = estimates_of(evaluation, plan, row)
        errors = 0.0
        for j in range(count):
            errors += abs(np.float64(y[j]) - np.float64(out[j * step]))
        total += errors / count * weight_at(plan, row)
    return total / evaluation.weight_sum


@inline
def sum_squares(evaluation: Evaluation, plan: Plan) -> None:
    """Write the weighted sum of the squared errors of each target to `sums`."""
    count, step, sums = evaluation.estimates, evaluation.estimate_step, evaluation.sums
    for j in range(count):
        sums[j] = 0.0
    for row in range(evaluation.rows):
        out, y = estimates_of(evaluation, plan, row)
        weight = weight_at(plan, row)
        for j in range(count):
            error = np.float64(y[j]) - np.float64(out[j * step])
            sums[j] += error * error * weight
