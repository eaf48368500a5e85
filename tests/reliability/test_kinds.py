"""Arrays of every kind, in every argument: they give the bits of a plain copy, or an error with advice."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from behaviour import Tried, bits, run_python, small_data, small_network

from fastmlp import Network


def run_kinds(what: str, every: int, seconds: float) -> Any:
    """Run a function of `kinds.py` in a process in which a warning is an error, and return its result."""
    code = f"import runpy, sys; sys.argv = ['', {what!r}, '{every}']; runpy.run_module('kinds', run_name='__main__')"
    return json.loads(run_python(code, "-W", "error", seconds=seconds)[0])


# Strides that share no factor with the tables, so that all pairs of their entries come by.
@pytest.mark.parametrize("every", [601, pytest.param(7, marks=pytest.mark.heavy)])
def test_an_array_of_any_kind_does_as_a_plain_copy_of_it(every: int, tried: Tried) -> None:
    found = run_kinds("taken", every, seconds=170)
    assert not found["wrong"]
    assert found["kernels"] > 10
    assert found["count"] > 50_000 / every
    tried("an array of any kind: the bits of a plain copy, itself unchanged, nothing compiled anew", found["count"])


@pytest.mark.parametrize("every", [61, pytest.param(1, marks=pytest.mark.heavy)])
def test_what_is_no_array_of_finite_numbers_is_refused_with_what_to_do(every: int, tried: Tried) -> None:
    found = run_kinds("not_taken", every, seconds=120)
    assert not found["wrong"]
    assert found["count"] > 6000 / every
    tried("NaN, infinity and what is no number: refused by place, the network unchanged", found["count"])


class Watched(np.ndarray):
    """An array that can be referenced weakly, to detect when it is freed."""


def watched(array: Any) -> Any:
    return np.array(array).view(Watched)


HOLDERS: dict[str, Callable[[Network, Any, Any, Any], Any]] = {
    "fit": lambda n, x, y, w: n.fit(x, y, sample_weight=w),
    "fit and split": lambda n, x, y, w: n.fit(x, y, sample_weight=w, validation_split=0.3),
    "validation_data": lambda n, x, y, w: n.fit(*small_data(), validation_data=(x, y, w)),
    "chunks": lambda n, x, y, w: n.fit(lambda: [(x, y, w)], epochs=2),
    "train_on_batch": lambda n, x, y, w: n.train_on_batch(x, y, w),
    "evaluate": lambda n, x, y, w: n.evaluate(x, y, w),
    "loss_and_gradients": lambda n, x, y, w: n.loss_and_gradients(x, y, w),
    "input_gradients": lambda n, x, y, w: n.input_gradients(x),
    "hidden_activations": lambda n, x, y, w: n.hidden_activations(x),
}


def test_no_array_is_held_after_a_call(tried: Tried) -> None:
    X, labels = small_data()
    networks, ends = {name: small_network() for name in HOLDERS}, {}
    for name, call in HOLDERS.items():
        given = [watched(X), watched(labels), watched(np.ones(len(X)))]
        call(networks[name], *given)
        ends[name] = [weakref.ref(array) for array in given]
        del given
    gc.collect()  # a second among the objects of the other tests
    assert [name for name, arrays in ends.items() if any(array() is not None for array in arrays)] == []
    tried("calls after which no array of the user's is held", len(HOLDERS))


def test_x_and_y_may_be_parts_of_each_other_and_of_what_the_network_gave() -> None:
    table = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    for X, y in ((table, table[:, 1:3]), (table, table[::-1, ::-2]), (table[:, ::-1], table[:, :2])):
        network, other = Network([4, 5, 2], seed=0), Network([4, 5, 2], seed=0)
        network.fit(X, y, sample_weight=np.abs(X[:, 0]), epochs=3)
        other.fit(X.copy(), y.copy(), sample_weight=np.abs(X[:, 0]), epochs=3)
        assert bits(network) == bits(other)
    network, other = Network([5, 4, 5], seed=0), Network([5, 4, 5], seed=0)
    own = network.get_weights()[1][0]  # (4, 5)
    network.fit(own, own, epochs=3)
    other.fit(own.copy(), own.copy(), epochs=3)
    assert bits(network) == bits(other)
    assert (own == Network([5, 4, 5], seed=0).get_weights()[1][0]).all()


def test_a_billion_rows_that_are_one_row_take_no_memory_to_train_on() -> None:
    X, y = (np.broadcast_to(np.float32(1), (10**9, columns)) for columns in (1, 1))
    network = Network([1, 1], seed=0)

    def first_chunks() -> Any:
        yield X[:100_000], y[:100_000]
        yield X[-100_001:-1:2], y[-100_001:-1:2]

    network.fit(first_chunks, batch_size=1000, shuffle=False)
    assert network.step == 150
