"""Kernels treat denormals as 0, so that they never slow down, and restore the user's floating-point state."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from behaviour import Tried
from cases import flushed_denormals, kernel_of, run
from digests import always_parallel, big_data, big_network
from numba import config, prange

from fastmlp import Callback, Network, NonFiniteLossError
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.annotations import Ints
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals
from fastmlp.optimizers import SGD, Adam, Optimizer
from fastmlp.reference import Network as Reference

STEPS = 3000
CONTROL = ~0x3F
"""The control bits of MXCSR. The lowest six bits are flags that any arithmetic sets."""


def read_state(out: Ints, count: int) -> None:
    state = flush_denormals()
    for i in range(count):
        out[i] = state
    restore_denormals(state)


def read_states(out: Ints, count: int) -> None:
    for i in prange(count):
        state = flush_denormals()
        out[i] = state
        restore_denormals(state)


READ, READ_ALL = kernel_of(read_state), kernel_of(read_states, parallel=True)


def state() -> int:
    """Return the control bits of this thread's floating-point register."""
    found = np.zeros(1, np.int64)
    run(READ, "int64", found, 1)
    return int(found[0]) & CONTROL


def states_of_threads(count: int) -> list[int]:
    """Return the control bits of threads that run parallel kernels."""
    found = np.zeros(count, np.int64)
    with threads.limited_to(count):
        run(READ_ALL, "int64", found, count)
    return (found & CONTROL).tolist()


def denormals_live() -> bool:
    return bool((np.full(16, 1e-40, np.float32) * np.float32(1)).all())


def use(network: Network) -> None:
    """Call every method that runs kernels."""
    X, y = np.ones((20, 9), np.float32), np.arange(20) % 3
    network.fit(X, y, epochs=2)
    network.train_on_batch(X, y)
    network.predict(X)
    network.evaluate(X, y)
    network.loss_and_gradients(X, y)
    network.input_gradients(X)


def test_denormals_live_on_in_the_users_thread() -> None:
    before = state()
    assert denormals_live()
    use(Network([9, 17, 3], output="softmax", seed=0))
    assert denormals_live()
    assert state() == before


def test_denormals_live_on_after_a_parallel_fit() -> None:
    before = state()
    network = big_network("wide", "float32", 2)
    with always_parallel():
        network.fit(**big_data("wide", "float32"), batch_size=160)
    assert denormals_live()
    assert state() == before


def test_every_thread_has_its_state_back_after_a_parallel_fit(tried: Tried) -> None:
    count = min(config.NUMBA_NUM_THREADS, 4)
    if threads.layer() not in ("omp", "tbb") or count < 2:
        pytest.skip("needs OpenMP or TBB, and 2 threads")
    before = states_of_threads(count)
    with always_parallel() as counted:
        for rule in (Adam(0.01), SGD(0.1, global_clipnorm=0.1), SGD(1e30)):
            network = big_network("wide", "float32", count, rule)
            with contextlib.suppress(NonFiniteLossError):
                network.fit(**big_data("wide", "float32"), batch_size=160)
            network.predict(big_data("wide", "float32")["X"])
            assert states_of_threads(count) == before
    assert len(counted) >= 3
    tried("floating-point states of threads that are as they were after a call", 3 * count)


class Stop(Exception):
    """An exception that a user's callback raises."""


class Failing(Callback):
    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        raise Stop


def fail_by_callback() -> None:
    Network([9, 17, 3], seed=0).fit(np.ones((20, 9)), np.zeros((20, 3)), callbacks=[Failing()])


def fail_by_divergence() -> None:
    Network([9, 17, 3], optimizer=SGD(1e30), seed=0).fit(np.ones((20, 9)), np.ones((20, 3)), epochs=9)


def fail_by_chunks() -> None:
    def chunks() -> Any:
        yield np.ones((20, 9)), np.zeros((20, 3))
        raise Stop

    Network([9, 17, 3], seed=0).fit(chunks, epochs=2, batch_size=8)


@pytest.mark.parametrize("fail", [fail_by_callback, fail_by_divergence, fail_by_chunks])
def test_the_state_is_as_it_was_after_a_fit_that_failed(fail: Callable[[], None], tried: Tried) -> None:
    for around in (contextlib.nullcontext(), flushed_denormals()):  # whatever the user has chosen
        with around:
            before = state()
            with pytest.raises((Stop, NonFiniteLossError)):
                fail()
            assert state() == before
    tried("floating-point states of threads that are as they were after a call", 2)


def test_a_thread_of_the_users_keeps_its_own_state(tried: Tried) -> None:
    """One of two threads flushes denormals and the other does not, while both train."""
    found: list[tuple[bool, bool]] = []

    def work(flushing: bool) -> None:
        with flushed_denormals() if flushing else contextlib.nullcontext():
            before = state()
            for _ in range(5):
                use(Network([9, 17, 3], output="softmax", seed=0))
            found.append((state() == before, denormals_live() == (not flushing)))

    workers = [threading.Thread(target=work, args=(flushing,)) for flushing in (True, False, True, False)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert found == [(True, True)] * 4
    tried("floating-point states of threads that are as they were after a call", 4)


def test_a_user_who_flushes_denormals_goes_on_to_do_so() -> None:
    with flushed_denormals():
        assert not denormals_live()  # the state is seen: the tests above can fail
        use(Network([9, 17, 3], output="softmax", seed=0))
        assert not denormals_live()
    assert denormals_live()


def count_denormals(values: Any, dtype: str) -> int:
    tiny = np.finfo(dtype).tiny
    return int(((np.abs(values) > 0) & (np.abs(values) < tiny)).sum())


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("optimizer", [Adam(0.01, beta_1=0.7, beta_2=0.75), SGD(0.1, momentum=0.75)], ids=str)
def test_fading_moments_end_in_zeros_not_in_denormals(optimizer: Optimizer, dtype: str) -> None:
    """Only the first row has a weight, so all later gradients are 0. NumPy's moments stay at the last denormals."""
    X, y = np.random.default_rng(0).normal(size=(STEPS, 9)).astype(dtype), np.arange(STEPS) % 3
    weights = np.zeros(STEPS)
    weights[0] = 1
    options: dict[str, Any] = {"output": "softmax", "optimizer": optimizer, "dtype": dtype, "seed": 0}
    network, reference = Network([9, 17, 3], **options), Reference([9, 17, 3], **options)
    for fit in (network.fit, reference.fit):
        fit(X, y, sample_weight=weights, batch_size=1, shuffle=False)
    kept = [slot for slots in reference._slots for slot in slots.values()]
    assert sum(count_denormals(slot, dtype) for slot in kept) > 100
    assert (network._engine.parameters.slots == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_are_never_denormal_on_their_way_to_zero(dtype: str) -> None:
    network = Network([9, 17, 3], output="softmax", optimizer=Adam(0.01, 0.7, 0.75), dtype=dtype, seed=0)
    X, y, left = np.ones((STEPS, 9)), np.arange(STEPS) % 3, []

    class Count(Callback):
        every_steps = 100

        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            left.append(np.count_nonzero(network._engine.parameters.slots))
            assert count_denormals(network._engine.parameters.slots, dtype) == 0

    network.fit(X, y, sample_weight=np.arange(STEPS) < 4, batch_size=1, shuffle=False, callbacks=[Count()])
    assert left[0] > left[-1] == 0
