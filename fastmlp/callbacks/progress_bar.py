"""`ProgressBar` shows the progress line where `verbose` cannot be passed to `fit`."""

from __future__ import annotations

from fastmlp.callbacks.base import Callback


class ProgressBar(Callback):
    """Show the progress line of a fit: epoch, losses, samples per second and remaining time.

    The callback itself does nothing. A `fit` that finds one among its callbacks shows its progress once, for any value
    of `verbose`, and into a file a line for each epoch. Use it where callbacks can be passed but `verbose` cannot, as
    in a scikit-learn estimator.

    Examples
    --------
    >>> net.fit(X, y, epochs=50, callbacks=[ProgressBar()])
    """

    _shows_progress = True
