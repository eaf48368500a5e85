"""The optimizer's constants of the next steps, and the buffer for what these steps give."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._engine.parameters import Parameters
from fastmlp._engine.records import new_record
from fastmlp._engine.rests import Pace
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp._runtime.settings import Settings
from fastmlp.kernels.host.annotations import structure_of
from fastmlp.kernels.layout import CONSTANTS, DECAY, STEP_ROW
from fastmlp.kernels.tables import Result, StepTable
from fastmlp.optimizers import OPTIMIZERS, StepOptimizer
from fastmlp.schedules import SCHEDULES, Schedule, resolve

MAX_STEPS = 4096  # steps of one call, so that the tables of constants and results are small
_ROWS = 512  # of a table for calls of few steps: half of it lasts for 256 single steps

RESULT = np.dtype(structure_of(Result))
_NO_CONSTANTS = aligned_zeros(STEP_ROW, np.float64)


class StepConstants:
    """The constants of the optimizer for some steps, and a buffer for the results of a call.

    New networks with equal optimizers share a table of constants, since to make one takes 100 us. A step has a row for
    each pace of the layers.

    Parameters
    ----------
    parameters : Parameters
        The network's memory, with its optimizer and the paces of its layers.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters, self._counts = parameters, parameters.counts
        self._results: NDArray[Any] = aligned_zeros(0, np.uint8).view(RESULT)
        self.follow()

    @property
    def nbytes(self) -> int:
        """The number of bytes of both tables."""
        return int(self._numbers.nbytes + self._results.nbytes)

    def follow(self) -> None:
        """Follow a change of the network's optimizer, which keeps its kernel and slots, or of the paces of layers."""
        self._architecture = self._parameters.architecture
        self._paces = tuple(dict.fromkeys(self._parameters.rests.paces()))
        self._counts[CONSTANTS] += 1
        self._publish(_NO_CONSTANTS, 0, 0, self._counts[CONSTANTS])

    def table(self, step: int, count: int) -> Any:
        """Return the record of a table with `count` steps from `step` on, counted from 1; step 0 needs no constants.

        An optimizer that makes no steps has no table: ValueError.

        A handler of a signal may use another optimizer meanwhile. The table then says that it is older, and kernels
        refuse it.
        """
        known, constants = self._table, self._counts[CONSTANTS]
        if step == 0 or (known.first <= step and step + count <= known.last and known.constants == constants):
            return known
        optimizer, paces = self._architecture.step_optimizer, self._paces
        first, rows = _range_with(step, count)
        return self._publish(_table_of(optimizer, paces, first, rows), first, first + rows, constants)

    def address_of(self, step: int, count: int) -> int:
        """Return the address of the constants of `count` steps from `step` on, while signals are held."""
        table = self.table(step, count)
        return int(table.rows + (step - table.first) * len(self._paces) * STEP_ROW * 8)

    def _publish(self, numbers: NDArray[np.float64], first: int, last: int, constants: int) -> Any:
        """Use a table from now on. Its record is new, so that nobody reads one that is half written."""
        record = new_record(StepTable)
        record.first, record.last, record.constants, record.rows = first, last, constants, address(numbers)
        self._table, self._numbers = record, numbers
        return record

    def results(self, count: int) -> NDArray[Any]:
        """Return a buffer for the results of `count` steps."""
        if len(self._results) < count:
            rows = min(max(count, 2 * len(self._results)), MAX_STEPS)
            self._results = aligned_zeros(rows * RESULT.itemsize, np.uint8).view(RESULT)
        return self._results


def constants_of(
    optimizer: StepOptimizer, paces: tuple[Pace, ...], step: int, count: int
) -> tuple[Hashable, int, Callable[[], NDArray[np.float64]]]:
    """Return what tables with `count` steps from `step` on have in common, their first step, and what makes one.

    Optimizers and schedules of the user's own classes are equal only to themselves.
    """
    first, rows = _range_with(step, count)
    known = optimizer if _is_built_in(optimizer) else id(optimizer)
    return (known, paces, first, rows), first, functools.partial(_table_of, optimizer, paces, first, rows)


def _range_with(step: int, count: int) -> tuple[int, int]:
    """Return the first step and the rows of a table with `count` steps from `step` on.

    Tables begin where a half of another of their size begins, so that new networks ask for the same ones.
    """
    half = max(1 << (count - 1).bit_length(), _ROWS // 2)
    return (step - 1) // half * half + 1, 2 * half


def _table_of(optimizer: StepOptimizer, paces: tuple[Pace, ...], first: int, rows: int) -> NDArray[np.float64]:
    """Return the constants of `rows` steps from `first` on.

    The tables of new networks are shared where equal optimizers have equal constants. Later ones are not: they would
    be kept although no network needs them any more.
    """
    shared = first == 1 and _is_built_in(optimizer)
    return (_shared_table if shared else _make_table)(optimizer, paces, first, rows)


_BUILT_IN = {type(each) for each in (*OPTIMIZERS.values(), *SCHEDULES.values())}


def _is_built_in(settings: Settings) -> bool:
    """Return whether the fields of an optimizer or a schedule say all about it, as those of a user's class may not."""
    parts = [value for value in vars(settings).values() if isinstance(value, Settings)]
    return type(settings) in _BUILT_IN and all(map(_is_built_in, parts))


def _make_table(optimizer: StepOptimizer, paces: tuple[Pace, ...], first: int, rows: int) -> NDArray[np.float64]:
    table = aligned_zeros(rows * len(paces) * STEP_ROW, np.float64).reshape(rows, len(paces), STEP_ROW)
    for index, pace in enumerate(paces):
        begin = max(first, pace.missed + 1)  # at the steps before, the layers of this pace rested
        steps = np.arange(begin, first + rows) - pace.missed
        if len(steps):
            with np.errstate(over="ignore", under="ignore"):  # whatever `numpy.seterr` is set to
                own = optimizer if pace == Pace() else _at_pace(optimizer, pace)
                constants, decay = own.constants(steps), own.decay(steps)
            table[begin - first :, index, : constants.shape[1]] = constants
            table[begin - first :, index, DECAY] = decay
    return table


def _at_pace(optimizer: StepOptimizer, pace: Pace) -> StepOptimizer:
    """Return the optimizer as layers of a pace have it: its step t is the step `t + missed` of the network."""
    return dataclasses.replace(optimizer, learning_rate=_RateAtPace(resolve(optimizer.learning_rate), pace))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class _RateAtPace(Schedule):
    """The learning rate of layers of a pace, by the number of the steps that they have not missed."""

    schedule: Schedule
    pace: Pace

    name = "rate_at_pace"

    def _rates(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.schedule.rates(steps + self.pace.missed) * self.pace.factor


_shared_table = functools.lru_cache(maxsize=16)(_make_table)
