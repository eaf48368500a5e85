"""Compute what the training rows say about a column: median, mean and deviation, or categories."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.tables.columns import ColumnValues
from fastmlp.tables.encode import category_index, check_magnitude
from fastmlp.tables.errors import TableError
from fastmlp.tables.matching import find_match, merge
from fastmlp.tables.schema import CategoryColumn, Column, NumberColumn
from fastmlp.tables.splitting import Rows
from fastmlp.tables.values import MISSING_CODE, Floats


def learn_column(path: str, column: ColumnValues, train: Rows, decimal: str) -> tuple[Column, NDArray[Any]]:
    """Compute the statistics of a column from the training rows.

    Parameters
    ----------
    path : str
        Path of the file, for messages.
    column : ColumnValues
        All values of the column.
    train : ndarray
        The indices of the training rows.
    decimal : {".", ","}
        The decimal sign.

    Returns
    -------
    schema : NumberColumn or CategoryColumn
        The statistics.
    values : ndarray of shape (n,)
        All values of the column as `encode_columns` takes them: numbers, or indices of categories.

    Raises
    ------
    TableError
        If the numbers cannot be standardised.
    """
    if column.categories is None:
        numbers = _learn_numbers(path, column.name, column.values[train])
        check_magnitude(path, numbers, column.values)
        return numbers, column.values
    counts = np.bincount(column.values[train], minlength=len(column.categories) + 1)
    present = [name for name, count in zip(column.categories, counts[1:], strict=True) if count]
    match = find_match(present, decimal)
    names = sorted(merge(present, match, decimal).values())
    schema = CategoryColumn(column.name, tuple(names), bool(counts[MISSING_CODE]), match)
    index_of_code = category_index(schema, decimal).indices(["", *column.categories])
    return schema, index_of_code[column.values]


def mean_and_deviation(path: str, name: str, values: Floats) -> tuple[float, float]:
    """Return the mean and standard deviation of numbers. The deviation is 1 if all numbers are equal.

    Equal numbers are a case of their own, because rounding may give them a tiny deviation instead of 0.

    Raises
    ------
    TableError
        If the mean or the deviation is not finite in float64, or the deviation is 0.
    """
    if (values == values[0]).all():
        return float(values[0]), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    if not 0 < deviation < np.inf or not np.isfinite(mean):
        raise TableError(
            path,
            f"found numbers from {values.min():g} to {values.max():g}, which cannot be standardised in float64; give "
            "them in another unit",
            column=name,
        )
    return mean, deviation


def is_constant(column: Column, values: NDArray[Any]) -> bool:
    """Return whether a column has the same value in all training rows, missing numbers excluded.

    Parameters
    ----------
    column : NumberColumn or CategoryColumn
        The statistics of the column.
    values : ndarray
        Its values in the training rows.
    """
    if isinstance(column, CategoryColumn):
        return column.width == 1
    present = values[~np.isnan(values)]
    return not len(present) or bool((present == present[0]).all())


def _learn_numbers(path: str, name: str, values: Floats) -> NumberColumn:
    present = values[~np.isnan(values)]
    if not len(present):
        return NumberColumn(name, 0.0, 0.0, 1.0)
    mean, deviation = mean_and_deviation(path, name, present)
    truth = bool(((present == 0) | (present == 1)).all())
    return NumberColumn(name, float(np.median(present)), mean, deviation, truth)
