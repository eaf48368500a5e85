"""Fits of several estimators at once, each to the bits of its own fit; a search trains its candidates so.

An estimator begins its fit as always: it checks its arguments, draws its weights and splits off rows. Where its epochs
would begin, `fit_together` takes over, and a loop of kernels trains all networks. It does between the epochs what
`Conventions` does, as far as that needs no Python: the order of the rows, the loss, the accuracy of the rows that were
held out, and the test for convergence. Other fits are left to the estimators.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from fastmlp._data.array_feed import ArrayData
from fastmlp._engine.engine import engine_of
from fastmlp._engine.many_fits import Member, Stopping, Training, suits_one_thread, train_together
from fastmlp.history import History
from fastmlp.metrics.evaluation import select_metrics
from fastmlp.metrics.registry import METRICS
from fastmlp.sklearn.base import TAKE_OVER, CompiledMLP, StochasticFit
from fastmlp.sklearn.conventions import EpochOrders, warn_not_converged
from fastmlp.sklearn.estimators import MLPClassifier, MLPRegressor

_MOST = 2**62  # epochs; n_iter_no_change may be infinite


class PendingFit:
    """One fit of a set that `fit_together` trains.

    Parameters
    ----------
    estimator : estimator
        The estimator, which no other fit uses: `MLPClassifier`, `MLPRegressor`, or one around such a network.
    X, y : array-like
        The data.
    options : dict
        Other arguments of its `fit`, such as `sample_weight`.
    error : Exception, optional
        What has failed before the fit, and so fails in its place.

    Attributes
    ----------
    seconds : float or None
        The time of the fit, a share of the common time; None if it was not trained.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, options: Mapping[str, Any], error: Exception | None = None
    ) -> None:
        self.estimator, self.X, self.y, self.options, self.error = estimator, X, y, options, error
        self.seconds: float | None = None
        self._network: Any = None  # the estimator of fastmlp that is trained
        self._begun: StochasticFit | None = None
        self._failed = False

    def finish(self) -> bool:
        """Give the estimator its fitted attributes, with the warnings of its fit. Return False if it was not trained.

        Raises
        ------
        Exception
            The error of its fit.
        """
        if self.error is not None:
            raise self.error
        if self._begun is None:
            return False
        _conclude(self._network, self._begun, self._failed)
        return True


class _LeftToTheEstimator(Exception):
    """Raised where a fit would begin its epochs, if a common loop cannot run them."""


def fit_together(fits: Sequence[PendingFit]) -> None:
    """Train the estimators of fits. Those that a common loop cannot train are left as they were."""
    for fit in fits:
        _begin(fit)
    trained = [fit for fit in fits if fit._begun is not None]
    trainings = [_training(fit._network, fit._begun) for fit in trained if fit._begun is not None]
    if not trainings:
        return
    started = time.perf_counter()
    failed = train_together(trainings, verbose=False)
    seconds = time.perf_counter() - started
    costs = [_cost(each) for each in trainings]
    for fit, has_failed, cost in zip(trained, failed, costs, strict=True):
        fit._failed, fit.seconds = has_failed, (fit.seconds or 0.0) + seconds * cost / max(sum(costs), 1.0)


def _begin(fit: PendingFit) -> None:
    """Run the fit up to its first epoch."""
    if fit.error is not None or not _needs_no_python(network_of(fit.estimator)):
        return

    def take_over(estimator: Any, begun: StochasticFit) -> None:
        suits = suits_one_thread(engine_of(begun.compiled.network), begun.samples, len(begun.rows))
        if not suits or not _can_score(estimator, begun):
            raise _LeftToTheEstimator
        fit._network, fit._begun = estimator, begun

    started, token = time.perf_counter(), TAKE_OVER.set(take_over)
    try:
        fit.estimator.fit(fit.X, fit.y, **fit.options)
    except _LeftToTheEstimator:
        return
    except Exception as error:  # which belongs to this fit; the others go on
        fit.error = error
    finally:
        TAKE_OVER.reset(token)
    fit.seconds = time.perf_counter() - started


def network_of(estimator: Any) -> Any:
    """Return the estimator that is fitted last within pipelines and transformations of targets."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, TransformedTargetRegressor):
            estimator = estimator.regressor
        else:
            return estimator


def _needs_no_python(estimator: Any) -> bool:
    """Return whether kernels can do what the estimator does between two epochs."""
    if type(estimator) not in (MLPClassifier, MLPRegressor) or estimator.solver not in ("sgd", "adam"):
        return False
    if estimator.callbacks or estimator.verbose or estimator.progress_bar or estimator.warm_start:
        return False
    return estimator.solver == "adam" or estimator.optimizer is not None or estimator.learning_rate == "constant"


def _can_score(estimator: Any, begun: StochasticFit) -> bool:
    """Return whether kernels compute the score of early stopping to the bit.

    scikit-learn adds the terms of R² and of weighted accuracies in another order, and so with other last bits.
    """
    if begun.validation is None:
        return True
    if begun.held_out is None or estimator.scoring is not None or not isinstance(estimator, MLPClassifier):
        return False
    one_class = estimator._label_binarizer.y_type_ in ("binary", "multiclass")
    counts = "accuracy" in select_metrics(None, begun.compiled.network.architecture.loss)
    return one_class and counts and begun.samples.weights is None


def _training(estimator: CompiledMLP, begun: StochasticFit) -> Training:
    """Return what the common loop needs to know of a fit."""
    engine = engine_of(begun.compiled.network)
    early = begun.held_out is not None
    stopping = Stopping(
        "val_accuracy" if early else "loss",
        larger_is_better=early,
        min_delta=float(estimator.tol),
        patience=int(min(estimator.n_iter_no_change, _MOST)) + 1,
        restores=early or estimator.restore_best_weights,
        keeps_any_best=True,
    )
    member = Member(
        engine=engine,
        samples=begun.samples,
        rows=begun.rows,
        batch_size=begun.batch_size,
        epochs=begun.epochs,
        shuffle=False,
        validation=begun.held_out,
        metrics={"accuracy": METRICS["accuracy"]} if early else {},
        stopping=stopping,
        orders=EpochOrders(begun.rows, estimator._random_state) if estimator.shuffle else None,
        loss_factor=estimator._loss_factor(),
    )
    data = ArrayData(begun.samples, begun.rows)
    return Training(begun.compiled.network, member, data.identity(begun.batch_size))


def _cost(training: Training) -> float:
    """Return the multiplications of a fit, to share the time of the loop by."""
    history = training.network.history
    epochs = 0 if history is None else len(history.epoch)
    return float(epochs) * training.member.work.rows * training.network.architecture.parameters


def _conclude(estimator: Any, begun: StochasticFit, failed: bool) -> None:
    """Set the attributes that the fit would have set after each epoch and at its end."""
    network = begun.compiled.network
    recorded = network.history or History()
    losses, scores = recorded.history.get("loss", []), recorded.history.get("val_accuracy")
    estimator._refresh_weights()
    estimator.history_ = network.history = History({"loss": losses}, recorded.epoch, recorded.seconds)
    estimator.n_iter_, estimator.loss_curve_ = len(losses), [*losses]
    estimator.t_ += len(losses) * len(begun.rows)
    if losses:
        estimator.loss_ = losses[-1]
    if begun.held_out is not None:
        estimator.validation_scores_ = [*(scores or [])]
        estimator.best_validation_score_ = max([-np.inf, *estimator.validation_scores_])
    elif losses:
        estimator.best_loss_ = min(losses)
    if begun.held_out is not None or estimator.restore_best_weights:
        estimator._store_best_weights()
    values = losses if begun.held_out is None else [-score for score in estimator.validation_scores_]
    waited = estimator._no_improvement_count = _epochs_without_gain(values, estimator.tol)
    if failed:
        estimator._diverge(None)
    elif waited <= estimator.n_iter_no_change and len(losses) == estimator.max_iter:
        warn_not_converged(estimator.max_iter)


def _epochs_without_gain(values: Sequence[float], tol: float) -> int:
    """Return for how many epochs no value was lower than the lowest before it by more than `tol`."""
    lowest, waited = np.inf, 0
    for value in values:
        waited = waited + 1 if value > lowest - tol else 0
        lowest = min(lowest, value)
    return waited
