"""The loop over epochs: calls of the step runner, validation, callbacks, history and the progress line.

Signals are held while the loop runs, except in calls of the user's code: callbacks, metrics, chunks and arrays. So an
exception of a signal handler leaves a whole number of steps, and the history contains each finished epoch.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from fastmlp._data.array_feed import ArrayData
from fastmlp._data.arrays import FLOAT64, converted
from fastmlp._data.chunk_feed import ChunkData
from fastmlp._data.samples import Samples
from fastmlp._display.progress import ProgressLine
from fastmlp._engine.step_constants import MAX_STEPS
from fastmlp._engine.step_runner import EpochLosses, NonFiniteLossError, StepRunner, batch_loss, epoch_losses
from fastmlp._runtime import memory
from fastmlp._runtime.checks import whole_number
from fastmlp.architecture import Architecture
from fastmlp.history import History
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.metrics.evaluation import SelectedMetrics, built_in_metrics, undefined_metrics, working_memory
from fastmlp.metrics.undefined import Undefined, warn_undefined

if TYPE_CHECKING:
    from fastmlp.callbacks import Callback
    from fastmlp.network import Network


class Validation(NamedTuple):
    """What is evaluated after each epoch, as `plan_validation` returns it.

    Parameters
    ----------
    samples : Samples
        The validation rows.
    metrics : mapping
        The metrics that are in the history, by name.
    requested : mapping
        Those of `fastmlp.metrics.METRICS` that the user requested.
    undefined : mapping
        Those that cannot tell good predictions of these rows from bad ones. They are not measured if they are NaN.
    """

    samples: Samples
    metrics: SelectedMetrics
    requested: SelectedMetrics
    undefined: Mapping[str, Undefined]

    @property
    def measured(self) -> SelectedMetrics:
        """The metrics that have a value for these rows."""
        return {name: metric for name, metric in self.metrics.items() if name not in _without_value(self.undefined)}


def plan_validation(samples: Samples, metrics: SelectedMetrics, requested: bool) -> Validation:
    """Return the validation of a fit.

    A default metric that has no value for the validation rows is NaN in the history, with a warning.

    Parameters
    ----------
    samples : Samples
        The validation rows.
    metrics : mapping
        The metrics to measure, by name.
    requested : bool
        Whether the user requested these metrics, else they are the defaults.

    Raises
    ------
    ValueError
        If a requested metric has no value for these rows, whatever is predicted.
    MemoryError
        If there is not enough memory to evaluate the rows.
    """
    require_memory_to_evaluate(samples.targets.architecture, len(samples.X), metrics)
    built_in = built_in_metrics(metrics)
    undefined: dict[str, Undefined] = {}
    if any(metric.undefined for metric in built_in.values()):
        architecture, weights = samples.targets.architecture, samples.weights
        sample_weight = None if weights is None else converted(weights[:], FLOAT64)
        y, outputs = samples.targets.as_array(), architecture.outputs
        undefined = undefined_metrics(built_in, architecture.loss, y, outputs, sample_weight)
    for name, reason in _without_value(undefined).items():
        if requested:
            raise ValueError(f"metric {name!r} has no value for the validation rows: {reason}")
        warn_undefined(f"val_{name}", reason, math.nan)
    return Validation(samples, metrics, built_in if requested else {}, undefined)


def require_memory_to_evaluate(architecture: Architecture, rows: int, metrics: SelectedMetrics) -> None:
    """Raise MemoryError if there is not enough memory for the predictions and metrics of some rows."""
    count, dtype = rows * architecture.outputs, architecture.dtype
    size = count * dtype.itemsize + working_memory(metrics, count, dtype)
    memory.require(size, f"to evaluate {rows:,} rows at once", "fewer rows, or other metrics, would take less")


def _without_value(undefined: Mapping[str, Undefined]) -> dict[str, str]:
    """Return the reasons of the undefined metrics that are NaN, by name."""
    return {name: each.reason for name, each in undefined.items() if math.isnan(each.value)}


@dataclass
class FitJob:
    """The checked arguments of a fit.

    Parameters
    ----------
    data : ArrayData or ChunkData
        The samples to train on.
    epochs, batch_size : int
        The number of epochs, and the rows of a batch. A batch is never larger than the data.
    shuffle : bool
        Whether each epoch has its own order of rows.
    callbacks : sequence of Callback
        Called in this order.
    verbose : {"auto", True, False}
        Whether to show a line of progress.
    validation : Validation, optional
        The samples and metrics to evaluate after each epoch.
    losses : function
        Computes the losses of epochs from the results of steps.
    units : mapping of str to float
        The factors by which "loss" and metrics are multiplied before callbacks, progress line and history see them.
        Targets that are scaled for the network are so reported in their own unit.
    """

    data: ArrayData | ChunkData
    epochs: int
    batch_size: int
    shuffle: bool
    callbacks: Sequence[Callback] = ()
    verbose: bool | int | str = "auto"
    validation: Validation | None = None
    losses: EpochLosses = epoch_losses
    units: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Limit the batch to the data."""
        self.batch_size = min(self.batch_size, self.data.rows_per_epoch or self.batch_size)

    def progress_line(self) -> contextlib.closing[ProgressLine]:
        """Return a context that closes the line of progress. A callback can request the line, too."""
        requested = self.verbose in (0, "auto") and any(callback._shows_progress for callback in self.callbacks)
        verbose = True if requested else self.verbose
        return contextlib.closing(ProgressLine(verbose, self.epochs, self.data.rows_per_epoch))


class FitLoop:
    """One fit of a network.

    Parameters
    ----------
    network : Network
        Its `stop_training` and `stop_at_once` end the fit. Callbacks receive it.
    evaluate : function
        Returns loss and metrics of samples.
    job : FitJob
        The checked arguments of the fit.
    runner : StepRunner
        Runs the steps.
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
        evaluate: Callable[[Samples, SelectedMetrics], dict[str, float]],
        job: FitJob,
        runner: StepRunner,
        history: History,
        progress: ProgressLine,
        signals: HeldSignals,
    ) -> None:
        self.network, self.evaluate, self.job, self.runner = network, evaluate, job, runner
        self.history, self.progress, self.signals = history, progress, signals
        self.state = runner.parameters.state
        callbacks = self.callbacks = job.callbacks
        self.by_batch = [each for each in callbacks if each.every_steps and each._overrides("on_train_batch_end")]
        self.by_call = [each for each in callbacks if each._overrides("on_steps_end")]
        self.by_epoch = bool(callbacks) or job.validation is not None or runner.feed.streamed
        measured = () if job.validation is None else ("loss", *job.validation.metrics)
        self.validated = tuple(f"val_{name}" for name in measured)
        undefined = {} if job.validation is None else job.validation.undefined
        for callback in callbacks:
            callback.network, callback.entries = network, ("loss", *self.validated)
            callback.undefined = {f"val_{name}": each.reason for name, each in undefined.items()}
            whole_number(callback.every_steps, f"every_steps of {type(callback).__name__}", minimum=0)

    def run(self) -> None:
        """Train for the epochs of the job. An interrupted epoch is finished as the first of them."""
        self._begin()
        state = self.state
        first, last = state.epoch, state.epoch + self.job.epochs
        self.progress.begin(("loss", "val_loss") if self.validated else ("loss",), self._share_of_epoch())
        started = time.perf_counter()
        try:
            while state.epoch < last and not self._is_stopped():
                if self.by_epoch and state.batch == 0:
                    self._notify("on_epoch_begin", state.epoch)
                self._advance(first, last)
            self._notify("on_train_end")
        except BaseException:  # for example of a callback
            self.runner.restore_if_not_finite()
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
        """Return whether a callback ends the fit now. If weights overflowed, the next steps restore them first."""
        if self.state.batch == 0:
            return self.network.stop_training or self.network.stop_at_once
        return self.network.stop_at_once and self.runner.parameters.are_finite()

    def _advance(self, first: int, last: int) -> None:
        """Run some steps, then evaluate and record the epochs that ended, call callbacks, and show the progress."""
        state, runner = self.state, self.runner
        epoch, batch = state.epoch, state.batch
        left = runner.steps_left() if self.by_epoch else (last - epoch) * runner.feed.steps_per_epoch - batch
        error = self._run(min(left, self._steps_until_callback()))
        entries = self._entries(epoch, batch)
        try:
            if error is None:
                self._notify_of_steps(batch + runner.done - 1)
            if self.validated:
                for entry in entries:
                    entry |= self._validate()
        finally:  # a finished epoch is in the history even if its evaluation failed; missing values are NaN
            with runner.update():
                for number, entry in enumerate(entries, epoch):
                    self.history.add(number, entry)
        for number, entry in enumerate(entries, epoch) if self.callbacks else ():
            self._notify("on_epoch_end", number, entry)
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

    def _in_unit(self, name: str, value: float) -> float:
        """Return a loss or metric in the unit in which the job reports it."""
        return value * self.job.units.get(name, 1.0)

    def _steps_until_callback(self) -> int:
        """Return the number of steps until the next `on_train_batch_end`."""
        if not self.by_batch:
            return MAX_STEPS
        done = int(self.state.step)
        return min([each.every_steps - done % each.every_steps for each in self.by_batch])

    def _validate(self) -> dict[str, float]:
        validation = self.job.validation
        assert validation is not None
        measured = self.signals.released(self.evaluate, validation.samples, validation.measured)
        return {f"val_{name}": self._in_unit(name, value) for name, value in measured.items()}

    def _show(self, entries: Sequence[dict[str, float]], epochs: int, finished: bool) -> None:
        """Show the progress: the epochs that ended with these entries, and the number of epochs done."""
        if not self.progress.shown:
            return
        if self.progress.output == "file":
            for number, ended in enumerate(entries, epochs - len(entries) + 1):
                self.signals.released(self.progress.end_epoch, number, ended)
        feed = self.runner.feed
        rows = self.state.batch * feed.batch_size
        entry = {name: values[-1] for name, values in self.history.history.items() if name in ("loss", "val_loss")}
        self.progress.samples = feed.rows_per_epoch
        self.signals.released(self.progress.update, epochs + self._share_of_epoch(), entry, finished, rows)

    def _share_of_epoch(self) -> float:
        """Return the share of the rows of the current epoch that have been used; 0 if their number is unknown."""
        feed = self.runner.feed
        total = feed.rows_per_epoch
        return min(self.state.batch * feed.batch_size / total, 1.0) if total else 0.0  # a stream's epochs may differ

    def _notify(self, event: str, *arguments: Any) -> None:
        """Call the method of an event of every callback."""
        if self.callbacks:
            self.signals.released(_call_each, self.callbacks, event, *arguments)
            self.signals.replace_handlers()

    def _notify_of_steps(self, batch: int) -> None:
        """Call `on_train_batch_end` of callbacks for which the last step is due, then `on_steps_end` of all."""
        due = [callback for callback in self.by_batch if self.state.step % callback.every_steps == 0]
        if due:
            entry = {"loss": self._in_unit("loss", batch_loss(*self.runner.results[self.runner.done - 1].item()[:3]))}
            self.signals.released(_call_each, due, "on_train_batch_end", batch, entry)
        if self.by_call:
            self.signals.released(_call_each, self.by_call, "on_steps_end", batch)


def _call_each(callbacks: Sequence[Callback], event: str, *arguments: Any) -> None:
    for callback in callbacks:
        getattr(callback, event)(*arguments)
