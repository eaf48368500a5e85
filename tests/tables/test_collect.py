"""Reading all columns of a training file: columns that do not exist, ignored ones, and files that change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from table_files import flats, one_column, write

from fastmlp.tables import Reader, TableError, TrainingTable, prepare


def table(path: str, target: str = "y", **options: Any) -> TrainingTable:
    return prepare(path, target, verbose=False, **options)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("prise", {}, "there is no target 'prise'; did you mean 'price'? The columns are: 'rooms', 'area', "),
        ("SOLD", {}, "there is no target 'SOLD'; did you mean 'sold'?"),
        ("zzz", {}, "there is no target 'zzz'. The columns are: 'rooms'"),
        ("sold", {"ignore": ["aera"]}, "there is no column 'aera'; did you mean 'area'?"),
        ("sold", {"categorical": ["floor"]}, "there is no column 'floor'"),
        (
            "sold",
            {"ignore": ["sold"]},
            "column 'sold': the target cannot be ignored; choose another target with target=..., or do not ignore it",
        ),
        (
            "sold",
            {"ignore": ["rooms", "area", "district", "garden", "price"]},
            "column 'sold': all columns besides the target are ignored; keep at least one to predict it from",
        ),
    ],
)
def test_a_column_that_does_not_exist_is_named(tmp_path: Path, target: str, options: Any, message: str) -> None:
    path = flats(tmp_path / "a.csv")
    with pytest.raises(TableError) as error:
        table(path, target, **options)
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "a",
            "column 'a': this is the only column (separator: comma); add columns to predict it from, or give another",
        ),
        (
            "b",
            "there is no target 'b'. The only column is 'a'; if the columns are separated by another character, give",
        ),
    ],
)
def test_a_file_of_one_column_says_so(tmp_path: Path, target: str, message: str) -> None:
    path = write(tmp_path / "a.csv", "a\n1\n2\n")
    with pytest.raises(TableError) as error:
        table(path, target)
    assert str(error.value).startswith(f"{path}: {message}")
    assert str(error.value).endswith("with separator=...")


def test_a_file_that_grows_between_two_readings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = one_column("x", [*range(500)] * 5 + ["abc", "def"] * 400, tmp_path)
    read = Reader.blocks

    def read_and_grow(self: Reader) -> Any:
        yield from read(self)
        with open(path, "a") as file:
            file.write("7,1\n")

    monkeypatch.setattr(Reader, "blocks", read_and_grow)
    with pytest.raises(TableError, match=r"csv: the file changed while it was read; try again when no other"):
        table(path)
