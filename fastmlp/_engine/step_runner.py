"""Training by calls of a compiled driver, each of many steps, short enough that Ctrl-C and callbacks are prompt."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.batch_source import BatchSource
from fastmlp._engine.flops import SERIAL_FLOPS, step_flops
from fastmlp._engine.plan import Plan
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.kernels.drivers.team import team_worker, train_parallel, train_serial
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.annotations import structure_of
from fastmlp.kernels.layout import DECAY, STEP_ROW
from fastmlp.kernels.tables import Result
from fastmlp.optimizers import Optimizer

MAX_STEPS = 4096  # of one call, so that their tables stay small
FLOPS_PER_SECOND = 5e10  # a guess, for the length of the first call

_INT64 = np.dtype(np.int64)
_RESULT = np.dtype(structure_of(Result))


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
    """The optimizer's constants of many steps at a time, a row each, and room for the results of these steps."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.table = aligned_zeros(2 * MAX_STEPS * STEP_ROW, np.float64).reshape(-1, STEP_ROW)
        self.address = address(self.table)
        self.results: NDArray[Any] = aligned_zeros(MAX_STEPS * _RESULT.itemsize, np.uint8).view(_RESULT)
        self.results_address = address(self.results)
        self.use(optimizer)

    @property
    def nbytes(self) -> int:
        """Bytes of both tables."""
        return int(self.table.nbytes + self.results.nbytes)

    def use(self, optimizer: Optimizer) -> None:
        """Use this optimizer from the next step on; its kernel and slots are those of the one before."""
        self.optimizer = optimizer
        self.first = self.last = -1  # nothing in the table is valid

    def address_of(self, step: int, count: int) -> int:
        """Return where the rows of `count` steps from `step` (counted from 1) lie."""
        if step < self.first or step + count > self.last:
            rows = min(max(4 * count, 2 * (self.last - self.first)), len(self.table))
            self.first = self.last = -1  # until it is filled
            steps = np.arange(step, step + rows)
            with np.errstate(over="ignore", under="ignore"):  # a rate may fade, whatever the user lets NumPy raise
                constants = self.optimizer.constants(steps)
                self.table[:rows, DECAY] = self.optimizer.decay(steps)
            self.table[:rows, : constants.shape[1]] = constants
            self.first, self.last = step, step + rows
        return self.address + (step - self.first) * STEP_ROW * 8


class StepRunner:
    """Run training steps on one plan and one source of batches.

    Parameters
    ----------
    plan : Plan
        For training.
    feed : BatchSource
        Where the batches come from.
    constants : StepConstants
        Of the network's optimizer.
    release_signals : function
        Calls a function, with arguments, that waits for data: a fit lets signals through there.
    update : function
        Returns the context in which the network may change.
    """

    def __init__(
        self,
        plan: Plan,
        feed: BatchSource,
        constants: StepConstants,
        release_signals: Callable[..., Any],
        update: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.plan, self.feed, self.constants = plan, feed, constants
        self._release_signals, self.update = release_signals, update
        self.parameters = plan.parameters
        flops = step_flops(self.parameters.architecture, feed.batch_size)
        max_threads = plan.threads if flops > SERIAL_FLOPS else 1
        self.tuner = plan.tuner("training", max_threads, feed.batch_size)
        self.seconds = flops / FLOPS_PER_SECOND  # of a step
        self._drivers = {False: train_serial.function_for(_INT64)}
        if max_threads > 1:
            self._drivers[True] = train_parallel.function_for(_INT64)
            plan.record.worker = team_worker.address(_INT64)
        self.results: NDArray[Any] = constants.results  # of the latest call
        self.done = 0  # steps of the latest call

    def steps_left(self) -> int:
        """Return how many steps the epoch under way still has."""
        return self.feed.steps_per_epoch - int(self.parameters.state.batch)

    def run(self, max_steps: int) -> NDArray[Any]:
        """Run at least one and at most `max_steps` steps, about 50 ms of them; return their rows of results.

        Raises
        ------
        NonFiniteLossError
            If a loss is not finite, or the weights are not at the end of an epoch; the parameters are then those from
            the beginning of that epoch.
        """
        self.done = 0
        count = self._stage(min(max_steps, MAX_STEPS, max(1, int(self.tuner.call_seconds() / self.seconds))))
        with self.update():
            self._advance(count)
        return self.results[: self.done]

    def _stage(self, steps: int) -> int:
        """Make the data of some steps available; undo the epoch where something is wrong with it."""
        try:
            return int(self._release_signals(self.feed.stage, steps))
        except Exception:
            if self.plan.record.epoch_ready:
                with self.update():
                    self._restore()
            raise

    def _advance(self, count: int) -> None:
        """Choose how to run `count` steps, run them, and account for what they took and did."""
        is_trial, parallel = self._choose()
        before = self.parameters.state.step
        constants = self.constants
        arguments = (self.plan.address, constants.address_of(before + 1, count), constants.results_address, count)
        started = time.perf_counter()
        self._call(parallel, arguments)
        seconds = time.perf_counter() - started
        self.done = self.parameters.state.step - before
        self._account(parallel, is_trial, seconds)
        if self.done < count or self.plan.record.not_finite:
            self._fail()

    def _choose(self) -> tuple[bool, bool]:
        """Return whether the next call only tries the other kind, and whether it is parallel."""
        return self.tuner.trial(), self.tuner.parallel() and threads.available(self.plan.threads) > 1

    def _call(self, parallel: bool, arguments: tuple[int, int, int, int]) -> None:
        """Call the serial or the parallel driver."""
        self.plan.share_out(parallel)
        if not parallel:
            self._drivers[False](*arguments)
            return
        with threads.limited_to(self.plan.threads):
            self._drivers[True](*arguments)

    def _account(self, parallel: bool, is_trial: bool, seconds: float) -> None:
        """Tell the tuner what the call took, and expect as much of the next one."""
        steps = max(self.done, 1)
        self.tuner.measured(parallel, seconds, steps)
        if not is_trial:
            self.seconds = max(seconds / steps, 1e-8)

    def restore_if_not_finite(self) -> None:
        """Undo the epoch under way if its weights are not finite: whatever ends a fit must not leave them so."""
        if self.plan.record.epoch_ready and not self.parameters.are_finite():
            with self.update():
                self._restore()

    def _fail(self) -> None:
        """Go back to the snapshot and raise."""
        state, record = self.parameters.state, self.plan.record
        epoch, batch = state.epoch, state.batch
        if record.not_finite:  # found as the epoch before ended, in its last step
            epoch, batch = epoch - 1, self.feed.steps_per_epoch - 1
        self._restore()
        raise NonFiniteLossError(epoch, batch, "this fit" if self.plan.snapshot_state.batch else "that epoch")

    def _restore(self) -> None:
        """Go back to the snapshot: to where the epoch began, or within it this fit."""
        parameters, kept = self.parameters, self.plan.snapshot_state
        snapshot = self.plan.buffer("snapshot")
        parameters.weights[:] = snapshot[: parameters.size]
        parameters.slots[:] = snapshot[parameters.size :].reshape(parameters.slots.shape)
        parameters.refresh_transposed()
        state = parameters.state
        state.epoch, state.batch, state.step = kept.epoch, kept.batch, kept.step
        state.loss_sum, state.weight_sum, state.penalty_sum = kept.loss_sum, kept.weight_sum, kept.penalty_sum
        self.plan.record.epoch_ready = 0


EpochLosses = Callable[[NDArray[Any], int, int], list[float]]
"""From results of steps, the batch of the first, and the steps of an epoch: the losses of the epochs that end there."""


def epoch_losses(results: NDArray[Any], first_batch: int, steps_per_epoch: int) -> list[float]:
    """Return the losses of the epochs that end within these results; `first_batch` is the batch of the first row."""
    ends = results[steps_per_epoch - 1 - first_batch :: steps_per_epoch]
    weights = ends["epoch_weight_sum"]
    data = np.divide(ends["epoch_loss_sum"], weights, out=np.zeros(len(ends)), where=weights > 0)
    losses: list[float] = (data + ends["epoch_penalty_sum"] / steps_per_epoch).tolist()
    return losses


def batch_loss(result: Any) -> float:
    """Return the loss of one step, penalties included."""
    weight = result["weight_sum"]
    return float((result["loss_sum"] / weight if weight > 0 else 0.0) + result["penalty"])
