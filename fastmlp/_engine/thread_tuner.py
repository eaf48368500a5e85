"""Whether threads pay, by measurement."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class ThreadTuner:
    """Serial or parallel, by what was measured: on a busy machine two threads can be hundreds of times slower than one.

    The bits are the same either way. The first calls are serial. Then parallel is tried: by one step, which wakes the
    threads (0.3 ms), and if that was cheap by some more, which show what they are worth; what is faster runs on. The
    first trial may take a tenth of the time, so it comes after ten milliseconds of serial work, and each that failed
    leaves the next half of that share: where threads do not pay, a fit of a second loses 1 %. Where the serial calls
    themselves had to wait for a processor, a trial is expected to lose 50 ms, which was measured with
    four busy neighbours on two cores.

    Parallel calls get longer step by step, so that a neighbour who comes, or a trial that was lucky, costs little. They
    are compared with a short serial call after 2 of them, then 4, 8, up to 64, unless they are clearly faster.
    """

    SHARE = 0.1  # of the serial seconds, that trials may lose
    CALM_PRICE, BUSY_PRICE = 0.001, 0.05  # seconds that a trial is expected to lose at least
    WATCHED = 0.005  # seconds that are enough to tell
    WAITING = 0.9  # of its time a thread has a processor on a machine that is not busy
    CLEARLY = 0.9  # parallel calls that take less than this share of a serial one need no comparison
    LONGEST = 64  # parallel calls between two comparisons
    FEWEST = 32  # how much rarer trials become at most
    SERIAL_CALL, PARALLEL_CALL, COMPARISON = 0.05, 0.01, 0.005  # seconds that calls may take

    def __init__(self, most: int = 1, rows: int = 0, clock: Callable[[], float] = time.thread_time) -> None:
        self.most, self._rows, self._clock = most, rows, clock
        self._seconds: dict[bool, list[float]] = {False: [], True: []}  # of a step, in the last two calls of each kind
        self._serial = 0.0  # seconds of serial calls since parallel was tried
        self._watched: float | None = None  # those of them in which this thread was watched
        self._own_from = self._own = 0.0  # and what it had of a processor in these
        self._price = 0.0  # what the last parallel call lost
        self._rarer = 1  # how much rarer trials have become, one after the other having failed
        self._woken = False  # whether that was the step that wakes the threads, and they woke at once
        self._length = 0.0  # of the last parallel call, if it was faster than a serial one
        self._since_comparison, self._wait = 0, 2

    def fits(self, most: int, rows: int) -> bool:
        """Whether what was measured holds: so many threads at most, and that many rows at a time."""
        return (most, rows) == (self.most, self._rows)

    def parallel(self) -> bool:
        """Whether the next call should be parallel."""
        return self.most > 1 and self._prefers_parallel() != self.trial()

    def trial(self) -> bool:
        """Whether the next call only tries the kind that is not preferred."""
        if self.most == 1:
            return False
        if self._prefers_parallel():
            return self._since_comparison >= self._wait and not self._is_clear()
        if self._woken:
            return True
        if self._watched is None or self._watched < self.WATCHED:
            return False
        return self._serial * self.SHARE >= self._expected_price()

    def call_seconds(self) -> float:
        """How long the next call may take, where a step is shorter."""
        if self.most == 1:
            return self.SERIAL_CALL
        if self.parallel() and self.trial():
            return 2.0 * self.CALM_PRICE if self._woken else 0.0
        if self.parallel():
            return min(2.0 * self._length, self.PARALLEL_CALL)
        until_trial = self._expected_price() / self.SHARE - self._serial
        return self.COMPARISON if self.trial() else min(max(until_trial, self.COMPARISON), self.SERIAL_CALL)

    def measured(self, parallel: bool, seconds: float, steps: int = 1) -> None:
        """Take note of the seconds and steps of a call, where there is a choice."""
        if self.most == 1:
            return
        preferred, compared = self._prefers_parallel(), self.trial()
        if not parallel or preferred or self._woken or seconds / steps < self._best(False):
            self._seconds[parallel] = [*self._seconds[parallel][-1:], seconds / steps]
        if parallel:
            self._price = max(0.0, seconds - steps * self._best(False))
            self._woken = not (preferred or self._woken) and 0.0 < self._price < self.CALM_PRICE
            self._length = 0.0 if self._price else seconds
            if not self._woken:
                self._rarer = min(2 * self._rarer, self.FEWEST) if self._price else 1
            self._serial, self._watched = 0.0, None
            self._since_comparison += 1
        else:
            self._serial += seconds
            self._watch(seconds)
            if preferred and compared:
                self._since_comparison, self._wait = 0, min(2 * self._wait, self.LONGEST)
        if self._prefers_parallel() != preferred:
            self._since_comparison, self._wait = 0, 2

    def _watch(self, seconds: float) -> None:
        """See how much of its time this thread has a processor.

        Not in the first milliseconds: to ask ends a time slice that has run out, and asked at every call fits of 2 ms
        among four busy neighbours took twice as long.
        """
        if self._serial < self.WATCHED:
            return
        if self._watched is None:
            self._watched, self._own_from = 0.0, self._clock()
        else:
            self._watched += seconds
            self._own = self._clock() - self._own_from

    def _expected_price(self) -> float:
        """What the next trial may lose: as much as the last one, and more where serial calls wait for a processor."""
        busy = self._watched is not None and self._own < self.WAITING * self._watched
        return self._rarer * max(self._price, self.BUSY_PRICE if busy else self.CALM_PRICE)

    def _prefers_parallel(self) -> bool:
        return self._best(True) < self._best(False)

    def _is_clear(self) -> bool:
        return self._best(True) < self.CLEARLY * self._best(False)

    def _best(self, parallel: bool) -> float:
        """The better of the last two, so that one disturbed call decides nothing."""
        return min(self._seconds[parallel], default=math.inf)
