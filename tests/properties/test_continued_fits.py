"""Relations of fits in several parts: two halves, an interruption, a copy or a file between them, single batches."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from behaviour import Interruption, bits
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, answers, cases, metrics_of, state_after

from fastmlp import Network

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def reloaded(network: Network, folder: Path) -> Network:
    """Return the network that a file of it gives."""
    network.save(folder / "network.safetensors")
    return Network.load(folder / "network.safetensors")


def copied(network: Network, how: str, folder: Path) -> Network:
    return reloaded(network, folder) if how == "file" else COPIES[how](network)


@given(
    case=cases(weights=("none", "random")),
    first=st.integers(1, 3),
    second=st.integers(1, 3),
    batch_size=st.integers(1, 50),
    shuffle=st.booleans(),
    split=st.sampled_from((0.0, 0.3)),
    how=st.sampled_from(("nothing", "file", *COPIES)),
)
def test_a_fit_in_two_parts_is_one_fit(
    case: Case, first: int, second: int, batch_size: int, shuffle: bool, split: float, how: str, folder: Path
) -> None:
    """To the bit: epochs a, then b, with a copy or a file between them. Dropout and schedules count the steps."""
    validated = {"validation_split": split, "metrics": metrics_of(case.loss)} if split and case.rows > 3 else {}
    fit = {**case.data(), **validated, "batch_size": batch_size, "shuffle": shuffle}
    whole, parts = case.network(), case.network()
    expected = state_after(whole, **fit, epochs=first + second)
    halves = state_after(parts, **fit, epochs=first)
    if halves["error"]:
        assert halves == expected
        return
    if how != "nothing":
        before = answers(parts, **case.data())
        parts = copied(parts, how, folder)
        assert answers(parts, **case.data()) == before
    assert parts.epoch == first
    history = [*_rows(halves["history"], first), *_rows(state_after(parts, **fit, epochs=second)["history"], second)]
    assert bits(parts) == {name: expected[name] for name in bits(parts)}
    if not expected["error"]:
        assert history == _rows(expected["history"], first + second)


def _rows(history: str, epochs: int) -> list[str]:
    """Return the entries of a history, one for each epoch."""
    columns: dict[str, list[float]] = eval(history, {"nan": float("nan"), "inf": float("inf")})
    return [repr({name: values[i] for name, values in columns.items()}) for i in range(epochs)]


@given(
    case=cases(),
    after=st.integers(1, 12),
    batch_size=st.integers(1, 20),
    shuffle=st.booleans(),
    how=st.sampled_from(("nothing", "file", *COPIES)),
)
def test_an_interrupted_fit_that_is_resumed_is_one_fit(
    case: Case, after: int, batch_size: int, shuffle: bool, how: str, folder: Path
) -> None:
    """To the bit: Ctrl-C after any step, a copy or a file, and a fit of the epochs that are left."""
    epochs = 3
    fit = {**case.data(), "batch_size": batch_size, "shuffle": shuffle}
    whole, parts = case.network(), case.network()
    expected = state_after(whole, **fit, epochs=epochs)
    if expected["error"]:
        return
    try:
        parts.fit(**fit, epochs=epochs, verbose=False, callbacks=[Interruption(after)])
    except KeyboardInterrupt:
        assert parts.step == after
    if how != "nothing":
        parts = copied(parts, how, folder)
    if parts.epoch < epochs:
        parts.fit(**fit, epochs=epochs - parts.epoch, verbose=False)
    assert bits(parts) == {name: expected[name] for name in bits(parts)}


@given(cases(), st.integers(1, 3))
def test_steps_on_a_batch_are_a_fit_of_one_batch(case: Case, steps: int) -> None:
    """To the bit: `train_on_batch` is a fit of one batch without shuffling, and returns its loss."""
    data = case.data()
    fitted, trained = case.network(), case.network()
    fit: dict[str, Any] = {**data, "epochs": steps, "batch_size": case.rows, "shuffle": False}
    expected = state_after(fitted, **fit)
    if expected["error"]:
        return
    losses = [trained.train_on_batch(*data.values()) for _ in range(steps)]
    assert {"loss": losses} == fitted.history.history
    after, of_fit = bits(trained), bits(fitted)
    assert (after["weights"], after["slots"]) == (of_fit["weights"], of_fit["slots"])
    assert trained.step == fitted.step
