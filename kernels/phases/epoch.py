"""The work before and after an epoch: a snapshot to restore, the order of the rows, and the check for NaN."""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Floats
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.micro.finite import any_not_finite
from fastmlp.kernels.micro.panels import copy_past_caches
from fastmlp.kernels.operations.random import SHUFFLE_DRAW, key, shuffle
from fastmlp.kernels.phases.blocks import write_transposed
from fastmlp.kernels.phases.forward import share
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.pointers import exists, offset


@kernel()
def check_region(plan: Plan, step: Floats, thread: int) -> None:
    """Set `not_finite` if one thread's share of the parameters and slots contains NaN or infinity."""
    first, last = share(plan.parameter_count, thread, plan.threads)
    not_finite = any_not_finite(offset(plan.weights, first), last - first)
    first, last = share(plan.slot_count * plan.parameter_count, thread, plan.threads)
    if not_finite + any_not_finite(offset(plan.slots, first), last - first) > 0:
        plan.not_finite = 1


@kernel()
def snapshot_region(plan: Plan, step: Floats, thread: int) -> None:
    """Copy one thread's share of the parameters and slots, so that a failed epoch can be undone."""
    slots = offset(plan.snapshot, plan.parameter_count)
    first, last = share(plan.parameter_count, thread, plan.threads)
    copy_past_caches(offset(plan.snapshot, first), offset(plan.weights, first), last - first)
    first, last = share(plan.slot_count * plan.parameter_count, thread, plan.threads)
    copy_past_caches(offset(slots, first), offset(plan.slots, first), last - first)


@kernel()
def restore_region(plan: Plan, step: Floats, thread: int) -> None:
    """Write the snapshot of the parameters and slots back, and every transpose that a step reads, on one thread."""
    slots = offset(plan.snapshot, plan.parameter_count)
    for i in range(plan.parameter_count):
        plan.weights[i] = plan.snapshot[i]
    for i in range(plan.slot_count * plan.parameter_count):
        plan.slots[i] = slots[i]
    for index in range(plan.layer_count):
        layer = plan.layers[index]
        for block in range(layer.unit_panels * layer.w_panels):
            write_transposed(plan, index, block)


@inline
def begin_epoch(plan: Plan) -> None:
    """Copy the counters and sums into the snapshot, and write the order of the rows."""
    state, snapshot = plan.state[0], plan.snapshot_state[0]
    snapshot.epoch, snapshot.batch, snapshot.step = state.epoch, state.batch, state.step
    snapshot.loss_sum, snapshot.weight_sum, snapshot.penalty_sum = state.loss_sum, state.weight_sum, state.penalty_sum
    order_rows(plan)
    plan.epoch_ready = 1


@inline
def order_rows(plan: Plan) -> None:
    """Write the order of this epoch's rows, a function of seed and epoch alone. Staged rows are in order already."""
    if not exists(plan.order):
        return
    state = plan.state[0]
    for i in range(plan.samples):
        plan.order[i] = plan.training_rows[i] if exists(plan.training_rows) else i
    if plan.shuffles != 0:
        shuffle(plan.order, plan.samples, key(state.seed, SHUFFLE_DRAW, state.epoch, 0))
