"""What the README and the guide say, done: examples run, commands are two, the files and tables named are there."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fastmlp
from fastmlp import Network, callbacks
from fastmlp.activations import ACTIVATIONS
from fastmlp.cli import main
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "coming-from.md").read_text()
PAGES = {"README.md": README, "docs/coming-from.md": GUIDE}

# "python no-run" is code for what the tests do not have, Keras: it is read, but not run.
FENCES = ("python", "python no-run", "bash", "console", "c")


def fenced(page: str) -> list[tuple[str, str]]:
    """What stands behind the opening fence of each piece of code, and the code."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)


EXAMPLES = [code for kind, code in fenced("README.md") if kind == "python"]
GUIDES_EXAMPLES = [code for kind, code in fenced("docs/coming-from.md") if kind == "python"]
RUN = {
    f"{page}, example {number}": code
    for page, examples in zip(PAGES, (EXAMPLES, GUIDES_EXAMPLES), strict=True)
    for number, code in enumerate(examples)
}


def imports(code: str, package: str) -> bool:
    return re.search(rf"^(import|from) {package}\b", code, re.MULTILINE) is not None


@pytest.fixture
def _tables_as_they_were() -> Iterator[None]:
    """What an example registers is forgotten after it."""
    before = [(table, dict(table)) for table in (ACTIVATIONS, LOSSES)]
    yield
    for table, entries in before:
        table.clear()
        table.update(entries)


@pytest.mark.usefixtures("_tables_as_they_were")
@pytest.mark.parametrize("name", RUN)
def test_every_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if imports(RUN[name], "torch"):
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    exec(compile(RUN[name], name, "exec"), {"__name__": "example"})


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_is_of_keras_and_parses(page: str) -> None:
    assert PAGES[page].count("```") == 2 * len(fenced(page))
    for kind, code in fenced(page):
        assert kind in FENCES
        assert (kind == "python no-run") == (kind.startswith("python") and imports(code, "keras"))
        if kind == "python no-run":
            ast.parse(code)


def test_what_the_tables_of_the_guide_offer_can_be_made() -> None:
    """In the second column: networks, layers, optimizers, callbacks and what else is a call of a public name."""
    names = {name: getattr(fastmlp, name) for name in fastmlp.__all__}
    sizes = {"inputs": 3, "classes": 2, "outputs": 2, "labels": 2, "steps": 9, "n": 2, "other": 0.1, "rate": 0.1}
    numbers = {"lr": 0.1, "lr0": 0.01, "c": 0.1, "alpha": 0.1, "batch_size": 2, "delta": 0.5}
    made = 0
    for row in re.findall(r"^\| .* \|$", GUIDE, re.MULTILINE):
        cells = row.split(" | ")
        for code in re.findall(r"`(\w+\([^`]*\))`", cells[1]) if len(cells) < 4 else ():
            if code.split("(")[0] in names and "..." not in code:
                assert eval(code, {**names, **sizes, **numbers}) is not None, code
                made += 1
    assert made > 40


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


def anchors(page: Path) -> set[str]:
    """What its headings are reached by, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_files_and_headings_that_it_names_exist(page: str) -> None:
    links = re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", PAGES[page])
    links += [(f"/{name}", "") for name in re.findall(r"`((?:fastmlp|kernels|bench)/[\w./]+\.(?:py|md))`", PAGES[page])]
    assert len(links) >= 4
    for name, anchor in links:
        file = ROOT / name[1:] if name.startswith("/") else ((ROOT / page).parent / name if name else ROOT / page)
        assert file.exists(), name
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{name}#{anchor}"
