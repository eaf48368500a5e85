"""A message names an option as its reader gives it: an argument in Python, an option on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastmlp._runtime.option_names import on_command_line, option
from fastmlp.cli import main
from fastmlp.tables import TableError, prepare


@pytest.mark.parametrize(
    ("name", "value", "in_python", "on_the_command_line"),
    [
        ("target", None, "target=...", "--target"),
        ("ignore", ["it's"], """ignore=["it's"]""", """--ignore 'it'"'"'s'"""),
        ("decimal", ",", "decimal=','", "--decimal ','"),
        ("skip_missing_target", True, "skip_missing_target=True", "--skip-missing-target"),
    ],
)
def test_an_option_has_two_names(name: str, value: Any, in_python: str, on_the_command_line: str) -> None:
    with on_command_line():
        assert option(name, value) == on_the_command_line
    assert option(name, value) == in_python


def test_advice_on_a_table_is_in_the_words_of_the_caller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "people.csv"
    path.write_text("born on,y\n" + "".join(f"2001-01-{day:02},{day}\n" for day in range(1, 29)))
    assert main(["train", str(path), "--target", "y", "--quiet"]) == 1
    assert "leave the column out with --ignore 'born on'" in capsys.readouterr().err
    with pytest.raises(TableError, match=r"leave the column out with ignore=\['born on'\]"):
        prepare(path, "y", verbose=False)
