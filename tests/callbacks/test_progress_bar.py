"""ProgressBar: the progress line is shown once, for any verbose."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from behaviour import Terminal
from recording import fitted

from fastmlp import ProgressBar


@pytest.mark.parametrize("verbose", [False, 0, "auto", True, 1])
@pytest.mark.parametrize("bars", [1, 2])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_line_is_shown_once_for_any_verbose_with_and_without_a_terminal(
    verbose: Any, bars: int, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(Terminal, "isatty", lambda self: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "110")
    fitted(*(ProgressBar() for _ in range(bars)), verbose=verbose, validation_split=0.2)
    said = stream.getvalue()
    if not terminal:
        assert [line.split(" loss ")[0] for line in said.splitlines()] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
        return
    assert said.count("\n") == 1
    last = said.rstrip().split("\r")[-1]
    assert last.startswith("epoch 3/3 [========================] loss ")
    assert " val_loss " in last
    assert "samples/s" in last
    assert [line.split()[1] for line in said.split("\r") if line.startswith("epoch")].count("3/3") == 1


def test_a_wrong_verbose_is_refused_with_a_progress_bar_too() -> None:
    with pytest.raises(ValueError, match="verbose must be 'auto', True or False, got 'loud'"):
        fitted(ProgressBar(), verbose="loud")
