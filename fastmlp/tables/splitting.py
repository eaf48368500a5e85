"""Split the rows of a table into rows that train, rows that validate and rows that test."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


class Split(NamedTuple):
    """The indices of the rows of each part, in the order of the file.

    Parameters
    ----------
    training : ndarray
        The rows to train on. There is at least one.
    validation : ndarray
        The rows that choose the best epoch. There may be none.
    test : ndarray
        The rows that choose nothing. There may be none.
    """

    training: Rows
    validation: Rows
    test: Rows


def split(y: NDArray[Any], validation: float, test: float, seed: int, *, by_class: bool) -> Split:
    """Draw the validation rows and the test rows at random.

    The numbers are drawn by `random.Random.random`, the only generator that is guaranteed to give the same numbers in
    every version of Python. The same seed draws the same validation rows whether or not there are test rows.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The class index of each row. If `by_class` is false, only its length is used.
    validation, test : float
        The shares of the rows that validate and that test. Their sum is less than 1.
    seed : int
        Seed of the random numbers.
    by_class : bool
        Whether to take the same shares of each class, rounded so that the whole file has its share, and never all rows
        of a class.
    """
    generator = random.Random(seed)
    numbers = np.fromiter((generator.random() for _ in range(len(y))), np.float64, len(y))
    shuffled = np.argsort(numbers, kind="stable")
    groups = [shuffled]
    if by_class:
        by_label = shuffled[np.argsort(y[shuffled], kind="stable")]
        groups = np.split(by_label, np.flatnonzero(np.diff(y[by_label])) + 1)
    part_of_row = np.zeros(len(y), np.int8)
    before = 0
    for group in groups:
        after = before + len(group)
        first, second = (round(share * after) - round(share * before) for share in (validation, test))
        first = min(first, len(group) - 1)
        second = min(second, len(group) - 1 - first)
        part_of_row[group[:first]] = 1
        part_of_row[group[first : first + second]] = 2
        before = after
    return Split(*(np.flatnonzero(part_of_row == part) for part in range(3)))
