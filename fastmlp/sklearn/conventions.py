"""What scikit-learn does between the epochs of a stochastic fit, as a callback of ours.

Its random draws, its loss of an epoch, its learning rates, its watch for what no longer improves. Decisions are left to
the estimator's own methods and to scikit-learn's optimizer objects, which hold no parameters here.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fastmlp.callbacks import Callback


class EpochLoss:
    """The loss that scikit-learn reports: the mean of the batches' losses, each by its number of rows.

    Parameters
    ----------
    samples, batch_size : int
        Rows of an epoch and of a batch.
    share : float
        What of the data's loss is told: of squared errors the mean over the outputs, though their sum is learned.
    """

    def __init__(self, samples: int, batch_size: int, share: float) -> None:
        self.samples, self.batch_size, self.share = samples, batch_size, share
        self._sum = 0.0

    def __call__(self, results: NDArray[np.float64], first_batch: int, steps_per_epoch: int) -> list[float]:
        """The loss of the epoch that ends with these steps, if one does; there is at most one."""
        last, total = steps_per_epoch - 1, self._sum if first_batch else 0.0
        for batch, result in enumerate(results.tolist(), first_batch):
            rows = self.batch_size if batch < last else self.samples - last * self.batch_size
            weight = result["weight_sum"]
            data = result["loss_sum"] / weight if weight > 0 else 0.0
            total += rows * (self.share * data + result["penalty"])
        self._sum = total
        return [total / self.samples] if first_batch + len(results) == steps_per_epoch else []


class Conventions(Callback):
    """One stochastic fit as the estimator's scikit-learn would do it.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Whose fitted attributes grow with the epochs.
    rows : ndarray of int64
        The rows that train, which are put into the order of each epoch.
    validation : tuple or None
        (X, y, sample_weight) that early stopping scores.
    incremental : bool
        Whether this is partial_fit: one epoch, no end to be reached.
    """

    every_steps = 0

    def __init__(self, estimator: Any, rows: NDArray[np.int64], validation: Any, incremental: bool) -> None:
        self.estimator, self.rows, self.validation, self.incremental = estimator, rows, validation, incremental
        self._training = rows.copy()
        self._order = np.arange(len(rows))
        self._restoring = estimator.restore_best_weights and validation is None
        self._least = np.inf
        self._rate = estimator._optimizer.learning_rate

    def on_train_begin(self) -> None:
        """What an earlier fit remembers as its best is not of this one."""
        if self._restoring:
            self.estimator._store_best_weights()

    def on_epoch_begin(self, epoch: int) -> None:
        """Shuffle, on top of the last shuffle, as `sklearn.utils.shuffle` draws."""
        if self.estimator.shuffle:
            drawn = np.arange(len(self.rows))
            self.estimator._random_state.shuffle(drawn)
            self._order = self._order[drawn]
            self.rows[:] = self._training[self._order]

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Count and tell the epoch; stop, or slow down, where it improved nothing."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += len(self.rows)
        estimator.loss_ = logs["loss"]
        estimator.loss_curve_.append(estimator.loss_)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if self.validation is not None or self._restoring or estimator.callbacks:  # who copy the estimator, say
            estimator._refresh_weights()
        estimator._update_no_improvement_count(self.validation is not None, *(self.validation or (None, None, None)))
        if self._restoring and estimator.loss_ < self._least:
            self._least = estimator.loss_
            estimator._store_best_weights()
        estimator._optimizer.iteration_ends(estimator.t_)
        stopping = estimator._no_improvement_count > estimator.n_iter_no_change and self._stop()
        self._follow_rate()
        if not (stopping or self.incremental) and estimator.n_iter_ == estimator.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )

    def _stop(self) -> bool:
        """Ask scikit-learn's optimizer whether to stop or to take smaller steps."""
        estimator = self.estimator
        what = "Training loss" if self.validation is None else "Validation score"
        waited = f"for {estimator.n_iter_no_change} consecutive epochs."
        message = f"{what} did not improve more than tol={estimator.tol:f} {waited}"
        stopping: bool = estimator._optimizer.trigger_stopping(message, estimator.verbose)
        if stopping:
            self.network.stop_training = True
        else:
            estimator._no_improvement_count = 0
        return stopping

    def _follow_rate(self) -> None:
        """Let the network take the learning rate where scikit-learn's SGD has changed it; a callback's stays else."""
        rate = self.estimator._optimizer.learning_rate
        if rate != self._rate:
            self._rate = self.network.learning_rate = rate
