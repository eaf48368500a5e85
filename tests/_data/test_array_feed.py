"""Arrays of any dtype and layout train with the bits of a plain copy, and large ones are never copied as a whole."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_cases import (
    COLUMNS,
    DTYPES,
    LAYOUTS,
    NETWORKS,
    ROWS,
    Layout,
    memmapped,
    numbers_of,
    outcome,
    strided,
    targets_of,
)
from behaviour import bits, small_data, small_network
from cases import heavy_but

from fastmlp import Callback, Network
from fastmlp._data import arrays
from fastmlp._data.array_feed import ArrayData, ArrayFeed
from fastmlp._data.samples import check_samples
from fastmlp._engine.purposes import TRAINING
from fastmlp._engine.records import new_record
from fastmlp.kernels.tables import Plan, State

MB = 1 << 20


def plain(array: Any, dtype: Any) -> Any:
    return np.array(array, dtype, order="C")


# Bits -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network_dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_gives_the_bits_of_a_plain_copy(dtype: str, kind: str, network_dtype: str, size: str) -> None:
    X, y, weights = numbers_of(dtype, (ROWS, COLUMNS)), targets_of(kind, dtype), numbers_of(dtype, (ROWS,))
    found = outcome(NETWORKS[kind](network_dtype), X, y, weights)
    plain_y = plain(y, np.int64 if kind == "labels" else network_dtype)
    expected = outcome(NETWORKS[kind](network_dtype), plain(X, network_dtype), plain_y, plain(weights, np.float64))
    assert found == expected


@pytest.mark.parametrize(
    ("kind", "dtype"),
    heavy_but(
        [("a column", "float32"), ("rows", "float64"), ("labels", "int32")],
        itertools.product(["labels", "rows", "a column"], ["float32", "float64", "int32"]),
    ),
)
@pytest.mark.parametrize("layout", [*LAYOUTS, "memory-mapped", "memory-mapped Fortran"])
def test_every_layout_gives_the_bits_of_a_plain_copy(
    layout: str, kind: str, dtype: str, size: str, tmp_path: Path
) -> None:
    X, y, weights = numbers_of(dtype, (ROWS, COLUMNS)), targets_of(kind, dtype), numbers_of(dtype, (ROWS,))
    layouts: dict[str, Layout] = {
        **LAYOUTS,
        "memory-mapped": lambda a: memmapped(a, tmp_path),
        "memory-mapped Fortran": lambda a: memmapped(np.asfortranarray(a), tmp_path),
    }
    given = [layouts[layout](array) for array in (X, y, weights)]
    for options in ({}, {"shuffle": False}, {"validation_split": 0.3}, {"validation_split": 0.3, "shuffle": False}):
        plain_y = plain(y, np.int64 if kind == "labels" else np.float32)
        copies = [plain(X, np.float32), plain_y, plain(weights, np.float64)]
        assert outcome(NETWORKS[kind]("float32"), *given, **options) == outcome(
            NETWORKS[kind]("float32"), *copies, **options
        )


def test_rows_and_columns_with_a_stride_of_zero_train_as_copies(size: str) -> None:
    rows = np.broadcast_to(np.arange(3, dtype=np.float32), (ROWS, COLUMNS))
    columns = np.broadcast_to(np.linspace(0, 1, ROWS)[:, None], (ROWS, COLUMNS))
    y = np.broadcast_to(np.float32(0.5), (ROWS, 2))
    weights = np.broadcast_to(np.float64(2), (ROWS,))
    for X in (rows, columns):
        found = outcome(NETWORKS["rows"]("float32"), X, y, weights)
        assert found == outcome(NETWORKS["rows"]("float32"), X.astype(np.float32), y.copy(), weights.copy())


def test_labels_that_change_after_the_check_undo_the_epoch_in_which_they_are_staged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, labels = small_data()
    monkeypatch.setattr(arrays, "STAGE_BYTES", 256)
    given = labels.astype(np.int16)

    class Relabel(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            if self.network.epoch == 1:
                given[:] = 3000

    network, other = small_network(), small_network()
    with pytest.raises(ValueError, match=r"y must hold class labels from 0 to 2, .* got labels from 3000 to 3000"):
        network.fit(X, given, epochs=3, batch_size=8, callbacks=[Relabel()])
    other.fit(X, labels, batch_size=8)
    assert (network.epoch, network.step) == (1, 6)
    assert bits(network) == bits(other)


# What the feed writes into the record of a plan -----------------------------------------------------------------------


def feed_of(
    X: Any, y: Any, weights: Any = None, rows: Any = None, *, shuffle: bool = False
) -> tuple[ArrayFeed, Any, Any]:
    """Return a feed of batches of 8 rows, the record of a plan and the state of training; there is no plan."""
    record, state = new_record(Plan), new_record(State)
    state.seed = 7
    data = ArrayData(check_samples(X, y, weights, NETWORKS["rows"]("float32").architecture), rows)
    return data.feed(record, state, 8, shuffle), record, state


def address_of(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def test_kernels_read_kernel_ready_arrays_in_place_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1)
    wide = numbers_of("float32", (ROWS, COLUMNS + 5))
    X, y, weights = wide[:, :COLUMNS], numbers_of("float32", (ROWS, 2)), np.ones(ROWS)
    feed, record, _ = feed_of(X, y, weights, shuffle=True)
    assert (record.x, record.x_stride) == (address_of(X), COLUMNS + 5)
    assert (record.y, record.y_stride) == (address_of(y), 2)
    assert record.sample_weights == address_of(weights)
    assert (record.samples, record.batch_size, record.shuffles) == (ROWS, 8, 1)
    assert feed.order is not None
    assert record.order == address_of(feed.order)  # kernels write the order of each epoch there
    assert feed.stage(6) == 6
    assert feed.stage(1) == 1


def test_rows_in_sequence_need_no_order() -> None:
    feed, record, _ = feed_of(numbers_of("float32", (ROWS, COLUMNS)), numbers_of("float32", (ROWS, 2)))
    assert feed.order is None
    assert record.order == record.training_rows == record.shuffles == 0


def test_a_large_array_of_another_dtype_is_staged_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1)
    X, y = numbers_of("float64", (ROWS, COLUMNS)), numbers_of("float64", (ROWS, 2))
    rows = np.arange(0, ROWS, 2)
    feed, record, state = feed_of(X, y, None, rows)
    assert (feed.rows_per_epoch, feed.steps_per_epoch, feed.streamed) == (21, 3, False)
    buffer: Any = feed._buffer
    for batch, expected in enumerate([rows[:8], rows[8:16], rows[16:]]):
        state.batch = batch
        assert feed.stage(5) == 1
        assert record.staged_from == 8 * batch
        assert (record.x, record.y, record.order) == (address_of(buffer.X), address_of(buffer.y), 0)
        assert (buffer.X[: len(expected)] == X[expected]).all()
        assert (buffer.y[: len(expected)] == y[expected]).all()


def test_targets_alone_are_staged_where_x_is_kernel_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1)
    X, y = numbers_of("float32", (ROWS, COLUMNS)), numbers_of("float64", (ROWS, 2))
    feed, record, state = feed_of(X, y, shuffle=True)
    state.batch = 2
    assert feed.stage(5) == 1
    buffer, order = feed._buffer, feed.order
    assert buffer is not None
    assert order is not None
    assert buffer.X is None
    assert (record.x, record.targets_from) == (address_of(X), 16)
    assert (record.order, record.shuffles) == (address_of(order), 0)
    assert sorted(order) == list(range(ROWS))
    assert (buffer.y[:8] == y[order[16:24]]).all()


def test_a_large_kernel_ready_array_is_never_staged_in_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1)
    staged: list[int] = []
    monkeypatch.setattr(ArrayFeed, "_fill_buffer", lambda *arguments: staged.append(1))
    X = numbers_of("float32", (ROWS, COLUMNS))
    for y in (numbers_of("float32", (ROWS, 2)), strided(numbers_of("float32", (ROWS, 4)))[:, :1].repeat(2, 1)):
        network = NETWORKS["rows"]("float32")
        network.fit(X, y, sample_weight=np.ones(ROWS))
        assert network._engine.plans.get(TRAINING, 32).record.x == address_of(X)
    assert not staged


# Memory ---------------------------------------------------------------------------------------------------------------

LARGE, LIMIT = 200 * MB, 64 * MB  # buffers of 16 MB, the order of the rows, and what metrics make of the predictions


def written(path: Path, dtype: str, fortran: bool, columns: int, size: int = LARGE) -> Any:
    """Return a memory-mapped file of that size; most of it is zeros that take no room on the disk."""
    shape = (size // (columns * np.dtype(dtype).itemsize), columns)
    file = np.lib.format.open_memmap(path, "w+", dtype, shape, fortran_order=fortran)
    file[:: shape[0] // 100] = numbers_of(dtype, (1, columns))
    file.flush()
    del file
    return np.load(path, mmap_mode="r")


@pytest.fixture
def traced() -> Iterator[None]:
    """Trace allocations during a test."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def peak(call: Callable[[], Any]) -> int:
    """Return the largest number of bytes that the call allocates, beside what there was."""
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    call()
    return tracemalloc.get_traced_memory()[1] - before


@pytest.mark.parametrize(
    ("dtype", "order", "y_dtype", "scale"),
    heavy_but(
        [("float64", "C", "uint8", 1), ("float16", "Fortran", "longdouble", 16)],
        [
            ("float64", "C", "uint8", 1),
            ("float64", "Fortran", "float16", 16),
            ("int16", "C", "int32", 16),
            ("uint8", "C", "float64", 16),
            ("float16", "Fortran", "longdouble", 16),
            ("float32", "C", "float64", 16),
        ],
    ),
)
def test_a_file_larger_than_the_limit_is_never_in_memory(
    dtype: str, order: str, y_dtype: str, scale: int, tmp_path: Path, traced: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", arrays.STAGE_BYTES // scale)
    monkeypatch.setattr(arrays, "SCAN_BYTES", arrays.SCAN_BYTES // scale)
    columns = 400
    X = written(tmp_path / "X.npy", dtype, order == "Fortran", columns, LARGE // scale)
    y = memmapped((np.arange(len(X)) % 2).astype(y_dtype), tmp_path)
    weights = memmapped(np.ones(len(X), np.float16), tmp_path)
    network = Network([columns, 2, 1], loss="binary_crossentropy", output="sigmoid", seed=0)
    network.fit(X[:100], y[:100], batch_size=100)  # plans and tables
    validation = (X[1000:], y[1000:], weights[1000:])
    network.evaluate(*validation)
    calls: dict[str, Callable[[], Any]] = {
        "fit": lambda: network.fit(X, y, sample_weight=weights, batch_size=100, class_weight={1: 2.0}),
        "validation_split": lambda: network.fit(X, y, batch_size=100, validation_split=0.6),
        "validation_data": lambda: network.fit(X[:1000], y[:1000], batch_size=100, validation_data=validation),
        "evaluate": lambda: network.evaluate(X, y, weights),
        "predict": lambda: network.predict(X),
    }
    assert X.nbytes > 0.99 * LARGE / scale
    found = {name: peak(call) for name, call in calls.items()}
    assert max(found.values()) < LIMIT / scale, found
    assert peak(lambda: X.copy()) > LIMIT / scale  # a copy would be seen


def test_targets_larger_than_the_limit_are_never_in_memory(tmp_path: Path, traced: None) -> None:
    y = written(tmp_path / "y.npy", "float64", False, 50)
    X = np.zeros((len(y), 1), np.float32)
    network = Network([1, 50], seed=0)
    network.fit(X[:100], y[:100], batch_size=1000)
    assert peak(lambda: network.fit(X, y, batch_size=1000)) < LIMIT
    assert peak(lambda: network.loss_and_gradients(X, y)) < LIMIT


def test_labels_and_weights_of_many_rows_are_staged(tmp_path: Path, traced: None) -> None:
    rows = 8_000_000
    X, labels = np.broadcast_to(np.float32(1), (rows, 1)), memmapped(np.arange(rows) % 3, tmp_path)
    weights = memmapped(np.ones(rows, np.float32), tmp_path)
    network = Network([1, 3], output="softmax", seed=0)
    network.fit(X[:100], labels[:100], batch_size=10_000)
    # A copy of the labels or of the weights would take 64 MB. Without shuffling there is no order.
    assert peak(lambda: network.fit(X, labels, sample_weight=weights, batch_size=10_000, shuffle=False)) < 32 * MB
    assert peak(lambda: network.fit(X, labels, sample_weight=weights, batch_size=10_000)) < 32 * MB + 8 * rows
