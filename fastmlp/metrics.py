"""How good predictions are: the metrics of classes and of numbers, weighted, as scikit-learn defines them.

The weights w are at least 0; every sum and mean runs over the samples. For a class c, `TP` is the weight of the samples
that are c and were called c, `FP` of those wrongly called c, `FN` of those that are c and were called something else.
A quotient 0 / 0, as with weights that are all zero, counts as 0.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import losses

Average = Literal["binary", "macro"]
Floats = NDArray[np.float64]


def accuracy(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """The share of right labels, `sum w [true = pred] / sum w`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Class labels.
    sample_weight : array-like of shape (n,), optional
        Weights; None weighs all alike.

    Raises
    ------
    ValueError
        If there are no samples, shapes do not match, or a weight is negative or not finite.
    """
    true, pred = _labels(y_true, y_pred)
    return _mean(true == pred, _weights(sample_weight, len(true)))


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, labels: ArrayLike | None = None
) -> NDArray[Any]:
    """How often (with weights: with what weight) class i was called class j.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Class labels.
    sample_weight : array-like of shape (n,), optional
        Weights; None counts.
    labels : array-like of shape (k,), optional
        The classes in the order of rows and columns; None takes those that occur, ascending.

    Returns
    -------
    array of shape (k, k)
        Rows are true classes, columns predicted ones; int64, or float64 with weights.

    Raises
    ------
    ValueError
        As in `accuracy`, or if a label occurs that `labels` lacks or names twice.
    """
    true, pred = _labels(y_true, y_pred)
    found = np.unique(np.concatenate([true, pred]))
    classes = found if labels is None else np.asarray(labels)
    if classes.ndim != 1 or len(np.unique(classes)) != len(classes):
        raise ValueError(f"labels must be a list of different labels, got {labels!r}")
    missing = np.setdiff1d(found, classes)
    if len(missing):
        raise ValueError(f"labels must hold every label that occurs, they lack {missing.tolist()}")
    order = np.argsort(classes)
    places = tuple(order[np.searchsorted(classes, y, sorter=order)] for y in (true, pred))
    matrix = np.zeros((len(classes), len(classes)), np.int64 if sample_weight is None else np.float64)
    np.add.at(matrix, places, 1 if sample_weight is None else _weights(sample_weight, len(true)))
    return matrix


def precision(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: int | str = 1,
    average: Average = "binary",
) -> float:
    """The share of right ones among the samples that were called positive, `TP / (TP + FP)`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Class labels.
    sample_weight : array-like of shape (n,), optional
        Weights; None weighs all alike.
    pos_label : int or str
        The positive class, with `average="binary"`.
    average : {"binary", "macro"}
        The value of the positive class, or the plain mean over the classes that occur.

    Raises
    ------
    ValueError
        As in `accuracy`, if `average` is unknown, or if with "binary" there are more than two classes, or two of which
        none is `pos_label`.
    """
    hit, called, _ = _per_class(y_true, y_pred, sample_weight, pos_label, average)
    return float(_quotient(hit, called).mean())


def recall(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: int | str = 1,
    average: Average = "binary",
) -> float:
    """The share of the positive samples that were found, `TP / (TP + FN)`; parameters and errors as in `precision`."""
    hit, _, there = _per_class(y_true, y_pred, sample_weight, pos_label, average)
    return float(_quotient(hit, there).mean())


def f1(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: int | str = 1,
    average: Average = "binary",
) -> float:
    """The harmonic mean of precision and recall, `2 TP / (2 TP + FP + FN)`; parameters and errors as in `precision`."""
    hit, called, there = _per_class(y_true, y_pred, sample_weight, pos_label, average)
    return float(_quotient(2 * hit, called + there).mean())


def roc_auc(y_true: ArrayLike, scores: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """The area under the ROC curve: the probability that a positive sample scores above a negative one, ties half.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0 or 1; with several columns of scores the labels 0 to k - 1.
    scores : array-like of shape (n,) or (n, k)
        The higher, the more positive. With k columns the plain mean of every class against all others.
    sample_weight : array-like of shape (n,), optional
        Weights; None weighs all alike.

    Raises
    ------
    ValueError
        If shapes do not match, a label is out of range, a score is NaN, or a class or its opposite has no weight.
    """
    values = np.asarray(scores, np.float64)
    true = np.asarray(y_true)
    if true.ndim != 1 or values.ndim not in (1, 2) or len(true) != len(values) or not len(true):
        raise ValueError(
            f"y_true must have shape (n,) and scores (n,) or (n, k), n > 0, got {true.shape} and {values.shape}"
        )
    if np.isnan(values).any():
        raise ValueError("scores must be numbers, got NaN")
    weights = _weights(sample_weight, len(true))
    classes = 2 if values.ndim == 1 else values.shape[1]
    unknown = np.setdiff1d(true, np.arange(classes))
    if len(unknown):
        raise ValueError(f"y_true must hold labels from 0 to {classes - 1}, got {unknown.tolist()}")
    if values.ndim == 1:
        return _area(true == 1, values, weights)
    return float(np.mean([_area(true == c, values[:, c], weights) for c in range(classes)]))


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """The weighted mean of `|true - pred|`, plain over the outputs.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, outputs)
        Numbers.
    sample_weight : array-like of shape (n,), optional
        Weights; None weighs all alike.

    Raises
    ------
    ValueError
        If there are no samples, shapes do not match, or a weight is negative or not finite.
    """
    true, pred = _columns(y_true, y_pred)
    return _mean(np.abs(true - pred).mean(axis=1), _weights(sample_weight, len(true)))


def r2(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """The share of variance explained, `1 - sum w (true - pred)^2 / sum w (true - mean)^2`, plain mean over outputs.

    An output whose true values are all equal counts 1 if it is met exactly, else 0. Parameters and errors as in
    `mean_absolute_error`.
    """
    true, pred = _columns(y_true, y_pred)
    weights = _weights(sample_weight, len(true))
    if not weights.any():
        return 0.0
    residual = weights @ (true - pred) ** 2
    shifted = true - true[weights.argmax()]  # so that the mean of equal values is exact
    total = weights @ (shifted - weights @ shifted / weights.sum()) ** 2
    return float(np.where(total > 0, 1.0 - _quotient(residual, total), residual == 0).mean())


NAMES: dict[str, tuple[str, ...]] = {
    "classes": ("accuracy",),
    "binary": ("accuracy",),
    "values": ("mean_absolute_error", "r2"),
}
"""What `evaluate` gives, by the kind of targets that a loss takes."""


def evaluate(
    loss: str, y: ArrayLike, predictions: ArrayLike, sample_weight: ArrayLike | None = None
) -> dict[str, float]:
    """The metrics that suit a loss.

    Parameters
    ----------
    loss : str
        The loss's name.
    y : array-like
        Targets as `Network.fit` takes them: labels (n,) or rows (n, outputs).
    predictions : array-like of shape (n, outputs)
        What `Network.predict` returns.
    sample_weight : array-like of shape (n,), optional
        Weights; None weighs all alike.

    Returns
    -------
    dict
        "accuracy" for a loss of classes or of 0/1 targets, where several outputs count each by itself against 1/2;
        "mean_absolute_error" and "r2" for a loss of numbers.

    Raises
    ------
    ValueError
        If the loss is unknown, or as in `accuracy` and `mean_absolute_error`.
    """
    kind = losses.resolve(loss).targets
    if kind == "classes":
        targets = np.asarray(y)
        labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
        return {"accuracy": accuracy(labels, np.asarray(predictions).argmax(axis=1), sample_weight)}
    true, pred = _columns(y, predictions)
    if kind == "binary":
        right = ((true >= 0.5) == (pred >= 0.5)).mean(axis=1)
        return {"accuracy": _mean(right, _weights(sample_weight, len(true)))}
    return {
        "mean_absolute_error": mean_absolute_error(true, pred, sample_weight),
        "r2": r2(true, pred, sample_weight),
    }


def _per_class(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None, pos_label: int | str, average: str
) -> tuple[Floats, Floats, Floats]:
    """`TP`, `TP + FP` and `TP + FN`, an element for each class that the average takes."""
    true, pred = _labels(y_true, y_pred)
    weights = _weights(sample_weight, len(true))
    classes = np.unique(np.concatenate([true, pred]))
    if average == "binary":
        if len(classes) > 2:
            raise ValueError(f"average='binary' needs two classes, got {len(classes)}; use average='macro'")
        if len(classes) == 2 and pos_label not in classes:
            raise ValueError(f"pos_label must be one of {classes.tolist()}, got {pos_label!r}")
        classes = np.array([pos_label])
    elif average != "macro":
        raise ValueError(f"average must be 'binary' or 'macro', got {average!r}")
    is_class, called_class = classes[:, None] == true, classes[:, None] == pred
    return (is_class & called_class) @ weights, called_class @ weights, is_class @ weights


def _area(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> float:
    """The area under the ROC curve, by the trapezoids between the distinct scores."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum((weights * positive)[order])[last_of_tie]
    false = np.cumsum((weights * ~positive)[order])[last_of_tie]
    if found[-1] <= 0 or false[-1] <= 0:
        raise ValueError("roc_auc needs samples of weight in the class and outside of it")
    return float(np.trapezoid(np.append(0.0, found), np.append(0.0, false)) / (found[-1] * false[-1]))


def _labels(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != pred.shape or not len(true):
        raise ValueError(f"y_true and y_pred must both have shape (n,), n > 0, got {true.shape} and {pred.shape}")
    return true, pred


def _columns(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Floats, Floats]:
    true, pred = (array.reshape(-1, 1) if array.ndim == 1 else array for array in map(_floats, (y_true, y_pred)))
    if true.ndim != 2 or true.shape != pred.shape or not true.size:
        raise ValueError(
            "y_true and y_pred must both have shape (n,) or (n, outputs), n > 0, "
            f"got {np.shape(y_true)} and {np.shape(y_pred)}"
        )
    return true, pred


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, np.float64)


def _weights(sample_weight: ArrayLike | None, samples: int) -> Floats:
    if sample_weight is None:
        return np.ones(samples)
    weights = _floats(sample_weight)
    if weights.shape != (samples,):
        raise ValueError(f"sample_weight must have shape ({samples},), got {weights.shape}")
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError("sample_weight must be finite and at least 0")
    return weights


def _mean(values: NDArray[Any], weights: Floats) -> float:
    return float(_quotient(np.array([values @ weights]), np.array([weights.sum()]))[0])


def _quotient(above: Floats, below: Floats) -> Floats:
    """`above / below`, 0 where `below` is 0."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below != 0)
