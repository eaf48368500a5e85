"""The texts that the commands print about a CSV file and the training on it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastmlp._display.texts import printable_name

if TYPE_CHECKING:
    from fastmlp.history import History
    from fastmlp.tables import Schema, TrainingTable

MAX_COLUMNS = 40  # of a table, listed one by one
MAX_CLASSES = 10  # whose names or confusion matrix are shown
_NAMES = {
    "accuracy": "accuracy",
    "f1": "F1 (mean of the classes)",
    "roc_auc": "ROC AUC",
    "mean_absolute_error": "mean absolute error",
    "root_mean_squared_error": "root mean squared error",
    "r2": "R squared",
}


def quote(path: str) -> str:
    """Return a path as it is typed into a shell."""
    return shlex.quote(path)


# Before the training --------------------------------------------------------------------------------------------------


def before_training(table: TrainingTable, seed: int, batch_size: int) -> str:
    """Return what was read and what will be learned: size, columns, target and split."""
    lines = [
        size_line(table),
        "",
        *column_lines(table.schema, table.missing),
        "",
        *plan_lines(table, seed, batch_size),
        "",
    ]
    return "\n".join(lines)


def size_line(table: TrainingTable) -> str:
    """Return path, rows, columns and separator of the file."""
    from fastmlp.tables.file_format import SEPARATORS

    separator = SEPARATORS.get(table.separator, repr(table.separator))
    return f"{table.path}: {table.rows:,} rows, {len(table.schema.columns) + 1} columns (separator: {separator})"


def column_lines(schema: Schema, missing: Mapping[str, int] | None = None) -> list[str]:
    """Return the table of `column_rows`, one line a column."""
    return [f"  {line}" for line in _align(column_rows(schema, missing), "llrr")]


def column_rows(schema: Schema, missing: Mapping[str, int] | None = None) -> list[tuple[str, ...]]:
    """Return a table of the columns: a header, and a row for each column.

    Parameters
    ----------
    schema : Schema
        The columns.
    missing : mapping of str to int, optional
        For each column, how many values are missing. If it is None, the last cell says what replaces a missing value.

    Returns
    -------
    list of tuple of str
        Name, kind, number of inputs, and the last cell. Of more than 40 columns, the first 40 are listed.
    """
    from fastmlp.tables.schema import CategoryColumn

    rows: list[tuple[str, ...]] = [("column", "kind", "inputs", "missing" if missing is not None else "median")]
    for column in schema.columns[:MAX_COLUMNS]:
        if isinstance(column, CategoryColumn):
            kind, last = f"{len(column.categories)} categories", "a category" if column.missing else ""
        else:
            kind, last = "number", f"{column.median:g}"
        last = last if missing is None else f"{missing[column.name]:,}"
        rows.append((printable_name(column.name), kind, str(column.width), last))
    if len(schema.columns) > MAX_COLUMNS:
        rows.append((f"and {len(schema.columns) - MAX_COLUMNS} more columns", "", "", ""))
    return rows


def plan_lines(table: TrainingTable, seed: int, batch_size: int) -> list[str]:
    """Return sentences on constant columns, the target and the split."""
    constant = [f"Constant, so nothing can be learned from them: {_join(table.constant)}."] if table.constant else []
    validation = f"{len(table.X_validation):,}" if len(table.X_validation) else "no"
    split = (
        f"With seed {seed}: {len(table.X):,} training rows in batches of {batch_size}, {validation} validation rows."
    )
    return [*constant, _target_line(table), split]


def _target_line(table: TrainingTable) -> str:
    """Return what is predicted and, if the values of the target allow both tasks, how to choose the other one."""
    from fastmlp.tables.schema import ClassTarget

    target = table.schema.target
    if isinstance(target, ClassTarget):
        count = "1 class" if len(target.classes) == 1 else f"{len(target.classes)} classes"
        task, other = f"classification, {count}: {_join(target.classes)}", "regression"
    else:
        task, other = "regression", "classification"
    hint = f" (for {other}: --task {other})" if table.chosen else ""
    return f"Target {target.name}: {task}{hint}."


# After the training ---------------------------------------------------------------------------------------------------


def training_line(history: History) -> str:
    """Return the number of epochs, the time, and the epoch whose weights were kept."""
    epochs = len(history.epoch)
    best = best_epoch(history.history)
    kept = "" if best is None else f", the best was epoch {best}"
    return f"{epochs} {'epoch' if epochs == 1 else 'epochs'} in {history.seconds:.2f} s{kept}.\n"


def best_epoch(curves: Mapping[str, Sequence[float]]) -> int | None:
    """Return the epoch with the lowest validation loss, counted from 1. None without validation."""
    losses = curves.get("val_loss")
    return None if losses is None else min(range(len(losses)), key=losses.__getitem__) + 1


def metrics_table(metrics: Mapping[str, Any], schema: Schema) -> str:
    """Return the metrics, one a line, and the confusion matrix with the names of the classes."""
    from fastmlp.tables.schema import ClassTarget

    lines = [f"  {name:<24}{value:>12}" for name, value in metric_rows(metrics, schema)]
    if isinstance(schema.target, ClassTarget):
        classes = schema.target.classes
        lines.append("")
        if len(classes) > MAX_CLASSES:
            lines.append(f"  (--json prints the confusion matrix of the {len(classes)} classes)")
        else:
            lines += _confusion_matrix(metrics["confusion_matrix"], [printable_name(name, 14) for name in classes])
    return "\n".join([*lines, ""])


def metric_rows(metrics: Mapping[str, Any], schema: Schema) -> list[tuple[str, str]]:
    """Return the name of each metric in words, and its value as text.

    Metrics of classes have four decimal places, and metrics of numbers six significant digits.
    """
    from fastmlp.tables.schema import ClassTarget

    spec = ".4f" if isinstance(schema.target, ClassTarget) else ".6g"
    return [(name, format(metrics[key], spec)) for key, name in _NAMES.items() if metrics.get(key) is not None]


def _confusion_matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> list[str]:
    rows = [
        ("", *classes),
        *((name, *(f"{count:,}" for count in row)) for name, row in zip(classes, matrix, strict=True)),
    ]
    head, *rest = _align(rows, "l" + "r" * len(classes))
    margin = " " * len("true ")
    return [
        f"  {margin}{'predicted':>{len(head)}}",
        f"  {margin}{head}",
        *(f"  {'true ' if row == 0 else margin}{line}" for row, line in enumerate(rest)),
    ]


def _align(rows: Sequence[tuple[str, ...]], sides: str) -> list[str]:
    """Return a line for each row. Each column is as wide as its longest cell, and aligned left "l" or right "r"."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ).rstrip()
        for row in rows
    ]


def _join(names: Sequence[str]) -> str:
    """Return the names, separated by commas. Of more than 10, the first 10."""
    more = " and more" if len(names) > MAX_CLASSES else ""
    return ", ".join(printable_name(name) for name in names[:MAX_CLASSES]) + more
