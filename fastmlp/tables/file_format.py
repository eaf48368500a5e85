"""Check that a path is a text file, and find the character that separates its fields."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import os
import stat
from itertools import islice
from typing import NamedTuple

from fastmlp.tables.errors import TableError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""The separators that are found without being given, and their names in messages."""

EMPTY_FILE = "the file is empty; give a CSV file with a header and rows"
"""The text of the error for a file without a header."""

_SAMPLE_BYTES = 1 << 16  # from which the separator is found
_SAMPLE_ROWS = 50
_UTF32_ADVICE = "convert it: iconv -f UTF-32 -t UTF-8 {name} > new.csv"
_UTF16_ADVICE = "convert it: iconv -f UTF-16 -t UTF-8 {name} > new.csv"
_OTHER_FORMATS = {  # first bytes: what the file is, what to do
    codecs.BOM_UTF32_LE: ("UTF-32 text", _UTF32_ADVICE),  # before UTF-16, whose mark is the beginning of this one
    codecs.BOM_UTF32_BE: ("UTF-32 text", _UTF32_ADVICE),
    codecs.BOM_UTF16_LE: ("UTF-16 text", _UTF16_ADVICE),
    codecs.BOM_UTF16_BE: ("UTF-16 text", _UTF16_ADVICE),
    b"PK\x03\x04": ("a zip archive or a workbook", "unzip it, or save the sheet as CSV"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV"),
    b"\x1f\x8b": ("compressed by gzip", "decompress it first, with gunzip"),
}


class Sample(NamedTuple):
    """The beginning of a text file.

    Parameters
    ----------
    text : str
        The first lines.
    size : int
        Size of the whole file in bytes.
    """

    text: str
    size: int


def read_sample(path: str) -> Sample:
    """Return the first lines of a file.

    Raises
    ------
    TableError
        If there is no such file, or if it is empty, not a regular file or not a text file.
    """
    size = _size_of_regular_file(path)
    with open(path, "rb") as file:
        start = file.read(_SAMPLE_BYTES)
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise TableError(path, EMPTY_FILE)
    for first_bytes, (what, advice) in _OTHER_FORMATS.items():
        if start.startswith(first_bytes):
            advice = advice.format(name=os.path.basename(path))
            raise TableError(path, f"the file is {what}, not CSV in UTF-8; {advice}")
    if len(start) == _SAMPLE_BYTES:
        end = max(start.rfind(b"\n"), start.rfind(b"\r")) + 1
        start = start[: end or _SAMPLE_BYTES]  # if the first row is longer than the sample, a part of it is enough
    return Sample(start.decode("utf-8-sig", errors="replace"), size)


def _size_of_regular_file(path: str) -> int:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise TableError(path, "there is no such file; check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise TableError(path, "this is a folder; give a CSV file in it")
    if not stat.S_ISREG(status.st_mode):
        raise TableError(
            path, "this is not a regular file, and the data is read more than once; save the data to a file first"
        )
    return status.st_size


def is_separator(text: object) -> bool:
    """Return whether `text` can separate the fields of a row: one character, not a quote and not a line end."""
    return isinstance(text, str) and len(text) == 1 and text not in '"\r\n\0'


def find_separator(sample: str) -> str:
    """Return the separator of a file, given its first lines.

    A separator qualifies if it splits the first 50 rows into the same number of fields, at least two. Of several that
    qualify, the one that makes most fields is returned. If none qualifies, it is the one that makes most fields in the
    first row.
    """

    def quality(separator: str) -> tuple[bool, int]:
        widths: list[int] = []
        rows = csv.reader(io.StringIO(sample, newline=""), delimiter=separator, strict=True)
        with contextlib.suppress(csv.Error):  # the sample may end within a row; other faults are reported by the reader
            for row in islice((row for row in rows if row), _SAMPLE_ROWS):
                widths.append(len(row))
        first = widths[0] if widths else 0
        return len(set(widths)) == 1 and first > 1, first

    return max(SEPARATORS, key=quality)
