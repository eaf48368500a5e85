"""What a network must know of the table it learned from: columns, categories, medians, scaling, class names.

A schema is stored in the model file as JSON; what comes back is checked as if it came from a stranger.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any

from fastmlp._runtime.checks import number, whole_number
from fastmlp.tables.values import MISSING
from fastmlp.tables.values import number as parsed

VERSION = 1
LARGEST = 1e30
"""A standardised number beyond this is refused: float32 ends at 3e38, and a layer multiplies and adds."""


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers x, one input: `(x - mean) / deviation`, where x is the median if it is missing.

    Parameters
    ----------
    name : str
        Of the column.
    median, mean, deviation : float
        Of the values present in the training rows; the deviation is 1 where they are all the same.
    """

    name: str
    median: float
    mean: float
    deviation: float

    def __post_init__(self) -> None:
        _check_name(self.name)
        for what in ("median", "mean", "deviation"):
            object.__setattr__(self, what, _finite(getattr(self, what), f"{what} of column {self.name!r}"))
        _check_deviation(self.deviation, self.name)
        if abs(self.median - self.mean) / self.deviation > LARGEST:  # a table's is within one deviation
            raise ValueError(f"the median of column {self.name!r} is more than {LARGEST:g} deviations from its mean")

    @property
    def width(self) -> int:
        """How many inputs it makes."""
        return 1


@dataclass(frozen=True)
class CategoryColumn:
    """A column of texts, an input for each category: 1 where the row is of it, else 0.

    Parameters
    ----------
    name : str
        Of the column.
    categories : tuple of str
        Those of the training rows, sorted. Any other text is 0 in all inputs.
    missing : bool
        Whether values were missing in the training rows; a missing one is a category of its own then, the last.
    """

    name: str
    categories: tuple[str, ...]
    missing: bool

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_texts(self.categories, f"categories of column {self.name!r}")
        _check_flag(self.missing, f"missing of column {self.name!r}")
        if not self.width:
            raise ValueError(f"column {self.name!r} has no categories")

    @property
    def width(self) -> int:
        """How many inputs it makes."""
        return len(self.categories) + self.missing


@dataclass(frozen=True)
class ClassTarget:
    """A target of classes.

    Parameters
    ----------
    name : str
        Of the column.
    classes : tuple of str
        Their names, in the order of the network's outputs; at least two.
    numeric : bool
        Whether the names are numbers, so that "1" and "1.0" are one.
    """

    name: str
    classes: tuple[str, ...]
    numeric: bool

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_texts(self.classes, "classes")
        _check_flag(self.numeric, "numeric of the target")
        if len(self.classes) < 2:
            raise ValueError(f"there must be at least 2 classes, got {list(self.classes)!r}")
        if self.numeric and len({parsed(name) for name in self.classes} - {None}) != len(self.classes):
            raise ValueError(f"classes must be different numbers, got {list(self.classes)!r}")

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return len(self.classes)


@dataclass(frozen=True)
class NumberTarget:
    """A target of numbers y; the network gives `(y - mean) / deviation`.

    Parameters
    ----------
    name : str
        Of the column.
    mean, deviation : float
        Of the training rows.
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
        """How many outputs the network has."""
        return 1


Column = NumberColumn | CategoryColumn
Target = ClassTarget | NumberTarget

_KINDS: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "number": (NumberColumn, ("name", "median", "mean", "deviation")),
    "category": (CategoryColumn, ("name", "categories", "missing")),
    "classes": (ClassTarget, ("name", "classes", "numeric")),
    "numbers": (NumberTarget, ("name", "mean", "deviation")),
}
_LISTS = ("categories", "classes")
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Schema:
    """From the rows of a table to the inputs of a network, and from its outputs to what was asked.

    Parameters
    ----------
    columns : tuple of NumberColumn and CategoryColumn
        In the order of the network's inputs.
    target : ClassTarget or NumberTarget
        What is predicted.
    decimal : {".", ","}
        The decimal sign of the file; others are read alike.

    Raises
    ------
    ValueError, TypeError
        If something contradicts itself.
    """

    columns: tuple[Column, ...]
    target: Target
    decimal: str = "."

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("a table needs at least one column beside the target")
        names = [column.name for column in (*self.columns, self.target)]
        if len(set(names)) != len(names):
            raise ValueError(f"columns must have different names, got {names!r}")
        if self.decimal not in (".", ","):
            raise ValueError(f"the decimal sign must be '.' or ',', got {self.decimal!r}")

    @property
    def width(self) -> int:
        """How many inputs all columns make."""
        return sum(column.width for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain names, lists and numbers, as a model file stores them."""
        return {
            "version": VERSION,
            "columns": [_described(column) for column in self.columns],
            "target": _described(self.target),
            "decimal": self.decimal,
        }


def from_dict(stored: Any) -> Schema:
    """The schema that `Schema.to_dict` described.

    Raises
    ------
    ValueError, TypeError
        If something is missing, unknown or out of range.
    """
    _check_keys(stored, ("version", "columns", "target", "decimal"), "a table")
    if whole_number(stored["version"], "the version of a table") != VERSION:
        raise ValueError(f"the table has version {stored['version']}, this fastmlp reads {VERSION}")
    if not isinstance(stored["columns"], list):
        raise TypeError(f"columns must be a list, got {stored['columns']!r}")
    columns = tuple(_part(column, ("number", "category")) for column in stored["columns"])
    return Schema(columns, _part(stored["target"], ("classes", "numbers")), stored["decimal"])


def _described(part: Column | Target) -> dict[str, Any]:
    kind, keys = next((kind, keys) for kind, (cls, keys) in _KINDS.items() if type(part) is cls)
    values = {key: getattr(part, key) for key in keys}
    return {"kind": kind, **{key: list(value) if key in _LISTS else value for key, value in values.items()}}


def _part(stored: Any, kinds: tuple[str, str]) -> Any:
    if not isinstance(stored, dict) or stored.get("kind") not in kinds:
        raise ValueError(f"kind must be {kinds[0]!r} or {kinds[1]!r}, got {stored!r}")
    cls, keys = _KINDS[stored["kind"]]
    _check_keys(stored, ("kind", *keys), f"kind {stored['kind']!r}")
    values = {key: stored[key] for key in keys}
    for key in _LISTS:
        if key in values:
            if not isinstance(values[key], list):
                raise TypeError(f"{key} must be a list, got {values[key]!r}")
            values[key] = tuple(values[key])
    return cls(**values)


def _check_keys(stored: Any, keys: tuple[str, ...], what: str) -> None:
    if not isinstance(stored, dict) or set(stored) != set(keys):
        found = list(stored) if isinstance(stored, dict) else stored
        raise ValueError(f"{what} is described by {', '.join(keys)}, got {found!r}")


def _is_clean(text: object) -> bool:
    """Whether a CSV file can hold it: no blanks around it, no half of a character, which JSON may spell."""
    return isinstance(text, str) and text == text.strip() and not _HALF.search(text)


def _check_name(name: object) -> None:
    if not _is_clean(name) or not name:
        raise ValueError(f"a column's name must be a text without blanks around it, got {name!r}")


def _check_texts(texts: tuple[object, ...], what: str) -> None:
    for text in texts:
        if not _is_clean(text) or text in MISSING:
            raise ValueError(f"{what} must be texts without blanks around them, got {text!r}")
    if len(set(texts)) != len(texts):
        raise ValueError(f"{what} must be different")


def _check_flag(flag: object, what: str) -> None:
    if not isinstance(flag, bool):
        raise TypeError(f"{what} must be true or false, got {flag!r}")


def _finite(value: object, what: str) -> float:
    return number(value, what, minimum=-sys.float_info.max)


def _check_deviation(deviation: float, name: str) -> None:
    if deviation <= 0:
        raise ValueError(f"the deviation of column {name!r} must be positive, got {deviation!r}")
