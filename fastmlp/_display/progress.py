"""Status lines of a terminal: the progress of a fit, and the progress of reading a file."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TextIO

INTERVAL = 0.1  # seconds between two updates of the line
SHORTEST_BAR, LONGEST_BAR = 8, 24  # characters; a bar that would be shorter is omitted, because it shows too little
TYPICAL_SPEED_AND_TIME = "896k samples/s 12.3 s left"  # space reserved after the bar, until a text is longer


class StatusLine:
    """A line on standard error that is rewritten in place.

    A line that is not shown writes nothing. A terminal that is closed stops the line and raises no error.

    Parameters
    ----------
    verbose : bool, int or "auto"
        Whether to show the line; "auto" shows it if standard error is a terminal.

    Raises
    ------
    ValueError
        If `verbose` has another value.
    """

    def __init__(self, verbose: bool | int | str) -> None:
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"verbose must be 'auto', True or False, got {verbose!r}")
        self.stream: TextIO | None = sys.stderr  # None in a program without a console
        self.shown = self.stream is not None and (self.stream.isatty() if verbose == "auto" else bool(verbose))
        self.started = time.perf_counter()
        self._last_update = -INTERVAL  # seconds after the start; negative before the first update

    def seconds_if_due(self, finished: bool = False) -> float | None:
        """Return the seconds since the start if an update is due, else None; the last update is always due."""
        now = time.perf_counter() - self.started
        if not self.shown or (now - self._last_update < INTERVAL and not finished):
            return None
        self._last_update = now
        return now

    def close(self) -> None:
        """End the line, so that the next output begins on a new line."""
        self._write(None)

    def _write(self, line: str | None) -> None:
        """Replace the line by another one, or end it if `line` is None."""
        if not self.shown or self.stream is None:
            return
        width = _terminal_width()
        try:
            self.stream.write("\n" if line is None else "\r" + line[:width].ljust(width))
            self.stream.flush()
        except (OSError, ValueError):
            self.shown = False  # a closed terminal must not end a fit


class ReadingLine(StatusLine):
    """The status line while a file is read: name, rows, share of the bytes and time.

    Parameters
    ----------
    verbose : bool, int or "auto"
        Whether to show the line; "auto" shows it if standard error is a terminal.
    name : str
        The name of the file.
    size : int
        The size of the file in bytes.
    """

    def __init__(self, verbose: bool | int | str, name: str, size: int) -> None:
        super().__init__(verbose)
        self.name, self.size = name, size

    def update(self, rows: int, bytes_read: int, finished: bool = False) -> None:
        """Show the number of rows, and the share of bytes, that have been read."""
        seconds = self.seconds_if_due(finished)
        if seconds is not None:
            share = min(bytes_read / max(self.size, 1), 1.0)
            self._write(f"reading {self.name}: {rows:,} rows, {share:.0%} of the file, {_format_time(seconds)}")

    def close(self) -> None:
        """End the line, unless nothing has been written."""
        if self._last_update >= 0:
            super().close()


class ProgressLine(StatusLine):
    """The status line of a fit: epoch, bar, losses, samples per second and remaining time.

    Parameters
    ----------
    verbose : bool, int or "auto"
        Whether to show the line; "auto" shows it if standard error is a terminal.
    epochs : int
        The number of epochs of the fit.
    samples : int or None
        The number of rows of an epoch. While it is None, the number is unknown and the line has no bar.

    Raises
    ------
    ValueError
        If `verbose` has another value.
    """

    def __init__(self, verbose: bool | int | str, epochs: int, samples: int | None) -> None:
        super().__init__(verbose)
        self.epochs, self.samples = epochs, samples
        self._longest_text = len(TYPICAL_SPEED_AND_TIME)  # to the right of the bar

    def prepare(self) -> None:
        """Show that kernels are being loaded. The first time they are compiled, which takes some seconds."""
        self._write("preparing the kernels, which are compiled once and then kept ...")

    def begin(self, names: Sequence[str] = ()) -> None:
        """Start the clock of the fit.

        Parameters
        ----------
        names : sequence of str
            The keys of `logs` in later updates. Space is reserved for their values, so that the width of the bar does
            not change when they arrive.
        """
        self.started = time.perf_counter()
        self._longest_text = len(" ".join([*(f"{name} 0.0000" for name in names), TYPICAL_SPEED_AND_TIME]))

    def update(self, done: float, logs: dict[str, float], finished: bool = False, rows: int = 0) -> None:
        """Show the state of the fit.

        Parameters
        ----------
        done : float
            The number of epochs done, with the fraction of the current epoch.
        logs : dict of str to float
            The latest losses.
        finished : bool
            Whether this is the last update. It shows the epochs done and the time taken.
        rows : int
            The number of rows of the current epoch so far. It is shown if `samples` is None.
        """
        seconds = self.seconds_if_due(finished)
        if seconds is not None:
            self._write(self.line(done, logs, seconds, _terminal_width(), finished, rows))

    def line(
        self, done: float, logs: dict[str, float], seconds: float, width: int, finished: bool = False, rows: int = 0
    ) -> str:
        """Return the text of the line, at most `width` characters; the bar takes what the longest text has left."""
        epoch = int(done) if finished else min(int(done) + 1, self.epochs)  # the current epoch counts from 1
        head = f"epoch {epoch:{len(str(self.epochs))}d}/{self.epochs}"
        values = [f"{name} {_format_value(value)}" for name, value in logs.items()]
        samples_done = rows if self.samples is None else done * self.samples
        speed = f"{_format_count(samples_done / seconds) if seconds > 0 else '-'} samples/s"
        if self.samples is None:
            return " ".join([head, f"{rows:,} samples", *values, speed, _format_time(seconds)])[:width]
        left = (self.epochs - done) * seconds / done if done else 0.0
        text = " ".join([*values, speed, _format_time(seconds) if finished else f"{_format_time(left)} left"])
        self._longest_text = max(self._longest_text, len(text))
        cells = min(LONGEST_BAR, width - len(f"{head} [] ") - self._longest_text)
        if cells < SHORTEST_BAR:
            return f"{head} {text}"[:width]
        return f"{head} [{'=' * int(cells * done / self.epochs):{cells}}] {text}"


def print_over_progress(message: str) -> None:
    """Print a message on standard output; in a terminal it overwrites a progress line, which is then written again."""
    with contextlib.suppress(OSError, ValueError):  # a closed terminal must not end a fit
        if sys.stdout is not None and sys.stdout.isatty():
            message = "\r" + message.ljust(_terminal_width())
        print(message, flush=True)


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns - 1


def _format_value(value: float) -> str:
    """Return a loss with four decimal places, or with four digits where that would be too many or too few."""
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.4g}"


def _format_count(value: float) -> str:
    """Return a number with three digits and the suffix k, M or G: 896k, 1.23M."""
    suffixes = iter("kMG")
    suffix = ""
    while value >= 999.5 and (larger := next(suffixes, "")):
        value, suffix = value / 1000, larger
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{suffix}"


def _format_time(seconds: float) -> str:
    """Return a duration such as 12.3 s, 1:15 or 2:03:04."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
