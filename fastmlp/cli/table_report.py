"""What the commands on a user's table tell, as plain text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastmlp._display.texts import printable_name

if TYPE_CHECKING:
    from fastmlp.history import History
    from fastmlp.tables import Schema, TrainingTable

MOST_COLUMNS = 40  # of a table that are shown one by one
MOST_CLASSES = 10  # whose confusion matrix is shown
_NAMES = {
    "accuracy": "accuracy",
    "f1": "F1 (mean of the classes)",
    "roc_auc": "ROC AUC",
    "mean_absolute_error": "mean absolute error",
    "root_mean_squared_error": "root mean squared error",
    "r2": "R squared",
}


def quoted(path: str) -> str:
    """A path as the shell takes it."""
    return shlex.quote(path)


def opening(table: TrainingTable, seed: int, batch_size: int) -> str:
    """What was read, what is going to be learned, and how to choose otherwise."""
    return "\n".join([size(table), "", *columns(table.schema, table.missing), "", *plan(table, seed, batch_size), ""])


def size(table: TrainingTable) -> str:
    """How large the file is."""
    from fastmlp.tables.file_format import SEPARATORS

    separator = SEPARATORS.get(table.separator, repr(table.separator))
    return f"{table.path}: {table.rows:,} rows, {len(table.schema.columns) + 1} columns (separator: {separator})"


def plan(table: TrainingTable, seed: int, batch_size: int) -> list[str]:
    """Sentences: which columns are of no use, what is predicted, and how many rows train."""
    constant = [f"Always the same and so of no use: {_some(table.constant)}."] if table.constant else []
    kept_out = (
        f"{len(table.X_validation):,} are kept out to validate" if len(table.X_validation) else "none is kept out"
    )
    split = f"With seed {seed}: {len(table.X):,} rows train in batches of {batch_size}, {kept_out}."
    return [*constant, _task(table), split]


def _task(table: TrainingTable) -> str:
    """What is predicted, and how to choose otherwise."""
    from fastmlp.tables.schema import ClassTarget

    target = table.schema.target
    if isinstance(target, ClassTarget):
        chosen, other = f"classification, {len(target.classes)} classes: {_some(target.classes)}", "regression"
        open_choice = target.numeric
    else:
        chosen, other, open_choice = "regression, numbers", "classification", True
    hint = f" (--task {other} for the other)" if table.chosen and open_choice else ""
    return f"Target {target.name}: {chosen}{hint}."


def columns(schema: Schema, missing: Mapping[str, int] | None = None) -> list[str]:
    """A line for each column, as `column_rows` has them."""
    return [f"  {line}" for line in _aligned(column_rows(schema, missing), "llrr")]


def column_rows(schema: Schema, missing: Mapping[str, int] | None = None) -> list[tuple[str, ...]]:
    """A head, and for each column its kind, the inputs that it makes, and how many of its values are missing.

    Where nobody counted what is missing, the median stands in place of it.
    """
    from fastmlp.tables.schema import CategoryColumn

    rows: list[tuple[str, ...]] = [("column", "kind", "inputs", "missing" if missing is not None else "median")]
    for column in schema.columns[:MOST_COLUMNS]:
        if isinstance(column, CategoryColumn):
            kind, last = f"{len(column.categories)} categories", "a category" if column.missing else ""
        else:
            kind, last = "number", f"{column.median:g}"
        last = last if missing is None else f"{missing[column.name]:,}"
        rows.append((printable_name(column.name), kind, str(column.width), last))
    if len(schema.columns) > MOST_COLUMNS:
        rows.append((f"and {len(schema.columns) - MOST_COLUMNS} more columns", "", "", ""))
    return rows


def course(history: History) -> str:
    """How long it took, and which epoch's weights were taken."""
    epochs = len(history.epoch)
    best = best_epoch(history.history)
    taken = "" if best is None else f", the best was epoch {best}"
    return f"{epochs} {'epoch' if epochs == 1 else 'epochs'} in {history.seconds:.2f} s{taken}.\n"


def best_epoch(curves: Mapping[str, Sequence[float]]) -> int | None:
    """The epoch, counted from 1, of least validation loss; None without validation."""
    losses = curves.get("val_loss")
    return None if losses is None else min(range(len(losses)), key=losses.__getitem__) + 1


def figures(found: Mapping[str, Any], schema: Schema) -> str:
    """The figures one below the other, then the confusion matrix with the names of its classes."""
    from fastmlp.tables.schema import ClassTarget

    lines = [f"  {name:<24}{value:>12}" for name, value in named_figures(found, schema)]
    if isinstance(schema.target, ClassTarget):
        classes = schema.target.classes
        lines.append("")
        if len(classes) > MOST_CLASSES:
            lines.append(f"  (--json gives the confusion matrix of the {len(classes)} classes)")
        else:
            lines += _matrix(found["confusion_matrix"], [printable_name(name, 14) for name in classes])
    return "\n".join([*lines, ""])


def named_figures(found: Mapping[str, Any], schema: Schema) -> list[tuple[str, str]]:
    """The names of the figures in words, and their values: shares to four places, numbers to six digits."""
    from fastmlp.tables.schema import ClassTarget

    places = ".4f" if isinstance(schema.target, ClassTarget) else ".6g"
    return [(name, format(found[key], places)) for key, name in _NAMES.items() if found.get(key) is not None]


def _matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> list[str]:
    rows = [
        ("", *classes),
        *((name, *(f"{count:,}" for count in row)) for name, row in zip(classes, matrix, strict=True)),
    ]
    head, *rest = _aligned(rows, "l" + "r" * len(classes))
    margin = " " * len("true ")
    return [
        f"  {margin}{'predicted':>{len(head)}}",
        f"  {margin}{head}",
        *(f"  {'true ' if place == 0 else margin}{line}" for place, line in enumerate(rest)),
    ]


def _aligned(rows: Sequence[tuple[str, ...]], sides: str) -> list[str]:
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ).rstrip()
        for row in rows
    ]


def _some(names: Sequence[str]) -> str:
    """Names one after the other; of many, the first ones."""
    more = " and more" if len(names) > MOST_CLASSES else ""
    return ", ".join(printable_name(name) for name in names[:MOST_CLASSES]) + more
