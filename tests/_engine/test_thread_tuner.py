"""The tuner between serial and parallel, on machines that are made up: what a step takes, serial and parallel."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from fastmlp import Network
from fastmlp._engine.thread_tuner import ThreadTuner

SERIAL = 1e-4  # seconds a step takes
QUIET = 0.55e-4  # the same with two threads on a quiet machine
BUSY = 80e-4  # and where each waits for the other's turn


@dataclass
class Course:
    """The choices of a tuner, call by call, and their time."""

    kinds: list[bool] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def share_of_parallel(self, first: int = 0) -> float:
        """Return the share of parallel steps from a call on."""
        parallel = sum(n for n, kind in zip(self.steps[first:], self.kinds[first:], strict=True) if kind)
        return parallel / sum(self.steps[first:])


def course(
    parallel_step: Callable[[float], float], until: float, most: int = 2, own: float = 1.0, serial: float = SERIAL
) -> Course:
    """Return the choices within some seconds, where a function of the time gives the seconds of a parallel step."""
    tuner = ThreadTuner(most, rows=100, clock=lambda: now * own)
    found, now, step = Course(), 0.0, serial
    while now < until:
        parallel, trial = tuner.parallel(), tuner.trial()
        assert tuner.call_seconds() >= 0.0
        steps = max(1, int(tuner.call_seconds() / step))
        seconds = steps * (parallel_step(now) if parallel else serial)
        now += seconds
        tuner.measured(parallel, seconds, steps)
        step = step if trial else seconds / steps  # as the trainer expects it
        found.kinds.append(parallel)
        found.steps.append(steps)
        found.seconds.append(seconds)
    return found


def test_threads_that_pay_are_used_after_ten_milliseconds() -> None:
    found = course(lambda _: QUIET, until=2.0)
    first = found.kinds.index(True)
    assert sum(found.seconds[:first]) < 0.02
    assert all(found.kinds[first:])
    assert max(found.seconds[first:]) <= 0.011


def test_a_fit_of_a_few_milliseconds_is_serial() -> None:
    assert not any(course(lambda _: QUIET, until=0.008).kinds)


@pytest.mark.parametrize("times_slower", [1.5, 20.0, 300.0])
@pytest.mark.parametrize("until", [0.01, 0.02, 0.1, 1.0, 10.0])
def test_threads_that_do_not_pay_cost_little(until: float, times_slower: float) -> None:
    found = course(lambda _: times_slower * SERIAL, until)
    one = times_slower * SERIAL  # the first trial, whose price nobody knows
    share = 0.11 if until < 0.5 else 0.04  # trials become rarer
    assert sum(found.seconds) - sum(found.steps) * SERIAL <= share * sum(found.seconds) + one
    assert until < 1.0 or any(found.kinds)
    assert until < 10.0 or max(found.seconds) > 0.045  # serial calls become long


def test_threads_that_are_hardly_slower_cost_less_than_two_percent() -> None:
    found = course(lambda _: 1.5 * SERIAL, until=0.3)
    assert any(found.kinds)
    assert sum(found.seconds) <= 1.02 * sum(found.steps) * SERIAL


def test_on_a_busy_machine_threads_are_tried_after_half_a_second() -> None:
    found = course(lambda _: BUSY, until=3.0, own=0.4)
    first = found.kinds.index(True)
    assert 0.5 <= sum(found.seconds[:first]) < 0.6
    assert sum(found.kinds) <= 6


def test_what_paid_once_by_luck_is_not_trusted_for_long() -> None:
    lucky = iter([QUIET])
    found = course(lambda _: next(lucky, BUSY), until=1.0)
    longest = max(n for n, kind in zip(found.steps, found.kinds, strict=True) if kind)
    assert longest <= 2


def test_a_slow_start_does_not_decide_for_long() -> None:
    found = course(lambda now: BUSY if now < 0.5 else QUIET, until=3.0)
    assert found.share_of_parallel(len(found.kinds) // 2) > 0.99


def test_a_neighbour_that_comes_ends_parallel_work_within_two_calls() -> None:
    found = course(lambda now: QUIET if now < 0.5 else BUSY, until=3.0)
    slow = [
        i
        for i, (kind, s, n) in enumerate(zip(found.kinds, found.seconds, found.steps, strict=True))
        if kind and s > 2 * SERIAL * n
    ]
    assert slow[1] == slow[0] + 1  # one disturbed call decides nothing
    assert found.steps[slow[1]] < found.steps[slow[0]]
    assert not found.kinds[slow[1] + 1]


def test_a_neighbour_that_goes_leaves_threads_at_work_again() -> None:
    found = course(lambda now: BUSY if 0.5 < now < 3.0 else QUIET, until=8.0)
    assert found.share_of_parallel(len(found.kinds) - 100) > 0.9


def test_one_disturbed_call_does_not_end_parallel_work() -> None:
    found = course(lambda now: BUSY if 0.5 < now < 0.505 else QUIET, until=3.0)
    first = found.kinds.index(True)
    assert all(found.kinds[first:])


def test_equal_speeds_are_compared_ever_more_rarely() -> None:
    found = course(lambda _: 0.97 * SERIAL, until=30.0)
    assert 0 < sum(a != b for a, b in itertools.pairwise(found.kinds[-500:])) <= 20
    lengths = [len(list(calls)) for kind, calls in itertools.groupby(found.kinds) if kind]
    assert lengths[1:9] == [4, 8, 16, 32, 64, 64, 64, 64]  # the first ones are trials
    calls = list(zip(found.kinds, found.seconds, strict=True))[-500:]
    assert max(seconds for kind, seconds in calls if not kind) < 0.006  # the comparisons are short


def test_a_single_thread_is_never_parallel() -> None:
    found = course(lambda _: QUIET, until=2.0, most=1)
    assert not any(found.kinds)
    assert max(found.seconds) > 0.045  # its calls are long


def test_what_was_measured_holds_for_the_same_work_alone() -> None:
    plan = Network([8, 8, 8], seed=0)._engine.plans.get("training", 16)
    first = plan.tuner("a", 2, rows=16)
    assert plan.tuner("a", 2, rows=16) is first
    assert plan.tuner("b", 2, rows=16) is not first
    assert plan.tuner("a", 2, rows=17) is not first
    assert plan.tuner("a", 1, rows=17).max_threads == 1
