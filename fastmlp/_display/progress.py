"""Status lines: the progress of a fit, of reading a file, and of compiling kernels."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Literal, TextIO, TypeAlias

from fastmlp._display.texts import printable_name

INTERVAL, NOTEBOOK_INTERVAL, FILE_INTERVAL = 0.1, 0.25, 10.0  # seconds between two updates of the line
NOTEBOOK_WIDTH = 99  # characters; the width of the terminal that started the notebook says nothing
SHORTEST_BAR, LONGEST_BAR = 8, 24  # characters; a bar that would be shorter is omitted, because it shows too little
TYPICAL_SPEED_AND_TIME = "896k samples/s 12.3 s left"  # space reserved after the bar, until a text is longer

Output: TypeAlias = Literal["terminal", "notebook", "file"]


class StatusLine:
    """A line that is rewritten in place, on standard error or in the output of a notebook's cell.

    In a file or a pipe nothing can be rewritten: there each update is a line of its own, at most one in 10 seconds. A
    line that is not shown writes nothing. A terminal that is closed stops the line and raises no error.

    Parameters
    ----------
    verbose : bool, int or "auto"
        Whether to show the line; "auto" shows it in a terminal and in a notebook.

    Raises
    ------
    ValueError
        If `verbose` has another value.
    """

    def __init__(self, verbose: bool | int | str) -> None:
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"verbose must be 'auto', True or False, got {verbose!r}")
        self.stream, self.output = _find_output()
        in_place = self.output != "file"
        self.shown = self.stream is not None and (in_place if verbose == "auto" else bool(verbose))
        self.started = time.perf_counter()
        self._interval = {"terminal": INTERVAL, "notebook": NOTEBOOK_INTERVAL, "file": FILE_INTERVAL}[self.output]
        self._last_update = -self._interval if in_place else 0.0  # seconds after the start
        self._is_open = False  # whether the line has to be ended

    def seconds_if_due(self, finished: bool = False) -> float | None:
        """Return the seconds since the start if an update is due, else None; the last update is always due."""
        now = time.perf_counter() - self.started
        if not self.shown or (now - self._last_update < self._interval and not finished):
            return None
        self._last_update = now
        return now

    def close(self) -> None:
        """End the line, if there is one, so that the next output begins on a new line."""
        if self._is_open:
            self._write_text("\n")

    def _write(self, line: str) -> None:
        """Replace the line by another one; in a file, write one more line."""
        if not self.shown:
            return
        width = _line_width(self.output)
        self._is_open = self.output != "file"  # before the line is shown, because Ctrl-C may come right behind it
        self._write_text(f"{line}\n" if self.output == "file" else "\r" + line[:width].ljust(width))

    def _write_text(self, text: str) -> None:
        if self.stream is None:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):
            self.shown = False  # a closed terminal must not end a fit


class ReadingLine(StatusLine):
    """The status line while a file is read: name, rows, share of the bytes and time.

    Parameters
    ----------
    verbose : bool, int or "auto"
        Whether to show the line; "auto" shows it in a terminal and in a notebook.
    name : str
        The name of the file.
    size : int
        The size of the file in bytes.
    """

    def __init__(self, verbose: bool | int | str, name: str, size: int) -> None:
        super().__init__(verbose)
        self.name, self.size = printable_name(name, 60), size

    def update(self, rows: int, bytes_read: int, finished: bool = False) -> None:
        """Show the number of rows, and the share of bytes, that have been read."""
        seconds = self.seconds_if_due(finished)
        if seconds is not None:
            share = min(bytes_read / max(self.size, 1), 1.0)
            self._write(f"reading {self.name}: {rows:,} rows, {share:.0%} of the file, {_format_time(seconds)}")


class CountLine(StatusLine):
    """The status line of a number of tasks: what is done, how many of them, and the time.

    Parameters
    ----------
    verbose : bool, int or "auto"
        Whether to show the line; "auto" shows it in a terminal and in a notebook.
    what : str
        What is done, such as "compiling kernels".
    total : int
        The number of tasks.
    """

    def __init__(self, verbose: bool | int | str, what: str, total: int) -> None:
        super().__init__(verbose)
        self.what, self.total = what, total

    def update(self, done: int) -> None:
        """Show how many tasks are done."""
        seconds = self.seconds_if_due(finished=done == self.total)
        if seconds is not None:
            self._write(f"{self.what}: {done} of {self.total}, {_format_time(seconds)}")


class ProgressLine(StatusLine):
    """The status line of a fit: epoch, bar, losses, samples per second and remaining time.

    In a file, each epoch has a line when it ends: the first 999 epochs, then each tenth, from 10,000 on each hundredth,
    and so on, and the last one.

    Parameters
    ----------
    verbose : bool, int or "auto"
        Whether to show the line; "auto" shows it in a terminal and in a notebook.
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
        self._last_epoch = 0  # that a file has a line of
        self._resumed_at = 0.0  # the share of the first epoch that an earlier fit has done

    def prepare(self) -> None:
        """Show that kernels are being loaded. The first time they are compiled, which takes some seconds."""
        if self.output != "file":
            self._write("preparing the kernels, which are compiled once and then kept ...")

    def begin(self, names: Sequence[str] = (), done: float = 0.0) -> None:
        """Start the clock of the fit.

        Parameters
        ----------
        names : sequence of str
            The keys of `logs` in later updates. Space is reserved for their values, so that the width of the bar does
            not change when they arrive.
        done : float
            The share of the first epoch that an earlier fit has done. It counts neither for the speed nor for the
            remaining time.
        """
        self._resumed_at = done
        self.started = time.perf_counter()
        self._longest_text = len(" ".join([*(f"{name} 0.0000" for name in names), TYPICAL_SPEED_AND_TIME]))

    def update(self, done: float, logs: dict[str, float], finished: bool = False, rows: int = 0) -> None:
        """Show the state of the fit. A file gets a line only if the fit has finished; see `end_epoch`.

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
        if self.output == "file":
            if finished and int(done) > self._last_epoch:
                self._write_epoch(int(done), logs)
            return
        seconds = self.seconds_if_due(finished)
        if seconds is not None:
            self._write(self.line(done, logs, seconds, _line_width(self.output), finished, rows))

    def end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """Write the line of an epoch into a file. In a terminal, `update` shows the epochs.

        Parameters
        ----------
        epoch : int
            The number of the epoch in this fit, counted from 1.
        logs : dict of str to float
            Its losses and metrics.
        """
        if self.output == "file" and epoch % 10 ** max(len(str(epoch)) - 3, 0) == 0:
            self._write_epoch(epoch, logs)

    def _write_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        values = "".join(f" {name} {value:.4g}" for name, value in logs.items())
        seconds = time.perf_counter() - self.started
        self._write(f"epoch {epoch:{len(str(self.epochs))}d}/{self.epochs}{values} {_format_time(seconds)}")
        self._last_epoch = epoch

    def line(
        self, done: float, logs: dict[str, float], seconds: float, width: int, finished: bool = False, rows: int = 0
    ) -> str:
        """Return the text of the line, at most `width` characters; the bar takes what the longest text has left."""
        epoch = int(done) if finished else min(int(done) + 1, self.epochs)  # the current epoch counts from 1
        head = f"epoch {epoch:{len(str(self.epochs))}d}/{self.epochs}"
        values = [f"{name} {_format_value(value)}" for name, value in logs.items()]
        epochs_here = done - self._resumed_at
        samples_done = rows if self.samples is None else epochs_here * self.samples
        speed = f"{_format_count(samples_done / seconds) if seconds > 0 else '-'} samples/s"
        if self.samples is None:
            return " ".join([head, f"{rows:,} samples", *values, speed, _format_time(seconds)])[:width]
        left = (self.epochs - done) * seconds / epochs_here if epochs_here > 0 else 0.0
        text = " ".join([*values, speed, _format_time(seconds) if finished else f"{_format_time(left)} left"])
        self._longest_text = max(self._longest_text, len(text))
        cells = min(LONGEST_BAR, width - len(f"{head} [] ") - self._longest_text)
        if cells < SHORTEST_BAR:
            return f"{head} {text}"[:width]
        return f"{head} [{'=' * int(cells * done / self.epochs):{cells}}] {text}"


def print_over_progress(message: str) -> None:
    """Print a message on standard output. It overwrites a progress line, which is then written again."""
    with contextlib.suppress(OSError, ValueError):  # a closed terminal must not end a fit
        output = _output_of(sys.stdout)
        if output != "file":
            message = "\r" + message.ljust(_line_width(output))
        print(message, flush=True)


def _find_output() -> tuple[TextIO | None, Output]:
    """Return the stream for status lines, None in a program without a console, and what it leads to.

    It is standard error. In a notebook it is standard output, because notebooks show standard error as if it were an
    error, and because a line can only overwrite a line of the same stream.
    """
    if _output_of(sys.stderr) == _output_of(sys.stdout) == "notebook":
        return sys.stdout, "notebook"
    return sys.stderr, _output_of(sys.stderr)


def _output_of(stream: TextIO | None) -> Output:
    """Return what a stream leads to. In Jupyter, Colab and others, a stream belongs to the package ipykernel."""
    if type(stream).__module__.startswith("ipykernel."):
        return "notebook"
    try:
        return "terminal" if stream is not None and stream.isatty() else "file"
    except ValueError:  # the stream is closed
        return "file"


def _line_width(output: Output) -> int:
    return min(shutil.get_terminal_size().columns - 1, NOTEBOOK_WIDTH if output == "notebook" else sys.maxsize)


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
