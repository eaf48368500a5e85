"""Relations of models of tables: the order of columns and rows, additional columns, and the names of categories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import assert_same_bits
from hypothesis import given
from hypothesis import strategies as st
from table_files import write

from fastmlp.tables import TabularModel, prepare

Table = dict[str, list[str]]

TEXTS = ("blue", "green", "red", "", "yellow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@st.composite
def tables(draw: Any) -> tuple[Table, str]:
    """Draw the columns of a table with numbers, texts and missing values, and the name of the target."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, table = draw(st.integers(30, 45)), {}
    for name in draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True)):
        kind = draw(st.sampled_from(("numbers", "missing", "texts", "whole")))
        numbers = [f"{number:.3f}" for number in rng.normal(size=rows)]
        table[name] = {
            "numbers": numbers,
            "missing": ["NA" if rng.uniform() < 0.1 else number for number in numbers],
            "texts": [TEXTS[i] for i in rng.integers(0, len(TEXTS), rows)],
            "whole": [str(i) for i in rng.integers(-3, 9, rows)],
        }[kind]
    classes = draw(st.booleans())
    table["y"] = (
        [("no", "yes")[i] for i in np.arange(rows) % 2] if classes else [f"{n:.2f}" for n in rng.normal(size=rows)]
    )
    return table, draw(st.sampled_from(",;\t"))


def text_of(table: Table, separator: str = ",") -> str:
    """Return a table as the text of a file."""
    rows = zip(*table.values(), strict=True)
    return "".join(separator.join(row) + "\n" for row in [tuple(table), *rows])


def trained(path: str) -> TabularModel:
    table = prepare(path, "y", verbose=False)
    model = TabularModel.for_table(table, (5,), seed=1)
    model.fit(table, epochs=2, verbose=False)
    return model


def outputs(model: TabularModel, path: str) -> Any:
    return np.concatenate(list(model.predictions(path, verbose=False)))


def renamed(table: Table) -> Table:
    """Return a table whose texts have other names, in the same order. The separators of files do not occur in them."""
    return {
        name: [f"col_{text}!" if text in TEXTS and text else text for text in column] if name != "y" else column
        for name, column in table.items()
    }


@given(drawn=tables(), random=st.randoms(use_true_random=False))
def test_orders_and_names_in_a_file_change_nothing(drawn: tuple[Table, str], random: Any, folder: Path) -> None:
    """To the bit: a file to predict may have its columns in any order, more of them, its rows in any order, no target.

    A model of the same table with categories renamed in the same order learns the same, and so does a saved model.
    """
    table, separator = drawn
    path = write(folder / "table.csv", text_of(table, separator))
    model = trained(path)
    expected = outputs(model, path)

    order = random.sample(range(len(expected)), len(expected))
    names = random.sample([name for name in table if name != "y"], len(table) - 1)
    moved = {"more": ["1.5"] * len(expected), **{name: table[name] for name in names}}
    moved = {name: [column[i] for i in order] for name, column in moved.items()}
    other = write(folder / "other.csv", text_of(moved, random.choice(",;\t|")))
    assert_same_bits(outputs(model, other), expected[order])

    model.save(folder / "model.safetensors")
    assert_same_bits(outputs(TabularModel.load(folder / "model.safetensors"), other), expected[order])

    again = write(folder / "renamed.csv", text_of(renamed(table), separator))
    assert_same_bits(outputs(trained(again), again), expected)
