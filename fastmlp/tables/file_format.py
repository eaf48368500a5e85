"""Check that a path is a text file, and find the character that separates its fields."""

from __future__ import annotations

import codecs
import contextlib
import csv
import difflib
import io
import os
import stat
from itertools import islice
from typing import NamedTuple

from fastmlp.tables.errors import TableError
from fastmlp.tables.other_formats import recognise

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""The separators that are found without being given, and their names in messages."""

EMPTY_FILE = "the file is empty; give a CSV file with a header and rows"
"""The text of the error for a file without a header."""

_SAMPLE_BYTES = 1 << 16  # from which the separator is found
_SAMPLE_ROWS = 50


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


def read_sample(path: str, name: str) -> Sample:
    """Return the first lines of a file. `name` is its name in messages.

    Raises
    ------
    TableError
        If there is no such file, or if it is empty, not a regular file or not a text file.
    """
    size = _size_of_regular_file(path, name)
    with open(path, "rb") as file:
        start = file.read(_SAMPLE_BYTES)
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise TableError(name, EMPTY_FILE)
    if recognised := recognise(start):
        what, advice = recognised
        advice = advice.format(name=os.path.basename(name))
        raise TableError(name, f"the file is {what}, not CSV in UTF-8; {advice}")
    if len(start) == _SAMPLE_BYTES:
        end = max(start.rfind(b"\n"), start.rfind(b"\r")) + 1
        start = start[: end or _SAMPLE_BYTES]  # if the first row is longer than the sample, a part of it is enough
    return Sample(start.decode("utf-8-sig", errors="replace"), size)


def _size_of_regular_file(path: str, name: str) -> int:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        similar = similar_file(path)
        hint = f"did you mean {similar!r}?" if similar else "check the path"
        raise TableError(name, f"there is no such file; {hint}") from None
    if stat.S_ISDIR(status.st_mode):
        raise TableError(name, "this is a folder; give a CSV file in it")
    if not stat.S_ISREG(status.st_mode):
        raise TableError(
            name,
            "this is not a regular file, and the data is read more than once; save the data to a file first, or give - "
            "on the command line to read standard input",
        )
    return status.st_size


def similar_file(path: str, suffix: str = "") -> str | None:
    """Return the path of the file, in the same folder, whose name is most similar to that of a missing file.

    Names are compared without their extensions. Only names that end in `suffix` are considered. None if there is no
    similar one.
    """
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name.lower())
    try:
        others = [other for other in sorted(os.listdir(folder or ".")) if other.endswith(suffix)]
    except OSError:
        return None
    others.sort(key=lambda other: other.lower().endswith(extension))  # of two files with one stem, the last one counts
    stems = {os.path.splitext(other.lower())[0]: os.path.join(folder, other) for other in others}
    similar = difflib.get_close_matches(stem, stems, n=1, cutoff=0.6)
    return stems[similar[0]] if similar else None


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
