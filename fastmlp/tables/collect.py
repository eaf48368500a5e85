"""Read all columns of a training file: numbers in 8 bytes each, categories in codes of 4 bytes.

The file is read once. Only columns that turn out to be texts late in the file are read again. For a million rows of 20
columns, 9 of 11 s are spent on splitting lines and parsing numbers, which a second reading of all columns would repeat.
The values stay in memory until the matrix of the network, 4 bytes an input, is written from them.
"""

from __future__ import annotations

from collections.abc import Collection

from fastmlp._runtime.option_names import option
from fastmlp.tables.column_checks import ColumnOptions
from fastmlp.tables.columns import ColumnReader, ColumnValues
from fastmlp.tables.errors import TableError, missing_column_error, warn
from fastmlp.tables.file_format import SEPARATORS
from fastmlp.tables.frames import FrameReader
from fastmlp.tables.header import data_like
from fastmlp.tables.reader import Reader


def collect(
    reader: Reader | FrameReader,
    target: str,
    *,
    categorical: Collection[str],
    ignore: Collection[str],
    decimal: str,
    skip_missing_target: bool = False,
) -> tuple[list[ColumnValues], int]:
    """Read the columns of a training file.

    Parameters
    ----------
    reader : Reader or FrameReader
        The file or frame.
    target : str
        The column to predict.
    categorical : collection of str
        Columns to read as categories, even if their values are numbers.
    ignore : collection of str
        Columns to leave out.
    decimal : {".", ","}
        The decimal sign.
    skip_missing_target : bool
        Whether to leave out rows whose target is missing. Otherwise such a row is an error.

    Returns
    -------
    columns : list of ColumnValues
        All columns except the ignored ones, in the order of the file.
    skipped : int
        How many rows were left out.

    Warns
    -----
    TableWarning
        If the header looks like a row of data.

    Raises
    ------
    TableError
        If a column does not exist, or holds neither numbers nor categories.
    """
    if isinstance(reader, Reader) and (text := data_like(reader.names)):
        warn(reader.path, text, line=1)
    names = _names_to_read(reader, target, categorical=categorical, ignore=ignore)
    columns = {
        name: ColumnReader(
            ColumnOptions(reader.path, name, decimal, name in categorical, name == target, skip_missing_target)
        )
        for name in names
    }
    values = _read(reader, columns)
    again = {
        name: ColumnReader(columns[name].options, columns[name].first_text)
        for name, found in values.items()
        if found is None
    }
    if again:
        values |= _read(reader, again)
    collected = [found for found in values.values() if found is not None]
    if len({len(column.values) for column in collected}) > 1:
        raise TableError(
            reader.path, "the file changed while it was read; try again when no other program writes to it"
        )
    return _without_missing_target(reader.path, collected, target) if skip_missing_target else (collected, 0)


def _without_missing_target(path: str, columns: list[ColumnValues], target: str) -> tuple[list[ColumnValues], int]:
    """Return the columns without the rows whose target is missing, and the number of these rows.

    Raises
    ------
    TableError
        If no rows are left.
    """
    missing = next(column.missing for column in columns if column.name == target)
    if missing.all():
        raise TableError(
            path, f"the target is missing in every row; choose another target with {option('target')}", column=target
        )
    return [column.take(~missing) for column in columns], int(missing.sum())


def _names_to_read(
    reader: Reader | FrameReader, target: str, *, categorical: Collection[str], ignore: Collection[str]
) -> list[str]:
    """Return the names of the columns that are not ignored.

    Raises
    ------
    TableError
        If a named column does not exist, the target is ignored, or no column is left besides the target.
    """
    for name, what in [(target, "target"), *((name, "column") for name in (*categorical, *ignore))]:
        if name not in reader.names:
            raise missing_column_error(reader.path, name, reader.names, what)
    if target in ignore:
        raise TableError(
            reader.path,
            f"the target cannot be ignored; choose another target with {option('target')}, or do not ignore it",
            column=target,
        )
    names = [name for name in reader.names if name not in ignore]
    if len(reader.names) < 2 and isinstance(reader, FrameReader):
        raise TableError(reader.path, "this is the only column; add columns to predict it from", column=target)
    if len(reader.names) < 2:
        separator = SEPARATORS.get(reader.separator, repr(reader.separator))
        raise TableError(
            reader.path,
            f"this is the only column (separator: {separator}); add columns to predict it from, or give another "
            f"separator with {option('separator')}",
            column=target,
        )
    if len(names) < 2:
        raise TableError(
            reader.path,
            "all columns besides the target are ignored; keep at least one to predict it from",
            column=target,
        )
    return names


def _read(reader: Reader | FrameReader, columns: dict[str, ColumnReader]) -> dict[str, ColumnValues | None]:
    """Read the file once. The value of a column that must be read again is None."""
    readers = [(reader.places[name], column) for name, column in columns.items()]
    for block in reader.blocks():
        for place, column in readers:
            column.add(block.columns[place], block.lines)
    return {name: column.finish() for name, column in columns.items()}
