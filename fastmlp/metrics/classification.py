"""Metrics of labels, weighted, as scikit-learn defines them.

For a class c, `TP` is the weight of the samples that are c and were called c, `FP` of those wrongly called c, `FN` of
those that are c and were called something else.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.metrics.arrays import (
    Floats,
    labels_of,
    mean,
    quotient,
    weighted_sum,
    weights_of,
)

Average = Literal["binary", "macro"]


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
    true, pred = labels_of(y_true, y_pred)
    return float(mean(true == pred, weights_of(sample_weight, len(true))))


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
    true, pred = labels_of(y_true, y_pred)
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
    np.add.at(matrix, places, 1 if sample_weight is None else weights_of(sample_weight, len(true)))
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
    return float(quotient(hit, called).mean())


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
    return float(quotient(hit, there).mean())


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
    return float(quotient(2 * hit, called + there).mean())


def _per_class(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None, pos_label: int | str, average: str
) -> tuple[Floats, Floats, Floats]:
    """`TP`, `TP + FP` and `TP + FN`, an element for each class that the average takes."""
    true, pred = labels_of(y_true, y_pred)
    weights = weights_of(sample_weight, len(true))
    classes = np.unique(np.concatenate([true, pred]))
    if average == "binary":
        if len(classes) > 2:
            raise ValueError(f"average='binary' needs two classes, got {len(classes)}; use average='macro'")
        if len(classes) == 2 and pos_label not in classes:
            raise ValueError(f"pos_label must be one of {classes.tolist()}, got {pos_label!r}")
        classes = np.array([pos_label])
    elif average != "macro":
        raise ValueError(f"average must be 'binary' or 'macro', got {average!r}")
    is_class, called_class = true[:, None] == classes, pred[:, None] == classes
    hit, called, there = (weighted_sum(weights, chosen) for chosen in (is_class & called_class, called_class, is_class))
    return hit, called, there
