"""Where the kernels find the rows of a training: the user's arrays themselves, or a buffer that is filled in turn."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import (
    Table,
    Targets,
    lies_ready,
    mark,
    pieces,
    ready_if_small,
    stage_rows,
)
from fastmlp._data.weights import Weights, lie_ready
from fastmlp._engine.plan import Plan
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.kernels.operations import random

ORDER_BYTES = 8  # of a row
ORDER_OF_ROWS = ("the order of the rows", "fewer rows, or without validation_split shuffle=False, would take less")

_INT64 = np.dtype(np.int64)


class BatchSource(Protocol):
    """What a trainer asks for data.

    Attributes
    ----------
    batch_size : int
        Rows of a step.
    samples : int or None
        Rows of an epoch; None while no epoch has shown how many there are.
    steps_per_epoch : int
        Of the epoch under way; a huge number while that is unknown.
    streamed : bool
        Whether each epoch shows only at its end how many rows it has.
    """

    batch_size: int
    samples: int | None
    steps_per_epoch: int
    streamed: bool

    def stage(self, steps: int) -> int:
        """Make the data of the next steps available; returns of how many, at least one."""


class ArrayData:
    """Checked arrays to train on.

    Parameters
    ----------
    X, targets, weights
        The checked data; the weights contain those of classes.
    rows : ndarray of int64, or None
        The rows that train; None for all.
    """

    def __init__(self, X: Table, targets: Targets, weights: Weights | None, rows: NDArray[np.int64] | None) -> None:
        self.X, self.targets, self.weights, self.rows = X, targets, weights, rows
        self.samples = len(X) if rows is None else len(rows)

    def identity(self, batch_size: int) -> tuple[int, int, int]:
        """What an epoch that was interrupted must have been of, to be gone on with."""
        return self.samples, batch_size, mark(self.X, self.targets)

    def feed(self, plan: Plan, batch_size: int, shuffle: bool) -> ArrayFeed:
        """What brings them to the kernels."""
        return ArrayFeed(plan, self.X, self.targets, self.weights, self.rows, batch_size, shuffle)


class ArrayFeed:
    """Puts the user's rows where the kernels read them: in place, or staged piece by piece in the epoch's order.

    Parameters
    ----------
    plan : Plan
        Whose words on the data are filled.
    X, targets, weights
        The checked data.
    rows : ndarray of int64, or None
        The rows that train; None for all.
    batch_size : int
        Rows of a step.
    shuffle : bool
        Whether each epoch has its own order.
    """

    streamed = False

    def __init__(
        self,
        plan: Plan,
        X: Table,
        targets: Targets,
        weights: Weights | None,
        rows: NDArray[np.int64] | None,
        batch_size: int,
        shuffle: bool,
    ) -> None:
        self.plan = plan
        self.batch_size = batch_size
        self.samples: int | None = len(X) if rows is None else len(rows)
        self.steps_per_epoch = -(-self.samples // batch_size)
        self.rows, self.shuffle = rows, shuffle
        self.order = None
        if shuffle or rows is not None:
            memory.require(ORDER_BYTES * self.samples, *ORDER_OF_ROWS)
            self.order = np.empty(self.samples, np.int64)
        dtype = plan.parameters.architecture.dtype
        self.X, self.targets, self.weights = ready_if_small(X, dtype), targets, weights
        record = plan.record
        record.batch_size, record.samples, record.epoch_ready = batch_size, self.samples, 0
        record.staged_from, record.targets_from = 0, -1
        record.shuffles, record.order = shuffle, 0 if self.order is None else address(self.order)
        record.training_rows = 0 if rows is None else address(rows)
        if X_ready := lies_ready(self.X, dtype):
            point_to_inputs(plan, self.X)
        if X_ready and targets.ready and lie_ready(weights):
            self.staged = False
            point_to_targets(plan, targets, weights)
            return
        self.staged = True
        self._stage = StagingBuffer(plan, batch_size, targets.labels is not None, X=not X_ready, most=self.samples)
        self._staged_epoch, self._staged_from, self._staged_to = -1, 0, 0
        record.shuffles, record.training_rows = 0, record.order  # the order is made here and not changed
        if not X_ready:
            record.order = 0

    def stage(self, steps: int) -> int:
        """Make the data of the next steps available; returns of how many."""
        if not self.staged:
            return steps
        state = self.plan.parameters.state
        epoch, first = int(state.epoch), int(state.batch) * self.batch_size
        if epoch != self._staged_epoch:
            self._order_epoch(epoch)
        if not (self._staged_epoch == epoch and self._staged_from <= first < self._staged_to):
            self._fill_stage(epoch, first)
        return min(steps, -(-(self._staged_to - first) // self.batch_size))

    def _order_epoch(self, epoch: int) -> None:
        if self.order is None:
            return
        if self.rows is None:
            number_rows(self.order)
        else:
            self.order[:] = self.rows
        if self.shuffle:
            permute(self.order, int(self.plan.parameters.state.seed), random.SHUFFLE_DRAW, epoch)

    def _fill_stage(self, epoch: int, first: int) -> None:
        assert self.samples is not None
        last = min(first + self._stage.rows, self.samples)
        self._staged_epoch = -1  # until it is filled
        self._stage.put(0, self.X, self.targets, self.weights, self.order, first, last)
        self._stage.point_to(weighted=self.weights is not None)
        if self._stage.X is None:
            self.plan.record.targets_from = first
        else:
            self.plan.record.staged_from = first
        self._staged_epoch, self._staged_from, self._staged_to = epoch, first, last


class StagingBuffer:
    """A buffer of limited size, whole batches of rows as the kernels read them.

    Parameters
    ----------
    plan : Plan
        That reads them.
    batch_size : int
        Rows of a batch; at least one has room.
    labels : bool
        Whether targets are class labels.
    X : bool
        False where X lies ready, and targets and weights alone are staged.
    most : int, optional
        Room for more rows is not needed.

    Attributes
    ----------
    rows : int
        How many have room.
    """

    def __init__(self, plan: Plan, batch_size: int, labels: bool, *, X: bool = True, most: int | None = None) -> None:
        self.plan, self.labels = plan, labels
        architecture = plan.parameters.architecture
        inputs, outputs, dtype = architecture.inputs if X else 0, architecture.outputs, architecture.dtype
        self._row_bytes = inputs * dtype.itemsize + (8 if labels else outputs * dtype.itemsize) + 8
        room = stage_rows(self._row_bytes, batch_size) // batch_size * batch_size
        self.rows = room if most is None else min(room, most)
        memory.require(
            self.rows * self._row_bytes,
            f"a buffer for batches of {batch_size:,} rows, which do not lie as the kernels read them,",
            "a smaller batch_size would take less",
        )
        self.X = aligned_zeros(self.rows * inputs, dtype).reshape(-1, inputs) if X else None
        self.y = aligned_zeros(self.rows * (1 if labels else outputs), _INT64 if labels else dtype)
        self.y = self.y if labels else self.y.reshape(-1, outputs)
        self.weights = aligned_zeros(self.rows, np.float64)

    def put(
        self,
        place: int,
        X: Table,
        targets: Targets,
        weights: Weights | None,
        order: NDArray[np.int64] | None,
        first: int,
        last: int,
    ) -> None:
        """Copy the rows at those places of the order here, from `place` on; a piece at a time, to need little room."""
        for piece in pieces(last - first, self._row_bytes):
            to = slice(place + piece.start, place + piece.stop)
            rows: Any = slice(first + piece.start, first + piece.stop)
            rows = rows if order is None else order[rows]
            with np.errstate(all="ignore"):
                if self.X is not None:
                    self.X[to] = X[rows]
                self.y[to] = targets.take(rows).as_array()
                self.weights[to] = 1.0 if weights is None else weights[rows]

    def move_to_start(self, first: int, last: int) -> None:
        """Carry those rows over."""
        for buffer in (self.X, self.y, self.weights):
            if buffer is not None:
                buffer[: last - first] = buffer[first:last].copy()

    def point_to(self, weighted: bool) -> None:
        """Let the plan read from here, and the weights too if there are any."""
        labels, values = (self.y, None) if self.labels else (None, self.y)
        targets = Targets(labels, values, self.plan.parameters.architecture)
        point_to_targets(self.plan, targets, self.weights if weighted else None)
        if self.X is not None:
            point_to_inputs(self.plan, self.X)


def number_rows(order: NDArray[np.int64]) -> None:
    """Fill it with 0, 1, 2 ..."""
    for piece in pieces(len(order), order.itemsize):
        order[piece] = np.arange(piece.start, piece.stop)


def permute(order: NDArray[np.int64], seed: int, purpose: int, counter: int = 0, part: int = 0) -> None:
    """Shuffle row numbers in place, as the kernels shuffle theirs."""
    random.permute.function_for(_INT64)(address(order), len(order), seed, purpose, counter, part)


def point_to_inputs(plan: Plan, X: NDArray[Any]) -> None:
    """Write the address and stride of an X that lies ready into the plan."""
    plan.record.x, plan.record.x_stride = address(X), X.strides[0] // X.itemsize


def point_to_targets(plan: Plan, targets: Targets, weights: NDArray[np.float64] | None) -> None:
    """Write those of targets and weights that lie ready into the plan."""
    record = plan.record
    y = targets.as_array()
    record.labels = 0 if targets.labels is None else address(y)
    if targets.labels is None:
        record.y, record.y_stride = address(y), y.strides[0] // y.itemsize
    record.sample_weights = 0 if weights is None else address(weights)
