"""Chunks that a thread reads ahead: the same bits, errors and ends as without it."""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import assert_same_bits

from fastmlp import Callback, Network
from fastmlp._data.read_ahead import ReadAhead

X = np.random.default_rng(0).normal(size=(90, 3))
LABELS = np.arange(90) % 3
CUTS = [0, 7, 8, 8, 40, 90]


def network() -> Network:
    return Network([3, 5, 3], output="softmax", seed=0)


def chunks() -> Iterator[Any]:
    for first, last in itertools.pairwise(CUTS):
        yield X[first:last], LABELS[first:last]


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fastmlp-read-ahead"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not readers()


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_bits_are_those_without_it(shuffle: bool) -> None:
    expected = network()
    expected.fit(chunks, epochs=3, batch_size=11, shuffle=shuffle, prefetch=0)
    for prefetch in (1, 2, 9):
        net = network()
        net.fit(chunks, epochs=3, batch_size=11, shuffle=shuffle, prefetch=prefetch)
        assert_same_bits(net.flat_weights(), expected.flat_weights())
        assert net.history["loss"] == expected.history["loss"]


@pytest.mark.parametrize("error", [ValueError("no file"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_an_error_is_raised_in_its_place(error: BaseException) -> None:
    """The epoch that it ends is undone for errors, and stays within the epoch for an interruption, as without it."""

    def broken() -> Iterator[Any]:
        yield from itertools.islice(chunks(), 4)
        raise error

    ends = []
    for prefetch in (0, 2):
        net, sources = network(), iter([chunks, broken])
        with pytest.raises(type(error)) as found:
            net.fit(lambda sources=sources: next(sources)(), epochs=2, batch_size=11, shuffle=False, prefetch=prefetch)
        assert found.value is error
        ends.append((net.epoch, net.history["loss"], net.flat_weights().tobytes()))
    assert ends[0] == ends[1]
    assert ends[0][0] == 1


def test_a_wrong_chunk_is_told_by_its_number() -> None:
    def wrong() -> Iterator[Any]:
        yield from itertools.islice(chunks(), 3)
        yield X[:5], LABELS[:4]

    with pytest.raises(ValueError, match="X and y of chunk 3 must have the same number of rows"):
        network().fit(wrong, batch_size=4)


def test_a_generator_is_closed_by_its_own_thread_when_a_callback_ends_the_fit() -> None:
    ended = []

    def endless() -> Iterator[Any]:
        try:
            while True:
                yield X[:20], LABELS[:20]
        finally:
            ended.append(threading.current_thread().name)

    class Stop(Callback):
        def on_steps_end(self, batch: int) -> None:
            self.network.stop_at_once = True

    net = network()
    net.fit(endless, batch_size=4, callbacks=[Stop()])
    assert ended == ["fastmlp-read-ahead"]
    assert net.epoch == 0
    assert net.step > 0


def test_a_reader_sees_the_settings_of_the_thread_that_fits() -> None:
    seen = []

    def source() -> Iterator[Any]:
        seen.append(np.geterr()["over"])
        yield X, LABELS

    with np.errstate(over="print"):
        network().fit(source, batch_size=10)
    assert seen == ["print"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer with a signal")
def test_ctrl_c_while_the_source_waits() -> None:
    released, before = threading.Event(), signal.getsignal(signal.SIGALRM)

    def source() -> Iterator[Any]:
        yield X, LABELS
        released.wait(20)
        yield X, LABELS

    def stop(*_: Any) -> None:
        released.set()  # so that the thread ends
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    net = network()
    try:
        with pytest.raises(KeyboardInterrupt):
            net.fit(source, batch_size=10)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert net.epoch == 0


def test_a_thread_that_cannot_be_ended_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmlp._data.read_ahead.CLOSE_SECONDS", 0.01)
    waiting = threading.Event()

    def source() -> Iterator[Any]:
        yield 1
        waiting.wait(20)

    items = ReadAhead(source(), 2)
    assert next(items) == 1
    items.close()
    assert list(items) == []
    waiting.set()
    for thread in readers():
        thread.join()


def test_no_more_is_read_than_was_asked_for() -> None:
    read: list[int] = []
    items = ReadAhead((read.append(number) or number for number in range(100)), 3)  # type: ignore[func-returns-value]
    for taken in range(4):
        deadline = time.monotonic() + 10
        while len(read) < taken + 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(read) == taken + 3
        assert next(items) == taken
    items.close()
    with contextlib.suppress(StopIteration):
        next(items)
        raise AssertionError


@pytest.mark.parametrize(("prefetch", "error"), [(-1, ValueError), (0.5, TypeError), (None, TypeError)])
def test_prefetch_must_be_a_whole_number(prefetch: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="prefetch must be"):
        network().fit(chunks, prefetch=prefetch)


def test_arrays_are_read_by_no_thread() -> None:
    network().fit(X, LABELS, prefetch=3, callbacks=[NoReader()])


class NoReader(Callback):
    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        assert not readers()
