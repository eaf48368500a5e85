"""Metrics of numbers, weighted, as scikit-learn defines them. With several outputs each is a plain mean over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastmlp.metrics.averages import Floats, divide_or_zero, weighted_mean, weighted_sum
from fastmlp.metrics.checks import check_outputs, check_weights


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the weighted mean of `(true - pred)^2`; with several outputs, the plain mean over them.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, outputs)
        True and predicted numbers.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite and at least 0; None gives all samples the same weight.

    Returns
    -------
    float
        At least 0, in the units of y squared; 0 if all weights are 0.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or a weight is negative or not finite.
    """
    true, pred = check_outputs(y_true, y_pred)
    return float(weighted_mean(((true - pred) ** 2).mean(axis=1), check_weights(sample_weight, len(true))))


def root_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the square root of the mean squared error; with several outputs, the plain mean of their roots.

    The error of one output is `sqrt(sum w (true - pred)^2 / sum w)`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, outputs)
        True and predicted numbers.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite and at least 0; None gives all samples the same weight.

    Returns
    -------
    float
        At least 0, in the units of y; 0 if all weights are 0.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or a weight is negative or not finite.
    """
    true, pred = check_outputs(y_true, y_pred)
    return float(np.sqrt(weighted_mean((true - pred) ** 2, check_weights(sample_weight, len(true)))).mean())


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the weighted mean of `|true - pred|`; with several outputs, the plain mean over them.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, outputs)
        True and predicted numbers.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite and at least 0; None gives all samples the same weight.

    Returns
    -------
    float
        At least 0, in the units of y; 0 if all weights are 0.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or a weight is negative or not finite.
    """
    true, pred = check_outputs(y_true, y_pred)
    return float(weighted_mean(np.abs(true - pred).mean(axis=1), check_weights(sample_weight, len(true))))


def r2(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the coefficient of determination, the share of the variance of y that the predictions explain.

    For one output it is `1 - sum w (true - pred)^2 / sum w (true - mean)^2`, where mean is the weighted mean of the
    true values. With several outputs the result is the plain mean over them. An output whose true values are all equal
    counts as 1 if every prediction is exact, else as 0.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, outputs)
        True and predicted numbers.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite and at least 0; None gives all samples the same weight.

    Returns
    -------
    float
        At most 1; 0 for predictions that are no better than the mean, negative for worse ones; 0 if all weights are 0.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or a weight is negative or not finite.

    Examples
    --------
    >>> from fastmlp.metrics import r2
    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    true, pred = check_outputs(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    if not weights.any():
        return 0.0
    residual = weighted_sum((true - pred) ** 2, weights)
    total = weighted_sum(_centred(true, weights) ** 2, weights)
    return float(np.where(total > 0, 1.0 - divide_or_zero(residual, total), residual == 0).mean())


def pearson(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return Pearson's correlation of the true and the predicted values.

    For one output, with the weighted means t of the true and p of the predicted values, it is
    `sum w (true - t)(pred - p) / sqrt(sum w (true - t)^2 sum w (pred - p)^2)`. With several outputs the result is the
    plain mean over them. An output whose true or predicted values are all equal counts as 0.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, outputs)
        True and predicted numbers.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite and at least 0; None gives all samples the same weight.

    Returns
    -------
    float
        From -1 to 1; 0 if all weights are 0.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or a weight is negative or not finite.
    """
    true, pred = check_outputs(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    true, pred = _centred(true, weights), _centred(pred, weights)
    deviations = np.sqrt(weighted_sum(true**2, weights)) * np.sqrt(weighted_sum(pred**2, weights))
    return float(np.clip(divide_or_zero(weighted_sum(true * pred, weights), deviations), -1.0, 1.0).mean())


def _centred(values: Floats, weights: Floats) -> Floats:
    """Subtract from the values (n, outputs) the weighted mean of each column.

    One value of each column is subtracted first, so that a column of equal values becomes exactly 0.
    """
    shifted = values - values[weights.argmax()]
    centred: Floats = shifted - weighted_mean(shifted, weights)
    return centred
