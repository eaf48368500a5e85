"""Decide between classification and regression by the target column, and describe the target."""

from __future__ import annotations

import shlex
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastmlp.tables.column_checks import MAX_CATEGORIES
from fastmlp.tables.column_statistics import mean_and_deviation
from fastmlp.tables.columns import ColumnValues
from fastmlp.tables.encode import check_magnitude
from fastmlp.tables.errors import TableError
from fastmlp.tables.schema import ClassTarget, NumberTarget
from fastmlp.tables.splitting import Rows

Task = Literal["auto", "classification", "regression"]
TASKS = ("auto", "classification", "regression")

MAX_INTEGER_CLASSES = 20
"""With the task "auto", a target of at most so many different whole numbers holds classes."""

_FIRST_INEXACT = 2**53  # float64 cannot represent the next whole number


def class_target(path: str, target: ColumnValues, task: Task) -> tuple[ClassTarget, NDArray[np.int64]] | None:
    """Return the classes of the target and the class index of each row. None if the task is regression.

    Parameters
    ----------
    path : str
        Path of the file, for messages.
    target : ColumnValues
        All values of the target column.
    task : {"auto", "classification", "regression"}
        With "auto" the values decide: classification for texts, and for whole numbers of at most 20 different values
        and fewer than half as many as rows.

    Raises
    ------
    TableError
        If the target does not suit the task, or has only one class.
    """
    if target.categories is not None:
        if task == "regression":
            raise TableError(
                path,
                f"found texts such as {target.categories[0]!r}, but regression predicts numbers; choose another "
                "target with --target, or use --task classification",
                column=target.name,
            )
        names, labels = _classes_of_texts(target.categories, target.values)
    else:
        if task == "regression":
            return None
        values, labels = np.unique(target.values, return_inverse=True)
        if task == "auto" and not _are_classes(values, len(labels)):
            return None
        names = _classes_of_numbers(path, target.name, values)
    if len(names) < 2:
        raise TableError(
            path,
            f"found the class {names[0]!r} in every row, but classification needs at least two classes; add rows of "
            "another class",
            column=target.name,
        )
    return ClassTarget(target.name, tuple(names), target.categories is None), labels


def number_target(path: str, target: ColumnValues, train: Rows) -> tuple[NumberTarget, NDArray[np.float32]]:
    """Return the mean and deviation of the target in the training rows, and the standardised target of all rows.

    Parameters
    ----------
    path : str
        Path of the file, for messages.
    target : ColumnValues
        All values of the target column, which are numbers.
    train : ndarray
        The indices of the training rows.

    Raises
    ------
    TableError
        If all numbers in the training rows are equal, or the numbers cannot be standardised.
    """
    values = target.values[train]
    if (values == values[0]).all():
        raise TableError(
            path,
            f"found only {values[0]:g} in the {len(values):,} training rows, so there is nothing to predict; choose "
            "another target with --target, or give more rows",
            column=target.name,
        )
    schema = NumberTarget(target.name, *mean_and_deviation(path, target.name, values))
    check_magnitude(path, schema, target.values)
    return schema, ((target.values - schema.mean) / schema.deviation).astype(np.float32)


def _classes_of_texts(categories: tuple[str, ...], codes: NDArray[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the categories, sorted, and the index of each row's category. The codes begin at 1."""
    order = sorted(range(len(categories)), key=categories.__getitem__)
    index_of_code = np.empty(len(order), np.int64)
    index_of_code[order] = np.arange(len(order))
    return [categories[i] for i in order], index_of_code[codes - 1]


def _are_classes(values: NDArray[Any], rows: int) -> bool:
    """Return whether the different numbers of a target are taken for classes."""
    whole = bool((values == np.floor(values)).all())
    return whole and len(values) <= MAX_INTEGER_CLASSES and 2 * len(values) < rows


def _classes_of_numbers(path: str, name: str, values: NDArray[Any]) -> list[str]:
    """Return the names of classes that are numbers."""
    if np.abs(values).max() >= _FIRST_INEXACT:
        raise TableError(
            path,
            f"found numbers of {_FIRST_INEXACT:,} and more, which float64 cannot tell apart; read the column as "
            f"categories with --categorical {shlex.quote(name)}, or use --task regression",
            column=name,
        )
    if len(values) > MAX_CATEGORIES:
        raise TableError(
            path,
            f"found {len(values):,} different numbers, which are too many for classes; use --task regression",
            column=name,
        )
    return [str(int(value)) if value == int(value) else repr(value) for value in values.tolist()]
