"""The functions are within 2 ulp of the true value, keep NaN, infinities and bounds, and are vector code in loops."""

from __future__ import annotations

import math
import re
from typing import Any

import mpmath
import numpy as np
import pytest
from cases import DTYPES, Array, kernel_of, run
from numba.core.ccallback import CFunc

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import OPTIONS, Kernel, scalar
from fastmlp.kernels.micro import functions
from fastmlp.kernels.vocabulary import arithmetic, loops
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals

NAMES = ("exp", "small_exp", "expm1", "log", "log1p", "log1p_to_1", "tanh", "sigmoid", "erf")
ODD = ("tanh", "erf")
ULP = 2.0


def elementwise(name: str) -> Kernel:
    g = getattr(functions, name)

    def apply(out: Reals, x: Reals, count: int) -> None:
        for i in range(count):
            out[i] = g(x[i])

    return kernel_of(apply, name)


def elementwise_as_in_regions(name: str) -> Kernel:
    g = getattr(functions, name)

    def apply_flushed(out: Reals, x: Reals, count: int) -> None:
        control = flush_denormals()
        for i in range(count):
            out[i] = g(x[i])
        restore_denormals(control)

    return kernel_of(apply_flushed, name)


KERNELS = {name: elementwise(name) for name in NAMES}
FLUSHED = {name: elementwise_as_in_regions(name) for name in NAMES}


def computed(name: str, x: Array, kernels: dict[str, Kernel] = KERNELS) -> Array:
    out = np.full_like(x, -123.0)
    run(kernels[name], x.dtype.name, out, x, len(x))
    return out


def samples(name: str, dtype: str, count: int) -> Array:
    """Return random numbers over the domain and its middle, and the borders between branches with their neighbours."""
    rng = np.random.default_rng(1)
    limits = np.finfo(dtype)
    largest, smallest = math.log(float(limits.max)), math.log(float(limits.tiny))
    if name.startswith("log"):
        powers = 2.0 ** np.arange(limits.minexp, limits.maxexp - 1, max(1, limits.maxexp // 128))
        borders = np.concatenate([powers, powers * math.sqrt(0.5), powers * math.sqrt(2.0), powers + 1.0])
        wide = np.exp(rng.uniform(smallest, largest, count))
        small = np.exp(rng.uniform(-40, 0, count))
        middle = np.concatenate([rng.uniform(0.0, 4.0, count), 1 + rng.normal(size=count) * 1e-4, -small, small - 1])
    else:
        steps = max(1, int(largest) // 88)
        halves = (np.arange(-1100, 1100, steps) + 0.5) * math.log(2.0)
        # A sigmoid of three roundings, and an erf without the correction of p, were off by more than 2 ulp here.
        hard = [-4.153416, -2.7652608120889965, 0.05538906603355327]
        ends = [3.95, 5.95, 9.1, 18.0, 20.0, 38.0, 89.0, 104.0, 710.0, 746.0, largest, smallest]
        fixed = [*hard, *ends, 0.0, 1e-20, 1e-10, 0.625, 1.0]
        borders = np.concatenate([halves, fixed, np.negative(fixed)])
        wide = rng.uniform(1.02 * smallest, 1.02 * largest, count)
        small = np.exp(rng.uniform(smallest, 0, count)) * rng.choice([-1, 1], count)
        middle = np.concatenate(
            [rng.normal(size=count), np.exp(rng.uniform(-30, 0, count)), rng.normal(size=count) * 5, small]
        )
    near = borders.astype(dtype)
    around = [np.nextafter(near, np.array(side, dtype)) for side in (-np.inf, np.inf)]
    x = np.concatenate([wide.astype(dtype), middle.astype(dtype), near, *around])
    domain = {"log": x >= limits.tiny, "log1p": x > -1, "log1p_to_1": (x >= 0) & (x <= 1), "small_exp": x <= 40}
    return x[domain[name]] if name in domain else x


# float64 is precise enough to test float32: its own error is below 2**-28 ulp of float32.
IN_FLOAT64: dict[str, Any] = {
    "exp": np.exp,
    "small_exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log1p_to_1": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x >= 0, 1, np.exp(-np.abs(x))) / (1 + np.exp(-np.abs(x))),
    "erf": np.vectorize(math.erf),
}
IN_MPMATH: dict[str, Any] = {
    **{name: getattr(mpmath, name) for name in ("exp", "expm1", "log", "log1p", "tanh", "erf")},
    "small_exp": mpmath.exp,
    "log1p_to_1": mpmath.log1p,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
}


def ulps_in_float32(name: str, x: Array, kernels: dict[str, Kernel] = KERNELS) -> Array:
    """Return the error of each finite result, in units in the last place, against float64."""
    with np.errstate(over="ignore"):
        truth = IN_FLOAT64[name](x.astype(np.float64))
        nearest = truth.astype(np.float32)
    got = computed(name, x, kernels)
    finite = np.isfinite(nearest)
    np.testing.assert_array_equal(got[~finite], nearest[~finite])
    difference = np.abs(got[finite].astype(np.float64) - truth[finite])
    ulps: Array = difference / np.spacing(np.abs(nearest[finite])).astype(np.float64)
    return ulps


def ulps_in_float64(name: str, x: Array, kernels: dict[str, Kernel] = KERNELS) -> Array:
    """Return the error of each finite result, in units in the last place, against 120 bits."""
    errors = []
    with mpmath.workprec(120):
        for argument, got in zip(x.tolist(), computed(name, x, kernels).tolist(), strict=True):
            truth = IN_MPMATH[name](mpmath.mpf(argument))
            if abs(truth) > np.finfo(np.float64).max:
                assert got == math.inf
                continue
            errors.append(float(abs(mpmath.mpf(got) - truth) / math.ulp(float(truth))))
    return np.array(errors)


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_within_two_ulp(name: str) -> None:
    errors = ulps_in_float32(name, samples(name, "float32", 50_000))
    assert len(errors) > 50_000
    assert errors.max() <= ULP


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_within_two_ulp(name: str) -> None:
    errors = ulps_in_float64(name, samples(name, "float64", 1500))
    assert len(errors) > 3000
    assert errors.max() <= ULP


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_where_denormals_are_flushed_normal_results_are_within_two_ulp(name: str, dtype: str) -> None:
    tiny = np.finfo(dtype).tiny
    x = samples(name, dtype, 500)
    x = x[(np.abs(x) >= tiny) & ~(np.abs(computed(name, x)) < tiny)]
    errors = (ulps_in_float32 if dtype == "float32" else ulps_in_float64)(name, x, FLUSHED)
    assert len(errors) > 1000
    assert errors.max() <= ULP


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_nan_goes_through(name: str, dtype: str) -> None:
    x = np.full(40, 0.5, dtype)
    x[::3] = np.nan
    np.testing.assert_array_equal(np.isnan(computed(name, x)), np.isnan(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [-np.inf, np.inf, -1e30, 1e30, 0.0], [0.0, np.inf, 0.0, np.inf, 1.0]),
        ("small_exp", [-np.inf, -1e30, 0.0], [0.0, 0.0, 1.0]),
        ("log1p_to_1", [0.0], [0.0]),
        ("expm1", [-np.inf, np.inf, -1e30, 1e30, 0.0], [-1.0, np.inf, -1.0, np.inf, 0.0]),
        ("log", [0.0, np.inf, 1.0, -0.0], [-np.inf, np.inf, 0.0, -np.inf]),
        ("log1p", [0.0, np.inf, -1.0], [0.0, np.inf, -np.inf]),
        ("tanh", [-np.inf, np.inf, -1e30, 1e30, 0.0], [-1.0, 1.0, -1.0, 1.0, 0.0]),
        ("sigmoid", [-np.inf, np.inf, -1e30, 1e30, 0.0], [0.0, 1.0, 0.0, 1.0, 0.5]),
        ("erf", [-np.inf, np.inf, -1e30, 1e30, 0.0], [-1.0, 1.0, -1.0, 1.0, 0.0]),
    ],
)
def test_infinities_and_fixed_points_are_exact(name: str, x: list[float], expected: list[float], dtype: str) -> None:
    np.testing.assert_array_equal(computed(name, np.array(x, dtype)), np.array(expected, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["log", "log1p"])
def test_the_logarithm_of_a_negative_number_is_nan(name: str, dtype: str) -> None:
    below = np.nextafter(np.array(-1, dtype), np.array(-2, dtype))
    x = np.array([-1.0, -1e-30, -np.inf] if name == "log" else [below, -1.5, -1e30, -np.inf], dtype)
    assert np.isnan(computed(name, x)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_expm1_of_a_tiny_number_is_that_number(dtype: str) -> None:
    tiny = np.geomspace(np.finfo(dtype).tiny, np.finfo(dtype).eps / 8, 1001).astype(dtype)
    x = np.concatenate([tiny, -tiny, [np.array(-0.0, dtype)]])
    y = computed("expm1", x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("name", NAMES)
def test_a_loop_over_it_is_vector_code(name: str, dtype: str) -> None:
    signature = KERNELS[name].signature(np.dtype(dtype))
    types = (signature.args, signature.return_type)
    kernel: Any = CFunc(KERNELS[name].function, types, {}, {**OPTIONS, "nopython": True})
    kernel.compile()
    if re.search(r"\bfmaf?\b", kernel._library.get_asm_str()):
        pytest.skip("this processor has no FMA and asks the C library")
    suffix = "f32" if dtype == "float32" else "f64"
    assert re.search(rf"call <\d+ x \w+> @llvm\.fma\.v\d+{suffix}", kernel._library.get_llvm_str())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "lower"), [("tanh", -1.0), ("sigmoid", 0.0), ("erf", -1.0)])
def test_saturation_is_monotone_and_stays_within_its_bounds(name: str, lower: float, dtype: str) -> None:
    x = np.linspace(-120.0, 120.0, 24_001).astype(dtype)
    y = computed(name, x)
    assert y.min() == pytest.approx(lower, abs=1e-30)
    assert y.max() == 1.0
    slack = np.finfo(dtype).eps if name == "sigmoid" else 2 * np.finfo(dtype).eps  # 2 ulp, and 1 just below 1
    assert (np.diff(y) >= -slack * np.abs(y[1:])).all()
    outer = np.abs(x) >= 25 if dtype == "float32" else np.abs(x) >= 45
    assert (np.diff(y[outer & (x > 0)]) == 0).all()
    assert (np.diff(y[outer & (x < 0)]) >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_expm1_ends_in_minus_one(dtype: str) -> None:
    x = np.linspace(-120.0, -10.0, 11_001)
    y = computed("expm1", x.astype(dtype))
    last_bit = np.finfo(dtype).eps / 2
    assert (np.diff(y) >= -last_bit).all()
    assert y.min() == -1.0
    assert (y[x < math.log(last_bit / 4)] == -1.0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ODD)
def test_it_is_odd(name: str, dtype: str) -> None:
    x = samples(name, dtype, 2000)
    np.testing.assert_array_equal(computed(name, -x), -computed(name, x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_mills_ratio_is_within_what_its_polynomial_allows(dtype: str) -> None:
    """The polynomial was fitted with the weight 1 / (1 + t^2 / 2), since it is multiplied by e**(-t^2 / 2)."""
    largest, ulps = (14.5, 2.0**-24.5 / 2.0**-23) if dtype == "float32" else (39.0, 2.0**-51.2 / 2.0**-52)
    t = np.linspace(0.0, largest, 2001).astype(dtype)
    y = computed("mills_ratio", t, {"mills_ratio": elementwise("mills_ratio")})
    with mpmath.workprec(120):
        truth = [mpmath.ncdf(-mpmath.mpf(x)) / mpmath.npdf(mpmath.mpf(x)) for x in t.tolist()]
        errors = [float(abs(got / right - 1)) for got, right in zip(y.tolist(), truth, strict=True)]
    # In float64 the coefficients alternate in sign, and their sizes add up to 8 times the sum, so roundings add up too.
    allowed = (ulps + 10) * np.finfo(dtype).eps * (1.0 + t.astype(np.float64) ** 2 / 2.0)
    assert (np.array(errors) <= allowed).all()


def test_minimum_and_maximum_bound_a_number_and_keep_nan() -> None:
    def between(out: Reals, x: Reals, count: int) -> None:
        for i in range(count):
            out[i] = arithmetic.minimum(arithmetic.maximum(x[i], -arithmetic.one(x[i])), arithmetic.two(x[i]))

    for dtype in DTYPES:
        x = np.array([-np.inf, -1.5, -1.0, -0.0, 0.5, 2.0, 2.5, np.inf, np.nan] * 5, dtype)
        y = computed("between", x, {"between": kernel_of(between)})
        np.testing.assert_array_equal(y, np.clip(x, -1, 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_interleaved_loop_takes_each_element_once(dtype: str) -> None:
    @scalar
    def element(i: int, out: Reals, x: Reals, factors: tuple[float, ...]) -> None:
        out[i] += x[i] * factors[0] + i

    def apply(out: Reals, x: Reals, count: int) -> None:
        loops.interleaved_loop(count, element, (out, x, (arithmetic.two(x[0]),)))

    kernel = kernel_of(apply)
    for count in (*range(20), 31, 64, 65, 127, 128, 1000):
        x = np.random.default_rng(count).integers(-100, 100, count + 1).astype(dtype)
        out = np.ones(count + 3, dtype)
        run(kernel, dtype, out, x, count)
        np.testing.assert_array_equal(out[:count], 1 + 2 * x[:count] + np.arange(count))
        assert (out[count:] == 1).all()
