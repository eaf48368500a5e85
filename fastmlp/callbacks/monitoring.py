"""`Monitor`: whether an entry of the history has improved, for the callbacks that compare epochs."""

from __future__ import annotations

import math
from typing import Literal

from fastmlp._runtime.names import nearest
from fastmlp.callbacks.base import Callback
from fastmlp.metrics import METRICS

Mode = Literal["auto", "min", "max"]


class UndefinedScoreError(ValueError):
    """Raised when a score that decides about the fit becomes NaN, since no epoch is better or worse than NaN."""


class Monitor:
    """An entry of the history, and whether smaller or larger values of it are better.

    Parameters
    ----------
    name : str
        The name of the entry, such as "val_loss".
    mode : {"auto", "min", "max"}
        Whether a smaller ("min") or a larger ("max") value is better. "auto" knows the direction of losses and of the
        metrics in `fastmlp.metrics.METRICS` by name.

    Raises
    ------
    TypeError
        If the name is not a string.
    ValueError
        If the mode is unknown.
    """

    def __init__(self, name: str, mode: Mode) -> None:
        if not isinstance(name, str):
            hint = f"; write numbers by name, such as patience={name}" if isinstance(name, int) else ""
            raise TypeError(f"monitor must be the name of a loss or metric such as 'val_loss', got {name!r}{hint}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        self.name, self.mode = name, mode
        self._sign, self._owner = 1.0, ""

    def begin(self, callback: Callback) -> None:
        """Check that a fit has this entry, and determine whether smaller or larger values are better.

        Parameters
        ----------
        callback : Callback
            The callback that compares the entry, whose attributes tell the entries of the fit.

        Raises
        ------
        ValueError
            If the fit does not have this entry, the validation rows cannot measure it, or the mode is "auto" and the
            direction is unknown.
        """
        self._owner = type(callback).__name__
        if self.name not in callback.entries:
            raise ValueError(
                f"{self._owner} monitors {self.name!r}, but this fit has only {', '.join(callback.entries)}"
                f"{self._hint(callback.entries)}"
            )
        if self.name in callback.undefined:
            raise ValueError(
                f"{self._owner} monitors {self.name!r}, which is undefined for the validation rows: "
                f"{callback.undefined[self.name]}"
            )
        self._sign = -1.0 if larger_is_better(self.name, self.mode) else 1.0

    def _hint(self, entries: tuple[str, ...]) -> str:
        """Return the end of the message about a missing entry: its right name, and what fit needs to have it."""
        name = nearest(self.name, [*entries, "val_loss", *(f"val_{metric}" for metric in METRICS)]) or self.name
        advice = ""
        if name.startswith("val_") and name not in entries:
            missing = f"metrics=[{name[4:]!r}]" if "val_loss" in entries else "validation_data or validation_split"
            advice = f"give fit {missing}"
        if name != self.name:
            return f"; did you mean {name!r}?{f' Then {advice}' if advice else ''}"
        return f"; {advice}" if advice else ""

    def value(self, epoch: int, logs: dict[str, float], kept: str = "") -> float:
        """Return the value of the entry after an epoch.

        Parameters
        ----------
        epoch : int
            The number of the epoch.
        logs : dict of str to float
            The entries of the epoch.
        kept : str
            What the callback has kept of earlier epochs, for the message.

        Raises
        ------
        UndefinedScoreError
            If the value is NaN.
        """
        value = logs[self.name]
        if math.isnan(value):
            raise UndefinedScoreError(
                f"{self._owner} monitors {self.name!r}, which is NaN after epoch {epoch}; the network has the weights "
                f"of that epoch, and its history all epochs{kept}"
            )
        return value

    def better(self, value: float, best: float | None, by_more_than: float = 0.0) -> bool:
        """Return whether `value` is better than `best`. Any value is better than None."""
        return best is None or self._sign * value < self._sign * best - by_more_than


def larger_is_better(monitor: str, mode: Mode) -> bool:
    """Return whether larger values of an entry of the history are better.

    Raises
    ------
    ValueError
        If the mode is "auto", and the entry is neither a loss nor a metric of `fastmlp.metrics.METRICS`.
    """
    name = monitor.removeprefix("val_")
    if mode != "auto" or name == "loss":
        return mode == "max"
    if name not in METRICS:
        raise ValueError(
            f"the direction of {monitor!r} is unknown; give mode='min' if smaller values are better, or mode='max'"
        )
    return METRICS[name].rises
