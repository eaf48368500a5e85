"""`LambdaCallback` makes a callback from functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastmlp._runtime.names import check_keywords
from fastmlp.callbacks.base import Callback


class LambdaCallback(Callback):
    """Call functions at the events of a fit.

    Each function receives the arguments of the method with the same name of `Callback`, which describes the events.

    Parameters
    ----------
    on_train_begin : function, optional
        Called without arguments before the first epoch.
    on_train_end : function, optional
        Called without arguments after the last epoch.
    on_epoch_begin : function, optional
        Called with `epoch`, counted from 0, before an epoch.
    on_epoch_end : function, optional
        Called with `epoch` and the dict `logs`, the loss and the metrics, after an epoch.
    on_train_batch_end : function, optional
        Called with `batch` and `logs` after every step; set the attribute `every_steps` to call it less often. Without
        this function, steps have no extra cost.
    on_steps_end : function, optional
        Called with `batch` after each call of the kernels, about every 50 ms.

    Raises
    ------
    TypeError
        If an argument is not a function, or the function does not accept the arguments of its event.

    Examples
    --------
    >>> halve = LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(net, "learning_rate", net.learning_rate / 2))
    """

    @check_keywords
    def __init__(
        self,
        *,
        on_train_begin: Callable[[], Any] | None = None,
        on_train_end: Callable[[], Any] | None = None,
        on_epoch_begin: Callable[[int], Any] | None = None,
        on_epoch_end: Callable[[int, dict[str, float]], Any] | None = None,
        on_train_batch_end: Callable[[int, dict[str, float]], Any] | None = None,
        on_steps_end: Callable[[int], Any] | None = None,
    ) -> None:
        self._functions: dict[str, Callable[..., Any] | None] = {
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_batch_end": on_train_batch_end,
            "on_steps_end": on_steps_end,
        }
        for event, function in self._functions.items():
            _check(event, function)
        self.every_steps = int(on_train_batch_end is not None)

    def on_train_begin(self) -> None:
        """Call the function `on_train_begin`, if there is one."""
        self._call("on_train_begin")

    def on_train_end(self) -> None:
        """Call the function `on_train_end`, if there is one."""
        self._call("on_train_end")

    def on_epoch_begin(self, epoch: int) -> None:
        """Call the function `on_epoch_begin`, if there is one."""
        self._call("on_epoch_begin", epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Call the function `on_epoch_end`, if there is one."""
        self._call("on_epoch_end", epoch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Call the function `on_train_batch_end`, if there is one."""
        self._call("on_train_batch_end", batch, logs)

    def on_steps_end(self, batch: int) -> None:
        """Call the function `on_steps_end`, if there is one."""
        self._call("on_steps_end", batch)

    def _call(self, event: str, *arguments: Any) -> None:
        function = self._functions[event]
        if function is not None:
            function(*arguments)


def _check(event: str, function: Callable[..., Any] | None) -> None:
    """Raise TypeError if `function` is not a function of the event's arguments: now, not after the first epoch."""
    if function is None:
        return
    if not callable(function):
        raise TypeError(f"{event} must be a function, got {function!r}")
    names = list(inspect.signature(getattr(Callback, event)).parameters)[1:]  # without self
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-in functions have no signature
        return
    try:
        signature.bind(*names)
    except TypeError:
        raise TypeError(
            f"{event} must accept the arguments ({', '.join(names)}), got a function of {signature}"
        ) from None
