"""Relations of fits in several parts: two halves, an interruption, a copy or a file between them, single batches."""

from __future__ import annotations

import contextlib
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


def copied(network: Network, how: str, folder: Path, case: Case) -> Network:
    """Return the network itself, a copy, or what a file of it gives, which answers to the bit as the network does."""
    if how == "nothing":
        return network
    copy_of_it = reloaded(network, folder) if how == "file" else COPIES[how](network)
    assert answers(copy_of_it, **case.data()) == answers(network, **case.data())
    return copy_of_it


@given(
    case=cases(weights=("none", "random")),
    epochs=st.integers(2, 4),
    first=st.integers(1, 3),
    after=st.integers(1, 12),
    batch_size=st.integers(1, 50),
    shuffle=st.booleans(),
    split=st.sampled_from((0.0, 0.3)),
    how=st.sampled_from(("nothing", "file", *COPIES)),
)
def test_a_fit_in_parts_is_one_fit(
    case: Case,
    epochs: int,
    first: int,
    after: int,
    batch_size: int,
    shuffle: bool,
    split: float,
    how: str,
    folder: Path,
) -> None:
    """To the bit: epochs a, then b; and Ctrl-C after any step, then the rest. Each with a copy or a file between them.

    Dropout, shuffles and schedules count the epochs and steps of both parts.
    """
    validated = {"validation_split": split, "metrics": metrics_of(case.loss)} if split and case.rows > 3 else {}
    fit = {**case.data(), **validated, "batch_size": batch_size, "shuffle": shuffle}
    whole, parts, interrupted = case.network(), case.network(), case.network()
    expected = state_after(whole, **fit, epochs=epochs)
    if expected["error"]:
        return
    first = min(first, epochs - 1)
    histories = [state_after(parts, **fit, epochs=first)["history"]]
    parts = copied(parts, how, folder, case)
    histories.append(state_after(parts, **fit, epochs=epochs - first)["history"])
    assert bits(parts) == bits(whole)
    assert [entry for history in histories for entry in entries(history)] == entries(expected["history"])

    with contextlib.suppress(KeyboardInterrupt):
        interrupted.fit(**fit, epochs=epochs, verbose=False, callbacks=[Interruption(after)])
    assert interrupted.step == min(after, whole.step)
    interrupted = copied(interrupted, how, folder, case)
    if interrupted.epoch < epochs:
        interrupted.fit(**fit, epochs=epochs - interrupted.epoch, verbose=False)
    assert bits(interrupted) == bits(whole)


def entries(history: str) -> list[str]:
    """Return the entries of a history, one for each epoch."""
    columns: dict[str, list[float]] = eval(history, {"nan": float("nan"), "inf": float("inf")})
    return [repr(dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)]


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
