"""Signals that arrive while memory is inconsistent: their handlers wait until it is consistent again.

Python calls a signal handler in the main thread, between any two bytecode instructions, and the handler of Ctrl-C
raises there. A change of state that takes more than one instruction is therefore made within `with HeldSignals()`. It
replaces the user's handlers by one that records the signal. The user's handlers are called where state is consistent.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # without the enums of `signal`: a pair of calls takes 1 us, not 20
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
"""All signals but the real-time ones, which would double the time to replace handlers and are not sent to trainings."""


class HeldSignals:
    """A context in which signal handlers wait. They are called when it ends, and by `deliver` and `released`.

    Contexts may be nested, also within a call of `released`. Outside of the main thread a context does nothing, since
    Python calls no handler there.
    """

    __slots__ = ("_holding", "_replaced", "_seen", "_thread", "_waiting")

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._holding = False
        self._seen: list[Any] = []  # all handlers, as they were after the last `replace_handlers`
        self._replaced: set[int] = set()  # numbers of the signals whose handler is ours
        self._waiting: list[tuple[Handler, int]] = []  # recorded signals, with the user's handlers

    def __enter__(self) -> HeldSignals:
        """Replace the handlers; from then on signals wait."""
        try:
            self.replace_handlers()
            self._holding = True
        except BaseException:  # raised by a handler that was not yet replaced
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Call the waiting handlers, then restore the user's handlers, except where they were changed meanwhile."""
        done = False
        try:
            self.deliver()
            for number in self._replaced:
                handler = _signal.getsignal(number)
                if self._is_own(handler):
                    _signal.signal(number, handler.args[0])
            done = not self._waiting
        finally:
            if done:
                self._holding = False
                self._seen = []  # our handlers are among them, which refer to this object
            else:  # a handler raised, or a signal arrived before its handler was restored
                self.__exit__()

    def released(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Call a function during which signals do not wait, such as a user's, or one that takes long."""
        try:
            self._let_through()
            return function(*arguments, **options)
        finally:
            self._holding = True

    def replace_handlers(self) -> None:
        """Replace each handler that is a function by one of ours. Ignored signals stay ignored.

        Call it again after code that may have set handlers. Each signal has its own replacement, since a handler may
        call the one that it replaced.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        handlers = list(map(_signal.getsignal, _NUMBERS))
        if handlers == self._seen:  # no handler was set: this check takes 2 us, the rest 6
            return
        for number, handler in zip(_NUMBERS, handlers, strict=True):
            if callable(handler) and not self._is_own(handler):
                self._replaced.add(number)
                _signal.signal(number, functools.partial(self._note, handler))
        self._seen = list(map(_signal.getsignal, _NUMBERS))

    def deliver(self) -> None:
        """Call the handlers of the signals that have arrived. An exception of a handler ends it."""
        while self._waiting:
            handler, number = self._waiting.pop(0)
            handler(number, sys._getframe())

    def _let_through(self) -> None:
        """Let signals through from now on. No signal is lost between the last check for waiting ones and this."""
        while True:
            self.deliver()
            self._holding = False
            if not self._waiting:
                return
            self._holding = True

    def _note(self, handler: Handler, number: int, frame: FrameType | None) -> None:
        """Record a signal, or call its handler if signals do not wait.

        In a process that another thread has forked, the thread that would end the wait does not exist.
        """
        if self._holding and threading.get_ident() == self._thread:
            self._waiting.append((handler, number))
        else:
            handler(number, frame)

    def _is_own(self, handler: Any) -> bool:
        """Check whether a handler is a replacement by this object."""
        return isinstance(handler, functools.partial) and handler.func == self._note
