"""The drivers of single regions outside of training, such as a prediction or a gradient."""

from __future__ import annotations

from numba import prange

from fastmlp.kernels.host.annotations import Code, Floats, Records
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.tables import AnyPlan
from fastmlp.kernels.vocabulary.pointers import call


@kernel()
def region_serial(region: Code, plan: AnyPlan, step: Floats) -> None:
    """Run one region on one thread, share after share."""
    for thread in range(plan.threads):
        call(region, (plan, step, thread))


@kernel(parallel=True)
def region_parallel(region: Code, plans: Records[AnyPlan], step: Floats) -> None:
    """Run one region with a thread for each share. The plan is passed as a pointer: `prange` takes no records."""
    for thread in prange(plans[0].threads):
        call(region, (plans, step, thread))
