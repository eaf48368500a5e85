"""ReduceLROnPlateau: when it lowers the rate, and what it prints."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from behaviour import Terminal, bits, small_network
from recording import fitted

from fastmlp import SGD, Adam, Callback, CosineDecay, ModelCheckpoint, Network, ReduceLROnPlateau


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
    ],
)
def test_the_rate_is_lowered_without_improvement(
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


def test_the_next_fit_uses_the_lower_rate_and_resets_the_best_value() -> None:
    callback = ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=1e9)
    one, other = fitted(callback, epochs=3), small_network()
    for rate in (0.001, 0.001, 0.0005):
        other.learning_rate = rate
        fitted(network=other, epochs=1)
    assert callback.reductions == {1: 0.0005, 2: 0.00025}
    assert bits(one) == bits(other)
    fitted(callback, network=one, epochs=1)
    assert (callback.reductions, one.learning_rate) == ({}, 0.00025)


def test_a_later_checkpoint_saves_the_lower_rate(tmp_path: Path) -> None:
    lower = ReduceLROnPlateau("loss", patience=1, min_delta=1e9)
    network = fitted(lower, ModelCheckpoint(tmp_path / "model"), epochs=2)
    assert Network.load(tmp_path / "model").learning_rate == network.learning_rate == 0.0001


@pytest.mark.parametrize("verbose", [True, False])
def test_verbose_prints_a_reduction(verbose: bool, capsys: pytest.CaptureFixture[str]) -> None:
    fitted(ReduceLROnPlateau("loss", patience=1, min_delta=1e9, verbose=verbose), epochs=2)
    line = "epoch 2: learning rate 0.001 -> 0.0001, loss no longer improves\n"
    assert capsys.readouterr().out == (line if verbose else "")


def test_in_a_terminal_the_message_replaces_the_progress_line(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_message_to_a_closed_terminal_does_not_end_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Terminal()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stdout", stream)
        assert fitted(ReduceLROnPlateau("loss", patience=1, min_delta=1e9, verbose=True)).epoch == 3


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ReduceLROnPlateau(factor=1.0), ValueError, "factor must be at least 0 and less than 1, got 1.0"),
        (lambda: ReduceLROnPlateau(factor=0), ValueError, "factor must be greater than 0 and less than 1, got 0"),
        (lambda: ReduceLROnPlateau(patience=0), ValueError, "patience must be at least 1, got 0"),
        (lambda: ReduceLROnPlateau(cooldown=-1), ValueError, "cooldown must be at least 0, got -1"),
        (lambda: ReduceLROnPlateau(min_lr=-1e-4), ValueError, "min_lr must be at least 0"),
        (lambda: ReduceLROnPlateau(min_delta="small"), TypeError, "min_delta must be a number, got 'small'"),  # type: ignore[arg-type]
        (lambda: ReduceLROnPlateau(mode="down"), ValueError, "mode must be 'auto', 'min' or 'max', got 'down'"),  # type: ignore[arg-type]
        (lambda: ReduceLROnPlateau(0.1), TypeError, "monitor must be the name of a loss or metric"),  # type: ignore[arg-type]
    ],
)
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
def test_unknown_entries_and_schedules_are_refused_before_the_first_step(
    callback: Callback, optimizer: Any, message: str
) -> None:
    network = small_network(optimizer=optimizer)
    with pytest.raises(ValueError, match=message):
        fitted(callback, network=network)
    assert network.step == 0
