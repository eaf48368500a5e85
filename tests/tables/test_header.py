"""A header that looks like a row of data is told; names that are years or counted up are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from table_files import write

from fastmlp.tables import TableError, TableWarning, TabularModel, prepare
from fastmlp.tables.header import data_like


@pytest.mark.parametrize(
    ("names", "like"),
    [
        ("a,b", False),
        ("5.1,3.5,1.4,0.2,setosa", True),
        ("5,3,1,0,setosa", True),
        ("5,setosa", True),
        ("-1,a", True),
        ("a,1e5", True),
        ("a,007", True),
        ("a,1", False),
        ("0,1,2,3,y", False),
        ("1,2,3,y", False),
        ("id,2019,2020,2022", False),
        ("2020,2019,y", True),
        ("2,3,y", True),
        ("0,1,2", True),
        ("x1,x2", False),
        ("a,", False),
        ("nan,inf", True),
    ],
)
def test_numbers_among_the_names_look_like_data(names: str, like: bool) -> None:
    assert (data_like(names.split(",")) is not None) == like


def test_numbers_with_a_decimal_comma_look_like_data() -> None:
    assert data_like(["5,1", "setosa"]) is not None
    assert data_like(["a,b", "c"]) is None


ROWS = "".join(f"{i % 10 / 10 + 5},{i % 3},{'ab'[i % 2]}\n" for i in range(60))


def test_training_on_a_file_whose_header_looks_like_data_warns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "5.1,2,a\n" + ROWS)
    with pytest.warns(TableWarning) as found:
        prepare(path, "a", verbose=False)
    assert [str(warning.message) for warning in found] == [
        f"{path}:1: the header looks like a row of data: it has the names '5.1', '2'; if the first line is data, add a "
        "line with the names before it"
    ]


def test_a_header_of_the_numbers_from_0_warns_and_other_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.warns(
        TableWarning, match="looks like a row of data: it has the names '0', '1', '2'; if the first line"
    ):
        prepare(write(tmp_path / "a.csv", "0,1,2\n" + ROWS), "2", verbose=False)
    with pytest.raises(TableError, match="found numbers instead of column names: '0', '1', '3'; add a first line with"):
        prepare(write(tmp_path / "a.csv", "0,1,3\n" + ROWS), "3", verbose=False)


def test_a_file_to_predict_without_a_header_is_told(tmp_path: Path) -> None:
    model = TabularModel.for_table(prepare(write(tmp_path / "a.csv", "x,z,y\n" + ROWS), "y", verbose=False), ())
    with pytest.raises(
        TableError, match=r"there are no columns 'x', 'z', which the model needs \(the header looks like a row"
    ):
        model.predict(write(tmp_path / "b.csv", ROWS))
