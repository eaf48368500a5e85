"""The fits of many networks: which of them one loop trains together, and which are trained alone."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fastmlp._data.array_feed import ArrayData
from fastmlp._data.names import Names
from fastmlp._data.samples import Samples
from fastmlp._display.progress import CountLine
from fastmlp._engine.engine import Engine
from fastmlp._engine.evaluations import can_evaluate
from fastmlp._engine.fit_job import FitJob, Validation
from fastmlp._engine.flops import step_flops
from fastmlp._engine.many_loop import CALL_SECONDS, ManyLoop, Member, Stopping
from fastmlp._engine.many_tasks import SharedData, Words
from fastmlp._engine.step_runner import FLOPS_PER_SECOND
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.optimizers import StepOptimizer

if TYPE_CHECKING:
    from fastmlp.callbacks import Callback
    from fastmlp.network import Network

__all__ = ["Fit", "ManyJob", "Stopping", "Validation", "fit_all"]


class ManyJob(NamedTuple):
    """The checked arguments that all networks share."""

    epochs: int
    batch_size: int
    shuffle: bool
    stopping: Stopping | None
    own_stopping: Callback | None  # the callback that does the same
    callbacks: Sequence[Callback]
    verbose: bool | int | str
    tolerated: tuple[type[Exception], ...]  # errors that end the fit of one network alone


class Fit(NamedTuple):
    """One network, its data, and the rows that train it and that are evaluated."""

    network: Network
    engine: Engine
    source: Samples  # as they were given
    samples: Samples  # as kernels read them, if they can
    names: Names
    rows: Words | None
    validation_rows: Words | None
    validation: Validation | None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics."""
        return () if self.validation is None else tuple(self.validation.metrics)

    @property
    def entries(self) -> tuple[str, ...]:
        """The names in the history."""
        return ("loss",) if self.validation is None else ("loss", "val_loss", *(f"val_{name}" for name in self.metrics))


def fit_all(fits: Sequence[Fit], job: ManyJob) -> list[int]:
    """Train all networks; each has its history afterwards. Return the places of those that a NaN or infinity ended."""
    groups: dict[Hashable, list[Fit]] = {}
    alone = []
    for fit in fits:
        if _is_for_one_thread(fit, job):
            groups.setdefault((id(fit.samples), fit.metrics), []).append(fit)
        else:
            alone.append(fit)
    failed = []
    for together in groups.values():
        if len(together) < min(threads.available(), 2):
            alone += together
        else:
            failed += _train_together(together, job)
    failed += [fit for fit in alone if not _train_alone(fit, job)]
    places = {id(fit.network): place for place, fit in enumerate(fits)}
    return sorted(places[id(fit.network)] for fit in failed)


def _is_for_one_thread(fit: Fit, job: ManyJob) -> bool:
    """Return whether kernels can train the network alone, in epochs that are short enough for Ctrl-C."""
    engine, architecture, samples = fit.engine, fit.network.architecture, fit.samples
    if job.callbacks or engine.is_within_epoch or engine.averages_penalties:
        return False
    if not isinstance(architecture.optimizer, StepOptimizer):
        return False
    if fit.validation is not None and (fit.validation.undefined or not can_evaluate(fit.validation.metrics)):
        return False
    rows = len(samples.X) if fit.rows is None else len(fit.rows)
    seconds = step_flops(architecture, rows) / FLOPS_PER_SECOND
    return samples.are_kernel_ready() and seconds < CALL_SECONDS


def _train_together(fits: list[Fit], job: ManyJob) -> list[Fit]:
    """Train networks in one loop, and give each its history. Return those that failed."""
    first = fits[0]
    metrics = {} if first.validation is None else first.validation.metrics
    work = SharedData(first.samples, job.batch_size, job.shuffle, metrics)
    identities: dict[int, tuple[int, int, int]] = {}
    line = CountLine(job.verbose, f"epochs of {len(fits):,} networks", job.epochs * len(fits))
    with contextlib.closing(line), contextlib.ExitStack() as fitted, HeldSignals() as signals:
        members = []
        for fit in fits:
            engine = fit.engine
            fitted.enter_context(engine.lock.fit())
            if id(fit.rows) not in identities:
                data = ArrayData(fit.source, fit.rows)
                identities[id(fit.rows)] = data.identity(min(job.batch_size, data.rows_per_epoch))
            engine.begin_epochs(*identities[id(fit.rows)])
            members.append(Member(engine, fit.rows, fit.validation_rows))
        loop = signals.released(ManyLoop, members, work, job.epochs, job.stopping, signals, line)
        try:
            loop.run()
        finally:
            for index, fit in enumerate(fits):
                fit.network.history = loop.result(index)
                if fit.network.history.epoch:
                    fit.engine.names = fit.names.copy()
    return [fit for index, fit in enumerate(fits) if loop.failed(index)]


def _train_alone(fit: Fit, job: ManyJob) -> bool:
    """Train one network by its own fit. Return False if it failed."""
    callbacks = copy.deepcopy([*job.callbacks, *([] if job.own_stopping is None else [job.own_stopping])])
    data = ArrayData(fit.source, fit.rows)
    own = FitJob(data, job.epochs, job.batch_size, job.shuffle, callbacks, job.verbose, fit.validation)
    try:
        fit.engine.fit(fit.network, own, fit.names.copy())
    except job.tolerated as error:
        if fit.network.history is not None:
            fit.network.history.ending = str(error)
        return False
    return True
