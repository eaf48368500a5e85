"""Kernels treat denormals as 0, so nothing slows down; the user's floating-point state is as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import flushed_denormals, kernel_of, run
from digests import always_parallel, big_data, big_network

from fastmlp import Network
from fastmlp.kernels._jit import Ints
from fastmlp.kernels.simd import flush_denormals, restore_denormals
from fastmlp.optimizers import SGD, Adam, Optimizer
from fastmlp.reference import Network as Reference

STEPS = 3000


def read_state(out: Ints, count: int) -> None:
    state = flush_denormals()
    for i in range(count):
        out[i] = state
    restore_denormals(state)


READ = kernel_of(read_state)


def state() -> int:
    """The floating-point control register of this thread, left as it is."""
    found = np.zeros(1, np.int64)
    run(READ, "int64", found, 1)
    return int(found[0])


def denormals_live() -> bool:
    return bool((np.full(16, 1e-40, np.float32) * np.float32(1)).all())


def use(network: Network) -> None:
    """Everything that runs kernels."""
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


def test_a_user_who_flushes_denormals_goes_on_to_do_so() -> None:
    with flushed_denormals():
        assert not denormals_live()  # the state is seen: the tests above can fail
        use(Network([9, 17, 3], output="softmax", seed=0))
        assert not denormals_live()
    assert denormals_live()


def count_denormals(values: Any, dtype: str) -> int:
    tiny = np.finfo(dtype).tiny
    return int(((np.abs(values) > 0) & (np.abs(values) < tiny)).sum())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [Adam(0.01, beta_1=0.7, beta_2=0.75), SGD(0.1, momentum=0.75)], ids=str)
def test_fading_moments_end_in_zeros_not_in_denormals(optimizer: Optimizer, dtype: str) -> None:
    """Only the first row has a weight: all later gradients are 0. NumPy's moments get stuck at the last denormals."""
    X, y = np.random.default_rng(0).normal(size=(STEPS, 9)).astype(dtype), np.arange(STEPS) % 3
    weights = np.zeros(STEPS)
    weights[0] = 1
    options: dict[str, Any] = {"output": "softmax", "optimizer": optimizer, "dtype": dtype, "seed": 0}
    network, reference = Network([9, 17, 3], **options), Reference([9, 17, 3], **options)
    for fit in (network.fit, reference.fit):
        fit(X, y, sample_weight=weights, batch_size=1, shuffle=False)
    kept = [slot for slots in reference._slots for slot in slots.values()]
    assert sum(count_denormals(slot, dtype) for slot in kept) > 100
    assert (network._parameters.slots == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_are_never_denormal_on_their_way_to_zero(dtype: str) -> None:
    network = Network([9, 17, 3], output="softmax", optimizer=Adam(0.01, 0.7, 0.75), dtype=dtype, seed=0)
    X, y = np.ones((100, 9)), np.arange(100) % 3
    network.fit(X, y)
    left = []
    for _ in range(STEPS // 100):
        network.fit(X, y, sample_weight=np.zeros(100), batch_size=1)
        left.append(np.count_nonzero(network._parameters.slots))
        assert count_denormals(network._parameters.slots, dtype) == 0
    assert left[0] > left[-1] == 0
