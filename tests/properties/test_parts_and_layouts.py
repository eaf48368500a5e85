"""Relations of predictions and data: any division into batches, any dtype and layout of the arrays, the same bits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from array_cases import LAYOUTS
from cases import Array, assert_same_bits
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, answers, cases, state_after

from fastmlp import metrics
from fastmlp.metrics.undefined import UndefinedMetricWarning


@given(cases(), st.integers(1, 45))
def test_predictions_do_not_depend_on_how_rows_are_divided(case: Case, batch_size: int) -> None:
    """To the bit: rows one by one, in slices, with any `batch_size`, and among the same rows many times."""
    network, X = case.network(), case.data()["X"]
    together = network.predict(X)
    assert_same_bits(network.predict(X, batch_size=batch_size), together)
    assert_same_bits(np.concatenate([network.predict(row[np.newaxis]) for row in X]), together)
    starts = range(0, len(X), batch_size)
    assert_same_bits(np.concatenate([network.predict(X[i : i + batch_size]) for i in starts]), together)
    many = np.tile(X, (-(-300 // len(X)), 1))  # more rows than those of the plan for few rows
    assert_same_bits(network.predict(many), np.tile(together, (-(-300 // len(X)), 1)))
    hidden = network.hidden_activations(X)
    assert [layer.shape for layer in hidden] == [(len(X), layer.units) for layer in case.layers[1:-1]]
    for i in range(0, len(X), batch_size):
        for whole, part in zip(hidden, network.hidden_activations(X[i : i + batch_size]), strict=True):
            assert_same_bits(part, whole[i : i + batch_size])


@given(cases(weights=("none", "random")))
def test_evaluate_measures_predict(case: Case) -> None:
    """To the bit: `evaluate` gives the metrics of the predictions, and the loss of `loss_and_gradients`."""
    network, data = case.network(), case.data()
    X, y, weights = data.values()
    predictions = network.predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # R2 of one row or of equal targets
        measured = network.evaluate(X, y, weights)
        expected = metrics.evaluate(case.loss, y, predictions, weights)
    assert repr(measured) == repr({"loss": network.loss_and_gradients(X, y, weights)[0], **expected})
    classes = network.predict_classes(X)
    if case.loss.targets == "classes":
        np.testing.assert_array_equal(classes, predictions.argmax(axis=1))
    elif case.loss.targets == "binary":
        np.testing.assert_array_equal(classes.reshape(predictions.shape), predictions >= 0.5)


def beside_nan(array: Array) -> Array:
    """Return a view of a larger array that is full of NaN elsewhere: the first columns, or every second number."""
    fill = np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    if array.ndim == 1:
        larger = np.full(2 * len(array), fill, array.dtype)
        larger[::2] = array
        return larger[::2]
    larger = np.full((len(array), array.shape[1] + 3), fill, array.dtype)
    larger[:, : array.shape[1]] = array
    return larger[:, : array.shape[1]]


BESIDE = {**LAYOUTS, "beside NaN": beside_nan}


HALVES = {"X": (-16, 17), "values": (-16, 17), "counts": (0, 9), "sample_weight": (0, 9)}
"""The range of the numbers, in halves: each dtype but integers holds them."""
NUMBERS = ("int8", "int64", "uint8", "float16", "float32", "float64", "longdouble")


def numbers_for(case: Case, dtypes: dict[str, str]) -> dict[str, Any]:
    """Return data that the given dtypes of X, y and weights hold exactly, in float64."""
    rng, data = np.random.default_rng(case.seed), case.data()
    for name, kind in (("X", "X"), ("y", case.loss.targets), ("sample_weight", "sample_weight")):
        if data[name] is None or (kind == "classes" and case.labels):
            continue
        whole = np.dtype(dtypes[name]).kind in "iu"
        if kind in HALVES:
            low, high = HALVES[kind]
            low = 0 if dtypes[name].startswith("u") else low
            data[name] = rng.integers(low, high, data[name].shape) * (1.0 if whole else 0.5)
        elif kind == "signs":
            data[name] = rng.choice([0, 1] if dtypes[name].startswith("u") else [-1, 1], data[name].shape)
        elif kind == "binary":
            data[name] = rng.integers(0, 2, data[name].shape) if whole else rng.integers(0, 9, data[name].shape) / 8
        else:  # rows of probabilities
            data[name] = np.eye(case.outputs)[rng.integers(0, case.outputs, case.rows)]
    if data["sample_weight"] is not None:
        data["sample_weight"][0] = 1  # not all are 0
    return data


@given(
    cases(),
    st.fixed_dictionaries({name: st.sampled_from(NUMBERS) for name in ("X", "y", "sample_weight")}),
    st.fixed_dictionaries({name: st.sampled_from(sorted(BESIDE)) for name in ("X", "y", "sample_weight")}),
    st.integers(1, 45),
)
def test_dtypes_and_layouts_change_nothing(
    case: Case, dtypes: dict[str, str], layouts: dict[str, str], batch_size: int
) -> None:
    """To the bit, for numbers that each dtype holds: a whole fit, predictions, gradients and metrics.

    "beside NaN" are columns of a wider array, which kernels read in place.
    """
    plain = numbers_for(case, dtypes)
    given_data = {
        name: None if array is None else BESIDE[layouts[name]](np.asarray(array).astype(dtypes[name]))
        for name, array in plain.items()
    }
    fit = {"epochs": 2, "batch_size": batch_size}
    one, other = case.network(), case.network()
    assert state_after(one, **plain, **fit) == state_after(other, **given_data, **fit)
    assert answers(one, **plain) == answers(other, **given_data)
