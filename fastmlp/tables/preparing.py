"""From a training file to matrices: the task, the split, the statistics of the training rows, the encoded rows."""

from __future__ import annotations

import os
import random
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.checks import number as checked_number
from fastmlp._runtime.checks import whole_number
from fastmlp.tables.collect import MOST_CATEGORIES, Kept, collect
from fastmlp.tables.encode import Matrix, fill, require_moderate
from fastmlp.tables.errors import TableError
from fastmlp.tables.reader import Reader
from fastmlp.tables.schema import CategoryColumn, ClassTarget, Column, NumberColumn, NumberTarget, Schema
from fastmlp.tables.values import MISSING_CODE, Floats

Task = Literal["auto", "classification", "regression"]
TASKS = ("auto", "classification", "regression")
MOST_WHOLE_CLASSES = 20
"""A target of so many different whole numbers, or fewer, is taken for classes."""

_FIRST_DOUBTFUL = 2**53  # of the whole numbers: float64 has no room for the next one
_ROWS = 4096  # encoded at a time, so that columns are written while their rows are in the cache

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class TrainingTable:
    """A training file, ready for a network.

    Parameters
    ----------
    path : str
        The file.
    separator : str
        What stands between its fields.
    schema : Schema
        What its columns are.
    missing : dict of str to int
        How many values of each column that the network reads are missing.
    constant : tuple of str
        Columns that say nothing, since all their training rows are the same.
    chosen : bool
        Whether the task was found and not given.
    X, y : ndarray
        The training rows: (n, schema.width), float32; places of classes, int64, or standardised numbers, float32.
    X_validation, y_validation : ndarray
        The rows kept out, perhaps none.
    """

    path: str
    separator: str
    schema: Schema
    missing: dict[str, int]
    constant: tuple[str, ...]
    chosen: bool
    X: Matrix
    y: NDArray[Any]
    X_validation: Matrix
    y_validation: NDArray[Any]

    @property
    def rows(self) -> int:
        """Of the file."""
        return len(self.X) + len(self.X_validation)


def prepare(
    path: str | os.PathLike[str],
    target: str,
    *,
    task: Task = "auto",
    validation: float = 0.2,
    seed: int = 0,
    categorical: Collection[str] = (),
    ignore: Collection[str] = (),
    separator: str | None = None,
    decimal: str = ".",
    verbose: bool | str = "auto",
) -> TrainingTable:
    """Read a file to train on.

    Medians, means, deviations and categories are those of the training rows; the rows kept out have no part in them.

    Parameters
    ----------
    path : path-like
        A CSV file in UTF-8 with a header.
    target : str
        The column to predict.
    task : {"auto", "classification", "regression"}
        "auto" is classification where the target is text, or whole numbers of at most 20 different values and fewer
        than half as many as rows.
    validation : float
        The share of the rows, of each class alike, that is kept out of training, in [0, 1).
    seed : int
        Decides which rows these are.
    categorical : collection of str
        Columns whose values are names, whatever they look like.
    ignore : collection of str
        Columns to leave out.
    separator : str, optional
        What stands between the fields; None finds it.
    decimal : {".", ","}
        The decimal sign.
    verbose : bool or "auto"
        Whether reading shows a line of progress.

    Raises
    ------
    TableError
        If the file cannot be used; the message says where, what was found and what to do.
    ValueError, TypeError
        If an argument is out of its range.
    """
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    share = checked_number(validation, "validation", below=1.0)
    whole_number(seed, "seed", minimum=0)
    for given, what in ((categorical, "categorical"), (ignore, "ignore")):
        if isinstance(given, str):
            raise TypeError(f"{what} must be a list of columns, got {given!r}")
    reader = Reader(path, separator, verbose)
    kept = collect(reader, target, categorical=categorical, ignore=ignore, decimal=decimal)
    answer = next(column for column in kept if column.name == target)
    kept.remove(answer)
    classes = _as_classes(reader.path, answer, task)
    order, count = split(answer.values if classes is None else classes[1], share, seed, by_class=classes is not None)
    train = order[:count]

    columns, values = zip(*(_learned(reader.path, column, train) for column in kept), strict=True)
    target_schema: ClassTarget | NumberTarget
    y: NDArray[Any]
    if classes is None:
        target_schema = scale = _number_target(reader.path, answer, train)
        require_moderate(reader.path, scale, answer.values)
        y = ((answer.values - scale.mean) / scale.deviation).astype(np.float32)
    else:
        target_schema, y = classes
    schema = Schema(columns, target_schema, decimal)
    X = np.empty((len(order), schema.width), np.float32)
    for begin in range(0, len(order), _ROWS):
        rows = order[begin : begin + _ROWS]
        fill(X[begin : begin + _ROWS], schema, [column[rows] for column in values])
    y = y[order]
    missing = {column.name: _count_missing(column) for column in kept}
    constant = tuple(
        column.name for column, own in zip(columns, values, strict=True) if _is_constant(column, own[train])
    )
    return TrainingTable(
        reader.path,
        reader.separator,
        schema,
        missing,
        constant,
        task == "auto",
        X[:count],
        y[:count],
        X[count:],
        y[count:],
    )


def split(y: NDArray[Any], share: float, seed: int, *, by_class: bool) -> tuple[Rows, int]:
    """All rows in the order training, validation; and how many train.

    Of every class, or of all rows, `share` is kept out, but never all. `random.Random.random` is the one generator of
    which Python promises the same numbers in every version.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Places of classes, if the split is by class.
    share : float
        Of the rows that are kept out.
    seed : int
        Decides which.
    by_class : bool
        Whether every class is split alike.
    """
    generator = random.Random(seed)
    chance = np.fromiter((generator.random() for _ in range(len(y))), np.float64, len(y))
    shuffled = np.argsort(chance, kind="stable")
    out = np.zeros(len(y), bool)
    groups = [shuffled]
    if by_class:
        by_label = shuffled[np.argsort(y[shuffled], kind="stable")]
        groups = np.split(by_label, np.flatnonzero(np.diff(y[by_label])) + 1)
    for group in groups:
        out[group[: min(round(share * len(group)), len(group) - 1)]] = True
    return np.concatenate([np.flatnonzero(~out), np.flatnonzero(out)]), int((~out).sum())


def _as_classes(path: str, answer: Kept, task: Task) -> tuple[ClassTarget, NDArray[np.int64]] | None:
    """The classes of the target and the place of each row's; None where numbers are to be predicted."""
    if answer.categories is not None:
        if task == "regression":
            raise TableError(
                path,
                f"found texts such as {answer.categories[0]!r}, but regression predicts numbers; choose another "
                "--target, or --task classification",
                column=answer.name,
            )
        order = sorted(range(len(answer.categories)), key=answer.categories.__getitem__)
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        names, labels, numeric = [answer.categories[i] for i in order], places[answer.values - 1], False
    else:
        if task == "regression":
            return None
        different, labels = np.unique(answer.values, return_inverse=True)
        whole = bool((different == np.floor(different)).all())
        few = len(different) <= MOST_WHOLE_CLASSES and 2 * len(different) < len(labels)
        if task == "auto" and not (whole and few):
            return None
        if np.abs(different).max() >= _FIRST_DOUBTFUL:
            raise TableError(
                path,
                f"found numbers of {_FIRST_DOUBTFUL:,} and more, which are not told apart; take the column as text "
                f"with --categorical {shlex.quote(answer.name)}, or use --task regression",
                column=answer.name,
            )
        if len(different) > MOST_CATEGORIES:
            raise TableError(
                path,
                f"found {len(different):,} different numbers, too many for classes; use --task regression",
                column=answer.name,
            )
        names, numeric = [_spelled(value) for value in different.tolist()], True
    if len(names) < 2:
        raise TableError(
            path,
            f"found only {names[0]!r} in all {len(labels):,} rows; there is nothing to tell apart, give rows of "
            "another class too",
            column=answer.name,
        )
    return ClassTarget(answer.name, tuple(names), numeric), labels


def _learned(path: str, column: Kept, train: Rows) -> tuple[Column, NDArray[Any]]:
    """What the training rows say of a column; and all its values as `fill` takes them."""
    if column.categories is None:
        numbers = _learned_numbers(path, column.name, column.values[train])
        require_moderate(path, numbers, column.values)
        return numbers, column.values
    counts = np.bincount(column.values[train], minlength=len(column.categories) + 1)
    there = sorted(name for name, count in zip(column.categories, counts[1:], strict=True) if count)
    learned = CategoryColumn(column.name, tuple(there), bool(counts[MISSING_CODE]))
    places = {name: place for place, name in enumerate(there)}
    table = [len(there) if learned.missing else -1, *(places.get(name, -1) for name in column.categories)]
    return learned, np.array(table, np.int32)[column.values]


def _learned_numbers(path: str, name: str, values: Floats) -> NumberColumn:
    there = values[~np.isnan(values)]
    if not len(there):
        return NumberColumn(name, 0.0, 0.0, 1.0)
    mean, deviation = _moments(path, name, there)
    return NumberColumn(name, float(np.median(there)), mean, deviation)


def _number_target(path: str, answer: Kept, train: Rows) -> NumberTarget:
    values = answer.values[train]
    if (values == values[0]).all():
        raise TableError(
            path,
            f"found only {values[0]:g} in the {len(values):,} training rows; there is nothing to predict",
            column=answer.name,
        )
    return NumberTarget(answer.name, *_moments(path, answer.name, values))


def _moments(path: str, name: str, values: Floats) -> tuple[float, float]:
    """Mean and deviation; 1 where all are the same, which rounding may not turn into a tiny one."""
    if (values == values[0]).all():
        return float(values[0]), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    if not 0 < deviation < np.inf or not np.isfinite(mean):
        raise TableError(
            path,
            f"found numbers from {values.min():g} to {values.max():g}, which cannot be standardised; give them in "
            "another unit",
            column=name,
        )
    return mean, deviation


def _spelled(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _count_missing(column: Kept) -> int:
    absent = np.isnan(column.values) if column.categories is None else column.values == MISSING_CODE
    return int(absent.sum())


def _is_constant(column: Column, values: NDArray[Any]) -> bool:
    if isinstance(column, CategoryColumn):
        return column.width == 1
    there = values[~np.isnan(values)]
    return not len(there) or bool((there == there[0]).all())
