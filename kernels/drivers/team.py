"""The drivers of training: many steps in one call, by one thread or by a team of threads.

Python calls no signal handler before the call is over, so an interrupted fit always ends with a whole step. The serial
driver is compiled without `parallel`, so that it works where no threading layer can be loaded. The drivers are compiled
once for both dtypes, since they call regions by address.

A team is the threads of one call, its workers. To start a team for each phase would cost 1.2 us each time with OpenMP.
Workers synchronize through memory. A worker never waits for a thread that does not run, because any worker may claim a
share of a phase: first the worker whose cache holds the weights, and any other if that worker is late or was never
started. The worker that completes the last share of a phase begins the next phase.
"""

from __future__ import annotations

from numba import prange

from fastmlp.kernels.drivers.step import first_phase, next_phase
from fastmlp.kernels.host.annotations import Floats, Records
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import TEAM_CLAIMS, TEAM_DONE, TEAM_LINE, TEAM_PHASE
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

OVER = -1  # in place of the number of a phase, when the call is over
HELP, YIELD = 64, 2000  # pauses, about 1 and 30 us, after which a waiting worker claims other shares, and yields


@kernel()
def train_serial(plan: AnyPlan, steps: Floats, results: Records[Result], count: int) -> int:
    """Run up to `count` steps on one thread. Return the number of steps done, fewer if a value was not finite."""
    return run_serially(plan, steps, results, count)


@inline
def run_serially(plan: AnyPlan, steps: Floats, results: Records[Result], count: int) -> int:
    """Run up to `count` steps on this thread. Return the number of steps done, fewer if a value was not finite."""
    going = first_phase(plan, count)
    while going:
        call(plan.region, (plan, offset(steps, plan.steps_done * plan.step_row), 0))
        going = next_phase(plan, results, count)
    return plan.steps_done


@kernel(parallel=True)
def train_parallel(plans: Records[AnyPlan], steps: Floats, results: Records[Result], count: int) -> int:
    """Run up to `count` steps on `threads` threads of the plan. Return the number of steps done.

    The plan is passed as a pointer, since Numba's parallel loops take pointers from outside, but no records.
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
    """Compute shares of every phase until the call is over. Each worker of a team runs this kernel."""
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
    """Claim and compute one share of the phase, unless it is claimed. After the last share, begin the next phase."""
    claim = offset(plan.team, TEAM_CLAIMS + share * TEAM_LINE)
    if load_acquire(claim) >= phase or not atomic_max(claim, phase):
        return
    call(plan.region, (plan, offset(steps, plan.steps_done * plan.step_row), share))
    if atomic_increment(offset(plan.team, TEAM_DONE)) == plan.threads * phase:
        store_release(plan.team, phase + 1 if next_phase(plan, results, count) else OVER)
