"""Calls of the compiled drivers, which run a program of a plan on one thread or on several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastmlp._engine.flops import SERIAL_FLOPS
from fastmlp._engine.plan import Plan
from fastmlp._engine.step_plan import Program
from fastmlp.kernels.drivers.team import team_worker, train_parallel, train_serial
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.jit import Kernel

INT64 = np.dtype(np.int64)


class ProgramRunner:
    """Run a program of a plan, by the driver that is faster.

    Parameters
    ----------
    plan : Plan
        The plan.
    program : Program
        What to compute.
    rows : int
        The number of rows at a time, for which the measured times are valid.
    flops : float
        The floating-point operations of one run. Little work runs on one thread.

    Attributes
    ----------
    max_threads : int
        The maximum number of threads.
    tuner : ThreadTuner
        Chooses between one thread and several.
    """

    def __init__(self, plan: Plan, program: Program, rows: int, flops: float) -> None:
        self.plan, self.program, self.rows = plan, program, rows
        self.max_threads = plan.threads if flops > SERIAL_FLOPS else 1
        self.tuner = plan.tuner(program, self.max_threads, rows)
        self._drivers = {False: self._function_of(train_serial)}
        plan.use(program, parallel=False)  # compiles its kernels, if they are not in the cache
        if self.max_threads > 1:
            self._drivers[True] = self._function_of(train_parallel)
            plan.record.worker = team_worker.address(INT64)
            plan.use(program, parallel=True)

    def _function_of(self, driver: Kernel) -> Callable[..., int]:
        """Return the function by which a driver is called."""
        return driver.function_for(INT64)

    def _choose(self) -> tuple[bool, bool]:
        """Return whether the next call is a trial, and whether it is parallel."""
        return self.tuner.trial(), self.tuner.parallel() and threads.available(self.plan.threads) > 1

    def _call(self, parallel: bool, arguments: tuple[int, ...]) -> int:
        """Call the serial or the parallel driver with the addresses of plan, constants and results, and a number."""
        self.plan.use(self.program, parallel)
        if not parallel:
            return self._drivers[False](*arguments)
        with threads.limited_to(self.plan.threads):
            return self._drivers[True](*arguments)
