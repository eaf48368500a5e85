"""The README and the pages in docs/ are true: examples run, commands print what is shown, links and figures hold."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

import fastmlp
from fastmlp import Network, callbacks
from fastmlp.activations import ACTIVATIONS
from fastmlp.cli import main
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES
from fastmlp.metrics import METRICS
from fastmlp.optimizers import OPTIMIZERS

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "bench" / "NOTES.md",
]
PAGES = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in FILES}
README, GUIDE = PAGES["README.md"], PAGES["docs/coming-from.md"]
ROOT_FOLDERS = "fastmlp|kernels|bench|tests|docs"

# "python no-run" is code for what the tests do not have: Keras, Ray, a place in the sources. It is parsed, but not run.
FENCES = ("python", "python no-run", "bash", "console", "c", "text")


def fenced(page: str) -> list[tuple[str, str]]:
    """Return what stands behind the opening fence of each piece of code, and the code."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)


def pieces(kind: str) -> dict[str, str]:
    """Return all code of a kind, by page and number."""
    found = {}
    for page in PAGES:
        codes = [code for fence, code in fenced(page) if fence == kind]
        found.update({f"{page}, {kind} {number}": code for number, code in enumerate(codes, 1)})
    return found


EXAMPLES = pieces("python")
SESSIONS = pieces("console")
FIRST = EXAMPLES["README.md, python 1"]


def imports(code: str, package: str) -> bool:
    return re.search(rf"^(import|from) {package}\b", code, re.MULTILINE) is not None


@pytest.mark.usefixtures("forget_registered")
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("torch", "optuna"):
        if imports(EXAMPLES[name], library):
            pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[name], name, "exec"), {"__name__": "example"})


@pytest.mark.parametrize("page", PAGES)
def test_code_that_is_not_run_parses(page: str) -> None:
    assert PAGES[page].count("```") == 2 * len(fenced(page))
    for kind, code in fenced(page):
        assert kind in FENCES
        if kind == "python no-run":
            ast.parse(code)
        if kind.startswith("python") and page != "CONTRIBUTING.md":
            assert (kind == "python no-run") == any(imports(code, library) for library in ("keras", "ray"))


def test_calls_in_the_tables_of_the_guide_can_be_made() -> None:
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


def test_calls_in_the_tables_of_other_pages_can_be_made() -> None:
    """The classes in the tables of docs/networks.md and docs/training.md take the parameters that are shown."""
    names = {name: getattr(fastmlp, name) for name in fastmlp.__all__ if isinstance(getattr(fastmlp, name), type)}
    tables = "\n".join(re.findall(r"^\| .* \|$", PAGES["docs/networks.md"] + PAGES["docs/training.md"], re.MULTILINE))
    made = set()
    for code in re.findall(r"`(\w+\([^`]*\))`", tables):
        if code.split("(")[0] in names:
            free = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)} - {*names}
            sizes = dict.fromkeys(free, 30)
            known = {"rate": 0.1, "max_rate": 0.1, "decay_rate": 0.9, "schedule": 0.1, "minval": -0.1, "maxval": 0.1}
            assert eval(code, {**names, **sizes, **known}) is not None, code
            made.add(code.split("(")[0])
    assert len(made) > 25


def test_the_training_that_must_not_be_lost_ends_with_a_complete_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run twice: the second run finds it done. 41 steps of an epoch, so that the last is no hundredth."""
    monkeypatch.chdir(tmp_path)
    [example] = [code for name, code in EXAMPLES.items() if "ModelCheckpoint" in code and "checkpoints" in name]
    for _ in range(2):
        found: dict[str, Any] = {}
        exec(compile(example.replace("1000", "1301"), "checkpoints.md", "exec"), found)
        stored = Network.load("training.safetensors")
        assert (stored.epoch, stored.step) == (found["net"].epoch, found["net"].step) == (50, 50 * 41)


def test_the_first_example_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(FIRST, "README.md", "exec"), {})
    assert re.search(r"val_accuracy=(0\.9|1)", capsys.readouterr().out)
    assert (tmp_path / "model.safetensors").stat().st_size > 0


@pytest.mark.parametrize("name", SESSIONS)
def test_commands_print_what_is_shown(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "fastmlp" / "datasets" / "breast_cancer.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"\$ fastmlp (.*)\n([^$]*)", SESSIONS[name])
    assert len(commands) >= 2
    for command, shown in commands:
        assert main(shlex.split(command)) == 0
        printed = capsys.readouterr().out.splitlines()
        for line in shown.splitlines():
            assert line in printed or line == "..." or " in 0.0" in line  # the seconds differ


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200
    assert len([line for line in FIRST.splitlines() if line]) == 10


def test_the_readme_has_two_commands() -> None:
    everywhere = "\n".join(PAGES.values())
    assert len(re.findall(r"^python -m pip install .*$", README, re.MULTILINE)) == 2
    assert len(re.findall(r"^python -m pip install .*$", everywhere, re.MULTILINE)) == 2


def test_the_numbers_of_the_readmes_table_are_right() -> None:
    schedules = {name for name in fastmlp.__all__ if getattr(fastmlp, name).__module__.startswith("fastmlp.schedules")}
    counts = {
        "[activations]": len(ACTIVATIONS),
        "[losses]": len(LOSSES),
        "[layers]": len(INITIALIZERS),
        "[learning rates]": len(schedules - {"Schedule", "Warmup"}),
        "[metrics]": len(METRICS),
    }
    for row, count in counts.items():
        [line] = [line for line in README.splitlines() if line.startswith(f"| {row}")]
        assert re.search(r"\b(\d+) ?(schedules|initializers|,|\b)", line.split("|", 2)[2])[1] == str(count), line  # type: ignore[index]


def test_every_name_is_in_its_page() -> None:
    """Activations, losses, initializers, optimizers, metrics, callbacks and schedules."""
    for name in (*ACTIVATIONS, *LOSSES, *INITIALIZERS):
        assert f"`{name}`" in PAGES["docs/networks.md"]
    for name in METRICS:
        assert f"`{name}`" in PAGES["docs/metrics.md"]
    for name in callbacks.__all__:
        row = f"| `{name}` |" if issubclass(getattr(callbacks, name), callbacks.Callback) else f"`{name}`"
        assert row in PAGES["docs/callbacks.md"]
    optimizers = {type(optimizer).__name__ for optimizer in OPTIMIZERS.values()}
    schedules = {name for name in fastmlp.__all__ if getattr(fastmlp, name).__module__.startswith("fastmlp.schedules")}
    for name in optimizers | schedules - {"Schedule"}:
        assert f"`{name}(" in PAGES["docs/training.md"]


def test_formulas_link_to_the_lines_that_compute_them() -> None:
    page = ROOT / "docs" / "formulas.md"
    assert page.read_text().count("#L") > 40
    updated = runpy.run_path(str(page.with_suffix(".py")))["with_line_numbers"](page.read_text())
    assert updated == page.read_text(), "run: python docs/formulas.py"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_files_and_headings_that_a_page_names_exist(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#:\s]*)(?:#([^)]*))?\)", PAGES[page])
    links += [(f"/{name}", "") for name in re.findall(rf"`((?:{ROOT_FOLDERS})/[\w./]*)`", PAGES[page])]
    for name, anchor in links:
        file = ROOT / name[1:] if name.startswith("/") else ((ROOT / page).parent / name if name else ROOT / page)
        assert file.exists(), name
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{name}#{anchor}"


def test_every_page_is_in_the_index() -> None:
    index = PAGES["docs/README.md"]
    assert not [path.name for path in FILES if f"({path.name})" not in index and path.parent.name == "docs"][1:]
    assert "(docs/README.md)" in README
