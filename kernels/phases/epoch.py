"""What an epoch begins and ends with: a copy to come back to, the order of its rows, and a look for NaN."""

from __future__ import annotations

from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Floats, Ints, Reals, inline, kernel
from fastmlp.kernels.micro.finite import count_not_finite
from fastmlp.kernels.micro.panels import copy_past_caches
from fastmlp.kernels.operations.random import SHUFFLE_DRAW, key, shuffle
from fastmlp.kernels.phases.forward import share
from fastmlp.kernels.vocabulary.simd import floats_at, ints_at, offset, reals_at


@kernel()
def check_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """Whether one thread's part of the parameters and slots is finite; BROKEN becomes 1 where it is not."""
    slots = reals_at(plan[at.SLOTS], weights)
    first, last = share(plan[at.PARAMETERS], thread, plan[at.THREADS])
    wrong = count_not_finite(offset(weights, first), last - first)
    first, last = share(plan[at.SLOT_COUNT] * plan[at.SLOT_STRIDE], thread, plan[at.THREADS])
    if wrong + count_not_finite(offset(slots, first), last - first) > 0:
        plan[at.BROKEN] = 1


@kernel()
def keep_region(weights: Reals, plan: Ints, step: Floats, thread: int) -> None:
    """Copy one thread's part of the parameters and slots, so that an epoch that fails can be undone."""
    slots = reals_at(plan[at.SLOTS], weights)
    kept = reals_at(plan[at.SNAPSHOT], weights)
    kept_slots = offset(kept, plan[at.SLOT_STRIDE])
    first, last = share(plan[at.PARAMETERS], thread, plan[at.THREADS])
    copy_past_caches(offset(kept, first), offset(weights, first), last - first)
    first, last = share(plan[at.SLOT_COUNT] * plan[at.SLOT_STRIDE], thread, plan[at.THREADS])
    copy_past_caches(offset(kept_slots, first), offset(slots, first), last - first)


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
