"""The functions with the same bits on every machine are accurate, and call no maths library."""

from __future__ import annotations

import ast
from pathlib import Path

import mpmath
import numpy as np
import pytest
from cases import Array, assert_same_bits

import fastmlp
from fastmlp._runtime import plain_math as plain

LIBRARY = {"exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "pow", "power", "float_power", "sin", "cos", "tan"}
PRODUCTS = {
    "dot",
    "vdot",
    "inner",
    "matmul",
    "tensordot",
    "einsum",
    "linalg",
    "correlate",
    "convolve",
    "corrcoef",
    "cov",
}
FACE = Path(fastmlp.__file__).parent
FACE_FILES = sorted(path.relative_to(FACE).as_posix() for path in FACE.rglob("*.py"))
# ONNX Runtime computes with its own bits, so the coefficients in onnx.py may depend on the machine.
PLAIN_FILES = [
    name for name in FACE_FILES if not name.startswith(("reference/", "kernels/")) and name != "interchange/onnx.py"
]


def error(got: Array, expected: list[mpmath.mpf]) -> Array:
    """Return the relative error of each number, in float64."""
    pairs = zip(got.tolist(), expected, strict=True)
    return np.array([float(abs(mpmath.mpf(value) - truth) / abs(truth)) for value, truth in pairs])


def test_the_exponential_is_right_to_5e_16_and_has_every_limit() -> None:
    x = np.concatenate([np.random.default_rng(0).uniform(-708, 709, 2000), np.linspace(-1, 1, 501)])
    assert error(plain.exponential(x), [mpmath.exp(v) for v in x.tolist()]).max() < 5e-16
    limits = np.array([0.0, -0.0, -1e300, -np.inf, 710.0, 1e300, np.inf, np.nan])
    np.testing.assert_array_equal(plain.exponential(limits), [1, 1, 0, 0, np.inf, np.inf, np.inf, np.nan])
    assert 0 < plain.exponential(np.array(-744.0)) < 1e-320  # a subnormal number


def test_the_logarithm_is_right_to_1e_15() -> None:
    x = np.concatenate([np.exp(np.random.default_rng(0).uniform(-700, 700, 1000)), np.linspace(0.3, 3, 500)])
    assert error(plain.logarithm(x), [mpmath.log(v) for v in x.tolist()]).max() < 1e-15
    assert plain.logarithm(np.ones(1)) == 0.0


def test_a_power_is_right_to_what_its_docstring_says() -> None:
    rng = np.random.default_rng(0)
    base = np.concatenate([rng.uniform(0, 1, 1000), 1 - np.exp(rng.uniform(-12, 0, 1000)), rng.uniform(1, 50, 100)])
    exponent = np.concatenate(
        [rng.uniform(-3, 3, 1000), rng.uniform(0, 600, 1000) / -np.log(base[1000:2000]), base[:100]]
    )
    truth = [mpmath.power(b, e) for b, e in zip(base.tolist(), exponent.tolist(), strict=True)]
    bound = (1 + np.abs(exponent * np.log(base))) * 5e-16
    assert (error(plain.power(base, exponent), truth) / bound).max() < 1
    np.testing.assert_array_equal(plain.power(0.0, np.array([0.0, 0.5, 3.0])), [1, 0, 0])
    np.testing.assert_array_equal(plain.power(1.0, np.array([0.0, 0.5, -1e9])), [1, 1, 1])
    np.testing.assert_array_equal(
        plain.power(np.array([0.5, 3.0, 3.0]), np.array([1e9, 1e9, -1.7e308])), [0, np.inf, 0]
    )
    whole = np.arange(-40, 41)
    np.testing.assert_array_equal(plain.power(0.25, whole.astype(float)), np.ldexp(1.0, -2 * whole))


def test_whole_powers_are_products() -> None:
    exponents = np.array([0, 1, 2, 3, 10, 63, 1000, 10**9, 2**62])
    np.testing.assert_array_equal(plain.powers(2.0, exponents), [1, 2, 4, 8, 1024, 2.0**63, 2.0**1000, np.inf, np.inf])
    np.testing.assert_array_equal(plain.powers(0.0, exponents[:3]), [1, 0, 0])
    truth = [mpmath.power(0.9, e) for e in range(1000)]
    # Each of up to 1000 products is rounded once, by 2**-53 of itself.
    assert error(plain.powers(0.9, np.arange(1000)), truth).max() < 1000 * 2.0**-53


def test_the_cosine_is_right_to_3e_16_of_1_and_exact_at_the_quarters() -> None:
    x = np.concatenate([np.random.default_rng(0).uniform(-3, 3, 2000), np.array([0.25, 0.75, 1.25, 1 - 1e-9])])
    truth = [mpmath.cospi(mpmath.mpf(v)) for v in x.tolist()]
    assert max(abs(value - truth[i]) for i, value in enumerate(plain.cosine_of_pi(x).tolist())) < 3e-16
    quarters = np.array([0.0, 0.5, 1.0, 1.5, 2.0, -0.5, -1.0, 1e9 + 0.5, 2.0**53])
    np.testing.assert_array_equal(plain.cosine_of_pi(quarters), [1, 0, -1, 0, 1, 0, -1, 0, 1])


@pytest.mark.parametrize("name", ["sevenths", "exponential", "logarithm", "cosine_of_pi"])
def test_an_element_has_the_bits_it_has_alone(name: str) -> None:
    function = getattr(plain, name, lambda x: plain.power(x, 1 / 7))
    x = np.random.default_rng(0).uniform(0.01, 3, 1003)
    assert_same_bits(function(x), np.concatenate([function(x[i : i + 1]) for i in range(len(x))]))


def depends_on_the_machine(source: str) -> list[str]:
    """Return the calls in a source, including matrix products, whose last bits depend on the machine."""
    nodes = list(ast.walk(ast.parse(source)))
    found = [node for node in nodes if isinstance(node, ast.Attribute)]
    functions = [
        node.attr for node in found if node.attr in LIBRARY and getattr(node.value, "id", "") in ("np", "math")
    ]
    products = [node.attr for node in found if node.attr in PRODUCTS]
    return functions + products + ["@" for node in nodes if isinstance(node, ast.MatMult)]


@pytest.mark.parametrize("file", PLAIN_FILES)
def test_outside_of_the_reference_no_python_code_has_bits_that_depend_on_the_machine(file: str) -> None:
    assert depends_on_the_machine("import numpy as np\nx = 2 * np.cos(y) + a.dot(b) @ c") == ["cos", "dot", "@"]
    assert not depends_on_the_machine((FACE / file).read_text("utf-8"))
