"""Reading ahead: a thread asks an iterator for its next items while the kernels use the last ones."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, TypeVar

from fastmlp.kernels.host import threads

T = TypeVar("T")

WAIT_SECONDS = 0.1  # after which a wait looks whether the thread still lives: it does not in a forked process
CLOSE_SECONDS = 1.0  # for which `close` waits for the item that the thread is reading

_END = object()


def read_ahead(iterator: Iterator[T], ahead: int) -> Iterator[T]:
    """Return the iterator, or one that reads some of its items ahead.

    With Numba's layer "workqueue" nothing is read ahead: kernels then use several threads only while there is no other.
    """
    return ReadAhead(iterator, ahead) if ahead and threads.layer() != "workqueue" else iterator


class ReadAhead(Iterator[Any]):
    """The items of an iterator, some of which are read before they are asked for.

    Errors of the iterator are raised in the place of the item. The iterator runs in the context of the thread that made
    this object, so that it sees, for example, what `numpy.errstate` was set to.

    Parameters
    ----------
    iterator : iterator
        Asked for items by a thread of its own only.
    ahead : int
        The largest number of items that are read, or being read, and not yet asked for.
    """

    def __init__(self, iterator: Iterator[Any], ahead: int) -> None:
        self._iterator: Iterator[Any] | None = iterator
        self._ahead = ahead
        self._items: deque[tuple[Any, BaseException | None]] = deque()
        self._changed, self._closed = threading.Condition(), False
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._read,), name="fastmlp-read-ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> Any:
        """Return the next item, and let the thread read another."""
        with self._changed:
            while not self._items:
                if self._closed or not self._thread.is_alive():
                    raise StopIteration
                self._changed.wait(WAIT_SECONDS)
            item, error = self._items.popleft()
            self._changed.notify_all()
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame
        if item is _END:
            self._closed = True
            raise StopIteration
        return item

    def close(self) -> None:
        """End the thread. Nothing is read any more, except an item that is being read."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    def _read(self) -> None:
        iterator, self._iterator = self._iterator, None
        assert iterator is not None
        try:
            while self._wait_for_room():
                try:
                    item, error = next(iterator, _END), None
                except BaseException as raised:
                    item, error = None, raised
                ended = item is _END or error is not None
                with self._changed:
                    if not self._closed:
                        self._items.append((item, error))
                    self._changed.notify_all()
                del item, error
                if ended:
                    return
        finally:
            with contextlib.suppress(Exception):
                getattr(iterator, "close", lambda: None)()  # of a generator, in the thread that runs it

    def _wait_for_room(self) -> bool:
        """Wait until another item may be read. Return False if nothing shall be read any more."""
        with self._changed:
            while not self._closed and len(self._items) >= self._ahead:
                self._changed.wait()
            return not self._closed
