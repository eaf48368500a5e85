"""Weights of rows and of classes: the same bits for every dtype, layout and size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_cases import COLUMNS, NETWORKS, ROWS, backwards, numbers_of, outcome, strided, targets_of
from behaviour import small_data, small_network

from fastmlp import Network
from fastmlp._data import arrays
from fastmlp._data.arrays import SelectedRows
from fastmlp._data.targets import check_targets
from fastmlp._data.weights import (
    ClassWeights,
    apply_class_factors,
    check_class_weight,
    check_weights,
    select_weights,
    sum_weights,
    weights_are_kernel_ready,
)

CLASSES = small_network().architecture
LABELS = np.arange(ROWS) * 7 % 3
WEIGHTS = np.linspace(0, 2, ROWS)


def test_small_weights_become_float64_and_large_ones_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    given = WEIGHTS.astype(np.float32)
    small: Any = check_weights(given, ROWS)
    assert weights_are_kernel_ready(small)
    assert (small == given).all()
    assert check_weights(WEIGHTS, ROWS) is WEIGHTS
    monkeypatch.setattr(arrays, "STAGE_BYTES", 8 * ROWS - 1)
    assert check_weights(given, ROWS) is given
    assert not weights_are_kernel_ready(given)
    assert check_weights(None, ROWS) is None
    assert weights_are_kernel_ready(None)


@pytest.mark.parametrize("form", [strided, backwards, lambda a: a.astype(">f8"), lambda a: a.astype("f4")])
def test_kernels_need_contiguous_weights_of_float64(form: Any) -> None:
    assert not weights_are_kernel_ready(form(WEIGHTS))


def test_messages_about_weights_have_the_suffix() -> None:
    with pytest.raises(ValueError, match=r"^sample_weight of chunk 2 must have shape \(41,\), one weight for each row"):
        check_weights(WEIGHTS[1:], ROWS, " of chunk 2")
    with pytest.raises(ValueError, match=r"^sample_weight of chunk 2 must be at least 0, got -2"):
        check_weights(-WEIGHTS, ROWS, " of chunk 2")


def test_a_weight_must_be_so_small_that_sums_do_not_overflow() -> None:
    message = "must be less than 1e\\+100, got 1e\\+100; only the ratios of weights count, so divide all weights by the"
    with pytest.raises(ValueError, match=f"sample_weight {message}"):
        check_weights(WEIGHTS * 5e99, ROWS)
    with pytest.raises(ValueError, match=rf"class_weight\[1\] {message}"):
        check_class_weight({1: 1e100}, CLASSES)


def test_classes_that_are_left_out_weigh_1() -> None:
    factors: Any = check_class_weight({2: 0.5}, CLASSES)
    assert factors.tolist() == [1, 1, 0.5]
    one_output: Any = check_class_weight({np.int64(1): 3}, NETWORKS["shares"]("float32").architecture)
    assert one_output.tolist() == [1, 3]
    assert check_class_weight({}, CLASSES) is check_class_weight(None, CLASSES) is None


@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS.astype(np.float32)])
@pytest.mark.parametrize("y", [LABELS, LABELS.astype(np.uint8), np.eye(3)[LABELS]])
def test_weights_of_rows_are_multiplied_by_those_of_their_classes(
    y: Any, weights: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors = np.array([3.0, 1.0, 0.5])
    expected = factors[LABELS] * (1 if weights is None else weights.astype(np.float64))
    small: Any = apply_class_factors(weights, factors, check_targets(y, ROWS, CLASSES))
    assert (small == expected).all()
    monkeypatch.setattr(arrays, "STAGE_BYTES", 8 * ROWS - 1)
    large = apply_class_factors(weights, factors, check_targets(y, ROWS, CLASSES))
    assert isinstance(large, ClassWeights)
    assert len(large) == ROWS
    rows = np.array([8, 40, 0])
    assert (large[rows] == expected[rows]).all()
    assert (large[3:5] == expected[3:5]).all()
    selected: Any = select_weights(large, rows)
    assert (selected == expected[rows]).all()
    assert sum_weights(large) == sum_weights(small)


def test_without_weights_of_classes_nothing_is_made() -> None:
    targets = check_targets(LABELS, ROWS, CLASSES)
    assert apply_class_factors(WEIGHTS, None, targets) is WEIGHTS
    assert apply_class_factors(None, None, targets) is None


def test_selected_weights_are_a_copy_if_that_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([4, 1])
    copy: Any = select_weights(WEIGHTS, rows)
    assert copy.tolist() == WEIGHTS[rows].tolist()
    monkeypatch.setattr(arrays, "STAGE_BYTES", 15)
    selected = select_weights(WEIGHTS, rows)
    assert isinstance(selected, SelectedRows)
    assert selected[:].tolist() == copy.tolist()
    assert select_weights(None, rows) is None


def test_the_sum_of_many_weights_does_not_depend_on_their_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.random.default_rng(0).random(300_001).astype(np.float32)
    X, network = np.broadcast_to(np.float32(1), (len(weights), 1)), Network([1, 1], seed=0)
    expected = network.evaluate(X, X, weights.astype(np.float64))
    for stage in (arrays.STAGE_BYTES, 1):
        monkeypatch.setattr(arrays, "STAGE_BYTES", stage)
        for form in (np.copy, strided, backwards):
            assert network.evaluate(X, X, form(weights)) == expected


@pytest.mark.parametrize("kind", ["labels", "shares"])
@pytest.mark.parametrize("weighted", [True, False])
def test_weights_of_classes_train_large_data_with_the_bits_of_small_data(
    kind: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = numbers_of("float16", (ROWS, COLUMNS)), targets_of(kind, "uint8")
    weights = WEIGHTS if weighted else None
    options = {"class_weight": {0: 3.0, 1: 0.5}, "validation_split": 0.3}
    small = outcome(NETWORKS[kind]("float32"), X, y, weights, **options)
    monkeypatch.setattr(arrays, "STAGE_BYTES", 16 * 40)
    assert outcome(NETWORKS[kind]("float32"), X, y, weights, **options) == small


def test_weights_of_classes_need_one_class_a_row_in_large_data_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 64)
    monkeypatch.setattr(arrays, "SCAN_BYTES", 64)
    network, y = small_network(), np.eye(3)[small_data()[1]]
    y[-1] = 0.25
    with pytest.raises(ValueError, match="class_weight needs class labels, one-hot rows"):
        network.fit(small_data()[0], y, class_weight={0: 2.0})
    assert network.step == 0
