"""Predictions: one row, which takes about the time of a call from Python, and many rows in one call.

The predictions of all libraries are compared before anything is timed. Each library gets the rows as its own kind of
array, which is made beforehand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.peers import FASTMLP, PREDICTION, Competitor
from bench.rounds import CLOCK, Effort, Field, Measured
from bench.worker import threads_text
from bench.workloads import PREDICTIONS, Workload

# Float32 sums of up to 784 products in another order differ by at most 784 * 2**-24 for numbers near 1.
TOLERANCE = 5e-5


@pytest.fixture(scope="module", params=PREDICTIONS, ids=lambda w: f"{w.rows} of {w.name}")
def workload(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def measured(workload: Workload, effort: Effort) -> Measured:
    with Field("Prediction", PREDICTION, workload) as field:
        outputs = field.each("outputs")
        for (who, threads), found in outputs.items():
            np.testing.assert_allclose(
                found, outputs[FASTMLP, 1], rtol=0, atol=TOLERANCE, err_msg=f"{who}, {threads_text(threads)}"
            )
        times = {(entry, ""): seconds for entry, seconds in field.rounds(effort).items()}
        absent = {(entry, ""): reason for entry, reason in field.absent.items()}
    return Measured(times, absent)


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("threads", [1, None], ids=threads_text)
@pytest.mark.parametrize("who", PREDICTION, ids=lambda who: who.name)
def test_prediction(
    benchmark: Any, measured: Measured, workload: Workload, who: Competitor, threads: int | None
) -> None:
    benchmark.group = f"prediction of {workload.name}, rows {workload.rows}"
    times = measured.of((who, threads), "")
    benchmark.extra_info.update(
        prediction=workload.name,
        rows=workload.rows,
        flops=workload.forward_flops,
        who=who.name,
        way="",
        threads=threads or "all",
        seconds=min(times),
    )
    CLOCK.play(benchmark, times)
