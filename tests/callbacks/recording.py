"""Helpers of the tests of callbacks: a fit of six steps an epoch, and callbacks that record or act."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from behaviour import small_data, small_network

from fastmlp import Callback, LambdaCallback, Network

X, LABELS = small_data()
BATCH, STEPS = 8, 6  # rows of a batch, steps of an epoch
EVENTS = ("on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_steps_end", "on_epoch_end", "on_train_end")


def fitted(*callbacks: Callback, epochs: int = 3, network: Network | None = None, **options: Any) -> Network:
    """Fit a small network with these callbacks, and return it."""
    network = network or small_network()
    network.fit(X, LABELS, epochs=epochs, batch_size=BATCH, callbacks=callbacks, **options)
    return network


def recorder(name: str, received: list[Any], *events: str) -> LambdaCallback:
    """Record these events as (name, event, first argument), all events if none is named."""

    def record(event: str) -> Callable[..., None]:
        return lambda *arguments: received.append((name, event, *arguments[:1]))

    return LambdaCallback(**{event: record(event) for event in events or EVENTS})


class ActAt(Callback):
    """Call `action` with the network at call number `count` of an event, counted from 0."""

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
    """Return an action that sets an attribute of the network."""
    return lambda network: setattr(network, name, value)


def interrupt(network: Network) -> None:
    raise KeyboardInterrupt


def log_rows(path: Path, separator: str = ",") -> list[dict[str, str]]:
    """Return the rows of a CSV log, none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter=separator))
