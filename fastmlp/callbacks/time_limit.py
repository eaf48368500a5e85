"""A fit that must end in time."""

from __future__ import annotations

import time

from fastmlp._runtime.checks import number
from fastmlp.callbacks.base import Callback

GRACE = 1.0  # seconds that the epoch under way has to end by itself


class TimeLimit(Callback):
    """End the fit when its time is over: after the epoch under way, or within it where that takes a second more.

    The time begins with `on_train_begin`, so what comes before does not count: checks of the data, kernels that are
    compiled the first time. It is looked at every 50 ms or so, or after a step that takes longer, and at the end of
    each epoch; to look costs the steps nothing. Once it is over the epoch has one more second to end. If it does not,
    the fit ends between two steps: that epoch is not in the history, and the next fit on the same data finishes it
    first, with the bits of a fit without a limit (on chunks it begins anew; where `EarlyStopping` has given the best
    weights back, it is finished from those). Validation and other callbacks are not cut
    short, nor is a wait for data.

    Parameters
    ----------
    seconds : float
        How long a fit may take; each fit has so much.

    Attributes
    ----------
    over : bool
        Whether the time was over before the fit was.

    Raises
    ------
    ValueError, TypeError
        If it is no number of at least 0.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = number(seconds, "seconds")
        self.over = False
        self._end = 0.0

    def on_train_begin(self) -> None:
        """The time begins."""
        self.over, self._end = False, time.monotonic() + self.seconds

    def on_steps_end(self, batch: int) -> None:
        """Look at the clock."""
        self._look()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Look at the clock."""
        self._look()

    def _look(self) -> None:
        late = time.monotonic() - self._end
        if late >= 0:
            self.over = self.network.stop_training = True
        if late >= GRACE:
            self.network.stop_at_once = True
