"""Early stopping."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fastmlp._runtime.checks import number, whole_number
from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.monitoring import Mode, Monitor

if TYPE_CHECKING:
    from fastmlp._engine.parameters import LayerWeights


class EarlyStopping(Callback):
    """Stop when a loss or metric has ceased to improve, and give back the best weights.

    Every fit begins anew with watching, one that goes on with a network from a file too: what was best before, and how
    long it has been waited for better, is not in the file. `ModelCheckpoint` with `save_best_only` keeps the best over
    all fits. A fit that ends by an exception, Ctrl-C among them, keeps its latest weights to go on from;
    `network.set_weights(early_stopping.best_weights)` takes the best instead.

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
        mode: Mode = "auto",
    ) -> None:
        self.monitor, self._watched = monitor, Monitor(monitor, mode)
        self.patience = whole_number(patience, "patience")
        self.min_delta = number(min_delta, "min_delta")
        self.restore_best_weights = restore_best_weights
        self._forget()

    def on_train_begin(self) -> None:
        """Forget earlier fits.

        Raises
        ------
        ValueError
            If there will be nothing of that name to watch, or `mode` does not say whether it should fall or rise.
        """
        self._watched.begin(self.entries, "EarlyStopping")
        self._forget()

    def _forget(self) -> None:
        self.best = math.inf
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._waited = 0
        self.best_weights: list[LayerWeights] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Compare with the best; keep the weights or stop."""
        value = logs[self.monitor]
        if self._watched.better(value, None if self.best_epoch is None else self.best, self.min_delta):
            weights = self.network.get_weights() if self.restore_best_weights else None
            self.best, self.best_epoch, self._waited, self.best_weights = value, epoch, 0, weights
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
