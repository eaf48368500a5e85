"""What the metrics share: their arguments as checked arrays; means and quotients, which are 0 where they are 0 / 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def labels_of(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two arrays of labels, (n,) each.

    Raises
    ------
    ValueError
        If there are no samples, the shapes do not match, or one holds names and the other numbers.
    """
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != pred.shape or not len(true):
        raise ValueError(f"y_true and y_pred must both have shape (n,), n > 0, got {true.shape} and {pred.shape}")
    if isinstance(true[0], str) != isinstance(pred[0], str):  # no name equals a number: all would be wrong
        raise ValueError(
            f"y_true and y_pred must both hold names or both numbers, got {true[:1].tolist()} and {pred[:1].tolist()}; "
            "classes[predict_classes(X)] are names, with classes = np.unique(names)"
        )
    return true, pred


def columns_of(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Floats, Floats]:
    """Two arrays of numbers, (n, outputs) each; (n,) becomes one column.

    Raises
    ------
    ValueError
        If there are no samples or the shapes do not match.
    """
    given = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    true, pred = (array.reshape(-1, 1) if array.ndim == 1 else array for array in given)
    if true.ndim != 2 or true.shape != pred.shape or not true.size:
        raise ValueError(
            "y_true and y_pred must both have shape (n,) or (n, outputs), n > 0, "
            f"got {given[0].shape} and {given[1].shape}"
        )
    return true, pred


def weights_of(sample_weight: ArrayLike | None, samples: int) -> Floats:
    """The weights, (samples,); ones where none are given.

    Raises
    ------
    ValueError
        If there is not one for each sample, or one is negative or not finite.
    """
    if sample_weight is None:
        return np.ones(samples)
    weights = np.asarray(sample_weight, np.float64)
    if weights.shape != (samples,):
        raise ValueError(f"sample_weight must have shape ({samples},), got {weights.shape}")
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError("sample_weight must be finite and at least 0")
    return weights


def weighted_sum(weights: Floats, values: NDArray[Any]) -> Any:
    """`sum w v` over the samples: a number of values (n,), an array of (n, outputs).

    A product of matrices would add up in another order on another processor; a sum along memory has one order.
    """
    return np.ascontiguousarray(values.T * weights).sum(axis=-1)


def mean(values: NDArray[Any], weights: Floats) -> Any:
    """The weighted mean over the rows, 0 if all weights are 0: a number of values (n,), an array of (n, outputs)."""
    total = weights.sum()
    return weighted_sum(weights, values) / total if total else np.zeros(values.shape[1:])


def quotient(above: Floats, below: Floats) -> Floats:
    """`above / below`, 0 where `below` is 0."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below != 0)
