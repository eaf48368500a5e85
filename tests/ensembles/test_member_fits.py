"""Each member of an ensemble ends with the bits of its own fit, on the rows that its seed decides."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from behaviour import bits, run_python
from cases import DTYPES, assert_same_bits

from fastmlp import Adam, Dense, EarlyStopping, Ensemble, Network, Normalization, fit_many
from fastmlp.ensembles.member_rows import member_rows

rng = np.random.default_rng(0)
X, y = rng.normal(size=(90, 4)), rng.normal(size=(90, 2))
LABELS = rng.integers(0, 3, 90)
LAYERS: list[Any] = [4, Dense(9, dropout=0.2, l2=1e-3), 2]


def made(**options: Any) -> Ensemble:
    return Ensemble(LAYERS, **{"members": 4, "seed": 5, "optimizer": Adam(0.01), **options})


def lone(**options: Any) -> list[Network]:
    return [Network(LAYERS, optimizer=Adam(0.01), seed=seed, **options) for seed in range(5, 9)]


def assert_equal(ensemble: Ensemble, networks: list[Network]) -> None:
    for member, network in zip(ensemble.networks, networks, strict=True):
        assert bits(member) == bits(network)
        assert member.history is not None
        assert network.history is not None
        assert dict(member.history.history) == dict(network.history.history)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_members_end_as_networks_of_consecutive_seeds_do(dtype: str, share: float) -> None:
    weights, stopping = rng.uniform(0.1, 2, 90), EarlyStopping(patience=2) if share else None
    ensemble, networks = made(dtype=dtype), lone(dtype=dtype)
    for epochs in (6, 3):  # the second fit continues
        options: dict[str, Any] = {"epochs": epochs, "batch_size": 16, "sample_weight": weights}
        histories = ensemble.fit(X, y, validation_split=share, early_stopping=stopping, **options)
        for network in networks:
            callbacks = [EarlyStopping(patience=2)] if share else []
            network.fit(X, y, validation_split=share, callbacks=callbacks, **options)
        assert_equal(ensemble, networks)
        assert ensemble.histories == histories


def test_the_same_split_is_that_of_the_first_member() -> None:
    ensemble, networks = made(validation="same split"), lone()
    ensemble.fit(X, y, epochs=4, validation_split=0.2)
    [train, *_], held_out = member_rows(90, [5], 0.2, bootstrap=False, validation="own split")
    assert held_out is not None
    fit_many(networks, X, y, rows=train, validation_rows=held_out[0], epochs=4)
    assert_equal(ensemble, networks)
    networks[0] = lone()[0]
    networks[0].fit(X, y, epochs=4, validation_split=0.2)
    assert_equal(ensemble, networks)


@pytest.mark.parametrize(
    ("validation", "share"), [("own split", 0.0), ("own split", 0.2), ("same split", 0.2), ("out of bag", 0.0)]
)
def test_a_bootstrap_is_a_fit_of_the_drawn_rows(validation: str, share: float) -> None:
    ensemble, networks = made(bootstrap=True, validation=validation), lone()
    ensemble.fit(X, y, epochs=4, validation_split=share)
    rows, held_out = member_rows(90, range(5, 9), share, bootstrap=True, validation=validation)
    fit_many(networks, X, y, rows=rows, validation_rows=held_out, epochs=4)
    assert_equal(ensemble, networks)
    for place, network in enumerate(lone()):
        drawn, kept = rows[place], None if held_out is None else held_out[place]
        data = None if kept is None else (X[kept], y[kept])
        network.fit(X[drawn], y[drawn], epochs=4, validation_data=data)
        assert bits(network) == bits(ensemble.networks[place])


def test_from_networks_trains_the_given_objects_of_any_shape() -> None:
    networks = [Network([4, units, 2], seed=units) for units in (3, 8, 20)]
    expected = [Network([4, units, 2], seed=units) for units in (3, 8, 20)]
    ensemble = Ensemble.from_networks(iter(networks))
    assert all(member is network for member, network in zip(ensemble.networks, networks, strict=True))
    ensemble.fit(X, y, epochs=3, validation_split=0.2)
    for network in expected:
        network.fit(X, y, epochs=3, validation_split=0.2)
    assert_equal(ensemble, expected)


def test_adapt_takes_the_statistics_for_every_member() -> None:
    ensemble = Ensemble([4, Normalization(), 2], members=2, seed=0)
    ensemble.adapt(X)
    for member in ensemble.networks:
        np.testing.assert_allclose(member.get_weights()[0][0], X.std(axis=0), rtol=1e-6)


def test_frames_and_labels_are_learned_by_every_member() -> None:
    names = np.array(["red", "green", "blue"])[LABELS]
    frame = pd.DataFrame(X, columns=[*"abcd"])
    ensemble, network = (
        Ensemble([4, 6, 3], output="softmax", members=2, seed=0),
        Network([4, 6, 3], output="softmax", seed=0),
    )
    assert (ensemble.feature_names, ensemble.classes) == (None, None)
    ensemble.fit(frame, names, epochs=3, validation_split=0.2)
    network.fit(frame, names, epochs=3, validation_split=0.2)
    assert bits(ensemble.networks[0]) == bits(network)
    assert ensemble.feature_names == ("a", "b", "c", "d")
    assert ensemble.classes == ("blue", "green", "red")
    swapped = frame[[*"dbca"]]
    assert_same_bits(ensemble.predict(swapped), ensemble.predict(X))
    chosen = np.array(ensemble.classes)[ensemble.predict(X).argmax(axis=1)]
    np.testing.assert_array_equal(ensemble.predict_labels(swapped), chosen)
    assert ensemble.evaluate(swapped, names) == ensemble.evaluate(X, names)
    assert ensemble.evaluate(frame, names)["accuracy"] == np.mean(chosen == names)


BITS = """
import hashlib, numpy as np
from fastmlp import Dense, EarlyStopping, Ensemble, GaussianNLL, mc_dropout
rng = np.random.default_rng(0)
X, y = rng.normal(size=(200, 4)), rng.normal(size=200)
ensemble = Ensemble([4, Dense(9, dropout=0.2), 2], loss=GaussianNLL(), members=7, bootstrap=True, seed=1)
ensemble.fit(X, y, epochs=20, validation_split=0.2, early_stopping=EarlyStopping(patience=3))
found = [*(net.flat_weights() for net in ensemble.networks), *ensemble.predict(X, return_std=True)]
found += [ensemble.predict_quantiles(X), ensemble.predict_samples(X, 5), mc_dropout(ensemble.networks[0], X, 5)]
print(hashlib.sha256(b"".join(each.tobytes() for each in found)).hexdigest())
"""


def test_any_number_of_threads_gives_the_same_bits() -> None:
    assert len({run_python(BITS, "-W", "error", NUMBA_NUM_THREADS=str(count))[0] for count in (1, 2, 4)}) == 1


# The rows -------------------------------------------------------------------------------------------------------------


def test_a_bootstrap_draws_as_many_rows_and_leaves_a_third_out() -> None:
    rows, held_out = member_rows(1000, range(50), 0.0, bootstrap=True, validation="out of bag")
    assert held_out is not None
    for drawn, left in zip(rows, held_out, strict=True):
        assert drawn is not None
        assert len(drawn) == 1000
        assert (np.diff(drawn) >= 0).all()
        np.testing.assert_array_equal(np.union1d(drawn, left), np.arange(1000))
        assert not np.intersect1d(drawn, left).size
    np.testing.assert_allclose(np.mean([len(left) for left in held_out]), 1000 * np.exp(-1), rtol=0.02)
    counts = np.bincount(np.concatenate([each for each in rows if each is not None]), minlength=1000)
    np.testing.assert_allclose(counts.var(), 50, rtol=0.15)  # of binomial numbers


def test_a_bootstrap_never_draws_a_row_of_its_validation() -> None:
    for validation in ("own split", "same split"):
        rows, held_out = member_rows(100, range(9), 0.3, bootstrap=True, validation=validation)
        assert held_out is not None
        for drawn, left in zip(rows, held_out, strict=True):
            assert drawn is not None
            assert (len(drawn), len(left)) == (70, 30)
            assert not np.intersect1d(drawn, left).size
        assert len({left.tobytes() for left in held_out}) == (9 if validation == "own split" else 1)


def test_the_rows_of_a_seed_never_change() -> None:
    """An ensemble of a seed is trained to the same bits by every later version."""
    rows, held_out = member_rows(50, [0, 1], 0.2, bootstrap=True, validation="own split")
    assert held_out is not None
    text = repr([each.tolist() for each in (*rows, *held_out) if each is not None])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "5d14ed51f465d5d7"
