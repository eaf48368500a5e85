"""The line that a fit shows in a terminal: epoch, bar, losses, speed and time left; and that of reading a file."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TextIO

INTERVAL = 0.1  # seconds between two pictures of the line
SHORTEST_BAR, LONGEST_BAR = 8, 24  # cells; one that is shorter tells nothing and is left out
USUAL_SPEED_AND_TIME = "896k samples/s 12.3 s left"  # room is kept for so much, until a text needs more


class StatusLine:
    """A line of a terminal that is written again and again in the same place; writes nothing where it is off.

    Parameters
    ----------
    verbose : bool, int or "auto"
        "auto" shows the line where standard error is a terminal.

    Raises
    ------
    ValueError
        If verbose is something else.
    """

    def __init__(self, verbose: bool | int | str) -> None:
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"verbose must be 'auto', True or False, got {verbose!r}")
        self.stream: TextIO | None = sys.stderr  # None where a program has no console
        self.shown = self.stream is not None and (self.stream.isatty() if verbose == "auto" else bool(verbose))
        self.started = time.perf_counter()
        self._drawn = -INTERVAL

    def due(self, finished: bool = False) -> float | None:
        """The seconds since the start if another picture is due, else None; the last picture always is."""
        now = time.perf_counter() - self.started
        if not self.shown or (now - self._drawn < INTERVAL and not finished):
            return None
        self._drawn = now
        return now

    def close(self) -> None:
        """End the line, so that what is printed next has its own."""
        self._write(None)

    def _write(self, line: str | None) -> None:
        """Put this line in place of the last one, or end it."""
        if not self.shown or self.stream is None:
            return
        width = _width()
        try:
            self.stream.write("\n" if line is None else "\r" + line[:width].ljust(width))
            self.stream.flush()
        except (OSError, ValueError):
            self.shown = False  # a closed terminal must not end a training run


class ReadingProgress(StatusLine):
    """The line while a file is read: its name, rows, the share of its bytes and the time.

    Parameters
    ----------
    verbose : bool, int or "auto"
        "auto" shows the line where standard error is a terminal.
    name : str
        Of the file.
    size : int
        Its bytes.
    """

    def __init__(self, verbose: bool | int | str, name: str, size: int) -> None:
        super().__init__(verbose)
        self.name, self.size = name, size

    def update(self, rows: int, read: int, finished: bool = False) -> None:
        """Show that so many rows and bytes are read."""
        seconds = self.due(finished)
        if seconds is not None:
            share = min(read / max(self.size, 1), 1.0)
            self._write(f"reading {self.name}: {rows:,} rows, {share:.0%} of the file, {_clock(seconds)}")

    def close(self) -> None:
        """End the line, if there is one."""
        if self._drawn >= 0:
            super().close()


class ProgressLine(StatusLine):
    """Rewrites one line while epochs go by; writes nothing where it is off.

    Parameters
    ----------
    verbose : bool, int or "auto"
        "auto" shows the line where standard error is a terminal.
    epochs : int
        How many there will be.
    samples : int or None
        Rows of an epoch; None while that is not known, so that there is no bar.

    Raises
    ------
    ValueError
        If verbose is something else.
    """

    def __init__(self, verbose: bool | int | str, epochs: int, samples: int | None) -> None:
        super().__init__(verbose)
        self.epochs, self.samples = epochs, samples
        self._widest = len(USUAL_SPEED_AND_TIME)  # of the texts behind the bar

    def prepare(self) -> None:
        """Say that kernels are being loaded; the first time they are compiled, which takes some seconds."""
        self._write("preparing the kernels, which are compiled once and then kept ...")

    def begin(self, names: Sequence[str] = ()) -> None:
        """Training starts now: what comes before does not count for its speed.

        The names are those that `update` will get as keys of `logs`: their room is kept before they have values, so
        that the bar does not change its width.
        """
        self.started = time.perf_counter()
        self._widest = len(" ".join([*(f"{name} 0.0000" for name in names), USUAL_SPEED_AND_TIME]))

    def update(self, done: float, logs: dict[str, float], finished: bool = False, rows: int = 0) -> None:
        """Show that `done` epochs (a fraction while one is under way) are done, with the latest losses.

        `rows` are those of the epoch under way, which are shown where nobody knows how many it will have.

        The last picture, `finished`, shows the epochs that were done and the time they took.
        """
        seconds = self.due(finished)
        if seconds is not None:
            self._write(self.line(done, logs, seconds, _width(), finished, rows))

    def line(
        self, done: float, logs: dict[str, float], seconds: float, width: int, finished: bool = False, rows: int = 0
    ) -> str:
        """The line, at most `width` characters; its bar is as long as the widest line so far leaves it."""
        epoch = int(done) if finished else min(int(done) + 1, self.epochs)  # the one under way
        head = f"epoch {epoch:{len(str(self.epochs))}d}/{self.epochs}"
        values = [f"{name} {value:.4f}" for name, value in logs.items()]
        seen = rows if self.samples is None else done * self.samples
        speed = f"{_short(seen / seconds) if seconds > 0 else '-'} samples/s"
        if self.samples is None:
            return " ".join([head, f"{rows:,} samples", *values, speed, _clock(seconds)])[:width]
        left = (self.epochs - done) * seconds / done if done else 0.0
        text = " ".join([*values, speed, _clock(seconds) if finished else f"{_clock(left)} left"])
        self._widest = max(self._widest, len(text))
        cells = min(LONGEST_BAR, width - len(f"{head} [] ") - self._widest)
        if cells < SHORTEST_BAR:
            return f"{head} {text}"[:width]
        return f"{head} [{'=' * int(cells * done / self.epochs):{cells}}] {text}"


def announce(text: str) -> None:
    """Print a line, in place of the line of progress where that may stand; a new one of that will follow."""
    with contextlib.suppress(OSError, ValueError):  # a closed terminal must not end a training run
        if sys.stdout is not None and sys.stdout.isatty():
            text = "\r" + text.ljust(_width())
        print(text, flush=True)


def _width() -> int:
    return shutil.get_terminal_size().columns - 1


def _short(value: float) -> str:
    """Three digits and the letter of a thousand, a million or a thousand millions: 896k, 1.23M."""
    letters = iter("kMG")
    letter = ""
    while value >= 999.5 and (larger := next(letters, "")):
        value, letter = value / 1000, larger
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{letter}"


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
