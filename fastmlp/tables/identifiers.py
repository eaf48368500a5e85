"""Find the columns that number or name the rows of a table, from which a network would learn the order of the file.

In a file that is sorted by its target, a running number alone predicts the target of all rows that were kept out, and
of no other row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastmlp.tables.columns import ColumnValues
from fastmlp.tables.splitting import Rows

Reason = Literal["range", "name", "texts", "order"]

MIN_ROWS = 20
"""With fewer training rows, different values are no sign of an identifier."""

_WHOLE_NAMES = {"id", "ids", "uid", "uuid", "guid", "key", "pk", "index", "idx", "no", "nr", "num", "number", "row"}
_LAST_WORDS = {"id", "uid", "uuid", "guid", "key", "pk"}
_THINGS = (
    "account|article|case|client|customer|device|employee|entry|event|invoice|item|line|member|object|observation|order|"
    "passenger|patient|person|product|record|row|sample|serial|session|student|subject|transaction|user"
)
_THING_AND_NUMBER = re.compile(rf"({_THINGS})(id|key|no|nr|num|number|index|idx)")
_END_OF_LOWER_CASE = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")  # between "passenger" and "Id"
_PANDAS_INDEX = re.compile(r"unnamed: \d+")


@dataclass(frozen=True)
class Identifier:
    """A column that is probably an identifier.

    Parameters
    ----------
    name : str
        Name of the column.
    reason : {"range", "name", "texts", "order"}
        "range": its integers are all different and fill a range without gaps. "name": its integers are all different,
        and its name is an identifier's. "texts": its texts are all different. "order": its integers rise or fall from
        each row of the file to the next.
    """

    name: str
    reason: Reason


def find_identifiers(
    columns: Sequence[ColumnValues], training: Rows, keep: Collection[str]
) -> tuple[tuple[Identifier, ...], tuple[Identifier, ...]]:
    """Return the columns to leave out, and those to warn of.

    Parameters
    ----------
    columns : sequence of ColumnValues
        The columns to predict from.
    training : ndarray
        The indices of the training rows. Among them, the values must differ.
    keep : collection of str
        The columns that are taken whatever they look like.

    Returns
    -------
    left_out : tuple of Identifier
        The identifiers, but never all columns: the one that looks least like an identifier stays.
    suspicious : tuple of Identifier
        The columns whose integers rise or fall through the file, and the identifier that stayed.
    """
    found = [_identify(column, training) for column in columns if column.name not in keep]
    suspicious = [each for each in found if each is not None and each.reason == "order"]
    left_out = [each for each in found if each is not None and each.reason != "order"]
    if len(left_out) == len(columns):
        least = next((each for each in left_out if not is_identifier_name(each.name)), left_out[-1])
        left_out.remove(least)
        suspicious.append(least)
    return tuple(left_out), tuple(suspicious)


def is_identifier_name(name: str) -> bool:
    """Return whether the whole name of a column says that it holds identifiers.

    These are the words id, key, index, no, number, row and their like; names whose last word is id, uid, uuid, guid,
    key or pk, such as "order_id", "PassengerId" and "Customer ID"; the number of a thing, such as "row number",
    "invoiceNo" and "customerid"; and the names that pandas gives to an index without a name. Upper and lower case are
    the same.
    """
    if _PANDAS_INDEX.fullmatch(name.casefold()) or name == "#":
        return True
    words = [word for word in re.split(r"[\W_]+", _END_OF_LOWER_CASE.sub(" ", name).casefold()) if word]
    whole = "".join(words)
    ends_as_one = bool(words) and words[-1] in _LAST_WORDS
    return ends_as_one or whole in _WHOLE_NAMES or _THING_AND_NUMBER.fullmatch(whole) is not None


def _identify(column: ColumnValues, training: Rows) -> Identifier | None:
    """Return why a column is probably an identifier, None if it is not."""
    values = column.values[training]
    if column.categories is not None:
        return Identifier(column.name, "texts") if _are_different(values[values > 0]) else None
    present = values[~np.isnan(values)]
    if not (present == np.floor(present)).all() or not _are_different(present):
        return None
    if _fills_a_range(column.values):
        return Identifier(column.name, "range")
    if is_identifier_name(column.name):
        return Identifier(column.name, "name")
    steps = np.diff(column.values)
    return Identifier(column.name, "order") if (steps > 0).all() or (steps < 0).all() else None


def _are_different(values: NDArray[Any]) -> bool:
    return len(values) >= MIN_ROWS and len(np.unique(values)) == len(values)


def _fills_a_range(values: NDArray[Any]) -> bool:
    """Return whether all values of a column, in any order, are integers that follow each other without gaps."""
    different = np.unique(values)
    return bool(len(different) == len(values) and (np.diff(different) == 1).all())
