"""Who may use a network now: one thread at a time, one fit, and what becomes of both in a forked process."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

_all: weakref.WeakSet[NetworkLock] = weakref.WeakSet()


class NetworkLock:
    """The two locks of a network, and the thread that fits it.

    What reads a network does so within `with use.turn, use.lock:`. A fit claims it by `fitting`, and holds the lock
    only while it steps, so that other threads can read between two calls of the kernels, and callbacks may wait for
    them. A lock alone would not let them in, for who releases it has it again before another thread wakes up: so there
    is a turn, which who waits for the lock holds and the fit waits for.

    Both are entered by the interpreter itself, so that Ctrl-C cannot come between taking a lock and knowing of it.
    """

    def __init__(self) -> None:
        self.turn: AbstractContextManager[Any] = threading.RLock()
        self.lock: AbstractContextManager[Any] = threading.RLock()
        self._fitter: int | None = None
        self._whole = True  # but for parts of a fit and other changes
        _all.add(self)

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        """Claim the network for a fit.

        Raises
        ------
        RuntimeError
            If it is being fitted already.
        """
        self._require_no_fit()
        with self.turn, self.lock:
            self._require_no_fit()
            self._fitter = threading.get_ident()
        try:
            yield
        finally:
            self._fitter = None

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """The lock for a part of a fit, after those who wait have read.

        Code of others, a signal's handler above all, must not run within: it would wait for its turn, which may be that
        of a thread that waits for the end of this part.
        """
        with self.turn:
            pass
        with self.lock:
            self._whole = False
            try:
                yield
            finally:
                self._whole = True

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """The lock, to change the network without a fit, or from a callback of its fit.

        Raises
        ------
        RuntimeError
            If another thread is fitting it.
        """
        me = threading.get_ident()
        self._require_no_fit(but=me)
        with self.turn, self.lock:
            self._require_no_fit(but=me)
            fitter, self._fitter = self._fitter, me
            try:
                with self.step():
                    yield
            finally:
                self._fitter = fitter

    def _require_no_fit(self, but: int | None = None) -> None:
        if self._fitter in (None, but):
            return
        if self._fitter == threading.get_ident():
            raise RuntimeError("this network is being fitted; a callback can fit a copy of it")
        raise RuntimeError("this network is being fitted by another thread; fit a copy, or wait")

    def renew(self) -> None:
        """Go on in a forked child, which has one thread: the locks of others are nobody's, their fits have ended."""
        if isinstance(self.lock, _Torn):
            return
        if self._fitter not in (None, threading.get_ident()):
            self._fitter = None
            if not self._whole:
                self.lock = self.turn = _Torn()
                return
        if not _is_free(self.lock):
            self.lock = threading.RLock()
        if not _is_free(self.turn):
            self.turn = threading.RLock()


class _Torn:
    """In place of the locks of a network whose memory was copied in the middle of a step."""

    def __enter__(self) -> None:
        raise RuntimeError(
            "this network was being fitted by another thread when this process was forked, in the middle of a step; "
            "load it or make it anew here, or fork while no other thread fits it"
        )

    def __exit__(self, *error: object) -> None:
        """Never left, since it cannot be entered."""


def _is_free(lock: Any) -> bool:
    """Whether no other thread holds the lock."""
    if free := lock.acquire(blocking=False):
        lock.release()
    return bool(free)


def _after_fork_in_child() -> None:
    for use in list(_all):
        use.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
