"""Which threads may be used now: what is known to kill, hang or slow a process is avoided here, in one place.

- GNU OpenMP kills a forked child at its first parallel region: after a fork from a process that had threads, all is
  serial.
- Numba's workqueue layer aborts when two threads enter it: it is used from the main thread alone, with no other there.
  What is left is a thread that C code starts, and that enters Python and a parallel function, within that very call.
- The number of threads that the user has set is put back after every call.
- Numba's functions on threads take a lock that all forked processes share, and that one which is killed may keep; so
  what they do is done here without, once the threads are there.

The layer itself is Numba's choice and is never set for the process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

import numba
from numba.np.ufunc import parallel

from fastmlp.kernels.host.interrupts import HeldSignals

_forked = False


def _after_fork() -> None:
    global _forked
    _forked = _forked or bool(parallel._is_initialized)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def layer() -> str:
    """The threading layer: "omp", "tbb", "workqueue", or "none" where none loads."""
    try:
        if not parallel._is_initialized:
            with HeldSignals():
                parallel._launch_threads()
        return str(numba.threading_layer())
    except (ImportError, ValueError):
        return "none"


def available(wanted: int | None = None) -> int:
    """How many threads a parallel kernel may have now, at most `wanted`; 1 means: call the serial one."""
    if wanted == 1 or _forked:
        return 1
    kind = layer()
    if kind == "none" or (kind == "workqueue" and not _alone()):
        return 1
    return int(parallel._get_num_threads()) if wanted is None else min(wanted, int(parallel.NUM_THREADS))


def _alone() -> bool:
    """Whether this is the main thread, and no other, not even one that `threading` did not start, runs Python."""
    return len(sys._current_frames()) == 1 and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def limited_to(count: int) -> Iterator[None]:
    """Run parallel kernels with that many threads, at most as many as are `available`, then put the user's number back.

    Numba keeps the number for each thread apart.
    """
    with HeldSignals():
        before = parallel._get_num_threads()
        try:
            parallel._set_num_threads(count)
            yield
        finally:
            parallel._set_num_threads(before)
