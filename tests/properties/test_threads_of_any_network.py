"""Relations of the number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from digests import always_parallel
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, answers, cases, state_after

from fastmlp._engine import inference, program_runner
from fastmlp.kernels.host import threads


@pytest.fixture(scope="module")
def counted() -> Iterator[list[int]]:
    """Use two threads for any work, however small. Yield a list of the threads of each parallel call of training."""
    if threads.layer() not in ("omp", "tbb") or threads.available() < 2:
        pytest.skip("needs 2 threads of OpenMP or TBB")
    with pytest.MonkeyPatch.context() as patch, always_parallel() as calls:
        patch.setattr(inference, "SERIAL_FLOPS", -1.0)
        patch.setattr(program_runner, "SERIAL_FLOPS", -1.0)
        yield calls


@given(case=cases(most_rows=70), batch_size=st.integers(8, 70))
def test_one_thread_and_two_give_the_same_bits(case: Case, batch_size: int, counted: list[int]) -> None:
    """To the bit: a whole fit, predictions, gradients and metrics."""
    data = case.data()
    serial, parallel = case.network(threads=1), case.network(threads=2)
    fit = {"epochs": 1, "batch_size": batch_size}
    expected = state_after(serial, **data, **fit)
    counted.clear()
    assert state_after(parallel, **data, **fit) == expected
    assert set(counted) == {2}
    assert answers(parallel, **data) == answers(serial, **data)
