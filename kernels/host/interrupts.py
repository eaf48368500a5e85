"""Signals that come while memory is half changed: they wait until it is whole.

Python calls a signal's handler in the main thread, between any two of its instructions, and the handler of Ctrl-C
raises there. So whatever takes more than one instruction is done within `with HeldSignals()`, which puts a handler of
its own in place of the user's. It notes the signal; the user's handler is called where nothing is half done.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` makes enums of: a pair of calls takes 1 us, not 20
import functools
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Handler = Callable[[int, FrameType | None], Any]

_REAL_TIME = getattr(signal, "SIGRTMIN", 1 << 30)
_NUMBERS = tuple(sorted(int(number) for number in signal.valid_signals() if number < _REAL_TIME))
"""All but the real-time signals, which nobody sends to a training, and would double the time that this takes."""


class HeldSignals:
    """Within its `with`, handlers of signals wait; they are called when it ends, or is asked to let them through.

    It may stand within another, also where that one lets signals through. Outside of the main thread it does nothing,
    since no handler is called there.
    """

    __slots__ = ("_holding", "_seen", "_taken", "_thread", "_waiting")

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._holding = False
        self._seen: list[Any] = []  # the handlers that there were after the last look
        self._taken: set[int] = set()
        self._waiting: list[tuple[Handler, int]] = []

    def __enter__(self) -> HeldSignals:
        """Put the own handlers in place; from then on signals wait."""
        try:
            self.take()
            self._holding = True
        except BaseException:  # of a handler that was not yet replaced
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Call the handlers of what came, then put them back, but not those that were changed meanwhile."""
        done = False
        try:
            self.hand_over()
            for number in self._taken:
                handler = _signal.getsignal(number)
                if self._is_own(handler):
                    _signal.signal(number, handler.args[0])
            done = not self._waiting
        finally:
            if done:
                self._holding = False
                self._seen = []  # own handlers are among them, which hold this object
            else:  # a handler raised, or a signal came before its handler was back
                self.__exit__()

    def released(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Call a function during which signals do not wait, such as the user's, or one that takes long."""
        try:
            self._let_through()
            return function(*arguments, **options)
        finally:
            self._holding = True

    def take(self) -> None:
        """Put an own handler in place of every one that is a function; a signal that is ignored stays so.

        Again after code that may have set handlers. Each has an own one to itself, since it may call the one before it.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        handlers = list(map(_signal.getsignal, _NUMBERS))
        if handlers == self._seen:  # nobody has set one: told in 2 us, of the 6 that the rest takes
            return
        for number, handler in zip(_NUMBERS, handlers, strict=True):
            if callable(handler) and not self._is_own(handler):
                self._taken.add(number)
                _signal.signal(number, functools.partial(self._note, handler))
        self._seen = list(map(_signal.getsignal, _NUMBERS))

    def hand_over(self) -> None:
        """Call the handlers of what has come until now; what they raise ends this."""
        while self._waiting:
            handler, number = self._waiting.pop(0)
            handler(number, sys._getframe())

    def _let_through(self) -> None:
        """Signals do not wait any more; none is lost between the last look at what waits and that."""
        while True:
            self.hand_over()
            self._holding = False
            if not self._waiting:
                return
            self._holding = True

    def _note(self, handler: Handler, number: int, frame: FrameType | None) -> None:
        """What stands in for a handler; in a process that another thread has forked, nobody is left to end the wait."""
        if self._holding and threading.get_ident() == self._thread:
            self._waiting.append((handler, number))
        else:
            handler(number, frame)

    def _is_own(self, handler: Any) -> bool:
        return isinstance(handler, functools.partial) and handler.func == self._note
