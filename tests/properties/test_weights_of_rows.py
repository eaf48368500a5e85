"""Relations of the weights of rows: a row of weight k is k rows, only ratios count, and weight 1 is no weight."""

from __future__ import annotations

from typing import Any

import numpy as np
from bounds import bounded
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, answers, cases, labelled_cases, state_after
from steps import assert_equal_training, step_cases


@given(step_cases(), st.data())
def test_a_row_of_weight_k_is_k_rows(case: Case, drawn: Any) -> None:
    """To the derived bound: the sums have a term for each row. In loss, gradients and one step of SGD.

    The bound is that of the k rows, which take more roundings than the weighted one.
    """
    network, data = case.network(), case.data()
    counts = np.array(drawn.draw(st.lists(st.integers(0, 4), min_size=case.rows, max_size=case.rows)))
    counts[0] += not counts.any()
    repeated = {"X": np.repeat(data["X"], counts, axis=0), "y": np.repeat(data["y"], counts, axis=0)}
    weighted = {**data, "sample_weight": counts.astype(np.float64)}
    assert_equal_training(network, weighted, repeated, bounded(network, *repeated.values()))


@given(cases(), st.integers(-40, 40), st.integers(1, 50))
def test_a_power_of_two_as_the_factor_of_all_weights_changes_no_bit(case: Case, power: int, batch_size: int) -> None:
    """To the bit, over a whole fit with batches and dropout: powers of two scale weights, sums and ratios exactly.

    No weights are weights of 1, so they are also any equal powers of two.
    """
    data = case.data()
    weights = np.ones(case.rows) if data["sample_weight"] is None else data["sample_weight"]
    scaled = {**data, "sample_weight": 2.0**power * weights}
    fit = {"epochs": 2, "batch_size": batch_size}
    one, other = case.network(), case.network()
    assert state_after(one, **data, **fit) == state_after(other, **scaled, **fit)
    assert answers(one, **data) == answers(other, **scaled)


@given(labelled_cases(weights=("none", "random")), st.data(), st.integers(1, 50))
def test_labels_and_their_weights_are_rows_with_a_one_and_weights(case: Case, drawn: Any, batch_size: int) -> None:
    """To the bit: the kernels make a row with a one of each label, and both weights are one product in float64."""
    data = case.data()
    factors = drawn.draw(st.dictionaries(st.integers(0, case.outputs - 1), st.floats(0.25, 4.0), min_size=1))
    weights = np.array([factors.get(label, 1.0) for label in data["y"]])
    weights = weights if data["sample_weight"] is None else data["sample_weight"] * weights
    fit = {"epochs": 2, "batch_size": batch_size}
    by_class = state_after(case.network(), **data, **fit, class_weight=factors)
    rows = {"X": data["X"], "y": np.eye(case.outputs)[data["y"]], "sample_weight": weights}
    assert state_after(case.network(), **rows, **fit) == by_class
