"""Explain why a row of a CSV file could not be read: find the line, and say what is wrong there.

The reader knows only that a block of rows failed. The functions here read the file again to find the exact line.
"""

from __future__ import annotations

import contextlib
import csv
import os
from typing import NoReturn

from fastmlp.tables.csv_file import READ_ERRORS, count_line_ends, open_csv
from fastmlp.tables.errors import TableError


def raise_fault(path: str, name: str, separator: str, error: Exception) -> NoReturn:
    """Raise the `TableError` that explains `error`.

    Parameters
    ----------
    path : str
        Path of the file.
    name : str
        Its name in messages.
    separator : str
        The character between its fields.
    error : Exception
        One of `READ_ERRORS`, raised while a row was read.

    Raises
    ------
    TableError
        With the line of the fault.
    Exception
        `error` itself, if the fault is not found because the file has changed since.
    """
    if isinstance(error, csv.Error):
        raise _syntax_error(path, name, separator, error) from None
    fault = _undecodable_byte(path, name)
    if fault is None:
        raise error
    raise fault from None


def _syntax_error(path: str, name: str, separator: str, error: csv.Error) -> TableError:
    """Return the error for a row that breaks the rules of quoting. The line is the one in which the row begins."""
    end_of_last_row = 0
    with open_csv(path, separator) as (_, rows), contextlib.suppress(*READ_ERRORS):
        for _ in rows:
            end_of_last_row = rows.line_num
    if "expected after" in str(error):
        text = "found text after a closing quote; double the quotes inside a quoted text"
    elif "field larger" in str(error):
        text = (
            f'found a field of more than {csv.field_size_limit():,} characters; probably a quote (") opens here and is '
            "never closed: close it, or double the quotes inside a quoted text"
        )
    else:
        text = 'a quote (") opens here and is never closed; close it, or double the quotes inside a quoted text'
    return TableError(name, text, line=end_of_last_row + 1)


def _undecodable_byte(path: str, name: str) -> TableError | None:
    """Return the error for the first NUL byte or byte that is not UTF-8. None if there is neither."""
    number = 1
    with open(path, "rb") as file:
        for line in file:  # lines that end with a carriage return alone come in one piece
            before, nul, _ = line.partition(b"\0")
            if nul:
                return TableError(
                    name,
                    "found a NUL byte, so this is a binary file; give a CSV file of text",
                    line=number + count_line_ends(before.decode("latin-1")),
                )
            try:
                number += count_line_ends(line.decode("utf-8"))
            except UnicodeDecodeError as fault:
                return TableError(
                    name,
                    f"found byte 0x{line[fault.start]:02x}, which is not UTF-8; if the file is Latin-1, convert it: "
                    f"iconv -f LATIN1 -t UTF-8 {os.path.basename(name)} > new.csv",
                    line=number + count_line_ends(line[: fault.start].decode("utf-8")),
                )
    return None
