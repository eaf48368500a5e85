"""Read a DataFrame of pandas or polars, or an Arrow table, as the CSV file that its library writes of it.

All values become texts, in blocks of rows and only in the columns that are needed. They then take the way of a file:
the same kinds of columns, the same schema, the same bits. None of these libraries is imported here. A frame is known by
its methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.tables.errors import FrameName, TableError
from fastmlp.tables.header import index_names
from fastmlp.tables.reader import Block, block_rows
from fastmlp.tables.values import NumberTexts


class _Library(NamedTuple):
    """How frames of one library are read.

    Parameters
    ----------
    methods : tuple of str
        The attributes by which a frame of this library is known.
    names : callable
        Return the names of the columns of a frame.
    column : callable
        Return the column at an index, in a range of rows.
    texts : callable
        Return the texts of a column, with a decimal sign. None is a missing value.
    numbers : callable
        Return the numbers of a column of float64 or integers, NaN where missing; None for any other column.
    """

    methods: tuple[str, ...]
    names: Callable[[Any], list[object]]
    column: Callable[[Any, int, slice], Any]
    texts: Callable[[Any, str], Sequence[str | None]]
    numbers: Callable[[Any], NDArray[Any] | None]


class FrameReader:
    """A DataFrame of pandas or polars, or an Arrow table. It offers what `Reader` offers for a file.

    Parameters
    ----------
    frame : DataFrame, pyarrow.Table or pyarrow.RecordBatch
        The frame. The index of a pandas frame is not read.
    decimal : {".", ","}
        The decimal sign with which numbers are written.

    Attributes
    ----------
    path : str
        The name of the frame in messages.
    names : tuple of str
        The column names.
    places : dict of str to int
        For each column name, the index of the column, counted from 0.
    separator : str
        Empty: there is none.

    Raises
    ------
    TableError
        If a column name is not a string or is empty, or two columns have the same name.
    TypeError
        If `frame` is not a frame.
    """

    separator = ""

    def __init__(self, frame: Any, decimal: str = ".") -> None:
        self._frame, self._decimal, self._library = frame, decimal, _library_of(frame)
        self.path = FrameName(type(frame).__name__)
        names = self._library.names(frame)
        self.places = index_names(self.path, [self._checked_name(name) for name in names])
        self.names = tuple(self.places)
        self._rows = len(frame)

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks. Their lines are the indices of the rows, counted from 0.

        Raises
        ------
        TableError
            If there are no rows, or the values of a column cannot be written as texts.
        """
        if not self._rows:
            raise TableError(self.path, "the frame has columns but no rows; add rows of data")
        size = block_rows(len(self.names))  # as of a file, since the first block decides between numbers and categories
        for begin in range(0, self._rows, size):
            rows = range(begin, min(begin + size, self._rows))
            yield Block(_Columns(self, slice(rows.start, rows.stop)), rows)

    def texts(self, place: int, rows: slice) -> Sequence[str]:
        """Return the texts of the column at index `place` in some rows. A missing value is an empty text.

        Raises
        ------
        TableError
            If the values cannot be written as texts.
        """
        column = self._library.column(self._frame, place, rows)
        numbers = self._library.numbers(column)

        def make_texts() -> list[str]:
            try:
                texts = self._library.texts(column, self._decimal)
            except Exception as error:  # of the library: lists, structures, durations
                kind = column.dtype if hasattr(column, "dtype") else column.type
                raise TableError(
                    self.path,
                    f"values of the type {kind} cannot be written as texts; convert them to numbers or strings, or "
                    "leave the column out",
                    column=self.names[place],
                ) from error
            return ["" if text is None else text for text in texts]

        # 17 digits take 1 us to write and to read again. The number that is read is the one that was written.
        return make_texts() if numbers is None else NumberTexts(numbers.astype(np.float64), make_texts)

    def _checked_name(self, name: object) -> str:
        if not isinstance(name, str):
            raise TableError(
                self.path,
                f"column names must be strings, got {name!r}, of type {type(name).__name__}; rename the columns, such "
                "as with frame.columns = [str(name) for name in frame.columns]",
            )
        return name.strip()


class _Columns(Sequence[Sequence[str]]):
    """The columns of a block, each of which becomes texts when it is needed."""

    def __init__(self, reader: FrameReader, rows: slice) -> None:
        self._reader, self._rows = reader, rows

    def __len__(self) -> int:
        return len(self._reader.names)

    def __getitem__(self, place: Any) -> Any:
        return self._reader.texts(place, self._rows)


def is_frame(data: object) -> bool:
    """Return whether `data` is a frame that `FrameReader` reads."""
    return any(all(hasattr(data, name) for name in library.methods) for library in _LIBRARIES)


def _library_of(frame: object) -> _Library:
    """Return how a frame is read.

    Raises
    ------
    TypeError
        If it is not a frame.
    """
    for library in _LIBRARIES:
        if all(hasattr(frame, name) for name in library.methods):
            return library
    kind = type(frame).__name__
    advice = ""
    if kind == "LazyFrame":
        advice = "; give frame.collect()"
    elif kind == "Series":
        advice = "; give series.to_frame()"
    elif hasattr(frame, "__arrow_c_stream__"):
        advice = "; give pyarrow.table(data)"
    raise TypeError(
        f"data must be the path of a CSV file, a DataFrame of pandas or polars, or an Arrow table, got {kind}{advice}"
    )


def _pandas_texts(column: Any, decimal: str) -> Sequence[str | None]:
    kind, size = getattr(column.dtype, "kind", "O"), getattr(column.dtype, "itemsize", 8)
    if kind == "f" and size in (2, 4) and not hasattr(column.dtype, "pyarrow_dtype"):
        values = column.to_numpy(dtype=f"float{8 * size}", na_value=np.nan)  # else they widen: 0.10000000149011612
        texts = [None if value != value else str(value) for value in values]
    else:
        values = column.to_numpy(dtype=object, na_value=None).tolist()
        texts = [None if value is None else str(value) for value in values]
    if kind in "mM":  # NaT is not replaced
        return [None if text == "NaT" else text for text in texts]
    return _with_decimal(texts, decimal) if kind == "f" else texts


def _pandas_numbers(column: Any) -> NDArray[Any] | None:
    dtype = column.dtype
    exact = isinstance(dtype, np.dtype) and (dtype.kind in "iu" or dtype == np.float64)
    return column.to_numpy() if exact else None


def _polars_texts(column: Any, decimal: str) -> Sequence[str | None]:
    texts: list[str | None] = column.cast(str).to_list()
    return _with_decimal(texts, decimal) if column.dtype.is_float() or column.dtype.is_decimal() else texts


def _polars_numbers(column: Any) -> NDArray[Any] | None:
    return column.to_numpy() if column.dtype.is_integer() or str(column.dtype) == "Float64" else None


def _arrow_texts(column: Any, decimal: str) -> Sequence[str | None]:
    texts: list[str | None] = column.cast("string").to_pylist()
    is_fraction = str(column.type).startswith(("double", "float", "halffloat", "decimal"))
    return _with_decimal(texts, decimal) if is_fraction else texts


def _arrow_numbers(column: Any) -> NDArray[Any] | None:
    exact = str(column.type) == "double" or str(column.type).startswith(("int", "uint"))
    return column.to_numpy(zero_copy_only=False) if exact else None


def _with_decimal(texts: list[str | None], decimal: str) -> list[str | None]:
    """Return texts of numbers with another decimal sign than a point."""
    if decimal == ".":
        return texts
    return [None if text is None else text.replace(".", decimal) for text in texts]


_LIBRARIES = (
    _Library(
        ("iloc", "columns", "dtypes"),
        lambda frame: list(frame.columns),
        lambda frame, place, rows: frame.iloc[rows, place],
        _pandas_texts,
        _pandas_numbers,
    ),
    _Library(
        ("get_columns", "write_csv"),
        lambda frame: list(frame.columns),
        lambda frame, place, rows: frame[:, place][rows],
        _polars_texts,
        _polars_numbers,
    ),
    _Library(
        ("num_rows", "column", "schema"),
        lambda frame: list(frame.schema.names),
        lambda frame, place, rows: frame.column(place)[rows],
        _arrow_texts,
        _arrow_numbers,
    ),
)
