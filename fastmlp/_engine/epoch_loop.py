"""The events of a fit: validation, history, callbacks and the progress line, epoch by epoch. Subclasses train.

Signals are held while the loop runs, except in calls of the user's code: callbacks, metrics, chunks and arrays. So an
exception of a signal handler leaves a whole number of steps, and the history contains each finished epoch.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from fastmlp._display.progress import ProgressLine
from fastmlp._engine.evaluations import Evaluate
from fastmlp._engine.fit_job import FitJob
from fastmlp._engine.parameters import Parameters
from fastmlp._runtime.checks import whole_number
from fastmlp.history import History
from fastmlp.kernels.host.interrupts import HeldSignals

if TYPE_CHECKING:
    from fastmlp.callbacks import Callback
    from fastmlp.network import Network


class EpochLoop(ABC):
    """One fit of a network.

    Parameters
    ----------
    network : Network
        Its `stop_training` and `stop_at_once` end the fit. Callbacks receive it.
    evaluate : function
        Returns loss and metrics of the rows of validation.
    job : FitJob
        The checked arguments of the fit.
    parameters : Parameters
        The network's memory.
    update : function
        Returns a context in which the network may change.
    history : History
        Receives the losses and metrics of each epoch.
    progress : ProgressLine
        Shows the losses.
    signals : HeldSignals
        The signals that are held.
    """

    def __init__(
        self,
        network: Network,
        evaluate: Evaluate,
        job: FitJob,
        parameters: Parameters,
        update: Callable[[], AbstractContextManager[None]],
        history: History,
        progress: ProgressLine,
        signals: HeldSignals,
    ) -> None:
        self.network, self.evaluate, self.job, self.parameters = network, evaluate, job, parameters
        self.update, self.history, self.progress, self.signals = update, history, progress, signals
        self.state = parameters.state
        callbacks = self.callbacks = job.callbacks
        self.by_batch = [each for each in callbacks if each.every_steps and each._overrides("on_train_batch_end")]
        self.by_call = [each for each in callbacks if each._overrides("on_steps_end")]
        measured = () if job.validation is None else ("loss", *job.validation.metrics)
        self.validated = tuple(f"val_{name}" for name in measured)
        undefined = {} if job.validation is None else job.validation.undefined
        for callback in callbacks:
            callback.network, callback.entries = network, ("loss", *self.validated)
            callback.undefined = {f"val_{name}": each.reason for name, each in undefined.items()}
            whole_number(callback.every_steps, f"every_steps of {type(callback).__name__}", minimum=0)

    @abstractmethod
    def _train(self, first: int, last: int) -> None:
        """Train from epoch `first` until epoch `last` is reached or the fit is stopped."""

    def _undo_overflow(self) -> None:  # noqa: B027  some loops have nothing to undo
        """Undo the epoch under way if its weights are not finite, so that no fit leaves such weights."""

    def run(self) -> None:
        """Train for the epochs of the job. An interrupted epoch is finished as the first of them."""
        self._begin()
        first = self.state.epoch
        self.progress.begin(("loss", "val_loss") if self.validated else ("loss",), self._share_of_epoch())
        started = time.perf_counter()
        try:
            self._train(first, first + self.job.epochs)
            self._notify("on_train_end")
        except BaseException:  # for example of a callback
            self._undo_overflow()
            raise
        finally:
            self.history.seconds = time.perf_counter() - started

    def _begin(self) -> None:
        """Replace the history, and call `on_train_begin`. If that raises an error, the earlier history comes back."""
        network, earlier = self.network, self.network.history
        network.history, network.stop_training, network.stop_at_once = self.history, False, False
        try:
            self._notify("on_train_begin")
        except BaseException:
            network.history = earlier
            raise

    def _is_stopped(self) -> bool:
        """Return whether a callback ends the fit after an epoch."""
        return self.network.stop_training or self.network.stop_at_once

    def _complete(self, epoch: int, entries: Sequence[dict[str, float]], notify_of_steps: Callable[[], None]) -> None:
        """Evaluate and record the epochs that ended, from `epoch` on, and call the callbacks."""
        try:
            notify_of_steps()
            if self.validated:
                for entry in entries:
                    entry |= self._validate()
        finally:  # a finished epoch is in the history even if its evaluation failed; missing values are NaN
            with self.update():
                for number, entry in enumerate(entries, epoch):
                    self.history.add(number, entry)
        for number, entry in enumerate(entries, epoch) if self.callbacks else ():
            self._notify("on_epoch_end", number, entry)

    def _in_unit(self, name: str, value: float) -> float:
        """Return a loss or metric in the unit in which the job reports it."""
        return value * self.job.units.get(name, 1.0)

    def _validate(self) -> dict[str, float]:
        measured = self.signals.released(self.evaluate)
        return {f"val_{name}": self._in_unit(name, value) for name, value in measured.items()}

    def _show(self, entries: Sequence[dict[str, float]], epochs: int, finished: bool) -> None:
        """Show the progress: the epochs that ended with these entries, and the number of epochs done."""
        if not self.progress.shown:
            return
        if self.progress.output == "file":
            for number, ended in enumerate(entries, epochs - len(entries) + 1):
                self.signals.released(self.progress.end_epoch, number, ended)
        entry = {name: values[-1] for name, values in self.history.history.items() if name in ("loss", "val_loss")}
        rows = self._rows_of_epoch()
        self.signals.released(self.progress.update, epochs + self._share_of_epoch(), entry, finished, rows)

    def _rows_of_epoch(self) -> int:
        """Return how many rows of the current epoch have been used."""
        return 0

    def _share_of_epoch(self) -> float:
        """Return the share of the rows of the current epoch that have been used; 0 if their number is unknown."""
        return 0.0

    def _notify(self, event: str, *arguments: Any) -> None:
        """Call the method of an event of every callback."""
        if self.callbacks:
            self.signals.released(_call_each, self.callbacks, event, *arguments)
            self.signals.replace_handlers()

    def _notify_of_steps(self, batch: int, loss: Callable[[], float]) -> None:
        """Call `on_train_batch_end` of callbacks for which the last step is due, then `on_steps_end` of all."""
        due = [callback for callback in self.by_batch if self.state.step % callback.every_steps == 0]
        if due:
            entry = {"loss": self._in_unit("loss", loss())}
            self.signals.released(_call_each, due, "on_train_batch_end", batch, entry)
        if self.by_call:
            self.signals.released(_call_each, self.by_call, "on_steps_end", batch)


def _call_each(callbacks: Sequence[Callback], event: str, *arguments: Any) -> None:
    for callback in callbacks:
        getattr(callback, event)(*arguments)
