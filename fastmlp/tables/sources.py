"""Open what a table is read from: a CSV file or a frame."""

from __future__ import annotations

import os
from typing import Any

from fastmlp.tables.frames import FrameReader, is_frame
from fastmlp.tables.reader import Reader

Source = str | os.PathLike[str] | Any
"""The path of a CSV file, a DataFrame of pandas or polars, or an Arrow table."""


def open_table(
    data: Source, separator: str | None = None, verbose: bool | str = "auto", decimal: str = "."
) -> Reader | FrameReader:
    """Return a reader of a file or a frame.

    Parameters
    ----------
    data : path-like, DataFrame, pyarrow.Table or pyarrow.RecordBatch
        A CSV file in UTF-8 with a header, or a frame.
    separator : str, optional
        The character between the fields of a file. By default it is found among comma, semicolon, tab and bar.
    verbose : bool or "auto"
        Whether to show a progress line while reading a file. "auto" shows it in a terminal only.
    decimal : {".", ","}
        The decimal sign with which the numbers of a frame are written. A file has its own.

    Raises
    ------
    TableError
        If the file or the frame cannot be used.
    ValueError
        If `separator` is not a single character, or is given for a frame.
    TypeError
        If `data` is neither a path nor a frame.
    """
    if isinstance(data, str | os.PathLike):
        return Reader(data, separator, verbose)
    if is_frame(data) and separator is not None:
        raise ValueError(f"separator is for files, but data is a frame, got {separator!r}")
    return FrameReader(data, decimal)
