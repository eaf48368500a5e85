"""Whole training steps through `fit`: fastmlp on one thread and on all, against the NumPy reference.

A round is a fit of some epochs. The rounds of all networks of a workload alternate, so that a moment in which the
machine is disturbed hits all alike; each network's best round counts. "after 100 epochs" times weights that have
trained: denormal numbers, for one, appear only then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from bench.workloads import WORKLOADS, Workload
from fastmlp import Network
from fastmlp.reference import Network as Reference

ROUND_SECONDS = 0.3  # long enough that what a fit does once, such as looking for NaN in X, does not count
GUESS, REFERENCE_GUESS = 1e11, 1e9  # floating-point operations a second, for the number of epochs in a round
ROUNDS = 8
REST = 0.05  # seconds after a round of NumPy's, whose threads spin on for a while


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)
def test_steps(benchmark: Any, workload: Workload) -> None:
    benchmark.group = "steps"
    rounds = contenders(workload)
    best = interleaved(rounds)
    benchmark.extra_info.update(
        workload=workload.name,
        flops=workload.flops,
        batch=workload.batch_size,
        microseconds={who: seconds / rounds[who][1] * 1e6 for who, seconds in best.items()},
    )
    benchmark.pedantic(rounds["1 thread"][0], rounds=1)  # pytest-benchmark drops a test that times nothing itself


def contenders(workload: Workload) -> dict[str, tuple[Callable[[], Any], int]]:
    """Who is timed: a function that does one round, and its steps. Each has trained before, so everything is loaded."""
    options: dict[str, Any] = {"activation": workload.activation, "output": workload.output, "seed": 0}
    sizes = list(workload.sizes)
    networks: dict[str, tuple[Any, float, int]] = {
        "1 thread": (Network(sizes, threads=1, **options), GUESS, 1),
        "all threads": (Network(sizes, **options), GUESS, 1),
        "reference": (Reference(sizes, **options), REFERENCE_GUESS, 1),
    }
    if workload.flops * workload.steps < 3e10:  # else 100 epochs take too long
        networks["1 thread after 100 epochs"] = (Network(sizes, threads=1, **options), GUESS, 100)
    X, y = workload.data()
    found: dict[str, tuple[Callable[[], Any], int]] = {}
    for who, (network, speed, age) in networks.items():
        epochs = max(1, round(ROUND_SECONDS * speed / (workload.flops * workload.steps)))
        fit = partial(network.fit, X, y, batch_size=workload.batch_size, verbose=False)
        fit(epochs=age)
        found[who] = partial(fit, epochs=epochs), epochs * workload.steps
    return found


def interleaved(rounds: dict[str, tuple[Callable[[], Any], int]]) -> dict[str, float]:
    """Seconds of the best round of each."""
    best = dict.fromkeys(rounds, float("inf"))
    for _ in range(ROUNDS):
        for who, (one_round, _) in rounds.items():
            started = time.perf_counter()
            one_round()
            best[who] = min(best[who], time.perf_counter() - started)
            if who == "reference":
                time.sleep(REST)
    return best
