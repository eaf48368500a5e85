"""Parsing texts as numbers, missing values and categories; recognising dates and numbers in other notations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastmlp.tables.values import (
    MISSING,
    CategoryCodes,
    has_comma,
    has_symbol,
    is_date,
    parse_number,
    parse_numbers,
)

MISSING_TEXTS = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "None", "?", "-"]


def test_the_missing_texts_are_those_documented() -> None:
    assert set(MISSING_TEXTS) == MISSING


@pytest.mark.parametrize("text", [*MISSING_TEXTS, " ", " NA "])
def test_missing_texts_are_nan(text: str) -> None:
    assert math.isnan(parse_number(text) or 0.0)
    found = parse_numbers(["1", text, "2"])
    assert found is not None
    np.testing.assert_array_equal(found, [1, np.nan, 2])


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), (" -2.5 ", -2.5), ("+1e-3", 0.001), (".5", 0.5), ("1e400", math.inf), ("inf", math.inf)],
)
def test_numbers_are_read_with_blanks_around_them(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["abc", "1,5", "1_000", "0x10", "1 2", "12a", "--1", "n.a."])
def test_a_text_that_is_not_a_number_gives_none(text: str) -> None:
    assert parse_number(text) is None
    assert parse_numbers(["1", text]) is None


def test_a_block_with_an_infinite_number_gives_none() -> None:
    assert parse_numbers(["1", "inf"]) is None
    assert parse_numbers(["1", "-1e999"]) is None


def test_with_a_decimal_comma_a_point_is_not_one() -> None:
    assert parse_number("1,5", ",") == 1.5
    assert parse_number("1.5", ",") is None
    found = parse_numbers(["1,5", "", "-2"], ",")
    assert found is not None
    np.testing.assert_array_equal(found, [1.5, np.nan, -2])


@pytest.mark.parametrize(
    "text",
    [
        *("2024-05-31", "2024/5/31", "31.5.2024", "31.05.24", "5/31/2024", "31-05-2024", " 2024-05-31 "),
        *("2024-05-31T10:15:00Z", "2024-05-31 10:15", "2024-05-31T10:15:00.123+02:00", "31.5.24 10:15", "10:15"),
        *("5/31/2024 10:15 PM", "10:15:30", "2024-05-31 10:15:00 UTC"),
    ],
)
def test_dates_and_times_are_recognised(text: str) -> None:
    assert is_date(text)


@pytest.mark.parametrize("text", ["2024", "20240531", "1.5", "12-3", "1.5.2", "2024-05/31", "v1.2.3", "10:1", "May 31"])
def test_other_texts_are_not_dates(text: str) -> None:
    assert not is_date(text)


@pytest.mark.parametrize("text", ["1,5", "-0,25", "1.234,56", "1,234.56", "1,234,567", "1,5e3"])
def test_commas_in_numbers_are_recognised(text: str) -> None:
    assert has_comma(text)


@pytest.mark.parametrize("text", ["1.5", "a,b", "1,2,3", ",", "1,", "5"])
def test_other_texts_are_not_numbers_with_commas(text: str) -> None:
    assert not has_comma(text)


def test_categories_are_counted_without_the_blanks_around_them() -> None:
    categories = CategoryCodes()
    assert categories.codes(["b", "", " b ", "a", "NA"]).tolist() == [1, 0, 1, 2, 0]
    assert categories.codes(["a", "c"]).tolist() == [2, 3]
    assert list(categories.names) == ["b", "a", "c"]


@pytest.mark.parametrize("text", ["12.5%", "$1,200.00", "(300)", "€ 5", "-3 ‰"])
def test_numbers_with_a_symbol_are_recognised(text: str) -> None:
    assert has_symbol(text)


@pytest.mark.parametrize("text", ["12.5", "a%", "$", "100 USD"])
def test_other_texts_are_not_numbers_with_a_symbol(text: str) -> None:
    assert not has_symbol(text)
