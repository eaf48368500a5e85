"""The driver of many networks: threads claim networks, and train each for some epochs as its own fit would.

No two threads work on one network, and they never wait for each other. Activations, deltas, the snapshot of an epoch
and its order of rows belong to the thread: the records of a network are moved to them when it is claimed.
"""

from __future__ import annotations

from numba import prange

from fastmlp.kernels.drivers.team import run_serially
from fastmlp.kernels.host.annotations import Records
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import VERSION
from fastmlp.kernels.tables import FINISHED, OVERFLOWED, RUNNING, STOPPED, UNDEFINED, AnyPlan, Result, Task, TaskQueue
from fastmlp.kernels.vocabulary.atomics import atomic_increment
from fastmlp.kernels.vocabulary.pointers import call, exists, offset


@kernel()
def train_many_serial(queue: TaskQueue) -> None:
    """Train all networks of the queue on one thread."""
    call(queue.worker, (queue, 0))


@kernel(parallel=True)
def train_many_parallel(queues: Records[TaskQueue]) -> None:
    """Train all networks of the queue on `threads` threads."""
    queue = queues[0]
    worker, threads = queue.worker, queue.threads
    for thread in prange(threads):
        call(worker, (queues, thread))


@kernel()
def train_claimed(queue: TaskQueue, thread: int) -> None:
    """Claim networks until none is left, and train each."""
    buffers = queue.buffers + thread * queue.buffer_bytes
    place = atomic_increment(queue.next) - 1
    while place < queue.count:
        train_task(queue, queue.tasks[queue.numbers[place]], buffers, thread * queue.result_rows)
        place = atomic_increment(queue.next) - 1


@inline
def train_task(queue: TaskQueue, task: Task, buffers: int, first_result: int) -> None:
    """Train one network for the epochs of this call, or until its training is over."""
    for i in range(task.relocation_count):
        task.words[task.relocations[2 * i]] = buffers + task.relocations[2 * i + 1]
    plan, count = task.plan[0], task.steps_per_epoch
    plan.counts[VERSION] += 1
    done = 0
    while done < queue.epochs and task.status == RUNNING:
        plan.epoch_ready = 0
        if exists(task.orders):
            plan.training_rows = offset(task.orders, done * plan.samples)
        steps = offset(task.steps, done * count * plan.step_row)
        results = offset(queue.results, first_result)
        if run_serially(plan, steps, results, count) < count or plan.not_finite != 0:
            undo_epoch(plan, task)
        else:
            end_epoch(task, plan, results)
        done += 1


@inline
def undo_epoch(plan: AnyPlan, task: Task) -> None:
    """Restore the network as it was when the epoch began."""
    call(plan.restore, (plan, task.steps, 0))
    state, saved = plan.state[0], plan.snapshot_state[0]
    state.epoch, state.batch, state.step = saved.epoch, saved.batch, saved.step
    state.loss_sum, state.weight_sum, state.penalty_sum = saved.loss_sum, saved.weight_sum, saved.penalty_sum
    task.status = OVERFLOWED


@inline
def end_epoch(task: Task, plan: AnyPlan, results: Records[Result]) -> None:
    """Record the loss of the epoch, evaluate, and decide whether the training goes on."""
    row = offset(task.history, task.epochs_done * task.columns)
    row[0] = epoch_loss(task, plan, results)
    if exists(task.evaluate):
        call(task.evaluate, (task.evaluation,))
        for i in range(1, task.columns):
            row[i] = task.values[i - 1]
    if task.monitor >= 0:
        compare(task, row[task.monitor])
    task.epochs_done += 1
    if task.status == RUNNING and task.epochs_done == task.epochs:
        task.status = FINISHED


@inline
def epoch_loss(task: Task, plan: AnyPlan, results: Records[Result]) -> float:
    """Return the loss of an epoch: the mean over its rows, or over its batches as scikit-learn reports it."""
    count = task.steps_per_epoch
    if task.loss_factor == 0:
        last = results[count - 1]
        return last.epoch_loss_sum / last.epoch_weight_sum + last.epoch_penalty_sum / count
    total, counted = 0.0, 0
    for i in range(count):
        result, rows = results[i], min(plan.batch_size, plan.samples - i * plan.batch_size)
        if result.weight_sum > 0:  # a batch without weight has no loss
            total += rows * (task.loss_factor * (result.loss_sum / result.weight_sum) + result.penalty)
            counted += rows
    return total / counted


@inline
def compare(task: Task, value: float) -> None:
    """Keep the weights if the value is better than the best, and stop if patience is exhausted."""
    if value != value:
        task.status = UNDEFINED
        return
    first, cost, least = task.best_epoch < 0, task.sign * value, task.sign * task.best
    gained = first or cost < least - task.min_delta
    best = gained
    if task.keeps_any_best != 0:
        gained, best = first or not cost > least - task.min_delta, first or cost < least
    if best:
        task.best, task.best_epoch = value, task.epochs_done
        if exists(task.best_weights):
            for i in range(task.weight_words):
                task.best_weights[i] = task.weights[i]
    if gained:
        task.waited = 0
        return
    task.waited += 1
    if task.waited >= task.patience:
        task.status = STOPPED
