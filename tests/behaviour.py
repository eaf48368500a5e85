"""Helpers for tests of behaviour: tiny networks, their bits, and Python in a separate process."""

from __future__ import annotations

import io
import os
import pickle
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
PATIENCE = 4  # the factor of all time limits, for slow or busy machines: the limits only detect processes that hang


Tried = Callable[[str, int], None]
"""The type of the fixture `tried`, which counts the cases of a test under a description."""


def small_network(**options: Any) -> Network:
    """Return a network 3-6-5-3 with dropout and penalties, which has every kind of state."""
    layers: list[int | Dense] = [3, Dense(6, "tanh", dropout=0.2, l2=1e-3), Dense(5, l1=1e-4), Dense(3, "softmax")]
    return Network(layers, **{"seed": 7, **options})


def small_data(rows: int = 41) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return X (rows, 3) and labels of three classes."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, 3)).astype(np.float32), rng.integers(0, 3, rows)


def bits(network: Network) -> dict[str, bytes]:
    """Return the bytes of weights, slots and counters."""
    state = network.__getstate__()
    counters = structure_of(State).from_buffer_copy(state["state"])
    done = (counters.seed, counters.epoch, counters.batch, counters.step)  # the other fields describe the current epoch
    return {"weights": state["weights"].tobytes(), "slots": state["slots"].tobytes(), "counters": repr(done).encode()}


def overflowing(optimizer: Any) -> tuple[Network, Any, Any]:
    """Return a network and rows whose last step has a finite loss, and a gradient too large for float32."""
    network = Network([2, 1], optimizer=optimizer, seed=0)
    network.set_weights([([[0.5], [1e-3]], [0.0])])
    return network, np.array([[1, 0], [2, 0], [3, 0], [0, 1e21]], np.float32), np.array([1.0, 2.0, 2.0, 0.0])


class Terminal(io.StringIO):
    """A text stream that behaves like a terminal."""

    def isatty(self) -> bool:
        return True


class Interruption(Callback):
    """A callback that ends a fit after a number of steps, as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def everything(network: Network) -> dict[str, Any]:
    """Return everything that a call that fails must not change."""
    state = network.__getstate__()
    return {
        **bits(network),
        "state": state["state"],
        "history": repr(state["history"]),
        "architecture": state["architecture"],
        "names": (state["feature_names"], state["classes"]),
        "stop_training": network.stop_training,
        "outputs": network.predict(small_data(5)[0]).tobytes(),
    }


def estimator_state(model: Any) -> dict[str, bytes]:
    """Return the attributes of an estimator as bytes, of its network those of its optimizer and its counters."""
    attributes = {name: pickle.dumps(value) for name, value in vars(model).items() if name != "_compiled"}
    if "_compiled" in vars(model):
        stored = {k: v for k, v in model._compiled.network.__getstate__().items() if k not in ("history", "weights")}
        attributes["_compiled"] = pickle.dumps(stored)
    return attributes


# Coverage has its own lock. A process that is forked while another thread holds it, or in which an exception arrives
# meanwhile, would wait for ever. Such processes run without coverage.
UNMEASURED = dict.fromkeys(("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"))


def environment(**variables: str | None) -> dict[str, str]:
    """Return this process's environment with the paths of fastmlp and the tests, the current cache, and `variables`.

    The value None deletes a variable. Byte code is kept, else each of 200 processes would compile sources for 0.3 s.
    """
    here = Path(__file__).parent
    paths = [str(ROOT), str(here), str(here / "reliability"), *filter(None, [os.environ.get("PYTHONPATH")])]
    merged: dict[str, str | None] = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "FASTMLP_CACHE_DIR": str(code_cache.directory().parent),
        "PYTHONDONTWRITEBYTECODE": None,
        **variables,
    }
    return {name: value for name, value in merged.items() if value is not None}


def start_python(code: str, *options: str, talks: bool = False, **variables: str | None) -> subprocess.Popen[str]:
    """Start a Python process with `options`, which runs the code. If it `talks`, its standard input is a pipe."""
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
    """Return the standard output and error of a process, which must end within the time limit with exit status 0."""
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
    """Kill the process and its children, which may keep its output pipes open."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def run_python(code: str, *options: str, seconds: float = TIME_LIMIT, **variables: str | None) -> tuple[str, str]:
    """Run the code in a separate process with a time limit. Return its standard output and error."""
    return finish(start_python(code, *options, **variables), seconds)
