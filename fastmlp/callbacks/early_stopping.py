"""`EarlyStopping` ends a fit when a loss or metric no longer improves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fastmlp._runtime.checks import number, whole_number
from fastmlp._runtime.names import check_keywords
from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.monitoring import Mode, Monitor

if TYPE_CHECKING:
    from fastmlp._engine.engine import LayerWeights


class EarlyStopping(Callback):
    """Stop a fit when a loss or metric no longer improves, and restore the best weights.

    Parameters
    ----------
    monitor : str
        The entry of the history to monitor, such as "val_loss".
    patience : int
        The number of epochs without improvement after which the fit stops, at least 1.
    min_delta : float
        The smallest change that counts: only a change by more than `min_delta` is an improvement.
    restore_best_weights : bool
        Whether to restore the weights of the best epoch at the end of the fit.
    mode : {"auto", "min", "max"}
        Whether a smaller ("min") or a larger ("max") value is better. "auto" knows the direction of losses and of the
        metrics in `fastmlp.metrics.METRICS` by name. Set it for a metric function of your own.

    Attributes
    ----------
    best : float
        The best value of the current or last fit; infinity before the first epoch.
    best_epoch : int or None
        The epoch with the best value, counted from 0.
    best_weights : list or None
        The weights of that epoch, as `Network.get_weights` returns them. They are dropped when they are restored.
    stopped_epoch : int or None
        The epoch after which the callback stopped the fit; None if it did not.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an argument is out of range.

    Notes
    -----
    Each fit begins with a reset, also a fit that continues the training of a network from a file: the file holds
    neither the best value nor the number of epochs without improvement. `ModelCheckpoint` with `save_best_only` keeps
    the best network over all fits. A fit that ends by an exception, for example Ctrl-C, keeps its latest weights, so
    that the next fit can continue; `network.set_weights(early_stopping.best_weights)` restores the best ones.

    Examples
    --------
    >>> stopping = EarlyStopping(patience=5)
    >>> net.fit(X, y, epochs=500, validation_split=0.2, callbacks=[stopping])
    >>> stopping.best_epoch, stopping.best
    """

    @check_keywords
    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
        mode: Mode = "auto",
    ) -> None:
        self.monitor, self._monitor = monitor, Monitor(monitor, mode)
        self.patience = whole_number(patience, "patience")
        self.min_delta = number(min_delta, "min_delta")
        self.restore_best_weights = restore_best_weights
        self._reset()

    def on_train_begin(self) -> None:
        """Reset all attributes, and check that the fit has the entry to monitor.

        Raises
        ------
        ValueError
            If `monitor` is not an entry of this fit or the validation rows cannot measure it, or `mode` is "auto" and
            the direction of `monitor` is unknown.
        """
        self._monitor.begin(self)
        self._reset()

    def _reset(self) -> None:
        self.best = math.inf
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._epochs_without_improvement = 0
        self.best_weights: list[LayerWeights] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Compare the value with the best: store the weights if it is better, stop if patience is exhausted.

        Raises
        ------
        UndefinedScoreError
            If the value is NaN.
        """
        kept = "" if self.best_weights is None else f"; best_weights has the weights of epoch {self.best_epoch}"
        value = self._monitor.value(epoch, logs, kept)
        if self._monitor.better(value, None if self.best_epoch is None else self.best, self.min_delta):
            weights = self.network.get_weights() if self.restore_best_weights else None
            self.best, self.best_epoch, self.best_weights = value, epoch, weights
            self._epochs_without_improvement = 0
            return
        self._epochs_without_improvement += 1
        if self._epochs_without_improvement >= self.patience:
            self.stopped_epoch = epoch
            self.network.stop_training = True

    def on_train_end(self) -> None:
        """Restore the best weights."""
        if self.best_weights is not None:
            self.network.set_weights(self.best_weights)
            self.best_weights = None
