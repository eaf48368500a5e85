"""`TrainingRecord`: how a model was trained on a table, stored in the model file beside the schema."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from fastmlp._runtime.checks import number, whole_number
from fastmlp.tables import seen_rows
from fastmlp.tables.identifiers import Identifier, Reason
from fastmlp.tables.seen_rows import SeenRows

FIGURES = ("accuracy", "f1", "roc_auc", "mean_absolute_error", "root_mean_squared_error", "r2")
"""The figures that a record may hold. The confusion matrix, which may be large, is not stored."""

Figures = Mapping[str, float | None]


@dataclass(frozen=True, eq=False)
class TrainingRecord:
    """How a model was trained on a table.

    Parameters
    ----------
    rows : mapping of str to int
        The number of "training", "validation" and "test" rows.
    left_out : tuple of Identifier
        The columns that were left out because they hold identifiers.
    validation, test : mapping of str to float, or None
        The figures on the rows that chose the best epoch, and on the rows that chose nothing. A figure that cannot be
        measured on these rows is None. None stands for all if there are no such rows, or if the fit was interrupted.
    seen : SeenRows
        The training rows and validation rows of all fits.
    """

    rows: Mapping[str, int]
    left_out: tuple[Identifier, ...] = ()
    validation: Figures | None = None
    test: Figures | None = None
    seen: SeenRows = field(default_factory=SeenRows)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as dicts, lists, strings and numbers, as the model file stores it."""
        return {**self.summary(), "seen": self.seen.to_dict()}

    def summary(self) -> dict[str, Any]:
        """Return the record without the seen rows, as --json prints it."""
        return {
            "rows": dict(self.rows),
            "left_out": [{"name": column.name, "reason": column.reason} for column in self.left_out],
            "validation": self.validation and dict(self.validation),
            "test": self.test and dict(self.test),
        }


def stored_figures(figures: Mapping[str, Any] | None) -> Figures | None:
    """Return those of the figures that `TabularModel.figures` returned that a record holds."""
    return None if figures is None else {name: figures[name] for name in FIGURES if name in figures}


def from_dict(stored: Any) -> TrainingRecord:
    """Return the record that `TrainingRecord.to_dict` described.

    Raises
    ------
    ValueError, TypeError
        If something is missing, unknown or out of range.
    """
    _check_keys(stored, ("rows", "left_out", "validation", "test", "seen"), "the record of a training")
    parts = ("training", "validation", "test")
    _check_keys(stored["rows"], parts, "rows of the training")
    _check_keys(stored["seen"], ("below", "hashes"), "the seen rows")
    if not isinstance(stored["left_out"], list):
        raise TypeError(f"left_out must be a list, got {stored['left_out']!r:.200}")
    return TrainingRecord(
        {part: whole_number(stored["rows"][part], f"{part} rows", 0) for part in parts},
        tuple(_identifier(column) for column in stored["left_out"]),
        _checked_figures(stored["validation"]),
        _checked_figures(stored["test"]),
        seen_rows.from_dict(stored["seen"]),
    )


def _identifier(stored: Any) -> Identifier:
    _check_keys(stored, ("name", "reason"), "a column that was left out")
    if not isinstance(stored["name"], str) or stored["reason"] not in get_args(Reason):
        raise ValueError(f"a column that was left out must have a name and a known reason, got {stored!r:.200}")
    return Identifier(stored["name"], stored["reason"])


def _checked_figures(stored: Any) -> Figures | None:
    if stored is None:
        return None
    if not isinstance(stored, dict) or not set(stored) <= set(FIGURES):
        raise ValueError(f"figures must be some of {', '.join(FIGURES)}, got {stored!r:.200}")
    return {
        name: None if value is None else number(value, name, minimum=-sys.float_info.max)
        for name, value in stored.items()
    }


def _check_keys(stored: Any, keys: tuple[str, ...], what: str) -> None:
    if not isinstance(stored, dict) or set(stored) != set(keys):
        raise ValueError(f"{what} must have the keys {', '.join(keys)}, got {stored!r:.200}")
