"""The choice between one thread and several, by measurement."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple


class Clocks(NamedTuple):
    """Readings in seconds: the time of day, and the processor time of this thread and of all threads of the process."""

    wall: float
    own: float
    process: float


def read_clocks() -> Clocks:
    """Return the readings of now."""
    return Clocks(time.perf_counter(), time.thread_time(), time.process_time())


class ThreadTuner:
    """Choose between serial and parallel calls by measured times. Both give the same bits.

    On a busy machine two threads can be hundreds of times slower than one, so nothing is assumed.

    **Trials.** The first calls are serial. Then a trial runs one step in parallel, which wakes the threads (0.3 ms). If
    that was cheap, parallel calls of 2 ms follow, until one is faster than serial calls or they have lost 1 ms. A trial
    may lose a tenth of the serial time, so the first one comes after 10 ms of serial work. Each failed trial halves
    that share: if threads save no time, a fit of one second loses 1 %.

    **Conditions.** The time of a parallel call does not tell whether threads do not pay or had no processor. Clocks
    tell it, which are read during serial calls. If this thread has to wait for a processor, other processes are busy.
    If other threads of this process run meanwhile, they are in the way: OpenBLAS keeps its idle threads spinning for
    100 ms after a product. In both cases a trial is expected to lose 50 ms, as measured with four busy processes on two
    cores. Once the other threads rest, earlier failures are forgotten and a trial follows at once. A fit begins with
    serial calls if other threads were in the way in the last one.

    **Parallel calls** become longer step by step, so that a process that starts meanwhile, or a lucky trial, costs
    little. A call that loses 1 ms is forgiven after 50 ms of faster ones; otherwise it counts as a failed trial. A
    short serial call follows after 2 parallel ones, then after 4, 8, up to 64, for comparison, unless they are clearly
    faster.

    Parameters
    ----------
    max_threads : int
        The maximum number of threads; with 1 all calls are serial.
    rows : int
        The number of rows at a time, for which the measurements are valid.
    clocks : function
        Returns the readings of now.
    """

    TRIAL_SHARE = 0.1  # of the serial time, which trials may lose
    CALM_COST, BUSY_COST = 0.001, 0.05  # the minimum seconds that a trial is expected to lose
    WATCH_SECONDS = 0.005  # of serial calls between two readings; ticks of 4 ms advance the clocks of other threads
    OWN_SPIN_SECONDS = 0.02  # after a parallel call; the threads of GNU OpenMP spin for 10 ms before they sleep
    FREE_SHARE = 0.9  # of its time; a thread that has a processor for less runs on a busy machine
    OTHERS_SHARE = 0.1  # of the processors; other threads of this process that use more are in the way
    FORGIVEN_SECONDS = 0.05  # of parallel calls that are faster, after which earlier losses are forgotten
    CLEAR_RATIO = 0.9  # parallel steps that take less than this share of a serial one need no comparison
    MAX_CALLS = 64  # parallel calls between two comparisons
    MAX_BACKOFF = 32  # the maximum factor by which trials become rarer
    SERIAL_CALL, PARALLEL_CALL, COMPARISON = 0.05, 0.01, 0.005  # seconds that calls may take
    WATCHED_CALL = 0.01  # seconds that a serial call may take if conditions may become better

    def __init__(self, max_threads: int = 1, rows: int = 0, clocks: Callable[[], Clocks] = read_clocks) -> None:
        self.max_threads, self._rows, self._clocks = max_threads, rows, clocks
        self._step_seconds: dict[bool, list[float]] = {False: [], True: []}  # in the last two calls of each kind
        self._was_parallel = False  # whether any call was parallel
        self._serial_seconds = 0.0  # of serial calls since the last parallel one
        self._unread = self._watched = 0.0  # seconds of these calls after the last reading, and between readings
        self._first: Clocks | None = None  # the first reading in these calls
        self._last: Clocks | None = None  # the last one
        self._waits = False  # whether this thread waits for a processor
        self._crowded = False  # whether other threads are in the way
        self._met_crowd = False  # whether other threads were in the way since the last fit began
        self._cost = 0.0  # seconds that the last failure lost
        self._backoff = 1  # the factor by which trials have become rarer, because the last ones failed
        self._good_seconds = 0.0  # of faster parallel calls since the last failure, or loss of 1 ms
        self._paused = False  # whether calls are serial until a trial succeeds, whatever earlier ones took
        self._budget = 0.0  # seconds that a trial may still lose once the threads are awake
        self._length = 0.0  # half of the seconds that the next parallel call may take
        self._calls_since_comparison, self._calls_until_comparison = 0, 2

    def fits(self, max_threads: int, rows: int) -> bool:
        """Return whether the measurements are valid for a maximum number of threads and a number of rows."""
        return (max_threads, rows) == (self.max_threads, self._rows)

    def begin_fit(self) -> None:
        """Begin with serial calls if other threads were in the way in the last fit, for they may be again."""
        self._paused, self._met_crowd = self._paused or self._met_crowd, False

    def parallel(self) -> bool:
        """Return whether the next call should be parallel."""
        return self.max_threads > 1 and self._prefers_parallel() != self.trial()

    def trial(self) -> bool:
        """Return whether the next call only tries the kind that is not preferred."""
        if self.max_threads == 1:
            return False
        if self._prefers_parallel():
            return self._calls_since_comparison >= self._calls_until_comparison and not self._is_clear()
        return self._budget > 0.0 or (self._watched > 0.0 and self._seconds_until_trial() <= 0.0)

    def call_seconds(self) -> float:
        """Return how many seconds the next call may take, if a step takes less."""
        if self.max_threads == 1:
            return self.SERIAL_CALL
        if self.parallel() and self.trial():
            return 2.0 * self.CALM_COST if self._budget > 0.0 else 0.0
        if self.parallel():
            return min(2.0 * self._length, self.PARALLEL_CALL)
        if self.trial():
            return self.COMPARISON
        longest = self.WATCHED_CALL if self._paused or self._crowded else self.SERIAL_CALL
        return min(max(self._seconds_until_trial(), self.COMPARISON), longest)

    def measured(self, parallel: bool, seconds: float, steps: int = 1) -> None:
        """Record the seconds and steps of a call. With a single thread nothing is recorded."""
        if self.max_threads == 1:
            return
        preferred, compared = self._prefers_parallel(), self.trial()
        if not parallel or preferred or self._budget > 0.0 or seconds / steps < self._best(False):
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
        """Record the time that a parallel call lost, and whether a trial goes on, succeeded or failed."""
        lost = max(0.0, seconds - steps * self._best(False))
        cheap = lost < self.CALM_COST
        if preferred:
            self._paused = not cheap and self._good_seconds < self.FORGIVEN_SECONDS
            failed = not self._prefers_parallel()
        else:
            self._budget = (self._budget - lost if self._budget else self.CALM_COST) if lost and cheap else 0.0
            failed = lost > 0.0 and self._budget <= 0.0
            self._paused = self._paused and lost > 0.0
        if failed:
            self._cost, self._backoff, self._budget = lost, min(2 * self._backoff, self.MAX_BACKOFF), 0.0
        if failed or not cheap:
            self._good_seconds = 0.0
        elif not lost:
            self._good_seconds += seconds
        if self._good_seconds >= self.FORGIVEN_SECONDS:
            self._cost, self._backoff = 0.0, 1
        self._length = self.CALM_COST if lost else seconds
        self._serial_seconds = self._unread = self._watched = 0.0
        self._first = self._last = None
        self._was_parallel = True
        self._calls_since_comparison += 1

    def _watch(self, seconds: float) -> None:
        """Find out whether this thread waits for a processor, and whether other threads are in the way.

        The first milliseconds are not measured, because reading the processor time ends a time slice that has run out.
        When it was read at every call, fits of 2 ms among four busy processes took twice as long.
        """
        if self._serial_seconds < (self.OWN_SPIN_SECONDS if self._was_parallel else self.WATCH_SECONDS):
            return
        if self._first is None or self._last is None:
            self._first = self._last = self._clocks()
            return
        self._unread += seconds
        if self._unread < self.WATCH_SECONDS:
            return
        now, last = self._clocks(), self._last
        self._watched, self._unread, self._last = self._watched + self._unread, 0.0, now
        self._waits = now.own - self._first.own < self.FREE_SHARE * self._watched
        others = (now.process - last.process) - (now.own - last.own)
        crowded = others > self.OTHERS_SHARE * self.max_threads * (now.wall - last.wall)
        if self._crowded and not crowded:
            self._cost, self._backoff = 0.0, 1
        self._crowded = crowded
        self._met_crowd = self._met_crowd or crowded

    def _seconds_until_trial(self) -> float:
        """Return the seconds of serial calls until a tenth of them covers what a trial is expected to lose."""
        expected = max(self._cost, self.BUSY_COST if self._waits or self._crowded else self.CALM_COST)
        return self._backoff * expected / self.TRIAL_SHARE - self._serial_seconds

    def _prefers_parallel(self) -> bool:
        return not self._paused and self._best(True) < self._best(False)

    def _is_clear(self) -> bool:
        return self._best(True) < self.CLEAR_RATIO * self._best(False)

    def _best(self, parallel: bool) -> float:
        """Return the shorter time of the last two calls, so that one disturbed call decides nothing."""
        return min(self._step_seconds[parallel], default=math.inf)
