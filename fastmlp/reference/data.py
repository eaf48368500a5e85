"""X, y and the weights of the samples as a network computes with them: plain arrays, one row for each sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime.checks import number
from fastmlp.architecture import Architecture
from fastmlp.reference import random
from fastmlp.reference.activations import Array


def inputs(X: ArrayLike, architecture: Architecture) -> Array:
    """X as (n, inputs) in the network's dtype.

    Raises
    ------
    ValueError
        If it has another shape, or holds NaN or infinity.
    """
    rows = _cast(np.asarray(X), architecture.dtype)
    if rows.ndim != 2 or rows.shape[1] != architecture.inputs:
        raise ValueError(f"X must have shape (n, {architecture.inputs}), got {rows.shape}")
    return _finite(rows, "X")


def targets(y: ArrayLike, n: int, architecture: Architecture) -> Array:
    """The targets y as (n, outputs) in the network's dtype; integer class labels become one-hot rows.

    Raises
    ------
    ValueError
        If the shape, the length or a value does not suit the network's loss.
    """
    given, kind, outputs = np.asarray(y), architecture.loss.targets, architecture.outputs
    if n == 0 or given.shape[:1] != (n,):
        raise ValueError(f"X and y must have the same number of rows, at least 1, got {n} and y of shape {given.shape}")
    if kind == "classes" and given.ndim == 1:
        return _one_hot(given, outputs, architecture.dtype)
    columns = _cast(given, architecture.dtype).reshape(n, -1)
    if columns.shape[1] != outputs or given.ndim > 2:
        raise ValueError(f"y must have shape ({n}, {outputs}) for this network, got {given.shape}")
    if kind == "signs" and not any(np.isin(columns, pair).all() for pair in ((-1, 1), (0, 1))):
        raise ValueError(f"y must hold -1 and 1, or 0 and 1, for {architecture.loss.name}")
    if kind == "counts" and not (columns >= 0).all():
        raise ValueError(f"y must be at least 0 for {architecture.loss.name}")
    if kind in ("classes", "binary") and not ((columns >= 0) & (columns <= 1)).all():
        raise ValueError(f"y must lie between 0 and 1 for {architecture.loss.name}")
    return _finite(columns, "y")


def as_given(y: ArrayLike, rows: Array) -> NDArray[Any]:
    """Of y and the rows (n, outputs) that it became: y where it holds class labels (n,), else the rows."""
    given = np.asarray(y)
    return given if given.ndim == 1 and rows.shape[1] > 1 else rows


def weights(n: int, sample_weight: ArrayLike | None = None) -> NDArray[np.float64]:
    """The weight of every sample, (n,) in float64; 1 where none are given.

    Raises
    ------
    ValueError
        If there is not one finite weight of at least 0 for each sample.
    """
    if sample_weight is None:
        return np.ones(n)
    given = np.array(sample_weight, np.float64)
    if given.shape != (n,) or not (np.isfinite(given) & (given >= 0)).all():
        raise ValueError(f"sample_weight must hold {n} finite numbers, at least 0, got shape {given.shape}")
    return given


def class_weights(
    y: Array, class_weight: Mapping[int, float] | None, architecture: Architecture
) -> NDArray[np.float64]:
    """The weight of every row's class, (n,); a class that the mapping leaves out weighs 1.

    Raises
    ------
    ValueError
        If the loss has no classes, a row of y is no single class, or a label is not one of them.
    """
    if not class_weight:
        return np.ones(len(y))
    if architecture.loss.targets == "values" or not np.isin(y, (0, 1)).all():
        raise ValueError("class_weight needs class labels, one-hot rows or a single output of 0 and 1")
    if architecture.outputs > 1 and (architecture.loss.targets == "binary" or not (y.sum(axis=1) == 1).all()):
        raise ValueError("class_weight needs exactly one class in each row of y")
    labels = y.argmax(axis=1) if architecture.outputs > 1 else y[:, 0].astype(int)
    table = np.ones(max(architecture.outputs, 2))
    for label, weight in class_weight.items():
        if label not in range(len(table)):
            raise ValueError(f"class_weight has the label {label!r}; labels are 0 to {len(table) - 1}")
        table[label] = number(weight, f"class_weight[{label}]")
    by_row: NDArray[np.float64] = table[labels]
    return by_row


def weighted_mean(values: Array, weights: NDArray[np.float64]) -> float:
    """`sum(w v) / sum(w)`, added up in the order of the rows in float64; 0 where all weights are 0."""
    total = np.cumsum(weights)[-1]
    return float(np.cumsum(weights * values)[-1] / total) if total else 0.0


def split(n: int, share: float, key: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The numbers of the training rows and of the validation rows, each ascending: a random share of n rows.

    Raises
    ------
    ValueError
        If the share is not in [0, 1), or there are too few rows to have one of each kind.
    """
    share = number(share, "validation_split", below=1.0)
    if n < 2:
        raise ValueError(f"validation_split needs at least 2 rows, got {n}")
    drawn = random.permutation(key, np.arange(n))
    n_val = min(max(round(n * share), 1), n - 1)
    return np.sort(drawn[n_val:]), np.sort(drawn[:n_val])


def _one_hot(labels: NDArray[Any], classes: int, dtype: np.dtype[Any]) -> Array:
    if labels.dtype.kind not in "iu":
        raise ValueError(f"class labels must be integers, got an array of {labels.dtype}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"class labels must be 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    one_hot: Array = np.eye(classes, dtype=dtype)[labels]
    return one_hot


def _cast(values: NDArray[Any], dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):  # what is too large becomes infinity, which `_finite` reports
        return values.astype(dtype, copy=False)


def _finite(values: Array, name: str) -> Array:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return values
