"""Entries of the history that callbacks read: whether a fit has them, and `Monitor`, whether one has improved."""

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
        check_name(name)
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
        check_entry(callback, self.name)
        self._sign = -1.0 if larger_is_better(self.name, self.mode) else 1.0

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


def check_name(monitor: object) -> None:
    """Check the type of an argument `monitor`.

    Raises
    ------
    TypeError
        If it is not a string.
    """
    if not isinstance(monitor, str):
        hint = f"; write numbers by name, such as patience={monitor}" if isinstance(monitor, int) else ""
        raise TypeError(f"monitor must be the name of a loss or metric such as 'val_loss', got {monitor!r}{hint}")


def check_entry(callback: Callback, name: str, verb: str = "monitors") -> None:
    """Check that a fit has an entry, and that the validation rows can measure it.

    Parameters
    ----------
    callback : Callback
        The callback that reads the entry, whose attributes tell the entries of the fit.
    name : str
        The name of the entry.
    verb : str
        What the callback does with the entry, for the message.

    Raises
    ------
    ValueError
        If the fit does not have this entry, or the validation rows cannot measure it.
    """
    owner = type(callback).__name__
    if name not in callback.entries:
        raise ValueError(
            f"{owner} {verb} {name!r}, but this fit has only {', '.join(callback.entries)}"
            f"{_hint(name, callback.entries)}"
        )
    if name in callback.undefined:
        raise ValueError(
            f"{owner} {verb} {name!r}, which is undefined for the validation rows: {callback.undefined[name]}"
        )


def _hint(given: str, entries: tuple[str, ...]) -> str:
    """Return the end of the message about a missing entry: its right name, and what fit needs to have it."""
    name = nearest(given, [*entries, "val_loss", *(f"val_{metric}" for metric in METRICS)]) or given
    advice = ""
    if name.startswith("val_") and name not in entries:
        missing = f"metrics=[{name[4:]!r}]" if "val_loss" in entries else "validation_data or validation_split"
        advice = f"give fit {missing}"
    if name != given:
        return f"; did you mean {name!r}?{f' Then {advice}' if advice else ''}"
    return f"; {advice}" if advice else ""


def known_direction(monitor: str) -> Literal["min", "max"] | None:
    """Return whether smaller or larger values of an entry are better; None for a metric function of the user."""
    name = monitor.removeprefix("val_")
    if name == "loss":
        return "min"
    if name not in METRICS:
        return None
    return "max" if METRICS[name].rises else "min"


def larger_is_better(monitor: str, mode: Mode) -> bool:
    """Return whether larger values of an entry of the history are better.

    Raises
    ------
    ValueError
        If the mode is "auto", and the entry is neither a loss nor a metric of `fastmlp.metrics.METRICS`.
    """
    direction = known_direction(monitor) if mode == "auto" else mode
    if direction is None:
        raise ValueError(
            f"the direction of {monitor!r} is unknown; give mode='min' if smaller values are better, or mode='max'"
        )
    return direction == "max"
