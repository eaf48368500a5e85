"""The first reading of a training file: what kind each column is, and its values in 8 bytes (numbers) or 4 (codes).

One pass, in which a column is decided by its first block: numbers where nine of ten texts are, else categories. Only
where the rest of the file says otherwise is that column read again. Of a million rows and 20 columns, 9 of 11 s go into
taking lines apart and making numbers of them, which a second pass would do again; the values kept, 8 bytes a number,
are half of the matrix that the network needs anyway.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastmlp.tables.errors import TableError, infinite, no_such_column, shown
from fastmlp.tables.reader import Reader
from fastmlp.tables.values import MISSING_CODE, Categories, Floats, has_comma, has_mark, is_date, number, numbers

MOSTLY = 0.9  # of the values present; a column is what so many of them are
MOST_CATEGORIES = 1000
MANY_ROWS = 50  # from here on, a text column whose values are mostly different is an identifier


@dataclass(frozen=True)
class Kept:
    """A column as it was read.

    Parameters
    ----------
    name : str
        Of the column.
    values : ndarray of shape (n,)
        float64, NaN where missing; or int32 codes, 0 where missing.
    categories : tuple of str or None
        The categories of the codes 1, 2, ...; None for numbers.
    """

    name: str
    values: NDArray[Any]
    categories: tuple[str, ...] | None


class Column:
    """One column while its file is read.

    Parameters
    ----------
    path, name : str
        Of file and column, for messages.
    decimal : str
        The decimal sign.
    text : bool
        Whether it holds categories, whatever they look like.
    required : bool
        Whether no value may be missing, as in the target.
    odd : tuple of int and str, optional
        Line and text of the value by which an earlier reading found that these are not numbers.
    """

    def __init__(
        self, path: str, name: str, decimal: str, *, text: bool, required: bool, odd: tuple[int, str] | None = None
    ) -> None:
        self.path, self.name, self.decimal = path, name, decimal
        self.text, self.required = text, required
        self.numeric: bool | None = False if text or odd else None
        self.categories = Categories()
        self._parts: list[NDArray[Any]] = []
        self._waiting = 0  # rows of missing values, before there is anything to decide by
        self.odd = odd  # of the first value that is no number
        self._again = odd is not None
        self._strange = 0

    def add(self, texts: Sequence[str], lines: Sequence[int]) -> None:
        """Keep the next rows.

        Raises
        ------
        TableError
            If a value cannot be used, or there are too many categories.
        """
        if self.numeric is None:
            self._decide(texts)
        if self.numeric is None:
            self._waiting += len(texts)
            missing = np.ones(len(texts), bool)
        elif self.numeric:
            values = self._numbers(texts, lines)
            missing = np.isnan(values)
            self._parts.append(values)
        else:
            if self.odd is None and not self.text:
                self.odd = next(((line, t) for line, t in zip(lines, texts, strict=True) if self._is_odd(t)), None)
            codes = self.categories.codes(texts)
            missing = codes == MISSING_CODE
            self._parts.append(codes)
            if len(self.categories.names) > MOST_CATEGORIES:
                self._refuse(self._counts())
        for row in np.flatnonzero(missing).tolist() if self.required else ():
            if not self._is_odd(texts[row]):
                found = shown(texts[row])
                self._fail(f"found {found} where the target should be; fill it in, or remove the row", lines[row])

    def finish(self) -> Kept | None:
        """All its values; None if it has to be read again, as categories.

        Raises
        ------
        TableError
            If the column is neither of numbers nor of categories.
        """
        if self.numeric is None:
            return Kept(self.name, np.full(self._waiting, np.nan), None)
        values: NDArray[Any] = np.concatenate(self._parts)
        self._parts.clear()
        if not self.numeric:
            counts = np.bincount(values, minlength=len(self.categories.names) + 1)
            if not self.text:
                self._check_kind(counts)
            if len(values) >= MANY_ROWS and len(self.categories.names) > len(values) / 2:
                self._refuse(counts)
            return Kept(self.name, values, tuple(self.categories.names))
        if self.odd is None:
            return Kept(self.name, values, None)
        there = int(np.count_nonzero(~np.isnan(values)))
        if there >= MOSTLY * (there + self._strange):
            self._mostly_numbers(there, there + self._strange)
        return None

    def _decide(self, texts: Sequence[str]) -> None:
        """By the values present in a block; the rows before it had none."""
        quick = numbers(texts, self.decimal)
        found = [number(text, self.decimal) for text in texts] if quick is None else quick.tolist()
        there = [value for value in found if value is None or value == value]
        if not there:
            return
        self.numeric = sum(value is not None for value in there) >= MOSTLY * len(there)
        if self._waiting:
            missing = np.full(self._waiting, np.nan) if self.numeric else np.full(self._waiting, 0, np.int32)
            self._parts.append(missing)

    def _numbers(self, texts: Sequence[str], lines: Sequence[int]) -> Floats:
        """The block's numbers; one that is none is counted and counts as missing."""
        quick = numbers(texts, self.decimal)
        if quick is not None:
            return quick
        values = np.full(len(texts), np.nan)
        for row, text in enumerate(texts):
            value = number(text, self.decimal)
            if value is None:
                self._strange += 1
                self.odd = self.odd or (lines[row], text)
            elif np.isinf(value):
                raise infinite(self.path, self.name, text, lines[row])
            else:
                values[row] = value
        return values

    def _is_odd(self, text: str) -> bool:
        return number(text, self.decimal) is None

    def _is_foreign(self, text: str) -> bool:
        """Whether it would be a number with another decimal sign, or without separators of thousands."""
        return has_comma(text) or (self.decimal == "," and number(text) is not None)

    def _counts(self) -> NDArray[np.int64]:
        """How often each code occurred so far."""
        return np.bincount(np.concatenate(self._parts), minlength=len(self.categories.names) + 1)

    def _check_kind(self, counts: NDArray[np.int64]) -> None:
        """Refuse what is no set of categories, though it is text."""
        names, present = list(self.categories.names), int(counts[1:].sum())
        if not present or self.odd is None:
            return

        def share(*kinds: NDArray[np.bool_]) -> float:
            return float(counts[1:][np.logical_or.reduce(kinds)].sum() / present)

        plain = np.array([not self._is_odd(name) for name in names])
        foreign = np.array([self._is_foreign(name) for name in names])
        dates = np.array([is_date(name) for name in names])
        marked = np.array([has_mark(name) for name in names])
        line, text = self.odd
        if share(plain) >= MOSTLY:
            self._mostly_numbers(int(counts[1:][plain].sum()), present)
        if foreign.any() and share(plain, foreign) >= MOSTLY:
            self._fail(f"found {shown(text)}; {_ADVICE[self.decimal]}", line)
        if share(dates) >= MOSTLY:
            self._fail(
                f"found {shown(text)}, a date or time; turn it into numbers, such as days since a day, or leave the "
                f"column out with --ignore {self._quoted()}",
                line,
            )
        if marked.any() and share(plain, marked) >= MOSTLY:
            self._fail(
                f"found {shown(text)}, a number with a mark; write plain numbers, or take the column as text with "
                f"--categorical {self._quoted()}",
                line,
            )

    def _refuse(self, counts: NDArray[np.int64]) -> NoReturn:
        """Say why a column of so many different texts cannot be used."""
        if self._again and self.odd is not None:
            line, text = self.odd
            self._fail(
                f"found {shown(text)} among numbers, in a column of too many different texts for categories; mend it, "
                f"or leave the column out with --ignore {self._quoted()}",
                line,
            )
        if not self.text:
            self._check_kind(counts)
        different = len(self.categories.names)
        found = f"more than {MOST_CATEGORIES:,}" if different > MOST_CATEGORIES else f"{different:,}"
        if self.required:
            looks, advice = "too many for classes", "choose another --target"
        else:
            looks, advice = "like an identifier or free text", f"leave the column out with --ignore {self._quoted()}"
        example = shown(next(iter(self.categories.names)))
        self._fail(f"found {found} different texts such as {example} in {counts.sum():,} rows, {looks}; {advice}")

    def _mostly_numbers(self, right: int, present: int) -> NoReturn:
        assert self.odd is not None
        line, text = self.odd
        advice = "mend it or leave the cell empty"
        if self._is_foreign(text):
            advice = _ADVICE[self.decimal]
        self._fail(
            f"found {shown(text)} among numbers ({right:,} of {present:,} values are); {advice}, or take the column as "
            f"text with --categorical {self._quoted()}",
            line,
        )

    def _quoted(self) -> str:
        return shlex.quote(self.name)

    def _fail(self, text: str, line: int | None = None) -> NoReturn:
        raise TableError(self.path, text, line=line, column=self.name)


_ADVICE = {
    ".": "write numbers with a point and without separators of thousands, or give --decimal ,",
    ",": "write numbers with a comma and without points, or leave --decimal , away",
}


def collect(
    reader: Reader, target: str, *, categorical: Collection[str], ignore: Collection[str], decimal: str
) -> list[Kept]:
    """Read a training file.

    Parameters
    ----------
    reader : Reader
        The file.
    target : str
        The column to predict.
    categorical : collection of str
        Columns whose values are names, whatever they look like.
    ignore : collection of str
        Columns to leave out.
    decimal : str
        The decimal sign, "." or ",".

    Returns
    -------
    list of Kept
        All columns but the ignored ones, in the file's order.

    Raises
    ------
    TableError
        If a column is missing or cannot be used.
    """
    for name, what in [(target, "target"), *((name, "column") for name in (*categorical, *ignore))]:
        if name not in reader.names:
            raise no_such_column(reader.path, name, reader.names, what)
    if target in ignore:
        raise TableError(reader.path, "the target cannot be ignored", column=target)
    names = [name for name in reader.names if name not in ignore]
    if len(names) < 2:
        raise TableError(reader.path, "there is no column beside the target to predict it by", column=target)

    def column(name: str, odd: tuple[int, str] | None = None) -> Column:
        return Column(reader.path, name, decimal, text=name in categorical, required=name == target, odd=odd)

    columns = {name: column(name) for name in names}
    kept = _read(reader, columns)
    again = {name: column(name, columns[name].odd) for name, found in kept.items() if found is None}
    if again:
        kept |= _read(reader, again)
    columns_read = [found for found in kept.values() if found is not None]
    if len({len(found.values) for found in columns_read}) > 1:
        raise TableError(reader.path, "changed while it was read; try again when nothing writes to it")
    return columns_read


def _read(reader: Reader, columns: dict[str, Column]) -> dict[str, Kept | None]:
    places = [(reader.places[name], column) for name, column in columns.items()]
    for block in reader.blocks():
        for place, column in places:
            column.add(block.columns[place], block.lines)
    return {name: column.finish() for name, column in columns.items()}
