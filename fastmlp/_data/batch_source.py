"""What training asks of a feed: `ArrayFeed` and `ChunkFeed` are such sources of batches."""

from __future__ import annotations

from typing import Protocol

UNKNOWN_LENGTH = 1 << 61  # rows, or steps, of an epoch that has not shown its end: more than any epoch has


class BatchSource(Protocol):
    """A source of batches, which writes into a plan's record where the kernels find the rows of the next steps.

    Attributes
    ----------
    batch_size : int
        Rows of a step.
    rows_per_epoch : int or None
        Rows of an epoch; None while no epoch has shown its end.
    steps_per_epoch : int
        Steps of the epoch under way; `UNKNOWN_LENGTH` while it has not shown its end.
    streamed : bool
        Whether an epoch shows only at its end how many rows it has.
    """

    batch_size: int
    rows_per_epoch: int | None
    steps_per_epoch: int
    streamed: bool

    def stage(self, steps: int) -> int:
        """Make the rows of the next steps available; return for how many steps, from 1 to `steps`."""
