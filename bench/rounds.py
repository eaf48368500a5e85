"""Rounds of several competitors that alternate, and how their times reach pytest-benchmark.

Rounds alternate so that a disturbance of the machine affects all competitors alike; the best round of each counts. All
rounds are done before pytest-benchmark starts its timer. A test then replays them on a clock that it advances itself,
so that the table of pytest-benchmark shows them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from bench.peers import Competitor, Unavailable
from bench.worker import REST, Worker
from bench.workloads import Workload

Entry = tuple[Competitor, int | None]
"""A competitor and its number of threads; None means all."""


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds of each competitor, seconds of a round, and whether to measure slow cases too."""

    rounds: int
    seconds: float
    thorough: bool


FULL, QUICK = Effort(8, 0.2, True), Effort(2, 0.01, False)


@dataclass(frozen=True)
class Measured:
    """The seconds of a step, or a call, in each round, and the reason why a competitor took no part."""

    times: dict[tuple[Entry, str], list[float]]
    absent: dict[tuple[Entry, str], str]

    def of(self, entry: Entry, kind: str) -> list[float]:
        """Return the rounds of one competitor, or skip the calling test if there are none."""
        if (entry, kind) in self.times:
            return self.times[entry, kind]
        return pytest.skip(self.absent.get((entry, kind), "left out, because it takes long"))


class Field:
    """The worker processes of all competitors that can take part, started together."""

    def __init__(
        self,
        job: str,
        competitors: Sequence[Competitor],
        workload: Workload,
        threads: Sequence[int | None] = (1, None),
    ) -> None:
        entries: list[Entry] = [(competitor, count) for count in threads for competitor in competitors]
        self.absent = {entry: entry[0].missing for entry in entries if entry[0].missing}
        self.workers = {
            entry: Worker(job, entry[0], workload, entry[1]) for entry in entries if entry not in self.absent
        }
        self._answers(entries)

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()

    def each(self, method: str, *arguments: Any, without: Sequence[Competitor] = ()) -> dict[Entry, Any]:
        """Call a method of every worker and return the answers.

        Nothing is timed here, so the workers of one competitor on one thread and on all run at the same time. All
        twelve workers at once would be slow: threads that wait for each other spin, and so occupy the cores that the
        others need.
        """
        answers: dict[Entry, Any] = {}
        for competitor in dict.fromkeys(entry[0] for entry in self.workers if entry[0] not in without):
            both = [entry for entry in self.workers if entry[0] == competitor]
            for entry in both:
                self.workers[entry].ask(method, *arguments)
            answers |= self._answers(both)
        return answers

    def _answers(self, entries: Sequence[Entry]) -> dict[Entry, Any]:
        """Return the pending answers; a competitor that turns out to be unavailable takes no further part."""
        answers: dict[Entry, Any] = {}
        try:
            for entry in (entry for entry in entries if entry in self.workers):
                try:
                    answers[entry] = self.workers[entry].answer()
                except Unavailable as reason:
                    self.absent[entry] = str(reason)
                    self.workers.pop(entry).close()
        except BaseException:
            self.close()
            raise
        return answers

    def rounds(self, effort: Effort, without: Sequence[Competitor] = ()) -> dict[Entry, list[float]]:
        """Return the seconds of a step or call in each round; the rounds of all competitors alternate."""
        taking_part = [entry for entry in self.workers if entry[0] not in without]
        times: dict[Entry, list[float]] = {entry: [] for entry in taking_part}
        for number in range(1 + effort.rounds):
            for entry in taking_part:
                seconds = self.workers[entry].do("round", effort.seconds)
                if entry[1] is None:
                    time.sleep(REST)
                if number:  # the first round only finds out how many turns fill a round
                    times[entry].append(seconds)
        return times


class PlaybackClock:
    """A clock that only `play` advances; pytest-benchmark uses it as its timer."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def play(self, benchmark: Any, times: Sequence[float]) -> None:
        """Let pytest-benchmark measure rounds of exactly these seconds."""
        left = iter(times)
        benchmark.pedantic(lambda: self._advance(next(left)), rounds=len(times))

    def _advance(self, seconds: float) -> None:
        self._now += seconds


CLOCK = PlaybackClock()
