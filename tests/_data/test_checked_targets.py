"""Targets: y for every kind of loss, which of it is copied, and what the checks say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_cases import DTYPES, ROWS, strided
from behaviour import small_network

from fastmlp import Network
from fastmlp._data import arrays
from fastmlp._data.arrays import SelectedRows
from fastmlp._data.targets import Targets, check_targets
from fastmlp._runtime import memory
from fastmlp.architecture import Architecture

CLASSES = small_network().architecture
LABELS = np.arange(ROWS) * 7 % 3
ROWS_OF_2 = np.linspace(0, 1, 2 * ROWS, dtype=np.float32).reshape(ROWS, 2)


def with_loss(loss: str, outputs: int = 1) -> Architecture:
    return Network([3, outputs], loss=loss, seed=0).architecture


@pytest.mark.parametrize("dtype", [*DTYPES, ">i4", ">f8"])
def test_small_labels_are_a_copy_of_int64(dtype: str) -> None:
    given = (LABELS % 2).astype(dtype)
    targets = check_targets(given, ROWS, CLASSES)
    labels: Any = targets.labels
    assert (targets.values, targets.kernel_ready, len(targets), targets.row_bytes) == (None, True, ROWS, 8)
    assert labels.dtype == np.int64
    assert labels.dtype.isnative
    assert not np.shares_memory(labels, given)
    assert (labels == LABELS % 2).all()


def test_large_labels_stay_where_they_are_until_they_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 8 * ROWS - 1)
    given = LABELS.astype(np.int16)
    targets = check_targets(given, ROWS, CLASSES)
    assert targets.labels is given
    assert not targets.kernel_ready
    taken = targets.take(slice(3, 9)).as_array()
    assert taken.dtype == np.int64
    assert (taken == LABELS[3:9]).all()
    given[5] = 3
    with pytest.raises(ValueError, match=r"y must hold class labels from 0 to 2, .* got labels from 0 to 3"):
        targets.take(slice(3, 9))


def test_kernel_ready_values_are_not_copied(size: str) -> None:
    architecture = with_loss("mean_squared_error", 2)
    targets = check_targets(ROWS_OF_2, ROWS, architecture)
    assert targets.values is ROWS_OF_2
    assert targets.as_array() is ROWS_OF_2
    assert (targets.labels, targets.kernel_ready, targets.row_bytes) == (None, True, 8)
    assert np.shares_memory(targets.take(slice(1, 3)).as_array(), ROWS_OF_2)


def test_other_values_are_copied_as_a_whole_if_that_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture, given = with_loss("mean_squared_error", 2), strided(ROWS_OF_2.astype(np.float64))
    targets = check_targets(given, ROWS, architecture)
    assert targets.kernel_ready
    assert targets.as_array().dtype == np.float32
    monkeypatch.setattr(arrays, "STAGE_BYTES", ROWS_OF_2.nbytes - 1)
    targets = check_targets(given, ROWS, architecture)
    assert targets.values is given
    assert not targets.kernel_ready
    assert (targets.as_array() == ROWS_OF_2).all()
    assert targets.take([4, 2]).as_array().dtype == np.float32


@pytest.mark.parametrize("y", [LABELS, LABELS.astype(np.int8), np.eye(3)[LABELS], np.eye(3, dtype="f")[LABELS]])
def test_selected_targets_are_those_rows(y: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([40, 0, 7, 7])
    expected = check_targets(y, ROWS, CLASSES).take(rows).as_array()
    for stage in (1 << 20, 16):
        monkeypatch.setattr(arrays, "STAGE_BYTES", stage)
        selected = check_targets(y, ROWS, CLASSES, "y of chunk 1").select(rows)
        array = selected.values if selected.labels is None else selected.labels
        assert isinstance(array, SelectedRows) is (stage == 16)
        assert selected.kernel_ready is (stage != 16)
        assert (len(selected), selected.name) == (4, "y of chunk 1")
        assert selected.take(slice(None)).as_array().tolist() == expected.tolist()
        assert selected.as_array().tolist() == expected.tolist()


def test_a_whole_conversion_asks_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1)
    targets = check_targets(ROWS_OF_2.astype("f8"), ROWS, with_loss("mean_squared_error", 2))
    monkeypatch.setattr(memory, "CHECKED_FROM", 1)
    monkeypatch.setattr(memory, "available", lambda: (10, "the machine"))
    with pytest.raises(MemoryError, match=r"y as the network reads it takes 0\.00 GB .*fewer rows would take less"):
        targets.as_array()


def test_one_output_takes_a_vector() -> None:
    targets = check_targets(np.zeros(ROWS, np.float32), ROWS, with_loss("mean_squared_error"))
    assert targets.as_array().shape == (ROWS, 1)


@pytest.mark.parametrize(
    ("y", "architecture", "message"),
    [
        (LABELS[:-1], CLASSES, r"X and y must have the same number of rows, got 41 and y of shape \(40,\)"),
        (np.int64(1), CLASSES, r"X and y must have the same number of rows, got 41 and y of shape \(\)"),
        (LABELS[:, None], CLASSES, r"must have shape \(41, 3\) or labels of shape .*; np.ravel\(y\) has one dimension"),
        (np.eye(4)[LABELS], CLASSES, r"y must have shape \(41, 3\) or labels of shape \(41,\) for categorical_cross"),
        (LABELS, with_loss("mean_squared_error", 2), "; a network for class labels has output='softmax'"),
        (LABELS, with_loss("binary_crossentropy", 3), "binary_.*; a network for class labels has output='softmax'"),
        (LABELS, with_loss("hinge", 3), "for hinge, .*; a network for class labels has output='softmax'"),
        (LABELS, with_loss("poisson", 3), r"y must have shape \(41, 3\) for poisson, got \(41,\)$"),
        (LABELS + 0.5, CLASSES, "y must hold class labels, whole numbers from 0 to 2, got float64 values"),
        (LABELS - 1, CLASSES, "since the network has 3 outputs; got labels from -1 to 1"),
        (LABELS + 1, CLASSES, "y must hold class labels from 0 to 2, .* got labels from 1 to 3"),
        (np.eye(3)[LABELS] * 2, CLASSES, "y must lie between 0 and 1 for categorical_crossentropy, got .* from 0 to 2"),
        (LABELS - 0.5, with_loss("binary_crossentropy"), "between 0 and 1 for binary_.*, got numbers from -0.5 to 1.5"),
        (LABELS - 1, with_loss("poisson"), "y must be at least 0 for poisson, got numbers from -1 to 1"),
        (LABELS - 1, with_loss("hinge"), "y must hold -1 and 1, or 0 and 1, for hinge, got -1 and 0"),
        (LABELS, with_loss("hinge"), "y must hold -1 and 1, or 0 and 1, for hinge, got 2"),
        (np.where(LABELS == 2, np.inf, 0), with_loss("mean_squared_error"), r"y must be finite, but y\[2, 0\] is inf"),
        (np.where(LABELS == 2, np.nan, 0), CLASSES, r"y must be finite, but y\[2\] is nan"),
    ],
)
def test_targets_that_do_not_suit_the_loss_are_refused(
    y: Any, architecture: Architecture, message: str, size: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_targets(y, ROWS, architecture)


def test_targets_of_no_rows_pass_all_checks() -> None:
    for architecture, y in ((CLASSES, LABELS), (with_loss("poisson"), LABELS), (with_loss("hinge"), LABELS)):
        assert len(check_targets(y[:0], 0, architecture)) == 0


def test_values_made_for_kernels_need_no_check() -> None:
    targets = Targets(None, ROWS_OF_2, with_loss("mean_squared_error", 2))
    assert targets.kernel_ready
    assert targets.as_array() is ROWS_OF_2
