"""Checks of what every metric receives: labels, numbers and sample weights become arrays, or the error names them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.metrics.averages import Floats

MIN_SUM = float(np.finfo(np.float64).tiny)  # a quotient by a smaller sum of weights has lost its digits


def check_labels(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the true and the predicted labels as two arrays of shape (n,).

    Raises
    ------
    ValueError
        If there are no samples, the shapes differ, or one array holds names and the other numbers.
    """
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != pred.shape or not len(true):
        raise ValueError(f"y_true and y_pred must both have shape (n,), n > 0, got {true.shape} and {pred.shape}")
    if isinstance(true[0], str) != isinstance(
        pred[0], str
    ):  # a name never equals a number: every sample would be wrong
        raise ValueError(
            f"y_true and y_pred must both hold names or both numbers, got {true[:1].tolist()} and {pred[:1].tolist()}; "
            "classes[predict_classes(X)] are names, with classes = np.unique(names)"
        )
    return true, pred


def check_outputs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Floats, Floats]:
    """Return the true and the predicted numbers as two float64 arrays of shape (n, outputs); (n,) becomes (n, 1).

    Raises
    ------
    ValueError
        If there are no samples or the shapes differ.
    """
    given = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    true, pred = (array.reshape(-1, 1) if array.ndim == 1 else array for array in given)
    if true.ndim != 2 or true.shape != pred.shape or not true.size:
        raise ValueError(
            "y_true and y_pred must both have shape (n,) or (n, outputs), n > 0, "
            f"got {given[0].shape} and {given[1].shape}"
        )
    return true, pred


def check_weights(sample_weight: ArrayLike | None, samples: int) -> Floats:
    """Return the sample weights as a float64 array of shape (samples,); None means ones.

    Raises
    ------
    ValueError
        If the number of weights is not the number of samples, a weight is negative or not finite, or all are 0.
    """
    if sample_weight is None:
        return np.ones(samples)
    weights = np.asarray(sample_weight, np.float64)
    if weights.shape != (samples,):
        raise ValueError(f"sample_weight must have shape ({samples},), got {weights.shape}")
    wrong = weights[~(np.isfinite(weights) & (weights >= 0))]
    if len(wrong):
        raise ValueError(f"sample_weight must be finite and at least 0, got {wrong[0]:g}")
    if weights.sum() < MIN_SUM:
        raise ValueError(f"sample_weight must have a weight greater than 0, got a sum of {weights.sum():g}")
    return weights
