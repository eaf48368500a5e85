"""`fastmlp train --report`: the content of the page, its safety, and reports that cannot be written."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table_files import flats, write

from fastmlp.cli import html_report, main

QUICK = ["--epochs", "3", "--layers", "5,4"]
VOID = {"meta", "br"}


class Page(HTMLParser):
    """The elements, texts and attributes of an HTML page. Every element must be closed in order."""

    def __init__(self, text: str, printed: str) -> None:
        super().__init__()
        self.text, self.printed = text, printed
        self.open: list[str] = []
        self.seen: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.texts.append(data.strip())

    @property
    def words(self) -> str:
        return "\n".join(self.texts)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the commands run. It contains flats.csv."""
    monkeypatch.chdir(tmp_path)
    flats(tmp_path / "flats.csv")
    return tmp_path


@functools.cache
def trained(folder: Path | None, *arguments: str) -> tuple[str, str]:
    """Return the report of a training, and what it printed. Trainings on flats.csv are run once for all tests."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["train", *arguments, "--report", "report.html", "--quiet"]) == 0
    return Path("report.html").read_text("utf-8"), printed.getvalue()


def reported(*arguments: str) -> Page:
    return Page(*trained(None if arguments[0] == "flats.csv" else Path.cwd(), *arguments))


def pictures(page: Page) -> list[str | None]:
    return [value for name, value in page.attributes if name == "aria-label"]


CLASSES = [
    "The layers of the network",
    "The loss of each epoch",
    "Confusion matrix",
    "ROC curves",
    "Weights, gradients and activations of each layer",
]
NUMBERS = [*CLASSES[:2], "Predicted against true numbers", CLASSES[-1]]


def test_a_report_of_classes_is_complete() -> None:
    page = reported("flats.csv", "--target", "sold", *QUICK)
    assert pictures(page) == CLASSES
    assert page.printed.count("wrote report.html\nnext: ") == 1
    for fact in (
        "flats.csv: sold",
        "fastmlp train flats.csv --target sold --epochs 3 --layers 5,4 --report report.html --quiet",
        "flats.csv: 120 rows, 6 columns (separator: comma).",
        "With seed 0: 78 training rows in batches of 32, 24 validation rows, 18 test rows.",
        "Target sold: classification, 2 classes: late, soon.",
        "district\n3 categories\n3\n0",
        "dense 1\n5\nrelu\n50",
        "Hint: The last epoch was the best, so more than 3 epochs may give a better model.",
        "24 validation rows, which chose the best epoch, and 18 test rows, which chose nothing.",
        "The pictures show the 18 test rows.",
        "metric\nvalidation\ntest\naccuracy\n",
        "best epoch 3: ",
        "soon: AUC ",
        "norm of dW",
        "2: 5-4 relu",
        "measured on 78 of the training rows",
    ):
        assert fact in page.words
    assert "categorical_crossentropy; Adam(0.001); seed 0" in page.words


def test_its_metrics_are_those_that_are_printed() -> None:
    page = reported("flats.csv", "--target", "sold", *QUICK)
    for name in ("accuracy", "F1 (mean of the classes)", "ROC AUC"):
        [values] = re.findall(rf"  {re.escape(name)} +(\S+) +(\S+)\n", page.printed)
        assert "\n".join([name, *values]) in page.words
    matrix = re.findall(r"late +(\d+) +(\d+)\n +soon +(\d+) +(\d+)", page.printed)[0]
    assert "\n".join(matrix) in page.words


def test_a_report_of_numbers_is_complete() -> None:
    page = reported("flats.csv", "--target", "price", *QUICK)
    assert pictures(page) == NUMBERS
    for fact in (
        "Target price: regression (for classification",
        "mean absolute error",
        "R squared",
        "R² = ",
        "The losses, mean_squared_error, are in the square of the unit of price.",
        "predicted",
    ):
        assert fact in page.words


def test_without_validation_rows_it_says_so_and_uses_the_training_rows() -> None:
    none = ["--validation", "0", "--test", "0"]
    page = reported("flats.csv", "--target", "sold", *none, *QUICK)
    assert "No rows were kept out of training, so nothing is known of new rows." in page.words
    assert "The pictures show the 120 training rows." in page.words
    assert pictures(page) == CLASSES
    assert "of the training rows" in reported("flats.csv", "--target", "price", *none, *QUICK).words


def test_columns_that_were_left_out_are_named(folder: Path) -> None:
    write(folder / "a.csv", "id,x,y\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(60)))
    words = reported("a.csv", "--target", "y", *QUICK).words
    assert "Left out as an identifier: id (integers that fill a range without gaps). --keep id takes it." in words


def test_the_training_without_a_file_has_a_report_too() -> None:
    page = reported("--epochs", "2")
    assert pictures(page) == CLASSES
    assert "113 validation rows, which chose the best epoch, and 113 test rows, which chose nothing." in page.words
    [recall] = re.findall(r"recall +(\S+) +(\S+)\n", page.printed)
    assert "\n".join(["recall", *recall]) in page.words


def test_the_page_needs_nothing_but_itself_and_runs_nothing() -> None:
    page = reported("flats.csv", "--target", "sold", *QUICK)
    assert not {"script", "link", "img", "image", "iframe", "object", "embed", "base", "form"} & set(page.seen)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"https?:|//|@import|url\((?!#)|javascript:|data:", page.text)
    links = [value for name, value in page.attributes if name in ("href", "src", "xlink:href")]
    assert links
    assert all(value is not None and value.startswith("#") for value in links)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_element_ids_are_unique_and_references_exist() -> None:
    page = reported("flats.csv", "--target", "sold", *QUICK)
    names = [value for name, value in page.attributes if name == "id"]
    assert len(set(names)) == len(names) > 100
    values = [value for _, value in page.attributes if value]
    meant = {value[1:] for name, value in page.attributes if name == "href" and value}
    meant |= {found for value in values for found in re.findall(r"url\(#([^)]*)\)", value)}
    assert len(meant) > 10
    assert meant <= set(names)


def test_it_follows_the_readers_choice_of_light_or_dark() -> None:
    page = reported("flats.csv", "--target", "sold", *QUICK)
    [style] = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style.count("@media (prefers-color-scheme: dark)") == 2
    assert "color-scheme:light dark" in style


HOSTILE = ["</script><script>alert(1)</script>", "a & b", "$x_{", "<img src=x onerror=alert(1)>", "con\x01trol"]


def test_hostile_names_are_shown_as_text(folder: Path) -> None:
    classes = ['"><script>alert(2)</script>', "</svg><b>", "$a_$", "_z\x02", "l" + "o" * 50 + "ng"]
    lines = [",".join([*HOSTILE, "<target>"])]
    quoted = ['"' + name.replace('"', '""') + '"' for name in classes]
    lines += [f"{row % 7},1,2,3,4,{quoted[row % 5]}" for row in range(100)]
    write(folder / "<i>.csv", "\n".join(lines) + "\n")
    page = reported("<i>.csv", "--target", "<target>", *QUICK)
    assert not {"script", "img", "i", "b", "target"} & set(page.seen)
    for name in (*HOSTILE[1:3], "<img src=x onerror=alert(1)>", "con\ufffdtrol", "</svg><b>", "$a_$", "_z\ufffd"):
        assert name in page.texts
    assert "<i>.csv: <target>" in page.texts


def test_file_names_that_are_not_unicode_are_escaped(folder: Path) -> None:
    name = "fl\udce4ts.csv"
    try:
        shutil.copy("flats.csv", name)
    except (OSError, UnicodeError):
        pytest.skip("the file system takes Unicode only")
    assert "fl\\udce4ts.csv: sold" in reported(name, "--target", "sold", *QUICK).words


def test_many_classes_of_which_some_were_not_kept_out(folder: Path) -> None:
    rows = [f"{c + row / 10},class {c}" for c in range(40) for row in range(2 if c < 20 else 6)]
    write(folder / "many.csv", "x,y\n" + "\n".join(rows) + "\n")
    page = reported("many.csv", "--target", "y", *QUICK)
    assert pictures(page) == CLASSES
    assert "more: AUC" in page.words


def test_rows_of_one_class_have_no_roc_curve(folder: Path) -> None:
    write(folder / "a.csv", "x,y\n" + "".join(f"{i},{'b' if i % 20 == 0 else 'a'}\n" for i in range(40)))
    page = reported("a.csv", "--target", "y", "--validation", "0.1", *QUICK)
    assert "All these rows belong to one class, so there is no ROC curve." in page.words
    assert pictures(page) == [*CLASSES[:3], CLASSES[-1]]


def test_a_report_changes_nothing_of_the_model(folder: Path) -> None:
    arguments = ["train", "flats.csv", "--target", "sold", "--quiet", "--epochs", "20", "--dropout", "0.2"]
    assert main([*arguments, "--out", "a"]) == 0
    assert main([*arguments, "--out", "b", "--report", "report.html"]) == 0
    assert (folder / "a.safetensors").read_bytes() == (folder / "b.safetensors").read_bytes()


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a page without content, since drawing one takes a second."""
    monkeypatch.setattr(html_report, "make_page", lambda _: "")


@pytest.mark.usefixtures("blank")
def test_json_names_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--json", "--epochs", "2", "--report", "report.html"]) == 0
    assert "report.html" in json.loads(capsys.readouterr().out)["files"]
    for given, expected in ((["--report", "report.html"], "report.html"), ([], None)):
        assert main(["train", "flats.csv", "--target", "sold", "--json", *QUICK, *given]) == 0
        assert json.loads(capsys.readouterr().out)["report"] == expected


# What goes wrong ------------------------------------------------------------------------------------------------------

FILE: list[str] = ["flats.csv", "--target", "sold"]
NO_FILE: list[str] = []


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: Any, **__: Any) -> None:
        raise AssertionError("it was trained")

    monkeypatch.setattr("fastmlp.network.Network.fit", fit)


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["train", *arguments, "--quiet", *(["--epochs", "2"])])
    return code, capsys.readouterr().err


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("data", [FILE, NO_FILE], ids=["file", "no file"])
def test_what_would_fail_fails_before_the_training(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, data: list[str]
) -> None:
    (folder / "folder.html").mkdir()
    shutil.copy("flats.csv", "flats.html")
    before = sorted(path.name for path in folder.iterdir())
    for path, code, message in (
        ("nowhere/a.html", 1, "fastmlp: nowhere: there is no such folder for --report\n"),
        ("folder.html", 1, "fastmlp: folder.html: --report is a folder; give a file in it\n"),
        ("report.pdf", 2, "argument --report: must be a file that ends in .html, got 'report.pdf'\n"),
    ):
        found = failed(capsys, *data, "--report", path)
        assert found[0] == code
        assert found[1].endswith(message)
    code, said = failed(capsys, "flats.html", "--target", "sold", "--report", "flats.html")
    assert (code, said) == (1, "fastmlp: flats.html: --report would overwrite an input file; give another name\n")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, said = failed(capsys, *data, "--report", "report.html")
    assert code == 1
    assert said == 'fastmlp: --report draws pictures: pictures need matplotlib: pip install "fastmlp[plot]"\n'
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize(
    ("data", "where", "error", "reason"),
    [
        (FILE, "fastmlp.cli.html_report.make_page", RuntimeError("no ink"), "no ink"),
        (NO_FILE, "fastmlp.cli.html_report.make_page", MemoryError(), "MemoryError"),
        (FILE, "fastmlp.cli.html_report.write_atomically", OSError(28, "No space left"), "No space left"),
    ],
    ids=["a failure", "no memory", "a full disk"],
)
def test_a_report_that_fails_loses_neither_model_nor_metrics(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    data: list[str],
    where: str,
    error: Exception,
    reason: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    write(folder / "report.html", "older")
    monkeypatch.setattr(where, fail)
    for as_json in (False, True):
        arguments = ["train", *data, "--out", "kept", *(["--json"] if as_json else []), "--epochs", "2"]
        assert main([*arguments, "--report", "report.html"]) == 1
        shown = capsys.readouterr()
        assert shown.err.endswith(f"fastmlp: the model is saved, but the report report.html is not: {reason}\n")
        assert "accuracy" in shown.out
        if as_json:
            printed = json.loads(shown.out)
            assert printed["report"] is None if data else "report.html" not in printed["files"]
        assert (folder / "kept.safetensors").stat().st_size > 0
        (folder / "kept.safetensors").unlink()
    assert (folder / "report.html").read_text() == "older"


def test_an_interrupt_while_the_report_is_written_ends_with_130(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastmlp.plot.network", interrupted)
    arguments = ["train", "flats.csv", "--target", "sold", "--quiet", *QUICK, "--report", "report.html"]
    assert main(arguments) == 130
    assert capsys.readouterr().err == "fastmlp: interrupted\n"
    assert sorted(path.name for path in folder.iterdir()) == ["flats.csv", "model.safetensors"]


@pytest.mark.parametrize("rows", [1, 2, 256, 257, 1000])
def test_monitored_rows_are_spread_over_all(rows: int) -> None:
    X = np.arange(rows)
    monitored = np.asarray(html_report.make_monitor(X, X).X)
    assert len(monitored) == len(set(monitored.tolist())) == min(rows, 256)
    assert (monitored[0], monitored[-1]) == (0, rows - 1)
    assert np.diff(monitored).max(initial=0) <= -(-rows // 256) + 1
