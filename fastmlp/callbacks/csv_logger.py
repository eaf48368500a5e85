"""`CSVLogger` writes the history of a fit to a CSV file, epoch by epoch."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from fastmlp._io.atomic import require_regular
from fastmlp._runtime.checks import path_text
from fastmlp._runtime.names import check_keywords
from fastmlp.callbacks.base import Callback


class CSVLogger(Callback):
    """Write a row of a CSV file for each epoch.

    The columns are "epoch", counted from 0 since the network was created, and the entries of the history. Each row is
    written, and the file closed, before the next epoch begins. A process that is killed therefore leaves the rows of
    all finished epochs. The numbers have all their digits: reading them back gives the same bits. A value that could
    not be computed is "nan".

    Parameters
    ----------
    filename : path
        The file. Missing folders are created.
    separator : str
        The character between two columns.
    append : bool
        Whether to append rows to an existing file, for training that continues. By default, the first row of each fit
        replaces the file. If a process was killed after an epoch was logged and before it was saved, the continued
        training repeats this epoch, and the file has two rows for it.

    Raises
    ------
    TypeError
        If `append` is not a bool, or `filename` is not a path.
    ValueError
        If `filename` names no file, or `separator` is not a single character that can separate columns.

    Notes
    -----
    A row that cannot be written ends the fit with an OSError that states the reason.

    Examples
    --------
    >>> net.fit(X, y, epochs=20, validation_split=0.2, callbacks=[CSVLogger("log.csv")])

    The file then begins with the line "epoch,loss,val_loss,val_accuracy".
    """

    @check_keywords
    def __init__(self, filename: str | os.PathLike[str], *, separator: str = ",", append: bool = False) -> None:
        self.filename = path_text(filename, "filename")
        if not Path(self.filename).name:
            raise ValueError(f"filename must be the path of a file, got {self.filename!r}")
        if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
            raise ValueError(f"separator must be a single character such as ',' or ';', got {separator!r}")
        if not isinstance(append, bool):
            raise TypeError(f"append must be True or False, got {append!r}")
        self.separator, self.append = separator, append
        self._replace = not append  # by the next row

    def on_train_begin(self) -> None:
        """Check that the file can be written and has the columns of this fit. Nothing is written yet.

        Raises
        ------
        ValueError
            If `append` is True and the file has other columns than this fit.
        OSError
            If the folder cannot be created or the file cannot be written.
        """
        Path(self.filename).parent.mkdir(parents=True, exist_ok=True)
        require_regular(self.filename)
        with open(self.filename, "a+", encoding="utf-8-sig", errors="replace", newline="") as file:
            file.seek(0)
            header = file.readline()
        columns = next(csv.reader([header], delimiter=self.separator), [])
        if self.append and header and columns != self._columns():
            raise ValueError(
                f"CSVLogger appends to {self.filename!r}, which has the columns {', '.join(columns)}, but this fit has "
                f"{', '.join(self._columns())}; give another filename, or append=False to replace that file"
            )
        self._replace = not self.append

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write the row of the epoch, after a header if the file is new or replaced."""
        row = [str(epoch), *(repr(float(logs[name])) for name in self.entries)]
        with open(self.filename, "wb+" if self._replace else "ab+") as file:
            size = file.seek(0, os.SEEK_END)
            text = self._line(row) if size else self._line(self._columns()) + self._line(row)
            if size:
                file.seek(-1, os.SEEK_END)
                if file.read() != b"\n":  # the last row is incomplete: begin a new line behind it
                    text = "\n" + text
            file.write(text.encode())
        self._replace = False

    def _columns(self) -> list[str]:
        return ["epoch", *self.entries]

    def _line(self, cells: list[str]) -> str:
        line = io.StringIO()
        csv.writer(line, delimiter=self.separator, lineterminator="\n").writerow(cells)
        return line.getvalue()
