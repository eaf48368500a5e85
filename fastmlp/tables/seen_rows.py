"""Remember which rows a model was trained on, in at most 64 kB, to recognise them in other files.

A row is hashed as the network reads it: its encoded columns in the order of the schema, and its target. So neither the
order of rows and columns nor the spelling of numbers matters. Of each hash 32 bits are kept, from which no value can be
computed. Who guesses a whole row can check whether it is probably among them.

Of many rows only those with the smallest hashes are kept. A file with any rows in any order is then judged by its own
rows with such small hashes, which are a random sample of it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.checks import whole_number

Hashes = NDArray[np.uint32]

MAX_HASHES = 12_000
"""At most so many hashes are kept. In base64 they take 64,000 bytes."""

MIN_SAMPLE = 20
"""From so many rows on, the share of a sample of rows is an estimate of the share of all."""

_ALL = 1 << 32  # every hash is below
_ROWS = 4096  # hashed at a time


@dataclass(frozen=True, eq=False)
class SeenRows:
    """The rows that a model was trained on.

    Parameters
    ----------
    below : int
        Hashes below this number are kept; 2^32 if all are.
    hashes : ndarray of uint32
        The hashes, in rising order.
    """

    below: int = _ALL
    hashes: Hashes = field(repr=False, default_factory=lambda: np.empty(0, np.uint32))

    @property
    def is_complete(self) -> bool:
        """Whether the hashes of all rows are kept."""
        return self.below == _ALL

    def with_rows(self, X: NDArray[np.float32], y: NDArray[Any]) -> SeenRows:
        """Return these rows and others.

        Parameters
        ----------
        X : ndarray of shape (n, inputs)
            Encoded rows.
        y : ndarray of shape (n,)
            Indices of classes, or standardised numbers.
        """
        below, hashes = self.below, self.hashes
        for part in _hash_rows(X, y):
            hashes = np.union1d(hashes, part[part < below])
            if len(hashes) > MAX_HASHES:
                below, hashes = int(hashes[MAX_HASHES]), hashes[:MAX_HASHES]
        return SeenRows(below, hashes)

    def to_dict(self) -> dict[str, Any]:
        """Return the hashes as the model file stores them."""
        return {"below": self.below, "hashes": base64.b64encode(self.hashes.astype("<u4").tobytes()).decode()}


class SeenRowCounter:
    """Counts how many rows of a table a model was trained on.

    Parameters
    ----------
    seen : SeenRows
        The rows that the model was trained on.
    """

    def __init__(self, seen: SeenRows) -> None:
        self._seen = seen
        self._sampled = self._known = 0

    def add(self, X: NDArray[np.float32], y: NDArray[Any]) -> None:
        """Count some rows, encoded as in `SeenRows.with_rows`."""
        for hashes in _hash_rows(X, y):
            sampled, kept = hashes[hashes < self._seen.below], self._seen.hashes
            self._sampled += len(sampled)
            if len(kept):  # np.isin would sort them for each block, which takes longer than hashing it
                places = np.minimum(np.searchsorted(kept, sampled), len(kept) - 1)
                self._known += int((kept[places] == sampled).sum())

    def share(self) -> float | None:
        """Return the share of the rows that the model was trained on. None if too few rows are in the sample."""
        enough = 1 if self._seen.is_complete else MIN_SAMPLE
        return self._known / self._sampled if self._sampled >= enough else None


def share_by_chance(seen: SeenRows, X: NDArray[np.float32], y: NDArray[Any], widths: Sequence[int]) -> float | None:
    """Return the share of rows that the model was trained on, if the values of each column were in random order.

    It is large where columns have so few different values that rows are equal by chance.

    Parameters
    ----------
    seen : SeenRows
        The rows that the model was trained on.
    X, y : ndarray
        Encoded rows, as in `SeenRows.with_rows`.
    widths : sequence of int
        The number of inputs of each column of the table.
    """
    rng = np.random.default_rng(0)
    columns = np.split(X, np.cumsum(widths)[:-1], axis=1)
    counter = SeenRowCounter(seen)
    counter.add(np.concatenate([rng.permutation(column) for column in columns], axis=1), rng.permutation(y))
    return counter.share()


def from_dict(stored: dict[str, Any]) -> SeenRows:
    """Return the rows that `SeenRows.to_dict` described.

    Raises
    ------
    ValueError, TypeError
        If the hashes are too many, not in rising order, or not below their limit.
    """
    below = whole_number(stored["below"], "below of the seen rows")
    text = stored["hashes"]
    if not isinstance(text, str) or len(text) > 4 * -(-4 * MAX_HASHES // 3):
        raise ValueError(f"the hashes of the seen rows must be base64 of at most {MAX_HASHES:,} numbers")
    hashes = np.frombuffer(base64.b64decode(text, validate=True), "<u4").astype(np.uint32)
    if below > _ALL or (hashes >= below).any() or (hashes[1:] <= hashes[:-1]).any():
        raise ValueError(f"the hashes of the seen rows must rise and be below {below}, which is at most {_ALL}")
    return SeenRows(below, hashes)


def _hash_rows(X: NDArray[np.float32], y: NDArray[Any]) -> Iterator[Hashes]:
    """Yield the hashes of some thousand rows at a time."""
    for begin in range(0, len(X), _ROWS):
        part = slice(begin, begin + _ROWS)
        rows = np.concatenate([X[part], y[part, None]], axis=1, dtype="<f4", casting="same_kind") + np.float32(0)
        data, size = memoryview(rows.tobytes()), rows.shape[1] * rows.itemsize  # -0 + 0 is 0
        digests = (
            hashlib.blake2b(data[place : place + size], digest_size=4, person=b"fastmlp-row").digest()
            for place in range(0, len(data), size)
        )
        yield np.frombuffer(b"".join(digests), "<u4").astype(np.uint32)
