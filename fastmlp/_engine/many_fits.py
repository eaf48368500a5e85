"""The fits of many networks: which of them one loop trains together, and which are trained alone."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fastmlp._data.array_feed import ArrayData
from fastmlp._data.names import Names
from fastmlp._data.samples import Samples
from fastmlp._display.progress import CountLine
from fastmlp._engine.engine import Engine
from fastmlp._engine.evaluations import can_evaluate
from fastmlp._engine.fit_job import FitJob, Validation
from fastmlp._engine.flops import step_flops
from fastmlp._engine.many_loop import CALL_SECONDS, ManyLoop, Member, RowOrders, Stopping
from fastmlp._engine.many_tasks import Words
from fastmlp._engine.step_runner import FLOPS_PER_SECOND
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.optimizers import StepOptimizer

if TYPE_CHECKING:
    from fastmlp.callbacks import Callback
    from fastmlp.network import Network

__all__ = [
    "Fit",
    "ManyJob",
    "Member",
    "RowOrders",
    "Stopping",
    "Training",
    "Validation",
    "fit_all",
    "suits_one_thread",
    "train_together",
]


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


class Training(NamedTuple):
    """The fit of one network in a common loop.

    Parameters
    ----------
    network : Network
        The network, which gets its history.
    member : Member
        What the loop needs to know.
    identity : tuple of int
        `ArrayData.identity`, by which the network recognizes the data of an epoch under way.
    """

    network: Network
    member: Member
    identity: tuple[int, int, int]


def fit_all(fits: Sequence[Fit], job: ManyJob) -> list[int]:
    """Train all networks; each has its history afterwards. Return the places of those that a NaN or infinity ended."""
    together = [fit for fit in fits if _is_for_one_thread(fit, job)]
    if len(together) < min(threads.available(), 2):
        together = []
    common = {id(fit) for fit in together}
    failed = _train_together(together, job) if together else []
    failed += [fit for fit in fits if id(fit) not in common and not _train_alone(fit, job)]
    places = {id(fit.network): place for place, fit in enumerate(fits)}
    return sorted(places[id(fit.network)] for fit in failed)


def suits_one_thread(engine: Engine, samples: Samples, rows: int) -> bool:
    """Return whether kernels can train a network on one thread, in epochs that are short enough for Ctrl-C."""
    seconds = step_flops(engine.architecture, rows) / FLOPS_PER_SECOND
    steps = isinstance(engine.architecture.optimizer, StepOptimizer)
    return steps and samples.are_kernel_ready() and seconds < CALL_SECONDS


def _is_for_one_thread(fit: Fit, job: ManyJob) -> bool:
    """Return whether a common loop can train the network as its own fit would."""
    engine, samples = fit.engine, fit.samples
    if job.callbacks or engine.is_within_epoch:
        return False
    if fit.validation is not None and (fit.validation.undefined or not can_evaluate(fit.validation.metrics)):
        return False
    return suits_one_thread(engine, samples, len(samples.X) if fit.rows is None else len(fit.rows))


def _train_together(fits: list[Fit], job: ManyJob) -> list[Fit]:
    """Train networks in one loop, and give each its history and names. Return those that failed."""
    identities: dict[tuple[int, int], tuple[int, int, int]] = {}
    trainings = []
    for fit in fits:
        key = (id(fit.source), id(fit.rows))
        if key not in identities:
            data = ArrayData(fit.source, fit.rows)
            identities[key] = data.identity(min(job.batch_size, data.rows_per_epoch))
        member = Member(
            engine=fit.engine,
            samples=fit.samples,
            rows=fit.rows,
            batch_size=job.batch_size,
            epochs=job.epochs,
            shuffle=job.shuffle,
            validation=fit.validation_rows,
            metrics={} if fit.validation is None else fit.validation.metrics,
            stopping=job.stopping,
        )
        trainings.append(Training(fit.network, member, identities[key]))
    steps = [fit.engine.step for fit in fits]
    try:
        failed = train_together(trainings, job.verbose)
    finally:
        for fit, before in zip(fits, steps, strict=True):
            if fit.engine.step > before:
                fit.engine.names = fit.names.copy()
    return [fit for fit, has_failed in zip(fits, failed, strict=True) if has_failed]


def train_together(trainings: Sequence[Training], verbose: bool | int | str) -> list[bool]:
    """Train networks in one loop, and give each its history. Return which of them failed."""
    epochs = sum(each.member.epochs for each in trainings)
    line = CountLine(verbose, f"epochs of {len(trainings):,} networks", epochs)
    with contextlib.closing(line), contextlib.ExitStack() as fitted, HeldSignals() as signals:
        for each in trainings:
            fitted.enter_context(each.member.engine.lock.fit())
            each.member.engine.begin_epochs(*each.identity)
        loop = signals.released(ManyLoop, [each.member for each in trainings], signals, line)
        try:
            loop.run()
        finally:
            for index, each in enumerate(trainings):
                each.network.history = loop.result(index)
    return [loop.failed(index) for index in range(len(trainings))]


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
