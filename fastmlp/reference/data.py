"""Check X, y and the weights of the samples, and convert them to arrays with one row for each sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime.checks import number
from fastmlp.architecture import Architecture
from fastmlp.losses import Loss
from fastmlp.reference import random
from fastmlp.reference.activations import Array


def inputs(X: ArrayLike, architecture: Architecture) -> Array:
    """Return X as an array of shape (n, inputs) in the dtype of the network.

    Raises
    ------
    ValueError
        If X has another shape, or holds NaN, infinity or a number that is too large for the dtype.
    """
    rows = _cast(np.asarray(X), architecture.dtype)
    if rows.ndim != 2 or rows.shape[1] != architecture.inputs:
        raise ValueError(f"X must have shape (n, {architecture.inputs}), got {rows.shape}")
    return _finite(rows, "X")


def targets(y: ArrayLike, n: int, architecture: Architecture) -> Array:
    """Return the targets y as an array of shape (n, columns) in the dtype of the network.

    Integer class labels (n,) become one-hot rows.

    Raises
    ------
    ValueError
        If the shape, the number of rows or a value of y does not suit the loss of the network.
    """
    given, kind, outputs = np.asarray(y), architecture.loss.targets, architecture.target_columns
    if n == 0 or given.shape[:1] != (n,):
        raise ValueError(f"X and y must have the same number of rows, at least 1, got {n} and y of shape {given.shape}")
    if kind == "classes" and given.ndim == 1:
        return _one_hot(given, outputs, architecture.dtype)
    columns = _cast(given, architecture.dtype).reshape(n, -1)
    if columns.shape[1] != outputs or given.ndim > 2:
        raise ValueError(f"y must have shape ({n}, {outputs}) for this network, got {given.shape}")
    _check_range(_finite(columns, "y"), architecture.loss)
    return columns


def metric_targets(y: ArrayLike, rows: Array) -> NDArray[Any]:
    """Return the targets as metrics take them: y if it holds class labels (n,), else its rows (n, outputs)."""
    given = np.asarray(y)
    return given if given.ndim == 1 and rows.shape[1] > 1 else rows


def class_weights(
    y: Array, class_weight: Mapping[int, float] | None, architecture: Architecture
) -> NDArray[np.float64]:
    """Return for each row of y (n, outputs) the weight of its class, (n,); classes not in the mapping have weight 1.

    Raises
    ------
    ValueError
        If the loss has no classes, a row of y is not a single class, or a label of the mapping is not a class.
    """
    if not class_weight:
        return np.ones(len(y))
    if architecture.loss.targets == "values" or not np.isin(y, (0, 1)).all():
        raise ValueError("class_weight needs class labels, one-hot rows or a single output of 0 and 1")
    if architecture.outputs > 1 and (architecture.loss.targets == "binary" or not (y.sum(axis=1) == 1).all()):
        raise ValueError("class_weight needs exactly one class in each row of y")
    labels = y.argmax(axis=1) if architecture.outputs > 1 else y[:, 0].astype(int)
    by_class = np.ones(max(architecture.outputs, 2))
    for label, weight in class_weight.items():
        if label not in range(len(by_class)):
            raise ValueError(f"class_weight has the label {label!r}; labels are 0 to {len(by_class) - 1}")
        by_class[label] = number(weight, f"class_weight[{label}]")
    by_row: NDArray[np.float64] = by_class[labels]
    return by_row


def weighted_mean(values: Array, weights: NDArray[np.float64]) -> float:
    """Return `sum w v / sum w`, added in the order of the rows in float64; 0 if all weights are 0."""
    total = np.cumsum(weights)[-1]
    return float(np.cumsum(weights * values)[-1] / total) if total else 0.0


def split(n: int, share: float, key: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw a random share of n rows for validation; return the numbers of the training and of the validation rows.

    Both arrays are in ascending order, and each holds at least one row.

    Raises
    ------
    ValueError
        If the share is not in [0, 1), or n is less than 2.
    """
    share = number(share, "validation_split", below=1.0)
    if n < 2:
        raise ValueError(f"validation_split needs at least 2 rows, got {n}")
    drawn = random.permutation(key, np.arange(n))
    n_val = min(max(round(n * share), 1), n - 1)
    return np.sort(drawn[n_val:]), np.sort(drawn[:n_val])


def _check_range(y: Array, loss: Loss) -> None:
    """Check that the targets y (n, outputs) lie in the range that the loss takes."""
    got = f"got numbers from {y.min():g} to {y.max():g}"
    if loss.targets == "signs" and not any(np.isin(y, pair).all() for pair in ((-1, 1), (0, 1))):
        raise ValueError(f"y must hold -1 and 1, or 0 and 1, for {loss.name}, {got}")
    if loss.targets == "counts" and not (y >= 0).all():
        raise ValueError(f"y must be at least 0 for {loss.name}, {got}")
    if loss.targets == "positive" and not (y > 0).all():
        raise ValueError(f"y must be greater than 0 for {loss.name}, {got}")
    if loss.targets in ("classes", "binary") and not ((y >= 0) & (y <= 1)).all():
        raise ValueError(f"y must lie between 0 and 1 for {loss.name}, {got}")


def _one_hot(labels: NDArray[Any], classes: int, dtype: np.dtype[Any]) -> Array:
    """Return labels (n,) as rows (n, classes) that hold 1 at the label and 0 elsewhere."""
    if labels.dtype.kind not in "iu":
        raise ValueError(f"class labels must be integers, got an array of {labels.dtype}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"class labels must be 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    one_hot: Array = np.eye(classes, dtype=dtype)[labels]
    return one_hot


def _cast(values: NDArray[Any], dtype: np.dtype[Any]) -> Array:
    """Convert to the dtype; numbers that are too large for it become infinity, which `_finite` reports."""
    with np.errstate(over="ignore"):
        return values.astype(dtype, copy=False)


def _finite(values: Array, name: str) -> Array:
    """Return the values unchanged after checking that all are finite."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return values
