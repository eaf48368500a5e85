"""Data frames of pandas, polars, Arrow and libraries like them: the names of their columns, and their numbers.

No such library is imported: a frame is recognized by its attributes. Whether a column holds numbers is decided by its
dtype, because libraries disagree otherwise: NumPy's array of a polars frame holds microseconds where a column holds
dates.
"""

from __future__ import annotations

import decimal
import numbers
import re
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime import memory

_REAL = re.compile(r"u?int(8|16|32|64)|float(16|32|64)?|double|halffloat|bool(ean)?|decimal.*")
"""The dtypes of real numbers, in small letters, without the ending of pandas's Arrow-backed dtypes."""

_HINTS = {
    r"(datetime|timestamp)(?!.*time_zone=none).*(, |tz=|time_zone=)": (
        "convert it to UTC and to numbers, such as the days since a date: "
        "({column} - datetime(2000, 1, 1, tzinfo=timezone.utc)).dt.total_seconds() / 86400"
    ),
    r"datetime|timestamp": (
        "convert it to numbers, such as the days since a date: "
        "({column} - datetime(2000, 1, 1)).dt.total_seconds() / 86400"
    ),
    r"timedelta|duration": "{column}.dt.total_seconds() gives its seconds",
    r"date|period": "convert it to numbers, such as the days since a date",
    r"complex": "numpy.real gives its real part",
}
"""What to do with a column that holds no real numbers, by a pattern of the beginning of its dtype."""

_CATEGORIES = re.compile("categor|enum|dictionary")
_ONE_FOR_EACH = "make a column of 0 and 1 for each {} (pandas.get_dummies, or to_dummies of polars)"
_CATEGORY_HINT = f"{_ONE_FOR_EACH.format('category')}, or take the codes of the categories if they have an order"
_TEXT_HINT = f"astype(float) turns texts such as '1.5' into numbers; {_ONE_FOR_EACH.format('name')}"


def is_frame(given: Any) -> bool:
    """Return whether an argument is a frame: an object with `__array__`, and columns with names and dtypes."""
    if not hasattr(given, "__array__"):
        return False
    return hasattr(given, "column_names") or (hasattr(given, "columns") and hasattr(given, "dtypes"))


def column_names(frame: Any, name: str) -> tuple[str, ...] | None:
    """Return the names of the columns, or None if no name is a string, as with numbers or a MultiIndex.

    Raises
    ------
    TypeError
        If only some names are strings.
    """
    names = _names(frame)
    others = [column for column in names if not isinstance(column, str)]
    if len(others) == len(names):
        return None
    if others:
        raise TypeError(
            f"{name} must have columns whose names are all strings, or all something else, but has the name "
            f"{others[0]!r} too; {name}.columns = {name}.columns.astype(str) makes strings of all"
        )
    return tuple(map(str, names))


def frame_array(frame: Any, name: str) -> NDArray[Any]:
    """Return the numbers of a frame as an array (n, columns), a view of its memory if the library provides one.

    Raises
    ------
    TypeError
        If a column does not hold real numbers; the message names it and says what to do.
    ValueError
        If a value of a column that NumPy has no dtype for is missing.
    MemoryError
        If there is no memory for the array.
    """
    dtypes = [str(dtype) for dtype in (frame.schema.types if hasattr(frame, "column_names") else frame.dtypes)]
    if all(_REAL.fullmatch(_plain(dtype)) for dtype in dtypes):
        array: NDArray[Any] = np.asanyarray(frame)
        if array.dtype.kind in "fiub":
            return array
    memory.require(len(frame) * len(dtypes) * 8, f"{name}, whose columns become float64,")
    array = np.empty((len(frame), len(dtypes)))
    for index, (column, dtype) in enumerate(zip(_names(frame), dtypes, strict=True)):
        array[:, index] = _numbers(_column(frame, index), dtype, name, column)
    return array


def series_array(series: Any) -> NDArray[Any]:
    """Return a column, or another argument, as NumPy reads it: an array with None for the missing values of Arrow.

    NumPy's array of a chunked Arrow array with a dictionary holds a value of the dictionary where none is.
    """
    if str(getattr(series, "type", "")).startswith("dictionary") and hasattr(series, "to_pylist"):
        array: NDArray[Any] = np.empty(len(series), object)
        array[:] = series.to_pylist()
    else:
        array = np.asanyarray(series)
    return array


def is_missing(value: Any) -> bool:
    """Return whether a Python object stands for a missing value: None, NaN, or the NA and NaT of pandas."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and isnan(value))


def _names(frame: Any) -> list[Any]:
    return list(frame.column_names if hasattr(frame, "column_names") else frame.columns)


def _column(frame: Any, index: int) -> Any:
    """Return a column by its position, since names may be repeated."""
    if hasattr(frame, "iloc"):
        return frame.iloc[:, index]
    return frame.column(index) if hasattr(frame, "column_names") else frame.to_series(index)


def _plain(dtype: str) -> str:
    """Return the name of a dtype in small letters, without what pandas writes around it."""
    return dtype.lower().removesuffix("[pyarrow]").removeprefix("sparse[").partition(",")[0]


def _numbers(series: Any, dtype: str, name: str, column: Any) -> NDArray[Any]:
    """Return the numbers of one column; `name` and `column` are those of the frame and of the column in messages."""
    what, expression = f"column {column!r} of {name} must hold real numbers", f"{name.split()[0]}[{column!r}]"
    for pattern, hint in _HINTS.items():
        if re.match(pattern, dtype.lower()):
            raise TypeError(f"{what}, got {dtype}; {hint.format(column=expression)}")
    array = series_array(series)
    if array.dtype.kind in "fiub":
        return array
    of_labels = f"labels are one column, {expression}, and no frame" if name.startswith("y") else ""
    if _CATEGORIES.match(dtype.lower()):
        raise TypeError(f"{what}, got {dtype}; {of_labels or _CATEGORY_HINT}")
    for row, value in enumerate(array.tolist()):
        if is_missing(value):
            raise ValueError(
                f"column {column!r} of {name} must have a value in every row, got {value} in row {row}, counted from "
                "0; leave such rows out, or fill them in"
            )
        if not isinstance(value, (numbers.Real, decimal.Decimal)):
            hint = f"; {of_labels or _TEXT_HINT}" if isinstance(value, str) else ""
            raise TypeError(f"{what}, got {value!r}{hint}")
    return array.astype(np.float64)
