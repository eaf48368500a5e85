"""EarlyStopping: it waits for improvements, stops the fit and restores the best weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from behaviour import bits, small_data, small_network

from fastmlp import Adam, Callback, EarlyStopping

X, LABELS = small_data()
VALIDATION_X, VALIDATION_LABELS = small_data(60)
VALIDATION = (VALIDATION_X[-20:], VALIDATION_LABELS[-20:])


def epochs_until_stop(stopping: EarlyStopping, values: list[float]) -> int:
    """Return after how many values the callback stops the network, one more than there are if it does not."""
    stopping.network, stopping.entries = small_network(), ("loss", stopping.monitor)
    stopping.on_train_begin()
    for epoch, value in enumerate(values):
        if stopping.network.stop_training:
            return epoch
        stopping.on_epoch_end(epoch, {"loss": 1.0, stopping.monitor: value})
    return len(values) + (not stopping.network.stop_training)


@pytest.mark.parametrize(
    ("monitor", "options", "values", "taken", "best_epoch"),
    [
        ("val_loss", {"patience": 1}, [3, 2, 2, 1], 3, 1),
        ("val_loss", {"patience": 2}, [3, 2, 4, 3, 1], 4, 1),
        ("val_loss", {"patience": 2}, [3, 2, 4, 1, 5, 0.5], 7, 5),
        ("val_loss", {"patience": 2, "min_delta": 0.5}, [3, 2.75, 2.5, 0], 3, 0),
        ("val_loss", {"patience": 2, "min_delta": 0.5}, [3, 2.75, 2.25, 2.0, 2.0], 5, 2),
        ("loss", {"patience": 1}, [1, 2], 2, 0),
        ("val_accuracy", {"patience": 2}, [0.5, 0.7, 0.6, 0.7, 0.9], 4, 1),
        ("val_accuracy", {"patience": 1}, [0.5, 0.6, 0.7], 4, 2),
        ("accuracy", {"patience": 1}, [0.5, 0.6], 3, 1),
        ("val_r2", {"patience": 1, "min_delta": 0.25}, [-1, 0, 0.125, 1], 3, 1),
        ("val_mean_absolute_error", {"patience": 1}, [3, 2, 2.5], 3, 1),
    ],
)
def test_the_fit_stops_after_patience_epochs_without_improvement(
    monitor: str, options: dict[str, Any], values: list[float], taken: int, best_epoch: int
) -> None:
    stopping = EarlyStopping(monitor, **options)
    assert epochs_until_stop(stopping, values) == taken
    assert stopping.best_epoch == best_epoch
    assert stopping.best == values[best_epoch]
    assert stopping.stopped_epoch == (taken - 1 if taken <= len(values) else None)


class Snapshots(Callback):
    """Record the weights after each epoch."""

    def __init__(self) -> None:
        self.weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.weights.append([(w.tobytes(), b.tobytes()) for w, b in self.network.get_weights() if b is not None])


@pytest.mark.parametrize("restore", [True, False])
def test_stopping_ends_the_fit_and_restores_the_best_weights(restore: bool) -> None:
    network = small_network(optimizer=Adam(0.1))
    stopping, snapshots = EarlyStopping(patience=3, restore_best_weights=restore), Snapshots()
    history = network.fit(X, LABELS, epochs=200, validation_data=VALIDATION, callbacks=[stopping, snapshots])
    losses = history.history["val_loss"]
    assert stopping.best_epoch == int(np.argmin(losses))
    assert stopping.best == min(losses)
    assert len(losses) == stopping.best_epoch + 4 == network.epoch < 200
    assert stopping.stopped_epoch == network.epoch - 1
    found = [(w.tobytes(), b.tobytes()) for w, b in network.get_weights() if b is not None]
    assert found == snapshots.weights[stopping.best_epoch if restore else -1]
    if restore:
        assert network.evaluate(*VALIDATION)["loss"] == min(losses)


def test_the_best_weights_are_restored_after_all_epochs_too() -> None:
    network = small_network(optimizer=Adam(0.1))
    stopping = EarlyStopping(patience=100)
    history = network.fit(X, LABELS, epochs=30, validation_data=VALIDATION, callbacks=[stopping])
    assert stopping.stopped_epoch is None
    assert history.history["val_loss"][-1] > min(history.history["val_loss"])
    assert network.evaluate(*VALIDATION)["loss"] == min(history.history["val_loss"])


def test_each_fit_resets_the_best_epoch() -> None:
    network = small_network(optimizer=Adam(0.1))
    stopping = EarlyStopping(patience=2)
    network.fit(X, LABELS, epochs=100, validation_data=VALIDATION, callbacks=[stopping])
    begun = network.epoch
    network.fit(X, LABELS, epochs=100, validation_data=VALIDATION, callbacks=[stopping])
    assert stopping.best_epoch is not None
    assert stopping.best_epoch >= begun


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        (
            "val_loss",
            "EarlyStopping monitors 'val_loss', but this fit has only loss; give fit validation_data or",
        ),
        ("acuracy", "EarlyStopping monitors 'acuracy', but this fit has only loss"),
    ],
)
def test_unknown_entries_are_refused_before_the_first_step(monitor: str, message: str) -> None:
    network = small_network()
    with pytest.raises(ValueError, match=message):
        network.fit(X, LABELS, epochs=3, callbacks=[EarlyStopping(monitor)])
    assert network.step == 0


def test_a_missing_metric_is_named_with_the_argument_that_adds_it() -> None:
    with pytest.raises(ValueError, match=r"monitors 'val_f1', but this fit has only .*; give fit metrics=\['f1'\]"):
        small_network().fit(X, LABELS, validation_data=VALIDATION, callbacks=[EarlyStopping("val_f1")])


def test_refusing_an_entry_changes_no_bit() -> None:
    network = small_network()
    before = bits(network)
    for stopping, message in (
        (EarlyStopping(), "monitors 'val_loss', but this fit has only loss; give fit validation_data"),
        (EarlyStopping("val_los"), "monitors 'val_los'"),
        (EarlyStopping("accuracy"), "monitors 'accuracy', but this fit has only loss; did you mean 'val_accuracy'"),
    ):
        with pytest.raises(ValueError, match=message):
            network.fit(X, LABELS, callbacks=[stopping])
    with pytest.raises(ValueError, match=r"this fit has only loss, val_loss, val_accuracy; did you mean .val_r2.\?"):
        network.fit(X, LABELS, validation_split=0.2, callbacks=[EarlyStopping("r2")])
    assert bits(network) == before
