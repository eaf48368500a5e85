"""`Monitor`: whether an entry of the history has improved, for the callbacks that compare epochs."""

from __future__ import annotations

import math
from typing import Literal

from fastmlp._runtime.names import nearest
from fastmlp.metrics import METRICS

Mode = Literal["auto", "min", "max"]


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
            raise TypeError(f"monitor must be the name of a loss or metric such as 'val_loss', got {name!r}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        self.name, self.mode = name, mode
        self._sign = 1.0

    def begin(self, entries: tuple[str, ...], callback_name: str) -> None:
        """Check that a fit has this entry, and determine whether smaller or larger values are better.

        Parameters
        ----------
        entries : tuple of str
            The entries of the history of the fit.
        callback_name : str
            The class of the callback, for the message.

        Raises
        ------
        ValueError
            If the fit does not have this entry, or the mode is "auto" and the direction is unknown.
        """
        if self.name not in entries:
            raise ValueError(
                f"{callback_name} monitors {self.name!r}, but this fit has only {', '.join(entries)}"
                f"{self._hint(entries)}"
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

    def better(self, value: float, best: float | None, by_more_than: float = 0.0) -> bool:
        """Return whether `value` is better than `best`. Any value is better than None, a number is better than NaN."""
        if best is None or math.isnan(best):
            return best is None or not math.isnan(value)
        return self._sign * value < self._sign * best - by_more_than


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
