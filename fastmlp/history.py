"""`History`, the record of a fit: losses and metrics of each epoch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastmlp._display import notebook
from fastmlp._runtime.names import AttributeHints, hint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastmlp.plot import Theme


@dataclass
class History(Mapping[str, list[float]], AttributeHints):
    """The record of one fit, which `Network.fit` returns.

    It is a mapping of its entries, too: `history["loss"]` is `history.history["loss"]`, and `in`, iteration, `keys`,
    `items` and `dict` work.

    Attributes
    ----------
    history : dict of str to list of float
        One number for each epoch under each name. "loss" is the mean over the rows of the epoch, penalties included, as
        the training steps computed it. With validation rows there are also "val_loss" and the metrics, such as
        "val_accuracy".
    epoch : list of int
        The numbers of these epochs. The first epoch of a new network is 0, and later fits continue to count.
    seconds : float
        The duration of the fit.
    ending : str
        Why the fit ended before its last epoch, if the optimizer ended it, as `LBFGS` does when it has converged.

    Examples
    --------
    >>> history = net.fit(X, y, epochs=20, validation_split=0.2)
    >>> best = min(history["val_loss"])
    >>> history.plot("curves.png")
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    epoch: list[int] = field(default_factory=list)
    seconds: float = 0.0
    ending: str = ""

    def __getitem__(self, name: str) -> list[float]:
        """Return the numbers of an entry, one for each epoch."""
        if name not in self.history:
            found = hint(name, self.history) if isinstance(name, str) else ""
            raise KeyError(f"no entry {name!r}{found or '.'} The entries are: {', '.join(self.history) or 'none'}")
        return self.history[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is an entry with this name."""
        return name in self.history

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the entries."""
        return iter(self.history)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.history)

    def __bool__(self) -> bool:
        """Return True, also before the first epoch."""
        return True

    def add(self, epoch: int, logs: dict[str, float]) -> None:
        """Append the numbers of one epoch.

        Parameters
        ----------
        epoch : int
            The number of the epoch.
        logs : dict of str to float
            The loss and the metrics by name.
        """
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
        """Draw one metric of every epoch, on training and validation rows, and mark the best epoch.

        Parameters
        ----------
        path : path-like, optional
            The PNG or SVG file to write; its folder must exist. None writes no file.
        metric : str
            A name in `history`, without "val_": "loss", "accuracy" ...
        ax : matplotlib.axes.Axes, optional
            Where to draw; None makes a new figure.
        title : str, optional
            The title above the curves.
        theme : {"light", "dark", "auto"}
            The colours; "auto" is for SVG files.

        Returns
        -------
        matplotlib.figure.Figure
            The figure with the curves, or the one that `ax` belongs to.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If the history has no such metric or no epoch with a finite value, or path, axes or theme do not suit.
        OSError
            If the file cannot be written.

        See Also
        --------
        fastmlp.plot.learning_curves : Draws several trainings in one figure as well.
        """
        from fastmlp.plot import learning_curves

        return learning_curves(self, path, metric=metric, ax=ax, title=title, theme=theme)

    def _repr_html_(self) -> str:
        """Return an HTML table of the entries, each with a small curve, for notebooks."""
        return notebook.history_table(self.history, len(self.epoch), self.seconds)

    def __repr__(self) -> str:
        """Return the number of epochs, the duration and the last value of each entry."""
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items() if values)
        epochs = f"{len(self.epoch)} epoch{'' if len(self.epoch) == 1 else 's'}"
        ending = f"; {self.ending}" if self.ending else ""
        return f"History({epochs}, {self.seconds:.2f} s; last: {last or 'none'}{ending})"
