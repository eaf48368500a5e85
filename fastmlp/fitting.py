"""The loop over epochs: calls of the trainer, validation, callbacks, history and the progress line."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from fastmlp.callbacks import Callback
from fastmlp.history import History
from fastmlp.kernels import layout as at
from fastmlp.progress import Progress
from fastmlp.training import NonFiniteLossError, Trainer, batch_loss, epoch_losses

if TYPE_CHECKING:
    from fastmlp.network import Network


class Fitting:
    """One fit of a network.

    Parameters
    ----------
    network : Network
        Whose `stop_training` ends the fit.
    step : function
        Gives the lock under which the network and its history change; other threads have their turn between.
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
    """

    def __init__(
        self,
        network: Network,
        step: Callable[[], AbstractContextManager[None]],
        history: History,
        trainer: Trainer,
        validation: Callable[[], dict[str, float]] | None,
        validated: Sequence[str],
        callbacks: Sequence[Callback],
        progress: Progress,
    ) -> None:
        self.network, self.step, self.history = network, step, history
        self.trainer, self.validation = trainer, validation
        self.callbacks, self.progress = callbacks, progress
        self.by_batch = any(_overrides(callback, "on_train_batch_end") for callback in callbacks)
        self.by_epoch = bool(callbacks) or validation is not None or trainer.feed.streamed
        self.validated = tuple(f"val_{name}" for name in validated)
        for callback in callbacks:
            callback.network, callback.entries = network, ("loss", *self.validated)

    def run(self, epochs: int) -> None:
        """Train until that many more epochs are done; one that was interrupted before is finished as the first."""
        state = self.trainer.parameters.state
        first, last = int(state[at.EPOCH]), int(state[at.EPOCH]) + epochs
        self.progress.begin(("loss",) if self.validation is None else ("loss", "val_loss"))
        started = time.perf_counter()
        try:
            self._tell("on_train_begin")
            while state[at.EPOCH] < last and not (self.network.stop_training and state[at.BATCH_OF_EPOCH] == 0):
                if self.by_epoch and state[at.BATCH_OF_EPOCH] == 0:
                    self._tell("on_epoch_begin", int(state[at.EPOCH]))
                self._advance(first, last)
            self._tell("on_train_end")
        except BaseException:  # of a callback, say
            self.trainer.mend()
            raise
        finally:
            self.history.seconds = time.perf_counter() - started

    def _advance(self, first: int, last: int) -> None:
        """One call of the trainer, and what follows from it, also when it ends by an exception."""
        state, trainer, feed = self.trainer.parameters.state, self.trainer, self.trainer.feed
        epoch, batch = int(state[at.EPOCH]), int(state[at.BATCH_OF_EPOCH])
        most = trainer.steps_left() if self.by_epoch else (last - epoch) * feed.steps_per_epoch - batch
        error = self._run(1 if self.by_batch else most, last)
        results = trainer.results[: trainer.done]
        if self.by_batch and len(results) and not isinstance(error, NonFiniteLossError):
            self._tell("on_train_batch_end", batch, {"loss": batch_loss(results[0])})
        finished = int(state[at.EPOCH]) - epoch  # without one that was undone
        for loss in epoch_losses(results, batch, feed.steps_per_epoch)[: max(finished, 0)]:
            self._end_epoch(epoch, {"loss": loss})
            epoch += 1
        ends = state[at.EPOCH] == last or (self.network.stop_training and state[at.BATCH_OF_EPOCH] == 0)
        self._show(int(state[at.EPOCH]) - first, finished=error is None and bool(ends))
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame, which would hold it: a network that nobody frees

    def _run(self, most: int, last: int) -> KeyboardInterrupt | NonFiniteLossError | None:
        """Some steps; an exception is given back, since the steps before it still belong into the history."""
        state = self.trainer.parameters.state
        try:
            with self.step():
                self.trainer.run(most)
                if state[at.BATCH_OF_EPOCH] == 0 and (self.by_epoch or state[at.EPOCH] == last):
                    self.trainer.check_weights()
        except (KeyboardInterrupt, NonFiniteLossError) as error:
            self.trainer.mend()
            return error
        return None

    def _end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        if self.validation is not None:
            try:
                found = self.validation()
            except BaseException:  # the epoch is done and stays in the history, without what was not measured
                self._note(epoch, logs | dict.fromkeys(self.validated, math.nan))
                raise
            logs |= {f"val_{name}": value for name, value in found.items()}
        self._note(epoch, logs)
        self._tell("on_epoch_end", epoch, logs)

    def _note(self, epoch: int, logs: dict[str, float]) -> None:
        with self.step():
            self.history.add(epoch, logs)

    def _show(self, epochs: int, finished: bool) -> None:
        feed = self.trainer.feed
        rows = int(self.trainer.parameters.state[at.BATCH_OF_EPOCH]) * feed.batch_size
        logs = {name: values[-1] for name, values in self.history.history.items() if name in ("loss", "val_loss")}
        self.progress.samples = feed.samples
        share = min(rows / feed.samples, 1.0) if feed.samples else 0.0  # a stream's epochs may differ in length
        self.progress.update(epochs + share, logs, finished, rows)

    def _tell(self, event: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(*arguments)


def _overrides(callback: Callback, event: str) -> bool:
    return getattr(type(callback), event) is not getattr(Callback, event)
