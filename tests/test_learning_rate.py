"""The learning rate of a network can be read and set at any time, and is kept in files and copies."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import bits, everything, small_data, small_network
from cases import LEARNERS, largest_error
from test_fit import at_event

from fastmlp import SGD, Adam, Callback, CosineDecay, ModelCheckpoint, Network, StepDecay
from fastmlp.optimizers import Optimizer
from fastmlp.reference import Network as Reference

X, LABELS = small_data()
BATCH, STEPS = 8, 6  # steps of an epoch
BOTH = pytest.mark.parametrize("kind", [Network, Reference])


def fitted(network: Network, epochs: int = 1, **options: Any) -> Network:
    network.fit(X, LABELS, epochs=epochs, batch_size=BATCH, **options)
    return network


def with_rate(network: Network, rate: Any) -> Network:
    network.learning_rate = rate
    return network


# Reading ---------------------------------------------------------------------------------------------------------


@BOTH
def test_without_a_schedule_it_is_the_number_of_the_optimizer(kind: Any) -> None:
    network = kind([3, 2], optimizer=SGD(0.25))
    assert network.learning_rate == 0.25
    assert type(network.learning_rate) is float


@BOTH
def test_with_a_schedule_it_is_the_rate_of_the_next_step(kind: Any) -> None:
    network = kind([3, 2], optimizer=SGD(StepDecay(1.0, 2, 0.5)))
    seen = []
    for _ in range(5):
        seen.append(network.learning_rate)
        network.train_on_batch(X[:4], X[:4, :2])
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25]


# Setting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.003, CosineDecay(0.02, 40)], ids=["number", "schedule"])
@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
def test_set_between_fits_it_trains_like_a_network_made_with_it(optimizer: Optimizer, rate: Any) -> None:
    one = fitted(small_network(optimizer=optimizer))
    other = small_network(optimizer=dataclasses.replace(optimizer, learning_rate=rate))
    other.__setstate__({**one.__getstate__(), "architecture": other.architecture})
    one.learning_rate = rate
    assert one.architecture == other.architecture
    assert fitted(one, 3).history.history == fitted(other, 3).history.history  # type: ignore[union-attr]
    assert bits(one) == bits(other)


@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
def test_setting_it_leaves_weights_slots_and_counters(optimizer: Optimizer) -> None:
    network = fitted(small_network(optimizer=optimizer))
    before = bits(network)
    network.learning_rate = 0.5
    assert bits(network) == before
    assert network.learning_rate == 0.5


@pytest.mark.parametrize(
    ("event", "count", "step"),
    [
        ("on_train_begin", 0, 0),
        ("on_train_batch_end", 0, 1),
        ("on_train_batch_end", 3, 4),
        ("on_train_batch_end", STEPS - 1, STEPS),
        ("on_epoch_end", 0, STEPS),
        ("on_epoch_begin", 1, STEPS),
        ("on_epoch_end", 1, 2 * STEPS),
    ],
)
def test_a_callback_changes_it_for_the_very_next_step(event: str, count: int, step: int) -> None:
    change = at_event(event, count, lambda network: with_rate(network, 0.005))
    one, other = fitted(small_network(), 3, callbacks=[change]), small_network()
    if step:
        with pytest.raises(KeyboardInterrupt):
            fitted(other, 3, callbacks=[at_event("on_train_batch_end", step - 1, interrupt)])
    fitted(with_rate(other, 0.005), 3 - other.epoch)
    assert bits(one) == bits(other)


def interrupt(network: Network) -> None:
    raise KeyboardInterrupt


@BOTH
def test_steps_done_count_for_a_schedule(kind: Any) -> None:
    network = kind([3, 2], optimizer=SGD(0.1))
    network.train_on_batch(X[:4], X[:4, :2])
    network.learning_rate = StepDecay(1.0, 2, 0.5)
    network.train_on_batch(X[:4], X[:4, :2])
    assert network.learning_rate == 0.5


@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
def test_compiled_network_and_reference_follow_it_alike(optimizer: Optimizer) -> None:
    networks = [
        kind([3, 6, 3], output="softmax", optimizer=optimizer, dtype="float64", seed=3) for kind in (Network, Reference)
    ]
    for network in networks:
        for rate in (0.02, 0.001, CosineDecay(0.01, 60)):
            network.fit(X, LABELS, batch_size=BATCH)
            network.learning_rate = rate
        network.fit(X, LABELS, batch_size=BATCH)
    assert largest_error(networks[0].get_weights(), networks[1].get_weights()) <= 1e-9  # as in other tests


# Keeping ---------------------------------------------------------------------------------------------------------


def through_a_file(network: Network, folder: Path) -> Network:
    network.save(folder / "model.safetensors")
    return Network.load(folder / "model.safetensors")


KEPT: dict[str, Callable[[Network, Path], Network]] = {
    "file": through_a_file,
    "pickle": lambda network, _: pickle.loads(pickle.dumps(network)),
    "copy": lambda network, _: copy.deepcopy(network),
}


@pytest.mark.parametrize("rate", [0.003, CosineDecay(0.02, 40)], ids=["number", "schedule"])
@pytest.mark.parametrize("how", KEPT)
def test_it_is_kept(how: str, rate: Any, tmp_path: Path) -> None:
    network = with_rate(fitted(small_network()), rate)
    again = KEPT[how](network, tmp_path)
    assert again.architecture == network.architecture
    assert repr(rate) in repr(again)
    assert again.learning_rate == network.learning_rate
    assert bits(fitted(again, 2)) == bits(fitted(network, 2))


def test_reinitialize_keeps_it() -> None:
    network = with_rate(fitted(small_network()), 0.003)
    network.reinitialize(99)
    assert bits(fitted(network)) == bits(fitted(small_network(optimizer=Adam(0.003), seed=99)))


def test_the_best_of_a_training_is_known_after_its_rate_has_changed(tmp_path: Path) -> None:
    class Values(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            logs["loss"] = [1.0, 2.0, 1.5, 0.5][epoch]

    checkpoint = ModelCheckpoint(tmp_path / "best", "loss", save_best_only=True)
    network = fitted(small_network(), 2, callbacks=[Values(), checkpoint])
    fitted(with_rate(network, 1e-4), 1, callbacks=[Values(), checkpoint])
    assert (checkpoint.best, Network.load(tmp_path / "best").epoch) == (1.0, 1)
    fitted(network, 1, callbacks=[Values(), checkpoint])
    assert (checkpoint.best, Network.load(tmp_path / "best").learning_rate) == (0.5, 1e-4)


# Refusing --------------------------------------------------------------------------------------------------------

WRONG: list[tuple[Any, type[Exception], str]] = [
    (-0.1, ValueError, "learning_rate must be at least 0 and finite, got -0.1"),
    (float("nan"), ValueError, "learning_rate must be at least 0 and finite, got nan"),
    (float("inf"), ValueError, "learning_rate must be at least 0 and finite, got inf"),
    ("fast", TypeError, "learning_rate must be a number or a schedule such as .*, got 'fast'"),
    (None, TypeError, "learning_rate must be a number or a schedule such as .*, got None"),
    (True, TypeError, "learning_rate must be a number, got True"),
    (Adam(0.1), TypeError, "learning_rate must be a number or a schedule such as .*, got Adam"),
    (np.array([0.1]), TypeError, "learning_rate must be a number or a schedule such as .*, got array"),
]


@pytest.mark.parametrize(("rate", "error", "message"), WRONG)
def test_a_wrong_one_is_refused_and_changes_nothing(rate: Any, error: type[Exception], message: str) -> None:
    network = fitted(small_network())
    before = everything(network)
    with pytest.raises(error, match=f"adam: {message}"):
        network.learning_rate = rate
    assert everything(network) == before
    reference = Reference.like(network)
    with pytest.raises(error, match=f"adam: {message}"):
        reference.learning_rate = rate
    assert reference.architecture == network.architecture
