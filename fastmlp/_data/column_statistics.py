"""The mean and the standard deviation of each column of some rows, in float64, a part of the rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import FLOAT64, converted


def means_and_deviations(
    pieces: Callable[[], Iterable[NDArray[Any]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means and the standard deviations (columns,) of rows of finite numbers.

    A column of equal numbers has the deviation 1. It is a case of its own: rounding may give it a tiny deviation.

    Parameters
    ----------
    pieces : function
        Returns the rows, piece after piece; it is called twice.

    Raises
    ------
    ValueError
        If numbers are so large that their sum or the squares of their deviations overflow in float64.
    """
    rows, equal, total, squares = 0, np.array(True), np.array(0.0), np.array(0.0)
    first: Any = None
    with np.errstate(all="ignore"):
        for piece in pieces():
            values = converted(piece, FLOAT64)
            first = values[0].copy() if first is None else first
            rows += len(values)
            total = total + values.sum(axis=0)
            equal = equal & (values == first).all(axis=0)
        means = np.where(equal, first, total / rows)
        for piece in pieces():
            squares = squares + ((converted(piece, FLOAT64) - means) ** 2).sum(axis=0)
        deviations = np.where(equal, 1.0, np.sqrt(squares / rows))
    wrong = ~(np.isfinite(means) & np.isfinite(deviations))
    if wrong.any():
        column = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"column {column} has numbers too large for its mean and deviation in float64")
    return means, deviations
