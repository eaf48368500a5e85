"""Whether threads pay, by measurement."""

from __future__ import annotations

import math


class ThreadChoice:
    """Serial or parallel, by what was measured: on a busy machine two threads can be slower than one.

    The bits are the same either way. The first calls are parallel, the next is serial; after that the faster kind runs,
    and the other is tried again now and then, unless parallel is clearly faster.
    """

    AGAIN = 32  # calls between two trials
    CLEARLY = 0.9  # parallel steps that take less than this share of a serial one need no comparison

    def __init__(self) -> None:
        self.most, self._rows = 1, 0
        self._reset()

    def begin(self, most: int, rows: int) -> None:
        """Work on that many rows at a time begins; what was measured holds while rows and threads stay the same."""
        if (most, rows) != (self.most, self._rows):
            self.most, self._rows = most, rows
            self._reset()

    def parallel(self) -> bool:
        """Whether the next call should be parallel."""
        return self.most > 1 and self._faster() != self.trial()

    def trial(self) -> bool:
        """Whether the next call only tries the kind that is not preferred, and should be short."""
        if self.most == 1 or not self._seconds[True]:
            return False
        if not self._seconds[False]:
            return True
        clear = self._best(True) < self.CLEARLY * self._best(False)
        return self._calls % self.AGAIN == 0 and not clear

    def measured(self, parallel: bool, seconds: float) -> None:
        """Take note of the seconds that a call of this kind took; the very first only warms caches and threads."""
        if self._calls:
            self._seconds[parallel] = [*self._seconds[parallel][-1:], seconds]
        self._calls += 1

    def _faster(self) -> bool:
        return not self._seconds[False] or self._best(True) < self._best(False)

    def _best(self, parallel: bool) -> float:
        """The better of the last two, so that one disturbed call decides nothing."""
        return min(self._seconds[parallel], default=math.inf)

    def _reset(self) -> None:
        self._calls = 0
        self._seconds: dict[bool, list[float]] = {False: [], True: []}
