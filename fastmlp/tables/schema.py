"""`Schema`: what a network must know about the table it learned from.

It holds columns, categories, medians, means, deviations and class names. It is stored in the model file as JSON. A
stored schema is checked completely when it is loaded, because the file may come from anywhere.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any

from fastmlp._runtime.checks import number, whole_number
from fastmlp.tables.matching import MATCHES, Match, finite_number, merge
from fastmlp.tables.values import MISSING

VERSION = 2
"""The version that `Schema.to_dict` writes. In version 1, categories are compared by text, and classes by value if all
of them were numbers, else by text."""

MAX_STANDARDISED = 1e30
"""The largest standardised number that is accepted: float32 ends at 3e38, and a layer multiplies and adds."""


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers.

    It has one input, `(x - mean) / deviation`. A missing number is replaced by the median.

    Parameters
    ----------
    name : str
        Name of the column.
    median, mean, deviation : float
        Median, mean and standard deviation of the numbers in the training rows, missing ones excluded. The deviation is
        1 if all numbers are equal.
    truth : bool
        Whether all numbers in the training rows are 0 or 1, so that words of true and false are read as 1 and 0.
    """

    name: str
    median: float
    mean: float
    deviation: float
    truth: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)
        for what in ("median", "mean", "deviation"):
            object.__setattr__(self, what, _finite(getattr(self, what), f"{what} of column {self.name!r}"))
        _check_deviation(self.deviation, self.name)
        _check_flag(self.truth, f"truth of column {self.name!r}")
        # The median of real data is within one deviation of the mean.
        if abs(self.median - self.mean) / self.deviation > MAX_STANDARDISED:
            raise ValueError(
                f"the median of column {self.name!r} must be within {MAX_STANDARDISED:g} deviations of its mean, "
                f"got {self.median!r}"
            )

    @property
    def width(self) -> int:
        """Number of inputs of the network for this column."""
        return 1

    @property
    def is_constant(self) -> bool:
        """Whether all numbers in the training rows were equal, or all were missing."""
        return self.deviation == 1 and self.median == self.mean


@dataclass(frozen=True)
class CategoryColumn:
    """A column of texts.

    It has one input for each category: 1 if the row belongs to the category, else 0. A text that is not among the
    categories is 0 in all inputs.

    Parameters
    ----------
    name : str
        Name of the column.
    categories : tuple of str
        The different texts in the training rows, sorted.
    missing : bool
        Whether values were missing in the training rows. If so, a missing value is a category of its own, the last one.
    match : {"text", "value", "truth"}
        How texts are compared with the categories: see `matching`.
    """

    name: str
    categories: tuple[str, ...]
    missing: bool
    match: Match = "text"

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_texts(self.categories, f"categories of column {self.name!r}")
        _check_flag(self.missing, f"missing of column {self.name!r}")
        _check_match(self.match, MATCHES, f"column {self.name!r}")
        if not self.width:
            raise ValueError(f"column {self.name!r} has no categories; it must have at least one")

    @property
    def width(self) -> int:
        """Number of inputs of the network for this column."""
        return len(self.categories) + self.missing


@dataclass(frozen=True)
class ClassTarget:
    """A target column of classes.

    Parameters
    ----------
    name : str
        Name of the column.
    classes : tuple of str
        Names of the classes, at least one, in the order of the network's outputs. A class is named as it stands in the
        training file.
    match : {"text", "value", "truth", "number"}
        How texts are compared with the names: see `matching`. "number" is the rule of models of version 1 whose classes
        are numbers.
    """

    name: str
    classes: tuple[str, ...]
    match: Match = "text"

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_texts(self.classes, "classes")
        _check_match(self.match, (*MATCHES, "number"), "the target")
        if not self.classes:
            raise ValueError("there must be at least one class, got none")
        if self.match == "number":
            _check_different(self.classes, "number", ".", "classes")
            if any(finite_number(name, ".") is None for name in self.classes):
                raise ValueError(f"classes must be numbers, got {list(self.classes)!r}")

    @property
    def outputs(self) -> int:
        """Number of outputs of the network."""
        return len(self.classes)


@dataclass(frozen=True)
class NumberTarget:
    """A target column of numbers y. The output of the network is `(y - mean) / deviation`.

    Parameters
    ----------
    name : str
        Name of the column.
    mean, deviation : float
        Mean and standard deviation of the numbers in the training rows.
    """

    name: str
    mean: float
    deviation: float

    def __post_init__(self) -> None:
        _check_name(self.name)
        for what in ("mean", "deviation"):
            object.__setattr__(self, what, _finite(getattr(self, what), f"{what} of the target"))
        _check_deviation(self.deviation, self.name)

    @property
    def outputs(self) -> int:
        """Number of outputs of the network."""
        return 1


Column = NumberColumn | CategoryColumn
Target = ClassTarget | NumberTarget

_KINDS: dict[str, tuple[type[Any], tuple[str, ...]]] = {  # "kind" in JSON: its class, and its other keys
    "number": (NumberColumn, ("name", "median", "mean", "deviation", "truth")),
    "category": (CategoryColumn, ("name", "categories", "missing", "match")),
    "classes": (ClassTarget, ("name", "classes", "match")),
    "numbers": (NumberTarget, ("name", "mean", "deviation")),
}
_LIST_KEYS = ("categories", "classes")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Schema:
    """The columns of a table, and how they correspond to the inputs and outputs of a network.

    Parameters
    ----------
    columns : tuple of NumberColumn and CategoryColumn
        The columns to predict from, in the order of the network's inputs.
    target : ClassTarget or NumberTarget
        The column to predict.
    decimal : {".", ","}
        The decimal sign of the training file. Files to predict must use the same one.

    Raises
    ------
    ValueError, TypeError
        If there are no columns, two have the same name, or `decimal` is neither "." nor ",".
    """

    columns: tuple[Column, ...]
    target: Target
    decimal: str = "."

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("a table needs at least one column besides the target, got none")
        names = [column.name for column in (*self.columns, self.target)]
        if len(set(names)) != len(names):
            raise ValueError(f"columns must have different names, got {names!r}")
        if self.decimal not in (".", ","):
            raise ValueError(f"the decimal sign must be '.' or ',', got {self.decimal!r}")
        for column in self.columns:
            if isinstance(column, CategoryColumn):
                _check_different(column.categories, column.match, self.decimal, f"categories of column {column.name!r}")
        if isinstance(self.target, ClassTarget) and self.target.match != "number":
            _check_different(self.target.classes, self.target.match, self.decimal, "classes")

    @property
    def width(self) -> int:
        """Number of inputs of the network for all columns."""
        return sum(column.width for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as dicts, lists, strings and numbers, as the model file stores it."""
        return {
            "version": VERSION,
            "columns": [_part_to_dict(column) for column in self.columns],
            "target": _part_to_dict(self.target),
            "decimal": self.decimal,
        }


def from_dict(stored: Any) -> Schema:
    """Return the schema that `Schema.to_dict` described.

    Raises
    ------
    ValueError, TypeError
        If something is missing, unknown or out of range.
    """
    _check_keys(stored, ("version", "columns", "target", "decimal"), "a table")
    version = whole_number(stored["version"], "the version of a table")
    if version not in (1, VERSION):
        raise ValueError(f"the table has version {version}, but this fastmlp reads versions 1 to {VERSION}")
    if not isinstance(stored["columns"], list):
        raise TypeError(f"columns must be a list, got {stored['columns']!r}")
    columns, target = stored["columns"], stored["target"]
    if version == 1:
        columns, target = [_from_version_1(column) for column in columns], _from_version_1(target)
    return Schema(
        tuple(_part_from_dict(column, ("number", "category")) for column in columns),
        _part_from_dict(target, ("classes", "numbers")),
        stored["decimal"],
    )


def _from_version_1(stored: Any) -> Any:
    """Return a column or target of version 1 as version 2 describes it, with the rule by which it was compared."""
    kind = stored.get("kind") if isinstance(stored, dict) else None
    if kind == "number":
        _check_keys(stored, ("kind", "name", "median", "mean", "deviation"), "kind 'number'")
        return {**stored, "truth": False}
    if kind == "category":
        _check_keys(stored, ("kind", "name", "categories", "missing"), "kind 'category'")
        return {**stored, "match": "text"}
    if kind == "classes":
        _check_keys(stored, ("kind", "name", "classes", "numeric"), "kind 'classes'")
        _check_flag(stored["numeric"], "numeric of the target")
        if isinstance(stored["classes"], list) and len(stored["classes"]) < 2:
            raise ValueError(f"there must be at least 2 classes, got {stored['classes']!r}")
        return {key: stored[key] for key in ("kind", "name", "classes")} | {
            "match": "number" if stored["numeric"] else "text"
        }
    return stored


def _part_to_dict(part: Column | Target) -> dict[str, Any]:
    """Return a column or the target as JSON stores it."""
    kind, keys = next((kind, keys) for kind, (cls, keys) in _KINDS.items() if type(part) is cls)
    values = {key: getattr(part, key) for key in keys}
    return {"kind": kind, **{key: list(value) if key in _LIST_KEYS else value for key, value in values.items()}}


def _part_from_dict(stored: Any, kinds: tuple[str, str]) -> Any:
    """Return the column or target that `_part_to_dict` described. Its kind must be one of two."""
    if not isinstance(stored, dict) or stored.get("kind") not in kinds:
        raise ValueError(f"kind must be {kinds[0]!r} or {kinds[1]!r}, got {stored!r}")
    cls, keys = _KINDS[stored["kind"]]
    _check_keys(stored, ("kind", *keys), f"kind {stored['kind']!r}")
    values = {key: stored[key] for key in keys}
    for key in _LIST_KEYS:
        if key in values:
            if not isinstance(values[key], list):
                raise TypeError(f"{key} must be a list, got {values[key]!r}")
            values[key] = tuple(values[key])
    return cls(**values)


def _check_keys(stored: Any, keys: tuple[str, ...], what: str) -> None:
    if not isinstance(stored, dict) or set(stored) != set(keys):
        found = list(stored) if isinstance(stored, dict) else stored
        raise ValueError(f"{what} must have the keys {', '.join(keys)}, got {found!r}")


def _is_clean(text: object) -> bool:
    """Return whether a CSV file can contain a text.

    Readers strip the blanks around texts. JSON can spell a lone surrogate, half of a character, but UTF-8 cannot.
    """
    return isinstance(text, str) and text == text.strip() and not _SURROGATE.search(text)


def _check_name(name: object) -> None:
    if not _is_clean(name) or not name:
        raise ValueError(f"a column name must be a text without blanks around it, got {name!r}")


def _check_texts(texts: tuple[object, ...], what: str) -> None:
    for text in texts:
        if not _is_clean(text) or text in MISSING:
            raise ValueError(f"{what} must be texts without blanks around them, and not missing values, got {text!r}")
    if len(set(texts)) != len(texts):
        raise ValueError(f"{what} must differ from each other, got {list(texts)!r:.200}")


def _check_match(match: object, known: tuple[str, ...], what: str) -> None:
    if match not in known:
        raise ValueError(f"match of {what} must be one of {', '.join(known)}, got {match!r}")


def _check_different(names: tuple[str, ...], match: Match, decimal: str, what: str) -> None:
    """Raise ValueError if two names are the same value."""
    if len(merge(names, match, decimal)) != len(names):
        raise ValueError(f"{what} must be different by {match}, got {list(names)!r:.200}")


def _check_flag(flag: object, what: str) -> None:
    if not isinstance(flag, bool):
        raise TypeError(f"{what} must be true or false, got {flag!r}")


def _finite(value: object, what: str) -> float:
    return number(value, what, minimum=-sys.float_info.max)


def _check_deviation(deviation: float, name: str) -> None:
    if deviation <= 0:
        raise ValueError(f"the deviation of column {name!r} must be positive, got {deviation!r}")
