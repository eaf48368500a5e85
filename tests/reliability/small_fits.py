"""Activities with small networks that a program may repeat ten thousand times, and the memory that they leave."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp import (
    SGD,
    Callback,
    EarlyStopping,
    ModelFormatError,
    Network,
    NonFiniteLossError,
    check_gradients,
    register_activation,
)

rng = np.random.default_rng(0)
X = rng.normal(size=(64, 4)).astype(np.float32)
LABELS = rng.integers(0, 3, 64)
FOLDER = Path(tempfile.mkdtemp())
np.save(FOLDER / "X.npy", X.astype(np.float64))
MAPPED = np.load(FOLDER / "X.npy", mmap_mode="r")

ACTIVITIES: dict[str, Callable[[], Any]] = {}


def activity(function: Callable[[], Any]) -> Callable[[], Any]:
    ACTIVITIES[function.__name__] = function
    return function


def new() -> Network:
    return Network([4, 8, 3], output="softmax", seed=0)


def fitted(**options: Any) -> Network:
    network = new()
    network.fit(X, LABELS, verbose=False, **options)
    return network


def fails(error: type[BaseException], call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    try:
        call(*arguments, **options)
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


KEPT = fitted()


@activity
def fit_a_new_network() -> Network:
    return fitted()


@activity
def fit_the_same_network() -> None:
    KEPT.fit(X, LABELS, batch_size=16, verbose=False)


@activity
def fit_with_everything() -> Network:
    stopping = EarlyStopping(patience=1)
    return fitted(epochs=2, validation_split=0.2, metrics=["f1"], sample_weight=np.ones(64), callbacks=[stopping])


@activity
def fit_chunks() -> Network:
    def chunks() -> Iterator[Any]:
        yield X[:40], LABELS[:40]
        yield X[40:], LABELS[40:]

    network = new()
    network.fit(chunks, epochs=2, batch_size=7, verbose=False)
    return network


@activity
def fit_a_mapped_file() -> Network:
    network = new()
    network.fit(MAPPED, LABELS, class_weight={0: 2.0}, verbose=False)
    return network


@activity
def train_on_batches_of_any_size() -> Network:
    network = new()
    for rows in (3, 64, 17):
        network.train_on_batch(X[:rows], LABELS[:rows])
    return network


@activity
def fit_in_a_thread_of_its_own() -> None:
    thread = threading.Thread(target=fitted)
    thread.start()
    thread.join()


@activity
def save_and_load() -> Network:
    fitted().save(FOLDER / "model.safetensors")
    return Network.load(FOLDER / "model.safetensors")


@activity
def pickle_and_copy() -> Network:
    network: Network = copy.deepcopy(pickle.loads(pickle.dumps(KEPT)))
    return copy.copy(network)


@activity
def ask_everything() -> Network:
    network = fitted()
    for rows in (1, 64, 5):
        network.predict(X[:rows])
    network.evaluate(X, LABELS)
    network.loss_and_gradients(X, LABELS)
    network.input_gradients(X[:3])
    network.hidden_activations(X)
    check_gradients(network, X[:4], LABELS[:4])
    return network


@activity
def bad_input() -> Network:
    network = new()
    fails(ValueError, network.fit, X[:, :3], LABELS)
    fails(ValueError, network.predict, np.full((2, 4), np.nan))
    fails(TypeError, network.fit, X, LABELS, epochs="many")
    return network


@activity
def a_loss_that_is_not_finite() -> Network:
    network = Network([4, 8, 1], optimizer=SGD(1e30), seed=0)
    fails(NonFiniteLossError, network.fit, X, X[:, 0] * 1e10, epochs=5, verbose=False)
    fails(NonFiniteLossError, lambda: [network.train_on_batch(X, X[:, 0] * 1e10) for _ in range(5)])
    return network


class Raising(Callback):
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        raise self.error


@activity
def a_callback_that_raises() -> Network:
    network = new()
    for error in (LookupError, KeyboardInterrupt):
        fails(error, network.fit, X, LABELS, callbacks=[Raising(error)], verbose=False)
    return network


class Fitting(Callback):
    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.network.fit(X, LABELS)


@activity
def a_fit_within_a_fit() -> Network:
    network = new()
    fails(RuntimeError, network.fit, X, LABELS, callbacks=[Fitting()], verbose=False)
    return network


@activity
def a_chunk_that_raises() -> Network:
    def chunks() -> Iterator[Any]:
        yield X[:40], LABELS[:40]
        raise LookupError

    network = new()
    fails(LookupError, network.fit, chunks, verbose=False)
    return network


@activity
def files_that_are_not_there() -> Network:
    network = new()
    (FOLDER / "broken.safetensors").write_bytes(b"\0" * 100)
    fails(ModelFormatError, Network.load, FOLDER / "broken.safetensors")
    fails(OSError, Network.load, FOLDER / "none")
    fails(OSError, network.save, FOLDER / "none" / "none")
    return network


# What is left -----------------------------------------------------------------------------------------------------


def resident() -> int:
    """Return the resident memory of this process in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held() -> tuple[int, int, int, int]:
    """Return the numbers of Python's memory blocks, open files, threads and networks, which grow with a leak."""
    networks = sum(isinstance(thing, Network) for thing in gc.get_objects())
    threads = threading.active_count()
    return sys.getallocatedblocks(), len(os.listdir("/proc/self/fd")), threads, networks


def slope(fits: int, warm_up: int) -> float:
    """Return the growth in bytes a fit, by least squares over the activities in turn, with the garbage collector on."""
    turns = [*ACTIVITIES.values()]
    found = []
    for number in range(-warm_up, fits):
        turns[number % len(turns)]()
        if number >= 0 and number % 10 == 0:
            found.append((number, resident()))
    numbers, sizes = np.transpose(found).astype(float)
    return float(np.polyfit(numbers, sizes, 1)[0])


def growth(name: str, times: int) -> list[int]:
    """Return the growth of each number after some turns of an activity, and how many objects the collector frees."""
    for _ in range(5):
        ACTIVITIES[name]()
    gc.collect()
    gc.disable()
    before = held()
    for _ in range(times):
        ACTIVITIES[name]()
    networks = held()[-1]
    garbage = gc.collect()  # which also empties the lists of objects that Python uses again
    after = (*held()[:-1], networks)
    gc.enable()
    return [*(then - first for then, first in zip(after, before, strict=True)), garbage]


def registrations(count: int, anew: bool) -> float:
    """Return the growth in bytes a registration, by least squares: of new functions each time, or of the same two."""

    def functions(factor: float) -> tuple[Any, Any]:
        return lambda z: factor * z, lambda z: factor + 0.0 * z

    same = functions(1.0)
    found = []
    for number in range(-5, count):
        register_activation("own", *(functions(1.0 + number / 100) if anew else same))
        Network([4, 8, 1], activation="own", seed=0).fit(X, X[:, 0], verbose=False)
        if number >= 0:
            found.append((number, resident()))
    numbers, sizes = np.transpose(found).astype(float)
    return float(np.polyfit(numbers, sizes, 1)[0])
