"""Read one column of a training file: decide whether it holds numbers or categories, and collect its values.

The first block that has values decides: the column holds numbers if nine of ten values in this block are numbers. If
the rest of the file shows that this was wrong, the column is read again as categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastmlp.tables.column_checks import (
    IDENTIFIER_ROWS,
    MAJORITY,
    MAX_CATEGORIES,
    ColumnOptions,
    FirstText,
    check_categories,
    check_target_present,
    raise_mixed,
    raise_too_many,
)
from fastmlp.tables.errors import correction_advice, infinite_error
from fastmlp.tables.values import MISSING_CODE, CategoryCodes, Floats, parse_number, parse_numbers


@dataclass(frozen=True)
class ColumnValues:
    """All values of one column.

    Parameters
    ----------
    name : str
        Name of the column.
    values : ndarray of shape (n,)
        Numbers, float64, NaN where missing; or codes of categories, int32, 0 where missing.
    categories : tuple of str or None
        The categories with the codes 1, 2, ...; None for a column of numbers.
    as_categories : ColumnValues or None
        For a target of numbers of at most 1,000 different texts: the column read as categories, since its numbers may
        be the names of classes. Else None.
    """

    name: str
    values: NDArray[Any]
    categories: tuple[str, ...] | None
    as_categories: ColumnValues | None = None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """For each row, whether its value is missing."""
        missing: NDArray[np.bool_] = np.isnan(self.values) if self.categories is None else self.values == MISSING_CODE
        return missing

    def take(self, rows: NDArray[np.bool_]) -> ColumnValues:
        """Return the column in some rows."""
        as_categories = None if self.as_categories is None else self.as_categories.take(rows)
        return replace(self, values=self.values[rows], as_categories=as_categories)


class ColumnReader:
    """Collects the values of one column while its file is read block by block.

    Parameters
    ----------
    options : ColumnOptions
        How the column is read.
    first_text : FirstText, optional
        Given for the second reading of a column that began as numbers: the first value that is not a number. The column
        is then read as categories.
    """

    def __init__(self, options: ColumnOptions, first_text: FirstText | None = None) -> None:
        self.options = options
        self.first_text = first_text
        self._began_as_numbers = first_text is not None
        self._is_numeric: bool | None = False if options.categorical or first_text else None  # None: not yet decided
        self._categories = CategoryCodes()
        self._parts: list[NDArray[Any]] = []  # the values of each block
        self._codes: list[NDArray[np.int32]] | None = [] if options.is_target else None  # besides numbers
        self._undecided_rows = 0  # all missing
        self._text_count = 0  # values that are not numbers, while the column is read as numbers

    def add(self, texts: Sequence[str], lines: Sequence[int]) -> None:
        """Collect the values of the next block.

        Parameters
        ----------
        texts : sequence of str
            The values as they stand in the file.
        lines : sequence of int
            The line of each row.

        Raises
        ------
        TableError
            If a number is infinite, a target is missing, or there are too many categories.
        """
        if self._is_numeric is None:
            self._decide(texts)
        if self._is_numeric is None:
            self._undecided_rows += len(texts)
            missing = np.ones(len(texts), bool)
        elif self._is_numeric:
            missing = np.isnan(self._add_numbers(texts, lines))
        else:
            missing = self._add_codes(texts, lines) == MISSING_CODE
        if self.options.is_target and not self.options.skip_missing:
            for row in np.flatnonzero(missing).tolist():
                check_target_present(self.options, texts[row], lines[row])

    def finish(self) -> ColumnValues | None:
        """Return all values of the column. None if it must be read again, as categories.

        Raises
        ------
        TableError
            If the column holds neither numbers nor categories.
        """
        name = self.options.name
        if self._is_numeric is None:
            return ColumnValues(name, np.full(self._undecided_rows, np.nan), None)
        values: NDArray[Any] = np.concatenate(self._parts)
        self._parts.clear()
        if not self._is_numeric:
            self._check_categories(values)
            return ColumnValues(name, values, tuple(self._categories.names))
        if self.first_text is None:
            return ColumnValues(name, values, None, self._as_categories())
        numbers = int(np.count_nonzero(~np.isnan(values)))
        present = numbers + self._text_count
        if numbers >= MAJORITY * present:
            raise_mixed(self.options, self.first_text, numbers, present)
        return None

    def _decide(self, texts: Sequence[str]) -> None:
        """Decide between numbers and categories by the values in a block, unless all are missing."""
        numbers = parse_numbers(texts, self.options.decimal)
        parsed = [parse_number(text, self.options.decimal) for text in texts] if numbers is None else numbers.tolist()
        present = [value for value in parsed if value is None or value == value]
        if not present:
            return
        self._is_numeric = sum(value is not None for value in present) >= MAJORITY * len(present)
        if self._undecided_rows:
            rows = self._undecided_rows
            codes = np.full(rows, MISSING_CODE, np.int32)
            self._parts.append(np.full(rows, np.nan) if self._is_numeric else codes)
            if self._codes is not None:
                self._codes.append(codes)

    def _add_numbers(self, texts: Sequence[str], lines: Sequence[int]) -> Floats:
        """Collect and return the numbers of a block. Texts are counted, and become NaN."""
        values = parse_numbers(texts, self.options.decimal)
        if values is None:
            values = self._parse_each(texts, lines)
        self._parts.append(values)
        if self._codes is not None:
            self._codes.append(self._categories.codes(texts))
            if len(self._categories.names) > MAX_CATEGORIES:
                self._codes = None
        return values

    def _as_categories(self) -> ColumnValues | None:
        """Return a target of numbers as categories, unless there are too many."""
        if self._codes is None:
            return None
        return ColumnValues(self.options.name, np.concatenate(self._codes), tuple(self._categories.names))

    def _parse_each(self, texts: Sequence[str], lines: Sequence[int]) -> Floats:
        values = np.full(len(texts), np.nan)
        for row, text in enumerate(texts):
            value = parse_number(text, self.options.decimal)
            if value is None:
                self._text_count += 1
                self.first_text = self.first_text or FirstText(lines[row], text)
            elif np.isinf(value):
                advice = correction_advice(is_target=self.options.is_target)
                raise infinite_error(self.options.path, self.options.name, text, lines[row], advice)
            else:
                values[row] = value
        return values

    def _add_codes(self, texts: Sequence[str], lines: Sequence[int]) -> NDArray[np.int32]:
        """Collect and return the codes of a block's categories."""
        if self.first_text is None and not self.options.categorical:
            texts_with_lines = zip(lines, texts, strict=True)
            found = next(((line, text) for line, text in texts_with_lines if not self.options.is_number(text)), None)
            self.first_text = None if found is None else FirstText(*found)
        codes = self._categories.codes(texts)
        self._parts.append(codes)
        if len(self._categories.names) > MAX_CATEGORIES:
            self._raise_too_many(self._count(np.concatenate(self._parts)))
        return codes

    def _check_categories(self, codes: NDArray[Any]) -> None:
        """Raise TableError if the texts of the whole column are not categories."""
        counts = self._count(codes)
        if self.first_text is not None:
            check_categories(self.options, self._categories.names, counts, self.first_text)
        if len(codes) >= IDENTIFIER_ROWS and len(self._categories.names) > len(codes) / 2:
            self._raise_too_many(counts)

    def _raise_too_many(self, counts: NDArray[np.int64]) -> NoReturn:
        raise_too_many(
            self.options,
            self._categories.names,
            counts,
            self.first_text,
            began_as_numbers=self._began_as_numbers,
        )

    def _count(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Return how often each code occurs."""
        return np.bincount(codes, minlength=len(self._categories.names) + 1)
