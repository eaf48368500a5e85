"""The transitions between the phases of a step: the rows of the step, its loss, and the next phase.

A step is a sequence of phases. The kernel of a phase is a region: it computes one share of the phase, and threads
compute the shares in parallel. The plan holds the sequence as a table, so the same driver runs steps of every kind:
rows and blocks on one thread, and on several threads the phases that move the fewest bytes between their caches.
"""

from __future__ import annotations

import numpy as np

from fastmlp.kernels.host.annotations import Floats, Records
from fastmlp.kernels.host.jit import inline
from fastmlp.kernels.layout import MIN_WEIGHT_SUM
from fastmlp.kernels.phases.epoch import begin_epoch
from fastmlp.kernels.phases.forward import target_row_at
from fastmlp.kernels.tables import (
    BEGIN_EPOCH,
    CHECK_PHASE,
    CHOOSE_FACTOR,
    END_CALL,
    END_EPOCH,
    END_STEP,
    FIRST_PHASE,
    SNAPSHOT_PHASE,
    TAKE_LOSSES,
    Plan,
    Result,
)
from fastmlp.kernels.vocabulary.pointers import exists


@inline
def first_phase(plan: Plan, count: int) -> bool:
    """Begin a call of `count` steps. Return False if there is nothing to do."""
    plan.steps_done = plan.not_finite = 0
    return next_step(plan, count)


@inline
def next_step(plan: Plan, count: int) -> bool:
    """Begin the next step, or the snapshot before a new epoch. Return False if the call is over."""
    if plan.steps_done >= count:
        return False
    go_to(plan, FIRST_PHASE if plan.epoch_ready != 0 else SNAPSHOT_PHASE)
    return True


@inline
def next_phase(plan: Plan, results: Records[Result], count: int) -> bool:
    """Do the work that follows a phase once, and begin the next phase. Return False if the call is over."""
    then = plan.phases[plan.phase].then
    if then == BEGIN_EPOCH:
        begin_epoch(plan)
        return next_step(plan, count)
    if then == END_EPOCH:
        return plan.not_finite == 0 and next_step(plan, count)
    if then == END_CALL:
        return False
    if then == TAKE_LOSSES and not take_losses(plan, results[plan.steps_done]):
        return False
    if then == CHOOSE_FACTOR:
        choose_factor(plan)
    if then == END_STEP:
        end_step(plan, results[plan.steps_done])
        if plan.epoch_ready != 0:
            return next_step(plan, count)
        go_to(plan, CHECK_PHASE)
        return True
    go_to(plan, plan.phase + 1)
    return True


@inline
def go_to(plan: Plan, phase: int) -> None:
    """Begin a phase: write its region and layer, and for the first phase of a step its rows."""
    plan.phase = phase
    if phase == FIRST_PHASE:
        choose_rows(plan)
    row = plan.phases[phase]
    plan.region, plan.layer = row.region, row.layer


@inline
def choose_rows(plan: Plan) -> None:
    """Write the rows of this step, the reciprocal of the sum of their weights, and the factor of penalties."""
    done = plan.state[0].batch * plan.batch_size
    plan.position = done - plan.staged_from
    plan.rows = min(plan.batch_size, plan.samples - done)
    total = sum_of_weights(plan) if exists(plan.sample_weights) else float(plan.rows)
    plan.scale = 1.0 / total if total >= MIN_WEIGHT_SUM else 0.0
    plan.sum_of_weights = total
    plan.penalty_factor = plan.scale if plan.averages_penalties != 0 else 1.0


@inline
def take_losses(plan: Plan, result: Result) -> bool:
    """Sum the losses of this step's rows. Return False if the sum is not finite."""
    total = sum_of_losses(plan.row_losses, plan.rows)
    result.loss_sum = total
    result.weight_sum = plan.sum_of_weights
    return bool(np.isfinite(total))


@inline
def sum_of_losses(losses: Floats, rows: int) -> float:
    """Return the sum of the losses of some rows.

    Rows 0, 8, 16 ... form one chain of additions, rows 1, 9, 17 ... the next: 10000 rows in a single chain take 11 us.
    """
    a = b = c = d = e = f = g = h = 0.0
    whole = rows // 8 * 8
    for r in range(0, whole, 8):
        a += losses[r]
        b += losses[r + 1]
        c += losses[r + 2]
        d += losses[r + 3]
        e += losses[r + 4]
        f += losses[r + 5]
        g += losses[r + 6]
        h += losses[r + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for r in range(whole, rows):
        total += losses[r]
    return total


@inline
def sum_of_weights(plan: Plan) -> float:
    """Return the sum of the weights of this step's rows, in the order of the rows."""
    weights = plan.sample_weights
    total = 0.0
    for r in range(plan.rows):
        total += weights[target_row_at(plan, plan.position + r)]
    return total


@inline
def sum_of_penalties(plan: Plan) -> float:
    """Return the sum of the penalties of all blocks, in the order of the blocks."""
    total = 0.0
    if plan.penalised != 0:
        for block in range(plan.block_count):
            total += plan.block_penalties[block]
    return total


@inline
def choose_factor(plan: Plan) -> None:
    """Write the factor that limits the norm of the whole gradient: `min(limit / (norm + 1e-6), 1)`."""
    total = 0.0
    for block in range(plan.block_count):
        total += plan.block_squares[block]
    factor = plan.clip_norm / (np.sqrt(total) + 1e-6)
    plan.clip_factor = factor if factor < 1.0 else 1.0


@inline
def end_step(plan: Plan, result: Result) -> None:
    """Add the step to the sums of the epoch, and advance the counters of steps, batches and epochs."""
    state = plan.state[0]
    result.penalty = sum_of_penalties(plan)
    first = state.batch == 0
    state.loss_sum = result.loss_sum if first else state.loss_sum + result.loss_sum
    state.weight_sum = result.weight_sum if first else state.weight_sum + result.weight_sum
    state.penalty_sum = result.penalty if first else state.penalty_sum + result.penalty
    result.epoch_loss_sum = state.loss_sum
    result.epoch_weight_sum, result.epoch_penalty_sum = state.weight_sum, state.penalty_sum
    plan.steps_done += 1
    state.step += 1
    state.batch += 1
    if state.batch * plan.batch_size >= plan.samples:
        state.batch = 0
        state.epoch += 1
        plan.epoch_ready = 0
