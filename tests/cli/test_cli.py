"""The command line: parsing, exit codes, and the commands that need no file of the user."""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from table_files import write

import fastmlp
from fastmlp._runtime import system
from fastmlp.cli import demo_report, main
from fastmlp.cli.convert import whole_number
from fastmlp.cli.demo import fold_standardisation, split
from fastmlp.datasets import load_breast_cancer
from fastmlp.metrics import accuracy

COMMANDS = ("train", "predict", "evaluate", "check", "summary", "info", "warmup")
FILES = ["fastmlp-breast-cancer.png", "fastmlp-breast-cancer.safetensors"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Return the folder in which the command runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder):
    return sorted(file.name for file in folder.iterdir())


def printed_json(capsys):
    """Return the JSON object on standard output. Any other output would not parse."""
    return json.loads(capsys.readouterr().out)


def python(*arguments, **settings):
    root = Path(fastmlp.__file__).parents[1]
    return subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True, **settings)


def test_train_without_arguments_reaches_95_percent_and_writes_model_and_picture(folder, capsys):
    assert main(["train"]) == 0
    shown = capsys.readouterr().out
    for fact in ("569", "212", "malignant", "seed 0", "accuracy", "precision", "recall", "F1", "ROC AUC", "predicted"):
        assert fact in shown
    assert float(shown.split("accuracy")[-1].split()[0]) >= 0.95
    assert written(folder) == FILES
    assert all(f"wrote {name}" in shown for name in FILES)


def test_train_prints_at_most_80_ascii_columns_where_there_is_no_terminal(capsys):
    assert main(["train", "--epochs", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("seed", ["1", "2"])
def test_train_json_is_one_object_with_all_metrics(folder, capsys, seed):
    assert main(["train", "--json", "--seed", seed, "--out", str(folder / "model")]) == 0
    found = printed_json(capsys)
    assert set(found) == {
        *("test_accuracy", "precision", "recall", "f1", "roc_auc", "confusion_matrix"),
        *("epochs", "seconds", "files", "seed", "hints", "validation"),
    }
    assert found["test_accuracy"] >= 0.95
    assert found["roc_auc"] >= 0.97
    assert np.sum(found["confusion_matrix"]) == np.sum(found["validation"]["confusion_matrix"]) == 113
    assert found["validation"]["accuracy"] >= 0.95
    assert np.trace(found["confusion_matrix"]) / 113 == pytest.approx(found["test_accuracy"])
    assert 1 <= found["epochs"] <= 200
    assert found["seconds"] > 0
    assert found["seed"] == int(seed)
    assert found["files"] == [str(folder / "model.safetensors"), str(folder / "model.png")]
    assert written(folder) == ["model.png", "model.safetensors"]


def test_the_same_seed_gives_the_same_metrics_and_another_seed_others(capsys):
    found = []
    for seed in ("3", "3", "4"):
        assert main(["train", "--json", "--epochs", "5", "--seed", seed]) == 0
        figures = printed_json(capsys)
        found.append((figures["roc_auc"], figures["confusion_matrix"]))
    assert found[0] == found[1] != found[2]


def test_the_saved_model_takes_the_measurements_in_their_own_units(capsys):
    assert main(["train", "--json", "--seed", "5"]) == 0
    found = printed_json(capsys)
    data = load_breast_cancer()
    test = split(data.y, 5)[2]
    network = fastmlp.Network.load(found["files"][0])
    assert accuracy(data.y[test], network.predict_classes(data.X[test])) == found["test_accuracy"]


def test_the_options_reach_the_training(capsys):
    assert main(["train", "--json", "--epochs", "3", "--patience", "50"]) == 0
    assert printed_json(capsys)["epochs"] == 3
    assert main(["train", "--json", "--patience", "1", "--learning-rate", "0.5", "--batch-size", "8"]) == 0
    assert printed_json(capsys)["epochs"] < 100


def test_quiet_prints_results_but_nothing_before_them(capsys):
    assert main(["train", "--quiet", "--epochs", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("2 epochs in ")
    assert "wrote fastmlp-breast-cancer.safetensors" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_without_matplotlib_the_model_is_saved_and_the_extra_named(folder, capsys, monkeypatch, as_json):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["train", "--epochs", "2", *(["--json"] if as_json else [])]) == 0
    shown = capsys.readouterr()
    assert 'pip install "fastmlp[plot]"' in (shown.err if as_json else shown.out)
    assert written(folder) == ["fastmlp-breast-cancer.safetensors"]
    if as_json:
        assert json.loads(shown.out)["files"] == written(folder)


def interrupted(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("where", ["datasets.load_breast_cancer", "Network.fit", "Network.save"])
def test_an_interrupted_training_ends_with_130_and_says_that_no_file_was_written(
    folder, capsys, monkeypatch, where, older
):
    if older:
        (folder / FILES[1]).write_bytes(b"older")
    monkeypatch.setattr(f"fastmlp.{where}", interrupted)
    assert main(["train", "--epochs", "2"]) == 130
    assert capsys.readouterr().err == "fastmlp: interrupted; no file was written\n"
    assert written(folder) == FILES[1:] * older


@pytest.mark.parametrize("older", [True, False])
def test_after_the_model_is_written_an_interrupt_does_not_claim_that_nothing_was(folder, capsys, monkeypatch, older):
    if older:
        assert main(["train", "--quiet", "--epochs", "2"]) == 0
        (folder / FILES[0]).unlink()
    monkeypatch.setattr("fastmlp.plot.learning_curves", interrupted)
    assert main(["train", "--epochs", "2"]) == 130
    assert capsys.readouterr().err == "fastmlp: interrupted\n"
    assert written(folder) == FILES[1:]


def test_an_interrupt_of_another_command_ends_with_130_and_one_line(capsys, monkeypatch):
    monkeypatch.setattr(system, "describe", interrupted)
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "fastmlp: interrupted\n"


def test_the_time_printed_is_that_of_the_fit(capsys, monkeypatch):
    fit = fastmlp.Network.fit

    def timed(*arguments, **settings):
        history = fit(*arguments, **settings)
        history.seconds = 1234.5
        return history

    monkeypatch.setattr(fastmlp.Network, "fit", timed)
    assert main(["train", "--json", "--epochs", "2"]) == 0
    assert printed_json(capsys)["seconds"] == 1234.5
    assert main(["train", "--quiet", "--epochs", "2"]) == 0
    assert capsys.readouterr().out.startswith("2 epochs in 1234.50 s")


def test_a_missing_folder_is_reported_before_the_training(capsys):
    assert main(["train", "--out", "nowhere/model"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "fastmlp: nowhere: there is no such folder for --out\n"
    assert shown.out == ""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (OSError(28, "No space left on device", "file"), "file: No space left on device"),
        (ValueError("a bad value"), "a bad value"),
        (FloatingPointError("the loss is not finite"), "the loss is not finite"),
    ],
)
def test_a_failure_ends_with_1_and_its_message(capsys, monkeypatch, error, message):
    def fail():
        raise error

    monkeypatch.setattr("fastmlp.datasets.load_breast_cancer", fail)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == f"fastmlp: {message}\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ["nonsense"],
            "there is no command 'nonsense'. The commands are: train, predict, evaluate, check, summary, info",
        ),
        (["trian"], "there is no command 'trian'; did you mean 'train'? The commands are: "),
        (["--nonsense"], "fastmlp: error: unrecognized arguments: --nonsense; `fastmlp --help` lists all arguments"),
        (["train", "--nonsense"], "unrecognized arguments: --nonsense; `fastmlp train --help` lists all arguments"),
        (["train", "--batchsize", "8"], "unrecognized arguments: --batchsize; did you mean --batch-size?"),
        (
            ["train", "--epoch=8", "--learningrate=1"],
            "unrecognized arguments: --learningrate=1; did you mean --learning",
        ),
        (["fit"], "there is no command 'fit'; did you mean 'train'? The commands are: "),
        (["train", "--lr=1"], "unrecognized arguments: --lr=1; did you mean --learning-rate?"),
        (["train", "--max-iter", "9"], "unrecognized arguments: --max-iter; did you mean --epochs?"),
        (["train", "--random-state=1"], "unrecognized arguments: --random-state=1; did you mean --seed?"),
        (["train", "--hidden=9"], "unrecognized arguments: --hidden=9; did you mean --layers?"),
        (["train", "--epochs", "0"], "--epochs: must be a whole number of at least 1, got '0'"),
        (["train", "--epochs", "1.5"], "at least 1, got '1.5'"),
        (["train", "--batch-size", "-1"], "--batch-size"),
        (["train", "--patience", "few"], "--patience"),
        (["train", "--seed", "-1"], "--seed: must be a whole number of at least 0"),
        (["train", "--seed", str(2**63)], "--seed"),
        (["train", "--learning-rate", "0"], "--learning-rate: must be a positive number, got '0'"),
        (["train", "--learning-rate", "nan"], "--learning-rate"),
        (["train", "--learning-rate", "inf"], "--learning-rate"),
        (["train", "--learning-rate", "fast"], "--learning-rate"),
        (["info", "extra"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_ends_with_2_and_the_reason(folder, capsys, arguments, reason):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert reason in shown.err
    assert shown.out == ""
    assert written(folder) == []


def test_a_program_without_a_standard_output_needs_none(folder, monkeypatch):
    table = write(folder / "a.csv", "x,y\n" + "1,a\n2,b\n" * 9)
    assert main(["train", table, "--target", "y", "--epochs", "1"]) == 0
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["info"]) == 0
    assert main(["predict", "model", table]) == 0


def test_without_a_command_the_commands_are_listed(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {command} " in shown for command in COMMANDS)


def test_a_file_in_the_place_of_a_command_is_not_taken_for_one(folder, capsys):
    write(folder / "a b.csv", "x,y\n1,a\n")
    assert main(["a b.csv"]) == 2
    shown = capsys.readouterr().err
    assert "no command 'a b.csv'; to train on this file, type: fastmlp train 'a b.csv' --target COLUMN." in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_text(capsys, command):
    assert main([command, "--help"]) == 0
    assert f"usage: fastmlp {command}" in capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_texts_fit_the_terminal_and_keep_paragraphs_and_examples(capsys, monkeypatch, command, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    if command == "train":
        assert "  fastmlp train houses.csv --target price" in lines
        begin = next(number for number, line in enumerate(lines) if line.startswith("Without DATA.csv, "))
        assert lines[begin - 1] == ""


def test_the_module_runs_as_a_program_and_prints_its_version():
    done = python("-m", "fastmlp", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fastmlp {fastmlp.__version__}\n", "")


def test_the_version_is_that_of_the_build():
    build = Path(__file__).resolve().parents[2] / "pyproject.toml"
    assert tomllib.loads(build.read_text())["project"]["version"] == fastmlp.__version__


def test_the_version_is_printed_without_importing_numba():
    code = "import sys; from fastmlp.cli import main; main(['--version']); assert 'numba' not in sys.modules"
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_gives_no_traceback():
    code = (
        "import os, sys; from fastmlp._runtime import system; from fastmlp.cli import main;"
        "system.describe = lambda: {'cpu': 'any'};"
        "reader, writer = os.pipe(); os.close(reader); os.dup2(writer, 1);"
        "sys.exit(main(['info', '--json']))"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (1, "")


def test_every_class_is_split_60_20_20():
    y = np.array([0] * 100 + [1] * 50)
    parts = split(y, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(150))
    assert [np.bincount(y[part]).tolist() for part in parts] == [[60, 30], [20, 10], [20, 10]]
    assert all((np.diff(part) > 0).all() for part in parts)


def test_the_seed_decides_the_split():
    y = load_breast_cancer().y
    first, again, other = split(y, 0), split(y, 0), split(y, 1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert split(np.zeros(10, np.int64), 0)[2].tolist() == [2, 5]


def test_folding_moves_the_standardisation_into_the_first_layer():
    rng = np.random.default_rng(0)
    X, W, b = rng.normal(50, 20, (9, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    W_raw, b_raw = fold_standardisation(W, b, mean, deviation)
    np.testing.assert_allclose(X @ W_raw + b_raw, (X - mean) / deviation @ W + b, rtol=1e-12)


def test_the_results_show_metrics_and_confusion_matrix():
    y = np.array([0, 0, 0, 1, 1])
    called = np.array([0, 0, 1, 1, 1])
    results = demo_report.compute_metrics(y, np.eye(2)[called])
    best = demo_report.compute_metrics(y[1:], np.eye(2)[y[1:]])
    history = fastmlp.History({"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 1.0, 2.0]}, [0, 1, 2], 1.234)
    measured = {"validation": best, "test": results}
    assert demo_report.results(measured, history, ("benign", "malignant"), ["more epochs."]) == (
        "3 epochs in 1.23 s, the best was epoch 2.\n"
        "\n"
        "Kept out of training: 4 validation rows, which chose the best epoch, and 5 test\n"
        "rows, which chose nothing. The test figures are those to expect of new rows.\n"
        "Figures of fewer than 20 rows are rough. Positive: malignant.\n"
        "\n"
        "              validation        test\n"
        "  accuracy        1.0000      0.8000\n"
        "  precision       1.0000      0.6667\n"
        "  recall          1.0000      1.0000\n"
        "  F1              1.0000      0.8000\n"
        "  ROC AUC         1.0000      0.8333\n"
        "\n"
        "  test rows:         predicted\n"
        "                        benign  malignant\n"
        "  true benign                2          1\n"
        "       malignant             0          2\n"
        "\n"
        "Hint: more epochs.\n"
    )


def test_whole_numbers_fit_into_64_bits():
    convert = whole_number(2)
    assert [convert(text) for text in ("2", "1000", str(2**63 - 1))] == [2, 1000, 2**63 - 1]
    for wrong in ("1", "-2", "2.0", "two", "", str(2**63)):
        with pytest.raises(argparse.ArgumentTypeError, match=f"must be a whole number of at least 2, got '{wrong}'"):
            convert(wrong)


def test_the_size_of_the_cache_is_shown_in_mib(capsys, monkeypatch):
    found = system.describe() | {"cache_bytes": 3 << 19}
    monkeypatch.setattr(system, "describe", lambda: found)
    assert main(["info"]) == 0
    assert "cache size       1.5 MiB\n" in capsys.readouterr().out


def test_info_prints_what_decides_the_speed(capsys):
    assert main(["info", "--json"]) == 0
    found = printed_json(capsys)
    assert set(found["versions"]) == {"fastmlp", "numba", "llvmlite", "numpy", "python"}
    assert found["versions"]["numpy"] == np.__version__
    assert found["vector_bits"] in (128, 256, 512)
    assert found["threading_layer"] in ("omp", "tbb", "workqueue", "none")
    assert found["threads"] >= 1
    assert found["cache_bytes"] >= 0
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    for value in (found["cpu"], f"{found['vector_bits']} bits", found["threading_layer"], found["cache_directory"]):
        assert value in shown
    assert f"fastmlp {fastmlp.__version__}" in shown


def test_warmup_prints_the_number_of_kernels_and_the_time(capsys):
    assert main(["warmup", "--json"]) == 0
    found = printed_json(capsys)
    assert set(found) == {"functions", "seconds"}
    assert found["functions"] > 0
    result = rf"{found['functions']} kernels are compiled and in the cache \(\d+\.\d s\)\n"
    for options, progress in (([], ""), (["--quiet"], ""), (["--progress"], r"compiling kernels: (\d+) of \1, .* s\n")):
        assert main(["warmup", *options]) == 0
        shown = capsys.readouterr()
        assert re.fullmatch(result, shown.out)
        assert re.fullmatch(progress, shown.err)


@pytest.mark.parametrize(
    ("host", "machine", "expected", "bits"),
    [
        ({}, "x86_64", set(), 128),
        ({"avx2": True, "fma": True, "avx512f": False}, "AMD64", {"AVX2", "FMA"}, 256),
        ({"avx2": True, "fma": True, "avx512f": True}, "x86_64", {"AVX2", "FMA", "AVX512F"}, 512),
        ({}, "arm64", {"NEON", "FMA"}, 128),
        ({"neon": True}, "aarch64", {"NEON", "FMA"}, 128),
    ],
)
def test_features_decide_the_vector_width(host, machine, expected, bits):
    found = system.features(host, machine)
    assert {name for name, there in found.items() if there} == expected
    assert system.vector_bits(found) == bits


def test_the_size_of_a_folder_counts_all_files_below(folder):
    (folder / "below").mkdir()
    (folder / "a").write_bytes(bytes(10))
    (folder / "below" / "b").write_bytes(bytes(5))
    assert system.folder_size(folder) == 15
    assert system.folder_size(folder / "missing") == 0
