"""CSVLogger: the file holds the history to the bit, at any moment."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from behaviour import everything, small_network, start_python
from recording import LABELS, ActAt, X, fitted, interrupt, log_rows

from fastmlp import CSVLogger, LambdaCallback


def check_log(path: Path, *histories: Any, separator: str = ",") -> None:
    """Check that the file holds these histories to the bit."""
    found = log_rows(path, separator)
    assert [int(row["epoch"]) for row in found] == [epoch for history in histories for epoch in history.epoch]
    for name in histories[0].history:
        values = [value for history in histories for value in history.history[name]]
        assert [float(row[name]) for row in found] == values
    assert list(found[0]) == ["epoch", *histories[0].history]


@pytest.mark.parametrize("separator", [",", ";", "\t", "."])
def test_the_log_equals_the_history(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "a" / "folder" / "log.csv"
    network = fitted(CSVLogger(path, separator=separator), validation_split=0.2)
    check_log(path, network.history, separator=separator)


def test_a_row_is_written_before_the_next_epoch(tmp_path: Path) -> None:
    path, seen = tmp_path / "log.csv", list[int]()
    fitted(CSVLogger(path), LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(log_rows(path)))), epochs=4)
    assert seen == [1, 2, 3, 4]


def test_a_killed_process_leaves_the_rows_of_finished_epochs(tmp_path: Path) -> None:
    code = f"""
import os, signal
from behaviour import small_data, small_network
from fastmlp import CSVLogger, LambdaCallback
X, labels = small_data()
kill = LambdaCallback(on_epoch_begin=lambda epoch: epoch == 3 and os.kill(os.getpid(), {int(signal.SIGTERM)}))
small_network().fit(X, labels, epochs=9, batch_size=8, callbacks=[CSVLogger({str(tmp_path / "log.csv")!r}), kill])
"""
    process = start_python(code)
    process.communicate()
    assert process.returncode == -signal.SIGTERM
    check_log(tmp_path / "log.csv", fitted(epochs=3).history)


def test_append_keeps_the_rows_of_earlier_fits(tmp_path: Path) -> None:
    path, network = tmp_path / "log.csv", small_network()
    path.touch()
    logger = CSVLogger(path, append=True)
    histories = [
        network.fit(X, LABELS, epochs=2, callbacks=[log]) for log in (logger, logger, CSVLogger(path, append=True))
    ]
    check_log(path, *histories)


def test_the_first_row_of_a_new_fit_replaces_the_file(tmp_path: Path) -> None:
    path, logger = tmp_path / "log.csv", CSVLogger(tmp_path / "log.csv")
    fitted(logger, epochs=3)
    old = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        fitted(logger, ActAt("on_train_batch_end", 2, interrupt))
    assert path.read_bytes() == old
    check_log(path, fitted(logger, epochs=2, validation_split=0.2).history)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"epoch,loss\n0,0.5\n", "epoch, loss"),
        (b"epoch;loss;val_loss;val_accuracy\n0;1;1;1\n", "epoch;loss;val_loss;val_accuracy"),
        (b"a diary\n", "a diary"),
        (b"\n\n", ""),
        (b"\xff\xfe\x00", "�"),
    ],
)
def test_a_file_with_other_columns_is_refused_before_the_first_step_and_unchanged(
    content: bytes, shown: str, tmp_path: Path
) -> None:
    path, network = tmp_path / "log.csv", small_network()
    path.write_bytes(content)
    before = everything(network)
    message = "this fit has epoch, loss, val_loss, val_accuracy; give another filename, or append=False"
    with pytest.raises(ValueError, match=message) as info:
        fitted(CSVLogger(path, append=True), network=network, validation_split=0.2)
    assert f"which has the columns {shown}" in str(info.value)
    assert path.read_bytes() == content
    assert {**everything(network), "state": 0, "history": 0} == {**before, "state": 0, "history": 0}


@pytest.mark.parametrize(
    "start", [b"\xef\xbb\xbfepoch,loss\r\n7,0.5\r\n", b"epoch,loss\n6,0.25\n7,0.", b"epoch,loss\n7,0.5"]
)
def test_append_keeps_the_content_of_edited_and_truncated_files(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(start)
    network = fitted(CSVLogger(path, append=True), epochs=2)
    text = path.read_bytes()
    assert text.startswith(start)
    losses = network.history.history["loss"]  # type: ignore[union-attr]
    assert text.splitlines()[-2:] == [f"{epoch},{loss!r}".encode() for epoch, loss in enumerate(losses)]
    assert len(text.splitlines()) == len(start.splitlines()) + 2


def test_an_unwritable_file_is_refused_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in (tmp_path, tmp_path / "file" / "log.csv"):
        network = small_network()
        with pytest.raises(OSError, match=str(tmp_path)):
            fitted(CSVLogger(name), network=network)
        assert network.step == 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: CSVLogger(""), ValueError, "filename must be the path of a file, got ''"),
        (lambda: CSVLogger("a.csv", separator=", "), ValueError, "separator must be a single character .*, got ', '"),
        (lambda: CSVLogger("a.csv", separator="\n"), ValueError, "separator must be a single character"),
        (lambda: CSVLogger("a.csv", append="yes"), TypeError, "append must be True or False, got 'yes'"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
