"""Read a CSV file in blocks of rows, and check its header and the length of its rows.

The file is never in memory as a whole. Small blocks are faster than large ones, because their strings are still in the
cache when they are converted to numbers: for a million rows of 20 columns, blocks of 16384 rows take twice as long as
blocks of 1024.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fastmlp._display.progress import ReadingLine
from fastmlp._runtime.option_names import option
from fastmlp.tables.csv_file import READ_ERRORS, NamedFile, count_line_ends, open_csv
from fastmlp.tables.errors import TableError
from fastmlp.tables.faults import raise_fault
from fastmlp.tables.file_format import EMPTY_FILE, SEPARATORS, find_separator, is_separator, read_sample
from fastmlp.tables.header import index_names

BLOCK_ROWS = 1024
BLOCK_CELLS = 1 << 21  # at most, about 120 MB of texts: a block of a very wide table has fewer rows


def block_rows(columns: int) -> int:
    """Return the number of rows of a block of so many columns."""
    return max(1, min(BLOCK_ROWS, BLOCK_CELLS // columns))


@dataclass(frozen=True)
class Block:
    """Some consecutive rows of a file, stored by column.

    Parameters
    ----------
    columns : sequence of sequence of str
        The texts of each column.
    lines : sequence of int
        For each row, the line of the file in which it begins, counted from 1.
    """

    columns: Sequence[Sequence[str]]
    lines: Sequence[int]


class Reader:
    """A CSV file with a header. Its rows can be read any number of times.

    Parameters
    ----------
    path : path-like
        A regular file in UTF-8, with or without a byte order mark. Its first row holds the column names.
    separator : str, optional
        The character between the fields. By default it is found among comma, semicolon, tab and bar.
    verbose : bool or "auto"
        Whether to show a progress line while reading. "auto" shows it in a terminal or notebook.

    Attributes
    ----------
    path : str
        The name of the file in messages: its path, or the name of a `NamedFile`.
    names : tuple of str
        The column names, in the order of the file.
    places : dict of str to int
        For each column name, the index of the column, counted from 0.
    separator : str
        The character between the fields.
    size : int
        Size of the file in bytes.

    Raises
    ------
    TableError
        If the file cannot be read, is not a CSV file or has no valid header.
    ValueError
        If `separator` is not a single character, or is a quote or a line end.

    Examples
    --------
    >>> reader = Reader("houses.csv")
    >>> reader.names
    ('area', 'rooms', 'price')
    >>> rows = sum(len(block.lines) for block in reader.blocks())
    """

    def __init__(
        self, path: str | os.PathLike[str], separator: str | None = None, verbose: bool | str = "auto"
    ) -> None:
        self._file, self.verbose = os.fspath(path), verbose
        self.path = path.name if isinstance(path, NamedFile) else self._file
        if separator is not None and not is_separator(separator):
            raise ValueError(f"separator must be one character, and neither a quote nor a line end, got {separator!r}")
        sample, self.size = read_sample(self._file, self.path)
        self.separator = find_separator(sample) if separator is None else separator
        self.places = self._read_header()
        self.names = tuple(self.places)

    def blocks(self) -> Iterator[Block]:
        """Yield the rows below the header, in blocks. Empty lines are skipped.

        Raises
        ------
        TableError
            If there are no rows, a row is longer or shorter than the header, a quote is not closed, or a byte is not
            UTF-8.
        """
        rows = 0
        with contextlib.closing(ReadingLine(self.verbose, os.path.basename(self.path), self.size)) as progress:
            for block, bytes_read in self._read_blocks():
                rows += len(block.lines)
                progress.update(rows, bytes_read)
                yield block
            progress.update(rows, self.size, finished=True)
        if not rows:
            raise TableError(self.path, "the file has a header but no rows; add rows of data")

    def _read_blocks(self) -> Iterator[tuple[Block, int]]:
        """Yield each block and the number of bytes read so far."""
        with open_csv(self._file, self.separator) as (file, reader):
            self._next_row(reader)
            while True:
                first = reader.line_num + 1
                try:
                    rows = list(islice(reader, block_rows(len(self.names))))
                except READ_ERRORS as error:
                    raise_fault(self._file, self.path, self.separator, error)
                if not rows:
                    return
                block = self._make_block(rows, first, reader.line_num)
                if block.lines:
                    yield block, file.count

    def _make_block(self, rows: list[list[str]], first: int, last: int) -> Block:
        """Return the rows that were read from lines `first` to `last`, without empty ones."""
        lines: Sequence[int] = range(first, last + 1)
        if len(rows) != len(lines):  # some fields contain line ends
            lines = _first_lines(rows, first)
        if set(map(len, rows)) != {len(self.names)}:
            kept = [(row, line) for row, line in zip(rows, lines, strict=True) if row]  # an empty line is the row []
            rows, lines = [row for row, _ in kept], [line for _, line in kept]
            self._check_widths(rows, lines)
        return Block(list(zip(*rows, strict=True)), lines)

    def _check_widths(self, rows: list[list[str]], lines: Sequence[int]) -> None:
        """Raise TableError if a row has more or fewer fields than the header."""
        width = len(self.names)
        for row, line in zip(rows, lines, strict=True):
            if len(row) == width:
                continue
            fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
            separator = SEPARATORS.get(self.separator, repr(self.separator))
            advice = (
                "put quotes around texts that contain the separator"
                if len(row) > width
                else "complete or remove the row"
            )
            raise TableError(
                self.path,
                f"found {fields}, but the header has {width} (separator: {separator}); {advice}, or give another "
                f"separator with {option('separator')}",
                line=line,
            )

    def _read_header(self) -> dict[str, int]:
        """Return the index of each column by its name.

        Raises
        ------
        TableError
            If the header is not valid.
        """
        with open_csv(self._file, self.separator) as (_, reader):
            names = [name.strip() for name in self._next_row(reader)]
            return index_names(self.path, names, reader.line_num)

    def _next_row(self, reader: Any) -> list[str]:
        """Return the first row that is not an empty line: the header."""
        try:
            row: list[str] = next((row for row in reader if row), [])
        except READ_ERRORS as error:
            raise_fault(self._file, self.path, self.separator, error)
        if not row:  # the file holds nothing but a part of a byte order mark
            raise TableError(self.path, EMPTY_FILE)
        return row


def _first_lines(rows: list[list[str]], first: int) -> list[int]:
    """Return the line in which each row begins, from the line ends within its fields."""
    lines = []
    for row in rows:
        lines.append(first)
        first += 1 + sum(map(count_line_ends, row))
    return lines
