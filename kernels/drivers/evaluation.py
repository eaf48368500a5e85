"""The driver of an evaluation: the loss and the metrics of rows that do not change, such as those of validation.

Small work is one call on one thread. Of larger work Python runs the pieces on several threads, and the sums here, so
the bits are the same.
"""

from __future__ import annotations

from fastmlp.kernels.drivers.step import sum_of_losses, sum_of_penalties
from fastmlp.kernels.host.annotations import Floats
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.phases.metrics import metric_value
from fastmlp.kernels.tables import AnyPlan, Evaluation
from fastmlp.kernels.vocabulary.pointers import call, null_like, offset


@kernel()
def sum_losses(losses: Floats, rows: int) -> float:
    """Return the sum of the losses of some rows."""
    return sum_of_losses(losses, rows)


@kernel()
def sum_penalties(plan: AnyPlan) -> float:
    """Return the sum of the penalties of all blocks of a plan."""
    return sum_of_penalties(plan)


@kernel()
def evaluate(evaluation: Evaluation) -> None:
    """Compute the loss and the metrics of all rows on one thread."""
    plan = evaluation.plan[0]
    plan.threads = 1
    evaluation.loss_sum = 0.0
    for start in range(0, evaluation.rows, evaluation.piece_rows):
        begin_piece_of(evaluation, start)
        call(plan.rows_region, (plan, null_like(plan.row_losses), 0))
        evaluation.loss_sum += sum_of_losses(plan.row_losses, plan.rows)
    finish(evaluation)


@kernel()
def begin_piece(evaluation: Evaluation, start: int) -> None:
    """Point the plan to the rows of the piece that begins with row `start`."""
    begin_piece_of(evaluation, start)


@kernel()
def end_piece(evaluation: Evaluation) -> None:
    """Add the losses of the current piece."""
    plan = evaluation.plan[0]
    evaluation.loss_sum += sum_of_losses(plan.row_losses, plan.rows)


@kernel()
def finish_evaluation(evaluation: Evaluation) -> None:
    """Compute the values from the sums of all pieces and the outputs of all rows."""
    finish(evaluation)


@inline
def begin_piece_of(evaluation: Evaluation, start: int) -> None:
    """Point the plan to the rows of the piece that begins with row `start`."""
    plan = evaluation.plan[0]
    units = plan.layers[plan.layer_count - 1].units
    plan.position, plan.rows = start, min(evaluation.piece_rows, evaluation.rows - start)
    plan.output = offset(evaluation.outputs, start * units)


@inline
def finish(evaluation: Evaluation) -> None:
    """Compute the loss, penalties included, and the metrics."""
    plan, values = evaluation.plan[0], evaluation.values
    values[0] = evaluation.loss_sum / evaluation.weight_sum
    if evaluation.penalised != 0:
        plan.threads, plan.rows, plan.penalised = 1, 0, 1
        call(plan.gradients_region, (plan, null_like(plan.row_losses), 0))
        values[0] += sum_of_penalties(plan)
    for i in range(evaluation.metric_count):
        values[1 + i] = metric_value(evaluation, plan, evaluation.metrics[i])
