"""A team of threads: the workers that run do all shares, so a step never waits for a thread that does not run."""

from __future__ import annotations

import numpy as np
import pytest
from digests import SHAPES, always_parallel, big_data, big_network, state_of

from fastmlp._engine import plan
from fastmlp.kernels import layout
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.annotations import Ints
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.vocabulary import atomics


@pytest.mark.parametrize("running", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_team_in_which_most_workers_are_absent_gives_the_same_bits(
    shape: str, running: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if threads.layer() not in ("omp", "tbb") or threads.available() < running:
        pytest.skip(f"needs {running} threads, and OpenMP or TBB, which any thread may enter")
    monkeypatch.setattr(plan, "available", lambda wanted: wanted)
    monkeypatch.setattr(threads, "available", lambda wanted: wanted)
    limited = threads.limited_to
    monkeypatch.setattr(threads, "limited_to", lambda count: limited(min(running, count)))
    _, batch = SHAPES[shape]
    serial, team = (big_network(shape, "float32", count) for count in (1, 5))
    with always_parallel() as counted:
        for network in (serial, team):
            network.fit(**big_data(shape, "float32"), epochs=2, batch_size=batch)
    assert set(counted) == {5}
    assert state_of(team) == state_of(serial)


@kernel(cached=False)
def claim(place: Ints, phase: int) -> int:
    return 1 if atomics.atomic_max(place, phase) else 0


@kernel(cached=False)
def count(place: Ints) -> int:
    atomics.store_release(place, 6)
    atomics.pause()
    atomics.yield_thread()
    found = atomics.atomic_increment(place)
    return 100 * found + atomics.load_acquire(place)


def test_a_share_is_claimed_once() -> None:
    take, word = claim.function_for(np.dtype(np.int64)), np.zeros(1, np.int64)
    assert [take(word.ctypes.data, phase) for phase in (1, 1, 2, 1, 2, 5)] == [1, 0, 1, 0, 0, 1]
    assert word[0] == 5


def test_atomic_stores_and_increments_are_seen() -> None:
    word = np.zeros(1, np.int64)
    assert count.function_for(np.dtype(np.int64))(word.ctypes.data) == 707


def test_what_workers_write_lies_in_separate_pairs_of_cache_lines() -> None:
    assert layout.TEAM_PHASE + layout.TEAM_LINE <= layout.TEAM_DONE
    assert layout.TEAM_DONE + layout.TEAM_LINE <= layout.TEAM_CLAIMS
    assert layout.TEAM_LINE * 8 == 128
