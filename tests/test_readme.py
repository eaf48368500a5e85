"""What the README says, done: its example runs, its commands are two, the files and tables that it names are there."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastmlp import Network, callbacks
from fastmlp.activations import ACTIVATIONS
from fastmlp.cli import main
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def _tables_as_they_were() -> Iterator[None]:
    """What an example registers is forgotten after it."""
    before = [(table, dict(table)) for table in (ACTIVATIONS, LOSSES)]
    yield
    for table, entries in before:
        table.clear()
        table.update(entries)


@pytest.mark.usefixtures("_tables_as_they_were")
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"README.md, example {number}", "exec"), {"__name__": "example"})


def test_the_training_that_must_not_be_lost_ends_with_a_file_that_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run twice: the second run finds it done. 41 steps of an epoch, so that the last is no hundredth."""
    monkeypatch.chdir(tmp_path)
    [example] = [example for example in EXAMPLES if "ModelCheckpoint" in example]
    for _ in range(2):
        found: dict[str, Any] = {}
        exec(compile(example.replace("1000", "1301"), "README.md", "exec"), found)
        stored = Network.load("training.safetensors")
        assert (stored.epoch, stored.step) == (found["net"].epoch, found["net"].step) == (50, 50 * 41)


def test_the_first_example_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[0], "README.md", "exec"), {})
    assert re.search(r"val_accuracy=(0\.9|1)", capsys.readouterr().out)
    assert (tmp_path / "model.safetensors").stat().st_size > 0


def test_the_commands_on_a_file_print_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [session] = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    shutil.copy(ROOT / "fastmlp" / "datasets" / "breast_cancer.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"\$ fastmlp (.*)\n([^$]*)", session)
    assert len(commands) == 3
    for command, shown in commands:
        assert main(shlex.split(command)) == 0
        printed = capsys.readouterr().out.splitlines()
        for line in shown.splitlines():
            assert line in printed or line == "..." or " in 0.0" in line  # the seconds differ


def test_the_example_is_ten_lines() -> None:
    assert len([line for line in EXAMPLES[0].splitlines() if line]) == 10


def test_there_are_two_commands() -> None:
    assert len(re.findall(r"^python -m pip install .*$", README, re.MULTILINE)) == 2


def test_every_activation_and_loss_is_named() -> None:
    for name in (*ACTIVATIONS, *LOSSES):
        assert name in README
    for name in INITIALIZERS:
        assert name.split("_")[0] in README


def test_every_callback_is_named() -> None:
    for name in callbacks.__all__:
        assert f"| `{name}` |" in README


def test_lines_that_it_names_hold_what_it_says() -> None:
    named = re.findall(r"\[`([^`\n]+)`\]\(([\w./]+)#L(\d+)\)", README)
    assert len(named) > 40
    for code, file, number in named:
        line = (ROOT / file).read_text().splitlines()[int(number) - 1]
        assert code in line, f"{file}:{number}; python -m bench.report writes the numbers anew"


def test_files_that_it_names_exist() -> None:
    named = set(re.findall(r"\]\(([\w./]+)\)", README))
    named |= set(re.findall(r"`((?:fastmlp|kernels|bench)/[\w./]+\.(?:py|md))`", README))
    assert len(named) >= 4
    for name in named:
        assert (ROOT / name).exists(), name
