"""Orders and splits of rows are those of the reference."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp._data import arrays, order
from fastmlp._runtime import memory
from fastmlp.reference import data, random


@pytest.mark.parametrize("rows", [2, 3, 41, 10_000])
@pytest.mark.parametrize("share", [1e-9, 0.2, 0.5, 0.999999])
def test_a_split_is_that_of_the_reference(rows: int, share: float) -> None:
    for seed in (0, 7, 2**63 - 1):
        training, validation = order.split_rows(rows, share, seed)
        expected = data.split(rows, share, random.key(seed, random.SPLIT))
        assert training.tolist() == expected[0].tolist()
        assert validation.tolist() == expected[1].tolist()


def test_a_split_needs_two_rows_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="validation_split needs at least 2 rows, got 1"):
        order.split_rows(1, 0.5, 0)
    monkeypatch.setattr(memory, "CHECKED_FROM", 80)
    monkeypatch.setattr(memory, "available", lambda: (79, "the machine"))
    order.split_rows(9, 0.5, 0)
    with pytest.raises(MemoryError, match=r"the order of the rows takes 0\.00 GB .*; fewer rows would take less, and"):
        order.split_rows(10, 0.5, 0)


@pytest.mark.parametrize("chunk", [0, 1, 5])
def test_the_order_of_an_epoch_follows_from_seed_epoch_and_chunk(chunk: int) -> None:
    for seed, epoch in ((0, 0), (7, 3)):
        found = np.arange(50)
        order.shuffle_epoch(found, seed, epoch, chunk)
        expected = random.permutation(random.key(seed, random.SHUFFLE, epoch, chunk), np.arange(50))
        assert found.tolist() == expected.tolist()


def test_rows_are_numbered_a_slice_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "SCAN_BYTES", 24)
    numbers = np.full(10, -1)
    order.number_rows(numbers)
    assert numbers.tolist() == list(range(10))
