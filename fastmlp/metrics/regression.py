"""Metrics of numbers, weighted, as scikit-learn defines them; several outputs count by the plain mean over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastmlp.metrics.arrays import (
    Floats,
    columns_of,
    mean,
    quotient,
    weighted_sum,
    weights_of,
)


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """The weighted mean of `(true - pred)^2`, plain over the outputs.

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
    true, pred = columns_of(y_true, y_pred)
    return float(mean(((true - pred) ** 2).mean(axis=1), weights_of(sample_weight, len(true))))


def root_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """The square root of an output's mean squared error, in the units of y, and the plain mean of that over outputs.

    Parameters and errors as in `mean_squared_error`.
    """
    true, pred = columns_of(y_true, y_pred)
    return float(np.sqrt(mean((true - pred) ** 2, weights_of(sample_weight, len(true)))).mean())


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """The weighted mean of `|true - pred|`, plain over the outputs.

    Parameters and errors as in `mean_squared_error`.
    """
    true, pred = columns_of(y_true, y_pred)
    return float(mean(np.abs(true - pred).mean(axis=1), weights_of(sample_weight, len(true))))


def r2(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """The share of variance explained, `1 - sum w (true - pred)^2 / sum w (true - mean)^2`, plain mean over outputs.

    An output whose true values are all equal counts 1 if it is met exactly, else 0. Parameters and errors as in
    `mean_squared_error`.
    """
    true, pred = columns_of(y_true, y_pred)
    weights = weights_of(sample_weight, len(true))
    if not weights.any():
        return 0.0
    residual = weighted_sum(weights, (true - pred) ** 2)
    total = weighted_sum(weights, _centred(true, weights) ** 2)
    return float(np.where(total > 0, 1.0 - quotient(residual, total), residual == 0).mean())


def pearson(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Pearson's correlation of the true and predicted values, from -1 to 1, plain mean over outputs.

    With the weighted means t and p of an output it is
    `sum w (true - t)(pred - p) / sqrt(sum w (true - t)^2 sum w (pred - p)^2)`. An output whose true or predicted values
    are all equal counts 0. Parameters and errors as in `mean_squared_error`.
    """
    true, pred = columns_of(y_true, y_pred)
    weights = weights_of(sample_weight, len(true))
    true, pred = _centred(true, weights), _centred(pred, weights)
    deviations = np.sqrt(weighted_sum(weights, true**2)) * np.sqrt(weighted_sum(weights, pred**2))
    return float(np.clip(quotient(weighted_sum(weights, true * pred), deviations), -1.0, 1.0).mean())


def _centred(values: Floats, weights: Floats) -> Floats:
    """The values (n, outputs) minus the weighted mean of their column; exactly 0 where those with weight are equal."""
    shifted = values - values[weights.argmax()]
    centred: Floats = shifted - mean(shifted, weights)
    return centred
