"""Samples: X, y and weights checked in one call, in that order, and selected together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_cases import NETWORKS, ROWS
from behaviour import small_data, small_network

from fastmlp import Network
from fastmlp._data import arrays
from fastmlp._data.samples import check_samples

ARCHITECTURE = small_network().architecture
X, LABELS = small_data()
WEIGHTS = np.linspace(0, 2, ROWS)


def test_samples_hold_the_checked_arguments() -> None:
    samples = check_samples(X, LABELS, WEIGHTS, ARCHITECTURE)
    assert samples.X is X
    assert samples.weights is WEIGHTS
    assert samples.targets.as_array().tolist() == LABELS.tolist()
    assert check_samples(X, LABELS, None, ARCHITECTURE).weights is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((X[:, :2], LABELS[:5], -WEIGHTS), r"^X{} must have shape \(n, 3\)"),
        ((np.full_like(X, np.nan), LABELS[:5], -WEIGHTS), r"^X{} must be finite"),
        ((X[:0], LABELS[:0], WEIGHTS[:0]), "^X{} must have at least one row, got none$"),
        ((X, LABELS[:5], -WEIGHTS), r"^X and y{} must have the same number of rows, got 41 and y{} of shape \(5,\)"),
        ((X, LABELS + 1, -WEIGHTS), "^y{} must hold class labels from 0 to 2"),
        ((X, LABELS, -WEIGHTS), "^sample_weight{} must be at least 0, got -2"),
    ],
)
@pytest.mark.parametrize("suffix", ["", " of validation_data"])
def test_x_is_checked_first_then_y_then_the_weights(given: Any, message: str, suffix: str, size: str) -> None:
    with pytest.raises(ValueError, match=message.replace("{}", suffix)):
        check_samples(*given, ARCHITECTURE, suffix=suffix)


@pytest.mark.parametrize("place", [0, 20, 40])
def test_a_wrong_value_is_found_in_whatever_slice_it_lies(place: int, size: str) -> None:
    wrong_x = X.astype(np.float16)
    wrong_x[place, 1] = np.nan
    shares, weights = np.full(ROWS, 0.5, np.float16), np.ones(ROWS, np.float16)
    shares[place], weights[place] = 1.5, -1.0
    wrong_label, fraction = LABELS.astype(np.int32), LABELS.astype(np.float16)
    wrong_label[place], fraction[place] = 3, 0.5
    hinge, poisson = Network([3, 1], loss="hinge"), Network([3, 1], loss="poisson")
    cases: list[tuple[Network, Any, Any, Any, str]] = [
        (small_network(), wrong_x, LABELS, None, rf"X must be finite, but X\[{place}, 1\] is nan"),
        (small_network(), X, wrong_label, None, "y must hold class labels from 0 to 2, .* got labels from 0 to 3"),
        (small_network(), X, fraction, None, "whole numbers from 0 to 2, got float16 values"),
        (small_network(), X, LABELS, weights, "sample_weight must be at least 0, got -1"),
        (NETWORKS["shares"]("float32"), X, shares, None, "must lie between 0 and 1 .* from 0.5 to 1.5"),
        (hinge, X, np.where(shares > 1, 2, -1), None, "must hold -1 and 1, or 0 and 1, for hinge, got 2"),
        (poisson, X, weights, None, "y must be at least 0 for poisson, got numbers from -1 to 1"),
    ]
    for network, x, y, w, message in cases:
        with pytest.raises(ValueError, match=message):
            network.fit(x, y, sample_weight=w)
        assert network.step == 0


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_rows_of_x_targets_and_weights_are_selected_together(weights: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([30, 2, 2])
    for stage in (1 << 20, 8):
        monkeypatch.setattr(arrays, "STAGE_BYTES", stage)
        selected = check_samples(X, LABELS, weights, ARCHITECTURE).select(rows)
        assert selected.X[:].tolist() == X[rows].tolist()
        assert selected.targets.as_array().tolist() == LABELS[rows].tolist()
        if weights is None:
            assert selected.weights is None
        else:
            assert selected.weights is not None
            assert selected.weights[:].tolist() == weights[rows].tolist()


def test_the_fingerprint_is_that_of_the_first_middle_and_last_row(size: str) -> None:
    def fingerprint(rows: Any, labels: Any) -> int:
        return check_samples(rows, labels, None, ARCHITECTURE).fingerprint()

    expected = fingerprint(X, LABELS)
    assert fingerprint(np.asfortranarray(X, dtype=np.float64), LABELS.astype(np.int8)) == expected
    for place in (0, 20, 40):
        other_x, other_labels = X.copy(), LABELS.copy()
        other_x[place, 1] += 1
        other_labels[place] = (LABELS[place] + 1) % 3
        assert fingerprint(other_x, LABELS) != expected
        assert fingerprint(X, other_labels) != expected
