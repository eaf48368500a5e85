"""The staging buffer: rows of any dtype, in any order, as kernels read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_cases import NETWORKS, ROWS
from behaviour import small_data, small_network

from fastmlp._data import arrays
from fastmlp._data.samples import Samples, check_samples
from fastmlp._data.staging import StagingBuffer, point_to_inputs, point_to_targets
from fastmlp._data.targets import Targets
from fastmlp._engine.records import new_record
from fastmlp._runtime import memory
from fastmlp.kernels.tables import Plan

CLASSES, VALUES = small_network().architecture, NETWORKS["rows"]("float64").architecture
X, LABELS = small_data()
WEIGHTS = np.linspace(0, 2, ROWS)


def samples_of(labels: bool, weights: Any = WEIGHTS) -> Samples:
    if labels:
        return check_samples(np.asfortranarray(X, np.float64), LABELS.astype(np.int8), weights, CLASSES)
    return check_samples(X, X[:, :2], weights, VALUES)


def address_of(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("order", [None, np.random.default_rng(0).permutation(ROWS)], ids=["in sequence", "ordered"])
def test_rows_are_written_in_the_dtype_of_the_network(labels: bool, order: Any, size: str) -> None:
    samples = samples_of(labels)
    buffer = StagingBuffer(samples.targets.architecture, 16, labels)
    buffer.write(3, samples, order, 7, 20)
    rows = np.arange(7, 20) if order is None else order[7:20]
    assert buffer.X is not None
    assert buffer.X.dtype == samples.targets.architecture.dtype
    assert (buffer.X[3:16] == X[rows].astype(buffer.X.dtype)).all()
    assert (buffer.y[3:16] == (LABELS[rows] if labels else X[rows, :2])).all()
    assert (buffer.weights[3:16] == WEIGHTS[rows]).all()
    assert not buffer.X[:3].any()
    buffer.write(0, samples_of(labels, None), order, 0, 2)
    assert (buffer.weights[:2] == 1).all()


def test_rows_that_are_left_move_to_the_start() -> None:
    samples = samples_of(True)
    buffer = StagingBuffer(CLASSES, 16, True)
    buffer.write(0, samples, None, 0, 16)
    buffer.move_to_start(5, 16)  # the ranges overlap
    assert buffer.X is not None
    assert (buffer.X[:11] == X[5:16]).all()
    assert (buffer.y[:11] == LABELS[5:16]).all()
    assert (buffer.weights[:11] == WEIGHTS[5:16]).all()


@pytest.mark.parametrize(
    ("stage", "max_rows", "rows"),
    [(1, None, 16), (1 << 20, 41, 41), (16 * 28 * 3 + 27, None, 48), (16 * 28 * 3 - 1, None, 32)],
)
def test_the_buffer_holds_whole_batches(
    stage: int, max_rows: int | None, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", stage)
    buffer = StagingBuffer(CLASSES, 16, True, max_rows=max_rows)  # a row takes 3 * 4 + 8 + 8 = 28 bytes
    assert buffer.rows == rows
    assert buffer.X is not None
    assert len(buffer.X) == len(buffer.y) == len(buffer.weights) == rows


def test_a_batch_that_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: (10**9, "the machine"))
    message = "a buffer that converts batches of 1,000,000,000 rows .* takes 28.0 GB .*a smaller batch_size would take"
    with pytest.raises(MemoryError, match=message):
        StagingBuffer(CLASSES, 10**9, True)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("inputs", [True, False])
def test_the_record_of_a_plan_points_to_the_buffer(inputs: bool, labels: bool, weighted: bool) -> None:
    record: Any = new_record(Plan)
    record.x = 1234
    buffer = StagingBuffer(CLASSES if labels else VALUES, 16, labels, stages_inputs=inputs)
    buffer.point_to(record, weighted)
    if inputs:
        assert (record.x, record.x_stride) == (address_of(buffer.X), 3)
    else:
        assert (buffer.X, record.x) == (None, 1234)
    assert record.labels == (address_of(buffer.y) if labels else 0)
    assert (record.y, record.y_stride) == ((0, 0) if labels else (address_of(buffer.y), 2))
    assert record.sample_weights == (address_of(buffer.weights) if weighted else 0)


def test_strides_are_counted_in_elements() -> None:
    record: Any = new_record(Plan)
    wide = np.zeros((5, 9), np.float64)
    point_to_inputs(record, wide[::-1, 2:5])
    point_to_targets(record, Targets(None, wide[::2, :2], VALUES), None)
    assert (record.x, record.x_stride) == (address_of(wide) + 8 * (4 * 9 + 2), -9)
    assert (record.y, record.y_stride) == (address_of(wide), 18)
