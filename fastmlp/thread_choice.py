"""Whether threads pay, by measurement."""

from __future__ import annotations

import math


class ThreadChoice:
    """Serial or parallel, by what was measured: on a busy machine two threads can be slower than one.

    The bits are the same either way. The first calls are parallel, one is serial, and after that the faster kind runs.
    Unless parallel is clearly faster, the other kind is tried again: after 2 calls, then 4, 8, up to 64, for what made
    threads slow (a neighbour, or both on one core) passes.
    """

    LONGEST = 64  # calls between two trials
    CLEARLY = 0.9  # parallel calls that take less than this share of a serial one need no comparison

    def __init__(self, most: int = 1, rows: int = 0) -> None:
        self.most, self._rows = most, rows
        self._calls, self._since_trial, self._wait = 0, 0, 1
        self._seconds: dict[bool, list[float]] = {False: [], True: []}

    def fits(self, most: int, rows: int) -> bool:
        """Whether what was measured holds: so many threads at most, and that many rows at a time."""
        return (most, rows) == (self.most, self._rows)

    def parallel(self) -> bool:
        """Whether the next call should be parallel."""
        return self.most > 1 and self._prefers_parallel() != self.trial()

    def trial(self) -> bool:
        """Whether the next call only tries the kind that is not preferred, and should be short."""
        if self.most == 1 or len(self._seconds[True]) < 2:
            return False
        if not self._seconds[False]:
            return True
        return self._since_trial >= self._wait and not self._is_clear()

    def settled(self) -> bool:
        """Whether both kinds were measured, or there is only one."""
        return self.most == 1 or bool(self._seconds[False] and self._seconds[True])

    def measured(self, parallel: bool, seconds: float) -> None:
        """Take note of the seconds that a call of this kind took; the very first only warms caches and threads."""
        was_trial, preferred = self.trial(), self._prefers_parallel()
        if self._calls:
            self._seconds[parallel] = [*self._seconds[parallel][-1:], seconds]
        self._calls += 1
        self._since_trial += 1
        if self._prefers_parallel() != preferred:
            self._since_trial, self._wait = 0, 2
        elif was_trial:
            self._since_trial, self._wait = 0, min(2 * self._wait, self.LONGEST)

    def _prefers_parallel(self) -> bool:
        return not self._seconds[False] or self._best(True) < self._best(False)

    def _is_clear(self) -> bool:
        return self._best(True) < self.CLEARLY * self._best(False)

    def _best(self, parallel: bool) -> float:
        """The better of the last two, so that one disturbed call decides nothing."""
        return min(self._seconds[parallel], default=math.inf)
