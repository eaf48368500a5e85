"""What callbacks watch: an entry of the history, and when it has become better."""

from __future__ import annotations

import math
from typing import Literal

from fastmlp.metrics import METRICS

Mode = Literal["auto", "min", "max"]


class Monitor:
    """An entry of the history that should fall or rise.

    Parameters
    ----------
    name : str
        Of the entry, such as "val_loss".
    mode : {"auto", "min", "max"}
        Whether it should fall or rise; "auto" knows it of losses and of the metrics in the table.

    Raises
    ------
    TypeError, ValueError
        If the name is no text, or the mode something else.
    """

    def __init__(self, name: str, mode: Mode) -> None:
        if not isinstance(name, str):
            raise TypeError(f"monitor must be the name of a loss or metric such as 'val_loss', got {name!r}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        self.name, self.mode = name, mode
        self._sign = 1.0

    def begin(self, entries: tuple[str, ...], who: str) -> None:
        """Check that a fit with these entries can be watched.

        Raises
        ------
        ValueError
            If there will be nothing of that name, or the mode does not say whether it should fall or rise.
        """
        if self.name not in entries:
            hint = ""
            if self.name.startswith("val_"):
                validated = "val_loss" in entries
                wanted = f"metrics=[{self.name[4:]!r}]" if validated else "validation_data or validation_split"
                hint = f"; give fit {wanted}"
            raise ValueError(f"{who} watches {self.name!r}, but an epoch has only {', '.join(entries)}{hint}")
        self._sign = -1.0 if rises(self.name, self.mode) else 1.0

    def better(self, value: float, best: float | None, by_more_than: float = 0.0) -> bool:
        """Whether the value is better than the best, None where there is none; a number is better than NaN."""
        if best is None or math.isnan(best):
            return best is None or not math.isnan(value)
        return self._sign * value < self._sign * best - by_more_than


def rises(monitor: str, mode: Mode) -> bool:
    """Whether larger is better of an entry of the history.

    Raises
    ------
    ValueError
        If the mode is "auto" and the entry neither a loss nor a metric of the table.
    """
    name = monitor.removeprefix("val_")
    if mode != "auto" or name == "loss":
        return mode == "max"
    if name not in METRICS:
        raise ValueError(f"whether {monitor!r} should fall or rise is for you to say: mode='min' or mode='max'")
    return METRICS[name].rises
