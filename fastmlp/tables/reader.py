"""Reading a CSV file block by block: encoding, separator and header are found, lines counted, faults named.

Text is never in memory whole: a block holds some hundred rows. Small blocks are the fast ones, since their strings are
still in the cache when they become numbers: of a million rows with 20 columns, blocks of 16384 rows take twice as long
as blocks of 1024.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

from fastmlp._display.progress import ReadingLine
from fastmlp.tables.errors import TableError, listed

BLOCK = 1024  # rows
CELLS = 1 << 21  # of a block at most, some 120 MB of texts: a block of a very wide table has fewer rows
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

_SAMPLE = 1 << 16  # bytes that decide about the separator
_SAMPLE_ROWS = 50
_BUFFER = 1 << 18
_EMPTY = "is empty; give a file with a header and rows"
_FOREIGN = {  # the first bytes of files that are no CSV
    codecs.BOM_UTF32_LE: ("UTF-32 text", "iconv -f UTF-32 -t UTF-8"),
    codecs.BOM_UTF32_BE: ("UTF-32 text", "iconv -f UTF-32 -t UTF-8"),
    codecs.BOM_UTF16_LE: ("UTF-16 text", "iconv -f UTF-16 -t UTF-8"),
    codecs.BOM_UTF16_BE: ("UTF-16 text", "iconv -f UTF-16 -t UTF-8"),
    b"PK\x03\x04": ("a zip archive or a workbook", "unzip it, or save the sheet as CSV"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV"),
    b"\x1f\x8b": ("compressed by gzip", "gunzip it first"),
}


@dataclass(frozen=True)
class Block:
    """Some rows of a file, column by column.

    Parameters
    ----------
    columns : list of tuple of str
        The texts of each column.
    lines : sequence of int
        The line of the file in which each row begins.
    """

    columns: list[tuple[str, ...]]
    lines: Sequence[int]


class Reader:
    """A CSV file whose encoding, separator and header are known, ready to be read as often as needed.

    Parameters
    ----------
    path : path-like
        A regular file: UTF-8, with or without a byte order mark; its first row holds the columns' names.
    separator : str, optional
        What stands between the fields, one character; None finds it among comma, semicolon, tab and bar.
    verbose : bool or "auto"
        Whether reading shows a line of progress; "auto" does in a terminal.

    Attributes
    ----------
    names : tuple of str
        The columns.
    places : dict of str to int
        Where each of them is, counted from 0.

    Raises
    ------
    TableError
        If the file cannot be read or is no such table.
    ValueError
        If the separator is none.
    """

    def __init__(
        self, path: str | os.PathLike[str], separator: str | None = None, verbose: bool | str = "auto"
    ) -> None:
        self.path, self.verbose = os.fspath(path), verbose
        if separator is not None and not is_separator(separator):
            raise ValueError(f"separator must be one character that is no quote and ends no line, got {separator!r}")
        sample = self._sample()
        self.separator = _find_separator(sample) if separator is None else separator
        self.places = self._header()
        self.names = tuple(self.places)

    def blocks(self) -> Iterator[Block]:
        """The rows below the header, some at a time.

        Raises
        ------
        TableError
            If a row is longer or shorter than the header, a quote is not closed, or bytes are no UTF-8.
        """
        done = 0
        with contextlib.closing(ReadingLine(self.verbose, os.path.basename(self.path), self.size)) as progress:
            for block, read in self._blocks():
                done += len(block.lines)
                progress.update(done, read)
                yield block
            progress.update(done, self.size, finished=True)
        if not done:
            raise TableError(self.path, "found a header but no rows below it; give a file with data")

    def _blocks(self) -> Iterator[tuple[Block, int]]:
        with self._open() as (counter, reader):
            self._next_row(reader)
            while True:
                first = reader.line_num + 1
                try:
                    rows = list(islice(reader, max(1, min(BLOCK, CELLS // len(self.names)))))
                except (csv.Error, UnicodeDecodeError, _NulError) as error:
                    self._explain(error)
                if not rows:
                    return
                block = self._block(rows, first, reader.line_num)
                if block.lines:
                    yield block, counter.count

    def _block(self, rows: list[list[str]], first: int, last: int) -> Block:
        lines: Sequence[int] = range(first, last + 1)
        if len(rows) != len(lines):  # some fields hold line breaks
            lines = _lines_of(rows, first)
        if set(map(len, rows)) != {len(self.names)}:
            kept = [(row, line) for row, line in zip(rows, lines, strict=True) if row]  # [] is an empty line
            rows, lines = [row for row, _ in kept], [line for _, line in kept]
            self._check_widths(rows, lines)
        return Block(list(zip(*rows, strict=True)), lines)

    def _check_widths(self, rows: list[list[str]], lines: Sequence[int]) -> None:
        width = len(self.names)
        for row, line in zip(rows, lines, strict=True):
            if len(row) == width:
                continue
            advice = "quote texts that hold the separator" if len(row) > width else "fill the row up, or remove it"
            separator = SEPARATORS.get(self.separator, repr(self.separator))
            raise TableError(
                self.path,
                f"found {_fields(len(row))} where the header has {width} (separator: {separator}); {advice}, "
                "or name another separator with --separator",
                line=line,
            )

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[_Counter, Any]]:
        with _Counter(self.path) as counter, io.BufferedReader(counter, _BUFFER) as buffered:
            text = io.TextIOWrapper(buffered, "utf-8-sig", newline="")
            yield counter, csv.reader(text, delimiter=self.separator, strict=True)

    def _sample(self) -> str:
        """The first lines; refuses what is no file of text."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            raise TableError(self.path, "there is no such file; check the path") from None
        if stat.S_ISDIR(status.st_mode):
            raise TableError(self.path, "is a folder; give a CSV file in it")
        if not stat.S_ISREG(status.st_mode):
            raise TableError(self.path, "is no regular file, and it is read more than once; save the data to a file")
        self.size = status.st_size
        with open(self.path, "rb") as file:
            start = file.read(_SAMPLE)
        if not start.removeprefix(codecs.BOM_UTF8).strip():
            raise TableError(self.path, _EMPTY)
        for first_bytes, (what, advice) in _FOREIGN.items():
            if start.startswith(first_bytes):
                if advice.startswith("iconv"):
                    advice = f"turn it into UTF-8: {advice} {os.path.basename(self.path)} > new.csv"
                raise TableError(self.path, f"is {what} and no CSV in UTF-8; {advice}")
        if len(start) == _SAMPLE:
            end = max(start.rfind(b"\n"), start.rfind(b"\r")) + 1
            start = start[: end or _SAMPLE]  # the first row of a very wide table is cut, which does no harm
        return start.decode("utf-8-sig", errors="replace")

    def _header(self) -> dict[str, int]:
        with self._open() as (_, reader):
            names = [name.strip() for name in self._next_row(reader)]
            line = reader.line_num
        places: dict[str, int] = {}
        for place, name in enumerate(names):
            if not name:
                raise TableError(
                    self.path, f"column {place + 1} of {len(names)} has no name; {_advice(place, names)}", line=line
                )
            first = places.setdefault(name, place)
            if first != place:
                raise TableError(
                    self.path, f"columns {first + 1} and {place + 1} are both named {name!r}; rename one", line=line
                )
        if all(_is_number(name) for name in names):
            raise TableError(
                self.path,
                f"found numbers where the header should be: {listed(names, 3)}; write a first line with the "
                "columns' names",
                line=line,
            )
        return places

    def _next_row(self, reader: Any) -> list[str]:
        """The first row that is no empty line: the header."""
        try:
            found: list[str] = next((row for row in reader if row), [])
        except (csv.Error, UnicodeDecodeError, _NulError) as error:
            self._explain(error)
        if not found:  # nothing but the beginning of a byte order mark
            raise TableError(self.path, _EMPTY)
        return found

    def _explain(self, error: Exception) -> NoReturn:
        """Find the place of a fault that stopped reading, and say it."""
        if isinstance(error, csv.Error):
            raise self._malformed(error) from None
        number = 1
        with open(self.path, "rb") as file:
            for line in file:  # lines that end with a carriage return alone come in one
                before, found, _ = line.partition(b"\0")
                if found:
                    raise TableError(
                        self.path,
                        "found a NUL byte: this is a binary file; give a CSV file of text",
                        line=number + _line_ends(before.decode("latin-1")),
                    ) from None
                try:
                    number += _line_ends(line.decode("utf-8"))
                except UnicodeDecodeError as fault:
                    raise TableError(
                        self.path,
                        f"found byte 0x{line[fault.start]:02x}, which is not UTF-8; if the file is Latin-1, turn it "
                        f"into UTF-8: iconv -f LATIN1 -t UTF-8 {os.path.basename(self.path)} > new.csv",
                        line=number + _line_ends(line[: fault.start].decode("utf-8")),
                    ) from None
        raise error  # the file changed meanwhile

    def _malformed(self, error: csv.Error) -> TableError:
        before = 0  # the line in which the last good row ended
        with self._open() as (_, reader), contextlib.suppress(csv.Error, UnicodeDecodeError, _NulError):
            for _ in reader:
                before = reader.line_num
        if "expected after" in str(error):
            what = "found text behind a closing quote; double the quotes within a quoted text"
        elif "field larger" in str(error):
            what = (
                f'found a field of more than {csv.field_size_limit():,} characters; most likely a quote (") opens here '
                "and is never closed: close it, or double the quotes within a quoted text"
            )
        else:
            what = 'a quote (") opens here and is never closed; close it, or double the quotes within a quoted text'
        return TableError(self.path, what, line=before + 1)


class _NulError(Exception):
    """A byte that no text holds."""


class _Counter(io.RawIOBase):
    """A file that knows how much of it was read, and stops at a NUL byte."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer)
        self.count += count
        if b"\0" in bytes(buffer[:count]):
            raise _NulError
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def is_separator(text: object) -> bool:
    """Whether it can stand between fields."""
    return isinstance(text, str) and len(text) == 1 and text not in '"\r\n\0'


def _find_separator(sample: str) -> str:
    """The one that splits the first rows alike; of several, the one that makes most columns."""

    def quality(separator: str) -> tuple[bool, int]:
        widths: list[int] = []
        rows = csv.reader(io.StringIO(sample, newline=""), delimiter=separator, strict=True)
        with contextlib.suppress(csv.Error):  # a row that the sample cuts, or a fault that reading will name
            for row in islice((row for row in rows if row), _SAMPLE_ROWS):
                widths.append(len(row))
        most = widths[0] if widths else 0
        return len(set(widths)) == 1 and most > 1, most

    return max(SEPARATORS, key=quality)


def _lines_of(rows: list[list[str]], first: int) -> list[int]:
    """Where each row begins, by the line breaks in its fields."""
    lines = []
    for row in rows:
        lines.append(first)
        first += 1 + sum(map(_line_ends, row))
    return lines


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


def _advice(place: int, names: list[str]) -> str:
    """What to do about a column without a name."""
    if names[0].startswith("sep="):
        return "remove that first line, which is for spreadsheets alone"
    if place == 0:
        return "if it is an index that pandas wrote, write the file with index=False; else write a name into the header"
    if place == len(names) - 1:
        return "remove the separators at the ends of the lines, or write a name into the header"
    return "write one into the header"
