"""The rows of each member of an ensemble: those that train it, perhaps a bootstrap, and those of its validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.order import split_rows

Rows = NDArray[np.int64]

VALIDATIONS = ("own split", "same split", "out of bag")
_BOOTSTRAP = 0xB007  # so that the draws of a bootstrap are not those of something else with the same seed


def member_rows(
    rows: int, seeds: Sequence[int], share: float, *, bootstrap: bool, validation: str
) -> tuple[list[Rows | None], list[Rows] | None]:
    """Return the rows that train each member, None for all, and its rows of validation, None if there are none.

    Parameters
    ----------
    rows : int
        The number of all rows.
    seeds : sequence of int
        The seeds of the members.
    share : float
        The share of the rows that validate, in [0, 1).
    bootstrap : bool
        Whether each member trains on as many rows as it has, drawn with replacement.
    validation : str
        One of `VALIDATIONS`.

    Raises
    ------
    ValueError
        If there are too few rows.
    """
    if validation == "out of bag":
        drawn = [_drawn(np.arange(rows), seed) for seed in seeds]
        left = [np.setdiff1d(np.arange(rows), each) for each in drawn]
        if not all(map(len, left)):
            raise ValueError(f"out-of-bag validation needs more rows: a bootstrap of the {rows} rows left none out")
        return [*drawn], left
    training: list[Rows | None] = [None] * len(seeds)
    held_out = None
    if share:
        of = seeds if validation == "own split" else [seeds[0]] * len(seeds)
        splits = {seed: split_rows(rows, share, seed) for seed in set(of)}
        training, held_out = [splits[seed][0] for seed in of], [splits[seed][1] for seed in of]
    if bootstrap:
        training = [
            _drawn(np.arange(rows) if each is None else each, seed) for each, seed in zip(training, seeds, strict=True)
        ]
    return training, held_out


def _drawn(rows: Rows, seed: int) -> Rows:
    """Return as many rows, drawn with replacement, in ascending order. NumPy never changes this generator's numbers."""
    generator = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, _BOOTSTRAP])))
    return np.sort(rows[generator.randint(len(rows), size=len(rows))])
