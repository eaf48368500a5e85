"""The drivers: many training steps in one call, each two regions (three where the norm of gradients is clipped), in a
serial and a parallel version of identical bits.

Python handles no signal before the call is over, so whatever interrupts a fit finds whole steps.

The serial one is compiled without `parallel`, so that it exists where no threading layer loads. Neither knows the
dtype: they reach everything by address.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fastmlp.kernels import layout as at
from fastmlp.kernels._jit import Floats, Ints, Reals, inline, kernel
from fastmlp.kernels.forward import share, target_number
from fastmlp.kernels.layout import LEAST_WEIGHT
from fastmlp.kernels.random import SHUFFLE_DRAW, key, shuffle
from fastmlp.kernels.simd import call, floats_at, ints_at, reals_at, shift


@kernel()
def check_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """Whether one thread's part of the parameters and slots is finite; BROKEN becomes 1 where it is not."""
    slots = reals_at(plan[at.SLOTS], weights)
    wrong = 0
    first, last = share(plan[at.PARAMETERS], thread, plan[at.THREADS])
    for i in range(first, last):
        wrong += 0 if weights[i] - weights[i] == 0.0 else 1
    first, last = share(plan[at.SLOT_COUNT] * plan[at.SLOT_STRIDE], thread, plan[at.THREADS])
    for i in range(first, last):
        wrong += 0 if slots[i] - slots[i] == 0.0 else 1
    if wrong > 0:
        plan[at.BROKEN] = 1


@kernel()
def keep_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """Copy one thread's part of the parameters and slots, so that an epoch that fails can be undone."""
    slots = reals_at(plan[at.SLOTS], weights)
    kept = reals_at(plan[at.SNAPSHOT], weights)
    kept_slots = shift(kept, plan[at.SLOT_STRIDE])
    first, last = share(plan[at.PARAMETERS], thread, plan[at.THREADS])
    for i in range(first, last):
        kept[i] = weights[i]
    first, last = share(plan[at.SLOT_COUNT] * plan[at.SLOT_STRIDE], thread, plan[at.THREADS])
    for i in range(first, last):
        kept_slots[i] = slots[i]


@inline
def begin_epoch(plan: Ints) -> None:
    """Note the counters that belong to the snapshot, and order the rows."""
    state, totals, numbers = ints_at(plan[at.STATE]), floats_at(plan[at.TOTALS]), floats_at(plan[at.NUMBERS])
    plan[at.KEPT_EPOCH], plan[at.KEPT_BATCH] = state[at.EPOCH], state[at.BATCH_OF_EPOCH]
    plan[at.KEPT_STEP] = state[at.STEP]
    for i in range(3):
        numbers[at.KEPT_TOTALS + i] = totals[i]
    order_rows(plan)
    plan[at.READY] = 1


@inline
def order_rows(plan: Ints) -> None:
    """The order of this epoch, a function of seed and epoch alone; staged rows are in order already."""
    if plan[at.ORDER] == 0:
        return
    state = ints_at(plan[at.STATE])
    order = ints_at(plan[at.ORDER])
    chosen = ints_at(plan[at.TRAINING_ROWS])
    for i in range(plan[at.SAMPLES]):
        order[i] = chosen[i] if plan[at.TRAINING_ROWS] != 0 else i
    if plan[at.SHUFFLED] != 0:
        shuffle(order, plan[at.SAMPLES], key(state[at.SEED], SHUFFLE_DRAW, state[at.EPOCH], 0))


@inline
def choose_rows(plan: Ints, result: Floats) -> None:
    """Say which rows this step takes, and the reciprocal of the sum of their weights."""
    done = ints_at(plan[at.STATE])[at.BATCH_OF_EPOCH] * plan[at.BATCH]
    plan[at.POSITION] = done - plan[at.STAGED_FROM]
    plan[at.ROWS] = min(plan[at.BATCH], plan[at.SAMPLES] - done)
    total = sum_of_weights(plan) if plan[at.SAMPLE_WEIGHTS] != 0 else float(plan[at.ROWS])
    floats_at(plan[at.NUMBERS])[at.SCALE] = 1.0 / total if total >= LEAST_WEIGHT else 0.0
    result[at.WEIGHT_SUM] = total


@inline
def take_losses(plan: Ints, result: Floats) -> bool:
    """Add up the losses of this step's rows, in their order; False where that is not finite."""
    losses = floats_at(plan[at.ROW_LOSSES])
    total = 0.0
    for r in range(plan[at.ROWS]):
        total += losses[r]
    result[at.LOSS_SUM] = total
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
    state[at.STEP] += 1
    state[at.BATCH_OF_EPOCH] += 1
    if state[at.BATCH_OF_EPOCH] * plan[at.BATCH] >= plan[at.SAMPLES]:
        state[at.BATCH_OF_EPOCH] = 0
        state[at.EPOCH] += 1
        plan[at.READY] = 0


@kernel()
def train_serial(plan: Ints, steps: Floats, results: Floats, count: int) -> int:
    """Up to `count` steps by one thread; returns how many were done, fewer where something was not finite."""
    for s in range(count):
        step, result = shift(steps, s * at.STEP_ROW), shift(results, s * at.RESULT_ROW)
        if plan[at.READY] == 0:
            plan[at.BROKEN] = 0
            call(plan[at.CHECK_REGION], (plan[at.WEIGHTS], plan, step, 0))
            if plan[at.BROKEN] != 0:
                return s
            call(plan[at.KEEP_REGION], (plan[at.WEIGHTS], plan, step, 0))
            begin_epoch(plan)
        choose_rows(plan, result)
        call(plan[at.ROWS_REGION], (plan[at.WEIGHTS], plan, step, 0))
        if not take_losses(plan, result):
            return s
        call(plan[at.TILES_REGION], (plan[at.WEIGHTS], plan, step, 0))
        if plan[at.CLIPPING] != 0:
            choose_factor(plan)
            call(plan[at.UPDATE_REGION], (plan[at.WEIGHTS], plan, step, 0))
        end_step(plan, result)
    return count


@kernel(parallel=True)
def train_parallel(plan: Ints, steps: Floats, results: Floats, count: int) -> int:
    """The same by as many threads as the plan says: a region is a loop over threads."""
    for s in range(count):
        step, result = shift(steps, s * at.STEP_ROW), shift(results, s * at.RESULT_ROW)
        if plan[at.READY] == 0:
            plan[at.BROKEN] = 0
            for thread in prange(plan[at.THREADS]):
                call(plan[at.CHECK_REGION], (plan[at.WEIGHTS], plan, step, thread))
            if plan[at.BROKEN] != 0:
                return s
            for thread in prange(plan[at.THREADS]):
                call(plan[at.KEEP_REGION], (plan[at.WEIGHTS], plan, step, thread))
            begin_epoch(plan)
        choose_rows(plan, result)
        for thread in prange(plan[at.THREADS]):
            call(plan[at.ROWS_REGION], (plan[at.WEIGHTS], plan, step, thread))
        if not take_losses(plan, result):
            return s
        for thread in prange(plan[at.THREADS]):
            call(plan[at.TILES_REGION], (plan[at.WEIGHTS], plan, step, thread))
        if plan[at.CLIPPING] != 0:
            choose_factor(plan)
            for thread in prange(plan[at.THREADS]):
                call(plan[at.UPDATE_REGION], (plan[at.WEIGHTS], plan, step, thread))
        end_step(plan, result)
    return count


@kernel()
def region_serial(region: int, plan: Ints, step: Floats) -> None:
    """One region outside of training, such as a prediction, by one thread that takes every share."""
    for thread in range(plan[at.THREADS]):
        call(region, (plan[at.WEIGHTS], plan, step, thread))


@kernel(parallel=True)
def region_parallel(region: int, plan: Ints, step: Floats) -> None:
    """The same, a thread for each share."""
    for thread in prange(plan[at.THREADS]):
        call(region, (plan[at.WEIGHTS], plan, step, thread))
