"""A training file becomes what the rules say: kinds, task, split, statistics; the rest is refused."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import run_python
from table_files import flats, lines, write

from fastmlp.tables import Reader, TableError, prepare
from fastmlp.tables.preparing import TrainingTable, split
from fastmlp.tables.schema import CategoryColumn, ClassTarget, NumberColumn, NumberTarget


def table(path: str, target: str = "y", **options: Any) -> TrainingTable:
    return prepare(path, target, verbose=False, **options)


def column(header: str, values: list[Any], path: Path) -> str:
    """A file of one column and a target of two classes."""
    rows = "".join(f'"{value}",{"no" if i % 2 else "yes"}\n' for i, value in enumerate(values))
    return write(path / "a.csv", f"{header},y\n{rows}")


def test_columns_of_numbers_and_texts_become_inputs(tmp_path: Path) -> None:
    found = table(flats(tmp_path / "a.csv"), "sold")
    kinds = [type(column) for column in found.schema.columns]
    assert kinds == [NumberColumn, NumberColumn, CategoryColumn, CategoryColumn, NumberColumn]
    assert [column.name for column in found.schema.columns] == ["rooms", "area", "district", "garden", "price"]
    district, garden = found.schema.columns[2:4]
    assert district == CategoryColumn("district", ("Mitte", "Nord", "Süd"), False)
    assert garden == CategoryColumn("garden", ("no", "yes"), True)
    assert found.schema.target == ClassTarget("sold", ("late", "soon"), False)
    assert found.X.shape == (96, 9)
    assert found.X_validation.shape == (24, 9)
    assert found.missing["rooms"] == 0
    assert found.missing["garden"] == sum(row[3] == "" for row in lines())


def test_numbers_are_standardised_by_the_training_rows_and_missing_ones_are_their_median(tmp_path: Path) -> None:
    found = table(flats(tmp_path / "a.csv"), "price", seed=3)
    rows = lines()[1:]
    order, count = split(np.zeros(len(rows)), 0.2, 3, by_class=False)
    areas = [rows[row][1] for row in order]
    there = [float(text) for text in areas[:count] if text != "NA"]
    area = found.schema.columns[1]
    assert isinstance(area, NumberColumn)
    assert area.median == pytest.approx(statistics.median(there), rel=1e-12)
    assert area.mean == pytest.approx(statistics.fmean(there), rel=1e-12)
    assert area.deviation == pytest.approx(statistics.pstdev(there), rel=1e-12)
    X = np.concatenate([found.X, found.X_validation])
    filled = np.array([area.median if text == "NA" else float(text) for text in areas])
    np.testing.assert_allclose(X[:, 1], (filled - area.mean) / area.deviation, rtol=1e-6, atol=1e-7)
    assert "NA" in areas[:count]


def test_texts_become_one_input_for_each_category_and_one_for_missing(tmp_path: Path) -> None:
    found = table(flats(tmp_path / "a.csv"), "price", validation=0.0)
    gardens = [row[3] for row in lines()[1:]]
    expected = [[text == "no", text == "yes", text == ""] for text in gardens]
    np.testing.assert_array_equal(found.X[:, 5:8], np.array(expected, np.float32))
    assert len(found.X_validation) == 0


def test_a_category_of_validation_rows_alone_is_none(tmp_path: Path) -> None:
    order, _ = split(np.arange(60) % 2, 0.2, 0, by_class=True)
    values = ["a", "b"] * 30
    values[order[-1]] = "only here"
    found = table(column("x", values, tmp_path))
    assert found.schema.columns == (CategoryColumn("x", ("a", "b"), False),)
    np.testing.assert_array_equal(found.X_validation[-1], [0, 0])
    assert (found.X.sum(axis=1) == 1).all()


def test_the_target_of_numbers_is_standardised(tmp_path: Path) -> None:
    found = table(flats(tmp_path / "a.csv"), "price")
    target = found.schema.target
    assert isinstance(target, NumberTarget)
    assert found.y.mean() == pytest.approx(0, abs=1e-6)
    assert found.y.std() == pytest.approx(1, rel=1e-6)
    prices = sorted(float(row[4]) for row in lines()[1:])
    back = np.concatenate([found.y, found.y_validation]).astype(float) * target.deviation + target.mean
    np.testing.assert_allclose(np.sort(back), prices, rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a", "c"] * 20, ("a", "b", "c")),
        ([2, 10, 1] * 20, ("1", "2", "10")),
        (["1", "1.0", "0"] * 20, ("0", "1")),
        (["True", "False"] * 20, ("False", "True")),
        (list(range(20)) * 3, tuple(str(i) for i in range(20))),
        (list(range(21)) * 3, None),
        ([0.5, 1.0] * 20, None),
        (list(range(10)) * 2, None),
    ],
)
def test_the_task_follows_from_the_target(tmp_path: Path, values: list[Any], classes: tuple[str, ...] | None) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values)))
    found = table(path).schema.target
    assert (found.classes if isinstance(found, ClassTarget) else None) == classes


def test_the_task_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{i % 3 / 2}\n" for i in range(60)))
    assert isinstance(table(path).schema.target, NumberTarget)
    assert table(path, task="classification").schema.target == ClassTarget("y", ("0", "0.5", "1"), True)
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{i % 3}\n" for i in range(60)))
    assert isinstance(table(path, task="regression").schema.target, NumberTarget)


def test_a_split_keeps_out_a_share_of_every_class_but_never_all() -> None:
    y = np.array([0] * 100 + [1] * 10 + [2])
    order, count = split(y, 0.2, 0, by_class=True)
    assert sorted(order) == list(range(111))
    assert np.bincount(y[order[:count]]).tolist() == [80, 8, 1]
    order, count = split(np.zeros(10), 0.99, 0, by_class=False)
    assert count == 1


def test_the_split_is_decided_by_the_seed() -> None:
    y = np.zeros(50)
    first, again, other = (split(y, 0.2, seed, by_class=False)[0].tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert split(np.zeros(10), 0.2, 0, by_class=False)[0].tolist()[8:] == [3, 7]  # in every version of Python and NumPy


def test_what_columns_are_can_be_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "zip,id,y\n" + "".join(f"{50 + i % 3},u{i},{i % 2}\n" for i in range(60)))
    found = table(path, categorical=["zip"], ignore=["id"])
    assert found.schema.columns == (CategoryColumn("zip", ("50", "51", "52"), False),)


def test_constant_and_empty_columns_say_nothing(tmp_path: Path) -> None:
    rows = "".join(f"{i},0.1,,red,{i % 2}\n" for i in range(60))
    found = table(write(tmp_path / "a.csv", "x,same,none,colour,y\n" + rows))
    assert found.constant == ("same", "none", "colour")
    assert found.schema.columns[1:3] == (NumberColumn("same", 0.1, 0.1, 1.0), NumberColumn("none", 0.0, 0.0, 1.0))
    np.testing.assert_array_equal(found.X[:, 1:4], np.array([[0, 0, 1]] * 48, np.float32))


def test_a_column_that_turns_out_to_be_text_late_is_read_again(tmp_path: Path) -> None:
    values = ["", *range(10)] * 100 + ["red", "green"] * 1000
    found = table(column("x", values, tmp_path))
    (known,) = found.schema.columns
    assert isinstance(known, CategoryColumn)
    assert set(known.categories) == {*map(str, range(10)), "red", "green"}
    assert known.missing


@pytest.mark.parametrize(("late", "kind"), [(5, NumberColumn), ("red", CategoryColumn)])
def test_blocks_of_missing_values_wait_for_the_first_that_are_there(tmp_path: Path, late: Any, kind: type) -> None:
    found = table(column("x", [""] * 3000 + [late] * 100, tmp_path), validation=0.0)
    (known,) = found.schema.columns
    assert type(known) is kind
    assert found.missing == {"x": 3000}
    assert len(found.X) == 3100


def test_a_decimal_comma_is_read_where_it_is_told(tmp_path: Path) -> None:
    rows = "".join(f"{i},5;{i},25\n" for i in range(60))
    found = table(write(tmp_path / "a.csv", "x;y\n" + rows), decimal=",", validation=0.0)
    assert found.schema.decimal == ","
    assert found.schema.columns == (NumberColumn("x", 30.0, 30.0, float(np.arange(60).std())),)


NUMBERS = [*range(2500)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [*NUMBERS, "abc", "x"],
            "{file}:2502: column 'x': found 'abc' among numbers (2,500 of 2,502 values are); mend it or leave "
            "the cell empty, "
            "or take the column as text with --categorical x",
        ),
        (
            ["abc", *[5] * 20],
            "{file}:2: column 'x': found 'abc' among numbers (20 of 21 values are); mend it or leave the cell "
            "empty, or "
            "take the column as text with --categorical x",
        ),
        (
            [*NUMBERS, "1_000"],
            "{file}:2502: column 'x': found '1_000' among numbers (2,500 of 2,501 values are); mend it or leave "
            "the cell "
            "empty, or take the column as text with --categorical x",
        ),
        (
            [*NUMBERS, "7,5"],
            "{file}:2502: column 'x': found '7,5' among numbers (2,500 of 2,501 values are); write numbers with "
            "a point and "
            "without separators of thousands, or give --decimal ,, or take the column as text with --categorical x",
        ),
        (
            [*NUMBERS, " inf"],
            "{file}:2502: column 'x': found ' inf', which is not finite; mend it or leave the cell empty",
        ),
        (
            [*NUMBERS, "-1e999"],
            "{file}:2502: column 'x': found '-1e999', which is not finite; mend it or leave the cell empty",
        ),
        (
            [4, *(f"{i},5" for i in range(60))],
            "{file}:3: column 'x': found '0,5'; write numbers with a point and without separators of thousands, "
            "or give "
            "--decimal ,",
        ),
        (
            [f"{i}.5%" for i in range(9)] * 7,
            "{file}:2: column 'x': found '0.5%', a number with a mark; write plain numbers, or take the column as text "
            "with --categorical x",
        ),
        (
            [f"€ {i},000.50" for i in range(1, 60)],
            "{file}:2: column 'x': found '€ 1,000.50', a number with a mark; write plain numbers, or take the column "
            "as text with --categorical x",
        ),
        (
            ["", *(f"{i % 28 + 1}.{i % 12 + 1}.2024" for i in range(2000))],
            "{file}:3: column 'x': found '1.1.2024', a date or time; turn it into numbers, such as days since a "
            "day, or "
            "leave the column out with --ignore x",
        ),
        (
            ["2024-05-31"] * 10,
            "{file}:2: column 'x': found '2024-05-31', a date or time; turn it into numbers, such as days since a day, "
            "or leave the column out with --ignore x",
        ),
        (
            [f"user {i}" for i in range(3000)],
            "{file}: column 'x': found more than 1,000 different texts such as 'user 0' in 1,024 rows, like an "
            "identifier or free text; leave the column out with --ignore x",
        ),
        (
            [f"user {i % 31}" for i in range(60)],
            "{file}: column 'x': found 31 different texts such as 'user 0' in 60 rows, like an identifier or free "
            "text; leave the column out with --ignore x",
        ),
        (
            [*NUMBERS, *(f"user {i}" for i in range(3000))],
            "{file}:2502: column 'x': found 'user 0' among numbers, in a column of too many different texts for "
            "categories; mend it, or leave the column out with --ignore x",
        ),
        (
            [0, 1e308, -1e308] * 20,
            "{file}: column 'x': found numbers from -1e+308 to 1e+308, which cannot be standardised; give them in "
            "another unit",
        ),
    ],
)
def test_a_column_that_cannot_be_used_is_refused_with_line_and_advice(
    tmp_path: Path, values: list[Any], message: str
) -> None:
    path = column("x", values, tmp_path)
    with pytest.raises(TableError) as error:
        table(path)
    assert str(error.value) == message.format(file=path)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (
            [0, 1] * 30 + [""],
            {},
            "{file}:62: column 'y': found '' where the target should be; fill it in, or remove the row",
        ),
        (
            ["NA", "no"],
            {},
            "{file}:2: column 'y': found 'NA' where the target should be; fill it in, or remove the row",
        ),
        ([""] * 3, {}, "{file}:2: column 'y': found '' where the target should be; fill it in, or remove the row"),
        (
            [*range(2000), "x"],
            {},
            "{file}:2002: column 'y': found 'x' among numbers (2,000 of 2,001 values are); mend it or leave the "
            "cell empty, "
            "or take the column as text with --categorical y",
        ),
        (
            ["yes"] * 60,
            {},
            "{file}: column 'y': found only 'yes' in all 60 rows; there is nothing to tell apart, give rows of another "
            "class too",
        ),
        (
            [3] * 60,
            {"task": "regression"},
            "{file}: column 'y': found only 3 in the 48 training rows; there is nothing to predict",
        ),
        (
            ["yes", "no"] * 30,
            {"task": "regression"},
            "{file}: column 'y': found texts such as 'yes', but regression predicts numbers; choose another "
            "--target, or "
            "--task classification",
        ),
        (
            [i / 2 for i in range(1200)],
            {"task": "classification"},
            "{file}: column 'y': found 1,200 different numbers, too many for classes; use --task regression",
        ),
        (
            [2**53 + i % 3 for i in range(60)],
            {},
            "{file}: column 'y': found numbers of 9,007,199,254,740,992 and more, which are not told apart; take the "
            "column as text with --categorical y, or use --task regression",
        ),
        (
            [f"user {i}" for i in range(60)],
            {},
            "{file}: column 'y': found 60 different texts such as 'user 0' in 60 rows, too many for classes; choose "
            "another --target",
        ),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(
    tmp_path: Path, values: list[Any], options: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values)))
    with pytest.raises(TableError) as error:
        table(path, **options)
    assert str(error.value) == message.format(file=path)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("prise", {}, "there is no target 'prise'; did you mean 'price'? The columns are: 'rooms', 'area', "),
        ("SOLD", {}, "there is no target 'SOLD'; did you mean 'sold'?"),
        ("zzz", {}, "there is no target 'zzz'. The columns are: 'rooms'"),
        ("sold", {"ignore": ["aera"]}, "there is no column 'aera'; did you mean 'area'?"),
        ("sold", {"categorical": ["floor"]}, "there is no column 'floor'"),
        ("sold", {"ignore": ["sold"]}, "column 'sold': the target cannot be ignored"),
        (
            "sold",
            {"ignore": ["rooms", "area", "district", "garden", "price"]},
            "column 'sold': there is no column beside the target to predict it by",
        ),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path: Path, target: str, options: Any, message: str) -> None:
    path = flats(tmp_path / "a.csv")
    with pytest.raises(TableError) as error:
        table(path, target, **options)
    assert str(error.value).startswith(f"{path}: {message}")


def test_a_file_that_grows_between_two_readings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = column("x", [*(NUMBERS[:500] * 5), *["abc", "def"] * 400], tmp_path)
    read = Reader.blocks

    def read_and_grow(self: Reader) -> Any:
        yield from read(self)
        with open(path, "a") as file:
            file.write("7,1\n")

    monkeypatch.setattr(Reader, "blocks", read_and_grow)
    with pytest.raises(TableError, match=r"csv: changed while it was read; try again when nothing writes to it"):
        table(path)


def test_large_whole_numbers_are_classes_of_their_own_as_text(tmp_path: Path) -> None:
    values = [2**53 + i % 3 for i in range(60)]
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values)))
    target = table(path, categorical=["y"]).schema.target
    assert isinstance(target, ClassTarget)
    assert target.classes == tuple(str(2**53 + i) for i in range(3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1,5", "2.5"] * 30, "3: column 'x': found '2.5'; write numbers with a comma and without points, or leave "),
        (["2,5"] * 60 + ["1.234,5"], "62: column 'x': found '1.234,5' among numbers (60 of 61 values are); write numb"),
    ],
)
def test_with_a_decimal_comma_a_point_is_refused_and_the_advice_suits(
    tmp_path: Path, values: list[str], message: str
) -> None:
    path = write(tmp_path / "a.csv", "x;y\n" + "".join(f"{value};{i}\n" for i, value in enumerate(values)))
    with pytest.raises(TableError) as error:
        table(path, decimal=",")
    assert str(error.value).startswith(f"{path}:{message}")
    assert "or leave --decimal , away" in str(error.value)


@pytest.mark.parametrize(
    "options", [{"task": "guess"}, {"validation": 1.0}, {"validation": -0.1}, {"seed": -1}, {"separator": ",,"}]
)
def test_an_argument_out_of_its_range_is_refused(tmp_path: Path, options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        table(flats(tmp_path / "a.csv"), "sold", **options)


@pytest.mark.parametrize("options", [{"categorical": "rooms"}, {"ignore": "rooms"}, {"seed": 0.5}, {"seed": None}])
def test_an_argument_of_another_kind_is_refused(tmp_path: Path, options: Any) -> None:
    with pytest.raises(TypeError, match=next(iter(options))):
        table(flats(tmp_path / "a.csv"), "sold", **options)


def test_reading_takes_the_values_and_the_matrix_but_not_the_text(tmp_path: Path) -> None:
    """30,000 rows of 20 long numbers: 11 MB of text, which as strings of Python would take 40 MB."""
    row = ",".join(f"{{0}}.{'1234567' * 2}{place}" for place in range(20))
    text = "".join(row.format(i % 1000) + f",{i % 2}\n" for i in range(30_000))
    names = ",".join(f"x{place}" for place in range(20))
    path = write(tmp_path / "a.csv", f"{names},y\n{text}")
    code = (
        "import tracemalloc\nfrom fastmlp.tables import prepare\ntracemalloc.start()\n"
        f"table = prepare({path!r}, 'y', verbose=False)\n"
        "print(tracemalloc.get_traced_memory()[1], table.X.nbytes)"
    )
    peak, matrix = map(int, run_python(code)[0].split())
    values = 30_000 * 21 * 8
    assert matrix < 30_000 * 20 * 4
    # Beside values and matrix: blocks of one column while they are joined, the order of the rows, a block of text.
    assert peak < 30_000 * 20 * 4 + values + 6e6
