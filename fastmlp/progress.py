"""The line that a fit shows in a terminal: epoch, bar, losses, speed and time left."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

INTERVAL = 0.1  # seconds between two pictures of the line


class Progress:
    """Rewrites one line while epochs go by; writes nothing where it is off.

    Parameters
    ----------
    verbose : bool, int or "auto"
        "auto" shows the line where standard error is a terminal.
    epochs : int
        How many there will be.
    samples : int
        Rows of an epoch.

    Raises
    ------
    ValueError
        If verbose is something else.
    """

    def __init__(self, verbose: bool | int | str, epochs: int, samples: int) -> None:
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"verbose must be 'auto', True or False, got {verbose!r}")
        self.stream: TextIO | None = sys.stderr  # None where a program has no console
        self.shown = self.stream is not None and (self.stream.isatty() if verbose == "auto" else bool(verbose))
        self.epochs, self.samples = epochs, samples
        self.started = time.perf_counter()
        self._drawn = -INTERVAL

    def prepare(self) -> None:
        """Say that kernels are being loaded; the first time they are compiled, which takes some seconds."""
        self._write("preparing the kernels, which are compiled once and then kept ...")

    def begin(self) -> None:
        """Training starts now: what comes before does not count for its speed."""
        self.started = time.perf_counter()

    def update(self, done: float, logs: dict[str, float], force: bool = False) -> None:
        """Show that `done` epochs (a fraction while one is under way) are done, with the latest losses."""
        now = time.perf_counter() - self.started
        if not self.shown or (now - self._drawn < INTERVAL and not force):
            return
        self._drawn = now
        self._write(self.line(done, logs, now, _width()))

    def line(self, done: float, logs: dict[str, float], seconds: float, width: int) -> str:
        """The line, at most `width` characters."""
        count = len(str(self.epochs))
        head = f"epoch {min(int(done), self.epochs):{count}d}/{self.epochs}"
        values = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        speed = f"{_short(done * self.samples / seconds) if seconds > 0 else '-'} samples/s"
        left = (self.epochs - done) * seconds / done if done else 0.0
        ending = f"{_clock(left)} left" if done < self.epochs else f"{_clock(seconds)}"
        text = "  ".join(part for part in (values, speed, ending) if part)
        room = min(24, width - len(head) - len(text) - 4)
        if room < 5:
            return f"{head}  {text}"[:width]
        filled = int(room * done / self.epochs)
        return f"{head} [{'=' * filled}{' ' * (room - filled)}] {text}"

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


def _width() -> int:
    return shutil.get_terminal_size().columns - 1


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:.0f}"


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
