"""Splitting the rows into training, validation and test rows."""

from __future__ import annotations

import numpy as np

from fastmlp.tables.splitting import split


def test_a_split_keeps_out_a_share_of_every_class_but_never_all() -> None:
    y = np.array([0] * 100 + [1] * 10 + [2])
    parts = split(y, 0.2, 0.15, 0, by_class=True)
    assert sorted(np.concatenate(parts)) == list(range(111))
    assert [np.bincount(y[rows], minlength=3).tolist() for rows in parts] == [[65, 7, 1], [20, 2, 0], [15, 1, 0]]
    assert [len(rows) for rows in split(np.zeros(10), 0.5, 0.49, 0, by_class=False)] == [1, 5, 4]
    assert [len(rows) for rows in split(np.zeros(10), 0.98, 0.0, 0, by_class=False)] == [1, 9, 0]
    assert [len(rows) for rows in split(np.zeros(10), 0.0, 0.98, 0, by_class=False)] == [1, 0, 9]
    assert [len(rows) for rows in split(np.zeros(3), 0.2, 0.15, 0, by_class=True)] == [2, 1, 0]


def test_small_classes_are_kept_out_as_often_as_large_ones() -> None:
    """Of 30 classes of 3 rows, 15 % of each rounded alone would be no row at all."""
    y = np.repeat(np.arange(30), 3)
    parts = split(y, 0.2, 0.15, 0, by_class=True)
    assert [len(rows) for rows in parts] == [58, 18, 14]
    assert np.bincount(y[parts.training]).min() >= 1


def test_test_rows_do_not_change_the_validation_rows() -> None:
    y = np.arange(200) % 3
    some, none = (split(y, 0.2, test, 5, by_class=True) for test in (0.15, 0.0))
    np.testing.assert_array_equal(some.validation, none.validation)
    assert len(none.test) == 0


def test_the_seed_decides_the_split() -> None:
    y = np.zeros(50)
    first, again, other = (split(y, 0.2, 0.1, seed, by_class=False).test.tolist() for seed in (0, 0, 1))
    assert first == again != other
    # the same in every version of Python and NumPy
    assert split(np.zeros(10), 0.2, 0.0, 0, by_class=False).validation.tolist() == [3, 7]
