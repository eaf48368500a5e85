"""The driver of a pass: a single run of a program, such as a step or a gradient, with a state of its own.

The network has its old state or that of the whole step when the call returns. A forked process sees by `updating` that
it was made meanwhile. What must agree with the state of the network, such as the constants of the next step, is looked
up here and not by Python, whose signal handlers may run between any two of its instructions and use the network, too.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Code, Records
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.layout import CONSTANTS, FINITE_VERSION, RESTS, VERSION
from fastmlp.kernels.tables import AnyPlan, Result, StepTable
from fastmlp.kernels.vocabulary.pointers import call, exists, offset

DONE, UNDONE, REFUSED = range(3)
"""What became of a pass: it was done; undone, because a loss or a weight is not finite; or not begun."""


@kernel()
def run_pass(
    driver: Code, plan: AnyPlan, table: Records[StepTable], results: Records[Result], updates: int, drops: int
) -> int:
    """Run the program of a plan once. Return `DONE`, `UNDONE` or `REFUSED`.

    It is refused if the plan or the table is older than a change of the layers at rest or of the optimizer, if the
    table has no constants for the next step, if a backward pass has no activations of the current weights, and if the
    plan's own check finds a value that the network does not take.

    Parameters
    ----------
    driver
        The driver of training that runs the phases, serial or parallel.
    plan
        The plan, whose `state` is its own.
    table
        The optimizer's constants.
    results
        The result of the pass.
    updates
        1 if the program updates the weights.
    drops
        1 to drop units in a forward pass.
    """
    state, network, known = plan.state[0], plan.network_state[0], table[0]
    steps, step = known.rows, network.step + 1
    if plan.rests != plan.counts[RESTS]:
        return REFUSED
    if updates != 0:
        if step < known.first or step >= known.last or known.constants != plan.counts[CONSTANTS]:
            return REFUSED
        steps = offset(steps, (step - known.first) * plan.step_row)
    if plan.forward == 0 and updates == 0 and plan.forward_version != plan.counts[VERSION]:
        return REFUSED
    if exists(plan.check):
        plan.not_finite = 0
        call(plan.check, (plan, steps, 0))
        if plan.not_finite != 0:
            return REFUSED
    state.seed, state.step, state.batch = network.seed, network.step, 0
    plan.epoch_ready = 0 if updates != 0 else 1  # a step begins with a snapshot
    network.updating = updates
    plan.counts[VERSION] += updates
    if plan.forward != 0:
        plan.forward_version, plan.drops = plan.counts[VERSION], drops
    call(driver, (plan, steps, results, 1))
    undone = updates != 0 and (plan.steps_done == 0 or plan.not_finite != 0)
    if undone:
        call(plan.restore, (plan, steps, 0))
    elif updates != 0:
        network.step, plan.counts[FINITE_VERSION] = state.step, plan.counts[VERSION]
    network.updating = 0
    return UNDONE if undone else DONE
