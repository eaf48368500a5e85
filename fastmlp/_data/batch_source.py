"""`BatchSource`, the protocol of a feed: `ArrayFeed` and `ChunkFeed` provide the batches of a training."""

from __future__ import annotations

from typing import Protocol

UNKNOWN_LENGTH = 1 << 61  # rows, or steps, of an epoch whose end is not known: more than any epoch has


class BatchSource(Protocol):
    """A feed: it writes into a plan's record where the kernels read the rows of the next steps.

    Attributes
    ----------
    batch_size : int
        Rows of a step.
    rows_per_epoch : int or None
        Rows of an epoch; None while no epoch has ended.
    steps_per_epoch : int
        Steps of the current epoch; `UNKNOWN_LENGTH` while its end is not known.
    streamed : bool
        Whether the number of rows of an epoch is known only at its end.
    """

    batch_size: int
    rows_per_epoch: int | None
    steps_per_epoch: int
    streamed: bool

    def stage(self, steps: int) -> int:
        """Make the rows of the next steps available; return for how many steps, from 1 to `steps`."""

    def close(self) -> None:
        """End the reading of data: the fit is over."""
