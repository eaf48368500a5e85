"""Training by calls of a compiled driver, each of many steps, but only about 50 ms, so that Ctrl-C is prompt."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.batch_source import BatchSource
from fastmlp._engine.flops import step_flops
from fastmlp._engine.plan import Plan
from fastmlp._engine.program_runner import ProgramRunner
from fastmlp._engine.step_constants import MAX_STEPS, StepConstants
from fastmlp._runtime.buffers import address

FLOPS_PER_SECOND = 5e10  # a guess, for the length of the first call


class NonFiniteLossError(ArithmeticError):
    """Raised when a loss or the weights become NaN or infinite; the network is back where the epoch began.

    Attributes
    ----------
    epoch, batch : int
        The epoch and batch of the loss, counted from 0.
    """

    def __init__(self, epoch: int, batch: int, back_to: str = "that epoch") -> None:
        super().__init__(
            f"the loss became NaN or infinite in epoch {epoch}, batch {batch}; the network is back where {back_to} "
            "began. Try a smaller learning rate, or scale the inputs and targets to about 1"
        )
        self.epoch, self.batch, self._back_to = epoch, batch, back_to

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the epoch and batch for pickling, in place of the message."""
        return type(self), (self.epoch, self.batch, self._back_to)


class StepRunner(ProgramRunner):
    """Run training steps on one plan and one source of batches.

    Parameters
    ----------
    plan : Plan
        The plan for training.
    feed : BatchSource
        The source of the batches.
    constants : StepConstants
        The constants of the network's optimizer.
    release_signals : function
        Calls a function that may wait for data, with its arguments. A fit lets signals through during this call.
    update : function
        Returns a context in which the network may change.
    """

    def __init__(
        self,
        plan: Plan,
        feed: BatchSource,
        constants: StepConstants,
        release_signals: Callable[..., Any],
        update: Callable[[], AbstractContextManager[None]],
    ) -> None:
        flops = step_flops(plan.parameters.architecture, feed.batch_size)
        super().__init__(plan, "step", feed.batch_size, flops)
        self.feed, self.constants, self.parameters = feed, constants, plan.parameters
        self._release_signals, self.update = release_signals, update
        self.tuner.begin_fit()
        self.seconds = flops / FLOPS_PER_SECOND  # of a step
        self.results: NDArray[Any] = constants.results(0)  # of the latest call
        self.done = 0  # steps of the latest call

    def steps_left(self) -> int:
        """Return the number of steps that the current epoch still has."""
        return self.feed.steps_per_epoch - int(self.parameters.state.batch)

    def run(self, max_steps: int) -> NDArray[Any]:
        """Run at least one and at most `max_steps` steps, for about 50 ms. Return their results, a row for each step.

        Raises
        ------
        NonFiniteLossError
            If a loss is not finite, or a weight is not finite at the end of an epoch. The parameters are then restored
            from the snapshot, as they were at the beginning of that epoch.
        """
        self.done = 0
        count = self._stage(min(max_steps, MAX_STEPS, max(1, int(self.tuner.call_seconds() / self.seconds))))
        with self.update():
            self._advance(count)
        return self.results[: self.done]

    def _stage(self, steps: int) -> int:
        """Make the data of some steps available. Restore the snapshot if that raises an error."""
        try:
            return int(self._release_signals(self.feed.stage, steps))
        except Exception:
            if self.plan.record.epoch_ready:
                with self.update():
                    self._restore()
            raise

    def _advance(self, count: int) -> None:
        """Choose the driver of `count` steps, run them, and record their time and their number."""
        is_trial, parallel = self._choose()
        self.parameters.count_change()
        before = self.parameters.state.step
        constants = self.constants
        self.results = constants.results(count)
        arguments = (self.plan.address, constants.address_of(before + 1, count), address(self.results), count)
        started = time.perf_counter()
        self._call(parallel, arguments)
        seconds = time.perf_counter() - started
        self.done = self.parameters.state.step - before
        self._account(parallel, is_trial, seconds)
        if self.done < count or self.plan.record.not_finite:
            self._fail()

    def _account(self, parallel: bool, is_trial: bool, seconds: float) -> None:
        """Record the time of the call, in the tuner and as the expected time of the next steps."""
        steps = max(self.done, 1)
        self.tuner.measured(parallel, seconds, steps)
        if not is_trial:
            self.seconds = max(seconds / steps, 1e-8)

    def restore_if_not_finite(self) -> None:
        """Restore the snapshot if a weight is not finite, so that no fit leaves such weights, however it ends."""
        if self.plan.record.epoch_ready and not self.parameters.are_finite():
            with self.update():
                self._restore()

    def _fail(self) -> None:
        """Restore the snapshot and raise NonFiniteLossError."""
        state, record = self.parameters.state, self.plan.record
        epoch, batch = state.epoch, state.batch
        if record.not_finite:  # the check after the last epoch failed: the batch is its last
            epoch, batch = epoch - 1, self.feed.steps_per_epoch - 1
        self._restore()
        raise NonFiniteLossError(epoch, batch, "this fit" if self.plan.snapshot_state.batch else "that epoch")

    def _restore(self) -> None:
        """Restore the snapshot, which was made as the epoch began, or as this fit began within the epoch."""
        self.plan.restore_snapshot()
        saved, state = self.plan.snapshot_state, self.parameters.state
        state.epoch, state.batch, state.step = saved.epoch, saved.batch, saved.step
        state.loss_sum, state.weight_sum, state.penalty_sum = saved.loss_sum, saved.weight_sum, saved.penalty_sum
        parameters = self.parameters
        parameters.rests = parameters.rests.undone(parameters.architecture, int(state.step))
        self.constants.follow()
        self.plan.record.epoch_ready = 0


EpochLosses = Callable[[NDArray[Any], int, int], list[float]]
"""A function like `epoch_losses`, of the results of steps, the batch of the first step, and the steps of an epoch."""


def epoch_losses(results: NDArray[Any], first_batch: int, steps_per_epoch: int) -> list[float]:
    """Return the losses of the epochs that end within these results; `first_batch` is the batch of the first row."""
    ends = results[steps_per_epoch - 1 - first_batch :: steps_per_epoch]
    with np.errstate(invalid="ignore"):  # 0 / 0 where all rows have the weight 0
        data = ends["epoch_loss_sum"] / ends["epoch_weight_sum"]
    losses: list[float] = (data + ends["epoch_penalty_sum"] / steps_per_epoch).tolist()
    return losses


def batch_loss(loss_sum: float, weight_sum: float, penalty: float) -> float:
    """Return the loss of one step, penalties included; NaN if all rows of the batch have the weight 0."""
    return (loss_sum / weight_sum if weight_sum > 0 else math.nan) + penalty
