"""The choice between serial and parallel, on machines that are made up: a function from the call to its seconds."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from fastmlp import Network
from fastmlp.thread_choice import ThreadChoice


def choices(seconds: Callable[[int, bool], float], calls: int, most: int = 2) -> list[bool]:
    """Which calls were parallel."""
    choice = ThreadChoice(most, rows=100)
    made = []
    for call in range(calls):
        parallel = choice.parallel()
        choice.measured(parallel, seconds(call, parallel))
        made.append(parallel)
    return made


def test_threads_that_pay_are_used_but_for_one_comparison() -> None:
    made = choices(lambda _, parallel: 0.5 if parallel else 1.0, 300)
    assert made.count(False) == 1


def test_threads_that_do_not_pay_are_seldom_tried() -> None:
    made = choices(lambda _, parallel: 20.0 if parallel else 1.0, 600)
    assert made.count(True) <= 20
    assert made[100:].count(True) > 0


def test_a_slow_start_does_not_decide_for_long() -> None:
    made = choices(lambda call, parallel: (8.0 if call < 10 else 0.5) if parallel else 1.0, 100)
    assert all(made[40:])


def test_one_disturbed_call_does_not_end_parallel_work() -> None:
    made = choices(lambda call, parallel: (9.0 if call == 50 else 0.5) if parallel else 1.0, 100)
    assert made.count(False) == 1


def test_a_neighbour_that_comes_ends_parallel_work_within_two_calls() -> None:
    made = choices(lambda call, parallel: (0.5 if call < 50 else 9.0) if parallel else 1.0, 60)
    assert made[49:52] == [True, True, True]
    assert not made[52]


def test_equal_speeds_are_compared_ever_more_rarely() -> None:
    made = choices(lambda _, parallel: 1.0, 1000)
    switches = sum(a != b for a, b in itertools.pairwise(made[500:]))
    assert 0 < switches <= 20


def test_a_single_thread_is_never_parallel() -> None:
    assert not any(choices(lambda *_: 1.0, 20, most=1))


def test_what_was_measured_holds_for_the_same_work_alone() -> None:
    plan = Network([8, 8, 8], seed=0)._plans.get("training", 16)
    first = plan.choice(region=0, most=2, rows=16)
    assert plan.choice(region=0, most=2, rows=16) is first
    assert plan.choice(region=1, most=2, rows=16) is not first
    assert plan.choice(region=0, most=2, rows=17) is not first
    assert plan.choice(region=0, most=1, rows=17).most == 1
