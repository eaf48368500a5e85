"""The line of progress, for those who can give callbacks alone."""

from __future__ import annotations

from fastmlp.callbacks.base import Callback


class ProgressBar(Callback):
    """Show the line of progress, with epoch, losses, samples a second and time left, wherever `fit` runs.

    It does nothing itself: a `fit` that has one among its callbacks shows its own line, as with `verbose=True`, in a
    notebook or a file too, and once, whatever its `verbose` says. That is of use where callbacks can be given but
    `verbose` cannot, as by a scikit-learn estimator.
    """
