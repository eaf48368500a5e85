"""History: the record of a fit is a mapping of its entries, with hints for wrong names."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from fastmlp import History

HISTORY = History({"loss": [0.2, 0.1], "val_loss": [0.4, 0.3], "val_accuracy": [0.5, 0.6]}, [3, 4], 0.5)


def test_a_history_is_a_mapping_of_its_entries() -> None:
    assert HISTORY["loss"] is HISTORY.history["loss"]
    assert "val_loss" in HISTORY
    assert "accuracy" not in HISTORY
    assert list(HISTORY) == list(HISTORY.keys()) == ["loss", "val_loss", "val_accuracy"]
    assert len(HISTORY) == 3
    assert dict(HISTORY) == dict(HISTORY.items()) == HISTORY.history
    assert HISTORY.get("lr") is None
    assert History()  # an empty history is no reason to take another


def test_a_history_is_equal_to_its_copies_only() -> None:
    assert copy.deepcopy(HISTORY) == pickle.loads(pickle.dumps(HISTORY)) == HISTORY
    assert HISTORY.history != HISTORY


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("val_acc", "no entry 'val_acc'; did you mean 'val_accuracy'? The entries are: loss, val_loss, val_accuracy"),
        ("acc", "no entry 'acc'; did you mean 'val_accuracy'?"),
        ("zzz", "no entry 'zzz'. The entries are: loss, val_loss, val_accuracy"),
        (0, "no entry 0. The entries are: "),
    ],
)
def test_a_missing_entry_is_a_key_error_with_a_hint(name: str, message: str) -> None:
    with pytest.raises(KeyError, match=re.escape(message)):
        HISTORY[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loss", r"; write history\['loss'\]$"),
        ("val_acc", r"; write history\['val_accuracy'\]$"),
        ("epochs", "epoch"),
    ],
)
def test_an_entry_is_no_attribute(name: str, message: str) -> None:
    with pytest.raises(AttributeError, match=f"'History' object has no attribute '{name}'.*{message}"):
        getattr(HISTORY, name)


def test_a_history_says_its_last_values() -> None:
    assert repr(HISTORY) == "History(2 epochs, 0.50 s; last: loss=0.1, val_loss=0.3, val_accuracy=0.6)"
    assert repr(History({"loss": [1.0]}, [0], 0.0)) == "History(1 epoch, 0.00 s; last: loss=1)"
