"""From samples to the kernels: the addresses of the user's arrays, or of a buffer into which rows are copied.

A plan's record tells the kernels where X, the targets and the weights lie. Kernel-ready arrays are read in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import (
    FLOAT64,
    INT64,
    RowArray,
    converted_if_small,
    is_kernel_ready,
    row_slices,
    staging_rows,
)
from fastmlp._data.samples import Samples
from fastmlp._data.targets import Targets
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.architecture import Architecture

PIECE_ROWS = 1 << 14  # of X that one call of the kernels reads at most


def point_to_inputs(record: Any, X: NDArray[Any]) -> None:
    """Write the address and the stride of a kernel-ready X into the record of a plan."""
    record.x, record.x_stride = address(X), X.strides[0] // X.itemsize


def point_to_targets(record: Any, targets: Targets, weights: NDArray[np.float64] | None) -> None:
    """Write the addresses and strides of kernel-ready targets and weights into the record of a plan."""
    y = targets.as_array()
    record.labels = 0 if targets.labels is None else address(y)
    if targets.labels is None:
        record.y, record.y_stride = address(y), y.strides[0] // y.itemsize
    record.sample_weights = 0 if weights is None else address(weights)


def kernel_ready_pieces(
    X: RowArray, dtype: np.dtype[Any], rows: int | None = None
) -> Iterable[tuple[int, NDArray[Any]]]:
    """Return kernel-ready pieces of X, each with the number of its first row.

    They are views of a kernel-ready X. Another X is converted if it is small; otherwise the pieces are copies that
    follow each other in one buffer.

    Parameters
    ----------
    X : RowArray of shape (n, inputs)
        The inputs.
    dtype : dtype
        The network's.
    rows : int, optional
        Rows of a piece, where results depend on them. None takes `PIECE_ROWS`, or what fits `STAGE_BYTES` if they are
        copied.
    """
    X = converted_if_small(X, dtype)
    if is_kernel_ready(X, dtype):
        step = rows or PIECE_ROWS
        return [(start, X[start : start + step]) for start in range(0, len(X), step)]
    return _converted_pieces(X, dtype, rows or staging_rows(X.shape[1] * dtype.itemsize, 1))


def _converted_pieces(X: RowArray, dtype: np.dtype[Any], step: int) -> Iterator[tuple[int, NDArray[Any]]]:
    buffer = np.empty((min(step, len(X)), X.shape[1]), dtype)
    for start in range(0, len(X), step):
        count = min(step, len(X) - start)
        with np.errstate(all="ignore"):
            for rows in row_slices(count, buffer[:1].nbytes):
                buffer[rows] = X[start + rows.start : start + rows.stop]
        yield start, buffer[:count]


class StagingBuffer:
    """A buffer for whole batches of rows, in the dtype and layout that kernels read.

    It takes at most about `STAGE_BYTES`, or the memory of one batch if that is more.

    Parameters
    ----------
    architecture : Architecture
        The network that reads the rows.
    batch_size : int
        Rows of a batch. The buffer holds at least one batch.
    has_labels : bool
        Whether the targets are class labels.
    stages_inputs : bool
        False if X is kernel-ready, so that only targets and weights are staged.
    max_rows : int, optional
        The largest number of rows that are needed.

    Attributes
    ----------
    rows : int
        How many rows the buffer holds.

    Raises
    ------
    MemoryError
        If there is no memory for the buffer.
    """

    def __init__(
        self,
        architecture: Architecture,
        batch_size: int,
        has_labels: bool,
        *,
        stages_inputs: bool = True,
        max_rows: int | None = None,
    ) -> None:
        self.architecture, self.has_labels = architecture, has_labels
        inputs = architecture.inputs if stages_inputs else 0
        columns, dtype = architecture.target_columns, architecture.dtype
        y_bytes = INT64.itemsize if has_labels else columns * dtype.itemsize
        self._row_bytes = inputs * dtype.itemsize + y_bytes + FLOAT64.itemsize
        rows = staging_rows(self._row_bytes, batch_size) // batch_size * batch_size
        self.rows = rows if max_rows is None else min(rows, max_rows)
        memory.require(
            self.rows * self._row_bytes,
            f"a buffer that converts batches of {batch_size:,} rows to the layout and dtype of the network",
            "a smaller batch_size would take less",
        )
        self.X = aligned_zeros(self.rows * inputs, dtype).reshape(-1, inputs) if stages_inputs else None
        self.y = aligned_zeros(self.rows * (1 if has_labels else columns), INT64 if has_labels else dtype)
        self.y = self.y if has_labels else self.y.reshape(-1, columns)
        self.weights = aligned_zeros(self.rows, FLOAT64)

    def write(self, start: int, samples: Samples, order: NDArray[np.int64] | None, first: int, last: int) -> None:
        """Copy samples into the buffer from row `start` on: those at the places from `first` to `last` - 1 of `order`.

        Without an order they are the rows from `first` to `last` - 1. They are copied a slice at a time, so that
        temporaries are small.
        """
        X, targets, weights = samples
        for piece in row_slices(last - first, self._row_bytes):
            to = slice(start + piece.start, start + piece.stop)
            rows: Any = slice(first + piece.start, first + piece.stop)
            rows = rows if order is None else order[rows]
            with np.errstate(all="ignore"):
                if self.X is not None:
                    self.X[to] = X[rows]
                self.y[to] = targets.take(rows).as_array()
                self.weights[to] = 1.0 if weights is None else weights[rows]

    def move_to_start(self, first: int, last: int) -> None:
        """Move the rows from `first` to `last` - 1 to the start of the buffer."""
        for array in (self.X, self.y, self.weights):
            if array is not None:
                array[: last - first] = array[first:last].copy()

    def point_to(self, record: Any, weighted: bool) -> None:
        """Write the addresses of the buffer into the record of a plan; those of the weights only if `weighted`."""
        labels, values = (self.y, None) if self.has_labels else (None, self.y)
        targets = Targets(labels, values, self.architecture)
        point_to_targets(record, targets, self.weights if weighted else None)
        if self.X is not None:
            point_to_inputs(record, self.X)
