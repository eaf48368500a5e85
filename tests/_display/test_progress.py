"""The progress line: its text, its width, when it is shown, and what it becomes in files and notebooks."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from behaviour import PATIENCE, TIME_LIMIT, Terminal, environment, run_python, small_data, small_network

from fastmlp import Callback
from fastmlp._display import progress as module
from fastmlp._display.progress import CountLine, ProgressLine, ReadingLine, print_over_progress

LOGS = {"loss": 0.12345, "val_loss": 12.5}
X, LABELS = small_data()


@pytest.mark.parametrize("width", [1, 5, 20, 40, 60, 79, 80, 100, 119, 200])
@pytest.mark.parametrize("logs", [{}, LOGS, {"loss": 1e30, "val_loss": float("nan")}], ids=["none", "both", "long"])
def test_the_line_never_exceeds_the_width(width: int, logs: dict[str, float]) -> None:
    cases = itertools.product([1, 20, 123456], [0.0, 1e-9, 0.5, 1.0], [0.0, 1e-6, 12.34, 1e7])
    for epochs, share, seconds in cases:
        line = ProgressLine(False, epochs, 1000).line(share * epochs, logs, seconds, width)
        assert len(line) <= width
        assert line.isprintable()


def test_the_line_shows_epoch_bar_losses_speed_and_time_left() -> None:
    line = ProgressLine(False, 200, 14_000).line(63.9, {"loss": 0.083, "val_loss": 0.111}, 1.0, 79)
    assert line == "epoch  64/200 [==       ] loss 0.0830 val_loss 0.1110 895k samples/s 2.1 s left"


def test_a_narrow_line_has_no_bar() -> None:
    line = ProgressLine(False, 20, 1000).line(5.0, LOGS, 10.0, 70)
    assert line == "epoch  6/20 loss 0.1235 val_loss 12.5000 500 samples/s 30.0 s left"


@pytest.mark.parametrize(("done", "epoch"), [(0.0, 1), (0.5, 1), (1.0, 2), (19.0, 20), (19.9, 20), (20.0, 20)])
def test_the_line_shows_the_current_epoch(done: float, epoch: int) -> None:
    assert ProgressLine(False, 20, 10).line(done, {}, 1.0, 100).startswith(f"epoch {epoch:2d}/20 [")


def test_the_last_line_has_a_full_bar_and_the_time_taken() -> None:
    line = ProgressLine(False, 20, 1000).line(20.0, LOGS, 75.0, 110, finished=True)
    assert line.startswith("epoch 20/20 [========================] ")
    assert line.endswith(" 267 samples/s 1:15")


def test_the_last_line_of_a_stopped_fit_shows_the_epochs_done_and_the_time_taken() -> None:
    line = ProgressLine(False, 20, 1000).line(5.0, LOGS, 10.0, 110, finished=True)
    assert line.startswith("epoch  5/20 [======                  ] ")
    assert line.endswith(" 500 samples/s 10.0 s")


def test_what_an_earlier_fit_has_done_of_an_epoch_counts_neither_for_speed_nor_for_time() -> None:
    progress = ProgressLine(False, 2, 1000)
    progress.begin(("loss",), 0.9)
    assert progress.line(1.0, {"loss": 0.5}, 1.0, 79).endswith(" loss 0.5000 100 samples/s 10.0 s left")
    assert " - samples/s" not in progress.line(0.9, {}, 1.0, 79)


def test_a_resumed_fit_begins_where_the_epoch_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupt(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            self.network.stop_at_once = batch == 2

    network, shares = small_network(), []
    network.fit(X, LABELS, batch_size=8, callbacks=[Interrupt()])
    monkeypatch.setattr(ProgressLine, "begin", lambda self, names, done: shares.append(done))
    network.fit(X, LABELS, batch_size=8)
    network.fit(X, LABELS, batch_size=8)
    assert shares == [24 / len(X), 0.0]


def test_the_name_of_a_file_stays_in_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    ReadingLine(True, "a\nb\r\x1b.csv", 10).update(1, 10, finished=True)
    assert stream.getvalue() == "reading a b \ufffd.csv: 1 rows, 100% of the file, 0.0 s\n"


@pytest.mark.parametrize("width", [79, 85, 99, 200])
def test_the_width_of_the_bar_is_constant(width: int) -> None:
    progress, lines = ProgressLine(False, 200, 3410), []
    progress.begin(("loss", "val_loss"))
    for tick in range(1, 400):
        logs = {"loss": 9.9 / tick, "val_loss": 9.99 / tick} if tick > 1 else {}
        lines.append(progress.line(tick / 2, logs, 0.0002 * tick**1.8, width))
    lines.append(progress.line(200.0, logs, 12.3, width, finished=True))
    widths = {line.index("]") - line.index("[") - 1 for line in lines}
    assert len(widths) == 1
    assert 8 <= min(widths) <= 24
    assert max(map(len, lines)) <= width


def test_a_bar_that_was_shortened_stays_short() -> None:
    progress = ProgressLine(False, 20, 1000)
    before = progress.line(1.0, {"loss": 1.0}, 1.0, 70)
    wide = progress.line(2.0, {"loss": 123456.0}, 1.0, 70)
    after = progress.line(3.0, {"loss": 1.0}, 1.0, 70)
    cells = [line.index("]") - line.index("[") for line in (before, wide, after)]
    assert cells[0] > cells[1] == cells[2]


def test_verbose_is_a_truth_value_a_level_of_keras_or_auto() -> None:
    for verbose in (False, True, 0, 1, 2, "auto"):
        ProgressLine(verbose, 2, 10)
    for wrong in (3, -1, None, "yes"):
        with pytest.raises(ValueError, match=f"verbose must be 'auto', True or False, got {wrong!r}"):
            ProgressLine(wrong, 2, 10)  # type: ignore[arg-type]


def test_before_the_first_step_there_is_no_speed() -> None:
    assert ProgressLine(False, 2, 10).line(0.0, {}, 0.0, 100).endswith("] - samples/s 0.0 s left")


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        *[(0.5, "0.50"), (9.994, "9.99"), (9.996, "10.0"), (99.96, "100"), (500, "500"), (999.4, "999")],
        *[(999.6, "1.00k"), (12_345, "12.3k"), (895_700, "896k"), (999_600, "1.00M"), (1.234e6, "1.23M")],
        *[(25e6, "25.0M"), (2.5e9, "2.50G"), (2.5e12, "2500G")],
    ],
)
def test_speed_has_three_digits(rate: float, text: str) -> None:
    assert f"] {text} samples/s " in ProgressLine(False, 2, 1000).line(1.0, {}, 1000 / rate, 100)


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.0, " 9.0 s left"), (61.0, " 1:01 left"), (3600.0 * 30 + 62, " 30:01:02 left")]
)
def test_time_left_is_readable(seconds: float, text: str) -> None:
    assert ProgressLine(False, 2, 10).line(1.0, {}, seconds, 100).endswith(text)


def test_nothing_is_written_if_standard_error_is_not_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    small_network().fit(X, LABELS, epochs=3)
    assert stream.getvalue() == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [False, 0])
def test_verbose_false_writes_nothing_to_a_terminal(monkeypatch: pytest.MonkeyPatch, verbose: bool) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    small_network().fit(X, LABELS, epochs=3, verbose=verbose)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("verbose", [True, 1, "auto"])
def test_the_line_is_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch, verbose: bool) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "110")
    small_network().fit(X, LABELS, epochs=3, validation_split=0.2, verbose=verbose)
    output = stream.getvalue()
    updates = output.removesuffix("\n").split("\r")[1:]
    assert output.endswith("\n")
    assert output.count("\n") == 1
    assert {len(update) for update in updates} == {109}
    assert updates[-1].startswith("epoch 3/3 [========================] loss ")
    assert " val_loss " in updates[-1]
    assert updates[-1].rstrip().endswith(" s")


@pytest.mark.parametrize("verbose", [True, 1])
def test_verbose_true_writes_a_line_an_epoch_to_a_file(monkeypatch: pytest.MonkeyPatch, verbose: bool) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    history = small_network().fit(X, LABELS, epochs=12, validation_split=0.2, verbose=verbose)
    lines = stream.getvalue().splitlines()
    assert [line.split(" loss ")[0] for line in lines] == [f"epoch {epoch:2d}/12" for epoch in range(1, 13)]
    for index, line in enumerate(lines):
        values = "".join(f" {name} {numbers[index]:.4g}" for name, numbers in history.items())
        assert f"{values} " in line
        assert line.endswith(" s")
    assert stream.getvalue().endswith("\n")
    assert "\r" not in stream.getvalue()


def test_many_epochs_write_fewer_lines_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = ProgressLine(True, 23_456, 10)
    progress.begin()
    for epoch in range(1, 23_457):
        progress.end_epoch(epoch, {"loss": 1.0})
    progress.update(23_456.0, {"loss": 1.0}, finished=True)
    progress.close()
    epochs = [int(line.split("/")[0].removeprefix("epoch ")) for line in stream.getvalue().splitlines()]
    assert epochs == [*range(1, 1000), *range(1000, 10_000, 10), *range(10_000, 23_456, 100), 23_456]


def test_a_fit_that_stops_has_the_line_of_its_last_epoch_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    small_network().fit(X, LABELS, epochs=5, callbacks=[Stop("epoch")], verbose=True)
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["1/5", "2/5"]


class Cell(io.StringIO):
    """A stream as ipykernel's, which shows what a cell of a notebook writes."""


Cell.__module__ = "ipykernel.iostream"


def test_a_notebook_has_one_line_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on standard output, since notebooks show standard error as an error; messages are in the same stream."""
    stream, errors = Cell(), Cell()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setenv("COLUMNS", "300")
    small_network().fit(X, LABELS, epochs=3, validation_split=0.2)
    small_network().fit(X, LABELS, epochs=3, verbose=False)
    updates = stream.getvalue().removesuffix("\n").split("\r")[1:]
    assert updates[-1].startswith("epoch 3/3 [")
    assert {len(update) for update in updates} == {99}
    assert stream.getvalue().count("\n") == 1
    assert errors.getvalue() == ""
    print_over_progress("epoch 2: a message")
    assert stream.getvalue().split("\r")[-1] == "epoch 2: a message".ljust(99) + "\n"


def test_a_captured_cell_of_a_notebook_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys, "stdout", Cell())
    assert not ProgressLine("auto", 3, 10).shown


def test_a_message_in_a_file_is_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    print_over_progress("epoch 2: a message")
    assert capsys.readouterr() == ("epoch 2: a message\n", "")


@pytest.mark.parametrize("verbose", [True, "auto", False])
@pytest.mark.parametrize("kind", [Terminal, io.StringIO, Cell])
def test_reading_and_counting_are_shown_where_fits_are(
    monkeypatch: pytest.MonkeyPatch, kind: type[io.StringIO], verbose: bool | str
) -> None:
    shown = verbose is True or (verbose == "auto" and kind is not io.StringIO)
    reading = ["reading a.csv: 2,000 rows, 100% of the file, 0.0 s"] * shown
    counting = ["compiling kernels: 3 of 3, 0.0 s"] * shown
    stream = kind()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    with contextlib.closing(ReadingLine(verbose, "a.csv", 100)) as line:
        line.update(1000, 50)
        line.update(2000, 100, finished=True)
    with contextlib.closing(CountLine(verbose, "compiling kernels", 3)) as count:
        for done in (1, 2, 3):
            count.update(done)
    lines = stream.getvalue().splitlines() if kind is io.StringIO else stream.getvalue().split("\n")[:-1]
    assert [line.split("\r")[-1].rstrip() for line in lines] == [*reading, *counting]


def test_a_file_gets_a_line_of_reading_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = io.StringIO(), itertools.count(100.0)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    line = ReadingLine(True, "a.csv", 600)
    for second in range(1, 60):
        line.update(second * 10, second * 10)
    rows = [text.split()[2] for text in stream.getvalue().splitlines()]
    assert rows == ["100", "200", "300", "400", "500"]


def test_close_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = ProgressLine(True, 2, 10)
    progress.update(1.0, LOGS, finished=True)
    progress.close()
    assert stream.getvalue().endswith("\n")
    ProgressLine(True, 2, 10).close()  # without an update there is no line to end
    assert stream.getvalue().count("\n") == 1


def test_an_exception_in_the_fit_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tired(Callback):
        def on_epoch_begin(self, epoch: int) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(KeyboardInterrupt):
        small_network().fit(X, LABELS, epochs=3, callbacks=[Tired()])
    assert "\repoch 2/3 " in stream.getvalue()
    assert stream.getvalue().split("\r")[-1].rstrip().endswith(" left")
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue().count("\n") == 1


class Stop(Callback):
    """Stop the fit after epoch 2, at the end of the epoch or within it."""

    def __init__(self, event: str) -> None:
        self.event, self.epochs = event, 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.epochs += 1
        if self.epochs == 2 and self.event == "epoch":
            self.network.stop_training = True


class StopInBatch(Stop):
    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if self.epochs == 1:
            self.network.stop_training = True


@pytest.mark.parametrize("callback", [Stop("epoch"), StopInBatch("batch")], ids=["epoch", "batch"])
def test_the_last_update_of_a_stopped_fit_shows_the_time_taken(
    monkeypatch: pytest.MonkeyPatch, callback: Callback
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "110")
    network = small_network()
    network.fit(X, LABELS, epochs=5, batch_size=8, callbacks=[callback])
    assert network.epoch == 2
    updates = [update.strip() for update in stream.getvalue().split("\r")]
    assert updates[-1].startswith("epoch 2/5 [=========               ] loss ")
    assert updates[-1].endswith(" s")
    assert sum(update.endswith(" s") for update in updates) == 1


def test_the_first_epoch_has_the_number_1(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watch(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            pass

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    small_network().fit(X, LABELS, epochs=2, batch_size=8, callbacks=[Watch()])
    epochs = [update.split()[1] for update in stream.getvalue().split("\r") if update.startswith("epoch")]
    assert epochs[0] == "1/2"
    assert epochs[-1] == "2/2"


def test_a_closed_terminal_does_not_end_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Terminal()
    closed.close()
    monkeypatch.setattr(Terminal, "isatty", lambda self: True)
    monkeypatch.setattr(sys, "stderr", closed)
    network = small_network()
    network.fit(X, LABELS, epochs=3)
    assert network.epoch == 3


def test_a_terminal_that_is_closed_during_the_fit_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Terminal):
        def write(self, text: str) -> int:
            if text == "\n":
                raise BrokenPipeError
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Broken())
    network = small_network()
    network.fit(X, LABELS, epochs=3)
    assert network.epoch == 3


def test_a_process_without_standard_error_can_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    network = small_network()
    network.fit(X, LABELS, epochs=3)
    assert network.epoch == 3


FIT = """
from behaviour import small_data, small_network
X, labels = small_data()
small_network().fit(X, labels, epochs=3, validation_split=0.2)
"""


def test_nothing_is_written_to_a_pipe() -> None:
    assert run_python(FIT, "-W", "error") == ("", "")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_a_pseudo_terminal_receives_one_line() -> None:
    ours, theirs = os.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", FIT],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env=environment(COLUMNS="110"),
        )
        os.close(theirs)
        assert process.wait(TIME_LIMIT * PATIENCE) == 0
        output = b""
        with contextlib.suppress(OSError):  # Linux raises EIO at the end
            while piece := os.read(ours, 1 << 16):
                output += piece
    finally:
        os.close(ours)
    text = output.decode()
    assert text.endswith("\r\n")
    assert text.count("\n") == 1
    assert text.strip().split("\r")[-1].startswith("epoch 3/3 [========================] loss ")
