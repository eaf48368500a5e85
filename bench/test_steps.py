"""Whole training steps: fastmlp, its reference and the peers, on one thread and on all.

All start from the same weights, see the same batches in the same order, and minimise the same loss at the same learning
rate. Their losses are compared before anything is timed. "after 100 epochs" times weights that have trained, because
some effects, such as denormal numbers, appear only then; they are timed in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bench.peak import cache_bytes
from bench.peers import COMPILED, FASTMLP, REFERENCE, SKLEARN, TRAINING, Competitor
from bench.rounds import CLOCK, Effort, Entry, Field, Measured
from bench.worker import threads_text
from bench.workloads import TIMED, Workload

FRESH, AGED, AGE = "fresh", "after 100 epochs", 100
MANY = 3e12  # FLOPs of 100 epochs, half a minute of one core; a larger network is timed with fresh weights only

# Losses are compared after EPOCHS epochs, or after as many as make STEPS steps if those are fewer. In float32, rounding
# differs between libraries, and Adam turns each difference into a whole step once the network memorises single rows. In
# 784-256-256-256-10 losses differ by 4e-5 after 32 steps and by 1e-3 after 96; in 1024-1024-1024-1024-10 by 1e-4 after
# 12 steps and by 1e-3 after 24, also between float64 and float32. Another order of the batches changes losses by 1e-2,
# a learning rate that is 10 % larger by 2e-3.
# In float64 losses differ by at most 4e-15. Only scikit-learn's differ by up to 5e-5, since its epsilon counts less in
# later steps (bench/peers/scikit.py).
EPOCHS, STEPS, TOLERANCE, FLOAT64_TOLERANCE = 3, 20, 5e-4, 1e-12


@pytest.fixture(scope="module", params=TIMED, ids=lambda workload: f"{workload.name}-{workload.dtype}")
def workload(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def measured(workload: Workload, effort: Effort) -> Measured:
    compiling = effort.thorough or workload is TIMED[0]
    competitors = [who for who in TRAINING if compiling or who is not COMPILED]
    with Field("Training", competitors, workload) as field:
        losses = field.each("losses", max(1, min(EPOCHS, STEPS // workload.steps)))
        assert_agreement(losses, workload.dtype)
        times = {(entry, FRESH): seconds for entry, seconds in field.rounds(effort).items()}
        absent = {(entry, age): reason for entry, reason in field.absent.items() for age in (FRESH, AGED)}
        if effort.thorough and workload.dtype == "float32" and AGE * workload.steps * workload.flops <= MANY:
            field.each("grow", AGE, without=[REFERENCE])
            aged = field.rounds(effort, without=[REFERENCE])
            times |= {(entry, AGED): seconds for entry, seconds in aged.items()}
    return Measured(times, absent)


def assert_agreement(losses: Mapping[Entry, list[float]], dtype: str) -> None:
    """Check that the last loss of every competitor is that of fastmlp."""
    expected = losses[FASTMLP, 1][-1]
    wrong = {
        f"{who}, {threads_text(threads)}": found[-1]
        for (who, threads), found in losses.items()
        if not abs(found[-1] / expected - 1) <= tolerance(who, dtype)
    }
    assert not wrong, f"the loss of these must be that of fastmlp, {expected}: {wrong}"


def tolerance(who: Competitor, dtype: str) -> float:
    """Return by how much the loss of a competitor may differ from that of fastmlp, relative to it."""
    return FLOAT64_TOLERANCE if dtype == "float64" and who != SKLEARN else TOLERANCE


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("age", [FRESH, AGED])
@pytest.mark.parametrize("threads", [1, None], ids=threads_text)
@pytest.mark.parametrize("who", TRAINING, ids=str)
def test_steps(
    benchmark: Any, measured: Measured, workload: Workload, who: Competitor, threads: int | None, age: str
) -> None:
    benchmark.group = f"a step of {workload.name}, batch {workload.batch_size}, {workload.dtype}"
    times = measured.of((who, threads), age)
    benchmark.extra_info.update(
        step=workload.name,
        batch=workload.batch_size,
        dtype=workload.dtype,
        flops=workload.flops,
        bytes=workload.memory_traffic(cache_bytes()),
        who=who.name,
        way=who.way,
        threads=threads or "all",
        age=age,
        seconds=min(times),
    )
    CLOCK.play(benchmark, times)
