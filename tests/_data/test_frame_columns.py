"""Data frames: their numbers as an array, whatever the library, and what the errors say of single columns."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from behaviour import small_network

from fastmlp._data.frames import column_names, frame_array, is_frame, series_array
from fastmlp._data.inputs import check_input_shape, check_inputs
from fastmlp._runtime import memory

ARCHITECTURE = small_network().architecture
MAKERS: dict[str, Any] = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "Arrow": pa.table}
DAY = datetime.datetime(2020, 1, 2)
UTC = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)


@pytest.mark.parametrize("library", MAKERS)
@pytest.mark.parametrize(
    "columns",
    [
        {"a": [1.5, -2.0], "b": [3.0, 4.0]},
        {"a": [1.5, -2.0], "b": [3, 4]},
        {"a": [1.5, -2.0], "b": [True, False]},
        {"a": [1, -2], "b": [True, False]},
        {"b": [True, False]},
    ],
    ids=lambda columns: " ".join(str(values[0]) for values in columns.values()),
)
def test_columns_of_numbers_become_an_array(columns: Any, library: str) -> None:
    frame = MAKERS[library](columns)
    assert is_frame(frame)
    assert column_names(frame, "X") == tuple(columns)
    array = frame_array(frame, "X")
    assert array.dtype.kind in "fib"
    assert array.tolist() == np.column_stack(list(columns.values())).tolist()


def test_other_dtypes_of_numbers_become_an_array() -> None:
    columns = {
        "Int64": pd.array([1, 2], dtype="Int64"),
        "Float64": pd.array([0.5, 2], dtype="Float64"),
        "boolean": pd.array([True, False], dtype="boolean"),
        "arrow": pd.array([7, 8], dtype="int64[pyarrow]"),
        "categories": pd.Categorical([30, 20]),
        "sparse": pd.arrays.SparseArray([0.0, 1.0]),
        "object": np.array([1, 2.5], object),
    }
    expected = [[1, 0.5, 1, 7, 30, 0, 1], [2, 2, 0, 8, 20, 1, 2.5]]
    assert frame_array(pd.DataFrame(columns), "X").tolist() == expected
    decimals = pl.DataFrame({"a": [1, 2]}).cast(pl.Decimal(10, 2))
    assert frame_array(decimals, "X").tolist() == frame_array(decimals.to_arrow(), "X").tolist() == [[1], [2]]


def test_the_numbers_of_a_frame_are_read_in_place() -> None:
    values = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    frame = pd.DataFrame(values, columns=list("abc"), copy=False)
    assert np.shares_memory(check_inputs(frame, ARCHITECTURE), values)


def test_an_array_of_more_memory_than_there_is_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"a": [1.5, 2.0] * 10, "b": [True, False] * 10})  # which NumPy makes an array of objects
    assert frame_array(frame, "X").dtype == np.float64
    monkeypatch.setattr(memory, "CHECKED_FROM", 0)
    monkeypatch.setattr(memory, "available", lambda: (319, "the machine"))
    with pytest.raises(MemoryError, match="X, whose columns become float64, takes"):
        frame_array(frame, "X")
    monkeypatch.setattr(memory, "available", lambda: (320, "the machine"))
    frame_array(frame, "X")


# Columns that hold no numbers -----------------------------------------------------------------------------------------

BAD: dict[str, tuple[list[Any], str]] = {
    "texts": (["red", "1.5"], r"got 'red'; astype\(float\) turns .* \(pandas.get_dummies, or"),
    "times": ([DAY, DAY], r"got .*; convert it to numbers, .*\(X\['t'\] - datetime\(2000, 1, 1\)\)\.dt\.total_seconds"),
    "times in a zone": ([UTC, UTC], r"got .*; convert it to UTC and to numbers, .*tzinfo=timezone.utc\)\)\.dt\.total"),
    "spans": ([DAY - DAY] * 2, r"got .*; X\['t'\]\.dt\.total_seconds\(\) gives its seconds"),
}


@pytest.mark.parametrize("library", MAKERS)
@pytest.mark.parametrize("kind", BAD)
def test_a_column_without_numbers_is_named_with_what_to_do(kind: str, library: str) -> None:
    values, message = BAD[kind]
    frame = MAKERS[library]({"a": [1.0, 2.0], "t": values})
    with pytest.raises(TypeError, match=rf"^column 't' of X must hold real numbers, {message}"):
        frame_array(frame, "X")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.Categorical(["a", "b"]), r"got category; make a column of 0 and 1 for each category \(pandas.get_dummies"),
        (pd.period_range("2020", periods=2, freq="D"), r"got period\[D\]; convert it to numbers, such as the days"),
        (np.array([1j, 2]), "got complex128; numpy.real gives its real part"),
        (pd.interval_range(0, 2), r"got Interval\(0, 1, closed='right'\)$"),
    ],
)
def test_the_other_dtypes_of_pandas_are_named_with_what_to_do(column: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^column 'c' of X must hold real numbers, {message}"):
        frame_array(pd.DataFrame({"a": [1.0, 2.0], "c": column}), "X")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"c": pl.Series(["a", "b"], dtype=pl.Categorical)}), "got Categorical; make a column of 0 and 1"),
        (pl.DataFrame({"c": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"]))}), r"got Enum\(.*; make a column of 0"),
        (pa.table({"c": pa.array(["a", "b"]).dictionary_encode()}), "got dictionary<.*; make a column of 0 and 1 for"),
        (pl.DataFrame({"c": [DAY.date()] * 2}), "got Date; convert it to numbers, such as the days since a date$"),
        (pa.table({"c": [DAY.date()] * 2}), "got date32.*; convert it to numbers, such as the days since a date$"),
        (pl.DataFrame({"c": [[1], [2]]}), r"got .*\[1\].*$"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_the_other_dtypes_of_polars_and_arrow_are_named_with_what_to_do(frame: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^column 'c' of X must hold real numbers, {message}"):
        frame_array(frame, "X")


def test_what_the_hints_say_works() -> None:
    frame = pd.DataFrame({"t": [DAY, DAY], "z": [UTC, UTC], "d": [DAY - DAY] * 2})
    naive = (frame["t"] - datetime.datetime(2000, 1, 1)).dt.total_seconds() / 86400
    zoned = (frame["z"] - datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)).dt.total_seconds() / 86400
    assert naive.tolist() == zoned.tolist() == [7306, 7306]
    assert frame["d"].dt.total_seconds().tolist() == [0, 0]
    in_polars = pl.from_pandas(frame)
    assert ((in_polars["t"] - datetime.datetime(2000, 1, 1)).dt.total_seconds() / 86400).to_list() == [7306, 7306]


# Missing values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1.0, 2, 3], "b": [1.0, 2, 3], "c": [1.0, np.nan, 3]}),
        pd.DataFrame({"a": [1.0, 2, 3], "b": [1, 2, 3], "c": pd.array([1, None, 3], dtype="Int64")}),
        pd.DataFrame({"a": [1.0, 2, 3], "b": [1, 2, 3], "c": pd.array([1, None, 3], dtype="Float64")}),
        pd.DataFrame({"a": [1.0, 2, 3], "b": [1, 2, 3], "c": pd.array([1, None, 3], dtype="int64[pyarrow]")}),
        pl.DataFrame({"a": [1.0, 2, 3], "b": [1, 2, 3], "c": [1, None, 3]}),
        pa.table({"a": [1.0, 2, 3], "b": [1, 2, 3], "c": [1, None, 3]}),
        pd.DataFrame({"a": [1.0, 2, 3], "b": [1, 2, 3], "c": pd.array([True, None, True], dtype="boolean")}),
        pl.DataFrame({"a": [1.0, 2, 3], "b": [1, 2, 3], "c": [True, None, True]}),
        pa.table({"a": [1.0, 2, 3], "b": [1, 2, 3], "c": [True, None, True]}),
        pd.DataFrame({"a": [1.0, 2, 3], "b": [1, 2, 3], "c": np.array([1, None, 3], object)}),
    ],
)
@pytest.mark.parametrize("check", [check_inputs, check_input_shape])
def test_a_missing_value_is_named_by_column_and_row(check: Any, frame: Any) -> None:
    with pytest.raises(ValueError, match=r"^(X|column 'c' of X) must .*row 1, counted from 0.*leave such rows out, or"):
        check(frame, ARCHITECTURE)
    with pytest.raises(ValueError, match="column 'c'"):
        check(frame, ARCHITECTURE)


def test_arrow_s_dictionaries_with_missing_values_keep_them() -> None:
    chunked = pa.chunked_array([pa.array(["a", None]).dictionary_encode()])
    assert np.asarray(chunked).tolist() == ["a", "a"]  # why series_array does not use it
    assert series_array(chunked).tolist() == ["a", None]


# Names ----------------------------------------------------------------------------------------------------------------


def test_names_that_are_no_strings_are_none() -> None:
    values = np.zeros((2, 2))
    assert column_names(pd.DataFrame(values), "X") is None
    assert column_names(pd.DataFrame(values, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])), "X") is None
    with pytest.raises(TypeError, match=r"all strings, or all something else, but has the name 1 too; X.columns = X"):
        column_names(pd.DataFrame(values, columns=["a", 1]), "X")


@pytest.mark.parametrize(
    "given", [np.zeros((2, 2)), [[1.0]], pd.Series([1.0]), pl.Series([1.0]), pa.array([1.0]), None]
)
def test_other_arguments_are_no_frames(given: Any) -> None:
    assert not is_frame(given)


def test_a_lazy_frame_is_to_be_collected() -> None:
    with pytest.raises(TypeError, match=r"got objects such as <LazyFrame at .*>; its collect\(\) gives the frame"):
        check_inputs(pl.LazyFrame({"a": [1.0]}), ARCHITECTURE)
