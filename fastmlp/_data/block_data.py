"""Training on large arrays by blocks: runs of rows in random order, instead of rows in random order.

A shuffled epoch of a memory-mapped file that is larger than memory reads a page of the disk for every row. Here an
epoch reads runs of rows, of 2 MB, in an order of its own. Some runs make a chunk, whose rows are shuffled among each
other, and which a thread reads ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.batch_source import UNKNOWN_LENGTH
from fastmlp._data.chunk_feed import ChunkFeed
from fastmlp._data.order import shuffle_epoch
from fastmlp._data.read_ahead import read_ahead
from fastmlp._data.samples import Samples
from fastmlp._runtime import memory
from fastmlp._runtime.user_warnings import warn_user

RUN_BYTES = 1 << 21  # of X; a disk reads runs of 1 to 4 MB nearly as fast as a whole file
RUNS = 8  # of a chunk, among which rows are shuffled
_RUN_ORDER = 1 << 40  # in place of the number of a chunk: the draws of the order of runs


class BlockData:
    """Checked samples to train on by blocks.

    Parameters
    ----------
    samples : Samples
        The samples. Their weights are already multiplied by the class weights.
    training_rows : ndarray of int64, or None
        The numbers of the rows that train, in ascending order; None for all.
    prefetch : int
        How many chunks are read ahead.

    Attributes
    ----------
    rows_per_epoch : int
        The number of rows that train.
    """

    def __init__(self, samples: Samples, training_rows: NDArray[np.int64] | None, prefetch: int) -> None:
        self.samples, self.training_rows, self.prefetch = samples, training_rows, prefetch
        self.architecture = samples.targets.architecture
        self.rows_per_epoch = len(samples.X) if training_rows is None else len(training_rows)

    def identity(self, batch_size: int) -> tuple[int, int, int]:
        """Return rows, batch size and fingerprint of an epoch, which never equal those of arrays."""
        return UNKNOWN_LENGTH, batch_size, 0

    def feed(self, record: Any, state: Any, batch_size: int, shuffle: bool) -> ChunkFeed:
        """Return the feed that provides the blocks to the kernels."""
        return ChunkFeed(self, record, state, batch_size, shuffle)

    def iterate(self, seed: int, epoch: int) -> Iterator[Samples]:
        """Return an iterator over the chunks of an epoch, which may read ahead."""
        return read_ahead(self._chunks(seed, epoch), self.prefetch)

    def _chunks(self, seed: int, epoch: int) -> Iterator[Samples]:
        rows, X = self.rows_per_epoch, self.samples.X
        length = max(RUN_BYTES // max(X.shape[1] * X.dtype.itemsize, 1), 1)
        starts = np.arange(0, rows, length)
        shuffle_epoch(starts, seed, epoch, _RUN_ORDER)
        for first in range(0, len(starts), RUNS):
            yield self._chunk([slice(start, min(start + length, rows)) for start in starts[first : first + RUNS]])

    def _chunk(self, runs: list[slice]) -> Samples:
        """Return the rows of some runs, each read in sequence, even if some rows in it do not train."""
        X, targets, weights = self.samples
        taken = np.empty((sum(run.stop - run.start for run in runs), X.shape[1]), X.dtype)
        parts, place = [], 0
        for run in runs:
            rows: Any = run if self.training_rows is None else self.training_rows[run]
            parts.append((targets.take(rows), None if weights is None else weights[rows]))
            into = taken[place : place + run.stop - run.start]
            into[...] = X[run] if self.training_rows is None else X[rows[0] : rows[-1] + 1][rows - rows[0]]
            place += len(into)
        joined = None if weights is None else np.concatenate([np.asarray(part) for _, part in parts])
        return Samples(taken, targets.joined([part for part, _ in parts]), joined)


def advise_blocks(X: Any) -> None:
    """Warn if the rows of a memory-mapped file that is larger than memory are about to be read in random order."""
    base = X
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    if base is None or X.nbytes < memory.CHECKED_FROM:
        return
    left, owner = memory.available()
    if X.nbytes > left:
        warn_user(
            f"X is a memory-mapped file of {memory.gigabytes(X.nbytes)}, but {owner} has {memory.gigabytes(left)} of "
            "memory left; each epoch reads its rows in random order, a page of the disk for each. shuffle='blocks' "
            "reads runs of rows in random order"
        )
