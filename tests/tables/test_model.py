"""`TabularModel` on CSV files: training, predictions, metrics, saving and loading, and errors for unsuitable files."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import run_python
from table_files import flats, lines, write

from fastmlp import EarlyStopping, ModelFormatError, Network, metrics
from fastmlp._io.model_file import HEADER_LIMIT
from fastmlp.tables import Schema, TableError, TableWarning, TabularModel, prepare, sample
from fastmlp.tables.schema import NumberColumn, NumberTarget


def trained(path: str, target: str, **options: Any) -> TabularModel:
    table = prepare(path, target, verbose=False)
    model = TabularModel.for_table(table, (16,), **options)
    model.fit(table, epochs=200, callbacks=[EarlyStopping(patience=20)], verbose=False)
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the table of flats, a model of their class and a model of their price."""
    folder = tmp_path_factory.mktemp("models")
    path = flats(folder / "flats.csv", 300)
    trained(path, "sold").save(folder / "sold.safetensors")
    trained(path, "price").save(folder / "price.safetensors")
    return folder


def load(files: Path, name: str) -> TabularModel:
    return TabularModel.load(files / f"{name}.safetensors")


def outputs(model: TabularModel, path: str, **options: Any) -> Any:
    return np.concatenate(list(model.predictions(path, verbose=False, **options)))


@pytest.mark.parametrize("target", ["sold", "price"])
def test_a_saved_model_predicts_the_same(tmp_path: Path, target: str) -> None:
    path = flats(tmp_path / "flats.csv")
    model = trained(path, target, dropout=0.1, l2=1e-4, activation="tanh")
    model.save(tmp_path / "model")
    again = TabularModel.load(tmp_path / "model")
    assert again.schema == model.schema
    assert outputs(again, path).tobytes() == outputs(model, path).tobytes()
    again.save(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "model").read_bytes()


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    path = flats(tmp_path / "flats.csv")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        trained(path, "sold", seed=seed).save(tmp_path / name)
    first, again, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == again != other


def test_what_is_no_table_is_told(files: Path) -> None:
    model, path = load(files, "sold"), "flats.csv"
    for call in (lambda: model.fit(path), lambda: TabularModel.for_table(path)):
        with pytest.raises(TypeError, match=r"table must be what fastmlp.tables.prepare\(path, target\) returns, got"):
            call()
    table = prepare(str(files / "flats.csv"), "sold")
    with pytest.raises(TypeError, match=r"hidden must be a list of the units of each hidden layer, .*, got 64"):
        TabularModel.for_table(table, 64)


def test_models_learn(files: Path) -> None:
    path = str(files / "flats.csv")
    assert load(files, "sold").evaluate(path, verbose=False)["accuracy"] > 0.9
    assert load(files, "price").evaluate(path, verbose=False)["r2"] > 0.9


def test_network_load_reads_the_network_of_a_tabular_model(files: Path) -> None:
    network = Network.load(files / "sold.safetensors")
    model = load(files, "sold")
    X, _ = sample(model, files / "flats.csv", 10, verbose=False)
    assert network.predict(X).tobytes() == model.network.predict(X).tobytes()


def test_predictions_are_class_names_or_numbers_in_the_files_unit(files: Path) -> None:
    path = files / "flats.csv"
    names = load(files, "sold").predict(path)
    assert set(names) == {"late", "soon"}
    assert np.mean(names == [row[5] for row in lines(300)[1:]]) > 0.9
    prices = np.array([float(row[4]) for row in lines(300)[1:]])
    assert metrics.r2(prices, load(files, "price").predict(path)) > 0.9


def test_columns_may_come_in_another_order_with_others_and_without_the_target(files: Path, tmp_path: Path) -> None:
    model = load(files, "sold")
    table = [[*row[:5][::-1], "more"] for row in lines(300)]
    path = write(tmp_path / "turned.csv", "".join(";".join(row) + "\r\n" for row in table))
    assert outputs(model, path).tobytes() == outputs(model, str(files / "flats.csv")).tobytes()


def test_predicting_holds_one_block_at_a_time(files: Path, tmp_path: Path) -> None:
    """The file has 40,000 rows. As Python strings they would take 14 MB."""
    path = flats(tmp_path / "many.csv", 40_000)
    code = (
        "import tracemalloc\nfrom fastmlp.tables import TabularModel\n"
        f"model = TabularModel.load({str(files / 'sold.safetensors')!r})\n"
        f"model.predict({str(files / 'flats.csv')!r})\n"
        "tracemalloc.start()\n"
        f"rows = sum(len(block) for block in model.predictions({path!r}, verbose=False))\n"
        "print(rows, tracemalloc.get_traced_memory()[1])"
    )
    rows, peak = map(int, run_python(code)[0].split())
    assert rows == 40_000
    assert peak < 3e6


def test_an_unknown_category_is_0_in_all_inputs(files: Path, tmp_path: Path) -> None:
    model = load(files, "sold")
    row = "3,60.5,{},yes,90000\n"
    path = write(tmp_path / "new.csv", "rooms,area,district,garden,price\n" + row.format("Ost") + row.format(""))
    zeros = np.zeros((1, model.schema.width), np.float32)
    known = write(tmp_path / "known.csv", "rooms,area,district,garden,price\n" + row.format("Nord"))
    from fastmlp.tables.encode import Encoder
    from fastmlp.tables.reader import Reader

    def encoded(file: str) -> Any:
        reader = Reader(file, verbose=False)
        (block,) = reader.blocks()
        return Encoder(model.schema, reader, with_target=False).inputs(block)

    zeros[0] = encoded(known)[0]
    assert zeros[0, 2:5].tolist() == [0, 1, 0]
    zeros[0, 2:5] = 0
    np.testing.assert_array_equal(encoded(path), np.repeat(zeros, 2, axis=0))
    with pytest.warns(TableWarning, match="no value in the column 'district' is one of the model's categories"):
        assert np.isfinite(outputs(model, path)).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("3,60,Ost,yes,1\n" + 9 * "3,60,Nord,yes,1\n", None),
        (
            2 * "3,60,Ost,yes,1\n" + 8 * "3,60,Nord,yes,1\n",
            "{file}: 2 of 20 values in columns of categories are none of the model's categories, most in the column "
            "'district' (found 'Ost'), so the predictions cannot use them; check how the values are written",
        ),
        (
            3000 * "3,60,nord,yes,1\n",
            "{file}: no value in the column 'district' is one of the model's categories (found 'nord'), so the "
            "predictions cannot use them; check how the values are written",
        ),
        (
            "3,60,,Yes,1\n",
            "{file}: no value in the columns 'district', 'garden' is one of the model's categories (found '' in "
            "'district'), so the predictions cannot use them; check how the values are written",
        ),
        (19 * "3,,Nord,yes,1\n", None),
        (19 * "3,,Nord,yes,1\n" + "3,60,Nord,yes,1\n", None),
        (
            3000 * "3,NA,Nord,yes,1\n",
            "{file}: all numbers in the column 'area' are missing, so the predictions cannot use them; check the file",
        ),
        (
            20 * ",,Nord,yes,1\n",
            "{file}: all numbers in the columns 'rooms', 'area' are missing, so the predictions cannot use them; check "
            "the file",
        ),
    ],
)
def test_many_unknown_values_are_warned_of(files: Path, tmp_path: Path, rows: str, message: str | None) -> None:
    path = write(tmp_path / "new.csv", "rooms,area,district,garden,price\n" + rows)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        outputs(load(files, "sold"), path)
    assert [str(warning.message) for warning in found] == ([] if message is None else [message.format(file=path)])


def test_evaluate_computes_the_public_metrics(files: Path) -> None:
    path = str(files / "flats.csv")
    model = load(files, "sold")
    p, sold = outputs(model, path), np.array([row[5] == "soon" for row in lines(300)[1:]], int)
    called = p.argmax(axis=1)
    assert model.evaluate(path, verbose=False) == {
        "rows": 300,
        "accuracy": pytest.approx(metrics.accuracy(sold, called)),
        "f1": pytest.approx(metrics.f1(sold, called, average="macro")),
        "roc_auc": pytest.approx(metrics.roc_auc(sold, p[:, 1])),
        "confusion_matrix": metrics.confusion_matrix(sold, called).tolist(),
        "known_share": 0.85,
    }
    model = load(files, "price")
    found, prices = outputs(model, path)[:, 0], np.array([float(row[4]) for row in lines(300)[1:]])
    assert model.evaluate(path, verbose=False) == {
        "rows": 300,
        "mean_absolute_error": pytest.approx(metrics.mean_absolute_error(prices, found)),
        "root_mean_squared_error": pytest.approx(np.sqrt(np.mean((prices - found) ** 2))),
        "r2": pytest.approx(metrics.r2(prices, found)),
        "known_share": 0.85,
    }


def test_the_f1_of_many_classes_is_the_mean_over_those_that_occur(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{'abcd'[i % 4]}\n" for i in range(80)))
    model = trained(path, "y")
    part = write(tmp_path / "b.csv", "x,y\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(20)))
    true, called = np.array(["ab"[i % 2] for i in range(20)]), model.predict(part)
    found = model.evaluate(part, verbose=False)
    assert found["f1"] == pytest.approx(metrics.f1(true, called, average="macro"))
    assert "roc_auc" not in found


def test_roc_auc_of_one_class_alone_is_none(files: Path, tmp_path: Path) -> None:
    table = lines(300)
    rows = [table[0], *(row for row in table[1:] if row[5] == "late")]
    path = write(tmp_path / "late.csv", "".join(",".join(row) + "\n" for row in rows))
    assert load(files, "sold").evaluate(path, verbose=False)["roc_auc"] is None


def test_classes_that_are_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i % 2},{i % 2}\n" for i in range(80)))
    model = trained(path, "y")
    other = write(tmp_path / "b.csv", "x,y\n" + "".join(f"{i % 2},{i % 2}.0\n" for i in range(80)))
    assert model.evaluate(other, verbose=False) == model.evaluate(path, verbose=False)


def test_table_figures_are_the_metrics_of_the_validation_rows(tmp_path: Path) -> None:
    table = prepare(flats(tmp_path / "a.csv"), "price", verbose=False)
    model = TabularModel.for_table(table)
    target = table.schema.target
    found = model.table_figures(table)
    assert found is not None
    assert found["rows"] == len(table.X_validation) == 24
    scaled = np.abs(model.network.predict(table.X_validation)[:, 0] - table.y_validation).mean()
    assert found["mean_absolute_error"] == pytest.approx(scaled * target.deviation, rel=1e-5)  # type: ignore[union-attr]
    y, outputs = model.answers(table)
    assert model.figures(y, outputs) == found
    assert np.abs(outputs[:, 0] - y).mean() == pytest.approx(found["mean_absolute_error"])
    y, outputs = model.answers(table, "test")
    assert model.figures(y, outputs) == model.table_figures(table, "test")
    assert len(y) == len(table.X_test) == 18
    whole = prepare(flats(tmp_path / "a.csv"), "price", validation=0, test=0, verbose=False)
    model = TabularModel.for_table(whole)
    assert model.table_figures(whole) is model.table_figures(whole, "test") is None
    assert len(model.answers(whole, "training")[0]) == 120


def test_a_sample_is_rows_of_the_file_decided_by_the_seed(files: Path) -> None:
    model = load(files, "sold")
    whole, y = sample(model, files / "flats.csv", 1000, verbose=False)
    assert len(whole) == len(y) == 300
    X, labels = sample(model, files / "flats.csv", 20, seed=1, verbose=False)
    again, _ = sample(model, files / "flats.csv", 20, seed=1, verbose=False)
    other, _ = sample(model, files / "flats.csv", 20, seed=2, verbose=False)
    assert X.tobytes() == again.tobytes() != other.tobytes()
    places = [int(np.flatnonzero((whole == row).all(axis=1))[0]) for row in X]
    assert places == sorted(set(places))
    assert y[places].tolist() == labels.tolist()


def test_a_sample_of_many_blocks_reaches_all_of_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{i}\n" for i in range(3000)))
    model = TabularModel.for_table(prepare(path, "y", verbose=False), ())
    _, y = sample(model, path, 300, verbose=False)
    assert len(y) == 300
    assert y[0] < -1.4 < 1.4 < y[-1]  # standardised: all 3000 rows lie within 1.73


HEADER = "rooms,area,district,garden,price,sold\n"
ROW = "3,60.5,Nord,yes,90000,soon\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEADER + 2000 * ROW + "x,60.5,Nord,yes,90000,soon\n",
            "{file}:2002: column 'rooms': found 'x', but the model expects numbers in this column; correct it or "
            "leave the cell empty",
        ),
        (
            HEADER + ROW + "3,inf,Nord,yes,90000,soon\n",
            "{file}:3: column 'area': found 'inf', which is not finite; correct it or leave the cell empty",
        ),
        (
            HEADER + ROW + "3,1e300,Nord,yes,90000,soon\n",
            "{file}:3: column 'area': found 1e+300, more than 1e+30 standard deviations from the mean; correct it or "
            "leave the cell empty",
        ),
        (
            HEADER + ROW + "3,60,Nord,yes,90000,never\n",
            "{file}:3: column 'sold': found 'never', but the target must be one of the model's classes 'late', "
            "'soon'; correct it or remove the row",
        ),
        (
            HEADER + ROW + "3,60,Nord,yes,90000,\n",
            "{file}:3: column 'sold': found '', but the target must be one of the model's classes 'late', 'soon'; "
            "correct it or remove the row",
        ),
        (
            "rooms,aera,district,garden,price,sold\n" + ROW,
            "{file}: there is no column 'area', which the model needs; did you mean 'aera'? The columns are: 'rooms', "
            "'aera', 'district', 'garden', 'price', 'sold'",
        ),
        (
            "rooms,sold\n1,late\n",
            "{file}: there are no columns 'area', 'district', 'garden', 'price', which the model needs. The columns "
            "are: 'rooms', 'sold'",
        ),
        (
            "rooms,area,district,garden,price\n3,60.5,Nord,yes,90000\n",
            "{file}: there is no target 'sold', which the model needs. The columns are: 'rooms', 'area', 'district', "
            "'garden', 'price'",
        ),
        (HEADER, "{file}: the file has a header but no rows; add rows of data"),
    ],
)
def test_a_file_that_does_not_suit_the_model_is_refused(files: Path, tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(TableError) as error:
        load(files, "sold").evaluate(path, verbose=False)
    assert str(error.value) == message.format(file=path)


def test_evaluating_needs_a_number_in_a_target_of_numbers(files: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER + ROW.replace("90000", ""))
    with pytest.raises(TableError, match=r"a\.csv:2: column 'price': found '', but the target must be a number"):
        load(files, "price").evaluate(path, verbose=False)


def test_evaluating_refuses_a_target_that_float32_cannot_hold(files: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER + ROW + ROW.replace("90000", "1e200"))
    wanted = (
        r"a\.csv:3: column 'price': found 1e\+200, more than 1e\+30 standard deviations from the mean; correct it or "
        r"remove the row"
    )
    with pytest.raises(TableError, match=wanted):
        load(files, "price").evaluate(path, verbose=False)


@pytest.mark.parametrize("options", [{"rows": 0}, {"rows": -1}, {"seed": -1}])
def test_a_sample_of_no_rows_is_refused(files: Path, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be at least"):
        sample(load(files, "sold"), files / "flats.csv", verbose=False, **options)


def test_a_table_of_another_schema_is_refused(tmp_path: Path) -> None:
    first, second = (prepare(flats(tmp_path / "a.csv", seed=seed), "price", verbose=False) for seed in (0, 1))
    assert first.schema.width == second.schema.width
    model = TabularModel.for_table(first)
    for use in (model.fit, model.table_figures, model.answers):
        with pytest.raises(ValueError, match=r"a\.csv was prepared with other columns, means or categories"):
            use(second)
    assert model.network.history is None


def test_a_schema_too_long_for_a_file_is_refused_before_the_training() -> None:
    columns = tuple(NumberColumn("x" * 1000 + str(i), 0.0, 0.0, 1.0) for i in range(8000))
    with pytest.raises(
        ValueError, match=r"8,000 columns and of their categories take .* bytes, but a model file has room for"
    ):
        TabularModel(Network([8000, 1]), Schema(columns, NumberTarget("y", 0.0, 1.0)))


def with_table(files: Path, path: Path, table: str | None) -> Path:
    load(files, "sold").network._engine.save(path, optimizer=False, table=table)
    return path


@pytest.mark.parametrize("table", ["", "{", "[]", "null", "{}", "[" * 10000])
def test_a_file_with_a_broken_table_is_refused(files: Path, tmp_path: Path, table: str) -> None:
    path = with_table(files, tmp_path / "a.safetensors", table)
    with pytest.raises(ModelFormatError, match=r"a\.safetensors: the description of the table is wrong"):
        TabularModel.load(path)
    assert Network.load(path).architecture.outputs == 2


def test_a_table_too_long_to_be_saved_again_is_refused(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmlp.tables.model._RESERVED_FOR_LAYERS", HEADER_LIMIT - 100)
    with pytest.raises(
        ModelFormatError, match=r"the table is wrong: the names of the table's 5 columns .* has room for 100"
    ):
        load(files, "sold")


def test_a_table_that_does_not_fit_its_network_is_refused(files: Path, tmp_path: Path) -> None:
    for target in ("price", "sold"):
        stored = load(files, target).schema.to_dict()
        if target == "sold":
            stored["columns"].pop()
        path = with_table(files, tmp_path / "a.safetensors", json.dumps(stored))
        with pytest.raises(ModelFormatError, match=r"the table is wrong: the network has 9 inputs and 2 outputs"):
            TabularModel.load(path)


def test_the_output_activation_must_suit_the_target(files: Path) -> None:
    schema = load(files, "sold").schema
    with pytest.raises(ValueError, match="output must be softmax for the table's target, got sigmoid"):
        TabularModel(Network([schema.width, 2], output="sigmoid"), schema)


def test_loading_a_network_without_a_table_says_what_to_do(files: Path, tmp_path: Path) -> None:
    path = with_table(files, tmp_path / "a.safetensors", None)
    with pytest.raises(ModelFormatError, match="holds a network, but not the columns of a table; give a model that"):
        TabularModel.load(path)
