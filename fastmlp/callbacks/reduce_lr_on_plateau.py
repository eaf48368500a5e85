"""Lowering the learning rate where learning has come to a halt."""

from __future__ import annotations

from fastmlp._display.progress import print_over_progress
from fastmlp._runtime.checks import number, whole_number
from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.monitoring import Mode, Monitor
from fastmlp.schedules import Schedule


class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by a factor when a loss or metric has ceased to improve.

    The new rate is `network.learning_rate`, so a saved network holds it, and a fit that goes on learns at it. What was
    best, and how long it has been waited for better, is forgotten at the beginning of each fit. Give it before a
    `ModelCheckpoint`, which then saves the rate that the next epoch takes.

    Parameters
    ----------
    monitor : str
        What to watch, an entry of the history such as "val_loss".
    factor : float
        What the rate is multiplied by, greater than 0 and less than 1.
    patience : int
        After how many epochs without improvement, at least 1.
    min_delta : float
        What counts as an improvement must be greater than this.
    cooldown : int
        In which epoch after a reduction the waiting begins again, as in Keras: 0 and 1 both mean the next.
    min_lr : float
        The rate is not brought below this.
    mode : {"auto", "min", "max"}
        Whether what is watched should fall or rise, as for `EarlyStopping`.
    verbose : bool
        Whether to print a line at each reduction.

    Attributes
    ----------
    best : float or None
        The best value seen.
    reductions : dict of int to float
        The new rate after each epoch, counted from 0, that lowered it.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: Mode = "auto",
        verbose: bool | int = False,
    ) -> None:
        self.monitor, self._watched = monitor, Monitor(monitor, mode)
        self.factor = number(factor, "factor", below=1.0)
        if not self.factor:
            raise ValueError("factor must be greater than 0 and less than 1, got 0")
        self.patience, self.cooldown = whole_number(patience, "patience"), whole_number(cooldown, "cooldown", minimum=0)
        self.min_delta, self.min_lr = number(min_delta, "min_delta"), number(min_lr, "min_lr")
        self.verbose = verbose
        self._forget()

    def on_train_begin(self) -> None:
        """Forget earlier fits.

        Raises
        ------
        ValueError
            If there will be nothing of that name to watch, `mode` does not say whether it should fall or rise, or a
            schedule decides the learning rate.
        """
        self._watched.begin(self.entries, "ReduceLROnPlateau")
        rate = self.network.architecture.optimizer.learning_rate
        if isinstance(rate, Schedule):
            raise ValueError(
                f"ReduceLROnPlateau lowers a constant learning rate, but this network's follows {rate}; give its "
                "optimizer a number, or leave this callback out"
            )
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.reductions: dict[int, float] = {}
        self._waited = self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Compare with the best; wait or reduce."""
        if self._cooling:
            self._cooling -= 1
            self._waited = 0
        if self._watched.better(logs[self.monitor], self.best, self.min_delta):
            self.best, self._waited = logs[self.monitor], 0
        elif not self._cooling:
            self._waited += 1
            if self._waited >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        before = self.network.learning_rate
        if before <= self.min_lr:
            return
        rate = max(before * self.factor, self.min_lr)
        self.network.learning_rate = self.reductions[epoch] = rate
        self._cooling, self._waited = self.cooldown, 0
        if self.verbose:
            print_over_progress(
                f"epoch {epoch + 1}: learning rate {before:g} -> {rate:g}, {self.monitor} has ceased to improve"
            )
