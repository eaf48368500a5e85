"""Fits and predictions large enough for threads, which tests of threads and forks run in separate processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np

from fastmlp import Network
from fastmlp._engine.thread_tuner import ThreadTuner
from fastmlp.kernels.host import threads as guard

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 64)).astype(np.float32)
LABELS = rng.integers(0, 8, 300)
BATCH = 150
"""A step takes 4 MFLOP and a prediction 2.5, both more than the limit below which one thread is used."""

used: list[int] = []
"""The number of threads of each call of a parallel kernel."""


def use_threads_wherever_possible() -> None:
    """Use threads for all work, if they are available. Add the threads of each parallel call to `used`."""
    limited_to = guard.limited_to

    @contextlib.contextmanager
    def noted(count: int) -> Iterator[None]:
        used.append(count)
        with limited_to(count):
            yield

    guard.limited_to = noted
    ThreadTuner.parallel = lambda self: self.max_threads > 1  # type: ignore[method-assign]


@numba.njit(parallel=True)
def another_librarys_sum(values: Any) -> float:
    """Return a sum, computed in parallel as by another library. It is compiled at the first call."""
    found = 0.0
    for i in numba.prange(len(values)):
        found += values[i]
    return found


def fresh(**options: Any) -> Network:
    return Network([64, 64, 8], output="softmax", seed=0, **options)


def fitted(network: Network) -> Network:
    network.fit(X, LABELS, epochs=2, batch_size=BATCH)
    return network


def trained(**options: Any) -> Network:
    return fitted(fresh(**options))


def digest(network: Network) -> str:
    """Return the digest of the weights and predictions of a network."""
    weights = b"".join(w.tobytes() + b.tobytes() for w, b in network.get_weights() if b is not None)
    return hashlib.sha256(weights + network.predict(X).tobytes()).hexdigest()


def trained_digest(_: Any = None) -> str:
    return digest(trained())


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Return the results of `work(number)` in `count` threads that start together; an exception replaces its result."""
    gate, found = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        gate.wait()
        try:
            found[number] = work(number)
        except BaseException as error:
            found[number] = error

    workers = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found


def in_child(work: Callable[[], Any], seconds: int = 40) -> str:
    """Return the result of `work()` in a forked child as text, or "hung" if its alarm ends it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGALRM:
        return "hung"
    return said if status == 0 else f"ended by {status} {said}"
