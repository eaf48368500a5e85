"""The tuner between serial and parallel, on machines that are made up: what a step takes, serial and parallel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from fastmlp import Network
from fastmlp._engine.purposes import TRAINING
from fastmlp._engine.thread_tuner import Clocks, ThreadTuner, read_clocks

SERIAL = 1e-4  # seconds a step takes
QUIET = 0.55e-4  # the same with two threads on a quiet machine
SHARED = 1.5e-4  # and where they share a processor with a thread of another library
BUSY = 80e-4  # and where each waits for the other's turn


OWN_SPIN = 0.01  # seconds that the threads of a parallel call spin before they sleep


@dataclass
class Machine:
    """A machine whose clocks advance with the calls of a tuner.

    Parameters
    ----------
    own : float
        The share of the time for which the thread that makes the calls has a processor.
    crowd : sequence of (float, float)
        The times from and to which another thread of the process runs.
    """

    own: float = 1.0
    crowd: Sequence[tuple[float, float]] = ()
    now: float = 0.0
    others: float = 0.0  # processor time of all other threads
    spins_until: float = 0.0

    def clocks(self) -> Clocks:
        return Clocks(self.now, self.now * self.own, self.now * self.own + self.others)

    def pass_by(self, seconds: float, parallel: bool = False) -> None:
        """Advance by a call of some seconds, or by a pause."""
        until = self.now + seconds
        self.others += sum(max(0.0, min(until, to) - max(self.now, start)) for start, to in self.crowd)
        self.others += seconds if parallel else max(0.0, min(until, self.spins_until) - self.now)
        self.now = until
        self.spins_until = until + OWN_SPIN if parallel else self.spins_until


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

    def beginnings(self, parallel: bool) -> list[float]:
        """Return when the calls of a kind began, in seconds."""
        starts = itertools.accumulate(self.seconds, initial=0.0)
        return [start for start, kind in zip(starts, self.kinds, strict=False) if kind == parallel]


def course(
    parallel_step: Callable[[float], float],
    until: float,
    most: int = 2,
    serial: float = SERIAL,
    machine: Machine | None = None,
    tuner: ThreadTuner | None = None,
    call_steps: int | None = None,
    max_steps: float = math.inf,
) -> Course:
    """Return the choices until some seconds, where a function of the time gives the seconds of a parallel step."""
    machine = Machine() if machine is None else machine
    tuner = ThreadTuner(most, rows=100, clocks=machine.clocks) if tuner is None else tuner
    found, step, left = Course(), serial, max_steps
    while machine.now < until and left > 0:
        parallel, trial = tuner.parallel(), tuner.trial()
        assert tuner.call_seconds() >= 0.0
        steps = int(min(call_steps or max(1, int(tuner.call_seconds() / step)), left))
        seconds = steps * (parallel_step(machine.now) if parallel else serial)
        machine.pass_by(seconds, parallel)
        tuner.measured(parallel, seconds, steps)
        step = step if trial else seconds / steps  # as the trainer expects it
        left -= steps
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
    found = course(lambda _: BUSY, until=3.0, machine=Machine(own=0.4))
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


def test_while_threads_of_another_library_spin_there_is_no_trial() -> None:
    """Threads are tried within 50 ms of the end."""
    spin = (0.0, 0.1)
    found = course(lambda now: SHARED if now < spin[1] else QUIET, until=1.0, machine=Machine(crowd=[spin]))
    assert spin[1] <= found.beginnings(True)[0] < spin[1] + 0.05
    assert all(found.kinds[found.kinds.index(True) :])


def test_failures_are_forgotten_when_threads_of_another_library_rest() -> None:
    """The library begins to spin after the trial that found threads to pay, and before the next one."""
    spin = (0.2, 0.3)
    found = course(lambda now: SHARED if spin[0] < now < spin[1] else QUIET, until=1.0, machine=Machine(crowd=[spin]))
    slow = [start for start in found.beginnings(True) if spin[0] < start < spin[1]]
    assert len(slow) == 2  # the first one is forgiven
    again = [start for start in found.beginnings(True) if start > spin[1]]
    assert again[0] < spin[1] + 0.05
    assert [start for start in found.beginnings(False) if start > again[0]] == []


@pytest.mark.parametrize("fit_seconds", [0.03, 0.1, 0.3, 1.0])
def test_fits_between_products_use_threads_as_soon_as_those_of_the_product_rest(fit_seconds: float) -> None:
    """A product takes 2 ms, and its threads spin for 100 ms."""
    machine, steps = Machine(), round(fit_seconds / QUIET)
    tuner = ThreadTuner(2, rows=100, clocks=machine.clocks)

    def parallel_step(now: float) -> float:
        return SHARED if now < machine.crowd[0][1] else QUIET

    for fit in range(5):
        machine.crowd = [(machine.now, machine.now + 0.1)]
        machine.pass_by(0.002)
        began, rest = machine.now, machine.crowd[0][1]
        tuner.begin_fit()
        found = course(parallel_step, math.inf, machine=machine, tuner=tuner, max_steps=steps)
        assert fit < 2 or all(began + start > rest for start in found.beginnings(True))
        beside = min(rest - began, steps * SERIAL)  # seconds beside the threads of the product
        best = beside + (steps - beside / SERIAL) * QUIET
        assert fit < 2 or machine.now - began <= best + 0.015


def test_a_fit_in_calm_conditions_after_one_in_a_crowd_begins_serial_for_less_than_50_ms() -> None:
    machine = Machine(crowd=[(0.0, 0.1)])
    tuner = ThreadTuner(2, rows=100, clocks=machine.clocks)
    for seconds in (0.0, 0.05, 0.0):
        tuner.begin_fit()
        found = course(lambda _: QUIET, machine.now + 0.2, machine=machine, tuner=tuner)
        first = found.kinds.index(True)
        assert sum(found.seconds[:first]) < (seconds or 0.15)
        assert all(found.kinds[first:])
    assert first == 0


def test_a_thread_that_never_rests_allows_a_trial_after_half_a_second() -> None:
    machine = Machine(crowd=[(0.0, 10.0)])
    assert 0.5 <= course(lambda _: SHARED, until=3.0, machine=machine).beginnings(True)[0] < 0.6
    paying = course(lambda _: QUIET, until=3.0, machine=Machine(crowd=[(0.0, 10.0)]))
    assert paying.share_of_parallel(len(paying.kinds) // 2) == 1.0


def test_one_other_thread_is_not_in_the_way_of_sixteen() -> None:
    found = course(lambda _: QUIET, until=1.0, most=16, machine=Machine(crowd=[(0.0, 10.0)]))
    assert found.beginnings(True)[0] < 0.02


def test_threads_that_are_slow_at_first_are_not_given_up_at_once() -> None:
    """They take a few milliseconds to wake, as on processors that sleep."""
    slow = iter([3 * SERIAL, 1.2 * SERIAL, 1.1 * SERIAL])
    found = course(lambda _: next(slow, QUIET), until=1.0)
    assert all(found.kinds[found.kinds.index(True) :])


def test_calls_of_a_millisecond_use_threads_after_a_few() -> None:
    """As predictions, which are never divided."""
    found = course(lambda _: QUIET, until=1.0, call_steps=10)
    first = found.kinds.index(True)
    assert first <= 12
    assert all(found.kinds[first:])


def test_the_own_threads_that_spin_after_a_call_are_not_in_the_way() -> None:
    """If they were, each failed trial would be forgotten once they sleep."""
    found = course(lambda _: 1.5 * SERIAL, until=3.0, call_steps=10)
    assert 2 <= sum(found.kinds) <= 50


def test_the_clocks_advance() -> None:
    before, after = read_clocks(), read_clocks()
    assert all(earlier <= later for earlier, later in zip(before, after, strict=True))


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
    plan = Network([8, 8, 8], seed=0)._engine.plans.get(TRAINING, 16)
    first = plan.tuner("a", 2, rows=16)
    assert plan.tuner("a", 2, rows=16) is first
    assert plan.tuner("b", 2, rows=16) is not first
    assert plan.tuner("a", 2, rows=17) is not first
    assert plan.tuner("a", 1, rows=17).max_threads == 1
