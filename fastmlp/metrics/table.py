"""The metrics that can be asked for by name: one table of what each reads and where it should go; and a user's own.

What a metric reads depends on the kind of a loss's targets, which is the other table here.
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import losses
from fastmlp._runtime.checks import lookup
from fastmlp.losses import Loss
from fastmlp.metrics import classification, probabilities, regression
from fastmlp.metrics.arrays import columns_of

MetricFunction: TypeAlias = Callable[..., float]
Reading: TypeAlias = Literal["labels", "ranking", "scores", "probabilities", "numbers"]


@dataclass(frozen=True)
class Metric:
    """A metric with a name.

    Parameters
    ----------
    function : function
        Of the true values, the predicted ones and the weights; its name is the metric's.
    reads : {"labels", "ranking", "scores", "probabilities", "numbers"}
        What it is given: labels called from the predictions; the scores of all classes beside one another; those of a
        class against the rest; true and predicted probabilities; y and the predictions as they are.
    rises : bool
        Whether larger is better.
    macro : bool
        Whether it is told to average over the classes where there are more than two.
    """

    function: MetricFunction
    reads: Reading
    rises: bool = False
    macro: bool = False

    @property
    def name(self) -> str:
        """What it is asked for by."""
        return self.function.__name__


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(classification.accuracy, "labels", rises=True),
        Metric(probabilities.top_k_accuracy, "ranking", rises=True),
        Metric(classification.precision, "labels", rises=True, macro=True),
        Metric(classification.recall, "labels", rises=True, macro=True),
        Metric(classification.f1, "labels", rises=True, macro=True),
        Metric(probabilities.roc_auc, "scores", rises=True),
        Metric(probabilities.log_loss, "probabilities"),
        Metric(regression.mean_squared_error, "numbers"),
        Metric(regression.root_mean_squared_error, "numbers"),
        Metric(regression.mean_absolute_error, "numbers"),
        Metric(regression.r2, "numbers", rises=True),
        Metric(regression.pearson, "numbers", rises=True),
    )
}


@dataclass(frozen=True)
class Kind:
    """What can be measured of targets of one kind.

    Parameters
    ----------
    usual : tuple of str
        The metrics that are given when none are asked for.
    offers : tuple of str
        What metrics may read.
    positive : function or None
        Of an array, which elements stand for class 1, where each output stands for itself; None where the outputs are
        classes of which one is right, or numbers.
    """

    usual: tuple[str, ...]
    offers: tuple[Reading, ...]
    positive: Callable[[NDArray[Any]], NDArray[np.bool_]] | None = None


def _at_least_half(values: NDArray[Any]) -> NDArray[np.bool_]:
    return values >= 0.5


KINDS: dict[str, Kind] = {
    "classes": Kind(("accuracy",), ("labels", "ranking", "scores", "probabilities")),
    "binary": Kind(("accuracy",), ("labels", "scores", "probabilities", "numbers"), positive=_at_least_half),
    "signs": Kind(("accuracy",), ("labels", "scores"), positive=lambda v: v > 0),
    "values": Kind(("mean_absolute_error", "r2"), ("numbers",)),
    "counts": Kind(("mean_absolute_error", "r2"), ("numbers",)),
}
"""By the kinds of targets that losses take."""

SelectedMetrics: TypeAlias = Mapping[str, Metric | MetricFunction]
"""What will be measured, by the names of the entries."""


def select_metrics(asked: Iterable[str | MetricFunction] | None, loss: Loss) -> dict[str, Metric | MetricFunction]:
    """The metrics that were asked for, or those that suit the loss.

    Parameters
    ----------
    asked : iterable of str or function, or None
        As `metrics` of `evaluate`.
    loss : Loss
        Its kind of targets decides what can be measured.

    Raises
    ------
    ValueError
        If a name is unknown, occurs twice or is "loss", or a metric does not suit the targets.
    TypeError
        If it is no list, or an entry is neither a name nor a function with a name.
    """
    kind = KINDS[loss.targets]
    if asked is None:
        return {name: METRICS[name] for name in kind.usual}
    if isinstance(asked, str) or not isinstance(asked, Iterable):
        raise TypeError(f"metrics must be a list of names and functions such as ['accuracy'], got {asked!r}")
    chosen: dict[str, Metric | MetricFunction] = {}
    for each in asked:
        name, metric = _find(each)
        if name in chosen or name == "loss":
            taken = "is the loss's" if name == "loss" else "is there twice"
            raise ValueError(f"metrics must have names of their own, but {name!r} {taken}")
        if isinstance(metric, Metric) and metric.reads not in kind.offers:
            suitable = ", ".join(other.name for other in METRICS.values() if other.reads in kind.offers)
            raise ValueError(f"metric {name!r} does not suit {loss.name}; there are: {suitable}")
        chosen[name] = metric
    return chosen


def called_classes(predictions: NDArray[Any], loss: Loss) -> NDArray[np.intp]:
    """The class of each row of predictions (n, outputs), (n,); 0 or 1 for each output that stands for itself."""
    positive = KINDS[loss.targets].positive
    if predictions.shape[1] == 1:
        return (positive or _at_least_half)(predictions[:, 0]).astype(np.intp)
    return positive(predictions).astype(np.intp) if positive else predictions.argmax(axis=1)


def room(chosen: SelectedMetrics, predictions: int, dtype: np.dtype[Any]) -> int:
    """How many bytes the metrics of so many predicted numbers take beside them, as measured; the users' own unknown."""
    bytes_each = {"labels": 12, "ranking": 13, "scores": 10, "probabilities": 24, "numbers": 48 - 4 * dtype.itemsize}
    return predictions * max((bytes_each[metric.reads] for metric in of_table(chosen).values()), default=0)


def of_table(chosen: SelectedMetrics) -> dict[str, Metric]:
    """Those of the table, without a user's functions."""
    return {name: metric for name, metric in chosen.items() if isinstance(metric, Metric)}


def evaluate(
    loss: str | Loss,
    y: ArrayLike,
    predictions: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    metrics: Iterable[str | MetricFunction] | None = None,
) -> dict[str, float]:
    """Metrics of what a network predicts.

    Each output of a binary cross-entropy counts by itself, against 1/2, and the outputs by their plain mean. Of two
    classes class 1 is the positive one; of more, precision, recall and F1 are plain means over those that occur, and
    ROC AUC over all.

    Parameters
    ----------
    loss : str or Loss
        The network's loss, which says what y and the predictions mean.
    y : array-like
        Targets as `Network.fit` takes them: labels (n,) or rows (n, outputs). Rows of class probabilities count as
        their most probable class, except in the log loss.
    predictions : array-like of shape (n, outputs)
        What `Network.predict` returns.
    sample_weight : array-like of shape (n,), optional
        Weights; None weighs all alike.
    metrics : iterable of str or function, optional
        Names of `METRICS`, the functions of this package, or your own: `f(y, predictions)` returns a finite number and
        its `__name__` is that of the entry. It gets y and the predictions as they stand above, read-only, and if it has
        a parameter `sample_weight` the weights or None; if it has not, it sees the rows unweighted. None takes
        "accuracy" where the targets are classes, and "mean_absolute_error" and "r2" where they are numbers.

    Returns
    -------
    dict of str to float
        In the order asked.

    Raises
    ------
    ValueError, TypeError
        As in `choose`, as in the metrics themselves, or if a function of yours returns no finite number.
    """
    found, given = losses.resolve(loss), np.asarray(predictions)
    if given.ndim != 2:
        raise ValueError(f"predictions must have shape (n, outputs), got {given.shape}")
    weights = None if sample_weight is None else np.asarray(sample_weight)
    return measure(select_metrics(metrics, found), found, np.asarray(y), given, weights)


def measure(
    chosen: SelectedMetrics,
    loss: Loss,
    y: NDArray[Any],
    predictions: NDArray[Any],
    sample_weight: NDArray[Any] | None,
) -> dict[str, float]:
    """The values of metrics that `choose` gave; parameters and errors as in `evaluate`."""
    kind, y, predictions = KINDS[loss.targets], _read_only(y), _read_only(predictions)
    weights = None if sample_weight is None else _read_only(sample_weight)
    values: dict[str, float] = {}
    for name, metric in chosen.items():
        if isinstance(metric, Metric):
            values[name] = _value(metric, kind, y, predictions, weights)
        else:
            values[name] = _value_of_user(name, metric, y, predictions, weights)
    return values


def _find(each: object) -> tuple[str, Metric | MetricFunction]:
    """The name of an entry and what gives it."""
    if isinstance(each, str):
        return each, lookup(each, Metric, METRICS, "metric")
    name = getattr(each, "__name__", None)
    if not callable(each) or name is None:
        raise TypeError(f"a metric must be a name or a function with a __name__, got {each!r}")
    known = METRICS.get(name)
    return (name, known) if known is not None and known.function is each else (name, each)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _value_of_user(
    name: str, function: MetricFunction, y: NDArray[Any], predictions: NDArray[Any], weights: NDArray[Any] | None
) -> float:
    value = function(y, predictions, **({"sample_weight": weights} if _takes_weights(function) else {}))
    if not isinstance(value, numbers.Real):
        got = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
        raise TypeError(f"metric {name!r} must return a number, got {got} of type {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"metric {name!r} must return a finite number, got {value}")
    return float(value)


def _takes_weights(function: MetricFunction) -> bool:
    try:
        return "sample_weight" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function of C that does not tell
        return False


def _value(
    metric: Metric, kind: Kind, y: NDArray[Any], predictions: NDArray[Any], weights: NDArray[Any] | None
) -> float:
    several = kind.positive is None and predictions.shape[1] > 2
    options = {"average": "macro"} if metric.macro and several else {}
    views = _views(metric.reads, kind, y, predictions)
    with np.errstate(all="ignore"):  # predictions may be huge; infinity and NaN are answers
        return float(np.mean([metric.function(true, pred, weights, **options) for true, pred in views]))


def _views(
    reads: Reading, kind: Kind, y: NDArray[Any], predictions: NDArray[Any]
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """What the metric's function gets: one pair, or one for each output that stands for itself."""
    if reads == "numbers":
        return [(y, predictions)]
    if kind.positive is None:
        return [_view_of_classes(reads, y, predictions)]
    columns_of(y, predictions)  # the shapes match
    pairs = zip(y.reshape(predictions.shape).T, predictions.T, strict=True)
    if reads == "probabilities":
        return list(pairs)
    called = [(kind.positive(true), pred) for true, pred in pairs]
    return called if reads == "scores" else [(true, kind.positive(pred)) for true, pred in called]


def _view_of_classes(reads: Reading, y: NDArray[Any], predictions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    if reads == "probabilities":
        return y, predictions
    labels = y if y.ndim == 1 else y.argmax(axis=1)
    if reads == "labels":
        return labels, predictions.argmax(axis=1)
    return labels, predictions[:, 1] if reads == "scores" and predictions.shape[1] == 2 else predictions
