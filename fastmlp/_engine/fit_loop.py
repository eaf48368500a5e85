"""The loop over epochs: calls of the trainer, validation, callbacks, history and the progress line.

Signals wait while it runs, but where others' code runs or is waited for; the trainer waits for data before each of its
calls. So what their handlers raise finds whole steps, and each finished epoch in the history.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastmlp._display.progress import ProgressLine
from fastmlp._engine.step_runner import MAX_STEPS, EpochLosses, NonFiniteLossError, StepRunner, batch_loss
from fastmlp._runtime.checks import whole_number
from fastmlp.history import History
from fastmlp.kernels.host.interrupts import HeldSignals

if TYPE_CHECKING:
    from fastmlp.callbacks import Callback
    from fastmlp.network import Network


class FitLoop:
    """One fit of a network.

    Parameters
    ----------
    network : Network
        Whose `stop_training` and `stop_at_once` end the fit.
    history : History
        What is seen goes there.
    trainer : Trainer
        Runs the steps.
    validation : function or None
        Gives the loss and metrics of the validation rows, after each epoch.
    validated : sequence of str
        The names of what it gives.
    callbacks : sequence of Callback
        Called in this order.
    progress : Progress
        The line.
    signals : HeldSignals
        What holds them.
    losses : function
        Makes the losses of epochs of the results of steps.
    """

    def __init__(
        self,
        network: Network,
        history: History,
        trainer: StepRunner,
        validation: Callable[[], dict[str, float]] | None,
        validated: Sequence[str],
        callbacks: Sequence[Callback],
        progress: ProgressLine,
        signals: HeldSignals,
        losses: EpochLosses,
    ) -> None:
        self.network, self.history, self.trainer, self.validation = network, history, trainer, validation
        self.callbacks, self.progress, self.signals, self.losses = callbacks, progress, signals, losses
        self.by_batch = [each for each in callbacks if each.every_steps and each.overrides("on_train_batch_end")]
        self.by_call = [each for each in callbacks if each.overrides("on_steps_end")]
        self.by_epoch = bool(callbacks) or validation is not None or trainer.feed.streamed
        self.validated = tuple(f"val_{name}" for name in validated)
        for callback in callbacks:
            callback.network, callback.entries = network, ("loss", *self.validated)
            whole_number(callback.every_steps, f"every_steps of {type(callback).__name__}", minimum=0)

    def run(self, epochs: int) -> None:
        """Train until that many more epochs are done; one that was interrupted before is finished as the first."""
        state = self.trainer.parameters.state
        first, last = int(state.epoch), int(state.epoch) + epochs
        self.progress.begin(("loss",) if self.validation is None else ("loss", "val_loss"))
        started = time.perf_counter()
        try:
            self._tell("on_train_begin")
            while state.epoch < last and not self._stopped():
                if self.by_epoch and state.batch == 0:
                    self._tell("on_epoch_begin", int(state.epoch))
                self._advance(first, last)
            self._tell("on_train_end")
        except BaseException:  # of a callback, say
            self.trainer.restore_if_not_finite()
            raise
        finally:
            self.history.seconds = time.perf_counter() - started

    def _stopped(self) -> bool:
        """Whether a callback has ended the fit; not where weights overflowed, which the next steps find and undo."""
        if self.trainer.parameters.state.batch == 0:
            return self.network.stop_training or self.network.stop_at_once
        return self.network.stop_at_once and self.trainer.parameters.are_finite()

    def _advance(self, first: int, last: int) -> None:
        """One call of the trainer, and what follows from it, also when it ends by an exception."""
        state, trainer, feed = self.trainer.parameters.state, self.trainer, self.trainer.feed
        epoch, batch = int(state.epoch), int(state.batch)
        most = trainer.steps_left() if self.by_epoch else (last - epoch) * feed.steps_per_epoch - batch
        error = self._run(min(most, self._steps_until_asked()))
        results = trainer.results[: trainer.done]
        finished = max(int(state.epoch) - epoch, 0)  # without one that was undone
        losses = self.losses(results, batch, feed.steps_per_epoch)[:finished]
        ended = [{"loss": loss, **dict.fromkeys(self.validated, math.nan)} for loss in losses]
        try:
            if error is None and self.by_batch:
                self._tell_batch(batch + trainer.done - 1, {"loss": batch_loss(results[-1])})
            if error is None and self.by_call:
                self.signals.released(_tell, self.by_call, "on_steps_end", batch + trainer.done - 1)
            for logs in ended if self.validation is not None else ():
                logs |= self._validate()
        finally:  # an epoch that is done stands in the history, if need be without what was not measured
            with self.trainer.update():
                for place, logs in enumerate(ended, epoch):
                    self.history.add(place, logs)
        for place, logs in enumerate(ended, epoch) if self.callbacks else ():
            self._tell("on_epoch_end", place, logs)
        ends = state.epoch == last or self._stopped()
        self._show(int(state.epoch) - first, finished=error is None and bool(ends))
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame, which would hold it: a network that nobody frees

    def _run(self, most: int) -> NonFiniteLossError | None:
        """Some steps; the error is given back, since the epochs before it still belong into the history."""
        try:
            self.trainer.run(most)
        except NonFiniteLossError as error:
            return error
        return None

    def _steps_until_asked(self) -> int:
        """How many steps there are until a callback wants to know of one."""
        if not self.by_batch:
            return MAX_STEPS
        done = self.network.step
        return min([each.every_steps - done % each.every_steps for each in self.by_batch])

    def _validate(self) -> dict[str, float]:
        assert self.validation is not None
        return {f"val_{name}": value for name, value in self.signals.released(self.validation).items()}

    def _show(self, epochs: int, finished: bool) -> None:
        if not self.progress.shown:
            return
        feed = self.trainer.feed
        rows = int(self.trainer.parameters.state.batch) * feed.batch_size
        logs = {name: values[-1] for name, values in self.history.history.items() if name in ("loss", "val_loss")}
        self.progress.samples = feed.samples
        share = min(rows / feed.samples, 1.0) if feed.samples else 0.0  # a stream's epochs may differ in length
        self.signals.released(self.progress.update, epochs + share, logs, finished, rows)

    def _tell(self, event: str, *arguments: Any) -> None:
        if self.callbacks:
            self.signals.released(_tell, self.callbacks, event, *arguments)
            self.signals.take()

    def _tell_batch(self, batch: int, logs: dict[str, float]) -> None:
        asking = [callback for callback in self.by_batch if self.network.step % callback.every_steps == 0]
        if asking:
            self.signals.released(_tell, asking, "on_train_batch_end", batch, logs)


def _tell(callbacks: Sequence[Callback], event: str, *arguments: Any) -> None:
    for callback in callbacks:
        getattr(callback, event)(*arguments)
