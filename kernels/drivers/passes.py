"""The driver of a pass: a single run of a program, such as a step or a gradient, with a state of its own.

The network has its old state or that of the whole step when the call returns. A forked process sees by `updating` that
it was made meanwhile.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Code, Floats, Records
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.tables import AnyPlan, Result
from fastmlp.kernels.vocabulary.pointers import call


@kernel()
def run_pass(driver: Code, plan: AnyPlan, steps: Floats, results: Records[Result], updates: int) -> int:
    """Run the program of a plan once. Return 1 if it was undone, because a loss or a weight is not finite.

    Parameters
    ----------
    driver
        The driver of training that runs the phases, serial or parallel.
    plan
        The plan, whose `state` is its own.
    steps
        The optimizer's constants of the next step.
    results
        The result of the pass.
    updates
        1 if the program updates the weights.
    """
    state, network = plan.state[0], plan.network_state[0]
    state.seed, state.step, state.batch = network.seed, network.step, 0
    plan.epoch_ready = 0 if updates != 0 else 1  # a step begins with a snapshot
    network.updating = updates
    call(driver, (plan, steps, results, 1))
    failed = updates != 0 and (plan.steps_done == 0 or plan.not_finite != 0)
    if failed:
        call(plan.restore, (plan, steps, 0))
    elif updates != 0:
        network.step = state.step
    network.updating = 0
    return 1 if failed else 0
