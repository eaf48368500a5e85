"""Splitting the rows into training and validation rows."""

from __future__ import annotations

import numpy as np

from fastmlp.tables.splitting import split


def test_a_split_keeps_out_a_share_of_every_class_but_never_all() -> None:
    y = np.array([0] * 100 + [1] * 10 + [2])
    order, count = split(y, 0.2, 0, by_class=True)
    assert sorted(order) == list(range(111))
    assert np.bincount(y[order[:count]]).tolist() == [80, 8, 1]
    order, count = split(np.zeros(10), 0.99, 0, by_class=False)
    assert count == 1


def test_the_seed_decides_the_split() -> None:
    y = np.zeros(50)
    first, again, other = (split(y, 0.2, seed, by_class=False)[0].tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert split(np.zeros(10), 0.2, 0, by_class=False)[0].tolist()[8:] == [
        3,
        7,
    ]  # the same in every version of Python and NumPy
