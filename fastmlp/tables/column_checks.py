"""Reject the columns of a training file that hold neither numbers nor categories, and say why.

Examples are dates, identifiers, numbers with a unit, and numbers among which a few texts stand.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.option_names import option
from fastmlp.tables.errors import TableError, correction_advice, quote_value
from fastmlp.tables.values import has_comma, has_symbol, is_date, parse_number

MAJORITY = 0.9
"""The share of a column's values, missing ones excluded, that decides what the column holds."""

MAX_CATEGORIES = 1000

IDENTIFIER_ROWS = 50
"""From so many rows on, a text column with more different values than half of the rows is an identifier."""


class FirstText(NamedTuple):
    """The first value of a column that is not a number.

    Parameters
    ----------
    line : int
        Line of the file.
    text : str
        The value.
    """

    line: int
    text: str


@dataclass(frozen=True)
class ColumnOptions:
    """How one column of a training file is read.

    Parameters
    ----------
    path : str
        Path of the file, for messages.
    name : str
        Name of the column.
    decimal : {".", ","}
        The decimal sign.
    categorical : bool
        Whether the user declared the column to hold categories, even if its values are numbers.
    is_target : bool
        Whether it is the column to predict. Its values must not be missing, unless `skip_missing` is true.
    skip_missing : bool
        Whether rows whose target is missing will be left out.
    """

    path: str
    name: str
    decimal: str
    categorical: bool
    is_target: bool
    skip_missing: bool = False

    def is_number(self, text: str) -> bool:
        """Return whether a text is a number or a missing value."""
        return parse_number(text, self.decimal) is not None

    def is_number_in_other_notation(self, text: str) -> bool:
        """Return whether a text would be a number with the other decimal sign, or without thousands separators."""
        return has_comma(text) or (self.decimal == "," and parse_number(text) is not None)

    def error(self, text: str, line: int | None = None) -> TableError:
        """Return an error about this column."""
        return TableError(self.path, text, line=line, column=self.name)

    @property
    def categorical_advice(self) -> str:
        """Advice to read the column as categories."""
        return f"read the column as categories with {option('categorical', [self.name])}"

    @property
    def notation_advice(self) -> str:
        """Advice on numbers in another notation."""
        if self.decimal == ",":
            return f"write numbers with a comma and without points, or omit {option('decimal', ',')}"
        other = option("decimal", ",")
        return f"write numbers with a point and without thousands separators, or give {other} for a decimal comma"

    @property
    def ignore_advice(self) -> str:
        """Advice to do without the column, or to choose another target."""
        if self.is_target:
            return f"choose another target with {option('target')}"
        return f"leave the column out with {option('ignore', [self.name])}"


def check_target_present(column: ColumnOptions, text: str, line: int) -> None:
    """Raise TableError if the target of a row is a missing value."""
    if column.is_number(text):
        raise column.error(
            f"the target is missing (found {quote_value(text)}); fill it in or remove the row, or leave all such rows "
            f"out with {option('skip_missing_target', True)}",
            line,
        )


def raise_mixed(column: ColumnOptions, first_text: FirstText, numbers: int, present: int) -> NoReturn:
    """Raise TableError for a column of numbers with a few texts.

    Parameters
    ----------
    column : ColumnOptions
        The column.
    first_text : FirstText
        Its first value that is not a number.
    numbers, present : int
        How many values are numbers, and how many are not missing.
    """
    line, text = first_text
    advice = correction_advice(is_target=column.is_target)
    if column.is_number_in_other_notation(text):
        advice = column.notation_advice
    raise column.error(
        f"found {quote_value(text)} among numbers ({numbers:,} of {present:,} values are numbers); {advice}, or "
        f"{column.categorical_advice}",
        line,
    )


def raise_too_many(
    column: ColumnOptions,
    names: Collection[str],
    counts: NDArray[np.int64],
    first_text: FirstText | None,
    *,
    began_as_numbers: bool,
) -> NoReturn:
    """Raise TableError for a column of too many different texts.

    Parameters
    ----------
    column : ColumnOptions
        The column.
    names : collection of str
        Its different texts.
    counts : ndarray of shape (len(names) + 1,)
        How often each occurs, after the number of missing values.
    first_text : FirstText or None
        Its first value that is not a number. None if the user declared the column categorical.
    began_as_numbers : bool
        Whether the column looked like numbers at the beginning of the file.
    """
    if began_as_numbers and first_text is not None:
        raise column.error(
            f"found {quote_value(first_text.text)} among numbers, and too many different texts for categories; correct "
            f"it, or {column.ignore_advice}",
            first_text.line,
        )
    if first_text is not None:
        check_categories(column, names, counts, first_text)
    number = f"more than {MAX_CATEGORIES:,}" if len(names) > MAX_CATEGORIES else f"{len(names):,}"
    looks = "which are too many for classes" if column.is_target else "which looks like an identifier or free text"
    example = quote_value(next(iter(names)))
    raise column.error(
        f"found {number} different texts such as {example} in {counts.sum():,} rows, {looks}; {column.ignore_advice}"
    )


def check_categories(
    column: ColumnOptions, names: Collection[str], counts: NDArray[np.int64], first_text: FirstText
) -> None:
    """Check that the texts of a column are categories, and not numbers or dates in a form that cannot be read.

    Parameters
    ----------
    column : ColumnOptions
        The column.
    names : collection of str
        Its different texts.
    counts : ndarray of shape (len(names) + 1,)
        How often each occurs, after the number of missing values.
    first_text : FirstText
        Its first value that is not a number.

    Raises
    ------
    TableError
        If nine of ten values are numbers, numbers in another notation, dates, or numbers with a symbol.
    """
    occurrences = counts[1:]
    present = int(occurrences.sum())
    line, text = first_text
    plain = np.array([column.is_number(name) for name in names])
    foreign = np.array([column.is_number_in_other_notation(name) for name in names])
    dates = np.array([is_date(name) for name in names])
    symbols = np.array([has_symbol(name) for name in names])

    def is_majority(kind: NDArray[np.bool_]) -> bool:
        return bool(float(occurrences[kind].sum() / present) >= MAJORITY)

    if is_majority(plain):
        raise_mixed(column, first_text, int(occurrences[plain].sum()), present)
    if foreign.any() and is_majority(plain | foreign):
        raise column.error(f"found {quote_value(text)}, a number in another notation; {column.notation_advice}", line)
    if is_majority(dates):
        raise column.error(
            f"found {quote_value(text)}, a date or time; convert it to numbers, such as days since a fixed day, or "
            f"{column.ignore_advice}",
            line,
        )
    if symbols.any() and is_majority(plain | symbols):
        raise column.error(
            f"found {quote_value(text)}, a number with a symbol; write plain numbers, or {column.categorical_advice}",
            line,
        )
