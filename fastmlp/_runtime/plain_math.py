"""Exponentials, logarithms, powers and cosines with the same bits on every machine.

The last bits of `numpy.exp`, `log`, `power` and `cos` depend on the machine. The functions below use only operations
whose result IEEE 754 defines: the four basic ones, rounding to whole numbers, and the exact frexp and ldexp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LOG_2 = 0.6931471805599453
_LOG_2_HIGH, _LOG_2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # whole multiples of the first are exact

_ARTANH = tuple(1.0 / k for k in range(21, 0, -2))
_EXP = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))
_SIN = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(8, -1, -1))
_COS = tuple((-1.0) ** k / math.factorial(2 * k) for k in range(8, -1, -1))


def horner(coefficients: Sequence[float], x: Floats) -> Floats:
    """Evaluate a polynomial by Horner's rule; the coefficient of the highest power comes first."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def exponential(x: Floats) -> Floats:
    """Return e^x with a relative error below 5e-16; beyond the range of float64 it is 0 or infinity, of NaN it is NaN.

    The result is `2^k e^r` with |r| <= log(2) / 2 and the series of e^r up to r^13.
    """
    within = np.clip(x, -800.0, 800.0)
    k = np.rint(np.where(np.isnan(x), 0.0, within) / LOG_2)
    r = within - k * _LOG_2_HIGH - k * _LOG_2_LOW
    with np.errstate(over="ignore", under="ignore"):
        result: Floats = np.ldexp(horner(_EXP, r), k.astype(np.int32))
    return result


def logarithm(x: Floats) -> Floats:
    """Return the natural logarithm of positive numbers, with a relative error below 1e-15."""
    e, log_m = _exponent_and_log_mantissa(x)
    return e * LOG_2 + log_m


def power(base: Floats | float, exponent: Floats | float) -> Floats:
    """Return `base ** exponent` for base >= 0, with a relative error below `(1 + |exponent * log(base)|) * 5e-16`.

    The result is `2^k e^r` with |r| <= log(2) / 2 and the series of e^r up to r^13. Results beyond the range of float64
    are 0 or infinity. Whole powers of 2 are exact.
    """
    given, y = np.broadcast_arrays(np.asarray(base, np.float64), np.clip(exponent, -1e300, 1e300))
    zero = given == 0.0
    e, log_m = _exponent_and_log_mantissa(np.where(zero, 1.0, given))
    k = np.clip(np.rint(y * (e + log_m / LOG_2)), -1100.0, 1100.0)
    r = np.clip((y * e - k) * LOG_2 + y * log_m, -1.0, 1.0)  # outside only where k is clipped and decides alone
    with np.errstate(over="ignore", under="ignore"):
        result = np.ldexp(horner(_EXP, r), k.astype(np.int32))
    return np.where(zero & (y > 0.0), 0.0, result)


def powers(base: float, exponents: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return `base ** exponents` for whole exponents of at least 0, by squaring; n factors round up to n times."""
    result = np.ones(len(exponents))
    square, bits = base, exponents
    with np.errstate(over="ignore", under="ignore"):
        while bits.any():
            result = np.where(bits & 1, result * square, result)
            square, bits = square * square, bits >> 1
    return result


def cosine_of_pi(x: Floats) -> Floats:
    """Return cos(pi x) with an absolute error below 3e-16, and exactly at multiples of 1/2: 1, 0 or -1."""
    r = np.abs(x - 2.0 * np.rint(x / 2.0))  # exact: the distance from the nearest even number, at most 1
    folded = np.minimum(r, 1.0 - r)  # cos(pi (1 - r)) = -cos(pi r)
    near = np.pi * np.minimum(folded, 0.25)
    far = np.pi * (0.5 - np.maximum(folded, 0.25))
    value = np.where(folded <= 0.25, horner(_COS, near * near), far * horner(_SIN, far * far))
    return np.where(r > 0.5, -value, value)


def _exponent_and_log_mantissa(x: Floats) -> tuple[Floats, Floats]:
    """Return e and log(m) for `x = m 2^e` with m from sqrt(1/2) to sqrt(2).

    log(m) is `2 artanh(s)` with `s = (m - 1) / (m + 1)`, by the series up to s^21.
    """
    m, e = np.frexp(x)
    small = m < np.sqrt(0.5)
    m = np.where(small, 2.0 * m, m)
    s = (m - 1.0) / (m + 1.0)
    return (e - small).astype(np.float64), 2.0 * s * horner(_ARTANH, s * s)
