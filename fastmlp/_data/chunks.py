"""Training on chunks: (X, y) or (X, y, sample_weight) one after the other, of data that is never there as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import check_inputs, check_targets
from fastmlp._data.feeds import StagingBuffer, permute
from fastmlp._data.samples import Samples
from fastmlp._data.weights import check_weights, with_class_weights
from fastmlp._engine.plan import Plan
from fastmlp.architecture import Architecture
from fastmlp.kernels.operations import random

Chunk = tuple[ArrayLike, ArrayLike] | tuple[ArrayLike, ArrayLike, ArrayLike]
"""X (n, inputs), y and perhaps the rows' weights (n,), as `Network.fit` takes them; n may differ."""

ChunkSource = Iterable[Chunk] | Callable[[], Iterable[Chunk]]
"""Chunks to be gone through once an epoch, or a function that makes them anew."""

UNKNOWN = 1 << 61  # rows of an epoch whose end is not in sight: more than any has


class ChunkData:
    """The user's chunks, checked as far as that can be done before they are there.

    Parameters
    ----------
    given : iterable of tuples, or a function that returns one
        The chunks.
    epochs : int
        How often they will be gone through.
    architecture : Architecture
        Of the network that they must suit.
    table : ndarray of float64, or None
        The weight of each class.
    sample_weight, validation_split
        Other arguments of the fit, which do not go with chunks.

    Raises
    ------
    TypeError
        If it is neither, but an array that lacks its y.
    ValueError
        If it can be gone through only once and there are more epochs, or an argument does not go with chunks.
    """

    samples = None

    def __init__(
        self,
        given: Any,
        epochs: int,
        architecture: Architecture,
        table: NDArray[np.float64] | None,
        sample_weight: object,
        validation_split: float,
    ) -> None:
        if hasattr(given, "__array__") or not isinstance(given, Iterable | Callable):
            raise TypeError(
                "y is missing; without it, fit takes chunks: an iterable of tuples (X, y) or (X, y, sample_weight), or "
                f"a function that returns one for each epoch, got X of type {type(given).__name__}"
            )
        if sample_weight is not None:
            raise ValueError("sample_weight does not go with chunks; they bring it along: (X, y, sample_weight)")
        if validation_split:
            raise ValueError("validation_split does not go with chunks, which are not all there; give validation_data")
        if isinstance(given, Iterator) and epochs > 1:
            raise ValueError(
                f"{type(given).__name__} can be gone through only once, but there are {epochs} epochs; "
                "pass a function that makes the chunks anew, such as the generator function itself"
            )
        self.given, self.architecture, self.table = given, architecture, table

    def identity(self, batch_size: int) -> tuple[int, int, int]:
        """What an epoch under way is of: no other is known to be of the same."""
        return UNKNOWN, batch_size, 0

    def feed(self, plan: Plan, batch_size: int, shuffle: bool) -> ChunkFeed:
        """What brings them to the kernels."""
        return ChunkFeed(plan, self, batch_size, shuffle)

    def epoch(self) -> Iterator[Any]:
        """The chunks of one epoch."""
        found = self.given if isinstance(self.given, Iterable) else self.given()
        if not isinstance(found, Iterable):
            raise TypeError(f"the function must return an iterable of chunks, got {found!r}")
        return iter(found)

    def check(self, given: Any, place: int) -> Samples:
        """A chunk's rows, which may be none.

        Raises
        ------
        TypeError, ValueError
            If it is no tuple of two or three, or they do not suit the network; errors name its place among the chunks.
        """
        wanted = f"chunk {place} must be a tuple (X, y) or (X, y, sample_weight)"
        if not isinstance(given, tuple):
            raise TypeError(f"{wanted}, got {type(given).__name__}")
        if len(given) not in (2, 3):
            raise ValueError(f"{wanted}, got {len(given)} entries")
        of = f" of chunk {place}"
        X, y, weights = (*given, None)[:3]
        checked = check_inputs(X, self.architecture, f"X{of}")
        targets = check_targets(y, len(checked), self.architecture, f"y{of}")
        own = check_weights(weights, len(checked), of)
        try:
            return Samples(checked, targets, with_class_weights(own, self.table, targets))
        except ValueError as error:
            raise ValueError(f"chunk {place}: {error}") from None


class ChunkFeed:
    """Stages the rows of one chunk after the other; a batch that a chunk cannot fill is filled from the next.

    The epoch's end is known as soon as its last rows are staged, since the next chunk is asked for before they are
    used: so much is asked for ahead, and no more. A chunk is let go before the next is asked for.

    Parameters
    ----------
    plan : Plan
        Whose words on the data are filled.
    chunks : Chunks
        Where the rows come from.
    batch_size : int
        Rows of a step.
    shuffle : bool
        Whether the rows of each chunk are shuffled, by (seed, epoch, number of the chunk).
    """

    streamed = True

    def __init__(self, plan: Plan, chunks: ChunkData, batch_size: int, shuffle: bool) -> None:
        self.plan, self.chunks, self.batch_size, self.shuffle = plan, chunks, batch_size, shuffle
        self.samples: int | None = None
        self.steps_per_epoch = UNKNOWN
        self._stage: StagingBuffer | None = None
        self._chunk: Samples | None = None
        self._order: NDArray[np.int64] | None = None  # of the chunk's rows
        self._epoch = -1
        self._taken = 0  # rows of the chunk that are staged
        record = plan.record
        record.batch_size, record.samples, record.epoch_ready = batch_size, UNKNOWN, 0
        record.shuffles = record.order = record.training_rows = 0
        record.targets_from = -1
        plan.parameters.state.batch = 0  # chunks begin with the first

    def stage(self, steps: int) -> int:
        """Make the data of the next steps available; returns of how many.

        Raises
        ------
        TypeError, ValueError
            If a chunk does not suit, or the epoch has no rows.
        """
        state = self.plan.parameters.state
        if state.epoch != self._epoch:
            self._begin(int(state.epoch))
        done = int(state.batch) * self.batch_size
        if not self._batches(done):
            self._fill(done)
        return min(steps, self._batches(done))

    def _begin(self, epoch: int) -> None:
        self._epoch, self._number, self._ended, self._weighted = epoch, -1, False, False
        self._staged_from = self._staged_to = 0
        self.steps_per_epoch = self.plan.record.samples = UNKNOWN
        self._iterator = self.chunks.epoch()
        self._next_chunk()
        if self._ended:
            raise ValueError(f"the chunks of epoch {epoch} have no rows; does what gives them begin anew each epoch?")

    def _batches(self, done: int) -> int:
        """How many batches are staged: whole ones, and what is left at the end."""
        rows = self._staged_to - done
        return -(-rows // self.batch_size) if self._ended else rows // self.batch_size

    def _fill(self, done: int) -> None:
        """Carry over what is left, and go on with the chunk, until there is a batch or the end."""
        stage = self._stage
        assert stage is not None
        stage.move_to_start(done - self._staged_from, self._staged_to - self._staged_from)
        self._staged_from = self.plan.record.staged_from = done
        while not self._ended and not self._batches(done):
            self._stage_rows(stage, self._staged_to - done)
        stage.point_to(self._weighted)

    def _stage_rows(self, stage: StagingBuffer, place: int) -> None:
        """As many rows of the chunk as have room from that place on; the next chunk once this one is used up."""
        assert self._chunk is not None
        X, targets, weights = self._chunk
        last = min(len(X), self._taken + stage.rows - place)
        stage.put(place, X, targets, weights, self._order, self._taken, last)
        self._staged_to += last - self._taken
        self._taken, used_up = last, last == len(X)
        self._weighted = self._weighted or weights is not None
        if used_up:
            del X, targets, weights  # so that the chunk is gone before the next is made
            self._next_chunk()

    def _next_chunk(self) -> None:
        """Ask for the next chunk that has rows."""
        self._chunk = self._order = None
        for given in self._iterator:
            self._number += 1
            chunk = self.chunks.check(given, self._number)
            if len(chunk.X):
                self._take(chunk)
                return
            del given, chunk
        self._ended = True
        self.samples = self.plan.record.samples = self._staged_to
        self.steps_per_epoch = -(-self._staged_to // self.batch_size)

    def _take(self, chunk: Samples) -> None:
        labels = chunk.targets.labels is not None
        if self._stage is None:
            self._stage = StagingBuffer(self.plan, self.batch_size, labels)
        if self._stage.labels != labels:
            kinds = ("rows of numbers", "class labels")
            raise ValueError(
                f"y of chunk {self._number} must hold {kinds[not labels]} as the chunks before, got {kinds[labels]}"
            )
        self._chunk, self._taken = chunk, 0
        if self.shuffle:
            self._order = np.arange(len(chunk.X))
            seed = int(self.plan.parameters.state.seed)
            permute(self._order, seed, random.SHUFFLE_DRAW, self._epoch, self._number)
