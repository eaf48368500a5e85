"""Activities with small networks that a program may repeat ten thousand times, and the memory that they leave."""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numba.core import event

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


class MallocInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later."""

    _NAMES = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in _NAMES]


def allocated() -> int:
    """Return the bytes that malloc has given out in this process and not got back.

    The resident memory also counts what allocators keep for later, in steps of up to 1 MB at moments that depend on all
    that happened before. These bytes are exact.
    """
    measure = ctypes.CDLL(None).mallinfo2
    measure.restype = MallocInfo
    info = measure()
    return int(info.uordblks + info.hblkhd)


def held() -> tuple[int, int, int, int]:
    """Return the numbers of Python's memory blocks, open files, threads and networks, which grow with a leak."""
    networks = sum(isinstance(thing, Network) for thing in gc.get_objects())
    threads = threading.active_count()
    return sys.getallocatedblocks(), len(os.listdir("/proc/self/fd")), threads, networks


def growth_per_fit(rounds: int, spans: int = 3) -> tuple[float, float]:
    """Return by how many bytes of malloc and blocks of Python a fit grows, over rounds of all activities.

    The median of some spans, each of so many rounds: a leak grows in every span, but a table of Python that doubles, or
    a list of blocks that it keeps for later, grows in one.
    """

    def run(rounds: int) -> tuple[int, int]:
        for _ in range(rounds):
            for turn in ACTIVITIES.values():
                turn()
        gc.collect()
        return allocated(), sys.getallocatedblocks()

    states = [run(4), *(run(rounds) for _ in range(spans))]  # caches fill up in the first four rounds
    fits = rounds * len(ACTIVITIES)
    growths = [[(then - first) / fits for first, then in pairwise(numbers)] for numbers in zip(*states, strict=True)]
    return median(growths[0]), median(growths[1])


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


def registrations(count: int, anew: bool) -> tuple[float, int]:
    """Return the growth in bytes of malloc a registration, and how many functions Numba compiled.

    Each registration is of new functions, or of the same two.
    """

    def functions(factor: float) -> tuple[Any, Any]:
        return lambda z: factor * z, lambda z: factor + 0.0 * z

    def register(number: int) -> None:
        register_activation("own", *(functions(1.0 + number / 100) if anew else same))
        Network([4, 8, 1], activation="own", seed=0).fit(X, X[:, 0], verbose=False)
        gc.collect()

    same = functions(1.0)
    for number in range(-2, 0):
        register(number)
    before = allocated()
    with event.install_recorder("numba:compile") as recorder:
        for number in range(count):
            register(number)
    return (allocated() - before) / count, len(recorder.buffer)
