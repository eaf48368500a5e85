"""`ReduceLROnPlateau` lowers the learning rate when a loss or metric no longer improves."""

from __future__ import annotations

from fastmlp._display.progress import print_over_progress
from fastmlp._runtime.checks import number, whole_number
from fastmlp._runtime.names import check_keywords
from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.monitoring import Mode, Monitor
from fastmlp.schedules import Schedule


class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by a factor when a loss or metric no longer improves.

    Parameters
    ----------
    monitor : str
        The entry of the history to monitor, such as "val_loss".
    factor : float
        The factor, greater than 0 and less than 1.
    patience : int
        The number of epochs without improvement after which the rate is lowered, at least 1.
    min_delta : float
        The smallest change that counts: only a change by more than `min_delta` is an improvement.
    cooldown : int
        The epoch after a reduction in which counting epochs without improvement begins again. As in Keras, 0 and 1 both
        mean the next epoch.
    min_lr : float
        The lower limit of the rate.
    mode : {"auto", "min", "max"}
        Whether a smaller ("min") or a larger ("max") value is better. "auto" knows the direction of losses and of the
        metrics in `fastmlp.metrics.METRICS` by name. Set it for a metric function of your own.
    verbose : bool
        Whether to print a line at each reduction.

    Attributes
    ----------
    best : float or None
        The best value of the current or last fit; None before the first epoch.
    reductions : dict of int to float
        From each epoch, counted from 0, that ended with a reduction, to the new rate.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an argument is out of range.

    Notes
    -----
    The new rate is set as `network.learning_rate`. A saved network therefore holds it, and a later fit continues with
    it. The best value and the number of epochs without improvement are reset at the beginning of each fit. Place this
    callback before a `ModelCheckpoint`, which then saves the rate of the next epoch.

    Examples
    --------
    >>> plateau = ReduceLROnPlateau(factor=0.5, patience=5, min_lr=1e-5)
    >>> net.fit(X, y, epochs=200, validation_split=0.2, callbacks=[plateau])
    >>> plateau.reductions
    """

    @check_keywords
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
        self.monitor, self._monitor = monitor, Monitor(monitor, mode)
        self.factor = number(factor, "factor", below=1.0)
        if not self.factor:
            raise ValueError("factor must be greater than 0 and less than 1, got 0")
        self.patience, self.cooldown = whole_number(patience, "patience"), whole_number(cooldown, "cooldown", minimum=0)
        self.min_delta, self.min_lr = number(min_delta, "min_delta"), number(min_lr, "min_lr")
        self.verbose = verbose
        self._reset()

    def on_train_begin(self) -> None:
        """Reset all attributes, and check that the fit has the entry to monitor and a constant learning rate.

        Raises
        ------
        ValueError
            If `monitor` is not an entry of this fit or the validation rows cannot measure it, `mode` is "auto" and the
            direction of `monitor` is unknown, or the learning rate follows a schedule or does not exist.
        """
        self._monitor.begin(self)
        rate = self.network.architecture.step_optimizer.learning_rate
        if isinstance(rate, Schedule):
            raise ValueError(
                f"ReduceLROnPlateau needs a constant learning rate, but the rate of this network follows {rate}; give "
                "its optimizer a number, or remove this callback"
            )
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.reductions: dict[int, float] = {}
        self._epochs_without_improvement = self._cooldown_left = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Compare the value with the best, and lower the rate if patience is exhausted.

        Raises
        ------
        UndefinedScoreError
            If the value is NaN.
        """
        value = self._monitor.value(epoch, logs)
        if self._cooldown_left:
            self._cooldown_left -= 1
            self._epochs_without_improvement = 0
        if self._monitor.better(value, self.best, self.min_delta):
            self.best, self._epochs_without_improvement = value, 0
        elif not self._cooldown_left:
            self._epochs_without_improvement += 1
            if self._epochs_without_improvement >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        old_rate = self.network.learning_rate
        if old_rate <= self.min_lr:
            return
        rate = max(old_rate * self.factor, self.min_lr)
        self.network.learning_rate = self.reductions[epoch] = rate
        self._cooldown_left, self._epochs_without_improvement = self.cooldown, 0
        if self.verbose:
            print_over_progress(
                f"epoch {epoch + 1}: learning rate {old_rate:g} -> {rate:g}, {self.monitor} no longer improves"
            )
