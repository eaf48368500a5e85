"""The course of a training in a file, written as it goes."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from fastmlp._io.atomic import require_regular
from fastmlp.callbacks.base import Callback


class CSVLogger(Callback):
    """Write a row for each epoch: its number, counted from 0 when the network was made, and the entries of the history.

    A row is in the file, and the file closed, before the next epoch begins, so a process that is killed leaves the rows
    of all epochs before. Numbers are written so that they are read back to the bit; what could not be measured is
    "nan". What cannot be written ends the fit with the OSError that says why.

    Parameters
    ----------
    filename : path
        The file; its folder is made if it is missing.
    separator : str
        A single character between two columns.
    append : bool
        Whether rows go behind those that are there, as suits a training that goes on: an epoch that was done twice,
        since the process was killed before it was saved, then has two rows. Otherwise the first row of each fit
        replaces the file.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.
    """

    def __init__(self, filename: str | os.PathLike[str], *, separator: str = ",", append: bool = False) -> None:
        self.filename = os.fspath(filename)
        if not Path(self.filename).name:
            raise ValueError(f"filename must be that of a file, got {self.filename!r}")
        if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
            raise ValueError(f"separator must be a single character such as ',' or ';', got {separator!r}")
        if not isinstance(append, bool):
            raise TypeError(f"append must be True or False, got {append!r}")
        self.separator, self.append = separator, append
        self._replaces = not append

    def on_train_begin(self) -> None:
        """Check that the file can be written, and that its columns are those of this fit; nothing is written yet.

        Raises
        ------
        ValueError
            If rows are to go behind those of other columns.
        OSError
            If the file cannot be written to or its folder cannot be made.
        """
        Path(self.filename).parent.mkdir(parents=True, exist_ok=True)
        require_regular(self.filename)
        with open(self.filename, "a+", encoding="utf-8-sig", errors="replace", newline="") as file:
            file.seek(0)
            head = file.readline()
        columns = next(csv.reader([head], delimiter=self.separator), [])
        if self.append and head and columns != self._columns():
            raise ValueError(
                f"CSVLogger appends to {self.filename!r}, which has the columns {', '.join(columns)}, but this fit has "
                f"{', '.join(self._columns())}; give another filename, or append=False to replace that file"
            )
        self._replaces = not self.append

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write the row, after the columns' names where it is the first."""
        row = [str(epoch), *(repr(float(logs[name])) for name in self.entries)]
        with open(self.filename, "wb+" if self._replaces else "ab+") as file:
            size = file.seek(0, os.SEEK_END)
            text = self._line(row) if size else self._line(self._columns()) + self._line(row)
            if size:
                file.seek(-1, os.SEEK_END)
                if file.read() != b"\n":  # a row that was cut short stays one of its own
                    text = "\n" + text
            file.write(text.encode())
        self._replaces = False

    def _columns(self) -> list[str]:
        return ["epoch", *self.entries]

    def _line(self, cells: list[str]) -> str:
        line = io.StringIO()
        csv.writer(line, delimiter=self.separator, lineterminator="\n").writerow(cells)
        return line.getvalue()
