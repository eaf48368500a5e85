"""The mean and the standard deviation of each column of X, in float64, a part of the rows at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import FLOAT64, RowArray, converted, row_slices


def means_and_deviations(X: RowArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means and the standard deviations (columns,) of X (n, columns), which holds finite numbers.

    A column of equal numbers has the deviation 1. It is a case of its own: rounding may give it a tiny deviation.

    Raises
    ------
    ValueError
        If numbers are so large that the squares of their deviations overflow in float64.
    """
    rows, columns = X.shape
    slices = list(row_slices(rows, columns * FLOAT64.itemsize))
    first = converted(X[:1], FLOAT64)[0]
    total, squares, equal = np.zeros(columns), np.zeros(columns), np.ones(columns, bool)
    with np.errstate(all="ignore"):
        for piece in slices:
            values = converted(X[piece], FLOAT64)
            total += values.sum(axis=0)
            equal &= (values == first).all(axis=0)
        means = np.where(equal, first, total / rows)
        for piece in slices:
            squares += ((converted(X[piece], FLOAT64) - means) ** 2).sum(axis=0)
        deviations = np.where(equal, 1.0, np.sqrt(squares / rows))
    wrong = ~(np.isfinite(means) & np.isfinite(deviations))
    if wrong.any():
        column = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"column {column} has numbers too large for its mean and deviation in float64")
    return means, deviations
