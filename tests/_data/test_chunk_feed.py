"""A fit on chunks is a fit on all their rows, holds one chunk at a time, and undoes the epoch of a wrong chunk."""

from __future__ import annotations

import io
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import bits, everything, small_data, small_network

from fastmlp import Callback, EarlyStopping, Network, NonFiniteLossError
from fastmlp._data import arrays
from fastmlp._data.batch_source import UNKNOWN_LENGTH
from fastmlp._data.chunk_feed import ChunkData
from fastmlp._data.names import Names
from fastmlp._display.progress import ProgressLine
from fastmlp._engine.records import new_record
from fastmlp.kernels.tables import Plan, State
from fastmlp.reference import random

X, LABELS = small_data()
WEIGHTS = np.linspace(0, 2, len(X))
BATCH, STEPS = 8, 6
MB = 1 << 20
SIZES = [[41], [8, 8, 8, 8, 9], [1] * 41, [3, 30, 0, 7, 1], [0, 7, 0, 34, 0], [16, 24, 1], [40, 1]]


def cut(sizes: list[int], *arrays: Any) -> list[Any]:
    """Return chunks with those numbers of rows, cut from the arrays in sequence."""
    ends = np.cumsum(sizes).tolist()
    assert ends[-1] == len(arrays[0])
    return [tuple(array[end - size : end] for array in arrays) for size, end in zip(sizes, ends, strict=True)]


def generator(*chunks: Any) -> Callable[[], Iterator[Any]]:
    """Return a generator function of the chunks; it raises an exception that is among them."""

    def make() -> Iterator[Any]:
        for chunk in chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk

    return make


class Steps(Callback):
    """Collect the losses of all steps, and call a function after one of the steps, counted from 1."""

    def __init__(self, step: int = 0, action: Callable[[], None] = lambda: None) -> None:
        self.losses: list[float] = []
        self.step, self.action = step, action

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.losses.append(logs["loss"])
        if len(self.losses) == self.step:
            self.action()


def interrupt() -> None:
    raise KeyboardInterrupt


# The bits of a fit on all rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [16 << 20, 400], ids=["one stage", "many stages"])
@pytest.mark.parametrize("batch", [1, 7, 8, 41, 100])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_unshuffled_chunks_give_the_bits_of_all_rows(
    sizes: list[int], batch: int, stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = small_network(), small_network()
    expected = whole.fit(X, LABELS, epochs=3, batch_size=batch, shuffle=False, validation_data=(X, LABELS)).history
    monkeypatch.setattr(arrays, "STAGE_BYTES", stage)
    chunks = cut(sizes, X, LABELS)
    found = parts.fit(chunks, epochs=3, batch_size=batch, shuffle=False, validation_data=(X, LABELS)).history
    assert found == expected
    assert bits(parts) == bits(whole)
    assert (parts.epoch, parts.step) == (3, 3 * -(-41 // batch))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_weights_of_rows_and_classes_apply_to_chunks(sizes: list[int]) -> None:
    whole, parts = small_network(), small_network()
    options: dict[str, Any] = {"epochs": 2, "batch_size": BATCH, "shuffle": False, "class_weight": {0: 3.0, 2: 0.5}}
    expected = whole.fit(X, LABELS, sample_weight=WEIGHTS, **options).history
    assert parts.fit(cut(sizes, X, LABELS, WEIGHTS), **options).history == expected
    assert bits(parts) == bits(whole)


def test_rows_of_a_chunk_without_weights_weigh_1() -> None:
    whole, parts = small_network(), small_network()
    chunks = cut([5, 11, 25], X, LABELS, WEIGHTS)
    chunks[0], chunks[2] = chunks[0][:2], chunks[2][:2]
    weights = np.where((np.arange(41) >= 5) & (np.arange(41) < 16), WEIGHTS, 1)
    expected = whole.fit(X, LABELS, epochs=2, batch_size=BATCH, sample_weight=weights, shuffle=False).history
    assert parts.fit(chunks, epochs=2, batch_size=BATCH, shuffle=False).history == expected
    assert bits(parts) == bits(whole)


def test_each_chunk_may_have_its_own_dtype_and_layout() -> None:
    rows, y = np.round(X * 8), np.round(X[:, :2] * 4)
    chunks = cut([10, 10, 10, 11], rows, y, np.ones(41))
    chunks[0] = (chunks[0][0].astype(np.int16), np.asfortranarray(chunks[0][1]), chunks[0][2])
    chunks[1] = (chunks[1][0].astype(np.float16)[::-1][::-1], chunks[1][1].tolist(), chunks[1][2].astype(bool))
    chunks[2] = (chunks[2][0].astype(">f8"), chunks[2][1].astype(np.longdouble))
    whole, parts = Network([3, 4, 2], seed=0), Network([3, 4, 2], seed=0)
    expected = whole.fit(rows, y, epochs=2, batch_size=BATCH, shuffle=False).history
    assert parts.fit(chunks, epochs=2, batch_size=BATCH, shuffle=False).history == expected
    assert bits(parts) == bits(whole)


def test_a_single_chunk_is_shuffled_as_arrays_are() -> None:
    whole, parts = small_network(), small_network()
    expected = whole.fit(X, LABELS, epochs=3, batch_size=BATCH).history
    assert parts.fit([(X, LABELS)], epochs=3, batch_size=BATCH).history == expected
    assert bits(parts) == bits(whole)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_rows_are_shuffled_within_their_chunk_by_seed_epoch_and_number(sizes: list[int]) -> None:
    parts, expected = small_network(), small_network()
    history = parts.fit(cut(sizes, X, LABELS), epochs=3, batch_size=BATCH).history["loss"]
    losses = []
    for epoch in range(3):
        orders = []
        for number, (rows,) in enumerate(cut(sizes, np.arange(41))):
            orders.append(random.permutation(random.key(7, random.SHUFFLE, epoch, number), rows))
        order = np.concatenate(orders).astype(int)
        losses += expected.fit(X[order], LABELS[order], batch_size=BATCH, shuffle=False).history["loss"]
    assert history == losses
    assert bits(parts) == bits(expected)


@pytest.mark.parametrize("kind", ["list", "tuple", "generator function", "function", "iterable"])
def test_each_epoch_iterates_over_the_chunks_anew(kind: str) -> None:
    chunks = cut([20, 21], X, LABELS)

    class Reader:
        def __iter__(self) -> Iterator[Any]:
            return iter(chunks)

    given: dict[str, Any] = {
        "list": chunks,
        "tuple": tuple(chunks),
        "generator function": generator(*chunks),
        "function": lambda: chunks,
        "iterable": Reader(),
    }
    one, other = small_network(), small_network()
    whole = one.fit(chunks, epochs=5, batch_size=BATCH).history["loss"]
    found = [
        loss for epochs in (2, 3) for loss in other.fit(given[kind], epochs=epochs, batch_size=BATCH).history["loss"]
    ]
    assert found == whole
    assert bits(one) == bits(other)


def test_an_iterator_allows_one_epoch() -> None:
    chunks = cut([20, 21], X, LABELS)
    one, other = small_network(), small_network()
    for given in (iter(chunks), generator(*chunks)()):
        before = everything(one)
        with pytest.raises(
            ValueError, match=r"only once, but there are 2 epochs; pass a function that returns the chunks anew"
        ):
            one.fit(given, epochs=2)
        assert everything(one) == before
    one.fit(generator(*chunks)(), batch_size=BATCH)
    other.fit(chunks, batch_size=BATCH)
    assert bits(one) == bits(other)


def test_epochs_may_differ_in_length() -> None:
    lengths = iter([41, 10, 33])
    parts, expected, seen = small_network(), small_network(), Steps()
    found = parts.fit(
        lambda: [(X[:n], LABELS[:n]) for n in [next(lengths)]],
        epochs=3,
        batch_size=BATCH,
        shuffle=False,
        callbacks=[seen],
    )
    losses = [expected.fit(X[:n], LABELS[:n], batch_size=BATCH, shuffle=False).history["loss"][0] for n in (41, 10, 33)]
    assert found.history["loss"] == losses
    assert len(seen.losses) == 6 + 2 + 5 == parts.step
    assert bits(parts) == bits(expected)


def test_callbacks_are_called_as_with_arrays() -> None:
    class Recorder(Steps):
        def __init__(self) -> None:
            super().__init__()
            self.events: list[Any] = []

        def on_epoch_begin(self, epoch: int) -> None:
            self.events.append(("begins", epoch))

        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            self.events.append((batch, logs))

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            self.events.append(("ends", epoch, dict(logs)))

    whole, parts = Recorder(), Recorder()
    held = (X[:9], LABELS[:9])
    small_network().fit(X, LABELS, epochs=2, shuffle=False, callbacks=[whole], validation_data=held)
    small_network().fit(cut([7, 34], X, LABELS), epochs=2, shuffle=False, callbacks=[parts], validation_data=held)
    assert parts.events == whole.events


def test_stopping_early_ends_a_fit_on_chunks() -> None:
    network = small_network(optimizer="adam")
    stopping = EarlyStopping("loss", patience=1, min_delta=100.0)
    network.fit(cut([20, 21], X, LABELS), epochs=50, callbacks=[stopping])
    assert network.epoch == 2
    assert stopping.best_epoch == 0


# What the feed writes into the record of a plan -----------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_of_several_chunks_are_staged_in_sequence(shuffle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1)  # one batch at a time
    record, state = new_record(Plan), new_record(State)
    state.seed, state.batch = 7, 5
    chunks = ChunkData(cut([3, 30, 0, 7, 1], X, LABELS), 1, small_network().architecture, Names(), None, None, 0.0)
    feed = chunks.feed(record, state, BATCH, shuffle)
    assert (record.batch_size, state.batch, feed.rows_per_epoch, feed.streamed) == (BATCH, 0, None, True)
    assert (record.samples, feed.steps_per_epoch) == (UNKNOWN_LENGTH, UNKNOWN_LENGTH)
    staged: list[Any] = []
    for batch in range(STEPS):
        state.batch = batch
        assert feed.stage(9) == 1
        assert record.staged_from == batch * BATCH
        buffer: Any = feed._buffer
        assert record.x == buffer.X.__array_interface__["data"][0]
        staged.append(buffer.X[: min(BATCH, len(X) - batch * BATCH)].copy())
    assert (feed.rows_per_epoch, record.samples, feed.steps_per_epoch) == (41, 41, STEPS)
    orders = [np.arange(3), np.arange(3, 33), np.arange(33, 40), np.arange(40, 41)]
    if shuffle:
        keys = [random.key(7, random.SHUFFLE, 0, number) for number in (0, 1, 3, 4)]
        orders = [random.permutation(key, rows) for key, rows in zip(keys, orders, strict=True)]
    assert (np.concatenate(staged) == X[np.concatenate(orders)]).all()


# Memory ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 1, 2])
@pytest.mark.parametrize("batch", [4, 5, 8, 11, 30])
def test_chunks_are_asked_for_one_ahead_and_those_to_prefetch_at_most(batch: int, prefetch: int) -> None:
    asked: list[int] = []
    behind: list[bool] = []

    def chunks() -> Iterator[Any]:
        for start in range(0, 40, 8):
            asked.append(start)
            yield X[start : start + 8], LABELS[start : start + 8]

    class Watch(Steps):
        def on_train_batch_end(self, number: int, logs: dict[str, float]) -> None:
            needed = -(-min((number + 1) * batch, 40) // 8)  # chunks that hold the rows used so far
            behind.append(len(asked) <= needed + 1 + prefetch)

    small_network().fit(chunks, batch_size=batch, callbacks=[Watch()], prefetch=prefetch)
    assert len(asked) == 5
    assert len(behind) == -(-40 // batch)
    assert all(behind)


def test_a_chunk_is_released_before_the_next_is_asked_for() -> None:
    alive: list[list[Any]] = []

    class Chunks:
        def __init__(self) -> None:
            self.made: list[weakref.ref[Any]] = []

        def __iter__(self) -> Chunks:
            return self

        def __next__(self) -> Any:
            alive.append([found for reference in self.made if (found := reference()) is not None])
            if len(self.made) == 6:
                raise StopIteration
            arrays = np.zeros((20, 3)), np.zeros(20, int)
            self.made += [weakref.ref(array) for array in arrays]
            return arrays

    small_network().fit(Chunks(), batch_size=16, prefetch=0)
    assert alive == [[]] * 4


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_fit_on_chunks_takes_the_memory_of_a_chunk_and_a_buffer(prefetch: int) -> None:
    def chunks() -> Iterator[Any]:
        for _ in range(20):
            yield np.zeros((20_000, 50)), np.zeros(20_000)  # 8 MB of 160

    network = Network([50, 2, 1], seed=0)
    network.fit(lambda: [(np.zeros((10, 50)), np.zeros(10))], batch_size=1000)
    tracemalloc.start()
    network.fit(chunks, batch_size=1000, prefetch=prefetch)
    assert tracemalloc.get_traced_memory()[1] < (36 + 8 * prefetch) * MB
    tracemalloc.stop()


# Wrong chunks ---------------------------------------------------------------------------------------------------------

WRONG: list[tuple[str, Any, Any, str]] = [
    ("a list", [X, LABELS], TypeError, r"chunk 2 must be a tuple \(X, y\) or \(X, y, sample_weight\), got list"),
    ("an array", X, TypeError, "chunk 2 must be a tuple .*, got ndarray"),
    ("None", None, TypeError, "chunk 2 must be a tuple .*, got NoneType"),
    ("X alone", (X,), ValueError, "chunk 2 must be a tuple .*, got 1 entries"),
    ("four", (X, LABELS, WEIGHTS, 1), ValueError, "chunk 2 must be a tuple .*, got 4 entries"),
    ("columns", (X[:, :2], LABELS), ValueError, r"X of chunk 2 must have shape \(n, 3\) for this network"),
    ("NaN", (np.where(X[5, 1] == X, np.nan, X), LABELS), ValueError, r"X of chunk 2\[5, 1\] is nan"),
    ("strings", (X.astype(str), LABELS), TypeError, "X of chunk 2 must hold real numbers"),
    ("labels", (X, LABELS + 1), ValueError, "y of chunk 2 must hold class labels from 0 to 2"),
    ("rows", (X, LABELS[:-1]), ValueError, "X and y of chunk 2 must have the same number of rows"),
    (
        "one-hot",
        (X, np.eye(3)[LABELS]),
        ValueError,
        "y of chunk 2 must hold class labels, as in the chunks before, got rows",
    ),
    ("no y", (X, None), TypeError, "y of chunk 2 must hold real numbers, got objects such as None"),
    ("weights", (X, LABELS, -WEIGHTS), ValueError, "sample_weight of chunk 2 must be at least 0, got -2"),
    ("no weights", (X, LABELS, "none"), TypeError, "sample_weight of chunk 2 must hold real numbers"),
]


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("batch", [8, 20, 1000])
@pytest.mark.parametrize(("wrong", "error", "message"), [pytest.param(*case[1:], id=case[0]) for case in WRONG])
def test_a_wrong_chunk_is_named_and_its_epoch_undone(
    wrong: Any, error: type[Exception], message: str, batch: int, epoch: int
) -> None:
    good = cut([20, 21], X, LABELS)
    turns = iter(range(9))
    network, other = small_network(), small_network()
    if epoch:
        other.fit(good, epochs=epoch, batch_size=batch)
    with pytest.raises(error, match=message):
        network.fit(lambda: good if next(turns) < epoch else [*good, wrong], epochs=5, batch_size=batch)
    assert network.epoch == epoch
    assert bits(network) == bits(other)
    assert network.history is not None
    assert network.history.epoch == list(range(epoch))
    for n in (network, other):
        n.fit(X, LABELS, batch_size=batch)
    assert bits(network) == bits(other)


@pytest.mark.parametrize("by_batch", [True, False])
def test_an_exception_of_the_iterable_passes_through_and_undoes_the_epoch(by_batch: bool) -> None:
    network, seen = small_network(), Steps()
    before = bits(network)
    chunks = generator((X, LABELS), (X, LABELS), OSError("the disk is gone"))
    with pytest.raises(OSError, match="the disk is gone"):
        network.fit(chunks, epochs=2, batch_size=BATCH, callbacks=[seen] if by_batch else [])
    assert bits(network) == before
    assert (
        len(seen.losses) == 5 * by_batch
    )  # the first chunk's: rows of the second are not used before the third is there


def test_a_loss_that_is_not_finite_undoes_the_epoch_of_chunks() -> None:
    network, other = Network([3, 1], seed=0), Network([3, 1], seed=0)
    good, bad = (X, X[:, 0]), (X * np.float32(1e25), X[:, 0])
    for n in (network, other):
        n.fit([good], batch_size=BATCH)
    with pytest.raises(NonFiniteLossError, match="back where that epoch began") as info:
        network.fit([good, bad], epochs=2, batch_size=BATCH)
    assert (info.value.epoch, info.value.batch) == (1, 5)
    assert bits(network) == bits(other)


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("chunks", [[], [(X[:0], LABELS[:0])]], ids=["no chunks", "no rows"])
def test_an_epoch_without_rows_is_an_error(chunks: list[Any], epoch: int) -> None:
    turns = iter(range(9))
    network, other = small_network(), small_network()
    if epoch:
        other.fit([(X, LABELS)])
    with pytest.raises(ValueError, match=f"the chunks of epoch {epoch} have no rows; each epoch must begin with"):
        network.fit(lambda: [(X, LABELS)] if next(turns) < epoch else chunks, epochs=3)
    assert bits(network) == bits(other)


def test_arguments_that_cannot_be_used_with_chunks_are_refused() -> None:
    network = small_network()
    before = everything(network)
    chunks = [(X, LABELS)]
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: network.fit(X), TypeError, "y is missing; without it, fit takes chunks"),
        (
            lambda: network.fit("a.csv"),
            TypeError,
            "chunks, got the path 'a.csv'; fastmlp.tables.prepare reads CSV",
        ),
        (lambda: network.fit(5), TypeError, "without it, fit takes chunks: .* got X of type int"),
        (lambda: network.fit(chunks, validation_split=0.5), ValueError, "validation_split cannot be used with chunks"),
        (
            lambda: network.fit(chunks, sample_weight=WEIGHTS),
            ValueError,
            r"give the weights in each chunk: \(X, y, sample_weight\)",
        ),
        (lambda: network.fit(chunks, class_weight={5: 1.0}), ValueError, "class_weight has the label 5"),
        (lambda: network.fit(chunks, validation_data=(X, LABELS + 1)), ValueError, "y of validation_data must hold"),
        (
            lambda: network.fit(iter(chunks), LABELS),
            TypeError,
            "X must be an array, got .*fit takes chunks if y is left out",
        ),
        (lambda: network.predict(iter(chunks)), TypeError, "predict and evaluate must be called for each chunk"),  # type: ignore[arg-type]
        (lambda: network.predict(generator()), TypeError, "predict and evaluate must be called for each chunk"),  # type: ignore[arg-type]
        (lambda: network.evaluate(iter(chunks), LABELS), TypeError, "must be called for each chunk"),  # type: ignore[arg-type]
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()
        assert everything(network) == before


@pytest.mark.parametrize(("given", "message"), [(lambda: 5, "got 5"), (lambda: None, "got None")])
def test_a_function_must_return_chunks(given: Any, message: str) -> None:
    network = small_network()
    with pytest.raises(TypeError, match=f"the function given as X must return an iterable of chunks, {message}"):
        network.fit(given)
    assert network.step == 0


def test_a_class_weight_needs_one_class_a_row_of_every_chunk() -> None:
    network, rows = Network([3, 3], output="softmax", seed=0), np.eye(3)[LABELS]
    with pytest.raises(ValueError, match="chunk 1: class_weight needs class labels, one-hot rows"):
        network.fit([(X, rows), (X, np.full((41, 3), 0.25))], class_weight={0: 2.0})
    assert network.step == 0


# Interruptions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4, STEPS, STEPS + 2])
def test_after_ctrl_c_a_fit_on_chunks_begins_an_epoch(steps: int, tmp_path: Path) -> None:
    network, chunks = small_network(), cut([20, 21], X, LABELS)
    with pytest.raises(KeyboardInterrupt):
        network.fit(chunks, epochs=3, batch_size=BATCH, callbacks=[Steps(steps, interrupt)])
    epoch = (steps - 1) // STEPS if steps % STEPS else steps // STEPS
    assert (network.epoch, network.step) == (epoch, steps)
    network.save(tmp_path / "x")
    for again in (network, Network.load(tmp_path / "x")):
        history = again.fit(chunks, batch_size=BATCH)
        assert (again.epoch, again.step) == (epoch + 1, steps + STEPS)
        assert history.epoch == [epoch]


def test_after_interrupted_chunks_arrays_begin_an_epoch() -> None:
    network = small_network()
    with pytest.raises(KeyboardInterrupt):
        network.fit([(X, LABELS)], batch_size=BATCH, callbacks=[Steps(2, interrupt)])
    network.fit(X, LABELS, batch_size=BATCH)
    assert (network.epoch, network.step) == (1, 2 + STEPS)


def test_after_interrupted_arrays_chunks_begin_an_epoch() -> None:
    network = small_network()
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, LABELS, batch_size=BATCH, callbacks=[Steps(2, interrupt)])
    network.fit([(X, LABELS)], batch_size=BATCH)
    assert (network.epoch, network.step) == (1, 2 + STEPS)


def test_ctrl_c_within_the_iterable_keeps_the_finished_steps() -> None:
    network = small_network()
    with pytest.raises(KeyboardInterrupt):
        network.fit(generator((X[:20], LABELS[:20]), (X, LABELS), KeyboardInterrupt()), batch_size=BATCH)
    assert (network.epoch, network.step) == (0, 2)
    assert np.isfinite(network.predict(X)).all()


# The line of progress -------------------------------------------------------------------------------------------------


def test_the_line_shows_rows_while_the_length_of_an_epoch_is_unknown() -> None:
    line = ProgressLine(False, 5, None).line(0.0, {}, 2.0, 79, rows=12_800)
    assert line == "epoch 1/5 12,800 samples 6.40k samples/s 2.0 s"
    assert len(ProgressLine(False, 5, None).line(0.0, {}, 2.0, 20, rows=12_800)) == 20


def test_the_line_has_a_bar_once_an_epoch_has_shown_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("fastmlp._display.progress.INTERVAL", 0.0)
    small_network().fit(cut([16, 25], X, LABELS), epochs=2, batch_size=BATCH)
    lines = [line.strip() for line in terminal.getvalue().split("\r")]
    assert lines[2].startswith("epoch 1/2 16 samples ")
    assert "[" not in lines[2]
    assert lines[3].startswith("epoch 2/2 [")
    assert lines[-1].startswith("epoch 2/2 [====")
