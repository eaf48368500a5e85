"""Rounds of many competitors, one after the other, and how pytest-benchmark comes to know their times.

A moment in which the machine is disturbed hits all alike, and each competitor's best round counts. The rounds are over
when pytest-benchmark asks: a test plays them back to it on a clock that it moves by hand, so that its table shows them.
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
"""Who, and on how many threads; None is all."""


@dataclass(frozen=True)
class Effort:
    """How long is measured: rounds of each competitor, seconds of a round; and whether also what takes long before."""

    rounds: int
    seconds: float
    thorough: bool


FULL, QUICK = Effort(8, 0.2, True), Effort(2, 0.01, False)


@dataclass(frozen=True)
class Measured:
    """The seconds of a step, or a call, in each round of those who took part, and why others did not."""

    times: dict[tuple[Entry, str], list[float]]
    absent: dict[tuple[Entry, str], str]

    def of(self, entry: Entry, kind: str) -> list[float]:
        """The rounds of one; skips the test that asks where there are none."""
        if (entry, kind) in self.times:
            return self.times[entry, kind]
        return pytest.skip(self.absent.get((entry, kind), "left out: it takes long"))


class Field:
    """The workers of all competitors that can take part, started together."""

    def __init__(self, job: str, competitors: Sequence[Competitor], workload: Workload) -> None:
        entries: list[Entry] = [(who, threads) for threads in (1, None) for who in competitors]
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
        """What each gives to that. Nothing is timed, so those on one thread and on all do it at the same time.

        Not all twelve at once: threads that wait for one another spin, and take the cores from those they wait for.
        """
        found: dict[Entry, Any] = {}
        for who in dict.fromkeys(who for who, _ in self.workers if who not in without):
            both = [entry for entry in self.workers if entry[0] == who]
            for entry in both:
                self.workers[entry].ask(method, *arguments)
            found |= self._answers(both)
        return found

    def _answers(self, entries: Sequence[Entry]) -> dict[Entry, Any]:
        """What each was asked for; who turns out to be unavailable takes no further part."""
        found: dict[Entry, Any] = {}
        try:
            for entry in (entry for entry in entries if entry in self.workers):
                try:
                    found[entry] = self.workers[entry].answer()
                except Unavailable as reason:
                    self.absent[entry] = str(reason)
                    self.workers.pop(entry).close()
        except BaseException:
            self.close()
            raise
        return found

    def rounds(self, effort: Effort, without: Sequence[Competitor] = ()) -> dict[Entry, list[float]]:
        """Seconds of a step or call in each round; the rounds of all alternate."""
        taking_part = [entry for entry in self.workers if entry[0] not in without]
        times: dict[Entry, list[float]] = {entry: [] for entry in taking_part}
        for number in range(1 + effort.rounds):
            for entry in taking_part:
                seconds = self.workers[entry].do("round", effort.seconds)
                if entry[1] is None:
                    time.sleep(REST)
                if number:  # the first finds out how many turns are a round
                    times[entry].append(seconds)
        return times


class PlaybackClock:
    """A clock that stands still but for what `play` adds; pytest-benchmark times with it."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def play(self, benchmark: Any, times: Sequence[float]) -> None:
        """Have pytest-benchmark see rounds of these seconds."""
        left = iter(times)
        benchmark.pedantic(lambda: self._advance(next(left)), rounds=len(times))

    def _advance(self, seconds: float) -> None:
        self._now += seconds


CLOCK = PlaybackClock()
