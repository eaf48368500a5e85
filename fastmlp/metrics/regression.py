"""Metrics of numbers, weighted, as scikit-learn defines them. With several outputs each is a plain mean over them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.metrics.averages import Floats, divide_or_zero, weighted_mean, weighted_sum
from fastmlp.metrics.checks import check_outputs, check_weights
from fastmlp.metrics.undefined import Undefined, warn_undefined


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the weighted mean of `(true - pred)^2`; with several outputs, the plain mean over them.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, outputs)
        True and predicted numbers.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.

    Returns
    -------
    float
        At least 0, in the units of y squared.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or the weights are invalid.
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
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.

    Returns
    -------
    float
        At least 0, in the units of y.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or the weights are invalid.
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
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.

    Returns
    -------
    float
        At least 0, in the units of y.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or the weights are invalid.
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
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.

    Returns
    -------
    float
        At most 1; 0 for predictions that are no better than the mean, negative for worse ones. With less than two
        samples it is NaN, with an `UndefinedMetricWarning`.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or the weights are invalid.

    Examples
    --------
    >>> from fastmlp.metrics import r2
    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    true, pred = check_outputs(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    if len(true) < 2:
        warn_undefined("r2", _TOO_FEW, np.nan)
        return np.nan
    residual = weighted_sum((true - pred) ** 2, weights)
    total = weighted_sum(_centred(true, weights) ** 2, weights)
    return float(np.where(total > 0, 1.0 - divide_or_zero(residual, total), residual == 0).mean())


def pearson(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return Pearson's correlation of the true and the predicted values.

    For one output, with the weighted means t of the true and p of the predicted values, it is
    `sum w (true - t)(pred - p) / sqrt(sum w (true - t)^2 sum w (pred - p)^2)`. With several outputs the result is the
    plain mean over them.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, outputs)
        True and predicted numbers.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples, finite, at least 0 and not all 0; None gives all samples the same weight.

    Returns
    -------
    float
        From -1 to 1; NaN, with an `UndefinedMetricWarning`, if the true or the predicted values of an output are all
        equal.

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or the weights are invalid.
    """
    true, pred = check_outputs(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    true, pred = _centred(true, weights), _centred(pred, weights)
    deviations = np.sqrt(weighted_sum(true**2, weights)) * np.sqrt(weighted_sum(pred**2, weights))
    if not deviations.all():
        warn_undefined("pearson", "the true or the predicted values of an output are all equal", np.nan)
        return np.nan
    return float(np.clip(weighted_sum(true * pred, weights) / deviations, -1.0, 1.0).mean())


_TOO_FEW = "it needs at least two samples, got 1"


def undefined_r2(true: NDArray[Any], pred: NDArray[Any], weights: Floats) -> Undefined | None:
    """Return why R² is the same for all predictions of these samples but exact ones, None if it is not."""
    if len(true) < 2:
        return Undefined(_TOO_FEW, np.nan)
    return Undefined("all true values are equal", 0.0) if _equal_outputs(true, weights).all() else None


def undefined_pearson(true: NDArray[Any], pred: NDArray[Any], weights: Floats) -> Undefined | None:
    """Return why no predictions of these samples have a correlation, None if some have."""
    if not _equal_outputs(true, weights).any():
        return None
    return Undefined("the true values of an output are all equal", np.nan)


def _equal_outputs(true: NDArray[Any], weights: Floats) -> NDArray[np.bool_]:
    """Return for which outputs all true values of positive weight are equal."""
    counted = true[weights > 0].reshape(-1, true[:1].size)
    equal: NDArray[np.bool_] = (counted == counted[0]).all(axis=0)
    return equal


def _centred(values: Floats, weights: Floats) -> Floats:
    """Subtract from the values (n, outputs) the weighted mean of each column.

    One value of each column is subtracted first, so that a column of equal values becomes exactly 0.
    """
    shifted = values - values[weights.argmax()]
    centred: Floats = shifted - weighted_mean(shifted, weights)
    return centred
