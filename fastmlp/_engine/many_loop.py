"""The loop over many networks: calls of the driver, each of about 25 ms, and what it has written into the histories."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.samples import Samples
from fastmlp._data.weights import total_weight
from fastmlp._display.progress import CountLine
from fastmlp._engine.evaluations import squares_around_mean
from fastmlp._engine.many_tasks import Template, Words, Work, template_key
from fastmlp._engine.parameters import Parameters
from fastmlp._engine.program_runner import INT64
from fastmlp._engine.records import address_of, new_record, new_records
from fastmlp._engine.step_constants import MAX_STEPS, RESULT, constants_of
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.history import History
from fastmlp.kernels import tables
from fastmlp.kernels.drivers.evaluation import evaluate
from fastmlp.kernels.drivers.many import train_claimed, train_many_parallel, train_many_serial
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.annotations import structure_of
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.metrics.evaluation import SelectedMetrics

if TYPE_CHECKING:
    from fastmlp._engine.engine import Engine

CALL_SECONDS = 0.025  # of a call of the driver, so that Ctrl-C is prompt even if it takes twice as long
TURN_SECONDS = 0.002  # for which a thread trains one network before it claims another
_TABLES = 64  # of constants that are kept
_FIRST_FACTOR = 4.0  # the first call, whose time is a guess, shall not take too long


@dataclass(frozen=True)
class Stopping:
    """Early stopping, as `EarlyStopping` does it: the entry of the history that is monitored, and when a fit ends."""

    entry: str
    larger_is_better: bool
    min_delta: float
    patience: int
    restores: bool
    keeps_any_best: bool = False  # as scikit-learn: gains below `min_delta` count as the best, but end no waiting


class RowOrders(Protocol):
    """The orders of the rows of a network whose epochs are not shuffled by the kernels."""

    def draw(self, epochs: int) -> Words:
        """Return the row numbers of the next epochs, each in its order, of shape (epochs, rows)."""

    def keep(self, epochs: int) -> None:
        """Take back the draws of all epochs that were drawn last but so many."""


class Member(NamedTuple):
    """One network, and its fit.

    Parameters
    ----------
    engine : Engine
        The network.
    samples : Samples
        All rows, which kernels can read where they are.
    rows : ndarray of int64, or None
        The rows that train it; None means all.
    batch_size, epochs, shuffle
        The arguments of `Network.fit`.
    validation : ndarray of int64, or None
        The rows of validation.
    metrics : mapping
        Their metrics, for which `can_evaluate` is true.
    stopping : Stopping or None
        Early stopping.
    orders : RowOrders, optional
        The orders of the rows, with `shuffle=False`.
    loss_factor : float
        Not 0 if the loss of an epoch is the mean over its batches, as scikit-learn reports it; losses of data are
        multiplied by this factor.
    """

    engine: Engine
    samples: Samples
    rows: Words | None
    batch_size: int
    epochs: int
    shuffle: bool
    validation: Words | None
    metrics: SelectedMetrics
    stopping: Stopping | None
    orders: RowOrders | None = None
    loss_factor: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The entries of the history."""
        return ("loss",) if self.validation is None else ("loss", "val_loss", *(f"val_{name}" for name in self.metrics))

    @property
    def work(self) -> Work:
        """What its template needs to know."""
        rows = len(self.samples.X) if self.rows is None else len(self.rows)
        return Work(self.samples, rows, self.batch_size, self.shuffle, self.metrics)


class ManyLoop:
    """The fits of many networks, each on one thread.

    Parameters
    ----------
    members : sequence of Member
        The networks, which are all being fitted by this loop.
    signals : HeldSignals
        The signals that are held.
    line : CountLine
        Shows how many epochs are done.
    """

    def __init__(self, members: Sequence[Member], signals: HeldSignals, line: CountLine) -> None:
        self.members, self.signals, self.line = members, signals, line
        self.threads = max(min(threads.available(), len(members)), 1)
        self.rows: list[list[list[float]]] = [[] for _ in members]  # of the histories, one for each epoch
        self.first_epochs = [int(member.engine.epoch) for member in members]
        self.tasks = new_records(tables.Task, len(members))
        self._templates: dict[Hashable, Template] = {}
        self._template_of: list[Template] = []
        self._kept: list[Any] = []  # what tasks point to
        self._totals: dict[Hashable, tuple[NDArray[np.float64], float]] = {}
        self._constants: dict[Hashable, NDArray[np.float64]] = {}
        for index, member in enumerate(members):
            self._fill(index, member)
        self._prepare_threads()

    def run(self) -> None:
        """Train all networks."""
        active = sorted(range(len(self.members)), key=lambda index: self._template_of[index].epoch_seconds)
        started, factor, place = time.perf_counter(), _FIRST_FACTOR, 0
        try:
            while active:
                place = place if place < len(active) else 0
                turn, queue = self._next_queue(active, place, factor)
                before, began = [self.tasks[index].epochs_done for index in queue], time.perf_counter()
                self._call(queue, turn)
                guessed = sum(
                    self._template_of[index].epoch_seconds * (self.tasks[index].epochs_done - done)
                    for index, done in zip(queue, before, strict=True)
                )
                factor = (time.perf_counter() - began) * self.threads / guessed if guessed else factor
                over = {index for index in queue if self.tasks[index].status != tables.RUNNING}
                place += len(queue) - len(over)
                if over:
                    active = [index for index in active if index not in over]
                self.signals.released(self.line.update, sum(task.epochs_done for task in self.tasks))
                self.signals.deliver()
            self._restore_best()
        finally:
            self.seconds = time.perf_counter() - started

    def _next_queue(self, active: Sequence[int], place: int, factor: float) -> tuple[int, list[int]]:
        """Return for how many epochs a call trains which networks; `factor` is how far the guesses of times are off.

        Networks are in the order of their times, so that those of a call take about as long.
        """
        turn = max(int(TURN_SECONDS / (factor * self._template_of[active[place]].epoch_seconds)), 1)
        queue: list[int] = []
        left = CALL_SECONDS * self.threads
        for index in active[place:]:
            left -= factor * self._template_of[index].epoch_seconds * turn
            if left < 0 and len(queue) >= self.threads:
                break
            queue.append(index)
        return turn, queue

    def result(self, index: int) -> History:
        """Return the history of a network so far."""
        task, first = self.tasks[index], self.first_epochs[index]
        columns = map(list, zip(*self.rows[index], strict=True))
        names = self.members[index].names
        entries = dict(zip(names, columns, strict=True)) if task.epochs_done else {}
        history = History(entries, list(range(first, first + task.epochs_done)), self.seconds)
        if task.status == tables.STOPPED:
            history.ending = f"stopped early; the best epoch was {first + task.best_epoch}"
        if task.status == tables.OVERFLOWED:
            history.ending = "the loss became NaN or infinite; the network is back where that epoch began"
        if task.status == tables.UNDEFINED:
            history.ending = f"{names[task.monitor]} is NaN"
        return history

    def failed(self, index: int) -> bool:
        """Return whether a value that is not finite ended the training of a network."""
        return self.tasks[index].status in (tables.OVERFLOWED, tables.UNDEFINED)

    def _fill(self, index: int, member: Member) -> None:
        """Write the task of a network."""
        parameters, task = member.engine.parameters, self.tasks[index]
        template, stopping = self._template(parameters, member), member.stopping
        words, kept = template.words_for(parameters)
        self._template_of.append(template)
        plan = structure_of(tables.Plan).from_buffer(words)
        rows = member.rows
        plan.training_rows = 0 if rows is None else address(rows)
        task.plan = task.words = address(words)
        task.relocations, task.relocation_count = address(template.relocations), len(template.relocations)
        task.steps_per_epoch, task.epochs, task.columns = template.steps_per_epoch, member.epochs, len(member.names)
        task.monitor, task.loss_factor = -1, member.loss_factor
        self._kept.append((words, kept, rows))
        if template.evaluation is not None and member.validation is not None:
            self._fill_evaluation(task, template, words, member, member.validation)
        if stopping is not None:
            task.monitor = member.names.index(stopping.entry)
            self._fill_stopping(task, stopping, parameters)

    def _fill_evaluation(self, task: Any, template: Template, words: Words, member: Member, rows: Words) -> None:
        """Point the evaluation of a task to its rows."""
        place = {name: template.starts[2 + i] for i, name in enumerate(("evaluation", "plan", "layers", "values"))}
        record = structure_of(tables.Evaluation).from_buffer(words, place["evaluation"])
        plan = structure_of(tables.Plan).from_buffer(words, place["plan"])
        outer = structure_of(tables.Plan).from_buffer(words)
        for name in ("x", "x_stride", "y", "y_stride", "labels", "sample_weights"):
            setattr(plan, name, getattr(outer, name))
        plan.order, plan.targets_from = address(rows), -1
        totals, weight = self._totals_of(member, rows)
        plan.penalty_factor = 1.0 / weight if plan.averages_penalties else 1.0
        record.totals, record.weight_sum = address(totals), weight
        task.evaluation, task.values = address(words) + place["evaluation"], address(words) + place["values"]
        task.evaluate = evaluate.address(member.samples.targets.architecture.dtype)
        self._kept.append((rows, totals))

    def _totals_of(self, member: Member, rows: Words) -> tuple[NDArray[np.float64], float]:
        """Return what r2 compares with, and the sum of the weights, of rows of validation that networks may share."""
        key = (id(member.samples), id(rows), "r2" in member.metrics)
        if key not in self._totals:
            samples = member.samples.select(rows)
            weight = total_weight(samples.weights, len(rows))
            self._totals[key] = squares_around_mean(samples, member.metrics, weight), weight
        return self._totals[key]

    def _fill_stopping(self, task: Any, stopping: Stopping, parameters: Parameters) -> None:
        task.sign = -1.0 if stopping.larger_is_better else 1.0
        task.min_delta, task.patience, task.best_epoch = stopping.min_delta, stopping.patience, -1
        task.keeps_any_best = stopping.keeps_any_best
        if stopping.restores:
            best = np.empty_like(parameters.weights)
            task.weights, task.best_weights = address(parameters.weights), address(best)
            task.weight_words = parameters.weights.nbytes // 8
            self._kept.append(best)

    def _template(self, parameters: Parameters, member: Member) -> Template:
        work, averages = member.work, member.engine.averages_penalties
        key = template_key(parameters, work, 0 if member.validation is None else len(member.validation), averages)
        template = self._templates.get(key)  # the hash of a key takes 5 us, which is asked for once
        if template is None:
            template = self._templates[key] = Template(parameters, work, member.validation, averages)
        return template

    def _prepare_threads(self) -> None:
        """Allocate the memory of the threads, and load the drivers."""
        templates, scratch = self._templates.values(), 0
        places: dict[str, int] = {}  # of the scratch of networks of a dtype
        for dtype in sorted({template.dtype for template in templates}):
            places[dtype] = scratch
            scratch += max(template.scratch_bytes for template in templates if template.dtype == dtype)
        for template in templates:
            template.place(places[template.dtype], scratch)
        self._buffer_bytes = scratch + max(template.buffer_bytes for template in templates)
        steps = max(template.steps_per_epoch for template in templates)
        self._buffers = aligned_zeros(self._buffer_bytes * self.threads, np.uint8)
        self._results = aligned_zeros(steps * self.threads * RESULT.itemsize, np.uint8)
        self._queue, self._next = np.zeros(len(self.members), np.int64), aligned_zeros(16, np.int64)
        record = self._task_queue = new_record(tables.TaskQueue)
        record.tasks, record.numbers, record.next = address_of(self.tasks), address(self._queue), address(self._next)
        record.threads, record.buffers, record.buffer_bytes = self.threads, address(self._buffers), self._buffer_bytes
        record.results, record.result_rows, record.worker = address(self._results), steps, train_claimed.address(INT64)
        self._serial = train_many_serial.function_for(INT64)
        self._parallel = train_many_parallel.function_for(INT64) if self.threads > 1 else None

    def _call(self, queue: Sequence[int], turn: int) -> None:
        """Train the networks of a queue for some epochs each."""
        record = self._task_queue
        steps = max(self._template_of[index].steps_per_epoch for index in queue)
        record.epochs = max(min(turn, MAX_STEPS // steps), 1)
        record.count, self._next[0] = len(queue), 0
        self._queue[: len(queue)] = queue
        history = np.empty((len(queue), record.epochs * max(self.tasks[index].columns for index in queue)))
        before = [self._point_to_history(index, history[i]) for i, index in enumerate(queue)]
        orders = [self._point_to_orders(index, record.epochs) for index in queue]
        with contextlib.ExitStack() as updates:
            tables_in_use = [self._point_to_constants(index, record.epochs) for index in queue]
            for index in queue:
                updates.enter_context(self.members[index].engine.lock.update())
            if self._parallel is None or threads.available(self.threads) < 2:
                self._serial(address_of(record))
            else:
                with threads.limited_to(self.threads):
                    self._parallel(address_of(record))
        del tables_in_use, orders
        for i, (index, before_call) in enumerate(zip(queue, before, strict=True)):
            self._take_results(index, history[i], self.tasks[index].epochs_done - before_call)

    def _take_results(self, index: int, history: NDArray[np.float64], done: int) -> None:
        """Keep what the last call has written for a network."""
        task, orders = self.tasks[index], self.members[index].orders
        self.rows[index] += history[: done * task.columns].reshape(done, task.columns).tolist()
        if orders is not None:
            orders.keep(done + (task.status == tables.OVERFLOWED))

    def _point_to_history(self, index: int, rows: NDArray[np.float64]) -> int:
        """Point a task to the rows of its next epochs, counted from its first one. Return how many it has done."""
        task = self.tasks[index]
        task.history = address(rows) - task.epochs_done * task.columns * rows.itemsize
        return int(task.epochs_done)

    def _point_to_orders(self, index: int, epochs: int) -> Words | None:
        """Point a task to the rows of its next epochs, if they are drawn. Return them, which must outlive the call."""
        orders, task = self.members[index].orders, self.tasks[index]
        if orders is None:
            return None
        drawn = orders.draw(min(epochs, task.epochs - task.epochs_done))
        task.orders = address(drawn)
        return drawn

    def _point_to_constants(self, index: int, epochs: int) -> NDArray[np.float64]:
        """Point a task to the constants of its next steps. Return their table, which must outlive the call."""
        task, template = self.tasks[index], self._template_of[index]
        parameters = self.members[index].engine.parameters
        paces = tuple(dict.fromkeys(parameters.rests.paces()))
        step, count = int(parameters.state.step) + 1, epochs * template.steps_per_epoch
        optimizer = parameters.architecture.step_optimizer
        key, first, make = constants_of(optimizer, paces, step, count)
        table = self._constants.get(key)
        if table is None:
            if len(self._constants) >= _TABLES:
                self._constants.pop(next(iter(self._constants)))
            table = self._constants[key] = make()
        task.steps = address(table) + (step - first) * template.step_row * 8
        return table

    def _restore_best(self) -> None:
        """Give networks whose training is over the weights of their best epochs."""
        for task, member in zip(self.tasks, self.members, strict=True):
            restores = member.stopping is not None and member.stopping.restores
            ended = [tables.STOPPED, tables.FINISHED, *([tables.OVERFLOWED] if task.keeps_any_best else [])]
            if restores and task.best_epoch >= 0 and task.status in ended:
                parameters = member.engine.parameters
                with member.engine.lock.update():
                    words = np.ctypeslib.as_array((ctypes.c_int64 * task.weight_words).from_address(task.best_weights))
                    parameters.weights.view(np.int64)[:] = words
                    parameters.refresh_transposed()
