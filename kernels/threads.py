"""Which threads may be used now: what is known to kill, hang or slow a process is avoided here, in one place.

- GNU OpenMP kills a forked child at its first parallel region: after a fork from a process that had threads, all is
  serial.
- Numba's workqueue layer aborts when two threads enter it: it is used from the main thread alone, with no other there.
- The number of threads that the user has set is put back after every call.

The layer itself is Numba's choice and is never set for the process.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import numba
from numba.np.ufunc import parallel

from fastmlp.kernels.interrupts import HeldSignals

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
    alone = threading.active_count() == 1 and threading.current_thread() is threading.main_thread()
    if kind == "none" or (kind == "workqueue" and not alone):
        return 1
    return numba.get_num_threads() if wanted is None else min(wanted, numba.config.NUMBA_NUM_THREADS)


@contextlib.contextmanager
def limited_to(count: int) -> Iterator[None]:
    """Run parallel kernels with that many threads, then put the user's number back."""
    with HeldSignals():
        before = numba.get_num_threads()
        numba.set_num_threads(count)
        try:
            yield
        finally:
            numba.set_num_threads(before)
