"""Row numbers: the order of the rows in an epoch, and the split into rows that train and rows that validate.

Both are shuffled by the kernels' random numbers, so that seed and epoch decide them. Row numbers take 8 bytes a row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import INT64, row_slices
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address
from fastmlp.kernels.operations import random


def require_order_memory(rows: int) -> None:
    """Raise MemoryError if there is no memory for the numbers of that many rows."""
    advice = "fewer rows would take less, and shuffle=False without validation_split nothing"
    memory.require(INT64.itemsize * rows, "the order of the rows", advice)


def number_rows(order: NDArray[np.int64]) -> None:
    """Fill the array with 0, 1, 2 ..., a slice at a time, so that temporaries are small."""
    for piece in row_slices(len(order), order.itemsize):
        order[piece] = np.arange(piece.start, piece.stop)


def shuffle_epoch(order: NDArray[np.int64], seed: int, epoch: int, chunk: int = 0) -> None:
    """Shuffle row numbers in place for an epoch, as kernels do; of chunks, each is shuffled by its number too."""
    _permute(order, seed, random.SHUFFLE_DRAW, epoch, chunk)


def split_rows(rows: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the rows that train and of the rows that validate, each in ascending order.

    Parameters
    ----------
    rows : int
        The number of rows.
    share : float
        The share of the rows that validate. At least one row trains and at least one validates.
    seed : int
        The seed of the network, which decides the split.

    Raises
    ------
    ValueError
        If there are fewer than 2 rows.
    MemoryError
        If there is no memory for the row numbers.
    """
    if rows < 2:
        raise ValueError(f"validation_split needs at least 2 rows, got {rows}")
    require_order_memory(rows)
    order = np.arange(rows)
    _permute(order, seed, random.SPLIT_DRAW, 0, 0)
    count = min(max(round(rows * share), 1), rows - 1)
    validation, training = order[:count], order[count:]
    validation.sort()
    training.sort()
    return training, validation


def _permute(order: NDArray[np.int64], seed: int, purpose: int, counter: int, part: int) -> None:
    random.permute.function_for(INT64)(address(order), len(order), seed, purpose, counter, part)
