"""Training by calls of a compiled driver, each of many steps, short enough that Ctrl-C and callbacks are prompt."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data import Targets, lies_ready, ready_if_small, stage_rows
from fastmlp.flops import SERIAL_FLOPS, step_flops
from fastmlp.kernels import activations, losses, optimizers, predict, random, rows, step, threads, tiles
from fastmlp.kernels import layout as at
from fastmlp.kernels._jit import Kernel
from fastmlp.kernels.activations import ActivationKernels
from fastmlp.kernels.optimizers import UpdateKernels
from fastmlp.kernels.step import train_parallel, train_serial
from fastmlp.optimizers import Optimizer
from fastmlp.parameters import address, aligned_zeros
from fastmlp.plan import Plan

CALL_SECONDS = 0.05  # how long a call of the driver may take, where a step is shorter
TRIAL_SECONDS = 0.005  # the same of a call that only compares serial and parallel: threads may be 20 times slower
MOST_STEPS = 4096  # of one call; their tables stay small
FLOPS_PER_SECOND = 5e10  # a guess for the length of the first call

_INT64 = np.dtype(np.int64)


class NonFiniteLossError(ArithmeticError):
    """Raised when a loss or the weights become NaN or infinite; the network is back where the epoch began.

    Attributes
    ----------
    epoch, batch : int
        Where it happened, counted from 0.
    """

    def __init__(self, epoch: int, batch: int, back_to: str = "that epoch") -> None:
        super().__init__(
            f"the loss became NaN or infinite in epoch {epoch}, batch {batch}; the network is back where {back_to} "
            "began. Try a smaller learning rate, or scale the inputs and targets to about 1"
        )
        self.epoch, self.batch, self._back_to = epoch, batch, back_to

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by place, not by message."""
        return type(self), (self.epoch, self.batch, self._back_to)


class StepConstants:
    """The rows of per-step scalars, made for many steps at a time."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.table = aligned_zeros(2 * MOST_STEPS * at.STEP_ROW, np.float64).reshape(-1, at.STEP_ROW)
        self.table[:, at.PENALTY_FACTOR] = 1.0
        self.address = address(self.table)
        self.first = -1
        self.last = -1

    def address_of(self, step: int, count: int) -> int:
        """Where the rows of `count` steps from `step` (counted from 1) lie."""
        if step < self.first or step + count > self.last:
            self.first, self.last = step, step + len(self.table)
            steps = np.arange(self.first, self.last)
            constants = self.optimizer.constants(steps)
            self.table[:, at.CONSTANTS : at.CONSTANTS + constants.shape[1]] = constants
            self.table[:, at.CONSTANTS + at.DECAY] = self.optimizer.decay(steps)
        return self.address + (step - self.first) * at.STEP_ROW * 8


class Feed:
    """Puts the user's rows where the kernels read them: in place, or staged piece by piece in the epoch's order.

    Parameters
    ----------
    plan : Plan
        Whose words on the data are filled.
    X, targets, weights
        The checked data.
    rows : ndarray of int64, or None
        The rows that train; None for all.
    batch_size : int
        Rows of a step.
    shuffle : bool
        Whether each epoch has its own order.
    """

    def __init__(
        self,
        plan: Plan,
        X: NDArray[Any],
        targets: Targets,
        weights: NDArray[np.float64] | None,
        rows: NDArray[np.int64] | None,
        batch_size: int,
        shuffle: bool,
    ) -> None:
        self.plan = plan
        self.batch_size = batch_size
        self.samples = len(X) if rows is None else len(rows)
        self.steps_per_epoch = -(-self.samples // batch_size)
        self.rows, self.shuffle = rows, shuffle
        self.order = np.arange(self.samples) if rows is None else rows.copy()
        self.targets, self.weights = targets, weights
        dtype = plan.parameters.architecture.dtype
        self.X = ready_if_small(X, dtype)
        self.staged = not lies_ready(self.X, dtype)
        words = plan.words
        words[at.BATCH], words[at.SAMPLES], words[at.READY] = batch_size, self.samples, 0
        words[at.STAGED_FROM] = 0
        if self.staged:
            room = max(1, stage_rows(X.shape[1], dtype, batch_size) // batch_size) * batch_size
            self._stage = aligned_zeros(min(room, self.samples) * X.shape[1], dtype).reshape(-1, X.shape[1])
            self._staged_epoch, self._staged_from, self._staged_to = -1, 0, 0
            words[at.SHUFFLED] = words[at.ORDER] = words[at.TRAINING_ROWS] = 0
        else:
            words[at.SHUFFLED], words[at.ORDER] = shuffle, address(self.order)
            words[at.TRAINING_ROWS] = 0 if rows is None else address(rows)
            point_to_data(plan, self.X, targets, weights)

    def provide(self, steps: int) -> int:
        """Make the data of the next steps available; returns of how many."""
        if not self.staged:
            return steps
        state = self.plan.parameters.state
        epoch, first = int(state[at.EPOCH]), int(state[at.BATCH_OF_EPOCH]) * self.batch_size
        if epoch != self._staged_epoch:
            self._order_epoch(epoch)
        if not (self._staged_epoch == epoch and self._staged_from <= first < self._staged_to):
            self._fill_stage(epoch, first)
        return min(steps, -(-(self._staged_to - first) // self.batch_size))

    def _order_epoch(self, epoch: int) -> None:
        self.order[:] = np.arange(self.samples) if self.rows is None else self.rows
        if self.shuffle:
            permute(self.order, int(self.plan.parameters.state[at.SEED]), random.SHUFFLE_DRAW, epoch)

    def _fill_stage(self, epoch: int, first: int) -> None:
        last = min(first + len(self._stage), self.samples)
        chosen = self.order[first:last]
        self._stage[: last - first] = self.X[chosen]
        self._staged_targets = self.targets.take(chosen)
        self._staged_weights = None if self.weights is None else self.weights[chosen]
        point_to_data(self.plan, self._stage, self._staged_targets, self._staged_weights)
        self.plan.words[at.STAGED_FROM] = first
        self._staged_epoch, self._staged_from, self._staged_to = epoch, first, last


def permute(order: NDArray[np.int64], seed: int, purpose: int, counter: int = 0) -> None:
    """Shuffle row numbers in place, as the kernels shuffle theirs."""
    random.permute.function_for(_INT64)(address(order), len(order), seed, purpose, counter)


def point_to_data(plan: Plan, X: NDArray[Any], targets: Targets, weights: NDArray[np.float64] | None) -> None:
    """Write addresses and strides of data that lies ready into the plan."""
    words = plan.words
    words[at.X], words[at.X_STRIDE] = address(X), X.strides[0] // X.itemsize
    words[at.LABELS] = 0 if targets.labels is None else address(targets.labels)
    if targets.values is not None:
        words[at.Y], words[at.Y_STRIDE] = address(targets.values), targets.values.strides[0] // targets.values.itemsize
    words[at.SAMPLE_WEIGHTS] = 0 if weights is None else address(weights)


class Trainer:
    """Runs steps on one plan and one feed.

    Parameters
    ----------
    plan : Plan
        For training.
    feed : Feed
        The data.
    constants : StepConstants
        Of the network's optimizer.
    most_steps : int
        Of one call; their results are kept until the next.
    """

    def __init__(self, plan: Plan, feed: Feed, constants: StepConstants, most_steps: int = MOST_STEPS) -> None:
        self.plan, self.feed, self.constants = plan, feed, constants
        self.parameters = plan.parameters
        flops = step_flops(self.parameters.architecture, feed.batch_size)
        most = plan.threads if flops > SERIAL_FLOPS else 1
        self.choice = plan.choice(at.TILES_REGION, most, feed.batch_size)
        self.seconds = flops / FLOPS_PER_SECOND
        self._drivers = {False: train_serial.function_for(_INT64)}
        if self.choice.most > 1:
            self._drivers[True] = train_parallel.function_for(_INT64)
        self.most_steps = most_steps
        self.results = aligned_zeros(most_steps * at.RESULT_ROW, np.float64).reshape(-1, at.RESULT_ROW)
        self._results_address = address(self.results)
        self.done = 0  # steps of the latest call

    def steps_left(self) -> int:
        """How many steps the epoch under way still has."""
        return self.feed.steps_per_epoch - int(self.parameters.state[at.BATCH_OF_EPOCH])

    def run(self, most: int) -> NDArray[np.float64]:
        """At least one and at most `most` steps, about 50 ms of them; returns their rows of results.

        Raises
        ------
        NonFiniteLossError
            If a loss is not finite; the parameters are those from the beginning of the epoch.
        """
        self.done = 0
        trial = self.choice.trial()
        length = CALL_SECONDS if self.choice.settled() and not trial else TRIAL_SECONDS
        wanted = max(1, int(length / self.seconds))
        count = self.feed.provide(min(most, self.most_steps, wanted))
        parallel = self.choice.parallel() and threads.available(self.plan.threads) > 1
        next_step = int(self.parameters.state[at.STEP]) + 1
        arguments = (self.plan.address, self.constants.address_of(next_step, count), self._results_address, count)
        started = time.perf_counter()
        try:
            self._call(parallel, arguments)
        finally:  # Ctrl-C strikes after the call: the steps are done, and counted by the kernel itself
            self.done = int(self.parameters.state[at.STEP]) + 1 - next_step
        seconds = (time.perf_counter() - started) / max(self.done, 1)
        self.choice.measured(parallel, seconds)
        if not trial:
            self.seconds = max(seconds, 1e-8)
        if self.done < count:
            self._fail()
        return self.results[: self.done]

    def _call(self, parallel: bool, arguments: tuple[int, int, int, int]) -> None:
        self.plan.words[at.THREADS] = self.plan.threads if parallel else 1
        if not parallel:
            self._drivers[False](*arguments)
            return
        with threads.limited_to(self.plan.threads):
            self._drivers[True](*arguments)

    def check_weights(self) -> None:
        """Undo the last epoch if it ended with weights that are not finite; raises NonFiniteLossError then."""
        if not self.parameters.are_finite():
            self.plan.words[at.BROKEN] = 1
            self._fail()

    def _fail(self) -> None:
        """Go back to the snapshot and raise."""
        parameters, state, words = self.parameters, self.parameters.state, self.plan.words
        epoch, batch = int(state[at.EPOCH]), int(state[at.BATCH_OF_EPOCH])
        if words[at.BROKEN]:  # it was the last step of the epoch before
            epoch, batch = epoch - 1, self.feed.steps_per_epoch - 1
        snapshot = self.plan.buffer(at.SNAPSHOT)
        parameters.weights[:] = snapshot[: parameters.size]
        parameters.slots[:] = snapshot[parameters.size :].reshape(parameters.slots.shape)
        parameters.refresh_transposed()
        parameters.totals[:] = self.plan.numbers[at.KEPT_TOTALS : at.KEPT_TOTALS + 3]
        state[at.EPOCH], state[at.BATCH_OF_EPOCH] = words[at.KEPT_EPOCH], words[at.KEPT_BATCH]
        state[at.STEP] = words[at.KEPT_STEP]
        words[at.READY] = 0
        raise NonFiniteLossError(epoch, batch, "this fit" if words[at.KEPT_BATCH] else "that epoch")


def epoch_losses(results: NDArray[np.float64], first_batch: int, steps_per_epoch: int) -> list[float]:
    """The losses of the epochs that end within these results; `first_batch` is the batch of the first row."""
    ends = results[steps_per_epoch - 1 - first_batch :: steps_per_epoch]
    weights = ends[:, at.EPOCH_WEIGHT_SUM]
    data = np.divide(ends[:, at.EPOCH_LOSS_SUM], weights, out=np.zeros(len(ends)), where=weights > 0)
    losses: list[float] = (data + ends[:, at.EPOCH_PENALTY] / steps_per_epoch).tolist()
    return losses


def batch_loss(result: NDArray[np.float64]) -> float:
    """The loss of one step, penalties included."""
    weight = result[at.WEIGHT_SUM]
    return float((result[at.LOSS_SUM] / weight if weight > 0 else 0.0) + result[at.PENALTY])


def warmup() -> int:
    """Compile every kernel, or load it from the cache, in both dtypes; returns how many there are."""
    modules = (activations, losses, optimizers, predict, random, rows, step, tiles)
    found = {id(kernel): kernel for module in modules for kernel in _kernels_in(vars(module).values())}
    count = 0
    for kernel in found.values():
        if kernel.parallel and threads.layer() == "none":
            continue
        for dtype in kernel.dtypes:
            kernel.address(dtype)
            count += 1
    return count


def _kernels_in(values: Iterable[Any]) -> Iterator[Kernel]:
    """Every kernel among the values and in the tables among them."""
    for value in values:
        if isinstance(value, Kernel):
            yield value
        elif isinstance(value, dict):
            yield from _kernels_in(value.values())
        elif isinstance(value, (ActivationKernels, UpdateKernels)):
            yield from _kernels_in(vars(value).values())
