"""The line of progress says what it should, fits its width, and stays away where nobody watches."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import subprocess
import sys

import pytest
from behaviour import TIME_LIMIT, environment, run_python, small_data, small_network

from fastmlp import Callback
from fastmlp.progress import Progress

LOGS = {"loss": 0.12345, "val_loss": 12.5}
X, LABELS = small_data()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [1, 5, 20, 40, 60, 79, 80, 100, 119, 200])
@pytest.mark.parametrize("logs", [{}, LOGS, {"loss": 1e30, "val_loss": float("nan")}], ids=["none", "both", "long"])
def test_line_never_exceeds_the_width(width: int, logs: dict[str, float]) -> None:
    cases = itertools.product([1, 20, 123456], [0.0, 1e-9, 0.5, 1.0], [0.0, 1e-6, 12.34, 1e7])
    for epochs, share, seconds in cases:
        line = Progress(False, epochs, 1000).line(share * epochs, logs, seconds, width)
        assert len(line) <= width
        assert line.isprintable()


def test_line_shows_epoch_bar_losses_speed_and_time_left() -> None:
    line = Progress(False, 20, 1000).line(5.0, LOGS, 10.0, 110)
    assert line == ("epoch  5/20 [======                  ] loss 0.1235  val_loss 12.5000  500 samples/s  30.0 s left")


def test_line_without_room_for_a_bar_has_the_rest() -> None:
    line = Progress(False, 20, 1000).line(5.0, LOGS, 10.0, 75)
    assert line == "epoch  5/20  loss 0.1235  val_loss 12.5000  500 samples/s  30.0 s left"


def test_line_at_the_end_is_full_and_shows_the_time_taken() -> None:
    line = Progress(False, 20, 1000).line(20.0, LOGS, 75.0, 110)
    assert line.startswith("epoch 20/20 [========================] ")
    assert line.endswith(" 1:15")


@pytest.mark.parametrize(
    ("rows", "seconds", "text"),
    [(2000, 4.0, "500 samples/s"), (10**6, 4.0, "250.0k samples/s"), (10**9, 40.0, "25.0M samples/s")],
)
def test_speed_is_short(rows: int, seconds: float, text: str) -> None:
    assert text in Progress(False, 2, rows).line(1.0, {}, seconds, 100)


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.0, " 9.0 s left"), (61.0, " 1:01 left"), (3600.0 * 30 + 62, " 30:01:02 left")]
)
def test_time_left_is_readable(seconds: float, text: str) -> None:
    assert Progress(False, 2, 10).line(1.0, {}, seconds, 100).endswith(text)


def test_nothing_is_written_where_standard_error_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    small_network().fit(X, LABELS, epochs=3)
    assert stream.getvalue() == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [False, 0])
def test_nothing_is_written_in_a_terminal_where_it_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, verbose: bool
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    small_network().fit(X, LABELS, epochs=3, verbose=verbose)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("verbose", "stream"), [(True, io.StringIO()), (1, io.StringIO()), ("auto", Terminal())])
def test_a_line_is_written_where_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, verbose: bool, stream: io.StringIO
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "110")
    small_network().fit(X, LABELS, epochs=3, validation_split=0.2, verbose=verbose)
    said = stream.getvalue()
    pictures = said.removesuffix("\n").split("\r")[1:]
    assert said.endswith("\n")
    assert said.count("\n") == 1
    assert {len(picture) for picture in pictures} == {109}
    assert pictures[-1].startswith("epoch 3/3 [========================] loss ")
    assert "  val_loss " in pictures[-1]
    assert " samples/s  " in pictures[-1]


def test_closing_ends_a_line_that_was_begun() -> None:
    progress = Progress(True, 2, 10)
    progress.stream = io.StringIO()
    progress.update(1.0, LOGS, force=True)
    progress.close()
    assert progress.stream.getvalue().endswith("\n")


def test_the_line_is_ended_when_the_fit_ends_by_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tired(Callback):
        def on_epoch_begin(self, epoch: int) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(KeyboardInterrupt):
        small_network().fit(X, LABELS, epochs=3, callbacks=[Tired()])
    assert "\repoch 1/3 " in stream.getvalue()
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue().count("\n") == 1


def test_a_terminal_that_closes_does_not_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Terminal()
    closed.close()
    monkeypatch.setattr(Terminal, "isatty", lambda self: True)
    monkeypatch.setattr(sys, "stderr", closed)
    network = small_network()
    network.fit(X, LABELS, epochs=3)
    assert network.epoch == 3


def test_a_terminal_that_closes_within_the_fit_does_not_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Terminal):
        def write(self, text: str) -> int:
            if text == "\n":
                raise BrokenPipeError
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Broken())
    network = small_network()
    network.fit(X, LABELS, epochs=3)
    assert network.epoch == 3


def test_a_process_without_standard_error_can_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    network = small_network()
    network.fit(X, LABELS, epochs=3)
    assert network.epoch == 3


FIT = """
from behaviour import small_data, small_network
X, labels = small_data()
small_network().fit(X, labels, epochs=3, validation_split=0.2)
"""


def test_a_pipe_gets_nothing() -> None:
    assert run_python(FIT, "-W", "error") == ("", "")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_a_terminal_gets_one_line_and_its_end() -> None:
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
        assert process.wait(TIME_LIMIT) == 0
        said = b""
        with contextlib.suppress(OSError):  # Linux says EIO at the end
            while piece := os.read(ours, 1 << 16):
                said += piece
    finally:
        os.close(ours)
    text = said.decode()
    assert text.endswith("\r\n")
    assert text.count("\n") == 1
    assert text.strip().split("\r")[-1].startswith("epoch 3/3 [========================] loss ")
