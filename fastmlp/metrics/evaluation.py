"""Measure predictions by several metrics: select the metrics that suit a loss, then give each the input that it reads.

`evaluate` is for users. Networks call `select_metrics` before they train, so that a metric that does not suit the loss
is refused first, and `measure` when the predictions are there.
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import losses
from fastmlp._runtime.checks import lookup
from fastmlp.losses import Loss
from fastmlp.metrics.checks import check_outputs, check_weights
from fastmlp.metrics.registry import (
    METRICS,
    NOTHING_TO_COMPARE,
    TARGET_KINDS,
    Metric,
    MetricFunction,
    MetricInput,
    TargetKind,
    at_least_half,
)
from fastmlp.metrics.undefined import Undefined

SelectedMetrics: TypeAlias = Mapping[str, Metric | MetricFunction]
"""The metrics to measure, by name: entries of `METRICS` and functions of the user."""


def evaluate(
    loss: str | Loss,
    y: ArrayLike,
    predictions: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    metrics: Iterable[str | MetricFunction] | None = None,
) -> dict[str, float]:
    """Measure the predictions of a network by metrics.

    With binary cross-entropy each output is a decision of its own, compared with 1/2; a metric is the plain mean over
    the outputs. With two classes, class 1 is the positive class. With more classes, precision, recall and F1 are plain
    means over the classes that occur in y or in the predictions, and ROC AUC is the plain mean over all classes.

    Parameters
    ----------
    loss : str or Loss
        The loss of the network. It determines what y and the predictions mean.
    y : array-like
        Targets as in `Network.fit`: labels (n,) or rows (n, outputs). A row of class probabilities counts as its most
        probable class, except in the log loss.
    predictions : array-like of shape (n, outputs)
        The result of `Network.predict`.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.
    metrics : iterable of str or function, optional
        Names of `METRICS`, functions of this package, or functions of your own. `f(y, predictions)` gets y and the
        predictions read-only and returns a finite number; its `__name__` is the key in the result. If it has a
        parameter `sample_weight`, it gets the weights or None; otherwise it sees the rows without weights. None
        measures "accuracy" if the targets are classes, "mean_absolute_error" and "r2" if they are numbers.

    Returns
    -------
    dict of str to float
        The value of each metric by name, in the order of `metrics`.

    Raises
    ------
    ValueError
        If the loss or a metric is unknown, a metric is given twice or does not suit the loss, a shape or a value does
        not suit a metric, or a function of yours returns NaN or infinity.
    TypeError
        If `metrics` is not a list of names and functions, or a function of yours does not return a number.

    Examples
    --------
    >>> from fastmlp.metrics import evaluate
    >>> predictions = [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]]
    >>> evaluate("categorical_crossentropy", [0, 1, 1, 1], predictions, metrics=["accuracy", "recall"])
    {'accuracy': 0.75, 'recall': 0.6666666666666666}
    """
    resolved, given = losses.resolve(loss), np.asarray(predictions)
    if given.ndim != 2:
        raise ValueError(f"predictions must have shape (n, outputs), got {given.shape}")
    weights = None if sample_weight is None else np.asarray(sample_weight)
    return measure(select_metrics(metrics, resolved), resolved, np.asarray(y), given, weights)


def select_metrics(requested: Iterable[str | MetricFunction] | None, loss: Loss) -> dict[str, Metric | MetricFunction]:
    """Return the requested metrics by name, or the default metrics of the loss.

    Parameters
    ----------
    requested : iterable of str or function, or None
        Names of `METRICS`, functions of this package, or functions of the user; None selects the defaults.
    loss : Loss
        The loss of the network. Its kind of targets determines which metrics can be measured.

    Raises
    ------
    ValueError
        If a name is unknown, occurs twice or is "loss", or a metric does not suit the targets.
    TypeError
        If `requested` is not a list, or an entry is neither a name nor a function with a name.
    """
    kind = TARGET_KINDS[loss.targets] if loss.has_estimates else NOTHING_TO_COMPARE
    if requested is None:
        return {name: METRICS[name] for name in kind.default_metrics}
    if isinstance(requested, str) or not isinstance(requested, Iterable):
        raise TypeError(f"metrics must be a list of names and functions such as ['accuracy'], got {requested!r}")
    selected: dict[str, Metric | MetricFunction] = {}
    for entry in requested:
        name, metric = _resolve(entry)
        if name == "loss":
            raise ValueError("a metric must not be named 'loss', which is the name of the loss; rename the function")
        if name in selected:
            raise ValueError(f"metrics must have different names, but {name!r} is given twice")
        if isinstance(metric, Metric) and metric.reads not in kind.readable:
            suitable = ", ".join(other.name for other in METRICS.values() if other.reads in kind.readable)
            suitable = suitable or "functions of y and the predictions"
            raise ValueError(f"metric {name!r} does not suit the loss {loss.name}; metrics that do: {suitable}")
        selected[name] = metric
    return selected


def measure(
    selected: SelectedMetrics,
    loss: Loss,
    y: NDArray[Any],
    predictions: NDArray[Any],
    sample_weight: NDArray[Any] | None,
) -> dict[str, float]:
    """Return the value of each selected metric by name.

    Parameters
    ----------
    selected : mapping
        The result of `select_metrics`.
    loss : Loss
        The loss of the network. It determines what y and the predictions mean.
    y : array of shape (n,) or (n, outputs)
        Targets: labels or rows.
    predictions : array of shape (n, outputs)
        The outputs of the network.
    sample_weight : array of shape (n,) or None
        Weights of the samples; None gives all samples the same weight.

    Raises
    ------
    ValueError
        If a shape or a value does not suit a metric, or a function of the user returns NaN or infinity.
    TypeError
        If a function of the user does not return a number.
    """
    kind, y, predictions = TARGET_KINDS[loss.targets], _read_only(y), _read_only(predictions)
    weights = None if sample_weight is None else _read_only(sample_weight)
    estimates = predictions[:, loss.estimates(predictions.shape[1])]
    values: dict[str, float] = {}
    for name, metric in selected.items():
        if isinstance(metric, Metric):
            values[name] = _value(metric, kind, y, estimates, weights)
        else:
            values[name] = _value_of_user_function(name, metric, y, predictions, weights)
    return values


def undefined_metrics(
    selected: SelectedMetrics, loss: Loss, y: NDArray[Any], outputs: int, sample_weight: NDArray[Any] | None
) -> dict[str, Undefined]:
    """Return the selected metrics of `METRICS` that cannot tell good predictions of these samples from bad ones.

    A metric that is a mean over the outputs is undefined if it is NaN for one output, or undefined for all of them.

    Parameters
    ----------
    selected : mapping
        The result of `select_metrics`.
    loss : Loss
        The loss of the network. It determines what y means.
    y : array of shape (n,) or (n, outputs)
        Targets: labels or rows.
    outputs : int
        The number of outputs of the network.
    sample_weight : array of shape (n,) or None
        Weights of the samples; None gives all samples the same weight.
    """
    kind, weights = TARGET_KINDS[loss.targets], check_weights(sample_weight, len(y))
    predictions = np.broadcast_to(np.float64(0), (len(y), outputs))[:, loss.estimates(outputs)]
    undefined: dict[str, Undefined] = {}
    for name, metric in built_in_metrics(selected).items():
        if metric.undefined is None or (metric.macro and _has_several_classes(kind, predictions)):
            continue
        found = [metric.undefined(*pair, weights) for pair in _inputs(metric.reads, kind, y, predictions)]
        reasons = [each for each in found if each is not None]
        without_value = [each for each in reasons if math.isnan(each.value)]
        if without_value or len(reasons) == len(found):
            undefined[name] = (without_value or reasons)[0]
    return undefined


def predicted_classes(predictions: NDArray[Any], loss: Loss) -> NDArray[np.intp]:
    """Return the predicted class of each row of `predictions` (n, outputs).

    The shape is (n,). If there are several outputs and each is a binary decision of its own, the result is 0 or 1 for
    each output, of shape (n, outputs).
    """
    positive = TARGET_KINDS[loss.targets].positive
    if predictions.shape[1] == 1:
        return (positive or at_least_half)(predictions[:, 0]).astype(np.intp)
    return positive(predictions).astype(np.intp) if positive else predictions.argmax(axis=1)


def built_in_metrics(selected: SelectedMetrics) -> dict[str, Metric]:
    """Return the selected metrics that are entries of `METRICS`, without the functions of the user."""
    return {name: metric for name, metric in selected.items() if isinstance(metric, Metric)}


def working_memory(selected: SelectedMetrics, predictions: int, dtype: np.dtype[Any]) -> int:
    """Return how many bytes the selected metrics need in addition to the predictions.

    The figures are measured. The memory of the user's functions is unknown and not counted.

    Parameters
    ----------
    selected : mapping
        The result of `select_metrics`.
    predictions : int
        The number of predicted numbers, n times outputs.
    dtype : dtype
        The dtype of the predictions.
    """
    bytes_each = {"labels": 12, "ranking": 13, "scores": 10, "probabilities": 24, "numbers": 48 - 4 * dtype.itemsize}
    return predictions * max((bytes_each[metric.reads] for metric in built_in_metrics(selected).values()), default=0)


def _resolve(entry: object) -> tuple[str, Metric | MetricFunction]:
    """Return the name of a requested metric, and the entry of `METRICS` or the function of the user."""
    if isinstance(entry, str):
        return entry, lookup(entry, Metric, METRICS, "metric")
    name = getattr(entry, "__name__", None)
    if not callable(entry) or name is None:
        raise TypeError(f"a metric must be a name or a function with a __name__, got {entry!r}")
    known = METRICS.get(name)
    return (name, known) if known is not None and known.function is entry else (name, entry)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that a function of the user cannot change the array."""
    view = array.view()
    view.flags.writeable = False
    return view


def _value(
    metric: Metric, kind: TargetKind, y: NDArray[Any], predictions: NDArray[Any], weights: NDArray[Any] | None
) -> float:
    """Return a metric of `METRICS`: its plain mean over the outputs if each output is a decision of its own."""
    options = {"average": "macro"} if metric.macro and _has_several_classes(kind, predictions) else {}
    inputs = _inputs(metric.reads, kind, y, predictions)
    with np.errstate(all="ignore"):  # predictions may be huge; infinity and NaN are valid results
        return float(np.mean([metric.function(true, pred, weights, **options) for true, pred in inputs]))


def _has_several_classes(kind: TargetKind, predictions: NDArray[Any]) -> bool:
    """Return whether the outputs are more than two classes of which exactly one is right."""
    return kind.positive is None and predictions.shape[1] > 2


def _inputs(
    reads: MetricInput, kind: TargetKind, y: NDArray[Any], predictions: NDArray[Any]
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return the pairs (true, predicted) that the metric is called with.

    There is one pair, or one for each output if each output is a decision of its own.
    """
    if reads == "numbers":
        return [(y, predictions)]
    if kind.positive is None:
        return [_inputs_of_classes(reads, y, predictions)]
    check_outputs(y, predictions)  # raises if the shapes differ
    pairs = zip(y.reshape(predictions.shape).T, predictions.T, strict=True)
    if reads == "probabilities":
        return list(pairs)
    scored = [(kind.positive(true), pred) for true, pred in pairs]
    return scored if reads == "scores" else [(true, kind.positive(pred)) for true, pred in scored]


def _inputs_of_classes(
    reads: MetricInput, y: NDArray[Any], predictions: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (true, predicted) if the outputs are classes of which exactly one is right."""
    if reads == "probabilities":
        return y, predictions
    labels = y if y.ndim == 1 else y.argmax(axis=1)
    if reads == "labels":
        return labels, predictions.argmax(axis=1)
    return labels, predictions[:, 1] if reads == "scores" and predictions.shape[1] == 2 else predictions


def _value_of_user_function(
    name: str, function: MetricFunction, y: NDArray[Any], predictions: NDArray[Any], weights: NDArray[Any] | None
) -> float:
    """Call a function of the user and check that it returns a finite number."""
    value = function(y, predictions, **({"sample_weight": weights} if _takes_weights(function) else {}))
    if not isinstance(value, numbers.Real):
        got = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
        raise TypeError(f"metric {name!r} must return a number, got {got} of type {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"metric {name!r} must return a finite number, got {value}")
    return float(value)


def _takes_weights(function: MetricFunction) -> bool:
    """Return whether the function has a parameter `sample_weight`."""
    try:
        return "sample_weight" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some C functions have no signature
        return False
