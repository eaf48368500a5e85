"""Every callback: the order of events, their cost, stopping a fit, and exceptions."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from behaviour import bits, overflowing, small_network
from recording import EVENTS, LABELS, STEPS, ActAt, X, fitted, interrupt, log_rows, recorder, setting

import fastmlp
from fastmlp import (
    SGD,
    Callback,
    CSVLogger,
    EarlyStopping,
    GradientMonitor,
    ModelCheckpoint,
    Network,
    NonFiniteLossError,
    OptunaPruning,
    ProgressBar,
    RayReport,
    ReduceLROnPlateau,
    TimeLimit,
)
from fastmlp._engine.step_runner import StepRunner

# Order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["on_epoch_ends", "on_batch_end", "on_test_end", "on_train_batch_begin"])
def test_a_method_named_almost_as_an_event_is_told(name: str) -> None:
    with pytest.warns(UserWarning, match=f"Own.{name} is not called: .* The events are: on_train_begin, "):
        type("Own", (Callback,), {name: lambda self: None})


def test_other_methods_may_begin_as_events_do() -> None:
    assert type("Own", (Callback,), {"on_improvement": lambda self: None})


def test_all_callbacks_receive_an_event_before_the_next_event() -> None:
    received: list[Any] = []
    fitted(recorder("a", received), recorder("b", received), epochs=2)
    expected: list[Any] = [("on_train_begin",)]
    for epoch in range(2):
        steps = [(event, batch) for batch in range(STEPS) for event in ("on_train_batch_end", "on_steps_end")]
        expected += [("on_epoch_begin", epoch), *steps, ("on_epoch_end", epoch)]
    expected.append(("on_train_end",))
    assert received == [(name, *event) for event in expected for name in "ab"]


def test_on_steps_end_is_called_in_order_and_at_the_end_of_each_epoch() -> None:
    received: list[Any] = []
    fitted(recorder("a", received, "on_epoch_begin", "on_steps_end", "on_epoch_end"), epochs=4)
    assert [event[1:] for event in received if event[1] != "on_steps_end"] == [
        (event, epoch) for epoch in range(4) for event in ("on_epoch_begin", "on_epoch_end")
    ]
    batches: list[int] = []
    for _, event, number in received:
        if event == "on_steps_end":
            batches.append(number)
        elif event == "on_epoch_end":
            assert batches == sorted(set(batches))
            assert batches[-1] == STEPS - 1
            batches.clear()


def test_an_epoch_enters_the_history_just_before_on_epoch_end() -> None:
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


def test_an_interrupted_epoch_is_finished_without_on_epoch_begin() -> None:
    network, received = small_network(), list[Any]()
    with pytest.raises(KeyboardInterrupt):
        fitted(ActAt("on_train_batch_end", STEPS + 2, interrupt), network=network)
    fitted(recorder("a", received, "on_epoch_begin", "on_epoch_end"), network=network, epochs=2)
    assert [event[1:] for event in received] == [("on_epoch_end", 1), ("on_epoch_begin", 2), ("on_epoch_end", 2)]


# Cost ------------------------------------------------------------------------------------------------------------

CALLBACKS: dict[str, Callable[[Path], Callback]] = {
    "CSVLogger": lambda folder: CSVLogger(folder / "log.csv"),
    "Callback": lambda _: Callback(),
    "EarlyStopping": lambda _: EarlyStopping("loss", restore_best_weights=False),
    "GradientMonitor": lambda _: GradientMonitor(X, LABELS),
    "LambdaCallback": lambda _: recorder("", [], *(event for event in EVENTS if event != "on_train_batch_end")),
    "ModelCheckpoint": lambda folder: ModelCheckpoint(folder / "model"),
    "OptunaPruning": lambda _: OptunaPruning(pytest.importorskip("optuna").create_study().ask(), "loss"),
    "ProgressBar": lambda _: ProgressBar(),
    "RayReport": lambda _: RayReport(),
    "ReduceLROnPlateau": lambda _: ReduceLROnPlateau("loss"),
    "TimeLimit": lambda _: TimeLimit(3600),
}


def count_kernel_calls(monkeypatch: pytest.MonkeyPatch, *callbacks: Callback) -> tuple[int, Network]:
    calls, run = list[int](), StepRunner.run

    def counted(trainer: StepRunner, most: int) -> Any:
        calls.append(most)
        return run(trainer, most)

    with monkeypatch.context() as patch:
        patch.setattr(StepRunner, "run", counted)
        patch.setattr("fastmlp._engine.thread_tuner.ThreadTuner.call_seconds", lambda self: 1e9)  # no limit
        network = fitted(*callbacks, epochs=5)
    return len(calls), network


@pytest.mark.usefixtures("tune")
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_without_batches_cost_no_kernel_call_and_change_no_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, network = count_kernel_calls(monkeypatch, CALLBACKS[name](tmp_path))
    assert calls == 5  # one for each epoch
    assert bits(network) == bits(fitted(epochs=5))


@pytest.mark.usefixtures("tune")
@pytest.mark.parametrize("name", CALLBACKS)
def test_a_deep_copy_behaves_as_the_original(name: str, tmp_path: Path) -> None:
    """scikit-learn deep-copies the parameters of an estimator."""
    network = fitted(copy.deepcopy(CALLBACKS[name](tmp_path)))
    assert bits(network) == bits(fitted())
    assert len(list(tmp_path.iterdir())) == (name in ("CSVLogger", "ModelCheckpoint"))


@pytest.mark.parametrize(("every", "calls"), [(1, 5 * STEPS), (STEPS, 5), (0, 5), (4, 5 + 5)])
def test_each_selected_batch_costs_one_kernel_call(every: int, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[Any] = []
    callback = recorder("a", received, "on_train_batch_end")
    callback.every_steps = every
    assert count_kernel_calls(monkeypatch, callback)[0] == calls
    assert len(received) == (5 * STEPS // every if every else 0)


def test_every_callback_is_public_and_its_cost_is_tested() -> None:
    names = set(fastmlp.callbacks.__all__)
    assert {name for name in names if issubclass(getattr(fastmlp, name), Callback)} == set(CALLBACKS)
    assert all(getattr(fastmlp, name) is getattr(fastmlp.callbacks, name) for name in names)


def test_overrides_tells_the_methods_of_the_class_from_those_of_callback() -> None:
    class Counter(Callback):
        def on_steps_end(self, batch: int) -> None:
            pass

    class Derived(Counter):
        pass

    for callback in (Counter(), Derived()):
        assert [event for event in EVENTS if callback._overrides(event)] == ["on_steps_end"]
    assert not any(Callback()._overrides(event) for event in EVENTS)


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
def test_stop_training_ends_the_fit_after_the_epoch_for_all_callbacks(event: str, count: int, epochs: int) -> None:
    received: list[Any] = []
    stop = ActAt(event, count, setting("stop_training", True))
    network = fitted(recorder("a", received), stop, recorder("b", received), epochs=4)
    assert network.epoch == epochs
    assert [entry[1:] for entry in received if entry[0] == "a"] == [entry[1:] for entry in received if entry[0] == "b"]
    assert [entry[1] for entry in received].count("on_epoch_end") == 2 * epochs
    assert received[-2:] == [("a", "on_train_end"), ("b", "on_train_end")]
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
def test_stop_at_once_ends_the_fit_within_the_epoch_and_the_next_fit_gives_the_same_bits(
    event: str, count: int, step: int
) -> None:
    received: list[Any] = []
    stop = ActAt(event, count, setting("stop_at_once", True))
    network = fitted(stop, recorder("b", received), epochs=4)
    assert (network.step, network.epoch) == (step, step // STEPS)
    assert received[-1] == ("b", "on_train_end")
    assert network.history is not None
    assert network.history.epoch == list(range(step // STEPS))
    fitted(network=network, epochs=4 - network.epoch)
    assert bits(network) == bits(fitted(epochs=4))


def test_overflowed_weights_are_detected_after_stop_at_once() -> None:
    network, rows, y = overflowing(SGD(0.01))
    before = bits(network)
    rows, y = rows[[0, 3, 1]], y[[0, 3, 1]]  # the second step makes infinity
    stop = ActAt("on_train_batch_end", 1, setting("stop_at_once", True))
    with pytest.raises(NonFiniteLossError):
        network.fit(rows, y, batch_size=1, shuffle=False, callbacks=[stop])
    assert bits(network) == before


def test_each_of_several_callbacks_reports_whether_it_stopped_the_fit() -> None:
    stopping, limit = EarlyStopping("loss", patience=1, min_delta=1e9), TimeLimit(0)
    network = fitted(stopping, limit, epochs=9)
    assert network.epoch == 1
    assert limit.over
    assert stopping.stopped_epoch is None
    assert stopping.best_weights is None  # they were restored at the end


# Exceptions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ZeroDivisionError("a callback's own"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("event", EVENTS)
def test_an_exception_ends_the_fit_at_once_and_loses_no_finished_epoch(
    event: str, count: int, error: BaseException, tmp_path: Path
) -> None:
    count = 0 if event in ("on_train_begin", "on_train_end") else count

    def fail(network: Network) -> None:
        raise error

    received: list[Any] = []
    network, callbacks = small_network(), list[Callback]()
    for place in ("before", "behind"):
        callbacks += [
            ModelCheckpoint(tmp_path / place),
            CSVLogger(tmp_path / f"{place}.csv"),
            recorder(place, received),
        ]
    callbacks.insert(3, ActAt(event, count, fail))
    with pytest.raises(type(error)):
        fitted(*callbacks, network=network, epochs=3)

    assert received[-1][:2] == ("before", event)
    events = [[entry[1:] for entry in received if entry[0] == place] for place in ("before", "behind")]
    assert events[0][:-1] == events[1]
    assert [entry[1] for entry in received].count("on_train_end") == (event == "on_train_end")

    if event == "on_train_begin":
        assert network.history is None  # as before the fit
    else:
        assert network.history is not None
        assert network.history.epoch == list(range(network.epoch))
        assert all(math.isfinite(loss) for loss in network.history.history.get("loss", []))
    at_end = event == "on_epoch_end"
    for place, epochs in (("before", network.epoch), ("behind", network.epoch - at_end)):
        path = tmp_path / place
        assert (Network.load(path).epoch if path.exists() else 0) == epochs
        assert [int(row["epoch"]) for row in log_rows(tmp_path / f"{place}.csv")] == list(range(epochs))
    if network.epoch < 3:
        fitted(network=network, epochs=3 - network.epoch)
    assert bits(network) == bits(fitted(epochs=3))
