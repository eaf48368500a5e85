"""The program of a step, and that every way of a step is the reference's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import largest_error

from fastmlp import SGD, Adam, Dense, Network
from fastmlp._engine.step_plan import CHUNK_ROWS, GROUP_ROWS, MAX_GROUPS, phases_of, row_blocking
from fastmlp.kernels.tables import CHOOSE_FACTOR, END_STEP
from fastmlp.reference import Network as Reference

BIG = [784, 256, 256, 10]
LONG = [9, Dense(40, "tanh", l2=0.01, dropout=0.1), Dense(17, "gelu"), 3]


def architecture(layers: list[Any], **options: Any) -> Any:
    return Network(layers, output="softmax", **options).architecture


@pytest.mark.parametrize("rows", [2048, 3000, 4097, 10_000, 16_384, 100_000])
def test_groups_are_cut_evenly_and_by_the_shape_alone(rows: int) -> None:
    cut = row_blocking(architecture([64, 64, 64, 8]), rows)
    assert 2 <= cut.groups <= MAX_GROUPS
    assert rows // cut.groups >= GROUP_ROWS
    assert cut.chunk_rows % 16 == 0
    assert 16 <= cut.chunk_rows <= CHUNK_ROWS


@pytest.mark.parametrize(
    ("layers", "rows"), [([64, 64, 8], 128), ([64, 64, 64, 8], 2047), (BIG, 128), (BIG, 100_000), ([4, 8, 2], 2048)]
)
def test_rows_are_not_grouped_where_they_are_few_or_the_weights_many(layers: list[int], rows: int) -> None:
    assert row_blocking(architecture(layers), rows) == (0, CHUNK_ROWS)


def names(phases: list[Any]) -> list[tuple[str, int]]:
    return [(phase.region.function.__name__.removesuffix("_region"), phase.layer) for phase in phases]


def test_heavy_layers_are_done_by_units_where_there_are_threads() -> None:
    ends = [("snapshot", 0), ("check", 0)]
    assert names(phases_of("step", architecture(BIG), 1)) == [*ends, ("rows", 0), ("blocks", 0)]
    by_units = [("inputs", 0), ("forward", 0), ("forward", 1), ("rows", 2), ("delta", 1)]
    assert names(phases_of("step", architecture(BIG), 2)) == [*ends, *by_units, ("blocks", 0)]
    assert names(phases_of("step", architecture(BIG), 2, grouped=True)) == [*ends, ("rows", 0), ("groups", 0)]
    assert names(phases_of("step", architecture([64, 64, 8]), 2)) == [*ends, ("rows", 0), ("blocks", 0)]
    clipped = phases_of("step", architecture(BIG, optimizer=Adam(global_clipnorm=1.0)), 2)
    assert names(clipped)[-2:] == [("gradients", 0), ("update", 0)]
    assert [phase.then for phase in clipped][-2:] == [CHOOSE_FACTOR, END_STEP]


def test_a_layer_whose_activation_mixes_units_is_done_by_rows() -> None:
    layers = [200, Dense(200), Dense(200, "softmax"), Dense(200), 5]
    assert ("rows", 1) in names(phases_of("step", architecture(layers), 2))


@pytest.mark.parametrize(
    "optimizer", [Adam(0.01), SGD(0.1, momentum=0.9, global_clipnorm=0.1), SGD(0.1, clipvalue=1e-4)], ids=repr
)
def test_grouped_rows_train_as_the_reference_does(optimizer: Any) -> None:
    rows = 3000
    assert row_blocking(architecture(LONG, dtype="float64"), rows).groups == 4
    rng = np.random.default_rng(0)
    X, y, weights = rng.normal(size=(2 * rows + 37, 9)), rng.integers(0, 3, 2 * rows + 37), rng.uniform(0, 2, 6037)
    networks = [
        kind(LONG, output="softmax", optimizer=optimizer, dtype="float64", seed=3) for kind in (Network, Reference)
    ]
    for network in networks:
        network.fit(X, y, batch_size=rows, sample_weight=weights)
    assert largest_error(*(network.get_weights() for network in networks)) <= 1e-9


def test_a_batch_is_cut_as_its_own_size_says_whatever_was_trained_before() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(9000, 9)).astype(np.float32), rng.integers(0, 3, 9000)
    used = Network(LONG, output="softmax", seed=3)
    for rows in (9000, 3000, 2999, 100):
        fresh = Network(LONG, output="softmax", seed=3)
        used.reinitialize(3)
        for network in (used, fresh):
            network.train_on_batch(X[:rows], y[:rows])
        assert largest_error(*(network.get_weights() for network in (used, fresh))) == 0
