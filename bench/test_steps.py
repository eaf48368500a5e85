"""Whole training steps through `fit`: fastmlp on one thread and on all, against the NumPy reference.

A round is a fit of some epochs; the report divides by its steps. "after 100 epochs" times weights that have trained:
denormal numbers, for one, appear only then.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench.workloads import WORKLOADS, Workload
from fastmlp import Network
from fastmlp.reference import Network as Reference

ROUND_SECONDS = 0.1
GUESS = 5e10  # floating-point operations a second, for the number of epochs in a round
ROUNDS = 15

SMALL_ENOUGH_TO_AGE = [w for w in WORKLOADS if w.flops * w.steps < 3e10]


def build(kind: Any, workload: Workload, **options: Any) -> Any:
    options = {"activation": workload.activation, "output": workload.output, "seed": 0, **options}
    return kind(list(workload.sizes), **options)


def time_fit(benchmark: Any, network: Any, workload: Workload, speed: float, **extra: Any) -> None:
    X, y = workload.data()
    epochs = max(1, round(ROUND_SECONDS * speed / (workload.flops * workload.steps)))
    network.fit(X, y, epochs=extra.get("age", 1), batch_size=workload.batch_size, verbose=False)
    benchmark.extra_info.update(
        workload=workload.name, steps=epochs * workload.steps, flops=workload.flops, batch=workload.batch_size, **extra
    )
    arguments = {"epochs": epochs, "batch_size": workload.batch_size, "verbose": False}
    benchmark.pedantic(network.fit, args=(X, y), kwargs=arguments, rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)
@pytest.mark.parametrize("threads", [1, None], ids=["one thread", "all threads"])
def test_fastmlp(benchmark: Any, workload: Workload, threads: int | None) -> None:
    benchmark.group = f"step {workload.name}"
    network = build(Network, workload, threads=threads)
    time_fit(benchmark, network, workload, GUESS, by="fastmlp", threads=threads or "all")


@pytest.mark.parametrize("workload", SMALL_ENOUGH_TO_AGE, ids=lambda w: w.name)
def test_fastmlp_after_100_epochs(benchmark: Any, workload: Workload) -> None:
    benchmark.group = f"step {workload.name}"
    network = build(Network, workload, threads=1)
    time_fit(benchmark, network, workload, GUESS, by="fastmlp", threads=1, age=100)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)
def test_reference(benchmark: Any, workload: Workload) -> None:
    benchmark.group = f"step {workload.name}"
    time_fit(benchmark, build(Reference, workload), workload, 0.0, by="reference", threads="all")
