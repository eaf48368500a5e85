"""Training on chunks: tuples (X, y) or (X, y, sample_weight), one after the other, never all in memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.batch_source import UNKNOWN_LENGTH
from fastmlp._data.inputs import check_inputs
from fastmlp._data.names import Names
from fastmlp._data.order import shuffle_epoch
from fastmlp._data.read_ahead import read_ahead
from fastmlp._data.samples import Samples
from fastmlp._data.staging import StagingBuffer
from fastmlp._data.targets import check_targets
from fastmlp._data.weights import apply_class_factors, check_weights, weight_to_divide_by
from fastmlp.architecture import Architecture
from fastmlp.kernels.layout import MIN_WEIGHT_SUM

Chunk = tuple[ArrayLike, ArrayLike] | tuple[ArrayLike, ArrayLike, ArrayLike]
"""X (n, inputs), y and, if given, the weights of the rows (n,), as `Network.fit` takes them; chunks may differ in n."""

ChunkSource = Iterable[Chunk] | Callable[[], Iterable[Chunk]]
"""An iterable of chunks, which each epoch iterates once, or a function that returns such an iterable for each epoch."""


class ChunkData:
    """The chunks to train on. Each chunk is checked when it is read.

    Parameters
    ----------
    chunks : ChunkSource
        The argument X of `Network.fit`.
    epochs : int
        The number of epochs.
    architecture : Architecture
        The network that the chunks must suit.
    names : Names
        The names that the network knows. It learns those of the columns from the first chunk that is a frame.
    class_factors : ndarray of float64, or None
        The weight of each class.
    sample_weight, validation_split
        Arguments of `Network.fit` that cannot be used with chunks.
    prefetch : int
        How many chunks a thread reads ahead; 0 reads each when it is needed.

    Attributes
    ----------
    rows_per_epoch : None
        The number of rows is not known.

    Raises
    ------
    TypeError
        If `chunks` is neither an iterable nor a function, or is an array.
    ValueError
        If `chunks` can be iterated only once and there are more epochs, or `sample_weight` or `validation_split` is
        given.
    """

    rows_per_epoch = None

    def __init__(
        self,
        chunks: Any,
        epochs: int,
        architecture: Architecture,
        names: Names,
        class_factors: NDArray[np.float64] | None,
        sample_weight: object,
        validation_split: float,
        prefetch: int = 0,
    ) -> None:
        if isinstance(chunks, (str, os.PathLike)):
            raise TypeError(
                f"X must be an array or chunks, got the path {os.fspath(chunks)!r}; fastmlp.tables.prepare reads CSV "
                "files, numpy.load arrays"
            )
        if hasattr(chunks, "__array__") or not isinstance(chunks, Iterable | Callable):
            raise TypeError(
                "y is missing; without it, fit takes chunks: an iterable of tuples (X, y) or (X, y, sample_weight), or "
                f"a function that returns one for each epoch, got X of type {type(chunks).__name__}"
            )
        if sample_weight is not None:
            raise ValueError(
                "sample_weight cannot be used with chunks; give the weights in each chunk: (X, y, sample_weight)"
            )
        if validation_split:
            raise ValueError(
                "validation_split cannot be used with chunks, since their number of rows is not known; give "
                "validation_data"
            )
        if isinstance(chunks, Iterator) and epochs > 1:
            raise ValueError(
                f"{type(chunks).__name__} can be iterated only once, but there are {epochs} epochs; pass a function "
                "that returns the chunks anew, such as the generator function itself"
            )
        self.chunks, self.architecture, self.names, self.class_factors = chunks, architecture, names, class_factors
        self.prefetch = prefetch

    def identity(self, batch_size: int) -> tuple[int, int, int]:
        """Return rows, batch size and fingerprint of an epoch, which never equal those of arrays."""
        return UNKNOWN_LENGTH, batch_size, 0

    def feed(self, record: Any, state: Any, batch_size: int, shuffle: bool) -> ChunkFeed:
        """Return the feed that provides the chunks to the kernels."""
        return ChunkFeed(self, record, state, batch_size, shuffle)

    def iterate(self, seed: int, epoch: int) -> Iterator[Samples]:
        """Return an iterator over the samples of the chunks of an epoch, which may read ahead.

        Raises
        ------
        TypeError
            If the user's function does not return an iterable.
        """
        chunks = self.chunks if isinstance(self.chunks, Iterable) else self.chunks()
        if not isinstance(chunks, Iterable):
            raise TypeError(f"the function given as X must return an iterable of chunks, got {chunks!r}")
        return read_ahead(self._checked(iter(chunks)), self.prefetch)

    def _checked(self, chunks: Iterator[Any]) -> Iterator[Samples]:
        """Yield the samples of each chunk. A chunk that was given out is not held while the next one is read."""
        numbers = itertools.count()  # `enumerate` would hold the chunk
        for chunk in chunks:
            found = [self.check_chunk(chunk, next(numbers))]
            del chunk
            yield found.pop()

    def check_chunk(self, chunk: Any, number: int) -> Samples:
        """Return the samples of a chunk, of which there may be none; `number` is its place in the epoch, from 0.

        Raises
        ------
        TypeError, ValueError
            If the chunk is not a tuple of two or three arrays that suit the network; the message has the number.
        """
        wanted = f"chunk {number} must be a tuple (X, y) or (X, y, sample_weight)"
        if not isinstance(chunk, tuple):
            raise TypeError(f"{wanted}, got {type(chunk).__name__}")
        if len(chunk) not in (2, 3):
            raise ValueError(f"{wanted}, got {len(chunk)} entries")
        suffix = f" of chunk {number}"
        X, y, sample_weight = (*chunk, None)[:3]
        self.names.learn_features(X, self.architecture, f"X{suffix}")
        inputs = check_inputs(X, self.architecture, f"X{suffix}", self.names)
        targets = check_targets(y, len(inputs), self.architecture, f"y{suffix}", self.names)
        weights = check_weights(sample_weight, len(inputs), suffix)
        try:
            return Samples(inputs, targets, apply_class_factors(weights, self.class_factors, targets))
        except ValueError as error:
            raise ValueError(f"chunk {number}: {error}") from None


class ChunkSamples(Protocol):
    """What a `ChunkFeed` reads: the samples of an epoch, chunk by chunk."""

    architecture: Architecture

    @property
    def rows_per_epoch(self) -> int | None:
        """The rows of an epoch; None if they are not known."""

    def iterate(self, seed: int, epoch: int) -> Iterator[Samples]:
        """Return an iterator over the samples of the chunks of an epoch."""


class ChunkFeed:
    """The batches of chunks: a `BatchSource`. All rows are staged; a batch may hold rows of several chunks.

    The feed holds one chunk and a staging buffer. It releases a chunk before it asks for the next, and asks for the
    next as soon as all rows of a chunk are staged, before the last of them are used: only so does it know where the
    epoch ends. It never asks further ahead; `ChunkData.prefetch` says how many chunks are read beyond that.

    Parameters
    ----------
    data : ChunkSamples
        The chunks.
    record : record of `fastmlp.kernels.tables.Plan`
        The record of the plan that trains; its fields about data are written.
    state : record of `fastmlp.kernels.tables.State`
        The state of training. Its batch is set to 0, since chunks begin with the first; else it is read.
    batch_size : int
        Rows of a step.
    shuffle : bool
        Whether the rows of each chunk are shuffled, by (seed, epoch, number of the chunk).
    """

    streamed = True

    def __init__(self, data: ChunkSamples, record: Any, state: Any, batch_size: int, shuffle: bool) -> None:
        self.data, self.record, self.state, self.batch_size, self.shuffle = data, record, state, batch_size, shuffle
        self.rows_per_epoch: int | None = data.rows_per_epoch
        self.steps_per_epoch = UNKNOWN_LENGTH
        self._buffer: StagingBuffer | None = None
        self._samples: Samples | None = None  # of the current chunk
        self._order: NDArray[np.int64] | None = None  # of the rows of this chunk
        self._taken = 0  # rows of this chunk that are staged
        self._epoch = -1
        self._iterator: Iterator[Samples] = iter(())
        record.batch_size, record.samples, record.epoch_ready = batch_size, UNKNOWN_LENGTH, 0
        record.shuffles = record.order = record.training_rows = 0
        record.targets_from = -1
        state.batch = 0

    def stage(self, steps: int) -> int:
        """Make the rows of the next steps available; return for how many steps, from 1 to `steps`.

        Raises
        ------
        TypeError, ValueError
            If a chunk does not suit the network, or the epoch has no rows or only rows of the weight 0.
        """
        if self.state.epoch != self._epoch:
            self._begin_epoch(int(self.state.epoch))
        done = int(self.state.batch) * self.batch_size
        if not self._staged_batches(done):
            self._fill_buffer(done)
        return min(steps, self._staged_batches(done))

    def close(self) -> None:
        """Stop reading ahead, and close the user's generator."""
        close = getattr(self._iterator, "close", None)
        self._iterator = iter(())
        if close is not None:
            close()

    def _begin_epoch(self, epoch: int) -> None:
        self.close()
        self._epoch, self._number, self._ended, self._weighted = epoch, -1, False, False
        self._weight = 0.0  # of the rows so far, or as much of it as suffices
        self._staged_from = self._staged_to = 0  # places in the epoch of the first row in the buffer, and past the last
        self.steps_per_epoch = self.record.samples = UNKNOWN_LENGTH
        self._iterator = self.data.iterate(int(self.state.seed), epoch)
        self._next_chunk()
        if self._ended:
            raise ValueError(f"the chunks of epoch {epoch} have no rows; each epoch must begin with the first chunk")

    def _staged_batches(self, done: int) -> int:
        """Return how many batches are staged beyond the rows that are done; at the end of the epoch the last counts."""
        rows = self._staged_to - done
        return -(-rows // self.batch_size) if self._ended else rows // self.batch_size

    def _fill_buffer(self, done: int) -> None:
        """Move the rows that are left to the start of the buffer, and stage rows until a batch is full."""
        buffer = self._buffer
        assert buffer is not None
        buffer.move_to_start(done - self._staged_from, self._staged_to - self._staged_from)
        self._staged_from = self.record.staged_from = done
        while not self._ended and not self._staged_batches(done):
            self._stage_rows(buffer, self._staged_to - done)
        buffer.point_to(self.record, self._weighted)

    def _stage_rows(self, buffer: StagingBuffer, start: int) -> None:
        """Stage as many rows of the chunk as fit into the buffer from row `start` on; then ask for the next chunk."""
        samples = self._samples
        assert samples is not None
        last = min(len(samples.X), self._taken + buffer.rows - start)
        buffer.write(start, samples, self._order, self._taken, last)
        self._staged_to += last - self._taken
        self._taken, used_up = last, last == len(samples.X)
        self._weighted = self._weighted or samples.weights is not None
        if used_up:
            del samples  # so that the chunk is released before the next is asked for
            self._next_chunk()

    def _next_chunk(self) -> None:
        """Release the chunk, and ask for the next that has rows; without one the epoch has ended."""
        self._samples = self._order = None
        for samples in self._iterator:
            self._number += 1
            if len(samples.X):
                self._use(samples)
                return
            del samples
        if self._staged_to and self._weight < MIN_WEIGHT_SUM:
            raise ValueError(
                f"the chunks of epoch {self._epoch} must give a row a weight greater than 0, got a sum of "
                f"{self._weight:g} over {self._staged_to} rows; without weight nothing is learned"
            )
        self._ended = True
        self.rows_per_epoch = self.record.samples = self._staged_to
        self.steps_per_epoch = -(-self._staged_to // self.batch_size)

    def _use(self, samples: Samples) -> None:
        """Make a chunk the current one, and shuffle the order of its rows."""
        has_labels = samples.targets.labels is not None
        if self._buffer is None:
            self._buffer = StagingBuffer(self.data.architecture, self.batch_size, has_labels)
        if self._buffer.has_labels != has_labels:
            kinds = ("rows of numbers", "class labels")
            raise ValueError(
                f"y of chunk {self._number} must hold {kinds[not has_labels]}, as in the chunks before, got "
                f"{kinds[has_labels]}"
            )
        self._samples, self._taken = samples, 0
        if self._weight < MIN_WEIGHT_SUM:
            self._weight += weight_to_divide_by(samples.weights, len(samples.X))
        if self.shuffle:
            self._order = np.arange(len(samples.X))
            shuffle_epoch(self._order, int(self.state.seed), self._epoch, self._number)
