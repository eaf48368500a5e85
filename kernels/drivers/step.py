"""What lies between the phases of a step: which rows it takes, what its loss is, what follows.

A step is a sequence of phases, a region each, cut into shares that threads take side by side. The plan holds the
sequence as a table, so that one text runs steps of every kind: rows and tiles on one thread, and on several what moves
the least between their caches.
"""

from __future__ import annotations

import numpy as np

from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Floats, Ints, inline
from fastmlp.kernels.layout import LEAST_WEIGHT
from fastmlp.kernels.phases.epoch import begin_epoch
from fastmlp.kernels.phases.forward import target_number
from fastmlp.kernels.vocabulary.simd import floats_at, ints_at, offset


@inline
def first_phase(plan: Ints, count: int) -> bool:
    """Begin a call of `count` steps; False where there is nothing to do."""
    plan[at.STEPS_DONE] = plan[at.BROKEN] = 0
    return next_step(plan, count)


@inline
def next_step(plan: Ints, count: int) -> bool:
    """Go to the first phase of the next step, or to what an epoch begins with; False where the call is over."""
    if plan[at.STEPS_DONE] >= count:
        return False
    go_to(plan, at.FIRST_PHASE if plan[at.READY] != 0 else at.KEEP_PHASE)
    return True


@inline
def next_phase(plan: Ints, results: Floats, count: int) -> bool:
    """After all of a phase is done: what is to be done once, and the next phase; False where the call is over."""
    then = phase_row(plan)[at.THEN]
    if then == at.BEGIN_EPOCH:
        begin_epoch(plan)
        return next_step(plan, count)
    if then == at.END_EPOCH:
        return plan[at.BROKEN] == 0 and next_step(plan, count)
    if then == at.TAKE_LOSSES and not take_losses(plan, result_row(plan, results)):
        return False
    if then == at.CHOOSE_FACTOR:
        choose_factor(plan)
    if then == at.END_STEP:
        end_step(plan, result_row(plan, results))
        if plan[at.READY] != 0:
            return next_step(plan, count)
        go_to(plan, at.CHECK_PHASE)
        return True
    go_to(plan, plan[at.PHASE] + 1)
    return True


@inline
def go_to(plan: Ints, phase: int) -> None:
    """Make that phase of the program the one under way."""
    plan[at.PHASE] = phase
    if phase == at.FIRST_PHASE:
        choose_rows(plan)
    row = phase_row(plan)
    plan[at.REGION_OF_PHASE], plan[at.LAYER_OF_PHASE] = row[at.REGION], row[at.FROM_LAYER]


@inline
def phase_row(plan: Ints) -> Ints:
    """The program's words on the phase under way."""
    return offset(ints_at(plan[at.PROGRAM]), plan[at.PHASE] * at.PHASE_ROW)


@inline
def result_row(plan: Ints, results: Floats) -> Floats:
    """The row of results of the step under way."""
    return offset(results, plan[at.STEPS_DONE] * at.RESULT_ROW)


@inline
def choose_rows(plan: Ints) -> None:
    """Say which rows this step takes, the reciprocal of the sum of their weights, and how much penalties count."""
    done = ints_at(plan[at.STATE])[at.BATCH_OF_EPOCH] * plan[at.BATCH]
    plan[at.POSITION] = done - plan[at.STAGED_FROM]
    plan[at.ROWS] = min(plan[at.BATCH], plan[at.SAMPLES] - done)
    total = sum_of_weights(plan) if plan[at.SAMPLE_WEIGHTS] != 0 else float(plan[at.ROWS])
    numbers = floats_at(plan[at.NUMBERS])
    numbers[at.SCALE] = 1.0 / total if total >= LEAST_WEIGHT else 0.0
    numbers[at.SUM_OF_WEIGHTS] = total
    numbers[at.PENALTY_FACTOR] = numbers[at.SCALE] if plan[at.AVERAGED] != 0 else 1.0


@inline
def take_losses(plan: Ints, result: Floats) -> bool:
    """Add up the losses of this step's rows; False where that is not finite.

    Rows 0, 8, 16 ... are one chain of additions, 1, 9, 17 ... the next: 10000 rows in a single chain take 11 us.
    """
    losses = floats_at(plan[at.ROW_LOSSES])
    rows = plan[at.ROWS]
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
    result[at.LOSS_SUM] = total
    result[at.WEIGHT_SUM] = floats_at(plan[at.NUMBERS])[at.SUM_OF_WEIGHTS]
    return bool(np.isfinite(total))


@inline
def sum_of_weights(plan: Ints) -> float:
    """The weights of this step's rows, added up in their order."""
    weights = floats_at(plan[at.SAMPLE_WEIGHTS])
    total = 0.0
    for r in range(plan[at.ROWS]):
        total += weights[target_number(plan, plan[at.POSITION] + r)]
    return total


@inline
def sum_of_penalties(plan: Ints) -> float:
    """The penalties of all blocks, added up in their order."""
    total = 0.0
    if plan[at.PENALISED] != 0:
        penalties = floats_at(plan[at.TILE_PENALTIES])
        for tile in range(plan[at.TILES]):
            total += penalties[tile]
    return total


@inline
def choose_factor(plan: Ints) -> None:
    """What brings the norm of the whole gradient to its limit: `min(limit / (norm + 1e-6), 1)`."""
    numbers, squares = floats_at(plan[at.NUMBERS]), floats_at(plan[at.TILE_SQUARES])
    total = 0.0
    for tile in range(plan[at.TILES]):
        total += squares[tile]
    factor = numbers[at.CLIP_NORM] / (np.sqrt(total) + 1e-6)
    numbers[at.CLIP_FACTOR] = factor if factor < 1.0 else 1.0


@inline
def end_step(plan: Ints, result: Floats) -> None:
    """Add the step to the totals of the epoch and count it, and the epoch where it is over."""
    state = ints_at(plan[at.STATE])
    totals = floats_at(plan[at.TOTALS])
    result[at.PENALTY] = sum_of_penalties(plan)
    for i in range(3):
        totals[i] = result[i] if state[at.BATCH_OF_EPOCH] == 0 else totals[i] + result[i]
        result[at.EPOCH_LOSS_SUM + i] = totals[i]
    plan[at.STEPS_DONE] += 1
    state[at.STEP] += 1
    state[at.BATCH_OF_EPOCH] += 1
    if state[at.BATCH_OF_EPOCH] * plan[at.BATCH] >= plan[at.SAMPLES]:
        state[at.BATCH_OF_EPOCH] = 0
        state[at.EPOCH] += 1
        plan[at.READY] = 0
