"""The weights of the rows: the weight of a row (`sample_weight`) times that of its class (`class_weight`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import (
    FLOAT64,
    SelectedRows,
    check_finite,
    converted,
    is_small,
    real_array,
    row_slices,
    select_rows,
)
from fastmlp._data.targets import Targets
from fastmlp._runtime.checks import number
from fastmlp.architecture import Architecture
from fastmlp.kernels.layout import MIN_WEIGHT_SUM

MAX_WEIGHT = 1e100  # sums of weights times losses must not overflow
_ROWS_PER_SUM = 1 << 17  # weights are summed in parts of this length, whatever the layout, so that the bits are equal


class ClassWeights:
    """The weights of many rows times the weights of their classes, computed when the rows are read.

    Parameters
    ----------
    class_factors : ndarray of float64
        The weight of each class.
    targets : Targets
        The targets of the rows, which give the classes.
    weights : Weights of shape (n,), or None
        The weights of the rows.
    """

    def __init__(self, class_factors: NDArray[np.float64], targets: Targets, weights: Weights | None) -> None:
        self.class_factors, self.targets, self.weights = class_factors, targets, weights

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.targets)

    def __getitem__(self, rows: Any) -> NDArray[np.float64]:
        """Return the weights of some rows, times those of their classes."""
        factors: NDArray[np.float64] = self.class_factors[_classes(self.targets.take(rows))]
        return factors if self.weights is None else converted(self.weights[rows], FLOAT64) * factors


Weights = NDArray[Any] | SelectedRows | ClassWeights
"""The weight of each row, shape (n,), of any dtype and layout."""


def check_weights(sample_weight: ArrayLike | None, rows: int, suffix: str = "") -> NDArray[Any] | None:
    """Check the weights of the rows; return them as float64 if that copy is small, else as they are, or None.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), or None
        The weights.
    rows : int
        The number of rows of X.
    suffix : str
        Text after the name of the argument in messages, such as " of chunk 2".

    Raises
    ------
    TypeError
        If they are not real numbers.
    ValueError
        If the shape is not (rows,), or a weight is negative, not finite or `MAX_WEIGHT` and more.
    """
    if sample_weight is None:
        return None
    name = f"sample_weight{suffix}"
    array = real_array(sample_weight, name)
    if array.shape != (rows,):
        raise ValueError(f"{name} must have shape ({rows},), one weight for each row, got {array.shape}")
    check_finite(array, FLOAT64, name, hint="; the weight of a row that does not count is 0")
    ranges = [(array[piece].min(), array[piece].max()) for piece in row_slices(rows, array.itemsize)]
    minimum = min((low for low, _ in ranges), default=0)
    if minimum < 0:
        raise ValueError(f"{name} must be at least 0, got {minimum:g}")
    _refuse_enormous(float(max((high for _, high in ranges), default=0)), name)
    return converted(array, FLOAT64) if is_small(rows, FLOAT64.itemsize) else array


def weight_to_divide_by(weights: Weights | None, count: int, rows: NDArray[np.int64] | None = None) -> float:
    """Return the sum of the weights of `count` rows, or a part of the sum that is large enough to divide by.

    The rows are those whose numbers are given, or all if `rows` is None.
    """
    if weights is None:
        return float(count)
    total = 0.0
    for piece in row_slices(count, FLOAT64.itemsize):
        total += float(converted(weights[piece if rows is None else rows[piece]], FLOAT64).sum())
        if total >= MIN_WEIGHT_SUM:
            break
    return total


def require_weight(weights: Weights | None, count: int, name: str, rows: NDArray[np.int64] | None = None) -> None:
    """Raise ValueError if the weights of the rows sum to 0: the mean of their losses would be 0 / 0.

    Parameters
    ----------
    weights : Weights, or None
        The weights.
    count : int
        The number of rows.
    name : str
        The arguments that decide the weights, and which rows these are, for the message.
    rows : ndarray of int64, optional
        The numbers of the rows; None means all.
    """
    total = weight_to_divide_by(weights, count, rows)
    if total < MIN_WEIGHT_SUM:
        raise ValueError(
            f"{name} must give a row a weight greater than 0, got a sum of {total:g} over {count} rows; without weight "
            "nothing is learned or measured"
        )


def check_class_weight(
    class_weight: Mapping[int, float] | None, architecture: Architecture
) -> NDArray[np.float64] | None:
    """Check `class_weight`; return the weight of each class, 1 for a class that is left out, or None without any.

    Raises
    ------
    TypeError
        If it is not a mapping, or a weight is not a number.
    ValueError
        If a label is unknown, or a weight is negative, not finite or `MAX_WEIGHT` and more.
    """
    if class_weight is None:
        return None
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be a dict from label to weight, or 'balanced', got {class_weight!r}")
    factors = np.ones(max(architecture.outputs, 2))
    for label, weight in class_weight.items():
        if isinstance(label, bool) or label not in range(len(factors)):
            raise ValueError(f"class_weight has the label {label!r}; labels are 0 to {len(factors) - 1}")
        factors[int(label)] = number(weight, f"class_weight[{label}]")
        _refuse_enormous(factors[int(label)], f"class_weight[{label}]")
    return factors if class_weight else None


def _refuse_enormous(weight: float, name: str) -> None:
    """Raise ValueError if a weight is so large that sums could overflow."""
    if weight >= MAX_WEIGHT:
        raise ValueError(
            f"{name} must be less than {MAX_WEIGHT:g}, got {weight:g}; only the ratios of weights count, so divide "
            "all weights by the same number"
        )


def balanced_class_factors(targets: Targets, weights: Weights | None) -> NDArray[np.float64]:
    """Return the weights with which all classes of some rows count the same, 1 for a class without rows.

    The weight of a class is the weight of all rows, divided by that of the rows of the class and by the number of
    classes that have rows, as `sklearn.utils.class_weight.compute_class_weight` computes it.

    Raises
    ------
    ValueError
        If the targets of a row do not name a single class, or the weight of a class is too small beside the others.
    """
    sums = np.zeros(max(targets.architecture.outputs, 2))
    for rows in row_slices(len(targets), max(targets.row_bytes, FLOAT64.itemsize)):
        piece = None if weights is None else converted(weights[rows], FLOAT64)
        sums += np.bincount(_classes(targets.take(rows)), piece, len(sums))
    occurs = sums > 0
    factors = np.ones(len(sums))
    with np.errstate(over="ignore"):
        factors[occurs] = sums.sum() / (np.count_nonzero(occurs) * sums[occurs])
    _refuse_enormous(float(factors.max()), "the weight of a class by class_weight='balanced'")
    return factors


def apply_class_factors(
    weights: Weights | None, class_factors: NDArray[np.float64] | None, targets: Targets
) -> Weights | None:
    """Return the weights of the rows times those of their classes: an array if it is small, else `ClassWeights`.

    Raises
    ------
    ValueError
        If the targets of a row do not name a single class.
    """
    if class_factors is None:
        return weights
    products = ClassWeights(class_factors, targets, weights)
    if is_small(len(targets), FLOAT64.itemsize):
        return products[:]
    for rows in row_slices(len(targets), targets.row_bytes):
        _classes(targets.take(rows))
    return products


def _classes(targets: Targets) -> NDArray[np.int64]:
    """Return the class of each row of kernel-ready targets, or raise ValueError if a row has no single class."""
    if targets.labels is not None:
        labels: NDArray[np.int64] = targets.labels[:]
        return labels
    architecture, values = targets.architecture, targets.as_array()
    if architecture.loss.targets == "values" or not np.isin(values, (0, 1)).all():
        raise ValueError("class_weight needs class labels, one-hot rows or a single output of 0 and 1")
    if values.shape[1] == 1:
        return values[:, 0].astype(np.int64)
    if architecture.loss.targets == "binary" or not (values.sum(axis=1) == 1).all():
        raise ValueError("class_weight needs exactly one class in each row of y")
    classes: NDArray[np.int64] = values.argmax(axis=1).astype(np.int64)
    return classes


def select_weights(weights: Weights | None, rows: NDArray[np.int64]) -> Weights | None:
    """Return the weights of some rows: a copy if it is small, else `SelectedRows`."""
    if weights is None:
        return None
    if isinstance(weights, ClassWeights):
        return weights[rows]
    return select_rows(weights, rows, FLOAT64)


def weights_are_kernel_ready(weights: Weights | None) -> TypeGuard[NDArray[np.float64] | None]:
    """Return whether kernels can read the weights where they are; no weights are ready."""
    if weights is None:
        return True
    if not isinstance(weights, np.ndarray) or weights.dtype != FLOAT64:
        return False
    return weights.dtype.isnative and weights.flags.aligned and weights.flags.c_contiguous


def sum_weights(weights: Weights) -> float:
    """Return the sum of all weights, with the same bits for every dtype and layout that holds the same numbers."""
    starts = range(0, len(weights), _ROWS_PER_SUM)
    return math.fsum(converted(weights[i : i + _ROWS_PER_SUM], FLOAT64).sum() for i in starts)


def total_weight(weights: Weights | None, count: int) -> float:
    """Return the sum of the weights of `count` rows, each of which has the weight 1 if there are none."""
    return float(count) if weights is None else sum_weights(weights)
