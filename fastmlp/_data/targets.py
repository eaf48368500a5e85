"""Targets: y, checked for the loss of a network, as class labels or as rows of numbers.

Labels that are small are copied, 8 bytes each, so that nobody can change the indices of a kernel. Values that are small
and not kernel-ready are copied in the network's dtype. Any other y stays where it is until its rows are needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import (
    FLOAT64,
    INT64,
    RowArray,
    check_finite,
    converted,
    converted_if_small,
    is_contiguous,
    is_kernel_ready,
    is_small,
    real_array,
    row_slices,
    select_rows,
)
from fastmlp._data.frames import frame_array, is_frame
from fastmlp._data.names import Names, label_array
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address
from fastmlp.architecture import Architecture
from fastmlp.kernels.micro.finite import labels_outside, outside


@dataclasses.dataclass(frozen=True)
class Targets:
    """Targets that suit a network, checked by `check_targets`: either labels or values.

    Parameters
    ----------
    labels : RowArray of shape (n,), or None
        The class of each row: int64 if `kernel_ready`, else of any dtype.
    values : RowArray of shape (n, columns), or None
        The numbers of each row: of the network's dtype if `kernel_ready`, else of any dtype and layout.
    architecture : Architecture
        The network that the targets suit.
    kernel_ready : bool
        Whether kernels can read all rows where they are.
    name : str
        The name of the argument in messages.
    """

    labels: RowArray | None
    values: RowArray | None
    architecture: Architecture
    kernel_ready: bool = True
    name: str = "y"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._array)

    @property
    def row_bytes(self) -> int:
        """The bytes of a row as kernels read it."""
        return 8 if self.labels is not None else self.architecture.target_columns * self.architecture.dtype.itemsize

    def take(self, rows: Any) -> Targets:
        """Return some rows, kernel-ready: views if `rows` is a slice of kernel-ready targets, else copies.

        Raises
        ------
        ValueError
            If a label has changed since the check and is no class now. Kernels index by labels.
        """
        array = self._array[rows]
        if self.labels is not None:
            labels = array if self.kernel_ready else _copied_labels(array, self.architecture.outputs, self.name)
            return Targets(labels, None, self.architecture)
        values = array if self.kernel_ready else converted(array, self.architecture.dtype)
        return Targets(None, values, self.architecture)

    def select(self, rows: NDArray[np.int64]) -> Targets:
        """Return some rows: copies if they are small, else `SelectedRows`, which copies them when they are needed."""
        dtype = INT64 if self.labels is not None else self.architecture.dtype
        selected = select_rows(self._array, rows, dtype)
        kernel_ready = self.kernel_ready and isinstance(selected, np.ndarray)
        labels, values = (selected, None) if self.labels is not None else (None, selected)
        return dataclasses.replace(self, labels=labels, values=values, kernel_ready=kernel_ready)

    def joined(self, parts: Sequence[Targets]) -> Targets:
        """Return the rows of several targets that `take` has returned, one after the other."""
        arrays = np.concatenate([part._array for part in parts])
        labels, values = (arrays, None) if self.labels is not None else (None, arrays)
        return Targets(labels, values, self.architecture)

    def as_array(self) -> NDArray[Any]:
        """Return all labels, or else all values, as an array that kernels can read; a copy if they are not so yet.

        Raises
        ------
        MemoryError
            If there is no memory for the copy.
        """
        array = self._array
        if self.kernel_ready and isinstance(array, np.ndarray):
            return array
        memory.require(
            len(array) * self.row_bytes, f"{self.name} as the network reads it", "fewer rows would take less"
        )
        return converted(array[:], INT64 if self.labels is not None else self.architecture.dtype)

    @property
    def _array(self) -> RowArray:
        array = self.labels if self.labels is not None else self.values
        assert array is not None
        return array


def check_targets(
    y: Any, rows: int, architecture: Architecture, name: str = "y", names: Names | None = None
) -> Targets:
    """Check y and return it as the targets of the network's loss.

    Parameters
    ----------
    y : array-like
        For categorical cross-entropy class labels (n,) or rows of probabilities (n, outputs), for binary cross-entropy
        numbers from 0 to 1, for other losses any numbers; the shape (n,) suits a network with one target. Labels that
        are strings become the numbers of their classes.
    rows : int
        The number of rows of X.
    architecture : Architecture
        The network that the targets must suit.
    name : str
        The name of the argument in messages.
    names : Names, optional
        The names that the network knows, among them the labels of its classes.

    Raises
    ------
    TypeError
        If y holds neither real numbers nor labels.
    ValueError
        If the shape or a value does not suit the loss, or a label is none of the network's.
    """
    array = _numbers(y, architecture, name, names or Names())
    loss, columns = architecture.loss, architecture.target_columns
    if array.ndim == 0 or len(array) != rows:
        raise ValueError(
            f"X and {name} must have the same number of rows, got {rows} and {name} of shape {array.shape}"
        )
    if loss.targets == "classes" and array.ndim == 1:
        if is_small(rows, INT64.itemsize):
            return Targets(_copied_labels(array, columns, name), None, architecture, True, name)
        _check_labels(array, columns, name)
        return Targets(array, None, architecture, False, name)
    if array.ndim == 1 and columns == 1:
        array = array.reshape(-1, 1)
    if array.shape != (rows, columns):
        labels = f" or labels of shape ({rows},)" if loss.targets == "classes" else ""
        hint = _shape_hint(array, architecture, name)
        raise ValueError(f"{name} must have shape ({rows}, {columns}){labels} for {loss.name}, got {array.shape}{hint}")
    check_finite(array, architecture.dtype, name)
    _check_range(array, architecture, name)
    values = converted_if_small(array, architecture.dtype)
    return Targets(None, values, architecture, is_kernel_ready(values, architecture.dtype), name)


def _numbers(y: Any, architecture: Architecture, name: str, names: Names) -> NDArray[Any]:
    """Return y as an array of real numbers, in which each label that is a string is the number of its class."""
    if is_frame(y):
        return frame_array(y, name)
    labels = label_array(y)
    return real_array(y, name) if labels is None else names.indices(labels, architecture, name)


def _shape_hint(array: NDArray[Any], architecture: Architecture, name: str) -> str:
    """Return the end of a message: what the user probably meant by a y of the wrong shape."""
    if array.ndim == 2 and array.shape[1] == 1:
        return f"; np.ravel({name}) has one dimension"
    if array.ndim == 1 and architecture.loss.targets not in ("counts", "positive"):
        return "; a network for class labels has output='softmax'"
    return ""


def _copied_labels(array: NDArray[Any], classes: int, name: str) -> NDArray[np.int64]:
    """Copy the labels as int64 and check the copy, since the array may have changed after an earlier check."""
    labels = np.array(array)
    if labels.dtype == INT64 and not labels_outside.function_for(INT64)(address(labels), labels.size, classes):
        return labels
    _check_labels(labels, classes, name)
    return converted(labels, INT64)


def _check_labels(labels: NDArray[Any], classes: int, name: str) -> None:
    """Raise ValueError if a label is not a whole number from 0 to classes - 1."""
    check_finite(labels, FLOAT64, name)
    minima, maxima = [], []
    for rows in row_slices(len(labels), labels.itemsize):
        piece = labels[rows]
        if piece.dtype.kind == "f" and not (piece == np.floor(piece)).all():
            raise ValueError(
                f"{name} must hold class labels, whole numbers from 0 to {classes - 1}, got {labels.dtype} values"
            )
        minima.append(piece.min())
        maxima.append(piece.max())
    if minima and (min(minima) < 0 or max(maxima) >= classes):
        raise ValueError(
            f"{name} must hold class labels from 0 to {classes - 1}, since the network has {classes} outputs; "
            f"got labels from {min(minima)} to {max(maxima)}"
        )


def _check_range(array: NDArray[Any], architecture: Architecture, name: str) -> None:
    """Raise ValueError if a value, after conversion to the network's dtype, is outside the range of the loss."""
    kind, dtype = architecture.loss.targets, architecture.dtype
    if kind == "signs":
        _check_signs(array, architecture, name)
    elif kind != "values":
        limits = limits_of(architecture)
        if not (is_contiguous(array, dtype) and not outside.function_for(dtype)(address(array), array.size, *limits)):
            _check_limits(array, architecture, name)


def limits_of(architecture: Architecture, any_value: bool = False) -> tuple[float, float]:
    """Return the smallest and the largest target that the loss takes; with `any_value`, those of the dtype.

    Kernels take denormal numbers as 0, so the smallest positive target is a normal number.
    """
    least, most = float(np.finfo(architecture.dtype).tiny), float(np.finfo(architecture.dtype).max)
    kind = "values" if any_value else architecture.loss.targets
    ranges = {"values": (-most, most), "signs": (-1.0, 1.0), "counts": (0.0, most), "positive": (least, most)}
    return ranges.get(kind, (0.0, 1.0))


def _check_signs(array: NDArray[Any], architecture: Architecture, name: str) -> None:
    """Raise ValueError if the values are neither all -1 or 1 nor all 0 or 1."""
    negatives = set()  # -1 or 0, whichever stands for the negative class
    for rows in row_slices(len(array), array[:1].nbytes):
        values = converted(array[rows], architecture.dtype)
        wrong = values[~np.isin(values, (-1, 0, 1))]
        negatives |= {sign for sign in (-1, 0) if (values == sign).any()}
        if wrong.size or len(negatives) == 2:
            got = f"{wrong[0]:g}" if wrong.size else "-1 and 0"
            raise ValueError(f"{name} must hold -1 and 1, or 0 and 1, for {architecture.loss.name}, got {got}")


def _check_limits(array: NDArray[Any], architecture: Architecture, name: str) -> None:
    """Raise ValueError if a value is negative, or 0 where it must be positive, or greater than 1 where it must not."""
    loss, minima, maxima = architecture.loss, [], []
    for rows in row_slices(len(array), array[:1].nbytes):
        values = converted(array[rows], architecture.dtype)
        minima.append(values.min())
        maxima.append(values.max())
    if not minima:
        return
    minimum, maximum = min(minima), max(maxima)
    wanted = {"counts": "be at least 0", "positive": "be greater than 0"}.get(loss.targets, "lie between 0 and 1")
    is_limited = loss.targets not in ("counts", "positive")
    if minimum < 0 or (minimum < limits_of(architecture)[0]) or (maximum > 1 and is_limited):
        raise ValueError(f"{name} must {wanted} for {loss.name}, got numbers from {minimum:g} to {maximum:g}")
