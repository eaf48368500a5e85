"""The data of a fit: from the arguments of `Network.fit` to a source of training rows and the validation samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import rows_of
from fastmlp._data.chunks import ChunkData, ChunkSource
from fastmlp._data.feeds import ORDER_BYTES, ORDER_OF_ROWS, ArrayData, permute
from fastmlp._data.samples import Samples, check_samples
from fastmlp._data.weights import chosen_weights, class_table, with_class_weights
from fastmlp._runtime import memory
from fastmlp._runtime.checks import number
from fastmlp.architecture import Architecture
from fastmlp.kernels.operations import random


class TrainingData(NamedTuple):
    """The checked data of one fit.

    Parameters
    ----------
    source : ArrayData or ChunkData
        The rows that train; `source.feed` makes the feed that brings them to the kernels.
    validation : Samples or None
        The rows that are evaluated after each epoch.
    """

    source: ArrayData | ChunkData
    validation: Samples | None


def check_training_data(
    X: ArrayLike | ChunkSource,
    y: ArrayLike | None,
    architecture: Architecture,
    *,
    epochs: int,
    sample_weight: ArrayLike | None,
    class_weight: Mapping[int, float] | None,
    validation_data: Sequence[Any] | None,
    validation_split: float,
) -> TrainingData:
    """Check all arguments of `Network.fit` that are about data, and set validation rows aside.

    Arrays are checked whole, a piece at a time. Chunks are checked when they are asked for.

    Parameters
    ----------
    X, y, sample_weight, class_weight, validation_data, validation_split
        The arguments of `Network.fit`; if y is None, X gives chunks.
    architecture : Architecture
        The network that the data must suit. Its seed decides which rows `validation_split` sets aside.
    epochs : int
        The number of epochs, since an iterator of chunks allows only one.

    Raises
    ------
    TypeError
        If an argument has a wrong type or does not hold real numbers.
    ValueError
        If an argument does not suit the network, or two arguments exclude each other.
    MemoryError
        If there is no memory for the order of the rows.
    """
    validation = check_validation_data(validation_data, validation_split, architecture)
    table = class_table(class_weight, architecture)
    if y is None:
        return TrainingData(ChunkData(X, epochs, architecture, table, sample_weight, validation_split), validation)
    samples = check_samples(X, y, sample_weight, architecture)
    rows = None
    if validation_split:
        rows, held_out = split_rows(len(samples.X), validation_split, architecture.seed)
        validation = _selected(samples, held_out, architecture.dtype)
    weights = with_class_weights(samples.weights, table, samples.targets)
    return TrainingData(ArrayData(samples.X, samples.targets, weights, rows), validation)


def check_validation_data(
    validation_data: Sequence[Any] | None, validation_split: float, architecture: Architecture
) -> Samples | None:
    """Check `validation_data` and `validation_split`; return the samples of `validation_data`.

    Raises
    ------
    TypeError
        If `validation_data` is no tuple, or does not hold real numbers.
    ValueError
        If `validation_split` is not from 0 to below 1, both are given, or the samples do not suit the network.
    """
    share = number(validation_split, "validation_split", below=1.0)
    if validation_data is None:
        return None
    if share:
        raise ValueError("give validation_data or validation_split, not both")
    wanted = "validation_data must be a tuple (X, y) or (X, y, sample_weight)"
    if not isinstance(validation_data, (tuple, list)):
        raise TypeError(f"{wanted}, got {type(validation_data).__name__}")
    if len(validation_data) not in (2, 3):
        raise ValueError(f"{wanted}, got {len(validation_data)} entries")
    X, y, sample_weight = (*validation_data, None)[:3]
    return check_samples(X, y, sample_weight, architecture, " of validation_data")


def split_rows(rows: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the rows that train, and of those that are held out, each in ascending order.

    Raises
    ------
    ValueError
        If there are less than 2 rows.
    MemoryError
        If there is no memory for the row numbers, 8 bytes each.
    """
    if rows < 2:
        raise ValueError(f"validation_split needs at least 2 rows, got {rows}")
    memory.require(ORDER_BYTES * rows, *ORDER_OF_ROWS)
    order = np.arange(rows)
    permute(order, seed, random.SPLIT_DRAW)
    count = min(max(round(rows * share), 1), rows - 1)
    held_out, training = order[:count], order[count:]
    held_out.sort()
    training.sort()
    return training, held_out


def _selected(samples: Samples, rows: NDArray[np.int64], dtype: np.dtype[Any]) -> Samples:
    """Return some of the samples: copies if they are small, else references to the rows of the user's arrays."""
    X, targets, weights = samples
    return Samples(rows_of(X, rows, dtype), targets.choose(rows), chosen_weights(weights, rows))
