"""Training on arrays: kernels read them in place, or a staging buffer is filled with the rows of the next steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import converted_if_small, is_kernel_ready
from fastmlp._data.order import number_rows, require_order_memory, shuffle_epoch
from fastmlp._data.samples import Samples
from fastmlp._data.staging import StagingBuffer, point_to_inputs, point_to_targets
from fastmlp._data.weights import weights_are_kernel_ready
from fastmlp._runtime.buffers import address


class ArrayData:
    """Checked samples to train on.

    Parameters
    ----------
    samples : Samples
        The samples. Their weights are already multiplied by the class weights.
    training_rows : ndarray of int64, or None
        The numbers of the rows that train; None for all.

    Attributes
    ----------
    rows_per_epoch : int
        The number of rows that train.
    """

    def __init__(self, samples: Samples, training_rows: NDArray[np.int64] | None = None) -> None:
        self.samples, self.training_rows = samples, training_rows
        self.rows_per_epoch = len(samples.X) if training_rows is None else len(training_rows)

    def identity(self, batch_size: int) -> tuple[int, int, int]:
        """Return rows, batch size and fingerprint of an epoch: an interrupted epoch is resumed if they are equal."""
        return self.rows_per_epoch, batch_size, self.samples.fingerprint()

    def feed(self, record: Any, state: Any, batch_size: int, shuffle: bool) -> ArrayFeed:
        """Return the feed that provides the samples to the kernels."""
        return ArrayFeed(self, record, state, batch_size, shuffle)


class ArrayFeed:
    """The batches of arrays: a `BatchSource`.

    If X, the targets and the weights are all kernel-ready, kernels read them in place and make the order of each epoch.
    If X alone is kernel-ready, it is read in place, and targets and weights are staged in the order of the epoch.
    Else all are staged. An X that is not kernel-ready is copied as a whole, once, if the copy is small; a large one
    remains where it is. The order of the rows takes 8 bytes a row more, unless the rows are read in sequence.

    Parameters
    ----------
    data : ArrayData
        The samples, and the rows that train.
    record : record of `fastmlp.kernels.tables.Plan`
        The record of the plan that trains; its fields about data are written.
    state : record of `fastmlp.kernels.tables.State`
        The state of training, which is read.
    batch_size : int
        Rows of a step.
    shuffle : bool
        Whether each epoch has an order of its own.

    Raises
    ------
    MemoryError
        If there is no memory for the order of the rows or for the buffer.
    """

    streamed = False

    def __init__(self, data: ArrayData, record: Any, state: Any, batch_size: int, shuffle: bool) -> None:
        self.record, self.state, self.batch_size, self.shuffle = record, state, batch_size, shuffle
        samples, self.training_rows, rows = data.samples, data.training_rows, data.rows_per_epoch
        architecture = samples.targets.architecture
        self.rows_per_epoch: int | None = rows
        self.steps_per_epoch = -(-rows // batch_size)
        self.order = None
        if shuffle or self.training_rows is not None:
            require_order_memory(rows)
            self.order = np.empty(rows, np.int64)
        self.samples = samples = samples._replace(X=converted_if_small(samples.X, architecture.dtype))
        self._write_order(record, rows)
        if X_ready := is_kernel_ready(samples.X, architecture.dtype):
            point_to_inputs(record, samples.X)
        if X_ready and samples.targets.kernel_ready and weights_are_kernel_ready(samples.weights):
            self._buffer: StagingBuffer | None = None
            point_to_targets(record, samples.targets, samples.weights)
            return
        has_labels = samples.targets.labels is not None
        self._buffer = StagingBuffer(architecture, batch_size, has_labels, stages_inputs=not X_ready, max_rows=rows)
        self._staged_epoch, self._staged_from, self._staged_to = -1, 0, 0
        record.shuffles, record.training_rows = 0, record.order  # the order is made here; kernels do not change it
        if not X_ready:
            record.order = 0

    def _write_order(self, record: Any, rows: int) -> None:
        """Write into the plan's record which rows an epoch has, and in which order kernels take them."""
        record.batch_size, record.samples, record.epoch_ready = self.batch_size, rows, 0
        record.staged_from, record.targets_from = 0, -1
        record.shuffles, record.order = self.shuffle, 0 if self.order is None else address(self.order)
        record.training_rows = 0 if self.training_rows is None else address(self.training_rows)

    def stage(self, steps: int) -> int:
        """Make the rows of the next steps available; return for how many steps, from 1 to `steps`.

        Raises
        ------
        ValueError
            If a label has changed since the check and is no class now.
        """
        if self._buffer is None:
            return steps
        epoch, first = int(self.state.epoch), int(self.state.batch) * self.batch_size
        if epoch != self._staged_epoch:
            self._order_epoch(epoch)
        if not (self._staged_epoch == epoch and self._staged_from <= first < self._staged_to):
            self._fill_buffer(self._buffer, epoch, first)
        return min(steps, -(-(self._staged_to - first) // self.batch_size))

    def close(self) -> None:
        """Do nothing: arrays need not be closed."""

    def _order_epoch(self, epoch: int) -> None:
        """Make the order of an epoch, as kernels do for arrays that they read in place."""
        if self.order is None:
            return
        if self.training_rows is None:
            number_rows(self.order)
        else:
            self.order[:] = self.training_rows
        if self.shuffle:
            shuffle_epoch(self.order, int(self.state.seed), epoch)

    def _fill_buffer(self, buffer: StagingBuffer, epoch: int, first: int) -> None:
        """Stage as many rows of the epoch as the buffer holds, from place `first` of the order on."""
        assert self.rows_per_epoch is not None
        last = min(first + buffer.rows, self.rows_per_epoch)
        self._staged_epoch = -1  # until the buffer is filled
        buffer.write(0, self.samples, self.order, first, last)
        buffer.point_to(self.record, weighted=self.samples.weights is not None)
        if buffer.X is None:
            self.record.targets_from = first
        else:
            self.record.staged_from = first
        self._staged_epoch, self._staged_from, self._staged_to = epoch, first, last
