"""The commands on a CSV file: what they print and write, and their exit codes, with and without --json."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import PATIENCE, TIME_LIMIT, environment
from commands import run, run_json
from table_files import flats, lines, write

from fastmlp import Network, gradient_check
from fastmlp.activations import ACTIVATIONS
from fastmlp.cli import main
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.tables import TabularModel

QUICK = ["--epochs", "3"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the commands run. It contains flats.csv."""
    monkeypatch.chdir(tmp_path)
    flats(tmp_path / "flats.csv")
    return tmp_path


def written(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_train_prints_what_it_read_learned_and_wrote_and_what_to_type_next(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = run(capsys, "train", "flats.csv", "--target", "sold")
    missing = sum(row[3] == "" for row in lines())
    for fact in (
        "flats.csv: 120 rows, 6 columns (separator: comma)",
        "  district  3 categories       3        0",
        f"  garden    2 categories       3       {missing}",
        "Target sold: classification, 2 classes: late, soon.",
        "With seed 0: 78 training rows in batches of 32, 24 validation rows, 18 test rows.",
        "dense 1     64  relu",
        "Kept out of training: 24 validation rows, which chose the best epoch, and 18 test rows, which chose nothing.",
        "The test figures are those to expect of new rows. Figures of fewer than 20 rows are rough.",
        "  validation        test\n",
        "  test rows:\n",
        "  accuracy ",
        "  F1 (mean of the classes) ",
        "  ROC AUC ",
        "  true late ",
        "wrote model.safetensors\nnext: fastmlp predict model.safetensors flats.csv\n",
    ):
        assert fact in shown
    assert written(folder) == ["flats.csv", "model.safetensors"]


def test_train_on_numbers_prints_how_to_choose_classes(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "train", "flats.csv", "--target", "price", "--validation", "0", "--test", "0", "--epochs", "1")
    assert "Target price: regression (for classification: --task classification)." in shown
    assert "120 training rows in batches of 32, no validation rows, no test rows.\n" in shown
    assert "1 epoch in " in shown
    assert "No rows were kept out of training, so nothing is known of new rows.\n" in shown
    assert "mean absolute error" not in shown
    shown = run(capsys, "train", "flats.csv", "--target", "rooms", *QUICK)
    assert "classification, 8 classes: 1, 2, 3, 4, 5, 6, 7, 8 (for regression: --task regression)." in shown
    shown = run(capsys, "train", "flats.csv", "--target", "rooms", "--task", "regression", *QUICK)
    assert "Target rooms: regression.\n" in shown
    assert "R squared" in shown


def test_train_json_describes_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, "train", "flats.csv", "--target", "sold", "--seed", "3", "--out", "my model", *QUICK)
    assert found["rows"] == {"training": 78, "validation": 24, "test": 18}
    assert [column["name"] for column in found["columns"]] == ["rooms", "area", "district", "garden", "price"]
    assert found["columns"][3] == {
        "kind": "category",
        "name": "garden",
        "categories": ["no", "yes"],
        "missing": True,
        "match": "text",
        "missing_values": sum(row[3] == "" for row in lines()),
    }
    assert found["target"] == {"kind": "classes", "name": "sold", "classes": ["late", "soon"], "match": "text"}
    assert (found["data"], found["model"], found["seed"]) == ("flats.csv", "my model.safetensors", 3)
    assert (found["inputs"], found["epochs"], found["constant"]) == (9, 3, [])
    assert 1 <= found["best_epoch"] <= 3
    for part in ("validation", "test"):
        assert set(found[part]) == {"rows", "accuracy", "f1", "roc_auc", "confusion_matrix"}
        assert found[part]["rows"] == found["rows"][part]
    assert run_json(capsys, "evaluate", "my model", "flats.csv")["rows"] == 120


def test_a_constant_column_is_reported_in_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "a.csv", "x,same,y\n" + "".join(f"{i},1,{i % 2}\n" for i in range(60)))
    assert "Constant, so nothing can be learned from them: same.\n" in run(
        capsys, "train", "a.csv", "--target", "y", *QUICK
    )


def test_every_option_reaches_the_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "b.csv", "zip;size;id;y\n" + "".join(f"{i % 3};{i},5;u{i};{i % 2}\n" for i in range(60)))
    options = (
        "--target y --layers 7,5 --activation tanh --epochs 2 --batch-size 9 --optimizer sgd --learning-rate 0.25 "
        "--dropout 0.1 --l2 1e-3 --validation 0.5 --test 0.1 --loss kl_divergence --task classification --seed 4 "
        "--out other --categorical zip --ignore id --separator ; --decimal ,"
    )
    found = run_json(capsys, "train", "b.csv", *options.split())
    assert found["rows"] == {"training": 24, "validation": 30, "test": 6}
    model = TabularModel.load("other.safetensors")
    architecture = model.network.architecture
    assert [column.width for column in model.schema.columns] == [3, 1]
    assert [layer.units for layer in architecture.layers] == [7, 5, 2]
    assert [layer.activation.name for layer in architecture.layers] == ["tanh", "tanh", "softmax"]
    assert [layer.dropout for layer in architecture.layers] == [0.1, 0.1, 0.0]
    assert [layer.l2 for layer in architecture.layers] == [1e-3] * 3
    assert (architecture.optimizer.name, architecture.optimizer.learning_rate) == ("sgd", 0.25)
    assert (architecture.seed, model.network.step, model.network.epoch) == (4, 6, 2)
    assert architecture.loss.name == "kl_divergence"


def test_no_hidden_layer_is_a_linear_model(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", "flats.csv", "--target", "price", "--layers", "none", *QUICK)
    assert len(Network.load("model.safetensors").architecture.layers) == 1


def test_an_optimizer_keeps_its_own_learning_rate_unless_one_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", "flats.csv", "--target", "price", "--optimizer", "sgd", *QUICK)
    assert Network.load("model.safetensors").architecture.optimizer.learning_rate == 1e-2


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_can_be_named(capsys: pytest.CaptureFixture[str], optimizer: str) -> None:
    run(capsys, "train", "flats.csv", "--target", "sold", "--optimizer", optimizer, *QUICK)
    assert Network.load("model.safetensors").architecture.optimizer.name == optimizer


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_can_be_named(capsys: pytest.CaptureFixture[str], activation: str) -> None:
    run(capsys, "train", "flats.csv", "--target", "sold", "--activation", activation, "--layers", "4", *QUICK)
    assert Network.load("model.safetensors").architecture.layers[0].activation.name == activation


def test_many_rows_take_larger_batches(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastmlp.cli.train_options.LARGE_TABLE", 50)
    assert "78 training rows in batches of 256" in run(capsys, "train", "flats.csv", "--target", "sold", *QUICK)
    few = run(capsys, "train", "flats.csv", "--target", "sold", "--batch-size", "7", *QUICK)
    assert "78 training rows in batches of 7" in few


def test_training_stops_when_the_validation_loss_does_and_takes_the_best_weights(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ("train", "flats.csv", "--target", "price", "--patience", "2", "--learning-rate", "0.05")
    found = run_json(capsys, *arguments)
    assert found["epochs"] == found["best_epoch"] + 2 < 200
    again = run_json(capsys, *arguments, "--epochs", str(found["best_epoch"]))
    assert again["validation"] == found["validation"]


def test_the_same_seed_writes_the_same_bytes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        run(capsys, "train", "flats.csv", "--target", "sold", "--seed", seed, "--out", name, *QUICK)
    first, again, other = ((folder / f"{name}.safetensors").read_bytes() for name in "abc")
    assert first == again != other


def test_an_existing_model_is_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "model.safetensors", b"older")
    run(capsys, "train", "flats.csv", "--target", "sold", "--out", "model.safetensors", *QUICK)
    assert written(folder) == ["flats.csv", "model.safetensors"]
    assert run_json(capsys, "evaluate", "model", "flats.csv")["rows"] == 120


@pytest.fixture
def models(capsys: pytest.CaptureFixture[str]) -> None:
    """Train the models sold.safetensors and price.safetensors."""
    for target in ("sold", "price"):
        run(capsys, "train", "flats.csv", "--target", target, "--out", target)


@pytest.mark.usefixtures("models")
def test_predict_prints_classes_and_probabilities(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.reader(io.StringIO(run(capsys, "predict", "sold", "flats.csv"))))
    assert rows[0] == ["prediction", "p(late)", "p(soon)"]
    model = TabularModel.load("sold.safetensors")
    p = np.concatenate(list(model.predictions("flats.csv")))
    assert np.array(rows[1:])[:, 1:].astype(np.float32).tobytes() == p.tobytes()
    assert [row[0] for row in rows[1:]] == model.predict("flats.csv").tolist()


@pytest.mark.usefixtures("models")
def test_predict_prints_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = run(capsys, "predict", "price.safetensors", "flats.csv").splitlines()
    assert head == "prediction"
    np.testing.assert_allclose(np.array(rows, float), TabularModel.load("price.safetensors").predict("flats.csv"), 1e-9)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("model", ["sold", "price"])
def test_predict_json_holds_the_same_predictions(capsys: pytest.CaptureFixture[str], model: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run(capsys, "predict", model, "flats.csv"))))
    found = run_json(capsys, "predict", model, "flats.csv")
    assert (found["rows"], found["data"], found["target"]["name"]) == (120, "flats.csv", model)
    if model == "sold":
        assert [row["prediction"] for row in found["predictions"]] == [row["prediction"] for row in rows]
        assert [row["p"]["soon"] for row in found["predictions"]] == [float(row["p(soon)"]) for row in rows]
    else:
        values = [row["prediction"] for row in found["predictions"]]
        np.testing.assert_allclose(values, [float(row["prediction"]) for row in rows], 1e-9)


@pytest.mark.usefixtures("models")
def test_predict_writes_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, "predict", "sold", "flats.csv")
    assert run(capsys, "predict", "sold", "flats.csv", "--out", "a.csv") == "wrote 120 predictions to a.csv\n"
    assert (folder / "a.csv").read_text() == printed
    assert run(capsys, "predict", "sold", "flats.csv", "--out", "b.csv", "--quiet") == ""
    found = run_json(capsys, "predict", "sold", "flats.csv", "--out", "b.csv")
    assert (found["rows"], found["out"]) == (120, "b.csv")
    assert (folder / "b.csv").read_text() == printed
    assert "predictions" not in found


@pytest.mark.usefixtures("models")
def test_predict_needs_no_target_nor_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = run(capsys, "predict", "sold", "flats.csv")
    table = [[*row[:5][::-1], "more"] for row in lines()]
    write(folder / "turned.csv", b"\xef\xbb\xbf" + "".join(":".join(row) + "\r\n" for row in table).encode())
    assert run(capsys, "predict", "sold", "turned.csv", "--separator", ":") == expected


@pytest.mark.usefixtures("models")
def test_class_names_that_need_quotes_get_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "a.csv", "x,y\n" + "".join(f'{i % 2},"{["a,b", "c"][i % 2]}"\n' for i in range(60)))
    run(capsys, "train", "a.csv", "--target", "y", *QUICK)
    rows = list(csv.reader(io.StringIO(run(capsys, "predict", "model", "a.csv"))))
    assert rows[0] == ["prediction", "p(a,b)", "p(c)"]
    assert {len(row) for row in rows} == {3}


@pytest.mark.usefixtures("models")
def test_evaluate_prints_metrics_and_confusion_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "evaluate", "sold", "flats.csv")
    found = run_json(capsys, "evaluate", "sold", "flats.csv")
    assert shown.startswith("sold.safetensors on the 120 rows of flats.csv, target sold:\n")
    (a, b), (c, d) = found["confusion_matrix"]
    table, warning = shown.rstrip().rsplit("\n\n", 1)
    assert table.split()[-10:] == f"predicted late soon true late {a} {b} soon {c} {d}".split()
    assert warning.startswith("Warning: 85 % of these rows are equal to rows that trained the model or chose its epoch")
    assert f"accuracy                      {found['accuracy']:.4f}\n" in shown
    assert found["accuracy"] == pytest.approx((a + d) / 120)
    assert found["target"]["classes"] == ["late", "soon"]


@pytest.mark.usefixtures("models")
def test_evaluate_of_numbers_prints_their_errors(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "evaluate", "price", "flats.csv")
    found = run_json(capsys, "evaluate", "price", "flats.csv")
    for name in ("mean_absolute_error", "root_mean_squared_error"):
        assert f"{name.replace('_', ' ')}" in shown
        assert f"{found[name]:.6g}\n" in shown
    assert f"R squared {found['r2']:>26.6g}\n" in shown


def test_a_matrix_of_many_classes_is_left_to_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "a.csv", "x,y\n" + "".join(f"{i},{i % 12}\n" for i in range(120)))
    shown = run(capsys, "train", "a.csv", "--target", "y", *QUICK)
    assert "(--json prints the confusion matrix of the 12 classes)" in shown
    assert len(run_json(capsys, "evaluate", "model", "a.csv")["confusion_matrix"]) == 12


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    "arguments", [["sold", "flats.csv"], ["price", "flats.csv", "--rows", "30", "--seed", "2"], []]
)
def test_check_accepts_correct_gradients(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    shown = run(capsys, "check", *arguments)
    rows = 30 if "--rows" in arguments else 100
    assert f"\non {rows} rows:\n" in shown
    assert shown.endswith("All gradients are right.\n")
    found = run_json(capsys, "check", *arguments)
    assert found["ok"] is True
    assert found["rows"] == rows
    assert [(tensor["layer"], tensor["tensor"]) for tensor in found["tensors"]] == [
        (l, t) for l in range(3) for t in "Wb"
    ]
    assert all(tensor["ok"] for tensor in found["tensors"])


def test_check_ends_with_1_if_a_gradient_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradient_check, "DIFFERENCE_TOLERANCE", -1.0)
    assert main(["check", "--rows", "5"]) == 1
    shown = capsys.readouterr()
    assert shown.out.endswith("Not all gradients are right.\n")
    assert main(["check", "--rows", "5", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.usefixtures("models")
def test_summary_shows_columns_and_layers(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "summary", "sold")
    assert shown.startswith("sold.safetensors predicts sold, one of late, soon, from\n")
    for fact in ("district  3 categories", "garden    2 categories       3  a category", "dense 3      2  softmax"):
        assert fact in shown
    found = run_json(capsys, "summary", "sold")
    assert found["table"] == TabularModel.load("sold.safetensors").schema.to_dict()
    assert found["network"]["layers"][0]["inputs"] == 9
    assert "predicts price, a number, from" in run(capsys, "summary", "price")


def test_warnings_of_tables_are_lines_on_standard_error_and_in_json(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "one.csv", "x,z,y\n" + "".join(f"{'ab'[i % 2]},{i},yes\n" for i in range(40)))
    write(folder / "new.csv", "x,z,y\nA,1,yes\nB,2,yes\n")
    of_classes = (
        "one.csv: column 'y': found the class 'yes' in every row, so every prediction will be this class; add rows"
    )
    of_values = (
        "new.csv: no value in the column 'x' is one of the model's categories (found 'A'), so the predictions cann"
    )
    for command, text in (
        ("train one.csv --target y --epochs 2", of_classes),
        ("predict model new.csv", of_values),
        ("predict model new.csv --out out.csv", of_values),
        ("evaluate model new.csv", of_values),
    ):
        assert main(command.split()) == 0
        shown = capsys.readouterr()
        assert shown.err.startswith(f"fastmlp: warning: {text}")
        assert shown.err.count("\n") == 1
        assert text not in shown.out
        (message,) = run_json(capsys, *command.split())["warnings"]
        assert message.startswith(text)
    assert (folder / "out.csv").read_text() == "prediction,p(yes)\nyes,1.0\nyes,1.0\n"
    assert run_json(capsys, "predict", "model", "one.csv")["warnings"] == []


def typed(monkeypatch: pytest.MonkeyPatch, content: str | bytes) -> None:
    """Let commands find this content on standard input."""
    data = content if isinstance(content, bytes) else content.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_data_comes_from_standard_input(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (folder / "flats.csv").read_bytes()
    run(capsys, "train", "flats.csv", "--target", "sold", "--out", "file", *QUICK)
    typed(monkeypatch, content)
    shown = run(capsys, "train", "-", "--target", "sold", "--out", "input", *QUICK)
    assert shown.startswith("standard input: 120 rows, 6 columns (separator: comma)\n")
    assert shown.endswith("next: fastmlp predict input.safetensors DATA.csv\n")
    assert (folder / "input.safetensors").read_bytes() == (folder / "file.safetensors").read_bytes()
    expected = run(capsys, "predict", "file", "flats.csv")
    typed(monkeypatch, content)
    assert run(capsys, "predict", "file", "-") == expected
    typed(monkeypatch, content)
    assert "on the 120 rows of standard input, target sold:" in run(capsys, "evaluate", "file", "-")
    typed(monkeypatch, content)
    assert run_json(capsys, "evaluate", "file", "-")["data"] == "standard input"
    typed(monkeypatch, content)
    assert run_json(capsys, "check", "file", "-", "--rows", "5")["ok"]
    typed(monkeypatch, "rooms\nx\n")
    assert main(["predict", "file", "-"]) == 1
    assert capsys.readouterr().err.startswith("fastmlp: standard input: there are no columns 'area', ")
    monkeypatch.setattr("sys.stdin", None)
    assert main(["predict", "file", "-"]) == 1
    assert capsys.readouterr().err == "fastmlp: - stands for standard input, but there is none; give a CSV file\n"
    assert written(folder) == ["file.safetensors", "flats.csv", "input.safetensors"]


def test_rows_without_a_target_are_left_out_and_counted_if_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "a.csv", "x,y\n" + "".join(f"{i % 7},{'' if i % 30 == 5 else i % 2}\n" for i in range(120)))
    assert main(["train", "a.csv", "--target", "y"]) == 1
    assert "remove the row, or leave all such rows out with --skip-missing-target" in capsys.readouterr().err
    shown = run(capsys, "train", "a.csv", "--target", "y", "--skip-missing-target", *QUICK)
    assert "a.csv: 116 rows, 2 columns" in shown
    assert "\nLeft out, because the target is missing: 4 rows.\n" in shown
    found = run_json(capsys, "train", "a.csv", "--target", "y", "--skip-missing-target", *QUICK)
    assert sum(found["rows"].values()) == 116
    assert found["skipped"] == 4
    assert main(["evaluate", "model", "a.csv"]) == 1
    capsys.readouterr()
    shown = run(capsys, "evaluate", "model", "a.csv", "--skip-missing-target")
    assert "on the 116 rows of a.csv (4 left out, because the target is missing), target y:" in shown
    assert run_json(capsys, "evaluate", "model", "a.csv", "--skip-missing-target")["skipped"] == 4
    assert run_json(capsys, "check", "model", "a.csv", "--skip-missing-target")["rows"] == 100


def test_the_decimal_sign_can_be_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "a.csv", "x;y\n" + "".join(f"{i % 7},5;{i % 2}\n" for i in range(60)))
    run(capsys, "train", "a.csv", "--target", "y", "--decimal", "comma", *QUICK)
    assert TabularModel.load("model.safetensors").schema.decimal == ","


def test_summary_of_a_plain_network_shows_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    Network([3, 2], seed=0).save("plain.safetensors")
    assert run(capsys, "summary", "plain").startswith("layer ")
    assert run_json(capsys, "summary", "plain")["table"] is None


def test_a_wide_table_is_shown_in_part(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"x{i}" for i in range(50)]
    write(folder / "a.csv", ",".join([*names, "y"]) + "\n" + "".join("1," * 50 + f"{i % 2}\n" for i in range(60)))
    shown = run(capsys, "train", "a.csv", "--target", "y", *QUICK)
    assert "  x39 " in shown
    assert "\n  and 10 more columns\n" in shown
    assert "Constant, so nothing can be learned from them: x0, x1, x2, x3, x4, x5, x6, x7, x8, x9 and more.\n" in shown


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train no.csv --target y", "no.csv: there is no such file; check the path"),
        ("train . --target y", ".: this is a folder; give a CSV file in it"),
        ("train flats.csv --target prise", "flats.csv: there is no target 'prise'; did you mean 'price'? The columns"),
        ("train flats.csv --target sold --ignore rom", "flats.csv: there is no column 'rom'; did you mean 'rooms'?"),
        ("train bad.csv --target y", "bad.csv:3: column 'x': found 'inf', which is not finite"),
        ("train flats.csv --target sold --out no/model", "no: there is no such folder for --out"),
        (
            "train flats.csv --target sold --out folder.safetensors",
            "folder.safetensors: --out is a folder; give a file",
        ),
        ("train flats.csv --target price --learning-rate 1e30 --optimizer sgd", "the loss became NaN or infinite"),
        ("train flat.csv --target y", "flat.csv: there is no such file; did you mean 'flats.csv'?"),
        ("evaluate sold flats.cvs", "flats.cvs: there is no such file; did you mean 'flats.csv'?"),
        (
            "predict sald flats.csv",
            "sald: there is no such model; did you mean 'sold.safetensors'? Check the path, or write a",
        ),
        ("predict no flats.csv", "no: there is no such model; check the path, or write a model with `fastmlp train "),
        ("evaluate no flats.csv", "no: there is no such model"),
        ("check no flats.csv", "no: there is no such model"),
        ("summary no", "no: there is no such model"),
        (
            "predict flats.csv sold",
            "'flats.csv' is not a valid fastmlp model; give MODEL, a file that `fastmlp train` ",
        ),
        ("summary bad.csv", "'bad.csv' is not a valid fastmlp model"),
        ("predict plain flats.csv", "plain.safetensors: holds a network, but not the columns of a table"),
        ("evaluate sold bad.csv", "bad.csv: there are no columns 'rooms', 'area', 'district', 'garden', 'price', "),
        ("check sold bad.csv", "bad.csv: there are no columns "),
        ("predict sold no.csv", "no.csv: there is no such file; check the path"),
        ("predict sold flats.csv --out no/a.csv", "no: there is no such folder for --out"),
        ("predict sold flats.csv --out folder.safetensors", "folder.safetensors: --out is a folder; give a file in it"),
        ("predict sold flats.csv --out flats.csv", "flats.csv: --out would overwrite an input file; give another name"),
        ("predict sold flats.csv --out link.csv", "link.csv: --out would overwrite an input file"),
        ("predict sold flats.csv --out sold.safetensors", "sold.safetensors: --out would overwrite an input file"),
        ("predict sold flats.csv --out pipe", "pipe: is a device or a pipe and would be replaced; give a file"),
        ("train sold.safetensors --target y --out sold", "sold.safetensors: --out would overwrite an input file"),
        ("predict sold late.csv", "late.csv:3002: column 'rooms': found 'x', but the model expects numbers in this"),
        ("predict sold late.csv --out a.csv", "late.csv:3002: column 'rooms': found 'x', but the model expects"),
    ],
)
def test_unusable_files_end_with_1_and_one_line_that_says_what_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: str, message: str, as_json: bool
) -> None:
    run(capsys, "train", "flats.csv", "--target", "sold", "--out", "sold", *QUICK)
    write(folder / "bad.csv", "x,y\n1,0\ninf,1\n")
    text = ",".join(lines()[0]) + "\n" + "3,60.5,Nord,yes,90000,soon\n" * 3000 + "x,60.5,Nord,yes,90000,soon\n"
    write(folder / "late.csv", text)
    (folder / "folder.safetensors").mkdir()
    (folder / "link.csv").symlink_to("flats.csv")
    os.mkfifo(folder / "pipe")
    Network([3, 2], seed=0).save("plain.safetensors")
    before = {name: (folder / name).stat().st_mtime_ns for name in written(folder)}
    assert main([*arguments.split(), *(["--json"] if as_json else [])]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(f"fastmlp: {message}")
    assert shown.err.count("\n") == 1
    assert shown.out == "" or "NaN" in message  # the table was read and described before
    assert {name: (folder / name).stat().st_mtime_ns for name in written(folder)} == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("train flats.csv", "--target COLUMN is needed: the column to predict. The columns are: 'rooms', 'area', "),
        ("train no.csv", "--target COLUMN is needed: the column to predict.\n"),
        ("train --target y", "--target needs a file, but no DATA.csv is given: fastmlp train DATA.csv --target COLUMN"),
        ("train --skip-missing-target", "--skip-missing-target needs a file, but no DATA.csv is given"),
        ("train --layers 3", "--layers needs a file, but no DATA.csv is given"),
        ("train flats.csv --target sold --layers 3,0", "--layers: must be whole numbers such as 64,32, or none"),
        ("train flats.csv --target sold --layers wide", "--layers: must be whole numbers"),
        ("train flats.csv --target sold --activation rulu", "unknown activation 'rulu'; did you mean 'relu'?"),
        ("train flats.csv --target sold --optimizer adm", "unknown optimizer 'adm'; did you mean 'adam'?"),
        (
            "train flats.csv --target sold --dropout 1",
            "--dropout: must be at least 0 and less than 1, such as 0.2 for 20 %, got '1'",
        ),
        ("train flats.csv --target sold --validation 1.5", "--validation: must be at least 0 and less than 1"),
        ("train flats.csv --target sold --l2 -1", "--l2: must be a number of at least 0, got '-1'"),
        ("train flats.csv --target sold --l2 much", "--l2: must be a number of at least 0, got 'much'"),
        ("train flats.csv --target sold --task guess", "--task: invalid choice: 'guess'"),
        ("train flats.csv --target sold --separator ab", "--separator: must be one character, or comma, "),
        ("train flats.csv --target sold --decimal ;", "--decimal: must be . or , or one of point, dot, comma, got ';'"),
        ("train flats.csv --target sold --out folder/", "--out: must name a file, got 'folder/'"),
        ("predict model flats.csv --out folder/", "--out: must name a file, got 'folder/'"),
        ("train flats.csv --target sold --epochs 0", "--epochs: must be a whole number of at least 1"),
        ("train flats.csv --target sold --ignore a\rb", "--ignore: must be names such as age,city, got 'a\\rb'"),
        ("predict model", "the following arguments are required: DATA.csv"),
        ("evaluate", "the following arguments are required: MODEL, DATA.csv"),
        ("check model", "DATA.csv is needed: the file with the rows to check on"),
        ("check model flats.csv --rows 0", "--rows: must be a whole number of at least 1"),
        ("summary", "the following arguments are required: MODEL"),
    ],
)
def test_wrong_usage_ends_with_2_and_the_reason(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: str, reason: str
) -> None:
    assert main(arguments.split(" ")) == 2
    shown = capsys.readouterr()
    assert reason in shown.err
    assert shown.out == ""
    assert written(folder) == ["flats.csv"]


def test_columns_whose_names_hold_a_comma_can_be_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "a.csv", '"a,b",c,d,y\n' + "".join(f"{i},{i},{i},{i % 2}\n" for i in range(60)))
    run(capsys, "train", "a.csv", "--target", "y", "--ignore", '"a,b"', "--ignore", "d", *QUICK)
    assert [column.name for column in TabularModel.load("model.safetensors").schema.columns] == ["c"]


def test_too_little_memory_is_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError("Unable to allocate 3.7 GiB")

    monkeypatch.setattr("fastmlp.tables.preparing.encode_columns", fail)
    assert main(["train", "flats.csv", "--target", "sold"]) == 1
    assert capsys.readouterr().err == "fastmlp: there is not enough memory: Unable to allocate 3.7 GiB\n"


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ("train flats.csv --target sold --out old", "tables.preparing.collect"),
        ("train flats.csv --target sold --out old", "Network.fit"),
        ("train flats.csv --target sold --out old", "_io.model_file.write"),
        ("train flats.csv --target sold --out old", "_io.atomic.os.fsync"),
        ("predict sold flats.csv --out old.safetensors", "Network.predict"),
        ("predict sold flats.csv --out old.safetensors", "_io.atomic.os.fsync"),
        ("predict sold flats.csv", "Network.predict"),
    ],
)
def test_an_interrupt_leaves_the_folder_as_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str, where: str
) -> None:
    run(capsys, "train", "flats.csv", "--target", "sold", "--out", "sold", *QUICK)
    write(folder / "old.safetensors", b"older")
    before = {name: (folder / name).read_bytes() for name in written(folder)}
    monkeypatch.setattr(f"fastmlp.{where}", interrupted)
    assert main(arguments.split()) == 130
    shown = capsys.readouterr()
    assert shown.err == "fastmlp: interrupted; no file was written\n"
    assert {name: (folder / name).read_bytes() for name in written(folder)} == before


def test_after_the_model_is_written_an_interrupt_does_not_claim_that_nothing_was(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastmlp.cli.table_report.training_line", interrupted)
    assert main(["train", "flats.csv", "--target", "sold", *QUICK]) == 130
    assert capsys.readouterr().err == "fastmlp: interrupted\n"
    assert written(folder) == ["flats.csv", "model.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("moment", ["reading", "epoch"])
def test_ctrl_c_in_a_terminal_ends_with_130_and_writes_nothing(folder: Path, moment: str) -> None:
    """The progress line shows whether the process reads or trains."""
    rows = 200_000 if moment == "reading" else 5_000
    write(folder / "a.csv", "x,y\n" + "".join(f"{i % 97},{i % 2}\n" for i in range(rows)))
    code = (
        "import sys\nsys.stderr.isatty = lambda: True\nfrom fastmlp.cli import main\n"
        "sys.exit(main(['train', 'a.csv', '--target', 'y', '--epochs', '1000000', '--validation', '0']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    shown = b""
    while moment.encode() not in shown.replace(b"preparing", b""):
        piece = process.stderr.read1(4096)  # type: ignore[attr-defined]
        assert piece, f"ended too early: {shown!r}"
        shown += piece
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=TIME_LIMIT * PATIENCE)
    assert process.returncode == 130
    assert (shown + rest).endswith(b"\nfastmlp: interrupted; no file was written\n")
    assert written(folder) == ["a.csv", "flats.csv"]


def test_without_a_terminal_only_results_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "train", "flats.csv", "--target", "sold", "--quiet", *QUICK)
    assert shown.startswith("3 epochs in ")
    assert stat.S_IMODE((folder / "model.safetensors").stat().st_mode) & 0o444 == 0o444


def test_names_that_the_terminal_cannot_show_are_escaped_and_predictions_are_utf8(folder: Path) -> None:
    rows = "".join(f"{i},{'süß' if i % 3 else 'salzig'}\n" for i in range(60))
    (folder / "taste.csv").write_text("a,taste\n" + rows, encoding="utf-8")

    def printed(*arguments: str) -> bytes:
        command = [sys.executable, "-m", "fastmlp", *arguments]
        ascii_only = environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        return subprocess.run(
            command, env=ascii_only, capture_output=True, check=True, timeout=TIME_LIMIT * PATIENCE
        ).stdout

    assert rb"s\xfc\xdf" in printed("train", "taste.csv", "--target", "taste", *QUICK)
    assert printed("predict", "model", "taste.csv").decode("utf-8").startswith("prediction,p(salzig),p(süß)\n")
