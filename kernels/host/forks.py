"""Forks that wait for compilation in other threads, so that a child process inherits no lock that is held.

A forked process has only the forking thread. If another thread compiled during the fork, the child would have LLVM's
memory half written, and locks of ours, of Numba's and of llvmlite's that no thread releases: its first kernel would
wait for ever. A fork therefore acquires all of these locks first, in the order in which a compilation does, and both
processes release them; `logging` guards its locks in the same way. Signals wait meanwhile, since an exception would
stop the acquisition but not the fork. A process that `subprocess` or `spawn` starts inherits no locks.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from llvmlite.binding import ffi
from numba.core.compiler_lock import global_compiler_lock
from numba.np.ufunc import parallel

from fastmlp.kernels.host.interrupts import HeldSignals

compilation_lock = threading.RLock()
"""Held while a kernel is compiled or loaded. One lock is enough: Numba compiles one function at a time anyway."""

# Private names of Numba and llvmlite, which another release may lack. The other locks are acquired without them.
_THEIRS = (getattr(parallel, "_backend_init_thread_lock", None), getattr(ffi.lib, "_lock", None))
_ORDER: tuple[Any, ...] = (compilation_lock, global_compiler_lock, *(lock for lock in _THEIRS if lock is not None))
_held: list[HeldSignals] = []  # the context of the thread that holds the locks


def _before() -> None:
    """Hold signals and acquire all locks."""
    signals = HeldSignals().__enter__()
    for lock in _ORDER:
        lock.__enter__()
    _held.append(signals)


def _after() -> None:
    """Release all locks and let signals through, in the parent and in the child."""
    signals = _held.pop()  # before a lock is released: the next thread that forks appends to the list then
    for lock in reversed(_ORDER):
        lock.__exit__(None, None, None)
    signals.__exit__()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
