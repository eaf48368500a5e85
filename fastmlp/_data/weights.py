"""How much each row counts: its own weight times that of its class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import (
    SelectedRows,
    Targets,
    check_finite,
    is_small,
    own_copy,
    pieces,
    real_array,
    rows_of,
)
from fastmlp._runtime.checks import number
from fastmlp.architecture import Architecture

_FLOAT64 = np.dtype(np.float64)
MOST_WEIGHT = 1e100  # sums of weights times losses must not overflow
_ROWS_OF_A_SUM = 1 << 17  # sums of so many weights are added up, whatever the layout, so that their bits are the same


class ClassWeights:
    """The weights of many rows with those of their classes, which are looked up when they are asked for.

    Parameters
    ----------
    table : ndarray of float64
        The weight of each class.
    targets : Targets
        The rows' classes.
    weights : array of shape (n,), or None
        The rows' own weights.
    """

    def __init__(self, table: NDArray[np.float64], targets: Targets, weights: Weights | None) -> None:
        self.table, self.targets, self.weights = table, targets, weights

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.targets)

    def __getitem__(self, rows: Any) -> NDArray[np.float64]:
        """The weights of those rows."""
        factors: NDArray[np.float64] = self.table[_labels_of(self.targets.take(rows))]
        return factors if self.weights is None else own_copy(self.weights[rows], _FLOAT64) * factors


Weights = NDArray[Any] | SelectedRows | ClassWeights
"""The weight of each row, (n,); where they do not lie ready for the kernels, of any dtype and layout."""


def check_weights(sample_weight: ArrayLike | None, rows: int, of: str = "") -> NDArray[Any] | None:
    """The weight of each row, (n,), or None where none are given; as float64, unless that would be a large copy.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If there is not one for each row, or one is negative, not finite or enormous; `of` says in errors whose
        they are.
    """
    if sample_weight is None:
        return None
    name = f"sample_weight{of}"
    given = real_array(sample_weight, name)
    if given.shape != (rows,):
        raise ValueError(f"{name} must have shape ({rows},), one weight for each row, got {given.shape}")
    check_finite(given, _FLOAT64, name)
    ranges = [(given[piece].min(), given[piece].max()) for piece in pieces(rows, given.itemsize)]
    lowest = min((least for least, _ in ranges), default=0)
    if lowest < 0:
        raise ValueError(f"{name} must be at least 0, got {lowest:g}")
    _refuse_enormous(float(max((most for _, most in ranges), default=0)), name)
    return own_copy(given, _FLOAT64) if is_small(rows, _FLOAT64.itemsize) else given


def class_table(class_weight: Mapping[int, float] | None, architecture: Architecture) -> NDArray[np.float64] | None:
    """The weight of each class, 1 for those left out; None where all weigh alike.

    Raises
    ------
    TypeError
        If it is no mapping, or a weight no number.
    ValueError
        If a label is unknown, or a weight negative, not finite or enormous.
    """
    if class_weight is None:
        return None
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be a dict from label to weight, got {class_weight!r}")
    table = np.ones(max(architecture.outputs, 2))
    for label, weight in class_weight.items():
        if isinstance(label, bool) or label not in range(len(table)):
            raise ValueError(f"class_weight has the label {label!r}; labels are 0 to {len(table) - 1}")
        table[int(label)] = number(weight, f"class_weight[{label}]")
        _refuse_enormous(table[int(label)], f"class_weight[{label}]")
    return table if class_weight else None


def _refuse_enormous(weight: float, name: str) -> None:
    if weight >= MOST_WEIGHT:
        raise ValueError(
            f"{name} must be less than {MOST_WEIGHT:g}, got {weight:g}; only proportions count: divide all"
        )


def with_class_weights(weights: Weights | None, table: NDArray[np.float64] | None, targets: Targets) -> Weights | None:
    """The weights of the rows times those of their classes.

    Raises
    ------
    ValueError
        If the rows have no single class.
    """
    if table is None:
        return weights
    found = ClassWeights(table, targets, weights)
    if is_small(len(targets), _FLOAT64.itemsize):
        return found[:]
    for rows in pieces(len(targets), targets.row_bytes):
        _labels_of(targets.take(rows))
    return found


def lie_ready(weights: Weights | None) -> TypeGuard[NDArray[np.float64] | None]:
    """Whether kernels can read them where they are."""
    if weights is None:
        return True
    if not isinstance(weights, np.ndarray) or weights.dtype != _FLOAT64:
        return False
    return weights.dtype.isnative and weights.flags.aligned and weights.flags.c_contiguous


def chosen_weights(weights: Weights | None, rows: NDArray[np.int64]) -> Weights | None:
    """Those of some rows: copied if that is small."""
    if weights is None or isinstance(weights, ClassWeights):
        return None if weights is None else weights[rows]
    return rows_of(weights, rows, _FLOAT64)


def total(weights: Weights) -> float:
    """Their sum."""
    starts = range(0, len(weights), _ROWS_OF_A_SUM)
    return math.fsum(own_copy(weights[i : i + _ROWS_OF_A_SUM], _FLOAT64).sum() for i in starts)


def _labels_of(targets: Targets) -> NDArray[np.int64]:
    """The class of each row of targets that lie ready."""
    if targets.labels is not None:
        return targets.labels[:]
    architecture, values = targets.architecture, targets.as_array()
    if architecture.loss.targets == "values" or not np.isin(values, (0, 1)).all():
        raise ValueError("class_weight needs class labels, one-hot rows or a single output of 0 and 1")
    if values.shape[1] == 1:
        return values[:, 0].astype(np.int64)
    if architecture.loss.targets == "binary" or not (values.sum(axis=1) == 1).all():
        raise ValueError("class_weight needs exactly one class in each row of y")
    labels: NDArray[np.int64] = values.argmax(axis=1).astype(np.int64)
    return labels
