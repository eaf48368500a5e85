"""The optimizer's constants of the next steps, and the buffer for what these steps give."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._engine.records import address_of, new_record
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp._runtime.settings import Settings
from fastmlp.kernels.host.annotations import structure_of
from fastmlp.kernels.layout import DECAY, STEP_ROW
from fastmlp.kernels.tables import Result, StepTable
from fastmlp.optimizers import OPTIMIZERS, Optimizer
from fastmlp.schedules import SCHEDULES

MAX_STEPS = 4096  # steps of one call, so that the tables of constants and results are small
_FIRST_ROWS = 32  # of the table of a new network

RESULT = np.dtype(structure_of(Result))
_NO_CONSTANTS = aligned_zeros(STEP_ROW, np.float64)


class StepConstants:
    """The constants of the optimizer for some steps, and a buffer for the results of a call.

    Networks with equal optimizers share a table of constants, since to make one takes 100 us. It begins with few steps,
    and doubles.

    Attributes
    ----------
    address : int
        The address of the record by which kernels find the constants of a step.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._record = new_record(StepTable)
        self.address = address_of(self._record)
        self._results: NDArray[Any] = aligned_zeros(0, np.uint8).view(RESULT)
        self.use(optimizer)

    @property
    def nbytes(self) -> int:
        """The number of bytes of both tables."""
        return int(self._table.nbytes + self._results.nbytes)

    def use(self, optimizer: Optimizer) -> None:
        """Use another optimizer from the next step on. It must have the same kernel and slots as the current one."""
        self._record.first = self._record.last = -1  # there are constants of no step
        self._record.rows = address(_NO_CONSTANTS)
        self.optimizer, self._table = optimizer, _NO_CONSTANTS

    def address_of(self, step: int, count: int) -> int:
        """Return the address of the rows of `count` steps from `step` on, counted from 1; at most `MAX_STEPS`."""
        record = self._record
        if step < record.first or step + count > record.last:
            first, rows = _range_with(step, count)
            table = _table_of(self.optimizer, first, rows)
            record.first = record.last = -1  # until all of it is written
            record.rows, self._table = address(table), table
            record.first, record.last = first, first + rows
        return int(record.rows + (step - record.first) * STEP_ROW * 8)

    def results(self, count: int) -> NDArray[Any]:
        """Return a buffer for the results of `count` steps."""
        if len(self._results) < count:
            rows = min(max(count, 2 * len(self._results)), MAX_STEPS)
            self._results = aligned_zeros(rows * RESULT.itemsize, np.uint8).view(RESULT)
        return self._results


def _range_with(step: int, count: int) -> tuple[int, int]:
    """Return the first step and the rows of a table with `count` steps from `step` on.

    The first tables begin with step 1 and double. Later ones have `2 * MAX_STEPS` rows, and begin where a half of
    another begins. So networks that train by equal optimizers ask for the same tables.
    """
    end = step + count - 1
    if end <= 2 * MAX_STEPS:
        return 1, max(1 << (end - 1).bit_length(), _FIRST_ROWS)
    return (step - 1) // MAX_STEPS * MAX_STEPS + 1, 2 * MAX_STEPS


def _table_of(optimizer: Optimizer, first: int, rows: int) -> NDArray[np.float64]:
    """Return the constants of `rows` steps from `first` on, shared where equal optimizers have equal constants."""
    return (_shared_table if _is_built_in(optimizer) else _make_table)(optimizer, first, rows)


_BUILT_IN = {type(each) for each in (*OPTIMIZERS.values(), *SCHEDULES.values())}


def _is_built_in(settings: Settings) -> bool:
    """Return whether the fields of an optimizer or a schedule say all about it, as those of a user's class may not."""
    parts = [value for value in vars(settings).values() if isinstance(value, Settings)]
    return type(settings) in _BUILT_IN and all(map(_is_built_in, parts))


def _make_table(optimizer: Optimizer, first: int, rows: int) -> NDArray[np.float64]:
    table = aligned_zeros(rows * STEP_ROW, np.float64).reshape(-1, STEP_ROW)
    steps = np.arange(first, first + rows)
    with np.errstate(over="ignore", under="ignore"):  # whatever `numpy.seterr` is set to
        constants = optimizer.constants(steps)
        table[:, DECAY] = optimizer.decay(steps)
    table[:, : constants.shape[1]] = constants
    return table


_shared_table = functools.lru_cache(maxsize=16)(_make_table)
