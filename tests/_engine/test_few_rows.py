"""Few rows and many go different ways to the same kernel: the same bits, the same errors, whatever kind they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from behaviour import small_data, small_network
from cases import TOLERANCE, relative_error
from numpy.typing import NDArray

from fastmlp import Dense, Network, reference
from fastmlp._data.staging import PIECE_ROWS
from fastmlp._engine.few_rows import MAX_ROWS
from fastmlp.kernels.layout import PANEL

X, _ = small_data(300)
LARGE = np.tile(X, (PIECE_ROWS * 2 // len(X) + 1, 1))  # three calls of the kernels
COUNTS = (1, 2, PANEL - 1, PANEL, PANEL + 1, MAX_ROWS, MAX_ROWS + 1, len(X))

KINDS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "list": lambda a: a.tolist(),
    "array": lambda a: a,
    "subclass": lambda a: a.view(np.recarray),
    "nothing masked": np.ma.masked_array,
    "objects": lambda a: a.astype(object),
    "Fortran order": np.asfortranarray,
    "rows backwards": lambda a: a[::-1].copy()[::-1],
    "columns of a wider table": lambda a: np.hstack([a, a])[:, : a.shape[1]],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "unaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "float64": lambda a: a.astype(np.float64),
    "longdouble": lambda a: a.astype(np.longdouble),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_few_rows_of_any_kind_have_the_bits_of_many(kind: str, dtype: str) -> None:
    network = small_network(dtype=dtype)
    together = network.predict(X)
    for rows in (*COUNTS, 1):
        given = KINDS[kind](X[:rows])
        found = network.predict(given)
        assert (found.dtype, found.shape, found.flags.c_contiguous) == (np.dtype(dtype), (rows, 3), True)
        assert np.array_equal(found, together[:rows])
        assert np.array_equal(np.asarray(given, X.dtype), X[:rows])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "softmax"])
@pytest.mark.parametrize("widths", [[1, 1], [17, 3], [3, 40, 1], [5, 300, 140, 7], [784, 128, 10], [3000, 33, 2]])
def test_few_rows_of_any_network_have_the_bits_of_many(widths: list[int], activation: str, dtype: str) -> None:
    rows = np.random.default_rng(0).normal(size=(MAX_ROWS + 1, widths[0])).astype(dtype)
    network = Network([*widths[:-1], Dense(widths[-1], "linear")], activation=activation, dtype=dtype, seed=3)
    together = network.predict(rows)
    for count in (*range(41), MAX_ROWS - 1, MAX_ROWS):
        assert np.array_equal(network.predict(rows[:count]), together[:count])


@pytest.mark.parametrize("inputs", [1 << 13, 1 << 14, 1 << 16])
def test_rows_of_a_wide_network_are_few_or_many_by_their_size(inputs: int) -> None:
    network = Network([inputs, 2], seed=0)
    assert network._engine.few_rows.max_rows == {1 << 13: 7, 1 << 14: 3, 1 << 16: 0}[inputs]
    rows = np.random.default_rng(0).normal(size=(9, inputs)).astype(np.float32)
    together = network.predict(rows)
    assert all(np.array_equal(network.predict(rows[:count]), together[:count]) for count in range(9))


def test_a_prediction_of_few_rows_is_not_overwritten_by_the_next() -> None:
    network = small_network()
    first = network.predict(X[:2])
    kept = first.copy()
    network.predict(-X[:2])
    assert np.array_equal(first, kept)


def test_few_rows_are_predicted_by_the_weights_of_now() -> None:
    network = small_network()
    for change in (
        lambda: network.fit(X, np.zeros(len(X), int), batch_size=8),
        lambda: network.reinitialize(8),
        lambda: network.set_weights([(W + 1, b) for W, b in network.get_weights()]),
    ):
        before = network.predict(X[:2])
        change()
        after = network.predict(X[:2])
        assert not np.array_equal(before, after)
        assert np.array_equal(after, network.predict(X)[:2])


def broken(rows: NDArray[Any], place: int, value: float) -> NDArray[Any]:
    """A copy with that value at that place, counted from the first number or back from the last."""
    copy = rows.copy()
    copy.reshape(-1)[place] = value
    return copy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", ["f2", "f4", "f8", ">f4", "longdouble", "list"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39, 1e-310])
def test_few_and_many_rows_are_refused_as_by_the_check_before(value: float, given: str, dtype: str) -> None:
    """`input_gradients` looks at all rows before it begins."""
    network = small_network(dtype=dtype)
    with np.errstate(all="ignore"):
        kind = "f8" if given == "list" else given
        tables = [broken(X[:rows].astype(kind), place, value) for rows in COUNTS for place in {0, rows, 3 * rows - 1}]
    for table in tables:
        rows = table.tolist() if given == "list" else table
        assert outcome(network.predict, rows) == outcome(network.input_gradients, rows)
        assert np.isfinite(network.predict(X[:2])).all()


def outcome(function: Callable[[Any], Any], rows: Any) -> tuple[type, str]:
    """The error that it raises, or none."""
    with np.errstate(all="raise"):  # what a user has NumPy do of itself changes nothing
        try:
            function(rows)
        except (ValueError, FloatingPointError) as error:
            return type(error), str(error)
    return type(None), ""


@pytest.mark.parametrize("threads", [1, None])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", [0, 100, PIECE_ROWS - 1, PIECE_ROWS, len(LARGE) - 1])
def test_one_number_among_many_rows_is_found(row: int, dtype: str, threads: int | None) -> None:
    network = small_network(threads=threads)
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=rf"X must be finite, but X\[{row}, 2\] is {value}; leave such rows out"):
            network.predict(broken(LARGE.astype(dtype), 3 * row + 2, value))
    assert np.isfinite(network.predict(LARGE)).all()


@pytest.mark.parametrize("rows", [1, PANEL + 1])
def test_the_largest_numbers_are_finite(rows: int) -> None:
    """Their sum is not."""
    most = np.full((rows, 3), np.finfo(np.float32).max, np.float32)
    assert small_network().predict(most).shape == (rows, 3)


def test_few_rows_take_their_memory_once() -> None:
    network = small_network()
    first = network.predict(X[:1])
    plan = network._engine.few_rows._plan
    for rows in range(1, MAX_ROWS + 2):
        assert np.array_equal(network.predict(X[:rows])[0], first[0])
    assert network._engine.few_rows._plan is plan


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_of_one_row_has_the_weights_of_the_reference(dtype: str) -> None:
    for units in (1, 17, 40, 100, 300):
        for activation in ("relu", "tanh", "softmax"):
            network = Network([5, units, units, 3], activation=activation, dtype=dtype, seed=units, optimizer="sgd")
            expected = reference.Network.like(network)
            rng = np.random.default_rng(units)
            rows, targets = rng.normal(size=(6, 5)).astype(dtype), rng.normal(size=(6, 3)).astype(dtype)
            for each in (network, expected):
                each.fit(rows, targets, epochs=2, batch_size=1, shuffle=False, verbose=False)
            for found, wanted in zip(network.get_weights(), expected.get_weights(), strict=True):
                for a, b in zip(found, wanted, strict=True):
                    assert relative_error(a, b) <= TOLERANCE[dtype]
