"""The same seed gives the same bits: for any number of threads and any division of the work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from behaviour import run_python
from cases import DTYPES, OPTIONS, data_for
from digests import RULES, always_parallel, big_data, big_network, state_of

from fastmlp import Callback, Network
from fastmlp._data import arrays
from fastmlp._data.array_feed import ArrayFeed
from fastmlp._data.staging import StagingBuffer
from fastmlp._engine import step_runner
from fastmlp._engine.engine import engine_of
from fastmlp._engine.purposes import TRAINING
from fastmlp._engine.thread_tuner import ThreadTuner
from fastmlp.kernels.host import threads

THREADS = """
from digests import by_threads
for what, threads, digest in by_threads(8):
    print(what, threads, digest, sep="|")
"""


def needs_threads() -> None:
    """Skip without threads. Called within a test and not at import, because it starts the threads."""
    if threads.layer() not in ("omp", "tbb"):
        pytest.skip("needs OpenMP or TBB, which any thread may enter")


def test_any_number_of_threads_gives_the_same_bits() -> None:
    needs_threads()
    variables = {"NUMBA_NUM_THREADS": "8", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    found: dict[str, dict[int, str]] = {}
    for line in run_python(THREADS, "-W", "error", seconds=75, **variables)[0].splitlines():
        what, count, digest = line.split("|")
        found.setdefault(what, {})[int(count)] = digest
    assert len(found) == sum(map(len, RULES.values()))
    for what, by_count in found.items():
        assert list(by_count) == [1, 2, 3, 4, 8]
        assert len(set(by_count.values())) == 1, what
    assert len({by_count[1] for by_count in found.values()}) == len(found)  # the digest tells trainings apart


def test_a_fit_that_changes_between_serial_and_parallel_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_threads()
    if threads.available() < 2:
        pytest.skip("needs 2 threads")
    monkeypatch.setattr(ThreadTuner, "call_seconds", lambda self: 0.0)  # a call for each step
    turns = iter(range(1000))
    serial, mixed = big_network("wide", "float32", 1), big_network("wide", "float32", 2)
    serial.fit(**big_data("wide", "float32"), epochs=2, batch_size=160)
    with always_parallel() as counted, monkeypatch.context() as patch:
        patch.setattr(ThreadTuner, "parallel", lambda self: next(turns) % 2 == 0)
        mixed.fit(**big_data("wide", "float32"), epochs=2, batch_size=160)
    assert len(counted) == 3  # of 6 calls
    assert state_of(mixed) == state_of(serial)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["dropout", "sample weights", "penalties", "batches of 16 of 37", "validation split"])
def test_one_call_a_step_gives_the_bits_of_many_steps_a_call(
    name: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    run = step_runner.StepRunner.run

    def counting(self: step_runner.StepRunner, most: int) -> Any:
        results = run(self, most)
        calls.append(len(results))
        return results

    monkeypatch.setattr(step_runner.StepRunner, "run", counting)
    whole, stepwise, by_callback = (OPTIONS[name].make(Network, dtype) for _ in range(3))
    whole.fit(**OPTIONS[name].arguments(whole, dtype), epochs=3)
    assert max(calls) > 1
    steps = sum(calls)

    class EachBatch(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            calls.append(0)

    by_callback.fit(**OPTIONS[name].arguments(whole, dtype), epochs=3, callbacks=[EachBatch()])
    assert calls.count(0) == steps
    calls.clear()
    monkeypatch.setattr(ThreadTuner, "call_seconds", lambda self: 0.0)
    stepwise.fit(**OPTIONS[name].arguments(whole, dtype), epochs=3)
    assert calls == [1] * steps
    assert state_of(stepwise) == state_of(whole) == state_of(by_callback)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["dropout", "optimizer momentum", "penalties", "validation split"])
def test_fits_one_after_the_other_give_the_bits_of_one(name: str, dtype: str) -> None:
    whole, parts = OPTIONS[name].make(Network, dtype), OPTIONS[name].make(Network, dtype)
    given = OPTIONS[name].arguments(whole, dtype)
    losses = list(whole.fit(**given, epochs=3).history["loss"])
    found = [loss for _ in range(3) for loss in parts.fit(**given, epochs=1).history["loss"]]
    assert found == losses
    parts.history = whole.history
    assert state_of(parts) == state_of(whole)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("name", ["dropout", "sample weights", "validation split", "several sigmoid outputs"])
def test_staged_rows_give_the_bits_of_rows_that_lie_ready(
    name: str, shuffle: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct, staged = OPTIONS[name].make(Network, dtype), OPTIONS[name].make(Network, dtype)
    given = {**OPTIONS[name].arguments(direct, dtype), "shuffle": shuffle}
    direct.fit(**given, epochs=3)
    filled = []
    fill = ArrayFeed._fill_buffer

    def counting(self: ArrayFeed, buffer: StagingBuffer, epoch: int, first: int) -> None:
        filled.append((epoch, first))
        fill(self, buffer, epoch, first)

    monkeypatch.setattr(ArrayFeed, "_fill_buffer", counting)
    monkeypatch.setattr(arrays, "STAGE_BYTES", 20 * 9 * 8)  # one batch of 16 rows at a time
    given["X"] = np.asfortranarray(given["X"].astype("float32" if dtype == "float64" else "float64"))
    if dtype == "float64":  # what float32 cannot hold would differ
        direct = OPTIONS[name].make(Network, dtype)
        direct.fit(**{**given, "X": np.ascontiguousarray(given["X"], dtype)}, epochs=3)
    assert not filled
    staged.fit(**given, epochs=3)
    assert len(filled) > 3  # several pieces an epoch
    assert len({epoch for epoch, _ in filled}) == 3
    assert state_of(staged) == state_of(direct)
    X, y = given["X"], given["y"]
    ready = np.ascontiguousarray(X, dtype)
    np.testing.assert_array_equal(staged.predict(X), direct.predict(ready))
    assert staged.evaluate(X, y) == pytest.approx(direct.evaluate(ready, y), rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_another_seed_gives_other_bits(dtype: str) -> None:
    found = set()
    for seed in (0, 1):
        network = Network([9, 17, 3], output="softmax", dtype=dtype, seed=seed)
        network.fit(*data_for(network, 30, dtype))
        found.add(state_of(network))
    assert len(found) == 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_a_part_at_a_time_give_the_same_bits(dtype: str) -> None:
    found = []
    for inputs, rows in ((1 << 40, 1 << 40), (16, 16), (32, 7), (48, 100)):
        network = big_network("wide", dtype, 1)
        record = engine_of(network).plans.get(TRAINING, 160).record
        record.product_inputs, record.product_rows = inputs, rows
        network.fit(**big_data("wide", dtype), epochs=2, batch_size=160)
        assert engine_of(network).plans.get(TRAINING, 160).record is record
        found.append(state_of(network))
    assert all(state == found[0] for state in found)
