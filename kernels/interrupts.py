"""Signals that come while memory is half changed: they wait until it is whole.

Python calls a signal's handler in the main thread, between any two of its instructions, and the handler of Ctrl-C
raises there. So whatever takes more than one instruction is done within `with HeldSignals()`, which puts a handler of
its own in place of the user's. It notes the signal; the user's handler is called where nothing is half done.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` makes enums of: a pair of calls takes 1 us, not 20
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_NAMES = ("INT", "TERM", "HUP", "QUIT", "ALRM", "VTALRM", "PROF", "USR1", "USR2", "BREAK")
_NUMBERS = tuple(int(getattr(signal, f"SIG{name}")) for name in _NAMES if hasattr(signal, f"SIG{name}"))
"""What people, timers and managers of processes send, so that its handlers may raise."""


class HeldSignals:
    """Within its `with`, handlers of signals wait; they are called when it ends, or is asked to let them through.

    It may stand within another, also where that one lets signals through. Outside of the main thread it does nothing,
    since no handler is called there.
    """

    __slots__ = ("_handlers", "_holding", "_main", "_waiting")

    def __init__(self) -> None:
        self._main = threading.current_thread() is threading.main_thread()
        self._holding = False
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._waiting: list[int] = []

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
            for number, handler in self._handlers.items():
                if _signal.getsignal(number) == self._note:
                    _signal.signal(number, handler)
            done = not self._waiting
        finally:
            if done:
                self._holding = False
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
        """Put the own handler in place of every one that is a function; a signal that is ignored stays so.

        Again after code that may have set handlers of other signals; one that replaced the own stays, since it may call
        that in turn.
        """
        for number in _NUMBERS if self._main else ():
            handler = _signal.getsignal(number)
            if handler and number not in self._handlers and callable(handler):
                self._handlers[number] = handler
                _signal.signal(number, self._note)

    def hand_over(self) -> None:
        """Call the handlers of what has come until now; what they raise ends this."""
        while self._waiting:
            number = self._waiting.pop(0)
            self._handlers[number](number, sys._getframe())

    def _let_through(self) -> None:
        """Signals do not wait any more; none is lost between the last look at what waits and that."""
        while True:
            self.hand_over()
            self._holding = False
            if not self._waiting:
                return
            self._holding = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        """The handler that stands in for all others."""
        if self._holding:
            self._waiting.append(number)
        else:
            self._handlers[number](number, frame)
