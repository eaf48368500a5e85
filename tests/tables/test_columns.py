"""The choice between numbers and categories for each column, and the errors for columns that hold neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from table_files import one_column, write

from fastmlp.tables import TableError, TrainingTable, prepare
from fastmlp.tables.schema import CategoryColumn, NumberColumn


def table(path: str, target: str = "y", **options: Any) -> TrainingTable:
    return prepare(path, target, verbose=False, **options)


def test_a_column_that_turns_out_to_be_text_late_is_read_again(tmp_path: Path) -> None:
    values = ["", *range(10)] * 100 + ["red", "green"] * 1000
    found = table(one_column("x", values, tmp_path))
    (known,) = found.schema.columns
    assert isinstance(known, CategoryColumn)
    assert set(known.categories) == {*map(str, range(10)), "red", "green"}
    assert known.missing


@pytest.mark.parametrize(("late", "kind"), [(5, NumberColumn), ("red", CategoryColumn)])
def test_after_blocks_of_missing_values_the_first_values_decide(tmp_path: Path, late: Any, kind: type) -> None:
    found = table(one_column("x", [""] * 3000 + [late] * 100, tmp_path), validation=0.0, test=0.0)
    (known,) = found.schema.columns
    assert type(known) is kind
    assert found.missing == {"x": 3000}
    assert len(found.X) == 3100


NUMBERS = [*range(2500)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [*NUMBERS, "abc", "x"],
            "{file}:2502: column 'x': found 'abc' among numbers (2,500 of 2,502 values are numbers); "
            "correct it or leave the cell empty, or read the column as categories with categorical=['x']",
        ),
        (
            ["abc", *[5] * 20],
            "{file}:2: column 'x': found 'abc' among numbers (20 of 21 values are numbers); correct it or leave "
            "the cell empty, or read the column as categories with categorical=['x']",
        ),
        (
            [*NUMBERS, "1_000"],
            "{file}:2502: column 'x': found '1_000' among numbers (2,500 of 2,501 values are numbers); "
            "correct it or leave the cell empty, or read the column as categories with categorical=['x']",
        ),
        (
            [*NUMBERS, "7,5"],
            "{file}:2502: column 'x': found '7,5' among numbers (2,500 of 2,501 values are numbers); write "
            "numbers with a point and without thousands separators, or give decimal=',' for a decimal comma, or read "
            "the column as categories with categorical=['x']",
        ),
        (
            [*NUMBERS, " inf"],
            "{file}:2502: column 'x': found ' inf', which is not finite; correct it or leave the cell empty",
        ),
        (
            [*NUMBERS, "-1e999"],
            "{file}:2502: column 'x': found '-1e999', which is not finite; correct it or leave the cell empty",
        ),
        (
            [4, *(f"{i},5" for i in range(60))],
            "{file}:3: column 'x': found '0,5', a number in another notation; write numbers with a point and "
            "without thousands separators, or give decimal=',' for a decimal comma",
        ),
        (
            [f"{i}.5%" for i in range(9)] * 7,
            "{file}:2: column 'x': found '0.5%', a number with a symbol; write plain numbers, or read the column as "
            "categories with categorical=['x']",
        ),
        (
            [f"€ {i},000.50" for i in range(1, 60)],
            "{file}:2: column 'x': found '€ 1,000.50', a number with a symbol; write plain numbers, or read the "
            "column as categories with categorical=['x']",
        ),
        (
            ["", *(f"{i % 28 + 1}.{i % 12 + 1}.2024" for i in range(2000))],
            "{file}:3: column 'x': found '1.1.2024', a date or time; convert it to numbers, such as days since a "
            "fixed day, or leave the column out with ignore=['x']",
        ),
        (
            ["2024-05-31"] * 10,
            "{file}:2: column 'x': found '2024-05-31', a date or time; convert it to numbers, such as days since a "
            "fixed day, or leave the column out with ignore=['x']",
        ),
        (
            [f"user {i}" for i in range(3000)],
            "{file}: column 'x': found more than 1,000 different texts such as 'user 0' in 1,024 rows, which "
            "looks like an identifier or free text; leave the column out with ignore=['x']",
        ),
        (
            [f"user {i % 31}" for i in range(60)],
            "{file}: column 'x': found 31 different texts such as 'user 0' in 60 rows, which looks like an "
            "identifier or free text; leave the column out with ignore=['x']",
        ),
        (
            [*NUMBERS, *(f"user {i}" for i in range(3000))],
            "{file}:2502: column 'x': found 'user 0' among numbers, and too many different texts for categories; "
            "correct it, or leave the column out with ignore=['x']",
        ),
        (
            [0, 1e308, -1e308] * 20,
            "{file}: column 'x': found numbers from -1e+308 to 1e+308, which cannot be standardised in float64; "
            "give them in another unit",
        ),
    ],
)
def test_a_column_that_cannot_be_used_is_refused_with_line_and_advice(
    tmp_path: Path, values: list[Any], message: str
) -> None:
    path = one_column("x", values, tmp_path)
    with pytest.raises(TableError) as error:
        table(path)
    assert str(error.value) == message.format(file=path)


def test_numbers_with_some_texts_in_the_first_block_are_refused_as_numbers(tmp_path: Path) -> None:
    values = [i % 7 if i % 5 else "abc" for i in range(1024)] + [i % 7 for i in range(9000)]
    path = one_column("x", values, tmp_path)
    message = rf"a\.csv:2: column 'x': found 'abc' among numbers \({len(values) - 205:,} of {len(values):,} values are"
    with pytest.raises(TableError, match=message):
        table(path)


def test_too_many_different_values_of_a_categorical_column_are_refused(tmp_path: Path) -> None:
    path = one_column("x", [*range(2000)], tmp_path)
    with pytest.raises(TableError, match="column 'x': found more than 1,000 different texts such as '0' in 1,024 rows"):
        table(path, categorical=["x"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1,5", "2.5"] * 30, "3: column 'x': found '2.5', a number in another notation; write numbers with a comma "),
        (
            ["2,5"] * 60 + ["1.234,5"],
            "62: column 'x': found '1.234,5' among numbers (60 of 61 values are numbers); wri",
        ),
    ],
)
def test_with_a_decimal_comma_a_point_is_refused_with_suitable_advice(
    tmp_path: Path, values: list[str], message: str
) -> None:
    path = write(tmp_path / "a.csv", "x;y\n" + "".join(f"{value};{i}\n" for i, value in enumerate(values)))
    with pytest.raises(TableError) as error:
        table(path, decimal=",")
    assert str(error.value).startswith(f"{path}:{message}")
    assert "write numbers with a comma and without points, or omit decimal=','" in str(error.value)
