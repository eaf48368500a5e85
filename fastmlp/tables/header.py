"""Check the names of the columns of a table, and recognise a header that is a row of data."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastmlp.tables.errors import TableError, list_names
from fastmlp.tables.values import has_comma, parse_number

_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
_YEARS = range(1900, 2101)
_ADVICE = "if the first line is data, add a line with the names before it"


def index_names(path: str, names: Sequence[str], line: int | None = None) -> dict[str, int]:
    """Return the index of each column by its name.

    Parameters
    ----------
    path : str
        Path of the file, for messages.
    names : sequence of str
        The names, without blanks around them.
    line : int, optional
        The line of the header. None for a frame, which has none.

    Raises
    ------
    TableError
        If a column has no name, two columns have the same name, or all names of a file are numbers that are not counted
        up.
    """
    numbers = [name for name in names if _is_number(name)]
    if line is not None and len(numbers) == len(names) and not (len(names) > 2 and _are_counted(numbers)):
        text = f"found numbers instead of column names: {list_names(names, 3)}; add a first line with the names"
        raise TableError(path, text, line=line)
    data_advice = "" if line is None or data_like(names) is None else f"; or, {_ADVICE}"
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if not name:
            text = f"column {place + 1} of {len(names)} has no name; {_missing_name_advice(place, names)}{data_advice}"
            raise TableError(path, text, line=line)
        first = places.setdefault(name, place)
        if first != place:
            text = f"columns {first + 1} and {place + 1} are both named {name!r}; rename one of them{data_advice}"
            raise TableError(path, text, line=line)
    return places


def data_like(names: Sequence[str]) -> str | None:
    """Return why the header of a file looks like a row of data, and what to do. None if it does not.

    It does if names are numbers, unless these are years, or counted up from 0 or 1 beside other names.
    """
    numbers = [name for name in names if _is_number(name)]
    if not numbers or (len(numbers) < len(names) and _are_counted(numbers)):
        return None
    return f"the header looks like a row of data: it has the names {list_names(numbers, 3)}; {_ADVICE}"


def _is_number(name: str) -> bool:
    value = parse_number(name)
    return (value is not None and value == value) or has_comma(name)


def _are_counted(numbers: Sequence[str]) -> bool:
    """Return whether numbers are those that programs take for names: rising years, or 0, 1, 2, ... or 1, 2, 3, ..."""
    if not all(_WHOLE.fullmatch(number) for number in numbers):
        return False
    values = [int(number) for number in numbers]
    if all(value in _YEARS for value in values):
        return values == sorted(set(values))
    return values in (list(range(len(values))), list(range(1, len(values) + 1)))


def _missing_name_advice(place: int, names: Sequence[str]) -> str:
    """Return what to do about the column at index `place`, which has no name."""
    if names[0].startswith("sep="):
        return "remove the first line, which only spreadsheets understand"
    if place == 0:
        return "if pandas wrote it as an index, write the file with index=False; otherwise add a name to the header"
    if place == len(names) - 1:
        return "remove the separators at the ends of the lines, or add a name to the header"
    return "add one to the header"
