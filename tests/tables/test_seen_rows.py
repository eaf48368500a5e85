"""The rows that a model remembers: recognised in any order and spelling, in at most 64 kB, without their values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from table_files import flats, lines, write

from fastmlp.tables import TabularModel, prepare
from fastmlp.tables.seen_rows import MAX_HASHES, SeenRowCounter, SeenRows, from_dict


def share(seen: SeenRows, X: NDArray[np.float32], y: NDArray[Any]) -> float | None:
    counter = SeenRowCounter(seen)
    for part in range(0, len(X), 1000):
        counter.add(X[part : part + 1000], y[part : part + 1000])
    return counter.share()


def rows(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[Any]]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 3)).astype(np.float32), generator.integers(0, 2, count)


def test_few_rows_are_known_exactly() -> None:
    X, y = rows(5000)
    seen = SeenRows().with_rows(X, y)
    assert seen.is_complete
    assert share(seen, X, y) == 1
    assert share(seen, X[::-1], y[::-1]) == 1
    assert share(seen, *rows(2000, 1)) == 0
    assert share(seen, np.concatenate([X[:300], rows(700, 2)[0]]), np.concatenate([y[:300], rows(700, 2)[1]])) == 0.3
    assert share(seen, X, 1 - y) == 0  # another target is another row
    assert share(seen, X[:0], y[:0]) is None
    assert share(SeenRows(), X, y) == 0


def test_the_shares_of_files_of_many_rows_are_estimated() -> None:
    X, y = rows(40_000)
    seen = SeenRows().with_rows(X, y)
    assert not seen.is_complete
    assert len(seen.hashes) == MAX_HASHES
    assert share(seen, X, y) == 1
    assert share(seen, *rows(10_000, 1)) == pytest.approx(0, abs=1e-3)
    half = np.concatenate([X[:4000], rows(4000, 2)[0]]), np.concatenate([y[:4000], rows(4000, 2)[1]])
    assert share(seen, *half) == pytest.approx(0.5, abs=0.05)  # of 2,400 rows: 5 standard deviations


def test_rows_of_several_fits_are_those_of_one() -> None:
    X, y = rows(30_000)
    parts = SeenRows().with_rows(X[20_000:], y[20_000:]).with_rows(X[:20_000], y[:20_000])
    whole = SeenRows().with_rows(X, y)
    assert parts.below == whole.below
    np.testing.assert_array_equal(parts.hashes, whole.hashes)


def test_minus_zero_is_zero_and_repeated_rows_take_no_memory() -> None:
    zero = np.zeros((3, 2), np.float32)
    seen = SeenRows().with_rows(zero, np.zeros(3))
    assert len(seen.hashes) == 1
    assert share(seen, -zero, np.zeros(3)) == 1


def test_the_stored_rows_take_64_kb_at_most_and_come_back() -> None:
    seen = SeenRows().with_rows(*rows(20_000))
    stored = seen.to_dict()
    assert len(json.dumps(stored)) < 64_100
    assert len(stored["hashes"]) == 64_000
    again = from_dict(stored)
    assert again.below == seen.below
    np.testing.assert_array_equal(again.hashes, seen.hashes)
    assert from_dict(SeenRows().to_dict()).is_complete


@pytest.mark.parametrize(
    "stored",
    [
        {"below": 0, "hashes": ""},
        {"below": 2**32 + 1, "hashes": ""},
        {"below": True, "hashes": ""},
        {"below": 10, "hashes": "AQAAAAIAAAA"},  # no padding
        {"below": 10, "hashes": "AQAAAAIAAAA=x"},
        {"below": 10, "hashes": "AQAA"},  # 3 bytes
        {"below": 10, "hashes": "AgAAAAEAAAA="},  # 2, 1
        {"below": 10, "hashes": "AQAAAAEAAAA="},  # 1, 1
        {"below": 2, "hashes": "AQAAAAIAAAA="},  # 1, 2
        {"below": 2**32, "hashes": "A" * 64_004},
        {"below": 2**32, "hashes": None},
    ],
)
def test_broken_rows_are_refused(stored: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"seen rows|base64|padding|buffer size|multiple"):
        from_dict(stored)
    assert from_dict({"below": 10, "hashes": "AQAAAAIAAAA="}).hashes.tolist() == [1, 2]


@pytest.mark.parametrize("target", ["sold", "price"])
def test_evaluate_tells_which_share_of_a_file_trained_the_model(tmp_path: Path, target: str) -> None:
    """Rows and columns are turned and numbers are spelled in another way. Half of the rows are new."""
    path = flats(tmp_path / "a.csv", 100)
    model = TabularModel.for_table(prepare(path, target, verbose=False), (2,))
    assert model.evaluate(path, verbose=False)["known_share"] is None
    table = prepare(path, target, test=0, verbose=False)
    model = TabularModel.for_table(table, (2,))
    model.fit(table, epochs=1, verbose=False)
    model.save(tmp_path / "model")
    model = TabularModel.load(tmp_path / "model")
    head, *old = lines(100)
    new = lines(100, seed=1)[1:]
    spelled = [[f" {row[0]}.0", *row[1:4], f"{row[4]}e0", *row[5:]] for row in old]
    turned = [row[::-1] for row in [head, *spelled[::-1], *new]]
    other = write(tmp_path / "b.csv", "".join(";".join(row) + "\n" for row in turned))
    assert model.evaluate(path, verbose=False)["known_share"] == 1
    assert model.evaluate(other, verbose=False)["known_share"] == 0.5
    assert model.evaluate(flats(tmp_path / "c.csv", 50, seed=2), verbose=False)["known_share"] == 0


def test_the_test_rows_are_not_known(tmp_path: Path) -> None:
    path = flats(tmp_path / "a.csv", 200)
    table = prepare(path, "sold", verbose=False)
    model = TabularModel.for_table(table, (2,))
    model.fit(table, epochs=1, verbose=False)
    assert model.record is not None
    shares = [share(model.record.seen, *table.part(part)) for part in ("training", "validation", "test")]
    assert shares == [1, 1, 0]
    assert model.evaluate(path, verbose=False)["known_share"] == 0.85
