"""Columns that number or name the rows: which are left out, which are kept, and that results say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table_files import write

from fastmlp.tables import Identifier, TableError, TrainingTable, prepare
from fastmlp.tables.identifiers import is_identifier_name

ROWS = 60
SHUFFLED = np.random.default_rng(0).permutation(ROWS)
STEEP = np.cumsum(SHUFFLED + 1)  # rises, with gaps


def table(folder: Path, columns: dict[str, Any], **options: Any) -> TrainingTable:
    """Return the table of some columns, a harmless column x and a target y."""
    given = {**columns, "x": SHUFFLED % 7, "y": SHUFFLED % 2}
    rows = ["".join(",".join(map(str, row)) + "\n") for row in zip(*given.values(), strict=True)]
    return prepare(write(folder / "a.csv", ",".join(given) + "\n" + "".join(rows)), "y", verbose=False, **options)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("a", range(ROWS), "range"),
        ("a", range(-5, ROWS - 5), "range"),
        ("a", SHUFFLED + 100, "range"),  # in any order
        ("a", [f"{value}.0" for value in SHUFFLED], "range"),  # as pandas writes integers with missing values
        ("PassengerId", SHUFFLED * 3, "name"),
        ("key", STEEP, "name"),
        ("id", [*SHUFFLED[:-1] * 3, ""], "name"),  # one is missing
        ("id", -STEEP, "name"),
    ],
)
def test_integers_that_number_the_rows_are_left_out(tmp_path: Path, name: str, values: Any, reason: Any) -> None:
    found = table(tmp_path, {name: values})
    assert found.left_out == (Identifier(name, reason),)
    assert found.suspicious == ()
    assert [column.name for column in found.schema.columns] == ["x"]
    kept = table(tmp_path, {name: values}, keep=[name])
    assert (kept.left_out, kept.suspicious) == ((), ())
    assert [column.name for column in kept.schema.columns] == [name, "x"]
    np.testing.assert_array_equal(kept.X[:, 1:], found.X)


@pytest.mark.parametrize(
    ("name", "values", "warned"),
    [
        ("a", STEEP, True),
        ("a", -STEEP, True),
        ("a", STEEP + 0.5, False),  # no integers
        ("a", [*STEEP[:-1], ""], False),
        ("a", [0, *STEEP[1:-1], STEEP[2]], False),
        ("a", [*range(ROWS - 1), ROWS - 2], False),  # a range, but one of its numbers twice
        ("a", SHUFFLED * 3, False),
        ("id", SHUFFLED // 2, False),  # several rows for each
        ("id", SHUFFLED + 0.5, False),
    ],
)
def test_other_columns_are_kept_and_those_that_rise_are_warned_of(
    tmp_path: Path, name: str, values: Any, warned: bool
) -> None:
    found = table(tmp_path, {name: values})
    assert found.left_out == ()
    assert found.suspicious == ((Identifier(name, "order"),) if warned else ())
    assert [column.name for column in found.schema.columns] == [name, "x"]


def test_fewer_than_20_training_rows_tell_nothing(tmp_path: Path) -> None:
    for rows, left_out in ((29, False), (32, True)):
        path = write(tmp_path / "a.csv", "id,x,y\n" + "".join(f"{i},{i % 3},{i % 2}\n" for i in range(rows)))
        found = prepare(path, "y", verbose=False)
        assert (len(found.X) >= 20, bool(found.left_out)) == (left_out, left_out)


def test_texts_that_are_all_different_are_left_out(tmp_path: Path) -> None:
    """With 50 rows and more, they are refused: see test_columns.py."""
    rows = "".join(f"name {i},{i % 3},{i % 2}\n" for i in range(40))
    path = write(tmp_path / "a.csv", "who,x,y\n" + rows)
    assert prepare(path, "y", verbose=False).left_out == (Identifier("who", "texts"),)
    assert prepare(path, "y", keep=["who"], verbose=False).schema.columns[0].width == 26
    assert prepare(path, "y", categorical=["who"], verbose=False).left_out == ()


@pytest.mark.parametrize(
    ("columns", "stays"),
    [(["a"], "a"), (["id"], "id"), (["id", "a", "b"], "a"), (["id", "key"], "key")],
)
def test_the_last_column_stays(tmp_path: Path, columns: list[str], stays: str) -> None:
    rows = "".join(f"{','.join([str(i)] * len(columns))},{i % 2}\n" for i in range(60))
    found = prepare(write(tmp_path / "a.csv", f"{','.join(columns)},y\n{rows}"), "y", verbose=False)
    assert [column.name for column in found.schema.columns] == [stays]
    assert [column.name for column in found.suspicious] == [stays]
    assert {column.name for column in found.left_out} == {*columns} - {stays}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["z"]}, r"there is no column 'z'"),
        ({"keep": ["y"]}, r"column 'y': cannot be kept to predict from, because it is the target"),
        ({"keep": ["x"], "ignore": ["x"]}, r"column 'x': cannot be kept to predict from, because it is also ignored"),
    ],
)
def test_a_column_that_cannot_be_kept_is_refused(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(TableError, match=message):
        table(tmp_path, {"a": SHUFFLED}, **options)


NAMES = (
    "id ID Id ids uid UUID guid key pk index INDEX idx no No. nr number row # PassengerId passengerId PASSENGERID "
    "order_id orderID Customer-ID user.id customerid rowid row_number RowNo invoice_no InvoiceNumber sample_index "
    "line_nr my_key"
)
OTHERS = (
    "paid humid acid grid valid android rooms price_index body_mass_index numbers keyboard idle nose row_height order "
    "customers year number_of_rooms phone_type identity house_no_pets"
)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in [*NAMES.split(), "Customer ID", "row number", "Unnamed: 0"]),
        *((name, False) for name in [*OTHERS.split(), "_", "Größe", "order no longer"]),
    ],
)
def test_names_of_identifiers(name: str, is_one: bool) -> None:
    assert is_identifier_name(name) == is_one
