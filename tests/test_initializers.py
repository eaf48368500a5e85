"""Initial values follow their distribution and have the bits of the reference; initializers are checked and stored."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from cases import Array, assert_same_bits

import fastmlp
from fastmlp import Constant, Dense, Network, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from fastmlp.initializers import INITIALIZERS, Initializer, from_dict, resolve
from fastmlp.reference import Network as Reference

WITH_NUMBERS: list[Initializer] = [
    Constant(-0.3),
    RandomUniform(0.1, 0.2),
    RandomUniform(-2.0, 5.0),
    RandomUniform(0.5, 0.5),
    RandomNormal(1.5, 0.25),
    RandomNormal(stddev=0.0),
    TruncatedNormal(-1.0, 2.0),
    TruncatedNormal(1e29, 1e29),
    Orthogonal(0.7),
]
ALL = [*INITIALIZERS.values(), *WITH_NUMBERS]
VECTORS = [initializer for initializer in ALL if initializer.distribution != "orthogonal"]

SHAPES = [(1, 1), (1, 5), (5, 1), (2, 2), (7, 33), (33, 7), (63, 64), (64, 64), (65, 130), (130, 65), (200, 129)]
"""Sizes around 64, the number of columns to which reflections are applied together."""


def weights(kind: Callable[..., Any], shape: tuple[int, int], initializer: Initializer, seed: int = 3) -> Array:
    network = kind([shape[0], Dense(shape[1], weight_init=initializer)], dtype="float64", seed=seed)
    found: Array = network.get_weights()[0][0]
    return found


def biases(kind: Callable[..., Any], units: int, initializer: Initializer, seed: int = 3) -> Array:
    network = kind([4, Dense(units, bias_init=initializer)], dtype="float64", seed=seed)
    found: Array = network.get_weights()[0][1]
    return found


# Distributions ------------------------------------------------------------------------------------------------------


def deviation_from(cumulative: Callable[[float], float], values: Array) -> float:
    """Return the statistic of Kolmogorov: the largest distance of the two distribution functions, times sqrt(n)."""
    expected = np.array([cumulative(value) for value in np.sort(values.ravel()).tolist()])
    n = len(expected)
    steps = np.arange(n + 1) / n
    return float(max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max())) * math.sqrt(n)


WITHIN = NormalDist().cdf(2.0) - NormalDist().cdf(-2.0)

CUMULATIVE: dict[Initializer, Callable[[float], float]] = {
    RandomUniform(-2.0, 5.0): lambda x: (x + 2.0) / 7.0,
    RandomNormal(1.5, 0.25): NormalDist(1.5, 0.25).cdf,
    TruncatedNormal(-1.0, 2.0): lambda x: (NormalDist(-1.0, 2.0).cdf(x) - NormalDist().cdf(-2.0)) / WITHIN,
    resolve("he_normal"): NormalDist(0.0, math.sqrt(2.0 / 60)).cdf,
    resolve("glorot_normal"): NormalDist(0.0, math.sqrt(2.0 / 140)).cdf,
    resolve("lecun_uniform"): lambda x: 0.5 + x / (2.0 * math.sqrt(3.0 / 60)),
}


@pytest.mark.parametrize("initializer", CUMULATIVE, ids=repr)
def test_values_follow_their_distribution(initializer: Initializer) -> None:
    # Values that follow the distribution exceed 1.95 once in 1000 times (Kolmogorov, 1933).
    values = weights(Network, (60, 80), initializer)
    assert deviation_from(CUMULATIVE[initializer], values) < 1.95
    assert deviation_from(CUMULATIVE[initializer], values + 0.1 * values.std()) > 1.95


def test_values_stay_within_their_bounds_and_come_near_them() -> None:
    bounds = {RandomUniform(0.1, 0.2): (0.1, 0.2), TruncatedNormal(-1.0, 2.0): (-5.0, 3.0)}
    for initializer, (low, high) in bounds.items():
        values = weights(Network, (100, 200), initializer)
        assert low - 1e-15 <= values.min() < low + 0.01 * (high - low)
        assert high + 1e-15 >= values.max() > high - 0.01 * (high - low)


def test_a_truncated_normal_has_0_88_of_the_deviation() -> None:
    values = weights(Network, (200, 250), TruncatedNormal(stddev=0.5))
    share = math.sqrt(1 - 4 * NormalDist().pdf(2.0) / WITHIN)
    assert share == pytest.approx(0.88, abs=1e-3)
    assert values.std() == pytest.approx(0.5 * share, rel=0.01)
    assert abs(values.mean()) < 5 * 0.5 / math.sqrt(values.size)


def test_constants_are_what_they_say() -> None:
    for initializer, value in ((Constant(-0.3), -0.3), (Constant(), 0), (resolve("zeros"), 0), (resolve("ones"), 1)):
        np.testing.assert_array_equal(weights(Network, (3, 4), initializer), np.full((3, 4), value))
        np.testing.assert_array_equal(biases(Network, 5, initializer), np.full(5, value))
    assert (weights(Network, (3, 4), RandomUniform(0.5, 0.5)) == 0.5).all()
    assert (weights(Network, (3, 4), RandomNormal(0.5, 0.0)) == 0.5).all()


# Orthogonal matrices ------------------------------------------------------------------------------------------------


def largest_product(matrix: Array) -> float:
    """Return the largest error of the products of columns (or rows, if there are fewer), which are orthonormal."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return float(np.abs(tall.T @ tall - np.eye(tall.shape[1])).max())


@pytest.mark.parametrize("shape", SHAPES)
def test_columns_or_rows_are_orthonormal(shape: tuple[int, int]) -> None:
    for seed in range(3):
        assert largest_product(weights(Network, shape, Orthogonal(), seed)) < 1e-14
        assert largest_product(weights(Network, shape, Orthogonal(0.25), seed) * 4.0) < 1e-14
    assert largest_product(weights(Network, shape, resolve("lecun_normal"))) > 1e-3


def test_an_orthogonal_matrix_of_float32_is_the_one_of_float64_rounded() -> None:
    layers: list[int | Dense] = [33, Dense(17, weight_init="orthogonal")]
    (single, _), (double, _) = (Network(layers, dtype=d, seed=1).get_weights()[0] for d in ("float32", "float64"))
    assert_same_bits(single, double.astype(np.float32))


def test_orthogonal_matrices_prefer_no_direction() -> None:
    """No direction is preferred (Haar measure), as far as matrices of 3 x 3 and 2000 draws can show."""
    draws = np.array([weights(Reference, (3, 3), Orthogonal(), seed) for seed in range(2000)])
    # An element of a random direction in three dimensions is uniform from -1 to 1 (Archimedes).
    for i, j in np.ndindex(3, 3):
        assert deviation_from(lambda x: (x + 1.0) / 2.0, draws[:, i, j]) < 1.95
    assert deviation_from(lambda x: (x + 1.0) / 2.0, np.trace(draws, axis1=1, axis2=2)) > 1.95
    # Determinants of 1 and -1 have the same probability and are independent of the first column.
    determinants = np.linalg.det(draws)
    np.testing.assert_allclose(np.abs(determinants), 1.0, rtol=1e-12)
    assert abs(determinants.mean()) < 4 / math.sqrt(2000)
    assert abs((determinants * draws[:, 0, 0]).mean()) < 4 / math.sqrt(3 * 2000)


def test_one_unit_is_a_direction_and_one_weight_a_sign() -> None:
    signs = np.array([weights(Network, (1, 1), Orthogonal(3.0), seed)[0, 0] for seed in range(20)])
    np.testing.assert_allclose(np.abs(signs), 3.0, rtol=1e-15)
    assert -20 < np.sign(signs).sum() < 20
    assert np.linalg.norm(weights(Network, (1, 9), Orthogonal())) == pytest.approx(1.0, rel=1e-15)


# The same bits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_matrices_have_the_bits_of_the_reference(shape: tuple[int, int]) -> None:
    for seed in (0, 2**63 - 1):
        for gain in (1.0, 0.3):
            found, expected = (weights(kind, shape, Orthogonal(gain), seed) for kind in (Network, Reference))
            assert_same_bits(found, expected)


@pytest.mark.parametrize("initializer", WITH_NUMBERS, ids=repr)
def test_values_have_the_bits_of_the_reference(initializer: Initializer) -> None:
    assert_same_bits(weights(Network, (33, 17), initializer), weights(Reference, (33, 17), initializer))
    if initializer in VECTORS:
        assert_same_bits(biases(Network, 33, initializer), biases(Reference, 33, initializer))


def test_layers_and_seeds_draw_different_matrices() -> None:
    network = Network([5, *(Dense(5, weight_init="orthogonal") for _ in range(2))], seed=0)
    (first, _), (second, _) = network.get_weights()
    network.reinitialize(1)
    assert np.abs(first - second).max() > 0.1
    assert np.abs(first - network.get_weights()[0][0]).max() > 0.1


# Numbers: checked, compared, stored ---------------------------------------------------------------------------------

WRONG: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: Constant(math.nan), ValueError, "constant: value must be at least -1e.30 and less than 1e.30, got nan"),
    (lambda: Constant(1e30), ValueError, "constant: value must be at least -1e.30 and less than 1e.30, got 1e.30"),
    (lambda: Constant("0"), TypeError, "constant: value must be a number, got '0' of type str"),  # type: ignore[arg-type]
    (lambda: RandomUniform(1.0, 0.0), ValueError, "random_uniform: minval must be at most maxval, 0.0, got 1.0"),
    (lambda: RandomUniform(-math.inf), ValueError, "random_uniform: minval must be at least"),
    (lambda: RandomNormal(stddev=-1.0), ValueError, "random_normal: stddev must be at least 0, got -1.0"),
    (lambda: RandomNormal(mean=True), TypeError, "random_normal: mean must be a number, got True"),
    (lambda: TruncatedNormal(stddev=-1.0), ValueError, "truncated_normal: stddev must be at least 0, got -1.0"),
    (lambda: Orthogonal(0), ValueError, "orthogonal: gain must be positive, got 0.0"),
    (lambda: Dense(3, weight_init="orthogonale"), ValueError, "unknown initializer.*did you mean 'orthogonal'"),
    (lambda: Dense(3, weight_init=0.5), TypeError, "initializer must be a name or an instance of Initializer, got 0.5"),  # type: ignore[arg-type]
    (lambda: Dense(3, weight_init=Orthogonal), TypeError, "initializer must be a name or an instance"),  # type: ignore[arg-type]
    (lambda: Dense(3, bias_init="orthogonal"), ValueError, r"bias_init cannot be Orthogonal\(gain=1.0\): a bias"),
    (lambda: Dense(3, bias_init=Orthogonal(2)), ValueError, r"bias_init cannot be Orthogonal\(gain=2.0\)"),
    (lambda: Dense(3, bias_init=None), TypeError, "initializer must be a name or an instance"),  # type: ignore[arg-type]
    (lambda: from_dict({"name": "constant"}), ValueError, "'constant' must have the entries name, value, got name"),
    (lambda: from_dict({"name": "he_normal", "scale": 2}), ValueError, "must have the entries name, got name, scale"),
    (lambda: from_dict({"name": "orthogonal", "gain": -1}), ValueError, "orthogonal: gain must be positive"),
    (lambda: from_dict("zeros"), TypeError, "initializer must be a dictionary with a 'name' and numbers, got 'zeros'"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_wrong_initializers_are_refused(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_the_table_holds_every_kind_under_its_name() -> None:
    assert list(INITIALIZERS) == [
        "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "zeros", "ones",
        "constant", "random_uniform", "random_normal", "truncated_normal", "orthogonal",
    ]  # fmt: skip
    assert all(resolve(name) is initializer for name, initializer in INITIALIZERS.items())
    assert len(set(ALL)) == len(ALL)


@pytest.mark.parametrize("initializer", ALL, ids=repr)
def test_an_initializer_comes_back_from_its_description(initializer: Initializer) -> None:
    found = from_dict(json.loads(json.dumps(initializer.to_dict())))
    assert found == initializer
    assert hash(found) == hash(initializer)
    assert eval(repr(initializer), vars(fastmlp.initializers)) == initializer


def test_a_name_is_the_object_with_its_defaults() -> None:
    named = Network([4, Dense(3, weight_init="orthogonal", bias_init="random_normal")], seed=1)
    made = Network([4, Dense(3, weight_init=Orthogonal(), bias_init=RandomNormal(0.0, 0.05))], seed=1)
    assert named.architecture == made.architecture
    assert named.architecture != Network([4, Dense(3, weight_init=Orthogonal(2.0))], seed=1).architecture


@pytest.mark.parametrize("initializer", ALL, ids=repr)
def test_a_saved_network_knows_its_initializers(initializer: Initializer, tmp_path: Path) -> None:
    bias = initializer if initializer in VECTORS else Constant(0.5)
    network = Network([5, Dense(7, weight_init=initializer, bias_init=bias), 2], seed=4)
    network.save(tmp_path / "model.safetensors")
    loaded = Network.load(tmp_path / "model.safetensors")
    assert loaded.architecture == network.architecture
    assert loaded.architecture.layers[0].weight_init == initializer
    loaded.reinitialize(4)
    for (W, b), (V, c) in zip(loaded.get_weights(), network.get_weights(), strict=True):
        assert_same_bits(W, V)
        assert_same_bits(b, c)
