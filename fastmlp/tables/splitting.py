"""Split the rows of a table into training and validation rows."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


def split(y: NDArray[Any], share: float, seed: int, *, by_class: bool) -> tuple[Rows, int]:
    """Draw the validation rows at random.

    The validation rows are a share of each class, or of all rows, but never all of them. The numbers are drawn by
    `random.Random.random`, the only generator that is guaranteed to give the same numbers in every version of Python.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The class index of each row. If `by_class` is false, only its length is used.
    share : float
        The share of the rows that validate.
    seed : int
        Seed of the random numbers.
    by_class : bool
        Whether to take the same share of each class.

    Returns
    -------
    order : ndarray of shape (n,)
        The indices of the training rows, then of the validation rows, each in the order of the file.
    count : int
        The number of training rows.
    """
    generator = random.Random(seed)
    numbers = np.fromiter((generator.random() for _ in range(len(y))), np.float64, len(y))
    shuffled = np.argsort(numbers, kind="stable")
    groups = [shuffled]
    if by_class:
        by_label = shuffled[np.argsort(y[shuffled], kind="stable")]
        groups = np.split(by_label, np.flatnonzero(np.diff(y[by_label])) + 1)
    validates = np.zeros(len(y), bool)
    for group in groups:
        validates[group[: min(round(share * len(group)), len(group) - 1)]] = True
    return np.concatenate([np.flatnonzero(~validates), np.flatnonzero(validates)]), int((~validates).sum())
