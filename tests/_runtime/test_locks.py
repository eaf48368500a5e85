"""A network is fitted by one thread at a time, read between its updates, and refused after a fork within an update.

Forks themselves are tested in tests/reliability/test_forks.py, threads that share networks in test_threads.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from fastmlp._runtime.locks import NetworkLock


def in_thread(work: Callable[[], Any]) -> Any:
    """Return the result of a function in another thread, or the RuntimeError that it raises."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except RuntimeError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


@contextmanager
def held_by_another_thread(*enter: Callable[[], Any]) -> Iterator[None]:
    """Keep another thread inside these context managers."""
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with enter[0](), enter[1]() if len(enter) > 1 else nullcontext():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    try:
        yield
    finally:
        leave.set()
        thread.join()


def read(access: NetworkLock) -> str:
    with access.turn, access.lock:
        return "read"


def enter(context: Any) -> str:
    with context:
        return "entered"


def test_a_fit_within_a_fit_is_refused() -> None:
    access = NetworkLock()
    with access.fit(), pytest.raises(RuntimeError, match="is being fitted; a callback can fit a copy of it"):
        enter(access.fit())
    assert enter(access.fit()) == "entered"


@pytest.mark.parametrize("kind", ["fit", "change"])
def test_another_thread_is_refused_during_a_fit(kind: str) -> None:
    access = NetworkLock()
    with access.fit():
        error = in_thread(lambda: enter(getattr(access, kind)()))
    assert str(error) == "this network is being fitted by another thread; fit a copy, or wait"
    assert in_thread(lambda: enter(getattr(access, kind)())) == "entered"


def test_the_thread_of_a_fit_may_change_and_read_the_network() -> None:
    access = NetworkLock()
    with access.fit():
        assert enter(access.change()) == "entered"
        assert enter(access.update()) == "entered"
        assert read(access) == "read"
        assert in_thread(lambda: read(access)) == "read"
    with access.change():
        assert read(access) == "read"


def test_a_fit_that_fails_leaves_the_network_free() -> None:
    access = NetworkLock()
    with pytest.raises(KeyError), access.fit(), access.update():
        raise KeyError
    assert in_thread(lambda: enter(access.fit())) == "entered"


def test_after_a_fork_between_updates_the_network_is_free() -> None:
    access = NetworkLock()
    with held_by_another_thread(access.fit):
        access.reset_after_fork()  # as in the child, where the other thread does not exist
        assert enter(access.fit()) == "entered"


def test_after_a_fork_during_a_read_the_network_is_free() -> None:
    access = NetworkLock()
    with held_by_another_thread(lambda: access.turn, lambda: access.lock):
        access.reset_after_fork()
        assert read(access) == "read"
        assert in_thread(lambda: enter(access.fit())) == "entered"


@pytest.mark.parametrize("parts", [("fit", "update"), ("change",)], ids="-".join)
def test_after_a_fork_within_an_update_every_use_is_refused(parts: tuple[str, ...]) -> None:
    access = NetworkLock()
    with held_by_another_thread(*(getattr(access, part) for part in parts)):
        access.reset_after_fork()
    access.reset_after_fork()  # as in a grandchild
    for use in (lambda: read(access), lambda: enter(access.fit()), lambda: enter(access.change())):
        with pytest.raises(RuntimeError, match="in the middle of a step; load it or make it anew here"):
            use()


def test_a_fork_by_the_thread_of_a_fit_does_not_end_the_fit() -> None:
    access = NetworkLock()
    with access.fit():
        access.reset_after_fork()
        assert str(in_thread(lambda: enter(access.fit()))).startswith("this network is being fitted by another thread")
        assert enter(access.update()) == "entered"
