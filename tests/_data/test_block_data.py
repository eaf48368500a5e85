"""shuffle="blocks": runs of rows in random order, with every row once in each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import assert_same_bits

from fastmlp import LBFGS, Network
from fastmlp._data import block_data as module
from fastmlp._data.block_data import BlockData
from fastmlp._data.samples import check_samples
from fastmlp._runtime import memory

ROWS = 1234
X = np.arange(ROWS * 4, dtype=np.float32).reshape(ROWS, 4) / 1000
LABELS, NUMBERS = np.arange(ROWS) % 3, X[:, :1] * 2
WEIGHTS = 1.0 + np.arange(ROWS) / ROWS


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN_BYTES", 16 * 50)  # 50 rows


def network(labels: bool = True) -> Network:
    return Network([4, 5, 3], output="softmax", seed=0) if labels else Network([4, 5, 1], seed=0)


def chunks(y: Any, rows: Any = None, seed: int = 0, epoch: int = 0, X: Any = X) -> list[Any]:
    samples = check_samples(X, y, WEIGHTS, network(y is LABELS).architecture)
    return [*BlockData(samples, rows, 0).iterate(seed, epoch)]


@pytest.mark.parametrize("y", [LABELS, NUMBERS])
def test_an_epoch_has_every_row_once_with_its_target_and_weight(y: Any) -> None:
    found = chunks(y)
    assert len(found) == 4  # of 25 runs, 8 to a chunk
    numbers = np.concatenate([chunk.X[:, 0] * 250 for chunk in found]).round().astype(int)
    np.testing.assert_array_equal(np.sort(numbers), np.arange(ROWS))
    np.testing.assert_array_equal(np.concatenate([chunk.X for chunk in found]), X[numbers])
    np.testing.assert_array_equal(
        np.concatenate([chunk.targets.as_array() for chunk in found]),
        y[numbers].astype(found[0].targets.as_array().dtype),
    )
    np.testing.assert_array_equal(np.concatenate([chunk.weights for chunk in found]), WEIGHTS[numbers])
    starts = numbers[np.r_[True, np.diff(numbers) != 1]]
    assert (starts % 50 == 0).all()  # runs in sequence
    assert len(starts) > 20


def test_each_epoch_and_each_seed_has_an_order_of_its_own() -> None:
    orders = [
        np.concatenate([chunk.X[:, 0] for chunk in chunks(LABELS, seed=seed, epoch=epoch)])
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0))
    ]
    assert (orders[0] == orders[3]).all()
    assert not (orders[0] == orders[1]).all()
    assert not (orders[0] == orders[2]).all()


def test_rows_that_do_not_train_are_left_out() -> None:
    rows = np.flatnonzero(np.arange(ROWS) % 5)
    found = np.sort(np.concatenate([chunk.X[:, 0] * 250 for chunk in chunks(LABELS, rows)])).round().astype(int)
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize(
    "options", [{}, {"validation_split": 0.2}, {"class_weight": "balanced"}, {"sample_weight": WEIGHTS}]
)
def test_the_bits_do_not_depend_on_reading_ahead_or_on_the_layout(tmp_path: Path, options: dict[str, Any]) -> None:
    np.save(tmp_path / "X.npy", X)
    layouts = [X, np.load(tmp_path / "X.npy", mmap_mode="r"), X.tolist(), np.asfortranarray(X)]
    found = []
    for layout, prefetch in zip(layouts, (0, 1, 2, 5), strict=True):
        net = network()
        history = net.fit(
            layout if not isinstance(layout, list) else np.array(layout, np.float32),
            LABELS,
            epochs=3,
            shuffle="blocks",
            prefetch=prefetch,
            **options,
        )
        found.append((net.flat_weights(), history.history))
    for weights, history_of in found[1:]:
        assert_same_bits(weights, found[0][0])
        assert history_of == found[0][1]


def test_a_batch_of_all_rows_is_that_of_any_order() -> None:
    by_blocks, plain = network(False), network(False)
    by_blocks.fit(X, NUMBERS, batch_size=ROWS, shuffle="blocks")
    plain.fit(X, NUMBERS, batch_size=ROWS, shuffle=False)
    assert by_blocks.step == plain.step == 1
    np.testing.assert_allclose(by_blocks.flat_weights(), plain.flat_weights(), rtol=1e-4, atol=1e-6)


def test_an_optimizer_without_batches_needs_no_order() -> None:
    found, expected = (Network([4, 5, 1], optimizer=LBFGS(), seed=0, dtype="float64") for _ in range(2))
    found.fit(X, NUMBERS, epochs=3, shuffle="blocks")
    expected.fit(X, NUMBERS, epochs=3)
    assert_same_bits(found.flat_weights(), expected.flat_weights())


@pytest.mark.parametrize("shuffle", ["block", None, 2])
def test_other_values_are_refused(shuffle: Any) -> None:
    with pytest.raises(TypeError, match="shuffle, if it is not 'blocks', must be True or False"):
        network().fit(X, LABELS, shuffle=shuffle)


def test_chunks_have_no_blocks() -> None:
    with pytest.raises(ValueError, match="shuffle='blocks' is for arrays"):
        network().fit(lambda: [(X, LABELS)], shuffle="blocks")


def test_a_hint_for_a_map_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr(memory, "CHECKED_FROM", 1)
    monkeypatch.setattr(memory, "available", lambda: (X.nbytes - 1, "the machine"))
    with pytest.warns(UserWarning, match="X is a memory-mapped file .* shuffle='blocks' reads runs of rows"):
        module.advise_blocks(mapped[:, :])
    module.advise_blocks(X)
    monkeypatch.setattr(memory, "available", lambda: (X.nbytes, "the machine"))
    module.advise_blocks(mapped)
