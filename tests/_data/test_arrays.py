"""Data of any dtype and layout, in memory or memory-mapped: the same bits as a plain copy, and never such a copy."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import bits, small_data, small_network

from fastmlp import Callback, Dense, Network
from fastmlp._data import arrays
from fastmlp._data.array_feed import ArrayFeed

ROWS, COLUMNS = 41, 3
MB = 1 << 20

Given = Any
Form = Callable[[Any], Any]


class Frame:
    """What some libraries have in place of an array."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.values, dtype)


def strided(array: Any) -> Any:
    """Every second row and column of a larger array."""
    larger = np.zeros(tuple(2 * n for n in array.shape), array.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def backwards(array: Any) -> Any:
    """The same in the other direction, of an array the other way round."""
    return array[tuple(slice(None, None, -1) for _ in array.shape)].copy()[
        tuple(slice(None, None, -1) for _ in array.shape)
    ]


def unaligned(array: Any) -> Any:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array: Any) -> Any:
    own = array.copy()
    own.flags.writeable = False
    return own


def memmapped(array: Any, folder: Path) -> Any:
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


LAYOUTS: dict[str, Form] = {
    "C": lambda a: a.copy(),
    "Fortran": np.asfortranarray,
    "strided": strided,
    "negative strides": backwards,
    "unaligned": unaligned,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": read_only,
    "a list": lambda a: a.tolist(),
    "objects": lambda a: a.astype(object),
    "a frame": Frame,
}
DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32", "float64", "longdouble"]


def numbers_of(dtype: str, shape: tuple[int, ...]) -> Any:
    """Numbers that this dtype holds, and every network's."""
    values = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, shape)
    scale = 1 if np.dtype(dtype).kind in "bui" else np.dtype(dtype).type(1 / 64)
    return values.astype(dtype) * scale if scale != 1 else values.astype(dtype)


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As it is, and as if the data were too large to be copied."""
    if request.param == "large":
        monkeypatch.setattr(arrays, "STAGE_BYTES", 16 * 40)  # two batches of 16 rows, or so
        monkeypatch.setattr(arrays, "SCAN_BYTES", 5 * 12)
    return request.param


def course(network: Network, X: Any, y: Any, weights: Any, **options: Any) -> list[Any]:
    """All that a fit and questions give, to be compared bit for bit."""
    history = network.fit(X, y, sample_weight=weights, epochs=2, batch_size=16, **options).history
    loss, gradients = network.loss_and_gradients(X, y, weights)
    return [
        bits(network),
        history,
        network.evaluate(X, y, weights),
        network.predict(X).tobytes(),
        loss,
        [(w.tobytes(), b.tobytes()) for w, b in gradients if b is not None],
    ]


NETWORKS: dict[str, Callable[[str], Network]] = {
    "labels": lambda dtype: small_network(dtype=dtype),
    "rows": lambda dtype: Network([COLUMNS, Dense(6, "tanh", dropout=0.2), 2], dtype=dtype, seed=7),
    "a column": lambda dtype: Network([COLUMNS, Dense(6, "tanh"), 1], dtype=dtype, seed=7),
    "shares": lambda dtype: Network([COLUMNS, Dense(6, "tanh"), 1], output="sigmoid", dtype=dtype, seed=7),
}


def targets(kind: str, dtype: str) -> Any:
    if kind == "labels":
        return (np.arange(ROWS) * 7 % 3 % (2 if dtype == "bool" else 3)).astype(dtype)
    if kind == "shares":
        return (np.arange(ROWS) * 5 % 2).astype(dtype)
    return numbers_of(dtype, (ROWS, 2) if kind == "rows" else (ROWS,))


def plain(array: Any, dtype: Any) -> Any:
    return np.array(array, dtype, order="C")


@pytest.mark.parametrize("network_dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_gives_the_bits_of_a_plain_copy(dtype: str, kind: str, network_dtype: str, size: str) -> None:
    X, y, weights = numbers_of(dtype, (ROWS, COLUMNS)), targets(kind, dtype), numbers_of(dtype, (ROWS,))
    found = course(NETWORKS[kind](network_dtype), X, y, weights)
    own_y = plain(y, np.int64 if kind == "labels" else network_dtype)
    own = course(NETWORKS[kind](network_dtype), plain(X, network_dtype), own_y, plain(weights, np.float64))
    assert found == own


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("kind", ["labels", "rows", "a column"])
@pytest.mark.parametrize("layout", [*LAYOUTS, "memory-mapped", "memory-mapped Fortran"])
def test_every_layout_gives_the_bits_of_a_plain_copy(
    layout: str, kind: str, dtype: str, size: str, tmp_path: Path
) -> None:
    X, y, weights = numbers_of(dtype, (ROWS, COLUMNS)), targets(kind, dtype), numbers_of(dtype, (ROWS,))
    forms: dict[str, Form] = {
        **LAYOUTS,
        "memory-mapped": lambda a: memmapped(a, tmp_path),
        "memory-mapped Fortran": lambda a: memmapped(np.asfortranarray(a), tmp_path),
    }
    given = [forms[layout](array) for array in (X, y, weights)]
    for options in ({}, {"shuffle": False}, {"validation_split": 0.3}, {"validation_split": 0.3, "shuffle": False}):
        own_y = plain(y, np.int64 if kind == "labels" else np.float32)
        own = [plain(X, np.float32), own_y, plain(weights, np.float64)]
        assert course(NETWORKS[kind]("float32"), *given, **options) == course(
            NETWORKS[kind]("float32"), *own, **options
        )


def test_rows_and_columns_that_are_one_in_memory_train_as_copies(size: str) -> None:
    X = np.broadcast_to(np.arange(3, dtype=np.float32), (ROWS, COLUMNS))  # a row stride of zero
    columns = np.broadcast_to(np.linspace(0, 1, ROWS)[:, None], (ROWS, COLUMNS))  # a column stride of zero
    y = np.broadcast_to(np.float32(0.5), (ROWS, 2))
    weights = np.broadcast_to(np.float64(2), (ROWS,))
    for given in (X, columns):
        found = course(NETWORKS["rows"]("float32"), given, y, weights)
        assert found == course(NETWORKS["rows"]("float32"), given.astype(np.float32), y.copy(), weights.copy())


def test_the_sum_of_many_weights_does_not_depend_on_their_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.random.default_rng(0).random(300_001).astype(np.float32)
    X, network = np.broadcast_to(np.float32(1), (len(weights), 1)), Network([1, 1], seed=0)
    expected = network.evaluate(X, X, weights.astype(np.float64))
    for stage in (arrays.STAGE_BYTES, 1):
        monkeypatch.setattr(arrays, "STAGE_BYTES", stage)
        for form in (np.copy, strided, backwards):
            assert network.evaluate(X, X, form(weights)) == expected


@pytest.mark.parametrize("kind", ["labels", "shares"])
@pytest.mark.parametrize("weighted", [True, False])
def test_weights_of_classes_are_looked_up_in_large_data_too(
    kind: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = numbers_of("float16", (ROWS, COLUMNS)), targets(kind, "uint8")
    weights = np.linspace(0, 2, ROWS) if weighted else None
    options = {"class_weight": {0: 3.0, 1: 0.5}, "validation_split": 0.3}
    small = course(NETWORKS[kind]("float32"), X, y, weights, **options)
    monkeypatch.setattr(arrays, "STAGE_BYTES", 16 * 40)
    assert course(NETWORKS[kind]("float32"), X, y, weights, **options) == small


def test_weights_of_classes_need_one_class_a_row_in_large_data_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 64)
    monkeypatch.setattr(arrays, "SCAN_BYTES", 64)
    network, y = small_network(), np.eye(3)[small_data()[1]]
    y[-1] = 0.25
    with pytest.raises(ValueError, match="class_weight needs class labels, one-hot rows"):
        network.fit(small_data()[0], y, class_weight={0: 2.0})
    assert network.step == 0


@pytest.mark.parametrize("place", [0, 20, 40])
def test_a_bad_value_is_found_in_whatever_piece_it_lies(place: int, size: str) -> None:
    X, labels = small_data()
    wrong_x = X.astype(np.float16)
    wrong_x[place, 1] = np.nan
    shares, weights = np.full(ROWS, 0.5, np.float16), np.ones(ROWS, np.float16)
    shares[place], weights[place] = 1.5, -1.0
    wrong_label, fraction = labels.astype(np.int32), labels.astype(np.float16)
    wrong_label[place], fraction[place] = 3, 0.5
    cases: list[tuple[Network, Any, Any, Any, str]] = [
        (small_network(), wrong_x, labels, None, rf"X must be finite, but X\[{place}, 1\] is nan"),
        (small_network(), X, wrong_label, None, "y must hold class labels from 0 to 2, .* got labels from 0 to 3"),
        (small_network(), X, fraction, None, "whole numbers from 0 to 2, got float16 values"),
        (small_network(), X, labels, weights, "sample_weight must be at least 0, got -1"),
        (NETWORKS["shares"]("float32"), X, shares, None, "must lie between 0 and 1 .* from 0.5 to 1.5"),
        (
            Network([3, 1], loss="hinge"),
            X,
            np.where(shares > 1, 2, -1),
            None,
            "must hold -1 and 1, or 0 and 1, for hinge, got 2",
        ),
        (
            Network([3, 1], loss="poisson"),
            X,
            weights,
            None,
            "y must be at least 0 for poisson, got numbers from -1 to 1",
        ),
    ]
    for network, x, y, w, message in cases:
        with pytest.raises(ValueError, match=message):
            network.fit(x, y, sample_weight=w)
        assert network.step == 0


def test_labels_that_are_none_any_more_when_they_are_staged_undo_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_large_data_that_lies_ready_is_read_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1)
    staged: list[int] = []
    monkeypatch.setattr(ArrayFeed, "_fill_buffer", lambda *arguments: staged.append(1))
    X = numbers_of("float32", (ROWS, COLUMNS))
    for y in (numbers_of("float32", (ROWS, 2)), strided(numbers_of("float32", (ROWS, 4)))[:, :1].repeat(2, 1)):
        network = NETWORKS["rows"]("float32")
        network.fit(X, y, sample_weight=np.ones(ROWS))
        assert network._engine.plans.get("training", 32).record.x == X.__array_interface__["data"][0]
    assert not staged


# Memory ----------------------------------------------------------------------------------------------------------

LARGE, LIMIT = 200 * MB, 64 * MB  # buffers of 16 MB, the order of the rows, and what metrics make of the predictions


def written(path: Path, dtype: str, fortran: bool, columns: int, size: int = LARGE) -> Any:
    """A file of that size, mapped; most of it zeros that take no room on the disk."""
    shape = (size // (columns * np.dtype(dtype).itemsize), columns)
    file = np.lib.format.open_memmap(path, "w+", dtype, shape, fortran_order=fortran)
    file[:: shape[0] // 100] = numbers_of(dtype, (1, columns))
    file.flush()
    del file
    return np.load(path, mmap_mode="r")


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def peak(call: Callable[[], Any]) -> int:
    """Bytes that the call takes at most, beside what there was."""
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    call()
    return tracemalloc.get_traced_memory()[1] - before


@pytest.mark.parametrize(
    ("dtype", "order", "y_dtype", "scale"),
    [
        ("float64", "C", "uint8", 1),
        ("float64", "Fortran", "float16", 16),
        ("int16", "C", "int32", 16),
        ("uint8", "C", "float64", 16),
        ("float16", "Fortran", "longdouble", 16),
        ("float32", "C", "float64", 16),
    ],
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
    assert peak(lambda: X.copy()) > LIMIT / scale  # it would be seen


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
    # Neither 64 MB of labels nor of weights, and without a shuffle no order.
    assert peak(lambda: network.fit(X, labels, sample_weight=weights, batch_size=10_000, shuffle=False)) < 32 * MB
    assert peak(lambda: network.fit(X, labels, sample_weight=weights, batch_size=10_000)) < 32 * MB + 8 * rows
