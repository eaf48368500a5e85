"""The drivers of training: many steps in one call, by one thread or by a team of threads.

Python handles no signal before the call is over, so whatever interrupts a fit finds whole steps. The serial driver is
compiled without `parallel`, so that it exists where no threading layer loads. Neither knows the dtype: they reach
everything by address.

A team starts once a call; to start one a region would cost 1.2 us each time with OpenMP. Its workers meet in memory. No
worker waits for a thread that does not run, because a share of a phase is done by the worker that claims it: first by
the one whose cache holds the weights, but by any other where that one is late or was never started. The worker that
does the last share decides what follows.
"""

from __future__ import annotations

from numba import prange

from fastmlp.kernels.drivers.step import first_phase, next_phase
from fastmlp.kernels.host.annotations import Floats, Records
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import STEP_ROW, TEAM_CLAIMS, TEAM_DONE, TEAM_LINE, TEAM_PHASE
from fastmlp.kernels.tables import AnyPlan, Plan, Result
from fastmlp.kernels.vocabulary.atomics import (
    atomic_increment,
    atomic_max,
    load_acquire,
    pause,
    store_release,
    yield_thread,
)
from fastmlp.kernels.vocabulary.pointers import call, offset

OVER = -1  # in place of the number of a phase
HELP, YIELD = 64, 2000  # pauses, about 1 and 30 us, after which a waiting worker does others' shares, and yields


@kernel()
def train_serial(plan: AnyPlan, steps: Floats, results: Records[Result], count: int) -> int:
    """Run up to `count` steps by one thread; return how many were done, fewer where something was not finite."""
    going = first_phase(plan, count)
    while going:
        call(plan.region, (plan, offset(steps, plan.steps_done * STEP_ROW), 0))
        going = next_phase(plan, results, count)
    return plan.steps_done


@kernel(parallel=True)
def train_parallel(plans: Records[AnyPlan], steps: Floats, results: Records[Result], count: int) -> int:
    """Run up to `count` steps by as many threads as the plan says; return how many were done.

    The plan comes as a pointer: Numba's parallel loops take pointers from outside, but no records.
    """
    plan = plans[0]
    team = plan.team
    for word in range(TEAM_CLAIMS + TEAM_LINE * plan.threads):
        team[word] = 0
    team[TEAM_PHASE] = 1 if first_phase(plan, count) else OVER
    worker, threads = plan.worker, plan.threads
    for index in prange(threads):
        call(worker, (plans, steps, results, count, index))
    return plan.steps_done


@kernel()
def team_worker(plan: AnyPlan, steps: Floats, results: Records[Result], count: int, worker: int) -> None:
    """Take part in every phase until the call is over."""
    team = plan.team
    phase = load_acquire(team)
    while phase != OVER:
        take_share(plan, steps, results, count, phase, worker)
        waited = 0
        while load_acquire(team) == phase:
            pause()
            waited += 1
            if waited == HELP:
                for share in range(plan.threads):
                    take_share(plan, steps, results, count, phase, share)
            if waited > YIELD:
                yield_thread()
        phase = load_acquire(team)


@inline
def take_share(plan: Plan, steps: Floats, results: Records[Result], count: int, phase: int, share: int) -> None:
    """Do one share of the phase unless it is claimed; the worker that does the last one begins the next phase."""
    claim = offset(plan.team, TEAM_CLAIMS + share * TEAM_LINE)
    if load_acquire(claim) >= phase or not atomic_max(claim, phase):
        return
    call(plan.region, (plan, offset(steps, plan.steps_done * STEP_ROW), share))
    if atomic_increment(offset(plan.team, TEAM_DONE)) == plan.threads * phase:
        store_release(plan.team, phase + 1 if next_phase(plan, results, count) else OVER)
