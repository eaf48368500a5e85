"""Sizes around every limit, from 0 rows to 60 layers and 10,000 columns."""

from __future__ import annotations

import json

import numpy as np
import pytest
from behaviour import Tried, bits, run_python, small_data, small_network

from fastmlp import Network


# Strides that share no factor with the tables, so that all pairs of their entries come by.
@pytest.mark.parametrize("every", [39989, pytest.param(499, marks=pytest.mark.heavy)])
def test_every_size_trains_as_the_reference(every: int, tried: Tried) -> None:
    code = f"import runpy, sys; sys.argv = ['', '{every}']; runpy.run_module('sizes', run_name='__main__')"
    found = json.loads(run_python(code, "-W", "error", seconds=150)[0])
    assert not found["wrong"]
    assert found["count"] > 200_000 / every
    tried("sizes: 1 row, 1 feature, 1 unit, batches over n or one row short, 60 layers", found["count"])


@pytest.mark.parametrize("rows", [0, 1, 2, 17])
def test_the_least_that_can_be_trained_on(rows: int) -> None:
    X, labels = small_data(rows)
    network = small_network()
    for call in (network.fit, network.train_on_batch, network.evaluate, network.loss_and_gradients):
        if rows:
            call(X, labels)
        else:
            with pytest.raises(ValueError, match="X must have at least one row, got none"):
                call(X, labels)
    if rows < 2:
        with pytest.raises(
            ValueError, match=r"must have at least one row|validation_split needs at least 2 rows, got 1"
        ):
            network.fit(X, labels, validation_split=0.5)


def test_a_single_class_is_a_class_too() -> None:
    X, _ = small_data()
    network = small_network()
    network.fit(X, np.zeros(len(X), int), epochs=300)
    assert network.predict_classes(X).tolist() == [0] * len(X)


def test_ten_thousand_columns(tried: Tried) -> None:
    X = np.random.default_rng(0).normal(size=(50, 10_000))
    network, other = (Network([10_000, 8, 1], activation="tanh", output="sigmoid", seed=0, threads=1) for _ in range(2))
    network.fit(X, X[:, -1] > 0, epochs=30, batch_size=10)
    other.fit(np.asfortranarray(X, np.float32), X[:, -1] > 0, epochs=30, batch_size=10)
    assert network.predict_classes(X).tolist() == (X[:, -1] > 0).tolist()
    assert bits(network) == bits(other)
    tried("sizes: 1 row, 1 feature, 1 unit, batches over n or one row short, 60 layers", 1)


@pytest.mark.parametrize("units", [1023, 1024, 1025, 3072, 200_007])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_of_many_classes_sum_to_one(units: int, dtype: str) -> None:
    network = Network([2, units], output="softmax", dtype=dtype, seed=0)
    X = np.random.default_rng(0).normal(size=(3, 2))
    predicted, (loss, _) = network.predict(X), network.loss_and_gradients(X, [0, units // 2, units - 1])
    sums = predicted.astype(np.longdouble).sum(axis=1)
    close = 3e-6 if dtype == "float32" else 1e-13
    assert np.abs(sums - 1).max() < close
    assert loss == pytest.approx(
        -np.log(predicted[range(3), [0, units // 2, units - 1]].astype(float)).mean(), rel=close
    )
