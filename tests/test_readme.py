"""What the README says, done: its example runs, its commands are two, the files and tables that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastmlp.activations import ACTIVATIONS
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_the_example_runs_and_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    monkeypatch.chdir(tmp_path)
    variables: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), variables)
    assert re.search(r"val_accuracy=(0\.9|1)", capsys.readouterr().out)
    assert (tmp_path / "model.safetensors").stat().st_size > 0


def test_the_example_is_ten_lines() -> None:
    example = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert len([line for line in example.splitlines() if line]) == 10


def test_there_are_two_commands() -> None:
    assert len(re.findall(r"^python -m pip install .*$", README, re.MULTILINE)) == 2


def test_every_activation_and_loss_is_named() -> None:
    for name in (*ACTIVATIONS, *LOSSES):
        assert name in README
    for name in INITIALIZERS:
        assert name.split("_")[0] in README


def test_files_that_it_names_exist() -> None:
    named = set(re.findall(r"\]\(([\w./]+)\)", README))
    named |= set(re.findall(r"`((?:fastmlp|kernels|bench)/[\w./]+\.(?:py|md))`", README))
    assert len(named) >= 4
    for name in named:
        assert (ROOT / name).exists(), name
