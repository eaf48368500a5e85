"""Huge numbers, huge learning rates, empty data and data that changes give a result or an error, and never NaN."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from behaviour import Tried, run_python, small_data, small_network


def run_extremes(what: str, every: int, seconds: float) -> Any:
    """Run a function of `extremes.py` in a process in which a warning is an error, and return its result."""
    code = f"import runpy, sys; sys.argv = ['', {what!r}, '{every}']"
    code += "; runpy.run_module('extremes', run_name='__main__')"
    found = json.loads(run_python(code, "-W", "error", seconds=seconds)[0])
    assert not found["wrong"]
    return found


# Strides that share no factor with the tables, so that all pairs of their entries come by.
@pytest.mark.parametrize("every", [1999, pytest.param(61, marks=pytest.mark.heavy)])
def test_a_fit_ends_with_finite_weights_or_with_those_of_before(every: int, tried: Tried) -> None:
    found = run_extremes("trained", every, seconds=120)
    assert found["ended"] > 30
    assert found["failed"] > 20
    tried("1e38 in X and y, rates of 1e10, empty data: finite weights, or an error", found["ended"] + found["failed"])


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.heavy)])
def test_an_epoch_that_overflows_is_undone_to_the_bit(every: int, tried: Tried) -> None:
    found = run_extremes("undone", every, seconds=60)
    assert found["count"] > 10
    tried("a loss that overflows in the third epoch: the bits of two epochs", found["count"])


@pytest.mark.parametrize("every", [59, pytest.param(1, marks=pytest.mark.heavy)])
def test_questions_about_extreme_data_are_answered_though_numpy_is_told_to_raise(every: int, tried: Tried) -> None:
    found = run_extremes("asked", every, seconds=60)
    assert found["count"] > 10
    tried("questions about extreme data under np.errstate(all='raise')", found["count"])


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.heavy)])
def test_data_that_a_callback_overwrites_does_no_harm(every: int, tried: Tried) -> None:
    found = run_extremes("rewritten", every, seconds=60)
    assert found["count"] > 10
    tried("a callback writes NaN or labels of 2**62 into the data under way", found["count"])


def test_weights_whose_sums_would_overflow_are_refused() -> None:
    X, labels = small_data()
    network = small_network()
    weights = np.full(len(X), 1e100)
    with pytest.raises(
        ValueError, match=r"sample_weight must be less than 1e\+100, got 1e\+100; only the ratios of weights count"
    ):
        network.fit(X, labels, sample_weight=weights)
    with pytest.raises(ValueError, match=r"class_weight\[1\] must be less than 1e\+100, got 1e\+300"):
        network.fit(X, labels, class_weight={1: 1e300})
    assert network.step == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_count_by_their_proportions_alone(dtype: str) -> None:
    X, labels = small_data()
    losses = []
    for scale in (2.0**-300, 1.0, 2.0**300):
        network = small_network(dtype=dtype)
        network.fit(X, labels, sample_weight=(1 + labels) * scale, epochs=2)
        losses.append(
            (network.evaluate(X, labels, (1 + labels) * scale), [w.tobytes() for w, _ in network.get_weights()])
        )
    assert losses[0] == losses[1] == losses[2]
