"""Callbacks: when they are called, what they cost, how they end a fit, and each of those that there are."""

from __future__ import annotations

import copy
import csv
import math
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from behaviour import Terminal, bits, everything, small_data, small_network, start_python
from test_fit import overflowing

import fastmlp
from fastmlp import (
    SGD,
    Adam,
    Callback,
    CosineDecay,
    CSVLogger,
    Dense,
    EarlyStopping,
    GradientMonitor,
    LambdaCallback,
    ModelCheckpoint,
    Network,
    NonFiniteLossError,
    ProgressBar,
    ReduceLROnPlateau,
    TimeLimit,
)
from fastmlp._engine.step_runner import StepRunner
from fastmlp.activations import ACTIVATIONS
from fastmlp.callbacks import time_limit
from fastmlp.reference import Network as Reference
from fastmlp.reference.activations import formula_of

X, LABELS = small_data()
BATCH, STEPS = 8, 6  # steps of an epoch
EVENTS = ("on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_steps_end", "on_epoch_end", "on_train_end")


def fitted(*callbacks: Callback, epochs: int = 3, network: Network | None = None, **options: Any) -> Network:
    network = network or small_network()
    network.fit(X, LABELS, epochs=epochs, batch_size=BATCH, callbacks=callbacks, **options)
    return network


def recorder(name: str, heard: list[Any], *events: str) -> LambdaCallback:
    """Writes down these events, all of them if none is named."""

    def note(event: str) -> Callable[..., None]:
        return lambda *arguments: heard.append((name, event, *arguments[:1]))

    return LambdaCallback(**{event: note(event) for event in events or EVENTS})


class Do(Callback):
    """Does something at one call of one event, counted from 0."""

    def __init__(self, event: str, count: int, action: Callable[[Network], Any]) -> None:
        self.left = count

        def called(*_: Any) -> None:
            self.left -= 1
            if self.left == -1:
                action(self.network)

        self.inner = LambdaCallback(**{event: called})
        self.every_steps = self.inner.every_steps

    def on_train_begin(self) -> None:
        self.inner.on_train_begin()

    def on_train_end(self) -> None:
        self.inner.on_train_end()

    def on_epoch_begin(self, epoch: int) -> None:
        self.inner.on_epoch_begin(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.inner.on_epoch_end(epoch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.inner.on_train_batch_end(batch, logs)

    def on_steps_end(self, batch: int) -> None:
        self.inner.on_steps_end(batch)


def setting(name: str, value: Any) -> Callable[[Network], None]:
    return lambda network: setattr(network, name, value)


def interrupt(network: Network) -> None:
    raise KeyboardInterrupt


# Order -----------------------------------------------------------------------------------------------------------


def test_every_event_is_told_to_all_before_the_next() -> None:
    heard: list[Any] = []
    fitted(recorder("a", heard), recorder("b", heard), epochs=2)
    expected: list[Any] = [("on_train_begin",)]
    for epoch in range(2):
        steps = [(event, batch) for batch in range(STEPS) for event in ("on_train_batch_end", "on_steps_end")]
        expected += [("on_epoch_begin", epoch), *steps, ("on_epoch_end", epoch)]
    expected.append(("on_train_end",))
    assert heard == [(name, *event) for event in expected for name in "ab"]


def test_the_end_of_steps_is_told_in_order_and_at_the_end_of_each_epoch() -> None:
    heard: list[Any] = []
    fitted(recorder("a", heard, "on_epoch_begin", "on_steps_end", "on_epoch_end"), epochs=4)
    assert [event[1:] for event in heard if event[1] != "on_steps_end"] == [
        (event, epoch) for epoch in range(4) for event in ("on_epoch_begin", "on_epoch_end")
    ]
    batches: list[int] = []
    for _, event, number in heard:
        if event == "on_steps_end":
            batches.append(number)
        elif event == "on_epoch_end":
            assert batches == sorted(set(batches))
            assert batches[-1] == STEPS - 1
            batches.clear()


def test_an_epoch_is_in_the_history_when_its_end_is_told_and_not_before() -> None:
    seen: list[Any] = []

    class Watch(Callback):
        def on_steps_end(self, batch: int) -> None:
            assert self.network.history is not None
            seen.append(("steps", len(self.network.history.epoch)))

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            assert self.network.history is not None
            seen.append((self.network.history.epoch[-1], self.network.history.history["val_loss"][-1]))
            assert seen[-1] == (epoch, logs["val_loss"])

    fitted(Watch(), epochs=2, validation_split=0.2)
    assert [entry for entry in dict.fromkeys(seen) if entry[0] == "steps"] == [("steps", 0), ("steps", 1)]


def test_an_interrupted_epoch_is_finished_without_another_beginning() -> None:
    network, heard = small_network(), list[Any]()
    with pytest.raises(KeyboardInterrupt):
        fitted(Do("on_train_batch_end", STEPS + 2, interrupt), network=network)
    fitted(recorder("a", heard, "on_epoch_begin", "on_epoch_end"), network=network, epochs=2)
    assert [event[1:] for event in heard] == [("on_epoch_end", 1), ("on_epoch_begin", 2), ("on_epoch_end", 2)]


# Cost ------------------------------------------------------------------------------------------------------------

WITHOUT_BATCHES: dict[str, Callable[[Path], Callback]] = {
    "CSVLogger": lambda folder: CSVLogger(folder / "log.csv"),
    "Callback": lambda _: Callback(),
    "EarlyStopping": lambda _: EarlyStopping("loss", restore_best_weights=False),
    "GradientMonitor": lambda _: GradientMonitor(X, LABELS),
    "LambdaCallback": lambda _: recorder("", [], *(event for event in EVENTS if event != "on_train_batch_end")),
    "ModelCheckpoint": lambda folder: ModelCheckpoint(folder / "model"),
    "ProgressBar": lambda _: ProgressBar(),
    "ReduceLROnPlateau": lambda _: ReduceLROnPlateau("loss"),
    "TimeLimit": lambda _: TimeLimit(3600),
}


def calls_of_the_trainer(monkeypatch: pytest.MonkeyPatch, *callbacks: Callback) -> tuple[int, Network]:
    calls, run = list[int](), StepRunner.run

    def counted(trainer: StepRunner, most: int) -> Any:
        calls.append(most)
        return run(trainer, most)

    with monkeypatch.context() as patch:
        patch.setattr(StepRunner, "run", counted)
        patch.setattr(
            "fastmlp._engine.thread_tuner.ThreadTuner.call_seconds", lambda self: 1e9
        )  # as long as they may be
        network = fitted(*callbacks, epochs=5)
    return len(calls), network


@pytest.mark.parametrize("name", WITHOUT_BATCHES)
def test_who_wants_no_batches_costs_no_call_and_no_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, network = calls_of_the_trainer(monkeypatch, WITHOUT_BATCHES[name](tmp_path))
    assert calls == 5  # one an epoch
    assert bits(network) == bits(fitted(epochs=5))


@pytest.mark.parametrize("name", WITHOUT_BATCHES)
def test_a_copy_does_the_same(name: str, tmp_path: Path) -> None:
    """As scikit-learn copies what an estimator is given."""
    network = fitted(copy.deepcopy(WITHOUT_BATCHES[name](tmp_path)))
    assert bits(network) == bits(fitted())
    assert len(list(tmp_path.iterdir())) == (name in ("CSVLogger", "ModelCheckpoint"))


@pytest.mark.parametrize(("every", "calls"), [(1, 5 * STEPS), (STEPS, 5), (0, 5), (4, 5 + 5)])
def test_who_wants_batches_costs_a_call_for_each(every: int, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    callback = recorder("a", heard, "on_train_batch_end")
    callback.every_steps = every
    assert calls_of_the_trainer(monkeypatch, callback)[0] == calls
    assert len(heard) == (5 * STEPS // every if every else 0)


def test_every_callback_is_public_and_its_cost_is_tested() -> None:
    names = set(fastmlp.callbacks.__all__)
    assert names == set(WITHOUT_BATCHES)
    assert all(getattr(fastmlp, name) is getattr(fastmlp.callbacks, name) for name in names)


# Stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "count", "epochs"),
    [
        ("on_train_begin", 0, 0),
        ("on_epoch_begin", 0, 1),
        ("on_epoch_begin", 1, 2),
        ("on_train_batch_end", STEPS + 2, 2),
        ("on_train_batch_end", 2 * STEPS - 1, 2),
        ("on_steps_end", 0, 1),
        ("on_epoch_end", 1, 2),
        ("on_train_end", 0, 4),
    ],
)
def test_a_fit_that_is_stopped_ends_after_the_epoch_and_all_hear_of_it(event: str, count: int, epochs: int) -> None:
    heard: list[Any] = []
    stop = Do(event, count, setting("stop_training", True))
    network = fitted(recorder("a", heard), stop, recorder("b", heard), epochs=4)
    assert network.epoch == epochs
    assert [entry[1:] for entry in heard if entry[0] == "a"] == [entry[1:] for entry in heard if entry[0] == "b"]
    assert [entry[1] for entry in heard].count("on_epoch_end") == 2 * epochs
    assert heard[-2:] == [("a", "on_train_end"), ("b", "on_train_end")]
    assert network.history is not None
    assert network.history.epoch == list(range(epochs))
    assert bits(network) == bits(fitted(epochs=epochs) if epochs else small_network())
    assert fitted(network=network, epochs=2).epoch == epochs + 2


@pytest.mark.parametrize(
    ("event", "count", "step"),
    [
        ("on_train_begin", 0, 0),
        ("on_train_batch_end", 0, 1),
        ("on_train_batch_end", STEPS - 1, STEPS),
        ("on_train_batch_end", STEPS + 2, STEPS + 3),
        ("on_steps_end", STEPS + 3, STEPS + 4),
        ("on_epoch_end", 1, 2 * STEPS),
    ],
)
def test_a_fit_that_is_stopped_at_once_ends_within_the_epoch_and_goes_on_to_the_same_bits(
    event: str, count: int, step: int
) -> None:
    heard: list[Any] = []
    stop = Do(event, count, setting("stop_at_once", True))
    network = fitted(stop, recorder("b", heard), epochs=4)
    assert (network.step, network.epoch) == (step, step // STEPS)
    assert heard[-1] == ("b", "on_train_end")
    assert network.history is not None
    assert network.history.epoch == list(range(step // STEPS))
    fitted(network=network, epochs=4 - network.epoch)
    assert bits(network) == bits(fitted(epochs=4))


def test_weights_that_overflowed_are_found_in_a_fit_that_is_stopped_at_once() -> None:
    network, rows, y = overflowing(SGD(0.01))
    before = bits(network)
    rows, y = rows[[0, 3, 1]], y[[0, 3, 1]]  # the second step makes infinity
    stop = Do("on_train_batch_end", 1, setting("stop_at_once", True))
    with pytest.raises(NonFiniteLossError):
        network.fit(rows, y, batch_size=1, shuffle=False, callbacks=[stop])
    assert bits(network) == before


def test_several_may_stop_a_fit_and_each_says_why() -> None:
    stopping, limit = EarlyStopping("loss", patience=1, min_delta=1e9), TimeLimit(0)
    network = fitted(stopping, limit, epochs=9)
    assert network.epoch == 1
    assert limit.over
    assert stopping.stopped_epoch is None
    assert stopping.best_weights is None  # given back at the end


# Exceptions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ZeroDivisionError("a callback's own"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("event", EVENTS)
def test_an_exception_ends_the_fit_at_once_and_nothing_is_lost(
    event: str, count: int, error: BaseException, tmp_path: Path
) -> None:
    count = 0 if event in ("on_train_begin", "on_train_end") else count

    def fail(network: Network) -> None:
        raise error

    heard: list[Any] = []
    network, callbacks = small_network(), list[Callback]()
    for place in ("before", "behind"):
        callbacks += [ModelCheckpoint(tmp_path / place), CSVLogger(tmp_path / f"{place}.csv"), recorder(place, heard)]
    callbacks.insert(3, Do(event, count, fail))
    with pytest.raises(type(error)):
        fitted(*callbacks, network=network, epochs=3)

    assert heard[-1][:2] == ("before", event)
    told = [[entry[1:] for entry in heard if entry[0] == place] for place in ("before", "behind")]
    assert told[0][:-1] == told[1]
    assert [entry[1] for entry in heard].count("on_train_end") == (event == "on_train_end")

    assert network.history is not None
    assert network.history.epoch == list(range(network.epoch))
    assert all(math.isfinite(loss) for loss in network.history.history.get("loss", []))
    at_end = event == "on_epoch_end"
    for place, epochs in (("before", network.epoch), ("behind", network.epoch - at_end)):
        path = tmp_path / place
        assert (Network.load(path).epoch if path.exists() else 0) == epochs
        assert [int(row["epoch"]) for row in rows_of(tmp_path / f"{place}.csv")] == list(range(epochs))
    if network.epoch < 3:
        fitted(network=network, epochs=3 - network.epoch)
    assert bits(network) == bits(fitted(epochs=3))


# ReduceLROnPlateau -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "values", "rates"),
    [
        ({"patience": 2}, [3, 2, 2, 2, 2, 2], [1, 1, 1, 0.5, 0.5, 0.25]),
        ({"patience": 1}, [1, 0.9, 0.9, 0.8, 0.9], [1, 1, 0.5, 0.5, 0.25]),
        ({"patience": 1, "min_delta": 0.25}, [3, 2.75, 2.5], [1, 0.5, 0.5]),
        ({"patience": 1}, [1, 1 - 5e-5], [1, 0.5]),
        ({"patience": 1, "min_delta": 0}, [1, 1 - 5e-5], [1, 1]),
        ({"patience": 1, "cooldown": 1}, [1, 1, 1], [1, 0.5, 0.25]),
        ({"patience": 1, "cooldown": 3}, [1, 1, 1, 1, 1], [1, 0.5, 0.5, 0.5, 0.25]),
        ({"patience": 2, "cooldown": 2}, [1, 1, 1, 1, 1, 1], [1, 1, 0.5, 0.5, 0.5, 0.25]),
        ({"patience": 1, "cooldown": 3}, [1, 1, 0.5, 0.6, 0.6], [1, 0.5, 0.5, 0.5, 0.25]),
        ({"patience": 1, "min_lr": 0.375}, [1, 1, 1, 1], [1, 0.5, 0.375, 0.375]),
        ({"patience": 1, "min_lr": 2}, [1, 1, 1], [1, 1, 1]),
        ({"patience": 1, "mode": "max"}, [1, 2, 2, 3, 1], [1, 1, 0.5, 0.5, 0.25]),
        ({"patience": 1}, [math.nan, 2, math.nan, 1], [1, 1, 0.5, 0.5]),
    ],
)
def test_the_rate_is_lowered_where_there_is_no_improvement(
    options: dict[str, Any], values: list[float], rates: list[float]
) -> None:
    callback = ReduceLROnPlateau(factor=0.5, **options)
    callback.network, callback.entries = small_network(optimizer=SGD(1.0)), ("loss", "val_loss")
    callback.on_train_begin()
    found = []
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {"val_loss": value})
        found.append(callback.network.learning_rate)
    assert found == rates
    changes = {epoch: rate for epoch, rate in enumerate(rates) if epoch and rate != rates[epoch - 1]}
    assert callback.reductions == changes


def test_a_fit_goes_on_at_the_lower_rate_and_forgets_what_was_best() -> None:
    callback = ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=1e9)
    one, other = fitted(callback, epochs=3), small_network()
    for rate in (0.001, 0.001, 0.0005):
        other.learning_rate = rate
        fitted(network=other, epochs=1)
    assert callback.reductions == {1: 0.0005, 2: 0.00025}
    assert bits(one) == bits(other)
    fitted(callback, network=one, epochs=1)
    assert (callback.reductions, one.learning_rate) == ({}, 0.00025)


def test_a_checkpoint_behind_it_holds_the_lower_rate(tmp_path: Path) -> None:
    lower = ReduceLROnPlateau("loss", patience=1, min_delta=1e9)
    network = fitted(lower, ModelCheckpoint(tmp_path / "model"), epochs=2)
    assert Network.load(tmp_path / "model").learning_rate == network.learning_rate == 0.0001


@pytest.mark.parametrize("verbose", [True, False])
def test_a_reduction_is_printed_if_that_is_asked_for(verbose: bool, capsys: pytest.CaptureFixture[str]) -> None:
    fitted(ReduceLROnPlateau("loss", patience=1, min_delta=1e9, verbose=verbose), epochs=2)
    line = "epoch 2: learning rate 0.001 -> 0.0001, loss no longer improves\n"
    assert capsys.readouterr().out == (line if verbose else "")


def test_in_a_terminal_a_reduction_takes_the_place_of_the_line_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "110")
    fitted(ReduceLROnPlateau("loss", patience=1, min_delta=1e9, verbose=True), epochs=3)
    lines = [line.split("\r")[-1].rstrip() for line in stream.getvalue().split("\n")]
    assert [" ".join(line.split()[:3]) for line in lines if line] == [
        "epoch 2: learning",
        "epoch 3: learning",
        "epoch 3/3 [========================]",
    ]


def test_a_terminal_that_closes_does_not_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Terminal()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stdout", stream)
        assert fitted(ReduceLROnPlateau("loss", patience=1, min_delta=1e9, verbose=True)).epoch == 3


# CSVLogger -------------------------------------------------------------------------------------------------------


def rows_of(path: Path, separator: str = ",") -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter=separator))


def check_log(path: Path, *histories: Any, separator: str = ",") -> None:
    """The file holds these histories, to the bit."""
    found = rows_of(path, separator)
    assert [int(row["epoch"]) for row in found] == [epoch for history in histories for epoch in history.epoch]
    for name in histories[0].history:
        values = [value for history in histories for value in history.history[name]]
        assert [float(row[name]) for row in found] == values
    assert list(found[0]) == ["epoch", *histories[0].history]


@pytest.mark.parametrize("separator", [",", ";", "\t", "."])
def test_a_log_is_the_history(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "a" / "folder" / "log.csv"
    network = fitted(CSVLogger(path, separator=separator), validation_split=0.2)
    check_log(path, network.history, separator=separator)


def test_rows_are_there_before_the_next_epoch(tmp_path: Path) -> None:
    path, seen = tmp_path / "log.csv", list[int]()
    fitted(CSVLogger(path), LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(rows_of(path)))), epochs=4)
    assert seen == [1, 2, 3, 4]


def test_a_process_that_is_killed_leaves_its_rows(tmp_path: Path) -> None:
    code = f"""
import os, signal
from behaviour import small_data, small_network
from fastmlp import CSVLogger, LambdaCallback
X, labels = small_data()
kill = LambdaCallback(on_epoch_begin=lambda epoch: epoch == 3 and os.kill(os.getpid(), {int(signal.SIGTERM)}))
small_network().fit(X, labels, epochs=9, batch_size=8, callbacks=[CSVLogger({str(tmp_path / "log.csv")!r}), kill])
"""
    process = start_python(code)
    process.communicate()
    assert process.returncode == -signal.SIGTERM
    check_log(tmp_path / "log.csv", fitted(epochs=3).history)


def test_rows_are_appended_behind_those_of_other_fits(tmp_path: Path) -> None:
    path, network = tmp_path / "log.csv", small_network()
    path.touch()
    logger = CSVLogger(path, append=True)
    histories = [
        network.fit(X, LABELS, epochs=2, callbacks=[log]) for log in (logger, logger, CSVLogger(path, append=True))
    ]
    check_log(path, *histories)


def test_a_new_fit_replaces_the_file_with_its_first_row(tmp_path: Path) -> None:
    path, logger = tmp_path / "log.csv", CSVLogger(tmp_path / "log.csv")
    fitted(logger, epochs=3)
    old = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        fitted(logger, Do("on_train_batch_end", 2, interrupt))
    assert path.read_bytes() == old
    check_log(path, fitted(logger, epochs=2, validation_split=0.2).history)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"epoch,loss\n0,0.5\n", "epoch, loss"),
        (b"epoch;loss;val_loss;val_accuracy\n0;1;1;1\n", "epoch;loss;val_loss;val_accuracy"),
        (b"a diary\n", "a diary"),
        (b"\n\n", ""),
        (b"\xff\xfe\x00", "�"),
    ],
)
def test_a_file_of_other_columns_is_left_alone_before_anything_is_learned(
    content: bytes, shown: str, tmp_path: Path
) -> None:
    path, network = tmp_path / "log.csv", small_network()
    path.write_bytes(content)
    before = everything(network)
    message = "this fit has epoch, loss, val_loss, val_accuracy; give another filename, or append=False"
    with pytest.raises(ValueError, match=message) as info:
        fitted(CSVLogger(path, append=True), network=network, validation_split=0.2)
    assert f"which has the columns {shown}" in str(info.value)
    assert path.read_bytes() == content
    assert {**everything(network), "state": 0, "history": 0} == {**before, "state": 0, "history": 0}


@pytest.mark.parametrize(
    "start", [b"\xef\xbb\xbfepoch,loss\r\n7,0.5\r\n", b"epoch,loss\n6,0.25\n7,0.", b"epoch,loss\n7,0.5"]
)
def test_a_file_that_was_edited_or_cut_short_keeps_all_that_it_has(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(start)
    network = fitted(CSVLogger(path, append=True), epochs=2)
    text = path.read_bytes()
    assert text.startswith(start)
    losses = network.history.history["loss"]  # type: ignore[union-attr]
    assert text.splitlines()[-2:] == [f"{epoch},{loss!r}".encode() for epoch, loss in enumerate(losses)]
    assert len(text.splitlines()) == len(start.splitlines()) + 2


def test_what_cannot_be_written_is_said_before_anything_is_learned(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in (tmp_path, tmp_path / "file" / "log.csv"):
        network = small_network()
        with pytest.raises(OSError, match=str(tmp_path)):
            fitted(CSVLogger(name), network=network)
        assert network.step == 0


# TimeLimit -------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that goes only where `now` is changed."""
    found = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=lambda: found.now))
    return found


def taking(clock: SimpleNamespace, event: str, seconds: float) -> Callback:
    """Every call of the event takes so long."""

    def pass_time(*_: Any) -> None:
        clock.now += seconds

    return LambdaCallback(**{event: pass_time})


@pytest.mark.parametrize(
    ("event", "seconds", "limit", "step"),
    [
        ("on_train_batch_end", 0.125, 0.0, STEPS),
        ("on_train_batch_end", 0.125, 0.25, STEPS),
        ("on_train_batch_end", 0.125, 0.75, STEPS),
        ("on_train_batch_end", 0.125, 0.875, 2 * STEPS),
        ("on_train_batch_end", 0.125, 100.0, 4 * STEPS),
        ("on_train_batch_end", 0.5, 2.5, STEPS),
        ("on_train_batch_end", 0.5, 1.5, 5),
        ("on_train_batch_end", 1.0, 2.5, 4),
        ("on_train_batch_end", 1000.0, 2.5, 1),
        ("on_epoch_end", 1.0, 2.0, 2 * STEPS),
        ("on_epoch_begin", 1.0, 1.5, 2 * STEPS),
        ("on_epoch_begin", 1.0, 2.0, 2 * STEPS),
        ("on_train_end", 1000.0, 1.0, 4 * STEPS),
    ],
)
def test_a_fit_ends_with_its_time_after_the_epoch_or_a_second_later(
    event: str, seconds: float, limit: float, step: int, clock: SimpleNamespace
) -> None:
    callback = TimeLimit(limit)
    network = fitted(taking(clock, event, seconds), callback, epochs=4)
    assert network.step == step
    assert callback.over == (step < 4 * STEPS)
    if network.epoch < 4:
        fitted(network=network, epochs=4 - network.epoch)
    assert bits(network) == bits(fitted(epochs=4))


def test_each_fit_has_its_time(clock: SimpleNamespace) -> None:
    callback, network = TimeLimit(2.0), small_network()
    for fits in range(1, 4):
        fitted(taking(clock, "on_epoch_end", 1.0), callback, network=network, epochs=9)
        assert (network.epoch, callback.over) == (2 * fits, True)
    fitted(callback, network=network, epochs=1)
    assert not callback.over


def test_the_best_weights_are_given_back_where_the_time_is_over(clock: SimpleNamespace) -> None:
    stopping = EarlyStopping("loss", min_delta=1e9)  # the first epoch stays the best
    slow = taking(clock, "on_train_batch_end", 1.0)
    network = fitted(slow, stopping, TimeLimit(9.0), epochs=4)
    assert network.step == 10
    assert bits(network)["weights"] == bits(fitted(epochs=1))["weights"]


# ProgressBar -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [False, 0, "auto", True, 1])
@pytest.mark.parametrize("bars", [1, 2])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_progress_bar_shows_one_line_wherever_it_is(
    verbose: Any, bars: int, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(Terminal, "isatty", lambda self: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "110")
    fitted(*(ProgressBar() for _ in range(bars)), verbose=verbose, validation_split=0.2)
    said = stream.getvalue()
    assert said.count("\n") == 1
    last = said.rstrip().split("\r")[-1]
    assert last.startswith("epoch 3/3 [========================] loss ")
    assert " val_loss " in last
    assert "samples/s" in last
    assert [line.split()[1] for line in said.split("\r") if line.startswith("epoch")].count("3/3") == 1


def test_a_progress_bar_does_not_hide_that_verbose_is_wrong() -> None:
    with pytest.raises(ValueError, match="verbose must be 'auto', True or False, got 'loud'"):
        fitted(ProgressBar(), verbose="loud")


# LambdaCallback --------------------------------------------------------------------------------------------------


def test_functions_get_what_the_methods_get() -> None:
    heard: list[Any] = []

    def note(event: str) -> Callable[..., None]:
        return lambda *arguments: heard.append((event, *arguments))

    network = fitted(LambdaCallback(**{event: note(event) for event in EVENTS}), epochs=1)
    assert network.history is not None
    loss = network.history.history["loss"][0]
    assert [entry for entry in heard if "batch" not in entry[0] and "steps" not in entry[0]] == [
        ("on_train_begin",), ("on_epoch_begin", 0), ("on_epoch_end", 0, {"loss": loss}), ("on_train_end",),
    ]  # fmt: skip
    batches = [entry for entry in heard if "batch" in entry[0]]
    assert [entry[1] for entry in batches] == list(range(STEPS))
    assert all(list(entry[2]) == ["loss"] for entry in batches)
    assert [entry[1] for entry in heard if "steps" in entry[0]] == list(range(STEPS))


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"on_train_begin": lambda logs: None}, r"must accept the arguments \(\), got a function of \(logs\)"),
        (
            {"on_epoch_end": lambda epoch: None},
            r"must accept the arguments \(epoch, logs\), got a function of \(epoch\)",
        ),
        ({"on_train_batch_end": lambda: None}, r"on_train_batch_end must accept the arguments \(batch, logs\), got"),
        ({"on_steps_end": lambda batch, logs: None}, r"on_steps_end must accept the arguments \(batch\), got"),
        ({"on_epoch_end": "print"}, "on_epoch_end must be a function, got 'print'"),
        ({"on_batch_end": print}, "unexpected keyword argument 'on_batch_end'"),
    ],
)
def test_a_function_of_other_arguments_is_refused_at_once(functions: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        LambdaCallback(**functions)


def test_a_function_without_a_signature_is_taken() -> None:
    LambdaCallback(on_epoch_end=max)


# GradientMonitor -------------------------------------------------------------------------------------------------


def norm(array: Any) -> float:
    return math.sqrt(float((np.asarray(array, np.float64) ** 2).sum()))


def test_it_measures_every_layer_after_each_epoch() -> None:
    layers: list[int | Dense] = [3, Dense(6, "tanh", dropout=0.2, l2=1e-3), Dense(5, l1=1e-4), Dense(3, "softmax")]
    network, monitor, twins = Network(layers, dtype="float64", seed=7), GradientMonitor(X, LABELS), list[Any]()
    twin = LambdaCallback(on_epoch_end=lambda epoch, logs: twins.append(Reference.like(network)))
    fitted(twin, monitor, network=network)
    assert monitor.epoch == [0, 1, 2]
    assert monitor.layers == ["1: 3-6 tanh", "2: 6-5 relu", "3: 5-3 softmax"]
    assert list(monitor.history) == ["weight_norm", "gradient_norm", "activation_rms", "dead", "saturated"]
    for place, reference in enumerate(twins):
        outputs = [*reference.hidden_activations(X), reference.predict(X)]
        expected = {
            "weight_norm": [norm(W) for W, _ in reference.get_weights()],
            "gradient_norm": [norm(dW) for dW, _ in reference.loss_and_gradients(X, LABELS)[1]],
            "activation_rms": [norm(A) / math.sqrt(A.size) for A in outputs],
            "dead": [math.nan, sum(not unit.any() for unit in outputs[1].T) / 5, math.nan],
        }
        for name, values in expected.items():
            assert monitor.history[name][place] == pytest.approx(values, rel=1e-10, nan_ok=True)
        assert math.isfinite(monitor.history["saturated"][place][0])
        assert all(math.isnan(share) for share in monitor.history["saturated"][place][1:])
    assert all(type(value) is float for entry in monitor.history.values() for values in entry for value in values)


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_a_unit_that_no_row_excites_is_dead(activation: str) -> None:
    network = Network([3, Dense(4, activation), 3], output="softmax", optimizer=SGD(0.0), seed=0)
    (W, _), last = network.get_weights()
    network.set_weights([(W, np.array([-1e3, 1e3, -1e3, 0.0])), last])
    monitor = GradientMonitor(X, LABELS)
    fitted(monitor, network=network, epochs=1)
    assert monitor.history["dead"][0] == [0.5, pytest.approx(math.nan, nan_ok=True)]
    dead = [not dW[:, unit].any() for dW in [network.loss_and_gradients(X, LABELS)[1][0][0]] for unit in (0, 2)]
    assert dead == [True, True]


@pytest.mark.parametrize(("name", "scale"), [("sigmoid", 12), ("tanh", 6)])
def test_saturated_is_where_the_slope_is_less_than_6_percent_of_the_steepest(name: str, scale: int) -> None:
    network = Network([3, Dense(40, name), 3], output="softmax", optimizer=SGD(0.0), dtype="float64", seed=0)
    (W, b), last = network.get_weights()
    network.set_weights([(scale * W, b), last])
    monitor = GradientMonitor(X, LABELS)
    fitted(monitor, network=network, epochs=1)
    Z, A = X @ network.get_weights()[0][0], network.hidden_activations(X)[0]
    formula = formula_of(ACTIVATIONS[name])
    slopes = formula.backward(np.ones_like(Z), Z, A)
    steepest = formula.backward(1.0, 0.0, formula.forward(np.zeros(1))).item()
    share = np.mean(slopes < (1 - 0.97**2) * steepest)
    assert 0.1 < share < 0.9
    assert monitor.history["saturated"][0][0] == share


def test_a_hard_sigmoid_is_saturated_where_it_is_flat() -> None:
    network = Network([3, Dense(2, "hard_sigmoid"), 3], output="softmax", optimizer=SGD(0.0), seed=0)
    (W, _), last = network.get_weights()
    network.set_weights([(W, np.array([0.0, 1e3])), last])
    monitor = GradientMonitor(X * 0.1, LABELS)
    fitted(monitor, network=network, epochs=1)
    assert monitor.history["saturated"][0][0] == 0.5


def test_gradients_vanish_in_a_deep_sigmoid_network() -> None:
    network = Network([3, *(Dense(16, "sigmoid") for _ in range(6)), 3], output="softmax", seed=0)
    monitor = GradientMonitor(X, LABELS)
    fitted(monitor, network=network, epochs=1)
    norms = monitor.history["gradient_norm"][0]
    assert norms == sorted(norms)
    assert norms[0] < 1e-3 * norms[-1]


def test_it_measures_the_epochs_that_it_is_asked_for_and_begins_each_fit_anew() -> None:
    monitor = GradientMonitor(X[:5], LABELS[:5], every=3)
    network = fitted(monitor, epochs=7)
    assert monitor.epoch == [2, 5]
    assert {len(values) for values in monitor.history.values()} == {2}
    fitted(monitor, network=network, epochs=2)
    assert monitor.epoch == [8]


def test_norms_that_float32_cannot_hold_the_squares_of_are_right() -> None:
    network = Network([2, 2], optimizer=SGD(0.0), seed=0)
    network.set_weights([([[3e25, 0], [0, 4e25]], [0, 0])])
    monitor = GradientMonitor([[1e-20, 0.0], [0.0, 1e-20]], np.zeros((2, 2)))
    network.fit([[1e-20, 0.0]], [[0.0, 0.0]], callbacks=[monitor])
    assert monitor.history["weight_norm"][0] == [pytest.approx(5e25, rel=1e-6)]


@pytest.mark.parametrize(
    ("X_given", "y_given", "error", "message"),
    [
        (X[:, :2], LABELS, ValueError, "GradientMonitor: X must have"),
        (X[:4], LABELS[:5], ValueError, "GradientMonitor: X and y must have the same number of rows"),
        (X[:0], LABELS[:0], ValueError, "GradientMonitor: X must have at least one row"),
        (X, None, (TypeError, ValueError), "GradientMonitor: y"),
        (None, None, (TypeError, ValueError), "GradientMonitor: X"),
    ],
)
def test_rows_that_do_not_suit_are_refused_before_anything_is_learned(
    X_given: Any, y_given: Any, error: Any, message: str
) -> None:
    network = small_network()
    with pytest.raises(error, match=message):
        fitted(GradientMonitor(X_given, y_given), network=network)
    assert network.step == 0


# Refusing --------------------------------------------------------------------------------------------------------

WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: ReduceLROnPlateau(factor=1.0), ValueError, "factor must be at least 0 and less than 1, got 1.0"),
    (lambda: ReduceLROnPlateau(factor=0), ValueError, "factor must be greater than 0 and less than 1, got 0"),
    (lambda: ReduceLROnPlateau(patience=0), ValueError, "patience must be at least 1, got 0"),
    (lambda: ReduceLROnPlateau(cooldown=-1), ValueError, "cooldown must be at least 0, got -1"),
    (lambda: ReduceLROnPlateau(min_lr=-1e-4), ValueError, "min_lr must be at least 0"),
    (lambda: ReduceLROnPlateau(min_delta="small"), TypeError, "min_delta must be a number, got 'small'"),  # type: ignore[arg-type]
    (lambda: ReduceLROnPlateau(mode="down"), ValueError, "mode must be 'auto', 'min' or 'max', got 'down'"),  # type: ignore[arg-type]
    (lambda: ReduceLROnPlateau(0.1), TypeError, "monitor must be the name of a loss or metric"),  # type: ignore[arg-type]
    (lambda: CSVLogger(""), ValueError, "filename must be the path of a file, got ''"),
    (lambda: CSVLogger("a.csv", separator=", "), ValueError, "separator must be a single character .*, got ', '"),
    (lambda: CSVLogger("a.csv", separator="\n"), ValueError, "separator must be a single character"),
    (lambda: CSVLogger("a.csv", append="yes"), TypeError, "append must be True or False, got 'yes'"),  # type: ignore[arg-type]
    (lambda: TimeLimit(-1), ValueError, "seconds must be at least 0 and finite, got -1"),
    (lambda: TimeLimit("1 h"), TypeError, "seconds must be a number, got '1 h'"),  # type: ignore[arg-type]
    (lambda: GradientMonitor(X, LABELS, every=0), ValueError, "every must be at least 1, got 0"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_wrong_arguments_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("callback", "optimizer", "message"),
    [
        (
            ReduceLROnPlateau(),
            Adam(),
            "ReduceLROnPlateau monitors 'val_loss', but this fit has only loss; give fit valid",
        ),
        (ReduceLROnPlateau("los"), Adam(), "ReduceLROnPlateau monitors 'los'"),
        (
            ReduceLROnPlateau("loss"),
            Adam(CosineDecay(0.1, 100)),
            r"a constant learning rate, but the rate of this network follows CosineDecay\(.*; give its optimizer a",
        ),
    ],
)
def test_what_does_not_suit_the_fit_is_refused_before_anything_is_learned(
    callback: Callback, optimizer: Any, message: str
) -> None:
    network = small_network(optimizer=optimizer)
    with pytest.raises(ValueError, match=message):
        fitted(callback, network=network)
    assert network.step == 0
