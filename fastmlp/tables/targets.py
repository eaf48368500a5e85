"""Decide between classification and regression by the target column, and describe the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.option_names import option
from fastmlp.tables.column_statistics import mean_and_deviation
from fastmlp.tables.columns import ColumnValues
from fastmlp.tables.encode import check_magnitude
from fastmlp.tables.errors import TableError, warn
from fastmlp.tables.matching import CategoryIndex, find_match, finite_number, key, merge
from fastmlp.tables.schema import ClassTarget, NumberTarget
from fastmlp.tables.splitting import Rows

Task = Literal["auto", "classification", "regression"]
TASKS = ("auto", "classification", "regression")

MAX_INTEGER_CLASSES = 20
"""With the task "auto", a target of at most so many different whole numbers holds classes."""


def class_target(
    path: str, target: ColumnValues, task: Task, decimal: str
) -> tuple[ClassTarget, NDArray[np.int64]] | None:
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
    decimal : {".", ","}
        The decimal sign.

    Warns
    -----
    TableWarning
        If there is only one class.

    Raises
    ------
    TableError
        If the target does not suit the task.
    """
    texts = target
    if target.categories is None:
        if task == "regression":
            return None
        values = np.unique(target.values)
        if task == "auto" and not _are_classes(values, len(target.values)):
            return None
        if target.as_categories is None:
            raise _too_many_error(path, target.name, len(values))
        texts = target.as_categories
    elif task == "regression":
        raise TableError(
            path,
            f"found texts such as {target.categories[0]!r}, but regression predicts numbers; choose another target "
            f"with {option('target')}, or use {option('task', 'classification')}",
            column=target.name,
        )
    assert texts.categories is not None
    schema = _learn_classes(target.name, texts.categories, decimal)
    if schema.outputs == 1:
        text = f"found the class {schema.classes[0]!r} in every row, so every prediction will be this class"
        warn(path, f"{text}; add rows of another class", column=target.name)
    index = CategoryIndex(schema.classes, schema.match, decimal)
    labels = index.indices(texts.categories).astype(np.int64)[texts.values - 1]  # the codes begin at 1
    return schema, labels


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
            f"another target with {option('target')}, or give more rows",
            column=target.name,
        )
    schema = NumberTarget(target.name, *mean_and_deviation(path, target.name, values))
    check_magnitude(path, schema, target.values)
    return schema, ((target.values - schema.mean) / schema.deviation).astype(np.float32)


def _learn_classes(name: str, texts: Sequence[str], decimal: str) -> ClassTarget:
    """Return the classes of a target with these different texts, in the order of their values or texts."""
    match = find_match(texts, decimal)
    merged = merge(texts, match, decimal)
    names = sorted(merged.values())
    if match == "truth":
        names.sort(key=lambda text: key(text, match, decimal) == 1)
    elif all(finite_number(text, decimal) is not None for text in texts):
        names.sort(key=lambda text: finite_number(text, decimal) or 0.0)
    return ClassTarget(name, tuple(names), match)


def _are_classes(values: NDArray[Any], rows: int) -> bool:
    """Return whether the different numbers of a target are taken for classes."""
    whole = bool((values == np.floor(values)).all())
    return whole and len(values) <= MAX_INTEGER_CLASSES and 2 * len(values) < rows


def _too_many_error(path: str, name: str, count: int) -> TableError:
    return TableError(
        path,
        f"found {count:,} different numbers, which are too many for classes; use {option('task', 'regression')}",
        column=name,
    )
