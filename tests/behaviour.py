"""What the tests of behaviour share: tiny networks, their bits, and Python in a process of its own."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp import Callback, Dense, Network
from fastmlp.kernels.host import code_cache
from fastmlp.kernels.host.annotations import structure_of
from fastmlp.kernels.tables import State

ROOT = Path(fastmlp.__file__).resolve().parent.parent
TIME_LIMIT = 120  # seconds a subprocess may take; a cold start takes about 6
PATIENCE = 4  # a machine may be so many times slower, or busier, than limits of time expect: they are for what hangs


Tried = Callable[[str, int], None]
"""The fixture `tried`: counts cases under what they are of."""


def small_network(**options: Any) -> Network:
    """3-6-5-3 with dropout and penalties, so that every kind of state takes part."""
    layers: list[int | Dense] = [3, Dense(6, "tanh", dropout=0.2, l2=1e-3), Dense(5, l1=1e-4), Dense(3, "softmax")]
    return Network(layers, **{"seed": 7, **options})


def small_data(rows: int = 41) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """X (rows, 3) and labels of three classes."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, 3)).astype(np.float32), rng.integers(0, 3, rows)


def bits(network: Network) -> dict[str, bytes]:
    """Weights, slots and counters, byte for byte."""
    state = network.__getstate__()
    counters = structure_of(State).from_buffer_copy(state["state"])
    done = (counters.seed, counters.epoch, counters.batch, counters.step)  # the rest describes an epoch under way
    return {"weights": state["weights"].tobytes(), "slots": state["slots"].tobytes(), "counters": repr(done).encode()}


def overflowing(optimizer: Any) -> tuple[Network, Any, Any]:
    """A network and rows whose last step has a finite loss and a gradient too large for float32."""
    network = Network([2, 1], optimizer=optimizer, seed=0)
    network.set_weights([([[0.5], [1e-3]], [0.0])])
    return network, np.array([[1, 0], [2, 0], [3, 0], [0, 1e21]], np.float32), np.array([1.0, 2.0, 2.0, 0.0])


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Interruption(Callback):
    """Ends a fit after that many steps, as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def everything(network: Network) -> dict[str, Any]:
    """All that a bad call must leave alone."""
    state = network.__getstate__()
    return {
        **bits(network),
        "state": state["state"],
        "history": repr(state["history"]),
        "architecture": state["architecture"],
        "stop_training": network.stop_training,
        "outputs": network.predict(small_data(5)[0]).tobytes(),
    }


# Coverage has a lock of its own: a process that is forked while another thread holds it, or in which an exception comes
# meanwhile, waits for it for ever. Such processes run unmeasured.
UNMEASURED = dict.fromkeys(("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"))


def environment(**variables: str | None) -> dict[str, str]:
    """This process's environment, with fastmlp, these rooms and the cache that is in use, and changes; None deletes."""
    here = Path(__file__).parent
    paths = [str(ROOT), str(here), str(here / "reliability"), *filter(None, [os.environ.get("PYTHONPATH")])]
    merged: dict[str, str | None] = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "FASTMLP_CACHE_DIR": str(code_cache.directory().parent),
        **variables,
    }
    return {name: value for name, value in merged.items() if value is not None}


def start_python(code: str, *options: str, talks: bool = False, **variables: str | None) -> subprocess.Popen[str]:
    """A process that runs the code; its `options` come before `-c`. One that `talks` waits for lines from us."""
    return subprocess.Popen(
        [sys.executable, *options, "-c", code],
        stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = TIME_LIMIT) -> tuple[str, str]:
    """What it wrote to its outputs; it must end well and in time."""
    limit = seconds * PATIENCE
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        end_group(process)
        out, err = process.communicate()
        raise AssertionError(f"did not end within {limit:g} s\n{out}\n{err}") from None
    assert process.returncode == 0, f"exit status {process.returncode}\n{out}\n{err}"
    return out, err


def end_group(process: subprocess.Popen[str]) -> None:
    """End the process and those that it forked: who waits for its outputs waits for theirs too."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def run_python(code: str, *options: str, seconds: float = TIME_LIMIT, **variables: str | None) -> tuple[str, str]:
    """Run the code in a process of its own, for so long at most; returns its outputs."""
    return finish(start_python(code, *options, **variables), seconds)
