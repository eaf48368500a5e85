"""Prepare a training file for a network: read it, split its rows, compute statistics, and encode all rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.checks import number as checked_number
from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.names import AttributeHints, check_keywords
from fastmlp.tables.collect import collect
from fastmlp.tables.column_statistics import is_constant, learn_column
from fastmlp.tables.encode import Matrix, encode_columns
from fastmlp.tables.errors import TableError, missing_column_error
from fastmlp.tables.frames import FrameReader
from fastmlp.tables.identifiers import Identifier, find_identifiers
from fastmlp.tables.reader import Reader
from fastmlp.tables.schema import ClassTarget, NumberTarget, Schema
from fastmlp.tables.sources import Source, open_table
from fastmlp.tables.splitting import Rows, split
from fastmlp.tables.targets import TASKS, Task, class_target, number_target

Part = Literal["training", "validation", "test"]
KEPT_OUT: tuple[Part, ...] = ("validation", "test")
"""The parts of the rows that do not train."""

_ROWS = 4096  # encoded at a time, so that all columns of a row are written while the row is in the cache


@dataclass(frozen=True, repr=False)
class TrainingTable(AttributeHints):
    """A training file that is ready for a network, as `prepare` returns it.

    Parameters
    ----------
    path : str
        Path of the file, or the name of the frame's type.
    separator : str
        The character between the fields. Empty for a frame.
    schema : Schema
        The columns and the target, with the statistics of the training rows.
    missing : dict of str to int
        For each column of the schema, how many of its values are missing.
    constant : tuple of str
        Columns that have the same value in all training rows, so that nothing can be learned from them.
    left_out : tuple of Identifier
        Columns that are left out because they hold identifiers.
    suspicious : tuple of Identifier
        Columns that are kept although they may hold identifiers.
    skipped : int
        How many rows were left out because their target is missing.
    chosen : bool
        Whether the values of the target allow both tasks, and were taken to choose one because "auto" was given.
    X, y : ndarray
        The training rows: X of shape (n, schema.width), float32; y of shape (n,), indices of classes, int64, or
        standardised numbers, float32.
    X_validation, y_validation : ndarray
        The validation rows in the same form, which choose the best epoch. There may be none.
    X_test, y_test : ndarray
        The test rows in the same form, which choose nothing. There may be none.
    """

    path: str
    separator: str
    schema: Schema
    missing: dict[str, int]
    constant: tuple[str, ...]
    left_out: tuple[Identifier, ...]
    suspicious: tuple[Identifier, ...]
    skipped: int
    chosen: bool
    X: Matrix
    y: NDArray[Any]
    X_validation: Matrix
    y_validation: NDArray[Any]
    X_test: Matrix
    y_test: NDArray[Any]

    def __repr__(self) -> str:
        """Return the file, the numbers of rows and columns, and the target in one line."""
        rows = f"{len(self.X):,} training, {len(self.X_validation):,} validation and {len(self.X_test):,} test rows"
        columns = f"{len(self.schema.columns)} columns, target {self.schema.target.name!r}"
        return f"TrainingTable({self.path!r}: {rows}, {columns})"

    @property
    def rows(self) -> int:
        """Number of rows of the file, without those that were left out."""
        return len(self.X) + len(self.X_validation) + len(self.X_test)

    def part(self, name: Part) -> tuple[Matrix, NDArray[Any]]:
        """Return X and y of the training rows, the validation rows or the test rows."""
        if name == "training":
            return self.X, self.y
        return (self.X_validation, self.y_validation) if name == "validation" else (self.X_test, self.y_test)


@check_keywords
def prepare(
    data: Source,
    target: str,
    *,
    task: Task = "auto",
    validation: float = 0.2,
    test: float = 0.15,
    seed: int = 0,
    categorical: Collection[str] = (),
    ignore: Collection[str] = (),
    keep: Collection[str] = (),
    separator: str | None = None,
    decimal: str = ".",
    skip_missing_target: bool = False,
    verbose: bool | str = "auto",
) -> TrainingTable:
    """Read a CSV file or a DataFrame to train on.

    Medians, means, deviations and categories are those of the training rows alone. The validation rows and the test
    rows have no influence on them.

    Columns that hold identifiers are left out, because a network would learn the order of the file from them. These are
    columns of integers that are all different in at least 20 training rows, and that fill a range without gaps or have
    the name of an identifier, such as "id", "index" or "PassengerId"; and columns of texts that are all different.
    From 50 rows on, such texts are refused instead. The last column is never left out.

    Parameters
    ----------
    data : path-like, DataFrame, pyarrow.Table or pyarrow.RecordBatch
        A CSV file in UTF-8 with a header; or a DataFrame of pandas or polars, or an Arrow table, which is read as the
        CSV file that its library writes of it. The index of a pandas DataFrame is not read.
    target : str
        The column to predict.
    task : {"auto", "classification", "regression"}
        "auto" is classification if the target holds texts, or whole numbers of at most 20 different values and fewer
        than half as many as rows; otherwise regression.
    validation : float
        The share of the rows that are kept out of training and choose the best epoch, in [0, 1). In classification it
        is the same share of each class.
    test : float
        The share of the rows that are kept out and choose nothing, in [0, 1), of each class. Both shares together are
        less than 1.
    seed : int
        Seed of the random choice of these rows.
    categorical : collection of str
        Columns to read as categories, even if their values are numbers.
    ignore : collection of str
        Columns to leave out.
    keep : collection of str
        Columns to take although they look like identifiers.
    separator : str, optional
        The character between the fields. By default it is found among comma, semicolon, tab and bar.
    decimal : {".", ","}
        The decimal sign of the texts. The numbers of a DataFrame need none.
    skip_missing_target : bool
        Whether to leave out rows whose target is missing. By default such a row is an error.
    verbose : bool or "auto"
        Whether to show a progress line while reading. "auto" shows it in a terminal or notebook.

    Returns
    -------
    TrainingTable
        The encoded rows and the schema.

    Raises
    ------
    TableError
        If the file cannot be used. The message says where, what was found and what to do.
    ValueError, TypeError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> table = prepare("houses.csv", "price", ignore=["id"])
    >>> table.X.shape, table.X_validation.shape, table.X_test.shape
    ((325, 12), (100, 12), (75, 12))
    """
    _check_arguments(task, seed, decimal, categorical=categorical, ignore=ignore, keep=keep)
    shares = _check_shares(validation, test)
    reader = open_table(data, separator, verbose, decimal)
    _check_kept(reader, target, keep, ignore)
    columns, skipped = collect(
        reader,
        target,
        categorical=categorical,
        ignore=ignore,
        decimal=decimal,
        skip_missing_target=skip_missing_target,
    )
    target_column = next(column for column in columns if column.name == target)
    columns.remove(target_column)

    classes = class_target(reader.path, target_column, task, decimal)
    labels = target_column.values if classes is None else classes[1]
    parts = split(labels, *shares, seed, by_class=classes is not None)
    train = parts.training
    left_out, suspicious = find_identifiers(columns, train, {*keep, *categorical})
    columns = [column for column in columns if column.name not in {each.name for each in left_out}]

    learned, values = zip(*(learn_column(reader.path, column, train, decimal) for column in columns), strict=True)
    target_schema: ClassTarget | NumberTarget
    y: NDArray[Any]
    target_schema, y = number_target(reader.path, target_column, train) if classes is None else classes
    schema = Schema(learned, target_schema, decimal)
    order = np.concatenate(parts)
    X, y = _encode(schema, values, order), y[order]
    begin, end = len(train), len(train) + len(parts.validation)
    constant = (column.name for column, own in zip(learned, values, strict=True) if is_constant(column, own[train]))
    return TrainingTable(
        path=reader.path,
        separator=reader.separator,
        schema=schema,
        missing={column.name: int(column.missing.sum()) for column in columns},
        constant=tuple(constant),
        left_out=left_out,
        suspicious=suspicious,
        skipped=skipped,
        chosen=task == "auto" and target_column.categories is None,
        X=X[:begin],
        y=y[:begin],
        X_validation=X[begin:end],
        y_validation=y[begin:end],
        X_test=X[end:],
        y_test=y[end:],
    )


def _check_arguments(task: object, seed: object, decimal: object, **columns: object) -> None:
    """Check the task, the seed, the decimal sign and the lists of column names."""
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    whole_number(seed, "seed", minimum=0)
    if decimal not in (".", ","):
        raise ValueError(f"decimal must be '.' or ',', got {decimal!r}")
    for what, names in columns.items():
        if isinstance(names, str):
            raise TypeError(f"{what} must be a list of column names, got {names!r}")


def _check_shares(validation: object, test: object) -> tuple[float, float]:
    """Return the checked shares of the validation rows and of the test rows."""
    shares = checked_number(validation, "validation", below=1.0), checked_number(test, "test", below=1.0)
    if sum(shares) >= 1:
        raise ValueError(
            f"validation and test together must be less than 1, so that rows are left to train on, got {shares[0]:g} "
            f"and {shares[1]:g}"
        )
    return shares


def _check_kept(reader: Reader | FrameReader, target: str, keep: Collection[str], ignore: Collection[str]) -> None:
    """Raise TableError if a column to keep does not exist, is the target, or is to be ignored as well."""
    for name in keep:
        if name not in reader.names:
            raise missing_column_error(reader.path, name, reader.names)
        if name == target or name in ignore:
            what = "is the target" if name == target else "is also ignored"
            raise TableError(reader.path, f"cannot be kept to predict from, because it {what}", column=name)


def _encode(schema: Schema, values: Sequence[NDArray[Any]], order: Rows) -> Matrix:
    """Return the matrix of all rows in a given order, encoded some thousand rows at a time."""
    X = np.empty((len(order), schema.width), np.float32)
    for begin in range(0, len(order), _ROWS):
        rows = order[begin : begin + _ROWS]
        encode_columns(X[begin : begin + _ROWS], schema, [column[rows] for column in values])
    return X
