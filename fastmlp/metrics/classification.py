"""Metrics of class labels, weighted, as scikit-learn defines them.

For a class c, `TP` is the weight of the samples of class c that were predicted as c, `FP` the weight of the samples of
other classes that were predicted as c, and `FN` the weight of the samples of class c that were predicted as another.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.metrics.averages import Floats, divide_or_zero, weighted_mean, weighted_sum
from fastmlp.metrics.checks import check_labels, check_weights
from fastmlp.metrics.undefined import Undefined, warn_undefined

Average = Literal["binary", "macro"]


def accuracy(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the share of correct labels, `sum w [true = pred] / sum w`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True and predicted class labels: both numbers or both names.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, one array holds names and the other numbers, or the weights are
        invalid.

    Examples
    --------
    >>> from fastmlp.metrics import accuracy
    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 1])
    0.75
    """
    true, pred = check_labels(y_true, y_pred)
    return float(weighted_mean(true == pred, check_weights(sample_weight, len(true))))


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, labels: ArrayLike | None = None
) -> NDArray[Any]:
    """Count the samples of class i that were predicted as class j; with weights, sum their weights.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True and predicted class labels: both numbers or both names.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None counts samples.
    labels : array-like of shape (k,), optional
        The classes in the order of rows and columns; None takes the labels that occur, in ascending order.

    Returns
    -------
    array of shape (k, k)
        Rows are true classes, columns are predicted classes. The dtype is int64, or float64 with weights.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, one array holds names and the other numbers, the weights are
        invalid, or `labels` names a label twice or lacks a label that occurs.

    Examples
    --------
    >>> from fastmlp.metrics import confusion_matrix
    >>> confusion_matrix(["cat", "dog", "dog"], ["cat", "cat", "dog"])
    array([[1, 0],
           [1, 1]])
    """
    true, pred = check_labels(y_true, y_pred)
    occurring = np.unique(np.concatenate([true, pred]))
    classes = occurring if labels is None else np.asarray(labels)
    if classes.ndim != 1 or len(np.unique(classes)) != len(classes):
        raise ValueError(f"labels must be a list of different labels, got {labels!r}")
    missing = np.setdiff1d(occurring, classes)
    if len(missing):
        raise ValueError(f"labels must hold every label that occurs, but lacks {missing.tolist()}")
    order = np.argsort(classes)
    places = tuple(order[np.searchsorted(classes, y, sorter=order)] for y in (true, pred))
    matrix = np.zeros((len(classes), len(classes)), np.int64 if sample_weight is None else np.float64)
    np.add.at(matrix, places, 1 if sample_weight is None else check_weights(sample_weight, len(true)))
    return matrix


def precision(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: int | str = 1,
    average: Average = "binary",
) -> float:
    """Return the share of positive samples among those that were predicted as positive, `TP / (TP + FP)`.

    TP is the weight of the samples that are positive and were predicted as positive, FP the weight of the samples that
    were wrongly predicted as positive.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True and predicted class labels: both numbers or both names.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.
    pos_label : int or str
        The positive class; used only with `average="binary"`.
    average : {"binary", "macro"}
        "binary" takes the positive class; "macro" takes the plain mean over the classes that occur.

    Returns
    -------
    float
        From 0 to 1; a quotient 0 / 0 counts as 0, with an `UndefinedMetricWarning`.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, one array holds names and the other numbers, the weights are
        invalid, or `average` is unknown. With "binary" also if there are more than two classes, or two classes of
        which neither is `pos_label`.
    """
    totals = _totals(y_true, y_pred, sample_weight, pos_label, average)
    return _mean_quotient("precision", totals.true_positives, totals.predicted, totals.classes, "predicted as")


def recall(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: int | str = 1,
    average: Average = "binary",
) -> float:
    """Return the share of the positive samples that were predicted as positive, `TP / (TP + FN)`.

    TP is the weight of the samples that are positive and were predicted as positive, FN the weight of the positive
    samples that were predicted as something else.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True and predicted class labels: both numbers or both names.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.
    pos_label : int or str
        The positive class; used only with `average="binary"`.
    average : {"binary", "macro"}
        "binary" takes the positive class; "macro" takes the plain mean over the classes that occur.

    Returns
    -------
    float
        From 0 to 1; a quotient 0 / 0 counts as 0, with an `UndefinedMetricWarning`.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, one array holds names and the other numbers, the weights are
        invalid, or `average` is unknown. With "binary" also if there are more than two classes, or two classes of
        which neither is `pos_label`.
    """
    totals = _totals(y_true, y_pred, sample_weight, pos_label, average)
    return _mean_quotient("recall", totals.true_positives, totals.true, totals.classes, "of")


def f1(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: int | str = 1,
    average: Average = "binary",
) -> float:
    """Return the harmonic mean of precision and recall, `2 TP / (2 TP + FP + FN)`.

    TP is the weight of the samples that are positive and were predicted as positive, FP the weight of the samples that
    were wrongly predicted as positive, FN the weight of the positive samples that were predicted as something else.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True and predicted class labels: both numbers or both names.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.
    pos_label : int or str
        The positive class; used only with `average="binary"`.
    average : {"binary", "macro"}
        "binary" takes the positive class; "macro" takes the plain mean over the classes that occur.

    Returns
    -------
    float
        From 0 to 1; a quotient 0 / 0 counts as 0, with an `UndefinedMetricWarning`.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, one array holds names and the other numbers, the weights are
        invalid, or `average` is unknown. With "binary" also if there are more than two classes, or two classes of
        which neither is `pos_label`.
    """
    totals = _totals(y_true, y_pred, sample_weight, pos_label, average)
    both = totals.predicted + totals.true
    return _mean_quotient("f1", 2 * totals.true_positives, both, totals.classes, "of or predicted as")


class _Totals(NamedTuple):
    """`TP`, `TP + FP` and `TP + FN` of each class that the average takes."""

    true_positives: Floats
    predicted: Floats
    true: Floats
    classes: NDArray[Any]


def _totals(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None, pos_label: int | str, average: str
) -> _Totals:
    """Check the arguments, and sum the weights of each class that the average takes."""
    true, pred = check_labels(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    classes = np.unique(np.concatenate([true, pred]))
    if average == "binary":
        if len(classes) > 2:
            raise ValueError(f"average='binary' needs two classes, got {len(classes)}; use average='macro'")
        if len(classes) == 2 and pos_label not in classes:
            raise ValueError(f"pos_label must be one of {classes.tolist()}, got {pos_label!r}")
        classes = np.array([pos_label])
    elif average != "macro":
        raise ValueError(f"average must be 'binary' or 'macro', got {average!r}")
    is_true, is_predicted = true[:, None] == classes, pred[:, None] == classes
    both, predicted, actual = (
        weighted_sum(members, weights) for members in (is_true & is_predicted, is_predicted, is_true)
    )
    return _Totals(both, predicted, actual, classes)


def _mean_quotient(name: str, numerators: Floats, denominators: Floats, classes: NDArray[Any], what: str) -> float:
    """Return the plain mean of the quotients. A quotient 0 / 0 counts as 0, with a warning.

    The warning does not name one class of several: its text is then the same in all epochs of a fit, and Python shows
    it once.
    """
    if not denominators.all():
        missing = f"class {classes.tolist()[0]!r}" if len(classes) == 1 else "some class"
        warn_undefined(name, f"no sample of positive weight is {what} {missing}", 0.0)
    return float(divide_or_zero(numerators, denominators).mean())


def undefined_without_positives(true: NDArray[Any], pred: NDArray[Any], weights: Floats) -> Undefined | None:
    """Return why no predictions of these samples have true positives, None if some have."""
    return None if weights[true == 1].any() else Undefined("no sample of positive weight is of class 1", 0.0)
