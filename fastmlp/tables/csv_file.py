"""Open a CSV file, count the bytes that are read from it, and stop at bytes that no text file contains."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator
from typing import Any

_BUFFER_BYTES = 1 << 18


class NulByteError(Exception):
    """Raised when a file contains a NUL byte, as binary files do and text files do not."""


READ_ERRORS = (csv.Error, UnicodeDecodeError, NulByteError)
"""The exceptions that reading rows from `open_csv` may raise because of the file's content."""


class NamedFile:
    """The path of a file that messages call by another name, such as standard input that was copied to a file.

    Parameters
    ----------
    path : str
        Path of the file.
    name : str
        Its name in messages.
    """

    def __init__(self, path: str, name: str) -> None:
        self.path, self.name = path, name

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.name


class CountingFile(io.RawIOBase):
    """A binary file that counts the bytes read from it and raises `NulByteError` at a NUL byte.

    Parameters
    ----------
    path : str
        Path of the file.

    Attributes
    ----------
    count : int
        Number of bytes read so far.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self.count = 0

    def readable(self) -> bool:
        """Return True: the file is open for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read bytes into `buffer` and return how many were read.

        Raises
        ------
        NulByteError
            If one of them is a NUL byte.
        """
        count = self._file.readinto(buffer)
        self.count += count
        if b"\0" in bytes(buffer[:count]):
            raise NulByteError
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@contextlib.contextmanager
def open_csv(path: str, separator: str) -> Iterator[tuple[CountingFile, Any]]:
    """Open a CSV file in UTF-8, with or without a byte order mark.

    Yields
    ------
    file : CountingFile
        The file, which counts the bytes read.
    rows : csv.reader
        Iterator over the rows, lists of str. It raises one of `READ_ERRORS` at a row that cannot be read.
    """
    with CountingFile(path) as file, io.BufferedReader(file, _BUFFER_BYTES) as buffered:
        text = io.TextIOWrapper(buffered, "utf-8-sig", newline="")
        yield file, csv.reader(text, delimiter=separator, strict=True)


def count_line_ends(text: str) -> int:
    r"""Return the number of line ends in a text. "\n", "\r" and "\r\n" each count as one."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")
