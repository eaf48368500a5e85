"""The lock of a network: which thread may read, fit or change it now, and what a forked process may do with it."""

from __future__ import annotations

import contextlib
import os
import threading
import types
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

_instances: weakref.WeakSet[NetworkLock] = weakref.WeakSet()


class NetworkLock:
    """Two locks and the thread that fits the network.

    - A reader runs inside `with access.turn, access.lock:`, in this order.
    - A fit runs inside `with access.fit():` and makes every update of the weights inside `with access.update():`.
    - Any other change runs inside `with access.change():`.
    - A call of a kernel that makes a whole step runs like a reader, with signals held, after `access.require_no_fit()`.

    A fit claims the network for its whole length, but holds `lock` only during its updates. So other threads can read
    the network between two updates, and a callback can wait for such threads.

    `lock` alone starves readers: the thread that releases a lock usually acquires it again before another thread wakes
    up. A reader therefore holds `turn` as well, also while it waits for `lock`. The fit waits for `turn` before each
    update.

    Readers enter the two locks themselves and call no method. A lock of `threading` is acquired in C, so Ctrl-C
    cannot strike between the acquisition and the `with` block. The methods are written in Python: their callers hold
    signals back (`fastmlp.kernels.host.interrupts`).

    Parameters
    ----------
    state : object, optional
        Its attribute `updating` is 1 while the weights may be those of no whole step. Kernels may set it, too.

    Attributes
    ----------
    turn, lock : context manager
        Reentrant locks; after a fork in the middle of an update, objects that refuse to be entered.
    """

    def __init__(self, state: Any = None) -> None:
        self.turn: AbstractContextManager[Any] = threading.RLock()
        self.lock: AbstractContextManager[Any] = threading.RLock()
        self._fitting_thread: int | None = None
        self._state = types.SimpleNamespace(updating=0) if state is None else state
        _instances.add(self)

    @contextlib.contextmanager
    def fit(self) -> Iterator[None]:
        """Claim the network for a fit.

        Raises
        ------
        RuntimeError
            If the network is being fitted already.
        """
        self.require_no_fit()
        with self.turn, self.lock:
            self.require_no_fit()
            self._fitting_thread = threading.get_ident()
        try:
            yield
        finally:
            self._fitting_thread = None

    @contextlib.contextmanager
    def update(self) -> Iterator[None]:
        """Hold `lock` for one update within a fit; readers that wait already go first.

        Code of the user, such as a callback or a signal handler, must not run inside. It could read the network and so
        wait for `turn`, held by a reader that itself waits for the end of this update: a deadlock.
        """
        with self.turn:
            pass
        with self.lock:
            self._state.updating = 1
            try:
                yield
            finally:
                self._state.updating = 0

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Hold both locks to change the network outside a fit, or from a callback of its fit.

        Raises
        ------
        RuntimeError
            If another thread is fitting the network.
        """
        this_thread = threading.get_ident()
        self.require_no_fit(except_by=this_thread)
        with self.turn, self.lock:
            self.require_no_fit(except_by=this_thread)
            before, self._fitting_thread = self._fitting_thread, this_thread
            try:
                with self.update():
                    yield
            finally:
                self._fitting_thread = before

    def require_no_fit(self, except_by: int | None = None) -> None:
        """Raise RuntimeError if a thread, other than `except_by`, is fitting the network."""
        if self._fitting_thread in (None, except_by):
            return
        if self._fitting_thread == threading.get_ident():
            raise RuntimeError("this network is being fitted; a callback can fit a copy of it")
        raise RuntimeError("this network is being fitted by another thread; fit a copy, or wait")

    def reset_after_fork(self) -> None:
        """Make the network usable in a forked child, where only the thread that forked exists.

        The fits of the other threads end here, and locks that they hold are replaced by free ones. If one of them was
        in the middle of an update, the weights are neither those before nor those after it: every use raises
        RuntimeError from then on.
        """
        if isinstance(self.lock, _RefusingLock):
            return
        if self._fitting_thread not in (None, threading.get_ident()):
            self._fitting_thread = None
        if self._state.updating:
            self.lock = self.turn = _RefusingLock()
            return
        if not _is_available(self.lock):
            self.lock = threading.RLock()
        if not _is_available(self.turn):
            self.turn = threading.RLock()


class _RefusingLock:
    """Stands for both locks of a network whose memory was copied in the middle of an update."""

    def __enter__(self) -> None:
        raise RuntimeError(
            "this network was being fitted by another thread when this process was forked, in the middle of a step; "
            "load it or make it anew here, or fork while no other thread fits it"
        )

    def __exit__(self, *error: object) -> None:
        """Do nothing; `__enter__` always raises, so this is never called."""


def _is_available(lock: Any) -> bool:
    """Return whether this thread can acquire the lock at once."""
    if acquired := lock.acquire(blocking=False):
        lock.release()
    return bool(acquired)


def _reset_all_after_fork() -> None:
    for access in list(_instances):
        access.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all_after_fork)
