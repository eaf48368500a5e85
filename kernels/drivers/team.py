"""The drivers: many training steps in one call, serial and by a crew of threads, and single regions likewise.

Python handles no signal before the call is over, so whatever interrupts a fit finds whole steps. The serial drivers are
compiled without `parallel`, so that they exist where no threading layer loads. None knows the dtype: they reach
everything by address.

A crew starts once a call, not once a region, which costs 1.2 us with OpenMP. Its members wait for each other in memory,
and nobody waits for a thread that does not run: a share of a phase is done by whoever claims it, first by the member it
is meant for, whose cache holds its weights, but by any other where that one is late or was never started. Who does the
last share decides what follows.
"""

from __future__ import annotations

from numba import prange

from fastmlp.kernels import layout as at
from fastmlp.kernels.drivers.step import first_phase, next_phase
from fastmlp.kernels.host.jit import Floats, Ints, inline, kernel
from fastmlp.kernels.vocabulary.atomics import (
    atomic_increment,
    atomic_max,
    load_acquire,
    pause,
    store_release,
    yield_thread,
)
from fastmlp.kernels.vocabulary.simd import call, ints_at, offset

OVER = -1  # in place of the number of a phase
HELP, YIELD = 64, 2000  # pauses, 1 and 30 us or so, after which a member who waits does others' shares, and gives way


@kernel()
def train_serial(plan: Ints, steps: Floats, results: Floats, count: int) -> int:
    """Up to `count` steps by one thread; returns how many were done, fewer where something was not finite."""
    going = first_phase(plan, count)
    while going:
        step = offset(steps, plan[at.STEPS_DONE] * at.STEP_ROW)
        call(plan[at.REGION_OF_PHASE], (plan[at.WEIGHTS], plan, step, 0))
        going = next_phase(plan, results, count)
    return plan[at.STEPS_DONE]


@kernel(parallel=True)
def train_parallel(plan: Ints, steps: Floats, results: Floats, count: int) -> int:
    """The same by as many threads as the plan says."""
    crew = ints_at(plan[at.CREW])
    for word in range(at.CREW_CLAIMS + at.CREW_LINE * plan[at.THREADS]):
        crew[word] = 0
    crew[at.CREW_PHASE] = 1 if first_phase(plan, count) else OVER
    for member in prange(plan[at.THREADS]):
        call(plan[at.MEMBER], (plan, steps, results, count, member))
    return plan[at.STEPS_DONE]


@kernel()
def crew_member(plan: Ints, steps: Floats, results: Floats, count: int, member: int) -> None:
    """Take part in every phase until the call is over."""
    crew = ints_at(plan[at.CREW])
    phase = load_acquire(crew)
    while phase != OVER:
        take_share(plan, steps, results, count, phase, member)
        waited = 0
        while load_acquire(crew) == phase:
            pause()
            waited += 1
            if waited == HELP:
                for share in range(plan[at.THREADS]):
                    take_share(plan, steps, results, count, phase, share)
            if waited > YIELD:
                yield_thread()
        phase = load_acquire(crew)


@inline
def take_share(plan: Ints, steps: Floats, results: Floats, count: int, phase: int, share: int) -> None:
    """Do that share of the phase unless somebody has claimed it; who does the last one begins the next phase."""
    crew = ints_at(plan[at.CREW])
    claim = offset(crew, at.CREW_CLAIMS + share * at.CREW_LINE)
    if load_acquire(claim) >= phase or not atomic_max(claim, phase):
        return
    step = offset(steps, plan[at.STEPS_DONE] * at.STEP_ROW)
    call(plan[at.REGION_OF_PHASE], (plan[at.WEIGHTS], plan, step, share))
    if atomic_increment(offset(crew, at.CREW_DONE)) == plan[at.THREADS] * phase:
        store_release(crew, phase + 1 if next_phase(plan, results, count) else OVER)


@kernel()
def region_serial(region: int, plan: Ints, step: Floats) -> None:
    """One region outside of training, such as a prediction, by one thread that takes every share."""
    for thread in range(plan[at.THREADS]):
        call(region, (plan[at.WEIGHTS], plan, step, thread))


@kernel(parallel=True)
def region_parallel(region: int, plan: Ints, step: Floats) -> None:
    """The same, a thread for each share."""
    for thread in prange(plan[at.THREADS]):
        call(region, (plan[at.WEIGHTS], plan, step, thread))
