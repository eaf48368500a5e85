"""Metrics of probabilities and other scores of classes, weighted, as scikit-learn defines them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.plain_math import logarithm
from fastmlp.metrics.averages import Floats, weighted_mean
from fastmlp.metrics.checks import check_weights
from fastmlp.metrics.undefined import Undefined, warn_undefined


def top_k_accuracy(
    y_true: ArrayLike, scores: ArrayLike, sample_weight: ArrayLike | None = None, *, k: int = 5
) -> float:
    """Return the share of the samples whose true class is among the k classes with the highest scores.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True labels, from 0 to classes - 1.
    scores : array-like of shape (n, classes)
        A higher score means a more likely class. Among equal scores the higher label comes first, as in scikit-learn.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.
    k : int
        At least 1 and less than the number of classes.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If there are no samples, shapes do not match, a label is out of range, a score is NaN, k is out of range, or a
        weight is negative or not finite.
    TypeError
        If k is not a whole number.

    Examples
    --------
    >>> from fastmlp.metrics import top_k_accuracy
    >>> top_k_accuracy([0, 2], [[0.3, 0.5, 0.2], [0.6, 0.3, 0.1]], k=2)
    0.5
    """
    true, values, weights = _check_scores(y_true, scores, sample_weight)
    classes = values.shape[1] if values.ndim == 2 else 2
    if whole_number(k, "k") >= classes or values.ndim == 1:
        raise ValueError(f"top_k_accuracy with k={k} needs scores of more than {k} classes, got shape {values.shape}")
    labels = true.astype(np.intp)[:, None]
    true_scores = np.take_along_axis(values, labels, axis=1)
    ahead = (values > true_scores) | ((values == true_scores) & (np.arange(classes) > labels))
    return float(weighted_mean(ahead.sum(axis=1) < k, weights))


def roc_auc(y_true: ArrayLike, scores: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the area under the ROC curve.

    The area is the probability that a positive sample has a higher score than a negative sample, where equal scores
    count half. With several columns of scores the result is the plain mean of the areas of each class against all
    others.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True labels: 0 or 1, and with k columns of scores from 0 to k - 1.
    scores : array-like of shape (n,) or (n, k)
        The scores of class 1, or of each class. A higher score means a more likely class.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.

    Returns
    -------
    float
        From 0 to 1; 1/2 for scores that do not depend on the class. NaN, with an `UndefinedMetricWarning`, if a class
        has no samples of positive weight, or has all of them.

    Raises
    ------
    ValueError
        If there are no samples, shapes do not match, a label is out of range, a score is NaN, or the weights are
        invalid.
    """
    true, values, weights = _check_scores(y_true, scores, sample_weight)
    undefined = undefined_roc_auc(true, values, weights)
    if undefined is not None:
        warn_undefined("roc_auc", *undefined)
        return undefined.value
    if values.ndim == 1:
        return _area(true == 1, values, weights)
    return float(np.mean([_area(true == c, column, weights) for c, column in enumerate(values.T)]))


def roc_curve(
    y_true: ArrayLike, scores: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return the ROC curve: at each threshold, the shares of the negative and of the positive samples that reach it.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True labels, 0 or 1.
    scores : array-like of shape (n,)
        The scores of class 1. A higher score means that class 1 is more likely.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.

    Returns
    -------
    false_positive_rate, true_positive_rate, thresholds : arrays of shape (points,)
        The first point is 0, 0 at a threshold of infinity; the last point is 1, 1. Between them is one point for each
        distinct score of the samples with positive weight, in descending order. The rate of a class without samples of
        positive weight is NaN, with an `UndefinedMetricWarning`.

    Raises
    ------
    ValueError
        If there are no samples, shapes do not match, a label is out of range, a score is NaN, the weights are invalid,
        or the scores have several columns.
    """
    true, values, weights = _check_scores(y_true, scores, sample_weight)
    if values.ndim != 1:
        raise ValueError(f"roc_curve needs scores of shape (n,), got {values.shape}; give it one column at a time")
    counted = weights > 0
    true_positives, false_positives = _cumulated(true[counted] == 1, values[counted], weights[counted])
    thresholds = np.append(np.inf, np.unique(values[counted])[::-1])
    return _rate(false_positives, "false positive", 0), _rate(true_positives, "true positive", 1), thresholds


def log_loss(y_true: ArrayLike, probabilities: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the cross-entropy of the true and the predicted probabilities, the weighted mean of `-sum_c y_c log p_c`.

    y_c is 1 for the class of the sample and 0 for all others, or the true probability of class c. p is first clipped to
    [eps, 1 - eps], where eps is the machine epsilon of its dtype.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, k)
        True labels from 0 to k - 1, or rows of true probabilities. With one column of probabilities: 0 or 1, or the
        true probability of class 1.
    probabilities : array-like of shape (n,) or (n, k)
        Predicted probabilities: of class 1, or of each class. Rows of several classes sum to 1.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.

    Returns
    -------
    float
        At least 0, in nats.

    Raises
    ------
    ValueError
        If there are no samples, shapes do not match, a label is out of range, a probability is not from 0 to 1, a row
        of probabilities does not sum to 1, or the weights are invalid.

    Examples
    --------
    >>> from fastmlp.metrics import log_loss
    >>> round(log_loss([0, 1], [[0.9, 0.1], [0.2, 0.8]]), 4)
    0.1643
    """
    p, true = np.asarray(probabilities), np.asarray(y_true, np.float64)
    p = p if p.dtype.kind == "f" else p.astype(np.float64)
    eps = float(np.finfo(p.dtype).eps)
    if p.ndim == 1 or p.shape[1:] == (1,):
        true, p = (np.stack([1.0 - column, column], axis=1) for column in (true.ravel(), p.ravel()))
    elif true.ndim == 1 and p.ndim == 2:
        _check_range(true, p.shape[1])
        true = (true[:, None] == np.arange(p.shape[1])).astype(np.float64)
    if true.ndim != 2 or true.shape != p.shape or not len(true):
        raise ValueError(
            "probabilities must have shape (n,) or (n, k), n > 0, and y_true shape (n,) or the same, "
            f"got {np.shape(probabilities)} and {np.shape(y_true)}"
        )
    for name, values in (("probabilities", p), ("y_true", true)):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"log_loss needs {name} from 0 to 1, got {values.min():g} to {values.max():g}")
    sums = p.sum(axis=1)
    wrong = sums[np.abs(sums - 1) > np.sqrt(eps)]
    if len(wrong):
        raise ValueError(f"log_loss needs probabilities whose rows sum to 1, got a row with the sum {wrong[0]:g}")
    logs = logarithm(np.clip(p.astype(np.float64), eps, 1 - eps))
    return float(weighted_mean(-(true * logs).sum(axis=1), check_weights(sample_weight, len(true))))


def _check_scores(
    y_true: ArrayLike, scores: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[NDArray[Any], Floats, Floats]:
    """Return checked labels (n,), scores (n,) or (n, k), and weights (n,); a single column of scores becomes (n,)."""
    true, values = np.asarray(y_true), np.asarray(scores, np.float64)
    values = values[:, 0] if values.shape[1:] == (1,) else values
    if true.ndim != 1 or values.ndim not in (1, 2) or len(true) != len(values) or not len(true):
        raise ValueError(
            f"y_true must have shape (n,) and scores (n,) or (n, k), n > 0, got {true.shape} and {values.shape}"
        )
    if np.isnan(values).any():
        raise ValueError("scores must be numbers, got NaN")
    _check_range(true, 2 if values.ndim == 1 else values.shape[1])
    return true, values, check_weights(sample_weight, len(true))


def _check_range(true: NDArray[Any], classes: int) -> None:
    """Check that every label is a whole number from 0 to classes - 1."""
    unknown = np.setdiff1d(true, np.arange(classes))
    if len(unknown):
        raise ValueError(f"y_true must hold labels from 0 to {classes - 1}, got {unknown.tolist()}")


def _rate(weights: Floats, name: str, label: int) -> Floats:
    """Return cumulated weights of the samples of a class as shares of all of them, NaN if the class has none."""
    if weights[-1] <= 0:
        warn_undefined(f"the {name} rate", f"no sample of positive weight is of class {label}", np.nan)
        return np.full(len(weights), np.nan)
    rate: Floats = weights / weights[-1]
    return rate


def undefined_roc_auc(true: NDArray[Any], scores: NDArray[Any], weights: Floats) -> Undefined | None:
    """Return why no scores of these samples have an area under the ROC curve, None if they have one."""
    counted = true[weights > 0]
    for label in (1,) if scores.ndim == 1 else range(scores.shape[1]):
        members = np.count_nonzero(counted == label)
        if not 0 < members < len(counted):
            share = "all samples" if members else "no samples"
            return Undefined(f"{share} of positive weight are of class {label}", np.nan)
    return None


def _area(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> float:
    """Return the area under the ROC curve, the sum of the trapezoids between the distinct scores."""
    _, exponent = np.frexp(weights.max())
    near_1 = np.ldexp(weights, -exponent)  # exact; products of huge or tiny weights would overflow or become 0
    true_positives, false_positives = _cumulated(positive, scores, near_1)
    return float(np.trapezoid(true_positives, false_positives) / (true_positives[-1] * false_positives[-1]))


def _cumulated(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the weights of the positive and of the negative samples that reach each distinct score.

    The scores descend. Both arrays begin with 0, for a threshold that no sample reaches.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true_positives = np.cumsum((weights * positive)[order])[last_of_tie]
    false_positives = np.cumsum((weights * ~positive)[order])[last_of_tie]
    return np.append(0.0, true_positives), np.append(0.0, false_positives)
