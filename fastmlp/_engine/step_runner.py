"""Training by calls of a compiled driver, each of many steps, short enough that Ctrl-C and callbacks are prompt."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import kernels
from fastmlp._data.feeds import BatchSource
from fastmlp._engine.flops import SERIAL_FLOPS, step_flops
from fastmlp._engine.plan import Plan
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.kernels import layout as at
from fastmlp.kernels.drivers.team import crew_member, train_parallel, train_serial
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.operations.activations import ActivationKernels
from fastmlp.kernels.operations.optimizers import UpdateKernels
from fastmlp.optimizers import Optimizer

MOST_STEPS = 4096  # of one call; their tables stay small
FLOPS_PER_SECOND = 5e10  # a guess for the length of the first call

_INT64 = np.dtype(np.int64)


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
    """The rows of per-step scalars, made for many steps at a time; beside them, room for the rows of results."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.table = aligned_zeros(2 * MOST_STEPS * at.STEP_ROW, np.float64).reshape(-1, at.STEP_ROW)
        self.address = address(self.table)
        self.results = aligned_zeros(MOST_STEPS * at.RESULT_ROW, np.float64).reshape(-1, at.RESULT_ROW)
        self.results_address = address(self.results)
        self.use(optimizer)

    def use(self, optimizer: Optimizer) -> None:
        """From the next step on make them for this optimizer, whose kernel and slots are those of the one before."""
        self.optimizer = optimizer
        self.first = self.last = -1  # nothing of the table holds any more

    def address_of(self, step: int, count: int) -> int:
        """Where the rows of `count` steps from `step` (counted from 1) lie."""
        if step < self.first or step + count > self.last:
            rows = min(max(4 * count, 2 * (self.last - self.first)), len(self.table))
            self.first = self.last = -1  # until it is filled
            steps = np.arange(step, step + rows)
            with np.errstate(over="ignore", under="ignore"):  # a rate may fade, whatever the user has NumPy raise
                constants = self.optimizer.constants(steps)
                self.table[:rows, at.DECAY] = self.optimizer.decay(steps)
            self.table[:rows, : constants.shape[1]] = constants
            self.first, self.last = step, step + rows
        return self.address + (step - self.first) * at.STEP_ROW * 8


class StepRunner:
    """Runs steps on one plan and one feed of data.

    Parameters
    ----------
    plan : Plan
        For training.
    feed : Source
        The data.
    constants : StepConstants
        Of the network's optimizer.
    waiting : function
        Calls a function, with arguments, that waits for data: a fit lets signals through there.
    step : function
        Gives the lock under which the network changes.
    """

    def __init__(
        self,
        plan: Plan,
        feed: BatchSource,
        constants: StepConstants,
        waiting: Callable[..., Any],
        step: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.plan, self.feed, self.constants, self._waiting, self.step = plan, feed, constants, waiting, step
        self.parameters = plan.parameters
        flops = step_flops(self.parameters.architecture, feed.batch_size)
        most = plan.threads if flops > SERIAL_FLOPS else 1
        self.choice = plan.choice(at.PROGRAM, most, feed.batch_size)
        self.seconds = flops / FLOPS_PER_SECOND
        self._drivers = {False: train_serial.function_for(_INT64)}
        if self.choice.most > 1:
            self._drivers[True] = train_parallel.function_for(_INT64)
            plan.words[at.MEMBER] = crew_member.address(_INT64)
        self.results = constants.results  # of the latest call
        self.done = 0  # steps of the latest call

    def steps_left(self) -> int:
        """How many steps the epoch under way still has."""
        return self.feed.steps_per_epoch - int(self.parameters.state[at.BATCH_OF_EPOCH])

    def run(self, most: int) -> NDArray[np.float64]:
        """At least one and at most `most` steps, about 50 ms of them; returns their rows of results.

        Raises
        ------
        NonFiniteLossError
            If a loss is not finite, or the weights are not at the end of an epoch; the parameters are those from its
            beginning.
        """
        self.done = 0
        count = self._provide(min(most, MOST_STEPS, max(1, int(self.choice.call_seconds() / self.seconds))))
        with self.step():
            self._advance(count)
        return self.results[: self.done]

    def _provide(self, steps: int) -> int:
        """The data of some steps; the epoch is undone where there is something wrong with them."""
        try:
            return int(self._waiting(self.feed.stage, steps))
        except Exception:
            if self.plan.words[at.READY]:  # the epoch has begun
                with self.step():
                    self._undo()
            raise

    def _advance(self, count: int) -> None:
        """One call of a driver, and a look at what it did."""
        trial = self.choice.trial()
        parallel = self.choice.parallel() and threads.available(self.plan.threads) > 1
        next_step = int(self.parameters.state[at.STEP]) + 1
        constants = self.constants
        arguments = (self.plan.address, constants.address_of(next_step, count), constants.results_address, count)
        started = time.perf_counter()
        self._call(parallel, arguments)
        self.done = int(self.parameters.state[at.STEP]) + 1 - next_step
        seconds, steps = time.perf_counter() - started, max(self.done, 1)
        self.choice.measured(parallel, seconds, steps)
        if not trial:
            self.seconds = max(seconds / steps, 1e-8)
        if self.done < count or self.plan.words[at.BROKEN]:
            self._fail()

    def _call(self, parallel: bool, arguments: tuple[int, int, int, int]) -> None:
        self.plan.share_out(parallel)
        if not parallel:
            self._drivers[False](*arguments)
            return
        with threads.limited_to(self.plan.threads):
            self._drivers[True](*arguments)

    def mend(self) -> None:
        """Undo the epoch under way if its weights are not finite: whatever ends a fit must not leave them so."""
        if self.plan.words[at.READY] and not self.parameters.are_finite():
            with self.step():
                self._undo()

    def _fail(self) -> None:
        """Go back to the snapshot and raise."""
        state, words = self.parameters.state, self.plan.words
        epoch, batch = int(state[at.EPOCH]), int(state[at.BATCH_OF_EPOCH])
        if words[at.BROKEN]:  # it was the last step of the epoch before
            epoch, batch = epoch - 1, self.feed.steps_per_epoch - 1
        self._undo()
        raise NonFiniteLossError(epoch, batch, "this fit" if words[at.KEPT_BATCH] else "that epoch")

    def _undo(self) -> None:
        """Go back to the snapshot: to where the epoch began, or within it this fit."""
        parameters, state, words = self.parameters, self.parameters.state, self.plan.words
        snapshot = self.plan.buffer(at.SNAPSHOT)
        parameters.weights[:] = snapshot[: parameters.size]
        parameters.slots[:] = snapshot[parameters.size :].reshape(parameters.slots.shape)
        parameters.refresh_transposed()
        parameters.totals[:] = self.plan.numbers[at.KEPT_TOTALS : at.KEPT_TOTALS + 3]
        state[at.EPOCH], state[at.BATCH_OF_EPOCH] = words[at.KEPT_EPOCH], words[at.KEPT_BATCH]
        state[at.STEP] = words[at.KEPT_STEP]
        words[at.READY] = 0


EpochLosses = Callable[[NDArray[np.float64], int, int], list[float]]
"""Of results of steps, the batch of the first, and the steps of an epoch: the losses of the epochs that end there."""


def epoch_losses(results: NDArray[np.float64], first_batch: int, steps_per_epoch: int) -> list[float]:
    """The losses of the epochs that end within these results; `first_batch` is the batch of the first row."""
    ends = results[steps_per_epoch - 1 - first_batch :: steps_per_epoch]
    weights = ends[:, at.EPOCH_WEIGHT_SUM]
    data = np.divide(ends[:, at.EPOCH_LOSS_SUM], weights, out=np.zeros(len(ends)), where=weights > 0)
    losses: list[float] = (data + ends[:, at.EPOCH_PENALTY] / steps_per_epoch).tolist()
    return losses


def batch_loss(result: NDArray[np.float64]) -> float:
    """The loss of one step, penalties included."""
    weight = result[at.WEIGHT_SUM]
    return float((result[at.LOSS_SUM] / weight if weight > 0 else 0.0) + result[at.PENALTY])


def warmup() -> int:
    """Compile every kernel, or load it from the cache, in both dtypes; returns how many there are."""
    found_modules = pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}.")
    modules = [importlib.import_module(found.name) for found in found_modules]
    found = {id(kernel): kernel for module in modules for kernel in _kernels_in(vars(module).values())}
    count = 0
    for kernel in found.values():
        if kernel.parallel and threads.layer() == "none":
            continue
        for dtype in kernel.dtypes:
            kernel.address(dtype)
            count += 1
    return count


def _kernels_in(values: Iterable[Any]) -> Iterator[Kernel]:
    """Every kernel among the values and in the tables among them."""
    for value in values:
        if isinstance(value, Kernel):
            yield value
        elif isinstance(value, dict):
            yield from _kernels_in(value.values())
        elif isinstance(value, (ActivationKernels, UpdateKernels)):
            yield from _kernels_in(vars(value).values())
