"""X and y as the user gives them: checked a piece at a time, and brought to where the kernels read them.

An array is never copied whole when its rows already lie as the kernels want them. Any other is copied once if that is
small; else it stays where it is, and what is needed next is converted: a memory-mapped file is never in memory whole.
What is no array, a list or an object that makes one of itself, becomes an array first, and Python objects float64.
"""

from __future__ import annotations

import dataclasses
import decimal
import numbers
import zlib
from collections.abc import Iterator
from typing import Any, TypeGuard

import numpy as np
from numpy.ma import MaskedArray
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address
from fastmlp.architecture import Architecture
from fastmlp.kernels.micro.finite import not_finite

SCAN_BYTES = 1 << 20  # arrays are looked through in pieces of about this size, which stay in the cache
STAGE_BYTES = 16 << 20  # data that does not lie ready for the kernels is staged in pieces of at most this size

_FLOAT64, _INT64 = np.dtype(np.float64), np.dtype(np.int64)
_REAL_KINDS = "fiub"  # of dtypes: floating, whole, without sign, boolean


class SelectedRows:
    """Some rows of a large array, which stay there until they are asked for.

    Parameters
    ----------
    array : ndarray
        Where they are.
    rows : ndarray of int64
        Their numbers.
    """

    def __init__(self, array: NDArray[Any], rows: NDArray[np.int64]) -> None:
        self.array, self.rows = array, rows
        self.shape, self.dtype = (len(rows), *array.shape[1:]), array.dtype

    def __len__(self) -> int:
        """How many there are."""
        return len(self.rows)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """A copy of those among them."""
        chosen: NDArray[Any] = self.array[self.rows[rows]]
        return chosen


Table = NDArray[Any] | SelectedRows
"""An array of one row a sample, or some of its rows."""


@dataclasses.dataclass(frozen=True)
class Targets:
    """y, checked: class labels, or rows of numbers.

    Parameters
    ----------
    labels : int64 array of shape (n,), or None
        The class of each row; where they do not lie ready, of any dtype.
    values : array of shape (n, outputs), or None
        The targets; where they do not lie ready, of any dtype and layout.
    architecture : Architecture
        Of the network that they suit.
    ready : bool
        Whether kernels can read them where they are.
    name : str
        What errors call them.
    """

    labels: Table | None
    values: Table | None
    architecture: Architecture
    ready: bool = True
    name: str = "y"

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._given())

    @property
    def row_bytes(self) -> int:
        """Of a row as the kernels read it."""
        return 8 if self.labels is not None else self.architecture.outputs * self.architecture.dtype.itemsize

    def take(self, rows: Any) -> Targets:
        """Those rows, ready for the kernels; views of them where they are a slice and lie ready.

        Raises
        ------
        ValueError
            If a label is none any more; the kernels index by it.
        """
        taken = self._given()[rows]
        if self.labels is not None:
            labels = taken if self.ready else _own_labels(taken, self.architecture.outputs, self.name)
            return Targets(labels, None, self.architecture)
        values = taken if self.ready else own_copy(taken, self.architecture.dtype)
        return Targets(None, values, self.architecture)

    def choose(self, rows: NDArray[np.int64]) -> Targets:
        """Those rows: copied if that is small, else left where they are."""
        dtype = _INT64 if self.labels is not None else self.architecture.dtype
        chosen = rows_of(self._given(), rows, dtype)
        ready = self.ready and isinstance(chosen, np.ndarray)
        labels, values = (chosen, None) if self.labels is not None else (None, chosen)
        return dataclasses.replace(self, labels=labels, values=values, ready=ready)

    def as_array(self) -> NDArray[Any]:
        """Labels where there are labels, else the values; all of them as the kernels read them."""
        given = self._given()
        if self.ready and isinstance(given, np.ndarray):
            return given
        memory.require(
            len(given) * self.row_bytes, f"{self.name} as the network reads it", "fewer rows would take less"
        )
        return own_copy(given[:], _INT64 if self.labels is not None else self.architecture.dtype)

    def _given(self) -> Table:
        given = self.labels if self.labels is not None else self.values
        assert given is not None
        return given


def pieces(rows: int, row_bytes: int) -> Iterator[slice]:
    """Slices of that many rows, each of about `SCAN_BYTES`."""
    step = max(1, SCAN_BYTES // max(1, row_bytes))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def check_inputs(X: Any, architecture: Architecture, name: str = "X") -> NDArray[Any]:
    """X as an array of real numbers, (n, inputs), all finite in the network's dtype; not copied if it is one already.

    Raises
    ------
    TypeError
        If it holds something else than real numbers.
    ValueError
        If its shape does not suit the network, or a value is NaN, infinite or too large.
    """
    given = check_table(X, architecture, name)
    check_finite(given, architecture.dtype, name)
    return given


def check_table(X: Any, architecture: Architecture, name: str = "X") -> NDArray[Any]:
    """The same for whom the kernels look whether its numbers are finite.

    Raises
    ------
    TypeError
        If it holds something else than real numbers.
    ValueError
        If its shape does not suit the network.
    """
    if not hasattr(X, "__array__") and (isinstance(X, Iterator) or callable(X)):
        raise TypeError(
            f"{name} must be an array, got {X!r}; fit takes chunks, without y, and predict and evaluate are called "
            "for each chunk"
        )
    given = real_array(X, name)
    columns = architecture.inputs
    if given.ndim != 2 or given.shape[1] != columns:
        hint = ""
        if given.shape == (columns,):
            hint = f"; one sample is {name}.reshape(1, -1)" if name.isidentifier() else "; one sample is a row of many"
        raise ValueError(f"{name} must have shape (n, {columns}) for this network, got {given.shape}{hint}")
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
        if is_small(rows, _INT64.itemsize):  # a copy of our own: nobody may change what the kernels index by
            return Targets(_own_labels(given, outputs, name), None, architecture, True, name)
        check_labels(given, outputs, name)
        return Targets(given, None, architecture, False, name)
    if given.ndim == 1 and outputs == 1:
        given = given.reshape(-1, 1)
    if given.shape != (rows, outputs):
        labels = f" or labels of shape ({rows},)" if loss.targets == "classes" else ""
        hint = _shape_hint(given, architecture, name)
        raise ValueError(f"{name} must have shape ({rows}, {outputs}){labels} for {loss.name}, got {given.shape}{hint}")
    check_finite(given, architecture.dtype, name)
    _check_range(given, architecture, name)
    values = ready_if_small(given, architecture.dtype)
    return Targets(None, values, architecture, lies_ready(values, architecture.dtype), name)


def check_finite(values: Table, dtype: np.dtype[Any], name: str) -> None:
    """Raise ValueError if a value is NaN or infinite, or becomes so in that dtype; says where."""
    if values.dtype.kind in "bui" and values.dtype.itemsize <= 8:
        return
    if _is_plain(values, dtype) and not not_finite.function_for(dtype)(address(values), values.size):
        return
    for rows in pieces(len(values), values[:1].nbytes):
        piece = values[rows]
        with np.errstate(all="ignore"):
            bad = ~np.isfinite(piece.astype(dtype, copy=False))
        if bad.any():
            place = [int(i) for i in np.argwhere(bad)[0]]
            value = piece[tuple(place)]
            where = ", ".join(str(i) for i in [place[0] + rows.start, *place[1:]])
            what = f"{value!s}; leave such rows out, or fill them in"
            if np.isfinite(value):
                wider = ", or take dtype='float64'" if dtype.itemsize == 4 and abs(value) < 1e308 else ""
                what = f"{value!s}, which {dtype.name} cannot hold; scale it down{wider}"
            raise ValueError(f"{name} must be finite, but {name}[{where}] is {what}")


def _is_plain(array: Table, dtype: np.dtype[Any]) -> TypeGuard[NDArray[Any]]:
    """Whether it is numbers of that dtype one after the other."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        return False
    return array.flags.c_contiguous and array.flags.aligned


def check_labels(given: NDArray[Any], classes: int, name: str) -> None:
    """Raise ValueError if something is not a whole number from 0 to classes - 1."""
    check_finite(given, _FLOAT64, name)
    lowest, highest = [], []
    for rows in pieces(len(given), given.itemsize):
        piece = given[rows]
        if piece.dtype.kind == "f" and not (piece == np.floor(piece)).all():
            raise ValueError(
                f"{name} must hold class labels, whole numbers from 0 to {classes - 1}, got {given.dtype} values"
            )
        lowest.append(piece.min())
        highest.append(piece.max())
    if lowest and (min(lowest) < 0 or max(highest) >= classes):
        raise ValueError(
            f"{name} must hold class labels from 0 to {classes - 1}, since the network has {classes} outputs; "
            f"got labels from {min(lowest)} to {max(highest)}"
        )


def is_small(rows: int, row_bytes: int) -> bool:
    """Whether so much may be copied whole."""
    return rows * row_bytes <= STAGE_BYTES


def lies_ready(array: Table, dtype: np.dtype[Any]) -> TypeGuard[NDArray[Any]]:
    """Whether kernels can read the rows where they are: the right dtype, each row contiguous and aligned."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype or not array.dtype.isnative or not array.flags.aligned:
        return False
    row_stride, stride = array.strides
    return (stride == dtype.itemsize or array.shape[1] == 1) and row_stride % dtype.itemsize == 0


def ready_if_small(array: Table, dtype: np.dtype[Any]) -> Table:
    """The array itself if it lies ready, a copy that does if that is small, else the array as it is."""
    small = is_small(len(array), array.shape[1] * dtype.itemsize)
    return array if lies_ready(array, dtype) or not small else own_copy(array[:], dtype)


def own_copy(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Those numbers, C-contiguous in that dtype; what is too small becomes 0, whatever the user has NumPy raise."""
    if array.dtype == dtype:
        return np.ascontiguousarray(array)
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(array, dtype)


def rows_of(array: Table, rows: NDArray[np.int64], dtype: np.dtype[Any]) -> Table:
    """Those rows of an array, which will be read as that dtype: a copy if that is small."""
    columns = array.shape[1] if len(array.shape) == 2 else 1
    if not isinstance(array, np.ndarray) or is_small(len(rows), columns * max(dtype.itemsize, array.dtype.itemsize)):
        return array[rows]
    return SelectedRows(array, rows)


def stage_rows(row_bytes: int, least: int) -> int:
    """How many rows a staging buffer holds: at least a batch."""
    return max(least, STAGE_BYTES // row_bytes)


def _check_range(given: NDArray[Any], architecture: Architecture, name: str) -> None:
    """Raise ValueError where a target is not what the loss takes."""
    loss, lowest, highest, not_one = architecture.loss, [], [], set()
    if loss.targets == "values":
        return
    for rows in pieces(len(given), given[:1].nbytes):
        values = own_copy(given[rows], architecture.dtype)
        if loss.targets == "signs":
            strange = values[~np.isin(values, (-1, 0, 1))]
            not_one |= {sign for sign in (-1, 0) if (values == sign).any()}
            if strange.size or len(not_one) == 2:
                got = f"{strange[0]:g}" if strange.size else "-1 and 0"
                raise ValueError(f"{name} must hold -1 and 1, or 0 and 1, for {loss.name}, got {got}")
        lowest.append(values.min())
        highest.append(values.max())
    if loss.targets == "signs" or not lowest:
        return
    least, most = min(lowest), max(highest)
    if least < 0 or (most > 1 and loss.targets != "counts"):
        wanted = "be at least 0" if loss.targets == "counts" else "lie between 0 and 1"
        raise ValueError(f"{name} must {wanted} for {loss.name}, got numbers from {least:g} to {most:g}")


def _shape_hint(given: NDArray[Any], architecture: Architecture, name: str) -> str:
    """What was probably meant."""
    if given.ndim == 2 and given.shape[1] == 1:
        return f"; np.ravel({name}) has one dimension"
    if given.ndim == 1 and architecture.loss.targets == "values":
        return "; a network for class labels has output='softmax'"
    return ""


def _own_labels(given: NDArray[Any], classes: int, name: str) -> NDArray[np.int64]:
    """A checked copy: what it is made of may have changed since it was checked as a whole."""
    own = np.array(given)
    check_labels(own, classes, name)
    return own_copy(own, _INT64)


def real_array(given: ArrayLike, name: str) -> NDArray[Any]:
    """The argument as an array of real numbers; not copied if it is one already.

    Raises
    ------
    TypeError
        If it holds something else.
    ValueError
        If its rows differ in length, a whole number is too large, or values are masked.
    """
    if type(given) is np.ndarray and given.dtype.kind in _REAL_KINDS:
        return given
    if isinstance(given, list | tuple):
        for row in given:
            _refuse_masked(row, name)
    try:
        array = np.asanyarray(given)
    except ValueError as error:
        rows = "a table of numbers, but its rows differ in length" if isinstance(given, list | tuple) else "an array"
        raise ValueError(f"{name} must be {rows}: {error}") from error
    _refuse_masked(array, name)
    array = np.asarray(array)
    if array.dtype.kind == "O":
        array = _numbers_of_objects(given, array, name)
    if array.dtype.kind not in _REAL_KINDS:
        raise TypeError(f"{name} must hold real numbers, got an array of {array.dtype}{_hint(array.dtype, name)}")
    return array


def _refuse_masked(given: Any, name: str) -> None:
    """Raise ValueError where values are masked: what lies under a mask is nobody's number."""
    if isinstance(given, MaskedArray) and np.ma.is_masked(given):
        raise ValueError(f"{name} must have a value in every place, but some are masked; fill them in")


def _numbers_of_objects(given: Any, array: NDArray[Any], name: str) -> NDArray[np.float64]:
    strange = [value for value in array.flat if not isinstance(value, (numbers.Real, decimal.Decimal))]
    if strange:
        hint = "; its toarray() gives them all" if hasattr(given, "toarray") else ""
        if isinstance(strange[0], str):  # as in a table of pandas
            hint = _hint(np.dtype(str), name)
        elif strange[0] is None and array.ndim:
            hint = "; leave such rows out, or fill them in"
        raise TypeError(f"{name} must hold real numbers, got objects such as {strange[0]!r}{hint}")
    memory.require(array.size * _FLOAT64.itemsize, f"{name}, whose Python objects become float64,")
    try:
        return own_copy(array, _FLOAT64)
    except OverflowError:
        raise ValueError(f"{name} holds a whole number that float64 cannot hold") from None
    except ValueError as error:
        raise ValueError(f"{name} holds a number that is none to float64: {error}") from None


def _hint(dtype: np.dtype[Any], name: str) -> str:
    """What makes real numbers of what an array holds."""
    if dtype.kind in "UST":
        if name.startswith("y"):
            return "; np.unique(y, return_inverse=True)[1] turns names into labels"
        return (
            "; astype(float) turns texts such as '1.5' into numbers, pandas.get_dummies names into columns, np.load a "
            "file's path into its array"
        )
    if dtype.kind == "c":
        return "; np.real gives its real part"
    if dtype.kind in "mM":
        return "; say in which unit since when, such as (t - t[0]) / np.timedelta64(1, 'D')"
    if dtype.names:
        return "; numpy.lib.recfunctions.structured_to_unstructured makes a column of each field"
    return ""


def mark(X: Table, targets: Targets) -> int:
    """A number that tells other data of the same size from this, by its first, middle and last row."""
    rows = [0, len(X) // 2, len(X) - 1]
    y = targets.take(rows).as_array()
    return zlib.crc32(own_copy(X[rows], _FLOAT64).tobytes() + own_copy(y, _FLOAT64).tobytes())
