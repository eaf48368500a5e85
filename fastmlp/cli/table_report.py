"""The texts that the commands print about a CSV file and the training on it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastmlp._display.texts import printable_name

if TYPE_CHECKING:
    from fastmlp.history import History
    from fastmlp.tables import Identifier, Schema, TabularModel, TrainingRecord, TrainingTable

MAX_COLUMNS = 40  # of a table, listed one by one
MAX_CLASSES = 10  # whose names or confusion matrix are shown
FEW_ROWS = 20  # figures of fewer rows are called rough
_NAMES = {
    "accuracy": "accuracy",
    "f1": "F1 (mean of the classes)",
    "roc_auc": "ROC AUC",
    "mean_absolute_error": "mean absolute error",
    "root_mean_squared_error": "root mean squared error",
    "r2": "R squared",
}
_REASONS = {
    "range": "integers that fill a range without gaps",
    "name": "different integers under the name of an identifier",
    "texts": "texts that are all different",
    "order": "integers that rise or fall from row to row",
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
    columns = len(table.schema.columns) + len(table.left_out) + 1
    return f"{table.path}: {table.rows:,} rows, {columns} columns (separator: {separator})"


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
    """Return sentences on what was left out, constant columns, the target and the split."""
    constant = [f"Constant, so nothing can be learned from them: {_join(table.constant)}."] if table.constant else []
    validation, test = (
        f"{f'{len(X):,}' if len(X) else 'no'} {part} row{'' if len(X) == 1 else 's'}"
        for X, part in ((table.X_validation, "validation"), (table.X_test, "test"))
    )
    batches = "all at once" if batch_size == len(table.X) else f"in batches of {batch_size}"
    split = f"With seed {seed}: {len(table.X):,} training rows {batches}, {validation}, {test}."
    return [*left_out_lines(table), *constant, _target_line(table), split]


def left_out_lines(table: TrainingTable) -> list[str]:
    """Return sentences on the rows without a target and the columns of identifiers that were left out."""
    rows = "1 row" if table.skipped == 1 else f"{table.skipped:,} rows"
    skipped = [f"Left out, because the target is missing: {rows}."] if table.skipped else []
    return [*skipped, *identifier_lines(table)]


def identifier_lines(table: TrainingTable) -> list[str]:
    """Return sentences on the columns that were left out as identifiers, and on those that may be identifiers."""
    lines = [left_out_line(table.left_out)] if table.left_out else []
    for column in table.suspicious:
        name, what = printable_name(column.name), _REASONS[column.reason]
        if column.reason == "order":
            lines.append(
                f"Warning: {name} holds {what}. If it only numbers the rows, the figures are too good; leave it out "
                f"with --ignore {quote(column.name)}."
            )
        else:
            lines.append(f"Warning: {name} holds {what}, and was kept only because no other column is left.")
    return lines


def left_out_line(columns: Sequence[Identifier]) -> str:
    """Return a sentence on the columns that were left out as identifiers."""
    names = ", ".join(f"{printable_name(column.name)} ({_REASONS[column.reason]})" for column in columns[:MAX_CLASSES])
    more = " and more" if len(columns) > MAX_CLASSES else ""
    what, taken = ("an identifier", quote(columns[0].name)) if len(columns) == 1 else ("identifiers", "COLUMN")
    return f"Left out as {what}: {names}{more}. --keep {taken} takes it."


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


def after_training(history: History, figures: Mapping[str, Mapping[str, Any] | None], model: TabularModel) -> str:
    """Return the course of the training, the figures on the rows kept out of it, and what they suggest.

    Parameters
    ----------
    history : History
        The losses of each epoch.
    figures : mapping
        The metrics of "validation" and of "test", None if there are no such rows.
    model : TabularModel
        The trained model.
    """
    measured = {part: metrics for part, metrics in figures.items() if metrics is not None}
    rows = {part: metrics["rows"] for part, metrics in measured.items()}
    table = [metrics_table(measured, model.schema)] if measured else []
    hints = [*hint_lines(model.hints), ""] if model.hints else []
    return "\n".join([training_line(history), kept_out_line(rows), "", *table, *hints])


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


def kept_out_line(rows: Mapping[str, int]) -> str:
    """Return how many rows were kept out of training, and what their figures are worth.

    Parameters
    ----------
    rows : mapping of str to int
        The number of "validation" and of "test" rows, if there are any.
    """
    chose = {"validation": "which chose the best epoch", "test": "which chose nothing"}
    parts = [
        f"{count:,} {part} {'row' if count == 1 else 'rows'}, {chose[part]}" for part, count in rows.items() if count
    ]
    if not parts:
        return "No rows were kept out of training, so nothing is known of new rows."
    worth = "The test figures are those to expect of new rows."
    if not rows.get("test"):
        worth = "There are no test rows, and the validation figures are too good for new rows."
    few = [part for part, count in rows.items() if 0 < count < FEW_ROWS]
    rough = f" Figures of fewer than {FEW_ROWS} rows are rough." if few else ""
    return f"Kept out of training: {', and '.join(parts)}. {worth}{rough}"


def hint_lines(hints: Sequence[str]) -> list[str]:
    """Return what the training suggests, a line each."""
    return [f"Hint: {hint}" for hint in hints]


def record_text(record: TrainingRecord, schema: Schema) -> str:
    """Return the rows and the figures of the training of a stored model, and the columns that were left out."""
    kept_out = {part: record.rows[part] for part in ("validation", "test")}
    lines = [f"It was trained on {record.rows['training']:,} rows.", kept_out_line(kept_out), ""]
    if record.left_out:
        lines.insert(0, left_out_line(record.left_out))
    parts = {"validation": record.validation, "test": record.test}
    measured = {part: figures for part, figures in parts.items() if figures is not None}
    return "\n".join([*lines, *([metrics_table(measured, schema)] if measured else [])])


def seen_line(model: TabularModel, share: float | None) -> str:
    """Return which share of the rows of a file the model was trained on. It is empty if the model does not know.

    Parameters
    ----------
    model : TabularModel
        The model.
    share : float or None
        The "known_share" that `TabularModel.evaluate` returned.
    """
    if model.record is None:
        return ""
    if share is None:
        return "These are too few rows to tell whether they trained the model."
    exact = model.record.seen.is_complete
    if not share:
        return f"{'None' if exact else 'Probably none'} of these rows trained the model or chose its epoch."
    about = "" if exact else "about "
    return (
        f"Warning: {about}{100 * share:.3g} % of these rows are equal to rows that trained the model or chose its "
        "epoch. Unless they are equal by chance, the figures are too good for new rows."
    )


def metrics_table(figures: Mapping[str, Mapping[str, Any]], schema: Schema) -> str:
    """Return the metrics, one a line, and the confusion matrix with the names of the classes.

    Parameters
    ----------
    figures : mapping of str to mapping
        The metrics of some parts of the rows by the names of the parts. The confusion matrix is that of the last part.
    schema : Schema
        The schema of the model.
    """
    from fastmlp.tables.schema import ClassTarget

    *_, part = figures
    head = [("", *figures)] if part else []
    lines = [
        f"  {name:<24}{''.join(f'{value:>12}' for value in values)}"
        for name, *values in [*head, *metric_rows(list(figures.values()), schema)]
    ]
    if isinstance(schema.target, ClassTarget) and "confusion_matrix" in figures[part]:
        classes = schema.target.classes
        lines.append("")
        if len(classes) > MAX_CLASSES:
            lines.append(f"  (--json prints the confusion matrix of the {len(classes)} classes)")
        else:
            shown = [printable_name(name, 14) for name in classes]
            lines += [f"  {part} rows:"] * bool(part) + _confusion_matrix(figures[part]["confusion_matrix"], shown)
    return "\n".join([*lines, ""])


def metric_rows(figures: Sequence[Mapping[str, Any]], schema: Schema) -> list[tuple[str, ...]]:
    """Return the name of each metric in words, and its values as text.

    Metrics of classes have four decimal places, and metrics of numbers six significant digits. A metric that cannot be
    measured on some rows is a dash there.
    """
    from fastmlp.tables.schema import ClassTarget

    spec = ".4f" if isinstance(schema.target, ClassTarget) else ".6g"

    def shown(value: float | None) -> str:
        return "-" if value is None else format(value, spec)

    known = [key for key in _NAMES if any(metrics.get(key) is not None for metrics in figures)]
    return [(_NAMES[key], *(shown(metrics.get(key)) for metrics in figures)) for key in known]


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
