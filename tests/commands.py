"""Run commands of fastmlp in this process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fastmlp.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must succeed, and return what it prints."""
    capsys.readouterr()
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return the JSON object that a command prints. Any other output would not parse."""
    return json.loads(run(capsys, *arguments, "--json"))
