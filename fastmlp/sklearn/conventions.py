"""What scikit-learn does between the epochs of a stochastic fit, as a callback.

That is shuffling with its random draws, its loss of an epoch, its learning rates and its test for convergence. The
decisions are left to the methods of the estimator and to scikit-learn's optimizer objects, which hold no weights here.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastmlp.callbacks import Callback, UndefinedScoreError


class EpochLoss:
    """The loss that scikit-learn reports: the mean of the losses of the batches, weighted by their number of rows.

    Batches without weight have no loss and do not count.

    Parameters
    ----------
    samples : int
        The number of rows of an epoch.
    batch_size : int
        The number of rows of a batch.
    loss_factor : float
        The reported loss of the data is multiplied by this factor, the learned loss is not.
    """

    def __init__(self, samples: int, batch_size: int, loss_factor: float) -> None:
        self.samples, self.batch_size, self.loss_factor = samples, batch_size, loss_factor
        self._sum, self._rows = 0.0, 0  # over the steps of the epoch so far

    def __call__(self, results: NDArray[Any], first_batch: int, steps_per_epoch: int) -> list[float]:
        """Return the loss of the epoch that ends with these steps, an empty list if none does."""
        last, (total, counted) = steps_per_epoch - 1, (self._sum, self._rows) if first_batch else (0.0, 0)
        columns = [results[name].tolist() for name in ("loss_sum", "weight_sum", "penalty")]
        for batch, (loss_sum, weight_sum, penalty) in enumerate(zip(*columns, strict=True), first_batch):
            rows = self.batch_size if batch < last else self.samples - last * self.batch_size
            if weight_sum > 0:
                total += rows * (self.loss_factor * (loss_sum / weight_sum) + penalty)
                counted += rows
        self._sum, self._rows = total, counted
        return [total / counted if counted else np.nan] if first_batch + len(results) == steps_per_epoch else []


class EpochOrders:
    """The orders of the rows in the epochs of a fit, with the draws of `sklearn.utils.shuffle`.

    Each order is a shuffle of the one before.

    Parameters
    ----------
    rows : ndarray of int64
        The indices of the training rows.
    generator : RandomState
        Makes the draws.
    """

    def __init__(self, rows: NDArray[np.int64], generator: Any) -> None:
        self._rows, self._generator, self._order = rows.copy(), generator, np.arange(len(rows))
        self._drawn = 0
        self._before: tuple[NDArray[np.int64], Any] = self._order, None

    def next(self) -> NDArray[np.int64]:
        """Return the rows in the order of the next epoch."""
        permutation = np.arange(len(self._rows))
        self._generator.shuffle(permutation)
        self._order = self._order[permutation]
        return self._rows[self._order]

    def draw(self, epochs: int) -> NDArray[np.int64]:
        """Return the orders of the next epochs, (epochs, rows)."""
        self._drawn, self._before = epochs, (self._order, self._generator.get_state(legacy=False))
        return np.stack([self.next() for _ in range(epochs)])

    def keep(self, epochs: int) -> None:
        """Take back the draws of all epochs that were drawn last but so many.

        NumPy's global generator keeps them, because other estimators draw from it, too.
        """
        if epochs == self._drawn or self._generator is check_random_state(None):
            return
        self._order, state = self._before
        self._generator.set_state(state)
        for _ in range(epochs):
            self.next()


class Conventions(Callback):
    """Make a stochastic fit follow the conventions of scikit-learn.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The estimator. Its fitted attributes are updated after each epoch.
    rows : ndarray of int64
        The indices of the training rows. They are shuffled in place before each epoch.
    validation : tuple or None
        The data (X, y, sample_weight) that early stopping scores.
    incremental : bool
        Whether `partial_fit` is the caller: it runs one epoch and does not warn that training has not converged.
    """

    every_steps = 0

    def __init__(self, estimator: Any, rows: NDArray[np.int64], validation: Any, incremental: bool) -> None:
        self.estimator, self.rows, self.validation, self.incremental = estimator, rows, validation, incremental
        self._orders = EpochOrders(rows, estimator._random_state)
        self._stores_best = estimator.restore_best_weights and validation is None
        self._lowest_loss = np.inf
        self._rate = estimator._optimizer.learning_rate

    def on_train_begin(self) -> None:
        """Replace the best weights of an earlier fit by the current weights."""
        if self._stores_best:
            self.estimator._store_best_weights()

    def on_epoch_begin(self, epoch: int) -> None:
        """Shuffle the rows, beginning with the last order, with the draws of `sklearn.utils.shuffle`."""
        self.estimator._training_began = True
        if self.estimator.shuffle:
            self.rows[:] = self._orders.next()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Update the fitted attributes and print the loss; without improvement stop or lower the learning rate."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += len(self.rows)
        estimator.loss_ = logs["loss"]
        estimator.loss_curve_.append(estimator.loss_)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if self.validation is not None or self._stores_best or estimator.callbacks:  # callbacks may copy the estimator
            estimator._refresh_weights()
        estimator._update_no_improvement_count(self.validation is not None, *(self.validation or (None, None, None)))
        if self.validation is not None and np.isnan(estimator.validation_scores_[-1]):
            self._end_without_score(self.validation[0])
            return
        if self._stores_best and estimator.loss_ < self._lowest_loss:
            self._lowest_loss = estimator.loss_
            estimator._store_best_weights()
        estimator._optimizer.iteration_ends(estimator.t_)
        stopping = estimator._no_improvement_count > estimator.n_iter_no_change and self._stop()
        self._follow_rate()
        if not (stopping or self.incremental) and estimator.n_iter_ == estimator.max_iter:
            warn_not_converged(estimator.max_iter)

    def _end_without_score(self, X: Any) -> None:
        """Stop the fit with a warning if the predictions have diverged; otherwise the score is undefined, an error."""
        estimator = self.estimator
        kept = "the best weights before it are kept"
        if np.isfinite(estimator._forward_pass_fast(X, check_input=False)).all():
            raise UndefinedScoreError(f"the validation score is NaN after iteration {estimator.n_iter_}; {kept}")
        warnings.warn(
            f"The predictions of validation samples became NaN or infinite in iteration {estimator.n_iter_}; {kept}.",
            ConvergenceWarning,
            stacklevel=2,
        )
        self.network.stop_training = True

    def _stop(self) -> bool:
        """Return whether scikit-learn's optimizer stops the fit; otherwise it may lower its learning rate."""
        estimator = self.estimator
        what = "Training loss" if self.validation is None else "Validation score"
        duration = f"for {estimator.n_iter_no_change} consecutive epochs."
        message = f"{what} did not improve more than tol={estimator.tol:f} {duration}"
        stopping: bool = estimator._optimizer.trigger_stopping(message, estimator.verbose)
        if stopping:
            self.network.stop_training = True
        else:
            estimator._no_improvement_count = 0
        return stopping

    def _follow_rate(self) -> None:
        """Set the learning rate of the network if scikit-learn's SGD has changed its own, else keep the network's."""
        rate = self.estimator._optimizer.learning_rate
        if rate != self._rate:
            self._rate = self.network.learning_rate = rate


def warn_not_converged(max_iter: int) -> None:
    """Warn, in the words of scikit-learn, of a fit that ended by its last iteration."""
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=2,
    )
