"""`TimeLimit` ends a fit after a given time."""

from __future__ import annotations

import time

from fastmlp._runtime.checks import number
from fastmlp._runtime.names import check_keywords
from fastmlp.callbacks.base import Callback

GRACE = 1.0  # seconds after the limit in which the current epoch may still finish


class TimeLimit(Callback):
    """End a fit after a given time: with the current epoch, or within it if it takes more than another second.

    Parameters
    ----------
    seconds : float
        The time that each fit may take, at least 0.

    Attributes
    ----------
    over : bool
        Whether the limit was reached before the end of the current or last fit.

    Raises
    ------
    TypeError
        If `seconds` is not a number.
    ValueError
        If `seconds` is negative or not finite.

    Notes
    -----
    The time starts at `on_train_begin`. Checks of the data and the first compilation of kernels are not counted. The
    callback reads the clock about every 50 ms, or after a step that takes longer, and at the end of each epoch. This
    does not slow the steps down.

    If the current epoch does not finish within one second after the limit, the fit ends between two steps. This epoch
    is not in the history. The next fit on the same data finishes it first, with the same bits as a fit without a limit.
    There are two exceptions: an epoch of chunks starts again, and if `EarlyStopping` has restored the best weights, the
    epoch is finished from these. Validation, other callbacks and waiting for data are not interrupted.

    Examples
    --------
    >>> net.fit(X, y, epochs=10_000, callbacks=[TimeLimit(60)])
    """

    @check_keywords
    def __init__(self, seconds: float) -> None:
        self.seconds = number(seconds, "seconds")
        self.over = False
        self._deadline = 0.0

    def on_train_begin(self) -> None:
        """Start the time."""
        self.over, self._deadline = False, time.monotonic() + self.seconds

    def on_steps_end(self, batch: int) -> None:
        """Stop the fit if the time is over."""
        self._check_time()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Stop the fit if the time is over."""
        self._check_time()

    def _check_time(self) -> None:
        overtime = time.monotonic() - self._deadline
        if overtime >= 0:
            self.over = self.network.stop_training = True
        if overtime >= GRACE:
            self.network.stop_at_once = True
