"""TimeLimit: a fit ends in time, and the next one continues with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from behaviour import bits, small_network
from recording import STEPS, fitted

from fastmlp import Callback, EarlyStopping, LambdaCallback, TimeLimit
from fastmlp.callbacks import time_limit


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a clock that shows `now` until it is changed."""
    found = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=lambda: found.now))
    return found


def taking(clock: SimpleNamespace, event: str, seconds: float) -> Callback:
    """Return a callback that lets an event take a number of seconds."""

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
def test_the_fit_ends_with_the_epoch_or_a_second_after_the_limit(
    event: str, seconds: float, limit: float, step: int, clock: SimpleNamespace
) -> None:
    callback = TimeLimit(limit)
    network = fitted(taking(clock, event, seconds), callback, epochs=4)
    assert network.step == step
    assert callback.over == (step < 4 * STEPS)
    if network.epoch < 4:
        fitted(network=network, epochs=4 - network.epoch)
    assert bits(network) == bits(fitted(epochs=4))


def test_each_fit_has_the_whole_time(clock: SimpleNamespace) -> None:
    callback, network = TimeLimit(2.0), small_network()
    for fits in range(1, 4):
        fitted(taking(clock, "on_epoch_end", 1.0), callback, network=network, epochs=9)
        assert (network.epoch, callback.over) == (2 * fits, True)
    fitted(callback, network=network, epochs=1)
    assert not callback.over


def test_early_stopping_restores_the_best_weights_after_the_limit(clock: SimpleNamespace) -> None:
    stopping = EarlyStopping("loss", min_delta=1e9)  # the first epoch stays the best
    slow = taking(clock, "on_train_batch_end", 1.0)
    network = fitted(slow, stopping, TimeLimit(9.0), epochs=4)
    assert network.step == 10
    assert bits(network)["weights"] == bits(fitted(epochs=1))["weights"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TimeLimit(-1), ValueError, "seconds must be at least 0 and finite, got -1"),
        (lambda: TimeLimit("1 h"), TypeError, "seconds must be a number, got '1 h'"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
