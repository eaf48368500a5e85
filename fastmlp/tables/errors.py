"""`TableError`, `TableWarning`, and the phrases that the messages of this package share.

A message names the file and, where known, the line and the column. It says what was found and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from fastmlp._runtime.option_names import option
from fastmlp._runtime.user_warnings import warn_user

_MAX_VALUE_LENGTH = 60  # characters of a value that a message quotes
_MAX_NAMES = 20  # that a message lists


class FrameName(str):
    """The name of a frame, in place of the path of a file. Its rows are counted from 0, and are not lines of a file."""

    __slots__ = ()


class TableError(ValueError):
    """Raised when a file cannot be used as a table.

    The message names the file and, where known, the line and the column. It says what was found and what to do.

    Parameters
    ----------
    path : str
        Path of the file, or the `FrameName` of a frame.
    text : str
        What was found and what to do about it.
    line : int, optional
        Line of the file, counted from 1; or row of the frame, counted from 0.
    column : str, optional
        Name of the column.
    """

    def __init__(self, path: str, text: str, *, line: int | None = None, column: str | None = None) -> None:
        super().__init__(_message(path, text, line, column))


class TableWarning(UserWarning):
    """Warns of a table that can be used, but most likely not as it was meant. Its message is that of a `TableError`."""


def warn(path: str, text: str, *, line: int | None = None, column: str | None = None) -> None:
    """Issue a `TableWarning`. The arguments are those of `TableError`."""
    warn_user(_message(path, text, line, column), TableWarning)


def _message(path: str, text: str, line: int | None, column: str | None) -> str:
    """Return a message that begins with the place that it is about."""
    where = path
    if line is not None:
        where = f"{path}, row {line}" if isinstance(path, FrameName) else f"{path}:{line}"
    return f"{where}: {text}" if column is None else f"{where}: column {column!r}: {text}"


def quote_value(value: str) -> str:
    """Return a value in quotes for a message. Values of more than 60 characters are cut."""
    return repr(value if len(value) <= _MAX_VALUE_LENGTH else value[: _MAX_VALUE_LENGTH - 3] + "...")


def list_names(names: Iterable[str], limit: int = _MAX_NAMES) -> str:
    """Return the first `limit` names, quoted and separated by commas, and how many there are if some are left out."""
    found = list(names)
    rest = f", ... ({len(found)} in all)" if len(found) > limit else ""
    return ", ".join(repr(name) for name in found[:limit]) + rest


def missing_column_error(
    path: str, name: str, names: Iterable[str], what: str = "column", reason: str = ""
) -> TableError:
    """Return the error for a column that the file does not have. Its message suggests the most similar name.

    Parameters
    ----------
    path : str
        Path of the file.
    name : str
        Name of the missing column.
    names : iterable of str
        Names of the columns that the file has.
    what : str
        The word for the column: "column" or "target".
    reason : str
        A relative clause that says why the column is needed.
    """
    found = list(names)
    similar = difflib.get_close_matches(name, found, n=1, cutoff=0.5)
    similar = similar or [other for other in found if other.casefold() == name.casefold()]
    hint = f"; did you mean {similar[0]!r}?" if similar else "."
    return TableError(path, f"there is no {what} {name!r}{reason}{hint} {describe_columns(found, path)}")


def describe_columns(names: Iterable[str], path: str = "") -> str:
    """Return a sentence that lists the columns of a file or frame, with advice if a file has only one."""
    found = list(names)
    if len(found) == 1 and not isinstance(path, FrameName):
        return (
            f"The only column is {quote_value(found[0])}; if the columns are separated by another character, give it "
            f"with {option('separator')}"
        )
    return f"The columns are: {list_names(found)}"


def infinite_error(path: str, name: str, text: str, line: int, advice: str) -> TableError:
    """Return the error for a number that is infinite. `advice` says what to do about it."""
    return TableError(path, f"found {quote_value(text)}, which is not finite; {advice}", line=line, column=name)


def correction_advice(*, is_target: bool) -> str:
    """Return what a user can do about a wrong number: a cell may be empty, but not in the target column."""
    return "correct it or remove the row" if is_target else "correct it or leave the cell empty"
