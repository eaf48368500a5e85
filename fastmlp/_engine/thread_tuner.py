"""The choice between one thread and several, by measurement."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class ThreadTuner:
    """Choose between serial and parallel calls by measured times. Both give the same bits.

    On a busy machine two threads can be hundreds of times slower than one, so nothing is assumed.

    The first calls are serial. Then a trial runs one step in parallel, which wakes the threads (0.3 ms). If that was
    cheap, more parallel steps follow, whose time is compared. The faster kind is used from then on.

    A trial may lose a tenth of the serial time, so the first one comes after ten milliseconds of serial work. Each
    failed trial halves that share: if threads save no time, a fit of one second loses 1 %. If serial calls
    had to wait for a processor, a trial is expected to lose 50 ms, as measured with four busy processes on two cores.

    Parallel calls become longer step by step, so that a process that starts meanwhile, or a lucky trial, costs little.
    A short serial call follows after 2 of them, then after 4, 8, up to 64, for comparison, unless they are clearly
    faster.

    Parameters
    ----------
    max_threads : int
        The maximum number of threads; with 1 all calls are serial.
    rows : int
        The number of rows at a time, for which the measurements are valid.
    clock : function
        Returns the processor time of this thread in seconds.
    """

    TRIAL_SHARE = 0.1  # of the serial time, which trials may lose
    CALM_COST, BUSY_COST = 0.001, 0.05  # the minimum seconds that a trial is expected to lose
    WATCH_SECONDS = 0.005  # of serial calls, enough to tell whether the machine is busy
    FREE_SHARE = 0.9  # of its time; a thread that has a processor for less runs on a busy machine
    CLEAR_RATIO = 0.9  # parallel steps that take less than this share of a serial one need no comparison
    MAX_CALLS = 64  # parallel calls between two comparisons
    MAX_BACKOFF = 32  # the maximum factor by which trials become rarer
    SERIAL_CALL, PARALLEL_CALL, COMPARISON = 0.05, 0.01, 0.005  # seconds that calls may take

    def __init__(self, max_threads: int = 1, rows: int = 0, clock: Callable[[], float] = time.thread_time) -> None:
        self.max_threads, self._rows, self._clock = max_threads, rows, clock
        self._step_seconds: dict[bool, list[float]] = {False: [], True: []}  # in the last two calls of each kind
        self._serial_seconds = 0.0  # of serial calls since the last trial
        self._watched: float | None = None  # the part of these seconds for which the processor time is measured
        self._watch_start = self._processor_seconds = 0.0
        self._cost = 0.0  # seconds that the last parallel call lost
        self._backoff = 1  # the factor by which trials have become rarer, because the last ones failed
        self._woken = False  # whether the last call woke the threads, and did so cheaply
        self._length = 0.0  # seconds of the last parallel call, if it was faster than a serial one
        self._calls_since_comparison, self._calls_until_comparison = 0, 2

    def fits(self, max_threads: int, rows: int) -> bool:
        """Return whether the measurements are valid for a maximum number of threads and a number of rows."""
        return (max_threads, rows) == (self.max_threads, self._rows)

    def parallel(self) -> bool:
        """Return whether the next call should be parallel."""
        return self.max_threads > 1 and self._prefers_parallel() != self.trial()

    def trial(self) -> bool:
        """Return whether the next call only tries the kind that is not preferred."""
        if self.max_threads == 1:
            return False
        if self._prefers_parallel():
            return self._calls_since_comparison >= self._calls_until_comparison and not self._is_clear()
        if self._woken:
            return True
        if self._watched is None or self._watched < self.WATCH_SECONDS:
            return False
        return self._serial_seconds * self.TRIAL_SHARE >= self._expected_cost()

    def call_seconds(self) -> float:
        """Return how many seconds the next call may take, if a step takes less."""
        if self.max_threads == 1:
            return self.SERIAL_CALL
        if self.parallel() and self.trial():
            return 2.0 * self.CALM_COST if self._woken else 0.0
        if self.parallel():
            return min(2.0 * self._length, self.PARALLEL_CALL)
        until_trial = self._expected_cost() / self.TRIAL_SHARE - self._serial_seconds
        return self.COMPARISON if self.trial() else min(max(until_trial, self.COMPARISON), self.SERIAL_CALL)

    def measured(self, parallel: bool, seconds: float, steps: int = 1) -> None:
        """Record the seconds and steps of a call. With a single thread nothing is recorded."""
        if self.max_threads == 1:
            return
        preferred, compared = self._prefers_parallel(), self.trial()
        if not parallel or preferred or self._woken or seconds / steps < self._best(False):
            self._step_seconds[parallel] = [*self._step_seconds[parallel][-1:], seconds / steps]
        if parallel:
            self._record_parallel(seconds, steps, preferred)
        else:
            self._serial_seconds += seconds
            self._watch(seconds)
            if preferred and compared:
                self._calls_since_comparison = 0
                self._calls_until_comparison = min(2 * self._calls_until_comparison, self.MAX_CALLS)
        if self._prefers_parallel() != preferred:
            self._calls_since_comparison, self._calls_until_comparison = 0, 2

    def _record_parallel(self, seconds: float, steps: int, preferred: bool) -> None:
        """Record the time that a parallel call lost, and whether it woke the threads cheaply."""
        self._cost = max(0.0, seconds - steps * self._best(False))
        self._woken = not (preferred or self._woken) and 0.0 < self._cost < self.CALM_COST
        self._length = 0.0 if self._cost else seconds
        if not self._woken:
            self._backoff = min(2 * self._backoff, self.MAX_BACKOFF) if self._cost else 1
        self._serial_seconds, self._watched = 0.0, None
        self._calls_since_comparison += 1

    def _watch(self, seconds: float) -> None:
        """Measure the share of its time for which this thread has a processor.

        The first milliseconds are not measured, because reading the processor time ends a time slice that has run out.
        When it was read at every call, fits of 2 ms among four busy processes took twice as long.
        """
        if self._serial_seconds < self.WATCH_SECONDS:
            return
        if self._watched is None:
            self._watched, self._watch_start = 0.0, self._clock()
        else:
            self._watched += seconds
            self._processor_seconds = self._clock() - self._watch_start

    def _expected_cost(self) -> float:
        """Return the seconds that the next trial may lose: as many as the last one, and more on a busy machine."""
        busy = self._watched is not None and self._processor_seconds < self.FREE_SHARE * self._watched
        return self._backoff * max(self._cost, self.BUSY_COST if busy else self.CALM_COST)

    def _prefers_parallel(self) -> bool:
        return self._best(True) < self._best(False)

    def _is_clear(self) -> bool:
        return self._best(True) < self.CLEAR_RATIO * self._best(False)

    def _best(self, parallel: bool) -> float:
        """Return the shorter time of the last two calls, so that one disturbed call decides nothing."""
        return min(self._step_seconds[parallel], default=math.inf)
