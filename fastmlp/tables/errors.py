"""What is wrong with a table, said so that it can be mended: file, line, column, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 60  # characters of a value that a message shows


class TableError(ValueError):
    """A file that cannot be used as a table; the message says where, what was found and what to do.

    Parameters
    ----------
    path : str
        The file.
    text : str
        What was found and what to do.
    line : int, optional
        Counted from 1, in lines of the file.
    column : str, optional
        Its name.
    """

    def __init__(self, path: str, text: str, *, line: int | None = None, column: str | None = None) -> None:
        where = path if line is None else f"{path}:{line}"
        super().__init__(f"{where}: {text}" if column is None else f"{where}: column {column!r}: {text}")


def shown(value: str) -> str:
    """A value as a message quotes it, cut where it is long."""
    return repr(value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "...")


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names one after the other; of many, the first ones."""
    found = list(names)
    rest = f", ... ({len(found)} in all)" if len(found) > most else ""
    return ", ".join(repr(name) for name in found[:most]) + rest


def no_such_column(path: str, name: str, names: Iterable[str], what: str = "column") -> TableError:
    """The error of a column that is not there: the nearest one, and which there are."""
    found = list(names)
    near = difflib.get_close_matches(name, found, n=1, cutoff=0.5)
    near = near or [other for other in found if other.casefold() == name.casefold()]
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return TableError(path, f"there is no {what} {name!r}{hint} The columns are: {listed(found)}")


def infinite(path: str, name: str, text: str, line: int) -> TableError:
    """The error of a number that is none to calculate with."""
    return TableError(
        path, f"found {shown(text)}, which is not finite; mend it or leave the cell empty", line=line, column=name
    )
