"""A DataFrame of pandas or polars, or an Arrow table, is what the CSV file is that its library writes of it."""

from __future__ import annotations

import datetime
import math
import re
import string
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmlp.tables import Schema, TableError, TabularModel, prepare, sample
from fastmlp.tables.frames import FrameReader
from fastmlp.tables.schema import CategoryColumn, ClassTarget, NumberColumn, NumberTarget
from fastmlp.tables.values import parse_numbers

ROWS = 60
X = np.random.default_rng(0).normal(size=ROWS)
WORDS = ["red", "green", 'say "hi", you'] * (ROWS // 3)
MISSING = [i % 7 == 3 for i in range(ROWS)]


def holes(values: Any) -> list[Any]:
    return [None if missing else value for value, missing in zip(values, MISSING, strict=True)]


PANDAS = pd.DataFrame(
    {
        "float": X,
        "with nan": np.where(MISSING, np.nan, X),
        "single": X.astype(np.float32),
        "half": X.astype(np.float16),
        "tiny": X * 1e-9,
        "int": np.arange(ROWS) % 11,
        "Int64": pd.array(holes(range(ROWS)), "Int64"),
        "Float32": pd.array(holes(X), "Float32"),
        "boolean": pd.array(holes([True, False] * (ROWS // 2)), "boolean"),
        "bool": [True, False] * (ROWS // 2),
        "object": holes(WORDS),
        "string": pd.array(holes(WORDS), "string"),
        "category": pd.Categorical(holes(WORDS)),
        "number category": pd.Categorical(np.arange(ROWS) % 3 / 2),
        "arrow": pd.array(holes(X), pd.ArrowDtype(pa.float64())),
        "arrow single": pd.array(holes(X), pd.ArrowDtype(pa.float32())),
        "sparse": pd.arrays.SparseArray(np.where(np.arange(ROWS) % 3, 0.0, X)),
        "mixed": [1, "1.0", 2.5, "x"] * (ROWS // 4),
        "missing": [np.nan] * ROWS,
        "label": ["no", "yes", "no"] * (ROWS // 3),
    },
    index=np.arange(ROWS)[::-1],
)
POLARS = pl.DataFrame(
    {
        "float": X,
        "with nan": np.where(MISSING, np.nan, X),
        "null": holes(X),
        "single": pl.Series(X, dtype=pl.Float32),
        "tiny": X * 1e-9,
        "int": pl.Series(np.arange(ROWS) % 11, dtype=pl.Int8),
        "int with null": holes(np.arange(ROWS) % 13),
        "large int": pl.Series([2**63 - 1 - i**2 for i in range(ROWS)], dtype=pl.Int64),
        "bool": holes([True, False] * (ROWS // 2)),
        "word": holes(WORDS),
        "category": pl.Series(holes(WORDS), dtype=pl.Categorical),
        "enum": pl.Series(holes(WORDS), dtype=pl.Enum(WORDS[:3])),
        "decimal": pl.Series(["1.50", "2.25"] * (ROWS // 2)).cast(pl.Decimal(10, 2)),
        "label": ["no", "yes", "no"] * (ROWS // 3),
    }
)
ARROW = POLARS.drop("category", "enum").to_arrow()


def write(frame: Any, path: Path) -> Path:
    if isinstance(frame, pd.DataFrame):
        frame.to_csv(path, index=False)
    elif isinstance(frame, pl.DataFrame):
        frame.write_csv(path)
    else:
        pyarrow.csv.write_csv(frame, path)
    return path


FRAMES = {"pandas": PANDAS, "polars": POLARS, "arrow": ARROW, "batch": ARROW.combine_chunks().to_batches()[0]}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("target", ["label", "float", "bool", "int"])
def test_a_frame_trains_predicts_and_evaluates_to_the_bits_of_its_file(tmp_path: Path, name: str, target: str) -> None:
    frame = FRAMES[name]
    file = write(frame, tmp_path / "a.csv")
    options: dict[str, Any] = {"categorical": ["int"], "verbose": False, "skip_missing_target": True}
    found, expected = prepare(frame, target, **options), prepare(file, target, **options)
    assert found.schema == expected.schema
    for part in ("X", "y", "X_validation", "y_validation"):
        assert getattr(found, part).tobytes() == getattr(expected, part).tobytes()
    assert (found.missing, found.skipped, found.separator) == (expected.missing, expected.skipped, "")
    model = TabularModel.for_table(found, ())
    assert model.predict(frame).tolist() == model.predict(file).tolist()
    assert next(model.predictions(frame)).tobytes() == next(model.predictions(file)).tobytes()
    of_file = model.evaluate(file, verbose=False, skip_missing_target=True)
    assert model.evaluate(frame, skip_missing_target=True) == of_file
    if not found.skipped:
        assert sample(model, frame, 10)[0].tobytes() == sample(model, file, 10, verbose=False)[0].tobytes()


def test_the_columns_of_a_frame_are_the_kinds_that_they_look_like() -> None:
    schema = prepare(PANDAS, "label").schema
    kinds = {column.name for column in schema.columns if isinstance(column, CategoryColumn)}
    assert kinds == {"boolean", "bool", "object", "string", "category", "mixed"}
    single = schema.columns[2]
    assert isinstance(single, NumberColumn)
    order = prepare(PANDAS, "label", validation=0, test=0).schema.columns[2]
    assert isinstance(order, NumberColumn)
    assert order.mean == pytest.approx(float(X.astype(np.float32).astype(float).mean()), rel=1e-6)


def test_columns_are_taken_by_name_and_others_are_not_read() -> None:
    model = TabularModel.for_table(prepare(POLARS, "float"), ())
    turned = POLARS.select(reversed(POLARS.columns)).with_columns(more=pl.Series([[1]] * ROWS)).drop("float")
    assert model.predict(turned).tobytes() == model.predict(POLARS).tobytes()
    assert model.predict(POLARS.to_pandas()).tobytes() == model.predict(POLARS).tobytes()
    with pytest.raises(TableError, match="DataFrame: there is no column 'tiny', which the model needs; did you mean"):
        model.predict(POLARS.rename({"tiny": "tini"}))


@pytest.mark.parametrize("name", FRAMES)
def test_a_model_of_a_file_with_decimal_commas_predicts_frames(tmp_path: Path, name: str) -> None:
    frame = FRAMES[name]
    path = tmp_path / "a.csv"
    names = ["float", "single", "label"]
    data = {name: np.asarray(frame[name]).tolist() for name in names}
    small = pd.DataFrame({**data, "single": np.asarray(data["single"], np.float32)})
    small.to_csv(path, sep=";", decimal=",", index=False)
    model = TabularModel.for_table(prepare(path, "label", decimal=",", verbose=False), ())
    again = prepare(frame, "label", decimal=",", ignore=set(frame_names(frame)) - set(names))
    assert again.schema == model.schema
    assert model.predict(frame).tolist() == model.predict(path).tolist()


def frame_names(frame: Any) -> list[str]:
    return list(frame.schema.names if isinstance(frame, pa.Table | pa.RecordBatch) else frame.columns)


def outcome(data: Any, **options: Any) -> tuple[Schema, bytes, bytes] | str:
    """Return the schema and the bits of a table, or the error without the place."""
    try:
        table = prepare(data, "y", verbose=False, **options)
    except TableError as error:
        return re.sub(r"^.*?column", "column", str(error), flags=re.DOTALL)
    return table.schema, table.X.tobytes(), table.y.tobytes()


CELLS = st.one_of(
    st.sampled_from(
        ["", "NA", "1", "1.0", "01", "+5", "2.50", "1e5", "True", "TRUE", "f", "red", " red", "2024-05-31"]
    ),
    st.floats(allow_nan=False, width=32).map(str),
    st.integers(-1000, 1000).map(str),
    st.text(string.printable, max_size=4),
)


@given(
    st.lists(st.tuples(CELLS, st.sampled_from("abc")), min_size=2, max_size=12),
    st.booleans(),
    st.sampled_from([pd.DataFrame, pl.DataFrame, pa.table]),
)
def test_any_texts_in_a_frame_are_those_texts_in_a_file(
    rows: list[tuple[str, str]], categorical: bool, make: Any
) -> None:
    labels = ["a", *(label for _, label in rows[1:-1]), "b"]
    frame = make({"x": [text for text, _ in rows], "y": labels})
    options = {"categorical": ["x"] * categorical}
    assert outcome(frame, **options) == outcome(write(frame, FOLDER / "any.csv"), **options)


@given(
    st.one_of(
        st.lists(st.none() | st.floats(allow_infinity=False), min_size=1, max_size=12),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=12),
    ),
    st.sampled_from([pd.DataFrame, pl.DataFrame, pa.table]),
    st.sampled_from([".", ","]),
)
def test_numbers_of_a_frame_are_those_that_its_texts_are_read_as(values: list[Any], make: Any, decimal: str) -> None:
    (block,) = FrameReader(make({"x": values}), decimal).blocks()
    texts = block.columns[0]
    found, read = parse_numbers(texts, decimal), parse_numbers(list(texts), decimal)
    assert found is not None
    np.testing.assert_array_equal(found, read)
    expected = [math.nan if value is None else float(value) for value in values]
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("frames")


FOLDER: Path


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_dates_are_refused_as_in_files(make: Any) -> None:
    utc = datetime.UTC
    for values in (
        [datetime.date(2024, 5, i % 28 + 1) for i in range(60)],
        [datetime.datetime(2024, 5, i % 28 + 1, 10, 15) for i in range(60)],
        [datetime.datetime(2024, 5, i % 28 + 1, 10, 15, tzinfo=utc) for i in range(60)],
        [None if i % 5 == 1 else datetime.datetime(2024, 5, i % 28 + 1, i % 24) for i in range(60)],
    ):
        message = (
            r"(DataFrame|Table), row 0: column 'x': found '2024-05-01.*', a date or time; convert it to numbers, such"
        )
        with pytest.raises(TableError, match=message):
            prepare(make({"x": values, "y": ["a", "b"] * 30}), "y")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pd.DataFrame({0: [1], "y": [2]}),
            "DataFrame: column names must be strings, got 0, of type int; rename the columns",
        ),
        (
            pd.DataFrame([[1, 2]]),
            "DataFrame: column names must be strings, got 0, of type int; rename the columns, such as",
        ),
        (pd.DataFrame({"x": [], "y": []}), "DataFrame: the frame has columns but no rows; add rows of data"),
        (pl.DataFrame({"x": [], "y": []}), "DataFrame: the frame has columns but no rows; add rows of data"),
        (pa.table({"x": [], "y": []}), "Table: the frame has columns but no rows; add rows of data"),
        (
            pd.DataFrame([[1, 2, 3]], columns=["x", "y", "x"]),
            "DataFrame: columns 1 and 3 are both named 'x'; rename one of them",
        ),
        (pd.DataFrame({"": [1], "y": [2]}), "DataFrame: column 1 of 2 has no name; "),
        (pd.DataFrame({"y": [1]}), "DataFrame: column 'y': this is the only column; add columns to predict it from"),
        (pd.DataFrame({"x": [1], "z": [1]}), "DataFrame: there is no target 'y'. The columns are: 'x', 'z'"),
        (
            pd.DataFrame({"x": [1, np.inf], "y": [1, 2]}),
            "DataFrame, row 1: column 'x': found 'inf', which is not finite",
        ),
        (
            pl.DataFrame({"x": [[1], [2]], "y": [1, 2]}),
            "DataFrame: column 'x': values of the type List(Int64) cannot be written as texts; convert them to numbers",
        ),
        (
            pl.DataFrame({"x": [1.0, np.inf], "y": [1, 2]}),
            "DataFrame, row 1: column 'x': found 'inf', which is not finite",
        ),
        (pa.table({"x": [1, np.inf], "y": [1, 2]}), "Table, row 1: column 'x': found 'inf', which is not finite"),
        (
            pl.DataFrame({"x": [datetime.timedelta(1), None], "y": [1, 2]}),
            "DataFrame: column 'x': values of the type Duration(time_unit='us') cannot be written as texts; convert",
        ),
        (pd.DataFrame({"x": [1, 2], "y": [1, None]}), "DataFrame, row 1: column 'y': the target is missing (found '')"),
    ],
)
def test_a_frame_that_cannot_be_used_is_refused(frame: Any, message: str) -> None:
    with pytest.raises(TableError) as error:
        prepare(frame, "y")
    assert str(error.value).startswith(message)


def test_numbers_as_strings_are_names_of_columns_in_a_frame() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=["5", "7", "6"])
    assert [column.name for column in prepare(frame, "6").schema.columns] == ["5", "7"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pl.DataFrame({"x": [1]}).lazy(), "got LazyFrame; give frame.collect()"),
        (pd.Series([1]), "got Series; give series.to_frame()"),
        (pl.Series([1]), "got Series; give series.to_frame()"),
        (np.ones((2, 2)), "got ndarray"),
        ({"x": [1]}, "got dict"),
        (None, "got NoneType"),
    ],
)
def test_what_is_neither_a_file_nor_a_frame_is_refused(data: Any, message: str) -> None:
    with pytest.raises(TypeError) as error:
        prepare(data, "y")
    expected = "data must be the path of a CSV file, a DataFrame of pandas or polars, or an Arrow table, "
    assert str(error.value) == expected + message


def test_a_separator_of_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="separator is for files, but data is a frame, got ';'"):
        prepare(PANDAS, "label", separator=";")


def test_a_file_of_a_trained_frame_whose_names_are_counted_up_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 4)), columns=list("0123"))
    model = TabularModel.for_table(prepare(frame, "3"), ())
    assert model.predict(write(frame, tmp_path / "a.csv")).tobytes() == model.predict(frame).tobytes()


def test_the_target_of_a_frame_keeps_its_spelling() -> None:
    for frame, classes in ((PANDAS, ("False", "True")), (POLARS, ("false", "true"))):
        target = prepare(frame, "bool", skip_missing_target=True).schema.target
        assert target == ClassTarget("bool", classes, "truth")
    assert isinstance(prepare(PANDAS, "float").schema.target, NumberTarget)
