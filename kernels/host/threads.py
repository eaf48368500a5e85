"""How many threads a kernel may use now. The known ways to kill, block or slow a process by threads are avoided here.

- GNU OpenMP kills a forked child at its first parallel region. So everything is serial after a fork from a process that
  had started its threads.
- Numba's workqueue layer aborts the process if two threads enter it. So it is used only from the main thread, while no
  other thread exists. One case remains: C code that starts a thread which enters Python and a parallel function during
  that very call.
- The user's number of threads is restored after each call.
- Numba's functions on threads acquire a lock that all forked processes share, and that stays locked if one of them is
  killed. So once the threads are started, this module does their work without the lock.

Numba chooses the threading layer. This module never sets it.
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
    """Note in a child process that its parent had started threads."""
    global _forked
    _forked = _forked or bool(parallel._is_initialized)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def layer() -> str:
    """Return the threading layer: "omp", "tbb", "workqueue", or "none" if none can be loaded. Start its threads."""
    try:
        if not parallel._is_initialized:
            with HeldSignals():
                parallel._launch_threads()
        return str(numba.threading_layer())
    except (ImportError, ValueError):
        return "none"


def available(wanted: int | None = None) -> int:
    """Return how many threads a parallel kernel may use now, at most `wanted`. If it is 1, call the serial kernel."""
    if wanted == 1 or _forked:
        return 1
    kind = layer()
    if kind == "none" or (kind == "workqueue" and not _alone()):
        return 1
    return int(parallel._get_num_threads()) if wanted is None else min(wanted, int(parallel.NUM_THREADS))


def _alone() -> bool:
    """Check that this is the main thread and that no other thread runs Python, even one unknown to `threading`."""
    return len(sys._current_frames()) == 1 and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def limited_to(count: int) -> Iterator[None]:
    """Limit parallel kernels to `count` threads, which must be `available`. Restore the user's number afterwards.

    Numba keeps the number for each thread separately.
    """
    with HeldSignals():
        before = parallel._get_num_threads()
        try:
            parallel._set_num_threads(count)
            yield
        finally:
            parallel._set_num_threads(before)
