"""What the commands say of identifiers, of rows that chose nothing, of rows that trained the model, and in hints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run, run_json
from table_files import flats, write

from fastmlp.cli.table_report import left_out_line
from fastmlp.tables.identifiers import Identifier

LEFT_OUT = "Left out as an identifier: id (integers that fill a range without gaps). --keep id takes it.\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sorted_flowers(path: Path) -> None:
    """Write a table of three kinds of flowers, sorted by kind and numbered, of which two kinds overlap."""
    generator = np.random.default_rng(0)
    kinds = np.repeat(np.arange(3), 50)
    petals = np.array([1.5, 4.6, 5.2])[kinds] + generator.normal(0, 0.5, 150)
    names = ("setosa", "versicolor", "virginica")
    rows = (f"{row},{petals[row]:.1f},{names[kind]}\n" for row, kind in enumerate(kinds))
    write(path, "id,petal,kind\n" + "".join(rows))


def test_a_running_number_does_not_predict_a_sorted_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sorted_flowers(folder / "flowers.csv")
    arguments = ("train", "flowers.csv", "--target", "kind", "--learning-rate", "0.01")
    honest = run_json(capsys, *arguments)
    assert honest["left_out"] == [{"name": "id", "reason": "range"}]
    assert [column["name"] for column in honest["columns"]] == ["petal"]
    assert honest["rows"] == {"training": 98, "validation": 30, "test": 22}
    assert 0.5 < honest["test"]["accuracy"] < 0.95
    leaking = run_json(capsys, *arguments, "--keep", "id", "--out", "leaking")
    assert leaking["left_out"] == leaking["suspicious"] == []
    assert leaking["test"]["accuracy"] > honest["test"]["accuracy"]


def test_output_and_summary_name_the_columns_that_were_left_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sorted_flowers(folder / "flowers.csv")
    shown = run(capsys, "train", "flowers.csv", "--target", "kind", "--epochs", "3")
    assert LEFT_OUT in shown
    assert shown.startswith("flowers.csv: 150 rows, 3 columns")
    summary = run(capsys, "summary", "model")
    for fact in (
        LEFT_OUT,
        "It was trained on 98 rows.\n",
        "Kept out of training: 30 validation rows, which chose the best epoch, and 22 test rows, which chose nothing.",
        "validation        test\n  accuracy ",
    ):
        assert fact in summary
    found = run_json(capsys, "summary", "model")["training"]
    assert found["left_out"] == [{"name": "id", "reason": "range"}]
    assert found["rows"] == {"training": 98, "validation": 30, "test": 22}
    assert f"{found['test']['accuracy']:.4f}\n" in summary
    assert run(capsys, "train", "flowers.csv", "--target", "kind", "--epochs", "3", "--quiet").startswith(LEFT_OUT)
    predicted = write(folder / "new.csv", "petal\n1.5\n")
    assert run(capsys, "predict", "model", predicted).startswith("prediction,p(setosa)")


def test_ten_identifiers_are_named_at_most() -> None:
    columns = [Identifier(f"id {number}", "name") for number in range(11)]
    one, ten, eleven = (left_out_line(columns[:count]) for count in (1, 10, 11))
    assert one.startswith("Left out as an identifier: id 0 (")
    assert one.endswith("). --keep 'id 0' takes it.")
    assert ten.startswith("Left out as identifiers: id 0 (")
    assert ", id 9 (" in ten
    assert ten.endswith("). --keep COLUMN takes it.")
    assert eleven == ten.replace(". --keep", " and more. --keep")


def test_identifiers_that_stay_are_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{i * i},{i % 7},{i % 2}\n" for i in range(60))
    write(folder / "a.csv", "sold at,x,y\n" + rows)
    shown = run(capsys, "train", "a.csv", "--target", "y", "--epochs", "2")
    warning = (
        "Warning: sold at holds integers that rise or fall from row to row. If it only numbers the rows, the figures"
    )
    assert warning in shown
    assert "leave it out with --ignore 'sold at'.\n" in shown
    assert run_json(capsys, "train", "a.csv", "--target", "y", "--epochs", "2")["suspicious"] == [
        {"name": "sold at", "reason": "order"}
    ]
    write(folder / "b.csv", "id,key,y\n" + "".join(f"{i},{i * 3},{i % 2}\n" for i in range(60)))
    shown = run(capsys, "train", "b.csv", "--target", "y", "--epochs", "2", "--quiet")
    assert shown.startswith("Left out as an identifier: id (")
    assert "\nWarning: key holds different integers under the name of an identifier, and was kept only because" in shown


@pytest.mark.parametrize(
    ("shares", "rows", "facts"),
    [
        (
            [],
            (78, 24, 18),
            ["24 validation rows", "18 test rows, which chose nothing. The test figures are those to expect"],
        ),
        (
            ["--test", "0"],
            (96, 24, 0),
            ["24 validation rows", "There are no test rows, and the validation figures are too"],
        ),
        (["--validation", "0"], (102, 0, 18), ["Kept out of training: 18 test rows, which chose nothing.", "\n    "]),
        (["--validation", "0", "--test", "0"], (120, 0, 0), ["No rows were kept out of training, so nothing is known"]),
    ],
)
@pytest.mark.parametrize("target", ["sold", "price"])
def test_both_figures_are_printed_and_named(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str, shares: list[str], rows: Any, facts: list[str]
) -> None:
    flats(folder / "flats.csv")
    arguments = ("train", "flats.csv", "--target", target, "--epochs", "3", *shares)
    shown = run(capsys, *arguments)
    for fact in facts:
        assert fact in shown
    found = run_json(capsys, *arguments)
    assert tuple(found["rows"].values()) == rows
    for part, count in found["rows"].items():
        if part != "training":
            assert (found[part] is not None) == (count > 0)
            assert count == 0 or found[part]["rows"] == count
    metric, spec = ("accuracy", ".4f") if target == "sold" else ("mean_absolute_error", ".6g")
    values = [format(found[part][metric], spec) for part in ("validation", "test") if found[part]]
    assert (f"  {metric.replace('_', ' '):<24}" + "".join(f"{value:>12}" for value in values) + "\n" in shown) == bool(
        values
    )


def test_evaluate_says_which_share_of_the_rows_trained_the_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flats(folder / "flats.csv")
    run(capsys, "train", "flats.csv", "--target", "sold", "--epochs", "2")
    last = run(capsys, "evaluate", "model", "flats.csv").splitlines()[-1]
    assert last.startswith(
        "Warning: 85 % of these rows are equal to rows that trained the model or chose its epoch. Unless"
    )
    assert run_json(capsys, "evaluate", "model", "flats.csv")["known_share"] == 0.85
    flats(folder / "new.csv", seed=1)
    assert run(capsys, "evaluate", "model", "new.csv").endswith(
        "None of these rows trained the model or chose its epoch.\n"
    )
    assert run_json(capsys, "evaluate", "model", "new.csv")["known_share"] == 0


def test_evaluate_estimates_the_share_for_a_model_of_many_rows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flats(folder / "many.csv", 16_000)
    run(capsys, "train", "many.csv", "--target", "sold", "--epochs", "1", "--batch-size", "1000", "--layers", "2")
    assert "Warning: about 8" in run(capsys, "evaluate", "model", "many.csv")
    flats(folder / "new.csv", 200, seed=1)
    assert "\nProbably none of these rows trained the model" in run(capsys, "evaluate", "model", "new.csv")
    flats(folder / "few.csv", 15)
    assert "\nThese are too few rows to tell whether they trained the model." in run(
        capsys, "evaluate", "model", "few.csv"
    )
    assert run_json(capsys, "evaluate", "model", "few.csv")["known_share"] is None
    assert (folder / "model.safetensors").stat().st_size < 80_000


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--epochs", "2"], "Hint: The last epoch was the best, so more than 2 epochs may give a better model.\n"),
        (
            ["--epochs", "2", "--learning-rate", "1e-9", "--task", "regression"],
            "of always predicting the mean, ",
        ),
    ],
)
def test_a_training_ends_with_a_hint(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], hint: str
) -> None:
    flats(folder / "flats.csv")
    arguments = ("train", "flats.csv", "--target", "rooms", *options)
    shown = run(capsys, *arguments)
    assert hint in shown
    hints = run_json(capsys, *arguments)["hints"]
    assert [f"Hint: {each}" for each in hints] == [line for line in shown.splitlines() if line.startswith("Hint: ")]
    assert not [line for line in shown.splitlines() if line.startswith("Hint: ") and line[6:] not in hints]


@pytest.mark.parametrize(("target", "undefined"), [("y", "r2"), ("kind", "roc_auc")])
def test_parts_of_one_row_have_the_figures_that_can_be_measured(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str, undefined: str
) -> None:
    write(folder / "a.csv", "x,kind,y\n" + "".join(f"{i % 4},{'pq'[i % 2]},{i / 3:.2f}\n" for i in range(5)))
    pytest.importorskip("matplotlib")
    shown = run(capsys, "train", "a.csv", "--target", target, "--epochs", "2", "--report", "report.html")
    assert "training rows in batches of 32, 1 validation row, 1 test row.\n" in shown
    assert "Kept out of training: 1 validation row, which chose the best epoch, and 1 test row, which chose" in shown
    assert "Figures of fewer than 20 rows are rough." in shown
    assert ("R squared" in shown) is ("ROC AUC" in shown) is False
    assert "The pictures show the 3 training rows." in (folder / "report.html").read_text()
    found = run_json(capsys, "train", "a.csv", "--target", target, "--epochs", "2")
    assert found["test"][undefined] is None
