"""Preparing a training file: kinds of columns, statistics of the training rows, encoded rows and memory."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import run_python
from table_files import flats, lines, one_column, write

from fastmlp.tables import TrainingTable, prepare
from fastmlp.tables.schema import CategoryColumn, ClassTarget, NumberColumn, NumberTarget
from fastmlp.tables.splitting import split


def table(path: str, target: str = "y", **options: Any) -> TrainingTable:
    return prepare(path, target, verbose=False, **options)


def test_columns_of_numbers_and_texts_become_inputs(tmp_path: Path) -> None:
    found = table(flats(tmp_path / "a.csv"), "sold")
    kinds = [type(column) for column in found.schema.columns]
    assert kinds == [NumberColumn, NumberColumn, CategoryColumn, CategoryColumn, NumberColumn]
    assert [column.name for column in found.schema.columns] == ["rooms", "area", "district", "garden", "price"]
    district, garden = found.schema.columns[2:4]
    assert district == CategoryColumn("district", ("Mitte", "Nord", "Süd"), False)
    assert garden == CategoryColumn("garden", ("no", "yes"), True)
    assert found.schema.target == ClassTarget("sold", ("late", "soon"), "text")
    assert [len(found.part(part)[1]) for part in ("training", "validation", "test")] == [78, 24, 18]
    assert {X.shape[1] for X in (found.X, found.X_validation, found.X_test)} == {9}
    assert found.rows == 120
    assert found.missing["rooms"] == 0
    assert found.missing["garden"] == sum(row[3] == "" for row in lines())


def test_numbers_are_standardised_by_the_training_rows_and_missing_ones_are_their_median(tmp_path: Path) -> None:
    found = table(flats(tmp_path / "a.csv"), "price", seed=3)
    rows = lines()[1:]
    parts = split(np.zeros(len(rows)), 0.2, 0.15, 3, by_class=False)
    areas = [rows[row][1] for row in np.concatenate(parts)]
    there = [float(text) for text in areas[: len(parts.training)] if text != "NA"]
    area = found.schema.columns[1]
    assert isinstance(area, NumberColumn)
    assert area.median == pytest.approx(statistics.median(there), rel=1e-12)
    assert area.mean == pytest.approx(statistics.fmean(there), rel=1e-12)
    assert area.deviation == pytest.approx(statistics.pstdev(there), rel=1e-12)
    X = np.concatenate([found.X, found.X_validation, found.X_test])
    filled = np.array([area.median if text == "NA" else float(text) for text in areas])
    np.testing.assert_allclose(X[:, 1], (filled - area.mean) / area.deviation, rtol=1e-6, atol=1e-7)
    assert "NA" in areas[: len(parts.training)]


def test_texts_become_one_input_for_each_category_and_one_for_missing(tmp_path: Path) -> None:
    found = table(flats(tmp_path / "a.csv"), "price", validation=0.0, test=0.0)
    gardens = [row[3] for row in lines()[1:]]
    expected = [[text == "no", text == "yes", text == ""] for text in gardens]
    np.testing.assert_array_equal(found.X[:, 5:8], np.array(expected, np.float32))
    assert len(found.X_validation) == len(found.X_test) == 0


def test_a_category_of_validation_rows_alone_has_no_input(tmp_path: Path) -> None:
    parts = split(np.arange(60) % 2, 0.2, 0.15, 0, by_class=True)
    values = ["a", "b"] * 30
    values[parts.validation[-1]] = values[parts.test[-1]] = "only here"
    found = table(one_column("x", values, tmp_path))
    assert found.schema.columns == (CategoryColumn("x", ("a", "b"), False),)
    np.testing.assert_array_equal([found.X_validation[-1], found.X_test[-1]], np.zeros((2, 2)))
    assert (found.X.sum(axis=1) == 1).all()


def test_the_target_of_numbers_is_standardised(tmp_path: Path) -> None:
    found = table(flats(tmp_path / "a.csv"), "price")
    target = found.schema.target
    assert isinstance(target, NumberTarget)
    assert found.y.mean() == pytest.approx(0, abs=1e-6)
    assert found.y.std() == pytest.approx(1, rel=1e-6)
    prices = sorted(float(row[4]) for row in lines()[1:])
    back = np.concatenate([found.y, found.y_validation, found.y_test]).astype(float) * target.deviation + target.mean
    np.testing.assert_allclose(np.sort(back), prices, rtol=1e-5)


def test_columns_can_be_declared_categorical_or_ignored(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "zip,id,y\n" + "".join(f"{50 + i % 3},u{i},{i % 2}\n" for i in range(60)))
    found = table(path, categorical=["zip"], ignore=["id"])
    assert found.schema.columns == (CategoryColumn("zip", ("50", "51", "52"), False, "value"),)


def test_constant_and_empty_columns_are_reported(tmp_path: Path) -> None:
    rows = "".join(f"{i}.5,0.1,,red,{i % 2}\n" for i in range(60))
    found = table(write(tmp_path / "a.csv", "x,same,none,colour,y\n" + rows))
    assert found.constant == ("same", "none", "colour")
    assert found.schema.columns[1:3] == (NumberColumn("same", 0.1, 0.1, 1.0), NumberColumn("none", 0.0, 0.0, 1.0))
    np.testing.assert_array_equal(found.X[:, 1:4], np.array([[0, 0, 1]] * 39, np.float32))


def test_a_decimal_comma_is_read_if_it_is_given(tmp_path: Path) -> None:
    rows = "".join(f"{i},5;{i},25\n" for i in range(60))
    found = table(write(tmp_path / "a.csv", "x;y\n" + rows), decimal=",", validation=0.0, test=0.0)
    assert found.schema.decimal == ","
    assert found.schema.columns == (NumberColumn("x", 30.0, 30.0, float(np.arange(60).std())),)


@pytest.mark.parametrize(
    "options",
    [
        {"task": "guess"},
        {"validation": 1.0},
        {"validation": -0.1},
        {"test": 1.0},
        {"test": -0.1},
        {"validation": 0.6, "test": 0.4},
        {"seed": -1},
        {"separator": ",,"},
    ],
)
def test_an_argument_out_of_its_range_is_refused(tmp_path: Path, options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        table(flats(tmp_path / "a.csv"), "sold", **options)


@pytest.mark.parametrize(
    "options", [{"categorical": "rooms"}, {"ignore": "rooms"}, {"keep": "rooms"}, {"seed": 0.5}, {"test": None}]
)
def test_an_argument_of_the_wrong_type_is_refused(tmp_path: Path, options: Any) -> None:
    with pytest.raises(TypeError, match=next(iter(options))):
        table(flats(tmp_path / "a.csv"), "sold", **options)


def test_reading_takes_the_values_and_the_matrix_but_not_the_text(tmp_path: Path) -> None:
    """10,000 rows of 20 long numbers are 4 MB of text. As Python strings they would take 13 MB."""
    row = ",".join(f"{{0}}.{'1234567' * 2}{place}" for place in range(20))
    text = "".join(row.format(i % 1000) + f",{i % 2}\n" for i in range(10_000))
    names = ",".join(f"x{place}" for place in range(20))
    path = write(tmp_path / "a.csv", f"{names},y\n{text}")
    code = (
        "import tracemalloc\nfrom fastmlp.tables import prepare\ntracemalloc.start()\n"
        f"table = prepare({path!r}, 'y', verbose=False)\n"
        "print(tracemalloc.get_traced_memory()[1], table.X.nbytes)"
    )
    peak, matrix = map(int, run_python(code)[0].split())
    values = 10_000 * 21 * 8
    assert matrix < 10_000 * 20 * 4
    # Besides values and matrix: the blocks of one column while they are joined, the row order, and a block of text.
    assert peak < 10_000 * 20 * 4 + values + 5e6
