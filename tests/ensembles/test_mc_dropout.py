"""Monte Carlo dropout: draws of a network that drops units, reproducible and without a change to the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from behaviour import everything, small_data, small_network
from cases import DTYPES, assert_same_bits

from fastmlp import Dense, Ensemble, Network, mc_dropout
from fastmlp.ensembles import dropout as module

X, LABELS = small_data()


@pytest.mark.parametrize("dtype", DTYPES)
def test_draws_are_reproducible_and_change_nothing(dtype: str) -> None:
    network = small_network(dtype=dtype)
    network.fit(X, LABELS, epochs=2)
    before = everything(network)
    draws = mc_dropout(network, X, 7)
    assert (draws.shape, draws.dtype) == ((7, len(X), 3), dtype)
    assert_same_bits(mc_dropout(network, X, samples=7), draws)
    assert len({each.tobytes() for each in draws}) == 7
    assert everything(network) == before
    assert_same_bits(mc_dropout(network, X, 3), draws[:3])
    network.fit(X, LABELS)
    assert not np.array_equal(mc_dropout(network, X, 7), draws)


def test_a_draw_is_a_forward_pass_of_training() -> None:
    network = small_network()
    [draw] = mc_dropout(network, X, 1)
    assert_same_bits(draw, network.forward(X, training=True))


def test_the_draws_of_a_linear_network_have_the_moments_of_dropped_units() -> None:
    """The output is a sum of units that are 0 with probability p, else divided by 1 - p."""
    p = 0.3
    network = Network([3, Dense(16, "linear", dropout=p), 1], dtype="float64", seed=0)
    draws = mc_dropout(network, X, 40_000)[..., 0]
    terms = network.hidden_activations(X)[0] * network.get_weights()[1][0][:, 0]
    std = np.sqrt(p / (1 - p) * (terms**2).sum(axis=1))
    np.testing.assert_allclose(draws.mean(axis=0), network.predict(X)[:, 0], atol=5 * std.max() / 200)
    np.testing.assert_allclose(draws.std(axis=0), std, rtol=0.03)


def test_rows_beyond_one_piece_are_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_network()
    whole = mc_dropout(network, X, 5)
    monkeypatch.setattr(module, "_ROWS", 16)
    pieces = mc_dropout(network, X, 5)
    assert_same_bits(pieces[:, :16], mc_dropout(network, X[:16], 5))
    assert np.isfinite(pieces).all()
    assert len({each.tobytes() for each in pieces.reshape(-1, 3)}) > len(X) * 4
    np.testing.assert_allclose(pieces.mean(axis=0), whole.mean(axis=0), atol=0.5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Network([3, 1], seed=0), X), ValueError, "needs a network with dropout, such as"),
        ((Ensemble([3, 1], seed=0), X), TypeError, "needs a fastmlp.Network, got Ensemble"),
        ((small_network(), X, 0), ValueError, "samples must be at least 1, got 0"),
        ((small_network(), X, 2.5), TypeError, "samples must be a whole number, got 2.5"),
        ((small_network(), X[:, :2]), ValueError, r"X must have shape \(n, 3\) for this network, got \(41, 2\)"),
        ((small_network(), X[:0]), ValueError, "X must have at least one row, got none"),
        ((small_network(), X * np.nan), ValueError, "X"),
        ((small_network(), X, 10**15), MemoryError, "the predictions"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mc_dropout(*arguments)
