"""X, y and weights as the user gives them, checked, and brought to where the kernels read them.

X is never copied whole when its rows already lie as the kernels want them; other X is copied once if it is small, and
else goes through a buffer of limited size, call by call, so that a memory-mapped file is never in memory whole.
"""

from __future__ import annotations

import decimal
import numbers
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._checks import number
from fastmlp.architecture import Architecture
from fastmlp.losses import Loss

SCAN_BYTES = 1 << 20  # X is scanned for NaN in pieces of this size, which stay in the cache
STAGE_BYTES = 16 << 20  # X that is not laid out for the kernels is staged in pieces of at most this size


@dataclass(frozen=True)
class Targets:
    """y as the kernels read it: class labels, or rows of numbers.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,), or None
        The class of each row.
    values : ndarray, shape (n, outputs), or None
        The targets in the network's dtype, C-contiguous.
    """

    labels: NDArray[np.int64] | None
    values: NDArray[Any] | None

    def take(self, rows: Any) -> Targets:
        """Those rows; views of them where they are a slice."""
        return Targets(
            None if self.labels is None else self.labels[rows], None if self.values is None else self.values[rows]
        )

    def as_given(self) -> NDArray[Any]:
        """Labels where there are labels, else the values."""
        given = self.labels if self.labels is not None else self.values
        assert given is not None
        return given


def check_inputs(X: ArrayLike, architecture: Architecture, name: str = "X") -> NDArray[Any]:
    """X as an array of real numbers, (n, inputs), all finite in the network's dtype; not copied if it is one already.

    Raises
    ------
    TypeError
        If it holds something else than real numbers.
    ValueError
        If its shape does not suit the network, or a value is NaN, infinite or too large.
    """
    given = real_array(X, name)
    columns = architecture.inputs
    if given.ndim != 2 or given.shape[1] != columns:
        hint = f"; one sample is {name}.reshape(1, -1)" if given.shape == (columns,) else ""
        raise ValueError(f"{name} must have shape (n, {columns}) for this network, got {given.shape}{hint}")
    check_finite(given, architecture.dtype, name)
    return given


def check_targets(y: ArrayLike, rows: int, architecture: Architecture, name: str = "y") -> Targets:
    """Y as the network's loss reads it.

    Parameters
    ----------
    y : array-like
        Class labels (n,) or rows of probabilities (n, outputs) for categorical cross-entropy; numbers from 0 to 1 for
        binary cross-entropy; any numbers otherwise. (n,) will do for one output.
    rows : int
        How many rows X has.

    Raises
    ------
    TypeError
        If it holds something else than real numbers.
    ValueError
        If the shape or a value does not suit the loss.
    """
    given = real_array(y, name)
    loss, outputs = architecture.loss, architecture.outputs
    if given.ndim == 0 or len(given) != rows:
        raise ValueError(
            f"X and {name} must have the same number of rows, got {rows} and {name} of shape {given.shape}"
        )
    if loss.targets == "classes" and given.ndim == 1:
        return Targets(_check_labels(given, outputs, name), None)
    if given.ndim == 1 and outputs == 1:
        given = given.reshape(-1, 1)
    if given.shape != (rows, outputs):
        labels = f" or labels of shape ({rows},)" if loss.targets == "classes" else ""
        hint = _shape_hint(given, architecture, name)
        raise ValueError(f"{name} must have shape ({rows}, {outputs}){labels} for {loss.name}, got {given.shape}{hint}")
    check_finite(given, architecture.dtype, name)
    values = np.ascontiguousarray(given, architecture.dtype)
    _check_range(values, loss, name)
    return Targets(None, values)


def check_weights(sample_weight: ArrayLike | None, rows: int) -> NDArray[np.float64] | None:
    """The weight of each row, (n,), or None where none are given.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If there is not one for each row, or one is negative or not finite.
    """
    if sample_weight is None:
        return None
    given = real_array(sample_weight, "sample_weight")
    if given.shape != (rows,):
        raise ValueError(f"sample_weight must have shape ({rows},), one weight for each row, got {given.shape}")
    check_finite(given, np.dtype(np.float64), "sample_weight")
    if (given < 0).any():
        raise ValueError(f"sample_weight must be at least 0, got {given.min():g}")
    return np.ascontiguousarray(given, np.float64)


def with_class_weights(
    weights: NDArray[np.float64] | None,
    class_weight: Mapping[int, float] | None,
    targets: Targets,
    architecture: Architecture,
) -> NDArray[np.float64] | None:
    """The weights of the rows times those of their classes; a class that is left out weighs 1.

    Raises
    ------
    ValueError
        If the rows have no single class, or a label is unknown.
    """
    if class_weight is None:
        return weights
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be a dict from label to weight, got {class_weight!r}")
    if not class_weight:
        return weights
    labels, classes = _labels_of(targets, architecture), max(architecture.outputs, 2)
    table = np.ones(classes)
    for label, weight in class_weight.items():
        if isinstance(label, bool) or label not in range(classes):
            raise ValueError(f"class_weight has the label {label!r}; labels are 0 to {classes - 1}")
        table[int(label)] = number(weight, f"class_weight[{label}]")
    factors = table[labels]
    return factors if weights is None else weights * factors


def check_finite(values: NDArray[Any], dtype: np.dtype[Any], name: str) -> None:
    """Raise ValueError if a value is NaN or infinite, or becomes so in that dtype; says where."""
    if values.dtype.kind in "bui" and values.dtype.itemsize <= 8:
        return
    step = max(1, SCAN_BYTES // max(1, values[:1].nbytes))
    for start in range(0, len(values), step):
        piece = values[start : start + step]
        with np.errstate(over="ignore", invalid="ignore"):
            if piece.dtype == dtype and np.isfinite(piece.sum()):
                continue  # a sum is finite only if every term is: half the time of looking at each
            bad = ~np.isfinite(piece.astype(dtype, copy=False))
        if bad.any():
            place = [int(i) for i in np.argwhere(bad)[0]]
            value = piece[tuple(place)]
            where = ", ".join(str(i) for i in [place[0] + start, *place[1:]])
            what = f"{value!s}, which {dtype.name} cannot hold" if np.isfinite(value) else f"{value!s}"
            raise ValueError(f"{name} must be finite, but {name}[{where}] is {what}")


def lies_ready(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether kernels can read the rows where they are: the right dtype, each row contiguous and aligned."""
    if array.dtype != dtype or not array.dtype.isnative or not array.flags.aligned:
        return False
    row_stride, stride = array.strides
    return (stride == dtype.itemsize or array.shape[1] == 1) and row_stride % dtype.itemsize == 0


def ready_if_small(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array itself if it lies ready, a copy that does if that is small, else the array as it is."""
    small = array.shape[0] * array.shape[1] * dtype.itemsize <= STAGE_BYTES
    return array if lies_ready(array, dtype) or not small else np.ascontiguousarray(array, dtype)


def stage_rows(columns: int, dtype: np.dtype[Any], least: int) -> int:
    """How many rows a staging buffer holds: at least a batch."""
    return max(least, STAGE_BYTES // (columns * dtype.itemsize))


def _check_range(values: NDArray[Any], loss: Loss, name: str) -> None:
    """Raise ValueError where a target is not what the loss takes."""
    if loss.targets == "signs":
        strange = values[~np.isin(values, (-1, 0, 1))]
        if strange.size:
            raise ValueError(f"{name} must hold -1 and 1, or 0 and 1, for {loss.name}, got {strange[0]:g}")
    elif loss.targets != "values":
        least, most = values.min(), values.max()
        if least < 0 or (most > 1 and loss.targets != "counts"):
            wanted = "be at least 0" if loss.targets == "counts" else "lie between 0 and 1"
            raise ValueError(f"{name} must {wanted} for {loss.name}, got numbers from {least:g} to {most:g}")


def _shape_hint(given: NDArray[Any], architecture: Architecture, name: str) -> str:
    """What was probably meant."""
    if given.ndim == 2 and given.shape[1] == 1:
        return f"; {name}.ravel() has one dimension"
    if given.ndim == 1 and architecture.loss.targets == "values":
        return "; a network for class labels has output='softmax'"
    return ""


def _check_labels(given: NDArray[Any], classes: int, name: str) -> NDArray[np.int64]:
    check_finite(given, np.dtype(np.float64), name)
    if given.dtype.kind == "f" and not (given == np.floor(given)).all():
        raise ValueError(
            f"{name} must hold class labels, whole numbers from 0 to {classes - 1}, got {given.dtype} values"
        )
    if len(given) and (given.min() < 0 or given.max() >= classes):
        raise ValueError(
            f"{name} must hold class labels from 0 to {classes - 1}, since the network has {classes} outputs; "
            f"got labels from {given.min()} to {given.max()}"
        )
    return np.array(given, np.int64)  # our own: the kernels index by it, so nobody may change it while they run


def _labels_of(targets: Targets, architecture: Architecture) -> NDArray[np.int64]:
    if targets.labels is not None:
        return targets.labels
    values = targets.values
    assert values is not None
    if architecture.loss.targets == "values" or not np.isin(values, (0, 1)).all():
        raise ValueError("class_weight needs class labels, one-hot rows or a single output of 0 and 1")
    if values.shape[1] == 1:
        return values[:, 0].astype(np.int64)
    if architecture.loss.targets == "binary" or not (values.sum(axis=1) == 1).all():
        raise ValueError("class_weight needs exactly one class in each row of y")
    labels: NDArray[np.int64] = values.argmax(axis=1).astype(np.int64)
    return labels


def real_array(given: ArrayLike, name: str) -> NDArray[Any]:
    """The argument as an array of real numbers; not copied if it is one already.

    Raises
    ------
    TypeError
        If it holds something else.
    ValueError
        If its rows differ in length.
    """
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name} must be a table of numbers, but its rows differ in length: {error}") from None
    if array.dtype.kind == "O":
        strange = [value for value in array.flat if not isinstance(value, (numbers.Real, decimal.Decimal))]
        if strange:
            raise TypeError(f"{name} must hold real numbers, got objects such as {strange[0]!r}")
        array = array.astype(np.float64)
    if array.dtype.kind not in "fiub":
        names = "; np.unique(y, return_inverse=True)[1] turns names into labels" if array.dtype.kind in "US" else ""
        raise TypeError(f"{name} must hold real numbers, got an array of {array.dtype}{names}")
    return array


def mark(X: NDArray[Any], y: NDArray[Any]) -> int:
    """A number that tells other data of the same size from this, by its first, middle and last row."""
    rows = [0, len(X) // 2, len(X) - 1]
    return zlib.crc32(np.asarray(X[rows], np.float64).tobytes() + np.asarray(y[rows], np.float64).tobytes())
