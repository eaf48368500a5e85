"""`History`, what a fit saw, epoch by epoch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastmlp._display import notebook

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastmlp.plot import Theme


@dataclass
class History:
    """The course of one `fit`.

    Attributes
    ----------
    history : dict of str to list of float
        "loss" (mean over the epoch's rows as training saw them, penalties included), and with validation data
        "val_loss" and "val_" metrics; an entry an epoch.
    epoch : list of int
        The numbers of these epochs, counted from 0 when the network was made.
    seconds : float
        How long the fit took.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    epoch: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, epoch: int, logs: dict[str, float]) -> None:
        """Append one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        metric: str = "loss",
        ax: Axes | None = None,
        title: str | None = "Learning curves",
        theme: Theme = "light",
    ) -> Figure:
        """Draw a metric of every epoch and mark the best one.

        Parameters, result and errors are those of `fastmlp.plot.learning_curves`.
        """
        from fastmlp.plot import learning_curves

        return learning_curves(self, path, metric=metric, ax=ax, title=title, theme=theme)

    def _repr_html_(self) -> str:
        """A table of its entries, each with a small curve, for notebooks."""
        return notebook.of_history(self.history, len(self.epoch), self.seconds)

    def __repr__(self) -> str:
        """The last value of each entry."""
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"History({len(self.epoch)} epochs, {self.seconds:.2f} s; last: {last or 'none'})"
