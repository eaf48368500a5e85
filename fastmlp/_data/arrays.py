"""Arrays of the user: checked without copying them, and converted to what kernels read only where that is needed.

An array is kernel-ready if a kernel can read its rows where they are: it has the network's dtype in native byte order,
each row is contiguous, and all numbers are aligned. A kernel-ready array is never copied. Any other array is converted
as a whole if the copy is small, at most `STAGE_BYTES`. A larger one stays where it is, and the rows that are needed
next are converted, so that a memory-mapped file is never in memory as a whole. Lists and objects with `__array__` are
converted to arrays first; arrays of Python objects become float64.
"""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.frames import is_missing, series_array
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address
from fastmlp.kernels.micro.finite import not_finite

SCAN_BYTES = 1 << 20  # arrays are read in slices of about this size, whose temporaries fit into the cache
STAGE_BYTES = 16 << 20  # the size of the largest copy of an array, and of a staging buffer

FLOAT64, INT64 = np.dtype(np.float64), np.dtype(np.int64)
REAL_KINDS = "fiub"  # of dtypes: float, signed integer, unsigned integer, bool


class RowArray(Protocol):
    """An array with one row for each sample, or an object that makes an array of the rows by which it is indexed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the array."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, rows: Any, /) -> Any:
        """Return the rows of a slice or of an array of row numbers, as an ndarray."""


class SelectedRows:
    """Selected rows of a large array. A row is copied when it is read.

    Parameters
    ----------
    array : RowArray
        The array, to which this object keeps a reference.
    rows : ndarray of int64
        The numbers of the selected rows.
    """

    def __init__(self, array: RowArray, rows: NDArray[np.int64]) -> None:
        self.array, self.rows = array, rows
        self.shape, self.dtype = (len(rows), *array.shape[1:]), array.dtype

    def __len__(self) -> int:
        """Return the number of selected rows."""
        return len(self.rows)

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        """Return a copy of some of the selected rows; `rows` counts within the selection."""
        copied: NDArray[Any] = self.array[self.rows[rows]]
        return copied


class SelectedColumns:
    """The columns of a large array in another order. A row is copied when it is read.

    Parameters
    ----------
    array : ndarray of shape (n, columns)
        The array, to which this object keeps a reference.
    columns : ndarray of int64
        The numbers of the columns, in the order in which they are read.
    """

    def __init__(self, array: NDArray[Any], columns: NDArray[np.int64]) -> None:
        self.array, self.columns = array, columns
        self.shape, self.dtype = (len(array), len(columns)), array.dtype

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.array)

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        """Return a copy of some rows, with the columns in their new order."""
        copied: NDArray[Any] = self.array[rows][:, self.columns]
        return copied


# Checks ---------------------------------------------------------------------------------------------------------------


def check_finite(
    array: RowArray,
    dtype: np.dtype[Any],
    name: str,
    columns: Sequence[Any] | None = None,
    hint: str = "; leave such rows out, or fill them in",
) -> None:
    """Check that all values are finite, also after conversion to `dtype`; `hint` says what to do with NaN and infinity.

    Raises
    ------
    ValueError
        If a value is not; the message names its place, by the name of the column if `columns` has names.
    """
    if array.dtype.kind in "bui" and array.dtype.itemsize <= 8:
        return
    if is_contiguous(array, dtype) and not not_finite.function_for(dtype)(address(array), array.size):
        return
    for rows in row_slices(len(array), array[:1].nbytes):
        values = array[rows]
        with np.errstate(all="ignore"):
            wrong = ~np.isfinite(values.astype(dtype, copy=False))
        if wrong.any():
            place = [int(i) for i in np.argwhere(wrong)[0]]
            value = values[tuple(place)]
            row = place[0] + rows.start
            where = f"{name}[{', '.join(str(i) for i in [row, *place[1:]])}]"
            if columns is not None:
                where = f"row {row}, counted from 0, of column {columns[place[1]]!r}"
            what = f"{value!s}{hint}"
            if np.isfinite(value):
                wider = ", or compute in float64" if dtype.itemsize == 4 and abs(value) < 1e308 else ""
                what = f"{value!s}, which {dtype.name} cannot hold; scale it down{wider}"
            raise ValueError(f"{name} must be finite, but {where} is {what}")


def raise_not_finite(X: RowArray, dtype: np.dtype[Any]) -> NoReturn:
    """Raise ValueError for inputs in which a kernel has found NaN or infinity.

    Kernels report only that there is such a value, so X is searched for its place.
    """
    check_finite(X, dtype, "X")
    raise ValueError("X held NaN or infinity, and was changed by another thread while it was read")


def is_contiguous(array: RowArray, dtype: np.dtype[Any]) -> TypeGuard[NDArray[Any]]:
    """Return whether a kernel can read the array as one vector of `dtype`."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        return False
    return array.flags.c_contiguous and array.flags.aligned


def real_array(given: ArrayLike, name: str) -> NDArray[Any]:
    """Return the argument as an array of real numbers; it is not copied if it is such an array.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If rows differ in length, an integer is too large for float64, or values are masked.
    MemoryError
        If there is no memory for the copy of an array of Python objects.
    """
    if type(given) is np.ndarray and given.dtype.kind in REAL_KINDS:
        return given
    refuse_masked(given, name)
    try:
        array = series_array(given)
    except ValueError as error:
        rows = "a table of numbers, but its rows differ in length" if isinstance(given, list | tuple) else "an array"
        raise ValueError(f"{name} must be {rows}: {error}") from error
    refuse_masked(array, name)
    array = np.asarray(array)
    if array.dtype.kind == "O":
        array = _float64_of_objects(given, array, name)
    if array.dtype.kind not in REAL_KINDS:
        raise TypeError(f"{name} must hold real numbers, got an array of {array.dtype}{_hint(array.dtype, name)}")
    return array


def refuse_masked(given: Any, name: str) -> None:
    """Raise ValueError if an array, or a row of a list, has masked values: the numbers below the mask mean nothing."""
    rows = given if isinstance(given, list | tuple) else [given]
    # Only masked arrays have a mask. To ask for their class would import numpy.ma in every process.
    if any(isinstance(row, np.ndarray) and hasattr(row, "mask") and np.ma.is_masked(row) for row in rows):
        raise ValueError(f"{name} must have a value in every place, but some are masked; fill them in")


def _float64_of_objects(given: Any, array: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Convert an array of Python objects to float64; `given` is the argument that the array was made of."""
    wrong = [value for value in array.flat if not isinstance(value, (numbers.Real, decimal.Decimal))]
    if wrong:
        hint = "; its toarray() gives them all" if hasattr(given, "toarray") else ""
        hint = "; its collect() gives the frame" if hasattr(given, "collect") else hint  # a lazy frame
        if isinstance(wrong[0], str):  # as in a pandas.DataFrame
            hint = _hint(np.dtype(str), name)
        elif array.ndim and is_missing(wrong[0]):
            hint = "; leave such rows out, or fill them in"
        elif hasattr(wrong[0], "timestamp"):  # with a time zone
            hint = _hint(np.dtype("datetime64"), name)
        raise TypeError(f"{name} must hold real numbers, got objects such as {wrong[0]!r}{hint}")
    memory.require(array.size * FLOAT64.itemsize, f"{name}, whose Python objects become float64,")
    try:
        return converted(array, FLOAT64)
    except OverflowError:
        raise ValueError(f"{name} holds a whole number that float64 cannot hold") from None
    except ValueError as error:
        raise ValueError(f"{name} holds a number that cannot be converted to float64: {error}") from None


def _hint(dtype: np.dtype[Any], name: str) -> str:
    """Return the end of a message: how to make real numbers of an array of that dtype."""
    if dtype.kind in "UST":
        if name.startswith("y") and dtype.kind == "S":
            return f"; {name}.astype(str) makes labels of them"
        if name.startswith("y"):
            return "; labels need a network with a cross-entropy, such as output='softmax'"
        return (
            "; astype(float) turns texts such as '1.5' into numbers, pandas.get_dummies names into columns, np.load a "
            "file's path into its array"
        )
    if dtype.kind == "c":
        return "; np.real gives its real part"
    if dtype.kind in "mM":
        return "; convert it to a number of units, as (t - t[0]) / np.timedelta64(1, 'D') does to days"
    if dtype.names:
        return "; numpy.lib.recfunctions.structured_to_unstructured makes a column of each field"
    return ""


# Conversion -----------------------------------------------------------------------------------------------------------


def is_kernel_ready(array: RowArray, dtype: np.dtype[Any]) -> TypeGuard[NDArray[Any]]:
    """Return whether kernels can read the rows of an array (n, columns) where they are; rows may lie apart."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype or not array.dtype.isnative or not array.flags.aligned:
        return False
    row_stride, stride = array.strides
    return (stride == dtype.itemsize or array.shape[1] == 1) and row_stride % dtype.itemsize == 0


def is_small(rows: int, row_bytes: int) -> bool:
    """Return whether an array of that size may be copied as a whole: at most `STAGE_BYTES`."""
    return rows * row_bytes <= STAGE_BYTES


def converted(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the array C-contiguous and aligned in `dtype`; it is not copied if it is so already.

    Numbers that are too small become 0 without a warning, whatever the user's settings of `numpy.seterr` are.
    """
    if array.dtype == dtype:
        return np.require(array, requirements=("C", "ALIGNED"))
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(array, dtype)


def converted_if_small(array: RowArray, dtype: np.dtype[Any]) -> RowArray:
    """Return `converted(array, dtype)` if an array (n, columns) is not kernel-ready and the copy is small.

    Any other array is returned as it is.
    """
    small = is_small(len(array), array.shape[1] * dtype.itemsize)
    return array if is_kernel_ready(array, dtype) or not small else converted(array[:], dtype)


def select_rows(array: RowArray, rows: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any] | SelectedRows:
    """Return some rows of an array: a copy if it is small, also after conversion to `dtype`, else `SelectedRows`."""
    columns = array.shape[1] if len(array.shape) == 2 else 1
    if is_small(len(rows), columns * max(dtype.itemsize, array.dtype.itemsize)):
        copied: NDArray[Any] = array[rows]
        return copied
    return SelectedRows(array, rows)


def select_columns(array: NDArray[Any], columns: NDArray[np.int64]) -> NDArray[Any] | SelectedColumns:
    """Return the columns of an array in another order: a copy if it is small, else `SelectedColumns`."""
    return array[:, columns] if is_small(len(array), array[:1].nbytes) else SelectedColumns(array, columns)


def staging_rows(row_bytes: int, minimum: int) -> int:
    """Return how many rows fit into a staging buffer of `STAGE_BYTES`; at least `minimum`."""
    return max(minimum, STAGE_BYTES // row_bytes)


def row_slices(rows: int, row_bytes: int) -> Iterator[slice]:
    """Return slices that cover `rows` rows in sequence, each of about `SCAN_BYTES`."""
    step = max(1, SCAN_BYTES // max(1, row_bytes))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
