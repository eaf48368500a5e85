"""Which texts of a column are one value, in features and in targets, and what models of before make of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_files import write

from fastmlp.tables import Schema, TableError, TabularModel, TrainingTable, prepare
from fastmlp.tables.encode import Encoder
from fastmlp.tables.matching import CategoryIndex, find_match, key, merge
from fastmlp.tables.reader import Reader
from fastmlp.tables.schema import CategoryColumn, ClassTarget, NumberColumn, from_dict


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        ("a b", "text"),
        ("", "text"),
        ("1 2", "value"),
        ("1 a", "value"),
        ("1 1.0 2.00 -3", "value"),
        ("1.50 2.25 .5 5.", "value"),
        ("1e-05 1e+20 2E+07 0.30000000000000004", "value"),
        ("-0.0 0 2", "value"),
        ("inf 1 nano", "value"),
        ("01 1", "text"),
        ("001 002", "text"),
        ("00 1.5", "text"),
        ("-01 5", "text"),
        ("+5 3", "text"),
        ("1E5 7", "text"),
        ("1e5 red", "text"),
        ("1.1 1.10", "text"),
        ("1.1 1.1", "value"),
        ("9007199254740992 9007199254740993", "text"),
        ("9007199254740992 1", "text"),
        ("9007199254740991 1", "value"),
        ("\u0661 2", "text"),
        ("True False", "truth"),
        ("TRUE true T 1 0 0.0 f", "truth"),
        ("0 1", "truth"),
        ("T", "truth"),
        ("True maybe", "text"),
        ("True 2", "value"),
        ("01 True", "text"),
        ("yes no", "text"),
    ],
)
def test_the_texts_of_a_column_decide_how_they_are_compared(texts: str, match: str) -> None:
    assert find_match(texts.split(), ".") == match


def test_numbers_are_compared_in_the_notation_of_the_file() -> None:
    assert find_match(["1,50", "2"], ",") == "value"
    assert find_match(["1,1", "1,10"], ",") == "text"
    assert CategoryIndex(["1,5", "2"], "value", ",").indices(["1,50", "2,0", "1.5"]).tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    ("names", "match", "texts", "indices"),
    [
        (["1", "2", "red"], "value", ["1.0", " 2", "+1", "01", "red", "Red", "3", ""], [0, 1, 0, 0, 2, -1, -1, -1]),
        (["01", "1"], "text", ["01", "1", "1.0", "001"], [0, 1, -1, -1]),
        (
            ["False", "True"],
            "truth",
            ["TRUE", "t", "1", "1.0", "false", " F ", "0", "yes", "2"],
            [1] * 4 + [0] * 3 + [-1] * 2,
        ),
        (["0", "1"], "truth", ["True", "FALSE"], [1, 0]),
        (["0.5", "1"], "number", ["0.50", "01", "True", "x"], [0, 1, -1, -1]),
    ],
)
def test_a_text_belongs_to_the_category_of_its_value(
    names: list[str], match: Any, texts: list[str], indices: list[int]
) -> None:
    assert CategoryIndex(names, match).indices(texts).tolist() == indices


def test_an_unknown_category_has_no_index_and_takes_no_memory() -> None:
    known = CategoryIndex(["a", "b"], missing=2)
    size = len(known)
    assert known.indices(["b", " a", "c", "", " ", "None"]).tolist() == [1, 0, -1, 2, 2, 2]
    assert CategoryIndex(["a"]).indices([""]).tolist() == [-1]
    assert len(known) == size


CELLS = st.sampled_from(["1", "1.0", "01", "+1", "2", "2.50", "2.5", "True", "TRUE", "f", "0", "red", "Red", "1e5"])


@given(st.lists(CELLS, min_size=1), CELLS)
def test_each_text_of_a_training_has_one_category_and_equal_texts_the_same(texts: list[str], other: str) -> None:
    match = find_match(texts, ".")
    names = list(merge(texts, match, ".").values())
    index = CategoryIndex(names, match)
    found = index.indices(texts)
    assert set(found) == set(range(len(names)))
    assert {name: index[name] for name in names} == {name: place for place, name in enumerate(names)}
    same = [key(text, match, ".") == key(other, match, ".") for text in texts]
    assert (index[other] >= 0) == any(same)


def table(folder: Path, xs: Sequence[object], ys: Sequence[object], **options: Any) -> TrainingTable:
    rows = "".join(f"{xs[i % len(xs)]},{i % 9},{ys[i % len(ys)]}\n" for i in range(84))
    return prepare(write(folder / "a.csv", f"x,z,y\n{rows}"), "y", verbose=False, **options)


def encoded(schema: Schema, folder: Path, xs: Sequence[object]) -> Any:
    reader = Reader(write(folder / "new.csv", "x,z\n" + "".join(f"{x},0\n" for x in xs)), verbose=False)
    (block,) = reader.blocks()
    return Encoder(schema, reader, with_target=False).inputs(block)


@pytest.mark.parametrize(
    ("training", "categories", "later", "same"),
    [
        ([1, 2, 3], ("1", "2", "3"), ["1.0", "2.0", "3.0"], True),
        (["1.0", "2.0"], ("1.0", "2.0"), [1, 2], True),
        (["True", "False"], ("False", "True"), ["TRUE", "FALSE"], True),
        ([1, 0], ("0", "1"), ["true", "false"], True),
        (["true", "1", "FALSE"], ("FALSE", "true"), ["T", "T", "0"], True),
        (["a", "5"], ("5", "a"), ["a", "5.0"], True),
        (["01", "1"], ("01", "1"), ["01", "1.0"], False),
        (["+5", "5"], ("+5", "5"), ["+5", "5"], True),
    ],
)
def test_a_category_is_the_same_in_every_spelling_of_its_value(
    tmp_path: Path, training: list[object], categories: tuple[str, ...], later: list[object], same: bool
) -> None:
    schema = table(tmp_path, training, ["a", "b"], categorical=["x"], validation=0).schema
    assert isinstance(schema.columns[0], CategoryColumn)
    assert schema.columns[0].categories == categories
    first, second = encoded(schema, tmp_path, training), encoded(schema, tmp_path, later)
    assert (first.tobytes() == second.tobytes()) == same


def test_a_column_of_the_numbers_0_and_1_reads_words_of_truth(tmp_path: Path) -> None:
    schema = table(tmp_path, [0, 1, 1, ""], ["a", "b"], validation=0, test=0).schema
    assert isinstance(schema.columns[0], NumberColumn)
    assert schema.columns[0].truth
    first = encoded(schema, tmp_path, [0, 1, "", 1.0])
    assert encoded(schema, tmp_path, ["False", "true", "NA", " T"]).tobytes() == first.tobytes()
    with pytest.raises(TableError, match=r"new\.csv:3: column 'x': found 'yes', but the model expects numbers in this"):
        encoded(schema, tmp_path, ["True", "yes"])
    other = table(tmp_path, [0, 1, 2], ["a", "b"]).schema
    with pytest.raises(TableError, match="found 'True', but the model expects numbers"):
        encoded(other, tmp_path, ["True"])
    assert from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_training_on_another_spelling_gives_the_same_bits(tmp_path: Path) -> None:
    first = table(tmp_path, ["True", "False", ""], [0, 1])
    second = table(tmp_path, ["t", "FALSE", "NA"], ["false", "TRUE"])
    assert first.X.tobytes() == second.X.tobytes()
    assert first.y.tobytes() == second.y.tobytes()


def test_the_training_rows_alone_decide_how_a_feature_is_compared(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i % 3 + 1},{i % 2}\n" for i in range(60)))
    order = [i for i in range(60) if i not in _training_rows(path)]
    rows = [f"{i % 3 + 1},{i % 2}\n" for i in range(60)]
    rows[order[0]] = f"01,{order[0] % 2}\n"
    found = prepare(write(tmp_path / "a.csv", "x,y\n" + "".join(rows)), "y", categorical=["x"], test=0.0, verbose=False)
    assert found.schema.columns == (CategoryColumn("x", ("1", "2", "3"), False, "value"),)
    assert found.X_validation.sum() == len(order)


def _training_rows(path: str) -> set[int]:
    from fastmlp.tables.splitting import split

    return set(split(np.arange(60) % 2, 0.2, 0.0, 0, by_class=True).training.tolist())


def test_a_column_of_numbers_stays_one_whatever_its_spellings(tmp_path: Path) -> None:
    schema = table(tmp_path, ["01", "+5", "1.50"], ["a", "b"]).schema
    assert isinstance(schema.columns[0], NumberColumn)


@pytest.mark.parametrize(
    ("labels", "target"),
    [
        (["001", "002"], ClassTarget("y", ("001", "002"), "text")),
        (["01", "1"], ClassTarget("y", ("01", "1"), "text")),
        (["10", "9", "09"], ClassTarget("y", ("09", "9", "10"), "text")),
        (["+5", "7"], ClassTarget("y", ("+5", "7"), "text")),
        (["1.0", "2.0"], ClassTarget("y", ("1.0", "2.0"), "value")),
        ([2**53, 2**53 + 1], ClassTarget("y", (str(2**53), str(2**53 + 1)), "text")),
        (["TRUE", "false"], ClassTarget("y", ("false", "TRUE"), "truth")),
        (["1", "0"], ClassTarget("y", ("0", "1"), "truth")),
        (["b", "3", "a"], ClassTarget("y", ("3", "a", "b"), "value")),
    ],
)
def test_labels_come_back_as_they_stood(tmp_path: Path, labels: list[object], target: ClassTarget) -> None:
    found = table(tmp_path, [1, 2, 4], labels)
    assert found.schema.target == target
    model = TabularModel.for_table(found, ())
    model.save(tmp_path / "model")
    model = TabularModel.load(tmp_path / "model")
    assert model.schema == found.schema
    names = {model.named(np.eye(len(labels))[[i]])[0] for i in range(len(labels))}
    assert names == set(map(str, labels))
    assert model.evaluate(found.path, verbose=False)["rows"] == 84


@pytest.mark.parametrize(("labels", "later"), [(["0", "1"], ["False", "TRUE"]), (["1", "2"], ["1.0", "02"])])
def test_evaluating_takes_another_spelling_of_a_class(tmp_path: Path, labels: list[str], later: list[str]) -> None:
    found = table(tmp_path, [1, 2, 4], labels)
    model = TabularModel.for_table(found, ())
    first = model.evaluate(found.path, verbose=False)
    assert model.evaluate(table(tmp_path, [1, 2, 4], later).path, verbose=False) == first


def test_evaluating_refuses_a_label_that_is_another_code(tmp_path: Path) -> None:
    found = table(tmp_path, [1, 2, 4], ["01", "1"])
    model = TabularModel.for_table(found, ())
    table(tmp_path, [1, 2, 4], ["01", "1.0"])
    with pytest.raises(
        TableError, match=r"a\.csv:3: column 'y': found '1\.0', but the target must be one of the model's"
    ):
        model.evaluate(found.path, verbose=False)


VERSION_1: dict[str, Any] = {
    "version": 1,
    "columns": [{"kind": "category", "name": "x", "categories": ["1", "True"], "missing": True}],
    "target": {"kind": "classes", "name": "y", "classes": ["0.5", "1"], "numeric": True},
    "decimal": ",",
}


def test_a_schema_of_version_1_keeps_its_rule() -> None:
    schema = from_dict(VERSION_1)
    assert schema.columns == (CategoryColumn("x", ("1", "True"), True, "text"),)
    assert schema.target == ClassTarget("y", ("0.5", "1"), "number")
    assert isinstance(schema.target, ClassTarget)
    index = CategoryIndex(schema.target.classes, schema.target.match, schema.decimal)
    assert index.indices(["0,5", "1,00", "01", "0.5"]).tolist() == [0, 1, 1, -1]
    assert from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    words = from_dict(
        {**VERSION_1, "target": {"kind": "classes", "name": "y", "classes": ["0", "1"], "numeric": False}}
    )
    assert words.target == ClassTarget("y", ("0", "1"), "text")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("target", "numeric"), "no"),
        (("target", "match"), "text"),
        (("target", "classes"), ["1"]),
        (("target", "classes"), ["1", "1.0"]),
        (("target", "classes"), ["1", "one"]),
        (("columns", 0, "match"), "text"),
        (("columns", 0, "missing"), 1),
        (("columns", 0), None),
        (("columns", 0), {"kind": "number", "name": "x", "median": 0, "mean": 0, "deviation": 1, "truth": False}),
    ],
)
def test_a_broken_schema_of_version_1_is_refused(place: tuple[Any, ...], value: Any) -> None:
    stored = json.loads(json.dumps(VERSION_1))
    part = stored
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    with pytest.raises((ValueError, TypeError)):
        from_dict(stored)
