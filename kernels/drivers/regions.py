"""The drivers of single regions outside of training, such as a prediction or a gradient."""

from __future__ import annotations

from numba import prange

from fastmlp.kernels.host.annotations import Code, Floats, Records
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.tables import AnyPlan
from fastmlp.kernels.vocabulary.pointers import call


@kernel()
def region_serial(region: Code, plan: AnyPlan, step: Floats) -> None:
    """Run one region by one thread that takes every share."""
    for thread in range(plan.threads):
        call(region, (plan, step, thread))


@kernel(parallel=True)
def region_parallel(region: Code, plans: Records[AnyPlan], step: Floats) -> None:
    """Run one region, a thread for each share; the plan comes as a pointer, which Numba's parallel loops take."""
    for thread in prange(plans[0].threads):
        call(region, (plans, step, thread))
