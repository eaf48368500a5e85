"""Metrics of probabilities and other scores of classes, weighted, as scikit-learn defines them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.plain_math import logarithm
from fastmlp.metrics.arrays import Floats, mean, weights_of


def top_k_accuracy(
    y_true: ArrayLike, scores: ArrayLike, sample_weight: ArrayLike | None = None, *, k: int = 5
) -> float:
    """The share of the samples whose class is among the k of the highest scores.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        The labels 0 to classes - 1.
    scores : array-like of shape (n, classes)
        The higher, the more likely. Of equal scores that of the higher label comes first, as in scikit-learn.
    sample_weight : array-like of shape (n,), optional
        Weights; None weighs all alike.
    k : int
        At least 1 and less than the number of classes, so that there is something to miss.

    Raises
    ------
    ValueError
        If shapes do not match, a label is out of range, a score is NaN, or k does not suit.
    """
    true, values, weights = _scored(y_true, scores, sample_weight)
    classes = values.shape[1] if values.ndim == 2 else 2
    if whole_number(k, "k") >= classes or values.ndim == 1:
        raise ValueError(f"top_k_accuracy with k={k} needs scores of more than {k} classes, got shape {values.shape}")
    labels = true.astype(np.intp)[:, None]
    own = np.take_along_axis(values, labels, axis=1)
    ahead = (values > own) | ((values == own) & (np.arange(classes) > labels))
    return float(mean(ahead.sum(axis=1) < k, weights))


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
    true, values, weights = _scored(y_true, scores, sample_weight)
    if values.ndim == 1:
        return _area(true == 1, values, weights)
    return float(np.mean([_area(true == c, column, weights) for c, column in enumerate(values.T)]))


def roc_curve(
    y_true: ArrayLike, scores: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[Floats, Floats, Floats]:
    """The ROC curve: at each threshold, the shares of the negative and of the positive samples that reach it.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        0 or 1.
    scores : array-like of shape (n,)
        The higher, the more positive.
    sample_weight : array-like of shape (n,), optional
        Weights; None weighs all alike.

    Returns
    -------
    false_positive_rate, true_positive_rate, thresholds : arrays
        From 0, at a threshold of infinity, to 1; a point for each different score, but those of weight 0.

    Raises
    ------
    ValueError
        As in `roc_auc`, or if the scores have several columns.
    """
    true, values, weights = _scored(y_true, scores, sample_weight)
    if values.ndim != 1:
        raise ValueError(f"roc_curve needs scores of shape (n,), got {values.shape}; give it one column at a time")
    kept = weights > 0
    if len(np.unique(true[kept])) < 2:
        raise ValueError("roc_curve needs samples of weight in the class and outside of it")
    found, false = _passed(true[kept] == 1, values[kept], weights[kept])
    return false / false[-1], found / found[-1], np.append(np.inf, np.unique(values[kept])[::-1])


def log_loss(y_true: ArrayLike, probabilities: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """The weighted mean of `-sum_c y_c log p_c`, where y_c is 1 for the sample's class and 0 for others.

    p is first clipped to [eps, 1 - eps], where eps is that of its dtype.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, k)
        The labels 0 to k - 1, or rows of the classes' true probabilities. With one column of probabilities 0 or 1, or
        the true probability of 1.
    probabilities : array-like of shape (n,) or (n, k)
        That of 1; or a column for each class, whose rows sum to 1.
    sample_weight : array-like of shape (n,), optional
        Weights; None weighs all alike.

    Raises
    ------
    ValueError
        If shapes do not match, a label is out of range, or what should be probabilities is not.
    """
    p, true = np.asarray(probabilities), np.asarray(y_true, np.float64)
    p = p if p.dtype.kind == "f" else p.astype(np.float64)
    eps = float(np.finfo(p.dtype).eps)
    if p.ndim == 1 or p.shape[1:] == (1,):
        true, p = (np.stack([1.0 - column, column], axis=1) for column in (true.ravel(), p.ravel()))
    elif true.ndim == 1 and p.ndim == 2:
        _check_labels(true, p.shape[1])
        true = (true[:, None] == np.arange(p.shape[1])).astype(np.float64)
    if true.ndim != 2 or true.shape != p.shape or not len(true):
        raise ValueError(
            "probabilities must have shape (n,) or (n, k), n > 0, and y_true shape (n,) or the same, "
            f"got {np.shape(probabilities)} and {np.shape(y_true)}"
        )
    for name, values in (("probabilities", p), ("y_true", true)):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"log_loss needs {name} from 0 to 1, got {values.min():g} to {values.max():g}")
    if (np.abs(p.sum(axis=1) - 1) > np.sqrt(eps)).any():
        raise ValueError("log_loss needs probabilities whose rows sum to 1")
    logs = logarithm(np.clip(p.astype(np.float64), eps, 1 - eps))
    return float(mean(-(true * logs).sum(axis=1), weights_of(sample_weight, len(true))))


def _scored(
    y_true: ArrayLike, scores: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[NDArray[Any], Floats, Floats]:
    """Checked labels (n,), scores (n,) or (n, k), and weights (n,)."""
    true, values = np.asarray(y_true), np.asarray(scores, np.float64)
    values = values[:, 0] if values.shape[1:] == (1,) else values
    if true.ndim != 1 or values.ndim not in (1, 2) or len(true) != len(values) or not len(true):
        raise ValueError(
            f"y_true must have shape (n,) and scores (n,) or (n, k), n > 0, got {true.shape} and {values.shape}"
        )
    if np.isnan(values).any():
        raise ValueError("scores must be numbers, got NaN")
    _check_labels(true, 2 if values.ndim == 1 else values.shape[1])
    return true, values, weights_of(sample_weight, len(true))


def _check_labels(true: NDArray[Any], classes: int) -> None:
    unknown = np.setdiff1d(true, np.arange(classes))
    if len(unknown):
        raise ValueError(f"y_true must hold labels from 0 to {classes - 1}, got {unknown.tolist()}")


def _area(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> float:
    """The area under the ROC curve, by the trapezoids between the distinct scores."""
    found, false = _passed(positive, scores, weights)
    if found[-1] <= 0 or false[-1] <= 0:
        raise ValueError("roc_auc needs samples of weight in the class and outside of it")
    return float(np.trapezoid(found, false) / (found[-1] * false[-1]))


def _passed(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """The weight of the positive and of the other samples that score at least so much, for each score downwards.

    They begin with 0, for a score that no sample has.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum((weights * positive)[order])[last_of_tie]
    false = np.cumsum((weights * ~positive)[order])[last_of_tie]
    return np.append(0.0, found), np.append(0.0, false)
