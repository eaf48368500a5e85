"""A schema is restored from JSON, and a stored schema that is broken in any way is refused."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest

from fastmlp.tables.schema import CategoryColumn, ClassTarget, NumberColumn, NumberTarget, Schema, from_dict

COLUMNS = (NumberColumn("age", 40.0, 41.5, 12.0), CategoryColumn("city", ("Bonn", "Köln"), True))
CLASSES = Schema(COLUMNS, ClassTarget("bought", ("no", "yes"), "text"))
NUMBERS = Schema(COLUMNS, NumberTarget("price", 10.0, 2.5), ",")


@pytest.mark.parametrize("schema", [CLASSES, NUMBERS])
def test_a_schema_is_restored_from_json(schema: Schema) -> None:
    assert from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_a_column_of_numbers_has_one_input_and_one_of_texts_an_input_for_each_category_and_for_missing() -> None:
    assert [column.width for column in COLUMNS] == [1, 3]
    assert (CLASSES.width, CLASSES.target.outputs, NUMBERS.target.outputs) == (4, 2, 1)


def changed(schema: Schema, place: tuple[Any, ...], value: Any) -> Any:
    stored: Any = copy.deepcopy(schema.to_dict())
    part = stored
    for key in place[:-1]:
        part = part[key]
    if value is KeyError:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return stored


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 1),
        (("version",), 3),
        (("version",), True),
        (("version",), KeyError),
        (("more",), 1),
        (("decimal",), ";"),
        (("decimal",), None),
        (("columns",), []),
        (("columns",), {}),
        (("columns",), "age"),
        (("columns", 0), None),
        (("columns", 0, "kind"), "classes"),
        (("columns", 0, "kind"), ["number"]),
        (("columns", 0, "name"), ""),
        (("columns", 0, "name"), " age"),
        (("columns", 0, "name"), 7),
        (("columns", 0, "name"), "city"),
        (("columns", 0, "name"), "bought"),
        (("columns", 0, "median"), "40"),
        (("columns", 0, "median"), math.nan),
        (("columns", 0, "median"), 1e300),
        (("columns", 0, "mean"), math.inf),
        (("columns", 0, "mean"), 10**400),
        (("columns", 0, "mean"), True),
        (("columns", 0, "deviation"), 0.0),
        (("columns", 0, "deviation"), -1.0),
        (("columns", 0, "deviation"), KeyError),
        (("columns", 0, "truth"), 1),
        (("columns", 0, "truth"), KeyError),
        (("columns", 1, "categories"), "Bonn"),
        (("columns", 1, "categories"), ["Bonn", "Bonn"]),
        (("columns", 1, "categories"), ["Bonn", 1]),
        (("columns", 1, "categories"), ["Bonn", ["Köln"]]),
        (("columns", 1, "categories"), ["Bonn", "NA"]),
        (("columns", 1, "categories"), ["Bonn", "\ud800"]),
        (("columns", 1, "name"), "\udfff"),
        (("target", "classes"), ["yes", "\ud8ff"]),
        (("columns", 1, "categories"), ["Bonn", " Köln"]),
        (("columns", 1, "missing"), 1),
        (("target",), None),
        (("target", "kind"), "number"),
        (("target", "name"), "age"),
        (("target", "classes"), []),
        (("target", "classes"), ["yes", "yes"]),
        (("target", "match"), "exact"),
        (("target", "match"), None),
        (("target", "match"), KeyError),
        (("target", "match"), "number"),
        (("columns", 1, "match"), "number"),
        (("columns", 1, "match"), ["text"]),
    ],
)
def test_a_broken_schema_is_refused(place: tuple[Any, ...], value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_dict(changed(CLASSES, place, value))


def test_categories_that_leave_no_input_are_refused() -> None:
    with pytest.raises(ValueError, match="column 'city' has no categories"):
        CategoryColumn("city", (), False)


@pytest.mark.parametrize("stored", [None, [], "schema", 3, {}])
def test_a_value_that_is_not_a_schema_is_refused(stored: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_dict(stored)


@pytest.mark.parametrize(
    ("classes", "match"), [(("1", "1.0"), "value"), (("T", "true"), "truth"), (("1", "1.0"), "number")]
)
def test_classes_that_are_one_value_are_refused(classes: tuple[str, ...], match: Any) -> None:
    with pytest.raises(ValueError, match="classes must be different by"):
        Schema(COLUMNS, ClassTarget("y", classes, match))


def test_categories_that_are_one_value_are_refused() -> None:
    with pytest.raises(ValueError, match="categories of column 'x' must be different by value"):
        Schema((CategoryColumn("x", ("5", "5.0"), False, "value"),), NumberTarget("y", 0.0, 1.0))
