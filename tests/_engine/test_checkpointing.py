"""The memory of a network becomes a checkpoint and comes back from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import bits, small_data, small_network
from cases import LEARNERS

import fastmlp
from fastmlp import Network
from fastmlp._data.names import Names
from fastmlp._engine import checkpointing
from fastmlp._engine.engine import engine_of
from fastmlp._io import checkpoint
from fastmlp._io.description import COUNTERS
from fastmlp.kernels.tables import State

X, LABELS = small_data()


def test_every_field_of_the_state_is_kept_in_a_file() -> None:
    fields = checkpointing._STATE_FIELDS
    assert fields.keys() == COUNTERS.keys()
    assert {
        *fields.values(),
        "seed",
        "loss_sum",
        "weight_sum",
        "penalty_sum",
        "updating",
    } == State.__annotations__.keys()


@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
def test_a_checkpoint_holds_copies_of_everything(optimizer: Any) -> None:
    network = small_network(optimizer=optimizer)
    network.fit(X, LABELS, epochs=2, batch_size=8)
    before, parameters = bits(network), network._engine.parameters
    stored = checkpointing.to_checkpoint(parameters, Names(), optimizer=True, table="{}", best=("loss", 0.5))
    assert (stored.table, stored.best) == ("{}", ("loss", 0.5))
    assert (stored.counters["epoch"], stored.counters["step"]) == (2, 12)
    back = checkpointing.from_checkpoint(stored)
    assert np.array_equal(back.weights, parameters.weights)
    assert np.array_equal(back.slots, parameters.slots)
    assert bytes(back.state) == bytes(parameters.state)
    network.fit(X, LABELS, batch_size=8)
    assert bits(network) != before
    assert np.array_equal(checkpointing.from_checkpoint(stored).weights, back.weights)


def test_without_the_optimizer_there_are_neither_slots_nor_totals() -> None:
    network = small_network()
    network.fit(X, LABELS, batch_size=8)
    stored = checkpointing.to_checkpoint(network._engine.parameters, Names(), optimizer=False)
    assert (stored.slots, stored.totals) == (None, None)
    back = checkpointing.from_checkpoint(stored)
    assert not back.slots.any()
    assert not back.sums().any()
    assert np.array_equal(back.weights, network._engine.parameters.weights)


@pytest.mark.usefixtures("forget_registered")
def test_a_function_that_is_registered_anew_does_not_make_the_best_value_unknown(tmp_path: Path) -> None:
    def register() -> None:
        fastmlp.register_loss("anew", lambda a, y: (a - y) ** 2, lambda a, y: 2.0 * (a - y))

    register()
    path = tmp_path / "best.safetensors"
    network = Network([3, 4, 1], loss="anew", seed=0)
    engine_of(network).save(path, optimizer=True, best=("val_loss", 0.25))
    register()
    for units, best in ((4, 0.25), (5, None)):
        again = Network([3, units, 1], loss="anew", seed=0)
        assert checkpoint.best_of(path, again.architecture, "val_loss") == best
    assert checkpoint.best_of(path, network.architecture, "val_loss") == 0.25
