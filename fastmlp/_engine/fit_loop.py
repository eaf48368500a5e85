"""The loop of a fit in batches: calls of the step runner, each of many steps, and the events of the epochs that end."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from fastmlp._display.progress import ProgressLine
from fastmlp._engine.epoch_loop import EpochLoop
from fastmlp._engine.evaluations import Evaluate
from fastmlp._engine.fit_job import FitJob
from fastmlp._engine.step_constants import MAX_STEPS
from fastmlp._engine.step_runner import NonFiniteLossError, StepRunner, batch_loss
from fastmlp.history import History
from fastmlp.kernels.host.interrupts import HeldSignals

if TYPE_CHECKING:
    from fastmlp.network import Network


class FitLoop(EpochLoop):
    """One fit of a network, in batches.

    Parameters
    ----------
    network, evaluate, job, history, progress, signals
        As in `EpochLoop`.
    runner : StepRunner
        Runs the steps.
    """

    def __init__(
        self,
        network: Network,
        evaluate: Evaluate,
        job: FitJob,
        runner: StepRunner,
        history: History,
        progress: ProgressLine,
        signals: HeldSignals,
    ) -> None:
        super().__init__(network, evaluate, job, runner.parameters, runner.update, history, progress, signals)
        self.runner = runner
        self.by_epoch = bool(self.callbacks) or job.validation is not None or runner.feed.streamed

    def _train(self, first: int, last: int) -> None:
        state = self.state
        try:
            while state.epoch < last and not self._is_stopped():
                if self.by_epoch and state.batch == 0:
                    self._notify("on_epoch_begin", state.epoch)
                self._advance(first, last)
        finally:
            self.signals.released(self.runner.feed.close)

    def _undo_overflow(self) -> None:
        self.runner.restore_if_not_finite()

    def _is_stopped(self) -> bool:
        """Return whether a callback ends the fit now. If weights overflowed, the next steps restore them first."""
        if self.state.batch == 0:
            return super()._is_stopped()
        return self.network.stop_at_once and self.runner.parameters.are_finite()

    def _advance(self, first: int, last: int) -> None:
        """Run some steps, then evaluate and record the epochs that ended, call callbacks, and show the progress."""
        state, runner = self.state, self.runner
        epoch, batch = state.epoch, state.batch
        left = runner.steps_left() if self.by_epoch else (last - epoch) * runner.feed.steps_per_epoch - batch
        error = self._run(min(left, self._steps_until_callback()))
        entries = self._entries(epoch, batch)
        if error is None:
            self._complete(epoch, entries, partial(self._notify_of_steps, batch + runner.done - 1, self._last_loss))
        else:
            self._complete(epoch, entries, lambda: None)
        ends = state.epoch == last or self._is_stopped()
        self._show(entries, state.epoch - first, finished=error is None and ends)
        if error is not None:
            try:
                raise error
            finally:
                del error  # the traceback refers to this frame: the cycle would keep the network alive

    def _run(self, max_steps: int) -> NonFiniteLossError | None:
        """Run some steps. Return the error instead of raising it, since the epochs before it belong in the history."""
        try:
            self.runner.run(max_steps)
        except NonFiniteLossError as error:
            return error
        return None

    def _entries(self, epoch: int, batch: int) -> list[dict[str, float]]:
        """Return an entry of the history for each epoch that ended after (epoch, batch), with NaN for metrics."""
        results = self.runner.results[: self.runner.done]
        finished = max(self.state.epoch - epoch, 0)  # excludes an epoch that was undone
        losses = self.job.losses(results, batch, self.runner.feed.steps_per_epoch)[:finished]
        return [{"loss": self._in_unit("loss", loss), **dict.fromkeys(self.validated, math.nan)} for loss in losses]

    def _last_loss(self) -> float:
        """Return the loss of the last step."""
        return batch_loss(*self.runner.results[self.runner.done - 1].item()[:3])

    def _steps_until_callback(self) -> int:
        """Return the number of steps until the next `on_train_batch_end`."""
        if not self.by_batch:
            return MAX_STEPS
        done = int(self.state.step)
        return min([each.every_steps - done % each.every_steps for each in self.by_batch])

    def _rows_of_epoch(self) -> int:
        self.progress.samples = self.runner.feed.rows_per_epoch
        return int(self.state.batch) * self.runner.feed.batch_size

    def _share_of_epoch(self) -> float:
        feed = self.runner.feed
        total = feed.rows_per_epoch
        return min(self.state.batch * feed.batch_size / total, 1.0) if total else 0.0  # a stream's epochs may differ
