"""What a fork waits for: compilation by other threads, so that no child inherits a lock of a thread it does not have.

A forked process has the forking thread alone. Were another one compiling, the child would have LLVM's memory half
written, and locks of ours, of Numba's and of llvmlite's that nobody there can release: its first kernel would wait for
ever. So a fork takes all of them first, in the order in which a compilation does, and both processes release them;
`logging` guards its locks likewise. Signals wait meanwhile: an exception would end the taking, and not the
fork. A process started by `subprocess` or `spawn` begins anew and waits for nothing.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from llvmlite.binding import ffi
from numba.core.compiler_lock import global_compiler_lock
from numba.np.ufunc import parallel

from fastmlp.kernels.host.interrupts import HeldSignals

compilation = threading.RLock()
"""Held while a kernel is compiled or loaded. One for all: Numba compiles one function at a time anyway."""

# Private names, which another release may lack; without them the rest still works.
_THEIRS = (getattr(parallel, "_backend_init_thread_lock", None), getattr(ffi.lib, "_lock", None))
_ORDER: tuple[Any, ...] = (compilation, global_compiler_lock, *(lock for lock in _THEIRS if lock is not None))
_held: list[HeldSignals] = []  # of the thread that has the locks


def _before() -> None:
    signals = HeldSignals().__enter__()
    for lock in _ORDER:
        lock.__enter__()
    _held.append(signals)


def _after() -> None:
    signals = _held.pop()  # before a lock is released, for then the next thread that forks fills it
    for lock in reversed(_ORDER):
        lock.__exit__(None, None, None)
    signals.__exit__()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
