"""Single calls from Python: a step, a step on a given gradient and a prediction of a small network, on one thread.

The results of all libraries are compared before anything is timed. Every library gets NumPy's arrays and returns what a
loop in Python needs: the loss, or the outputs. The time of fastmlp's kernel is that of a step within `fit`, so the rest
of a call is Python.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.peers import CALLING, CALLS, FASTMLP, Competitor
from bench.rounds import CLOCK, Effort, Field, Measured
from bench.workloads import Workload

ROWS = (1, 32, 256)
STEPS = 64  # of an epoch, by which the kernel is timed
TOLERANCE = 1e-5
SMALL = Workload((4, 64, 64, 2), 1, 1, output="linear")
KERNEL = "fit"  # in the place of a call: a step within `fit`


@pytest.fixture(scope="module", params=ROWS, ids=lambda rows: f"{rows} rows")
def workload(request: pytest.FixtureRequest) -> Workload:
    return replace(SMALL, batch_size=request.param, rows=request.param)


@pytest.fixture(scope="module", params=CALLS)
def measured(workload: Workload, request: pytest.FixtureRequest, effort: Effort) -> Measured:
    call = request.param
    with Field("Calls", [replace(who, way=call) for who in CALLING], workload, (1,)) as field:
        results = field.each("result")
        for (who, _), found in results.items():
            if found is not None:
                expected = results[replace(FASTMLP, way=call), 1]
                np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=str(who))
        times = {(entry, call): seconds for entry, seconds in field.rounds(effort).items()}
        absent = {(entry, call): reason for entry, reason in field.absent.items()}
    if call != "predict":
        with Field("Training", [FASTMLP], replace(workload, rows=STEPS * workload.rows), (1,)) as field:
            times |= {(entry, KERNEL): seconds for entry, seconds in field.rounds(effort).items()}
    return Measured(times, absent)


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("who", CALLING, ids=lambda who: who.name)
def test_call(benchmark: Any, measured: Measured, workload: Workload, who: Competitor) -> None:
    call = next(way for _, way in measured.times if way != KERNEL)
    times = measured.of((replace(who, way=call), 1), call)
    kernel = measured.times.get(((FASTMLP, 1), KERNEL))
    benchmark.group = f"{call} of {workload.name}, rows {workload.rows}"
    benchmark.extra_info.update(
        call=call,
        rows=workload.rows,
        network=workload.name,
        who=who.name,
        seconds=min(times),
        kernel=min(kernel) if kernel and who is FASTMLP else 0.0,
    )
    CLOCK.play(benchmark, times)
