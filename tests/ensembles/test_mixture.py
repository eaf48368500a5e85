"""The quantiles of mixtures of normal distributions, whatever their scales, against the distribution of SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from fastmlp import GaussianNLL
from fastmlp._runtime.normal import normal_cdf
from fastmlp.ensembles import mixture
from fastmlp.ensembles.mixture import Mixture

Floats = NDArray[np.float64]
LEVELS = (1e-30, 1e-9, 0.001, 0.05, 0.3, 0.5, 0.7, 0.95, 1 - 1e-9)
MIXTURES: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "alike": lambda rng, shape: (rng.normal(size=shape), rng.uniform(0.1, 2, shape)),
    "equal": lambda rng, shape: (np.broadcast_to(rng.normal(size=shape[1:]), shape), np.full(shape, 0.7)),
    "far apart": lambda rng, shape: (100 * rng.normal(size=shape), rng.uniform(0.1, 2, shape)),
    "of scales from 1e-3 to 1e3": lambda rng, shape: (rng.normal(size=shape), 10 ** rng.uniform(-3, 3, shape)),
    "with a huge one": lambda rng, shape: (
        rng.normal(size=shape),
        np.where(np.arange(10) == 3, 1e80, 1.0)[:, None, None],
    ),
    "all tiny": lambda rng, shape: (1e-200 * rng.normal(size=shape), np.full(shape, 1e-200)),
    "one member": lambda rng, shape: (rng.normal(size=shape)[:1], rng.uniform(0.1, 2, shape)[:1]),
}


def of(means: Any, deviations: Any) -> Mixture:
    means, deviations = np.broadcast_arrays(np.asarray(means, np.float64), np.asarray(deviations, np.float64))
    return Mixture(means, deviations**2)


def tails(x: Floats, means: Floats, deviations: Floats, level: float) -> Floats:
    """Return the share of a mixture below x, or above if the level is above 1/2, where it has more digits."""
    z = (x - means) / deviations
    return ndtr(z if level <= 0.5 else -z).mean(axis=0)


@pytest.mark.parametrize("kind", MIXTURES)
def test_the_distribution_at_a_quantile_is_its_level(kind: str) -> None:
    means, deviations = MIXTURES[kind](np.random.default_rng(0), (10, 300, 2))
    for level in LEVELS:
        x = mixture._normal_mixture_quantile(means, deviations, level)
        np.testing.assert_allclose(tails(x, means, deviations, level) / min(level, 1 - level), 1, rtol=1e-9)


def test_a_quantile_is_a_number_where_steps_are_steeper_than_numbers_are_dense() -> None:
    """Nine members are steps at float64's resolution: the distribution jumps across the level between two numbers."""
    means, deviations = np.arange(1.0, 11.0)[:, None, None], np.full((10, 1, 1), 1e-18)
    for level in (0.05, 0.35, 0.95):
        x = mixture._normal_mixture_quantile(means, deviations, level)
        low, high = np.nextafter(x, -np.inf), np.nextafter(x, np.inf)
        assert ndtr((low - means) / deviations).mean() <= level <= ndtr((high - means) / deviations).mean()


def test_infinite_variances_leave_the_quantiles_of_the_others() -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = Mixture.of(np.array([[[0.0, 0.0]]] * 9 + [[[1.0, 1e5]]]), GaussianNLL()).quantiles((0.01, 0.5, 0.99))
    assert found[0, 0, 0] < -1e100
    assert found[2, 0, 0] > 1e100
    np.testing.assert_allclose(found[1], 0, atol=1e-9)
    assert np.isinf(Mixture.of(np.full((3, 1, 2), 1e5), GaussianNLL()).variance()).all()


def test_the_solver_converges_in_few_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    cdf = normal_cdf
    monkeypatch.setattr(mixture, "normal_cdf", lambda z: (calls.append(1), cdf(z))[1])
    rng = np.random.default_rng(0)
    for kind, limit in (("alike", 10), ("equal", 2), ("far apart", 60), ("with a huge one", 40)):
        means, deviations = MIXTURES[kind](rng, (10, 300, 1))
        for level in LEVELS:
            calls.clear()
            of(means, deviations).quantiles((level,))
            assert len(calls) <= limit, (kind, level)


@pytest.mark.parametrize("mean", [np.nan, np.inf, -np.inf])
def test_a_mean_that_is_not_finite_concerns_only_its_row(mean: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture, "_MAX_ITERATIONS", 16)
    means, deviations = MIXTURES["alike"](np.random.default_rng(0), (5, 3, 1))
    expected = of(means, deviations).quantiles((0.1, 0.9))
    means[2, 1] = mean
    with np.errstate(invalid="ignore"):
        found = of(means, deviations).quantiles((0.1, 0.9))
    assert not np.isfinite(found[:, 1]).any()
    np.testing.assert_array_equal(found[:, [0, 2]], expected[:, [0, 2]])


def test_quantiles_rise_with_the_level_and_mirror_each_other() -> None:
    means, deviations = MIXTURES["far apart"](np.random.default_rng(0), (10, 300, 1))
    found = of(means, deviations).quantiles((0.125, 0.25, 0.5, 0.75, 0.875))
    assert (np.diff(found, axis=0) > 0).all()
    np.testing.assert_array_equal(found[::-1][:2], -of(-means, deviations).quantiles((0.125, 0.25)))


def test_mean_and_variance_are_those_of_many_draws() -> None:
    means, deviations = MIXTURES["alike"](np.random.default_rng(0), (5, 3, 2))
    rng = np.random.default_rng(1)
    members = rng.integers(0, 5, 400_000)
    draws = means[members] + deviations[members] * rng.standard_normal((400_000, 3, 2))
    np.testing.assert_allclose(of(means, deviations).mean(), draws.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(of(means, deviations).variance(), draws.var(axis=0), rtol=0.02)
    np.testing.assert_allclose(of(means, deviations).quantiles((0.1,))[0], np.quantile(draws, 0.1, axis=0), atol=0.03)
