"""Callbacks: what a fit calls at its joints, and early stopping."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from fastmlp._checks import number, whole_number
from fastmlp.metrics import METRICS

if TYPE_CHECKING:
    from fastmlp.network import Network
    from fastmlp.parameters import LayerWeights


class Callback:
    """The base class: every method does nothing, override what you need.

    `fit` calls its callbacks in the order given. Where no callback overrides `on_train_batch_end`, many steps run in
    one call of a kernel; where one does, each step comes back to Python, which costs some microseconds. What a callback
    raises ends the fit, as Ctrl-C does: the network is that of a finished step, and later callbacks are not called.

    Attributes
    ----------
    every_steps : int
        `on_train_batch_end` is called after each step whose number, counted since the network was made, is a multiple
        of it: after every one unless you set it. The steps between run in one call.
    network : Network
        The network that is fitted. Set `network.stop_training = True` to end the fit after this epoch.
    entries : tuple of str
        The names that `logs` has at the end of an epoch.
    """

    network: Network
    entries: tuple[str, ...] = ()
    every_steps: int = 1

    def on_train_begin(self) -> None:
        """Before the first epoch."""

    def on_train_end(self) -> None:
        """After the last epoch; not called when the fit ends by an exception."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before each epoch; `epoch` counts from 0 when the network was made."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After each epoch; `logs` holds its loss and, with validation, its metrics."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """After a step; `logs` holds "loss", that of the batch as it was before the step, penalties included."""


class EarlyStopping(Callback):
    """Stop when a loss or metric has ceased to improve, and give back the best weights.

    Every fit begins anew with watching. A fit that ends by an exception, Ctrl-C among them, keeps its latest weights
    to go on from; `network.set_weights(early_stopping.best_weights)` takes the best instead.

    Parameters
    ----------
    monitor : str
        What to watch, an entry of the history such as "val_loss".
    patience : int
        How many epochs without improvement to bear, at least 1.
    min_delta : float
        What counts as an improvement must be greater than this.
    restore_best_weights : bool
        Whether the network ends with the weights of its best epoch, as it does by default.
    mode : {"auto", "min", "max"}
        Whether what is watched should fall or rise. "auto" knows it of losses and of the metrics in
        `fastmlp.metrics.METRICS`, by their names; for a function of your own say it.

    Attributes
    ----------
    best : float
        The best value seen.
    best_epoch : int or None
        The epoch it belongs to, counted from 0.
    best_weights : list or None
        The weights of that epoch, as `Network.get_weights` gives them, until they are given back.
    stopped_epoch : int or None
        The epoch after which the fit was stopped; None if it was not.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
        mode: Literal["auto", "min", "max"] = "auto",
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a loss or metric such as 'val_loss', got {monitor!r}")
        self.monitor = monitor
        self.patience = whole_number(patience, "patience")
        self.min_delta = number(min_delta, "min_delta")
        self.restore_best_weights = restore_best_weights
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        self.mode = mode
        self._forget()

    def on_train_begin(self) -> None:
        """Forget earlier fits.

        Raises
        ------
        ValueError
            If there will be nothing of that name to watch, or `mode` does not say whether it should fall or rise.
        """
        if self.monitor not in self.entries:
            hint = ""
            if self.monitor.startswith("val_"):
                validated = "val_loss" in self.entries
                wanted = f"metrics=[{self.monitor[4:]!r}]" if validated else "validation_data or validation_split"
                hint = f"; give fit {wanted}"
            raise ValueError(
                f"EarlyStopping watches {self.monitor!r}, but an epoch has only {', '.join(self.entries)}{hint}"
            )
        self._forget()
        self._rising = rises(self.monitor, self.mode)

    def _forget(self) -> None:
        self.best = math.inf
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._waited = 0
        self.best_weights: list[LayerWeights] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Compare with the best; keep the weights or stop."""
        value, sign = logs[self.monitor], -1.0 if self._rising else 1.0
        better = sign * value < sign * self.best - self.min_delta
        if better or self.best_epoch is None or (math.isnan(self.best) and not math.isnan(value)):
            self.best, self.best_epoch, self._waited = value, epoch, 0
            if self.restore_best_weights:
                self.best_weights = self.network.get_weights()
            return
        self._waited += 1
        if self._waited >= self.patience:
            self.stopped_epoch = epoch
            self.network.stop_training = True

    def on_train_end(self) -> None:
        """Give the best weights back."""
        if self.best_weights is not None:
            self.network.set_weights(self.best_weights)
            self.best_weights = None


def rises(monitor: str, mode: Literal["auto", "min", "max"]) -> bool:
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
