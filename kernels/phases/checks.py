"""The check before a call of few rows, which Python would make in 20 us: whether the network takes the values."""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Floats
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.layout import FINITE_VERSION, VERSION
from fastmlp.kernels.micro.finite import any_not_finite, count_labels_outside, count_outside
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.pointers import exists


@kernel()
def check_values(plan: Plan, step: Floats, thread: int) -> None:
    """Set `not_finite` if the loss does not take a target, or X, a weight or a slot is NaN or infinite.

    X and the targets lie in sequence: `samples` rows, or as many labels. The activations of a pass before are not
    checked again.
    """
    rows, first, last = plan.samples, plan.layers[0], plan.layers[plan.layer_count - 1]
    wrong = 0
    if plan.counts[FINITE_VERSION] != plan.counts[VERSION]:
        wrong += any_not_finite(plan.weights, plan.parameter_count)
        wrong += any_not_finite(plan.slots, plan.slot_count * plan.parameter_count)
        if wrong == 0:
            plan.counts[FINITE_VERSION] = plan.counts[VERSION]
    if plan.forward != 0:
        wrong += any_not_finite(plan.x, rows * first.inputs)
    if exists(plan.labels):
        wrong += count_labels_outside(plan.labels, rows, last.units)
    elif plan.backward != 0:
        wrong += count_outside(plan.y, rows * plan.target_columns, plan.least, plan.most)
    if wrong != 0:
        plan.not_finite = 1
