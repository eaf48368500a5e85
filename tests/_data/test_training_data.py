"""The data of a fit, checked in one call: arrays or chunks to train on, and samples to validate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_cases import ROWS
from behaviour import small_data, small_network

from fastmlp._data import arrays
from fastmlp._data.array_feed import ArrayData
from fastmlp._data.arrays import SelectedRows
from fastmlp._data.chunk_feed import ChunkData
from fastmlp._data.names import Names
from fastmlp._data.training_data import TrainingData, check_training_data

ARCHITECTURE = small_network().architecture
X, LABELS = small_data()
WEIGHTS = np.linspace(0.5, 2, ROWS)
DEFAULTS: dict[str, Any] = {
    "prefetch": 0,
    "by_blocks": False,
    "epochs": 1,
    "sample_weight": None,
    "class_weight": None,
    "validation_data": None,
    "validation_split": 0.0,
}


def checked(X: Any = X, y: Any = LABELS, **options: Any) -> TrainingData:
    return check_training_data(X, y, ARCHITECTURE, Names(), **{**DEFAULTS, **options})


def test_arrays_train_in_full_and_without_validation_by_default() -> None:
    source, validation = checked()
    assert isinstance(source, ArrayData)
    assert validation is None
    assert (source.training_rows, source.rows_per_epoch, source.samples.weights) == (None, ROWS, None)
    assert source.identity(8) == (ROWS, 8, source.samples.fingerprint())


def test_a_split_selects_rows_with_their_weights_but_without_those_of_their_classes() -> None:
    source, validation = checked(validation_split=0.25, sample_weight=WEIGHTS, class_weight={0: 3.0, 2: 0.5})
    assert isinstance(source, ArrayData)
    assert validation is not None
    rows: Any = source.training_rows
    held_out = np.setdiff1d(np.arange(ROWS), rows)
    assert (source.rows_per_epoch, len(held_out)) == (31, 10)
    assert validation.X[:].tolist() == X[held_out].tolist()
    assert validation.targets.as_array().tolist() == LABELS[held_out].tolist()
    weights, training_weights = validation.weights, source.samples.weights
    assert weights is not None
    assert training_weights is not None
    assert weights[:].tolist() == WEIGHTS[held_out].tolist()
    assert training_weights[:].tolist() == (WEIGHTS * np.array([3.0, 1.0, 0.5])[LABELS]).tolist()


def test_a_split_of_large_arrays_copies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1)
    _, validation = checked(validation_split=0.5)
    assert validation is not None
    assert isinstance(validation.X, SelectedRows)
    assert validation.X.array is X


def test_without_y_there_are_chunks() -> None:
    source, validation = checked([(X, LABELS)], None, validation_data=(X[:5], LABELS[:5], WEIGHTS[:5]))
    assert isinstance(source, ChunkData)
    assert source.rows_per_epoch is None
    assert validation is not None
    assert len(validation.X) == 5


WRONG: dict[str, Any] = {
    "validation": {"validation_data": (X, LABELS + 1)},
    "class_weight": {"class_weight": {7: 1.0}},
    "X": {"X": X[:, :2]},
    "y": {"y": LABELS + 2},
    "sample_weight": {"sample_weight": -WEIGHTS},
    "classes of rows": {"y": np.full((ROWS, 3), 0.25), "class_weight": {0: 2.0}},
}
MESSAGES = {
    "validation": "y of validation_data must hold class labels",
    "class_weight": "class_weight has the label 7",
    "X": r"X must have shape \(n, 3\)",
    "y": "y must hold class labels",
    "sample_weight": "sample_weight must be at least 0",
    "classes of rows": "class_weight needs class labels, one-hot rows",
}


@pytest.mark.parametrize("first", range(len(WRONG)))
def test_the_first_wrong_argument_in_a_fixed_order_is_named(first: int) -> None:
    names = list(WRONG)
    wrong = {key: value for name in reversed(names[first:]) for key, value in WRONG[name].items()}
    with pytest.raises(ValueError, match=MESSAGES[names[first]]):
        checked(**wrong)


def test_a_split_comes_before_the_weights_of_classes() -> None:
    with pytest.raises(ValueError, match="validation_split needs at least 2 rows, got 1"):
        checked(X[:1], np.full((1, 3), 0.25), class_weight={0: 2.0}, validation_split=0.5)


@pytest.mark.parametrize(
    ("given", "split", "error", "message"),
    [
        (None, 1.0, ValueError, "validation_split must be at least 0 and less than 1, got 1.0"),
        ((X, LABELS), 1.0, ValueError, "validation_split must be at least 0 and less than 1, got 1.0"),
        ((X, LABELS), 0.1, ValueError, "give validation_data or validation_split, not both"),
        (5, 0.0, TypeError, r"must be a tuple \(X, y\) or \(X, y, sample_weight\), got int"),
        (X, 0.0, TypeError, r"must be a tuple \(X, y\) or \(X, y, sample_weight\), got ndarray"),
        ((X,), 0.0, ValueError, r"must be a tuple \(X, y\) or \(X, y, sample_weight\), got 1 entries"),
        ((X, LABELS, WEIGHTS, 1), 0.0, ValueError, "got 4 entries"),
        ((X, LABELS, -WEIGHTS), 0.0, ValueError, "sample_weight of validation_data must be at least 0, got -2"),
        ((X[:0], LABELS[:0]), 0.0, ValueError, "X of validation_data must have at least one row, got none"),
    ],
)
def test_validation_that_does_not_suit_is_refused(
    given: Any, split: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        checked(validation_data=given, validation_split=split)


def test_validation_data_may_be_a_list() -> None:
    _, samples = checked(validation_data=[X, LABELS])
    assert samples is not None
    assert samples.X is X
