"""Powers, logarithms and cosines whose bits no maths library can change.

`numpy.power`, `log` and `cos` differ in their last bits from one machine to the next. Here is nothing but the
four operations, rounding to whole numbers, and frexp and ldexp, which are exact: the same bits everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LOG_2 = 0.6931471805599453

_ARTANH = tuple(1.0 / k for k in range(21, 0, -2))
_EXP = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))
_SIN = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(8, -1, -1))
_COS = tuple((-1.0) ** k / math.factorial(2 * k) for k in range(8, -1, -1))


def horner(coefficients: Sequence[float], x: Floats) -> Floats:
    """The polynomial with these coefficients, the highest power's first."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def logarithm(x: Floats) -> Floats:
    """The natural logarithm of positive numbers, to 1e-15 of itself."""
    e, rest = _taken_apart(x)
    return e * LOG_2 + rest


def power(base: Floats | float, exponent: Floats | float) -> Floats:
    """`base ** exponent` for base >= 0, to `(1 + |exponent * log(base)|) * 5e-16` of itself.

    `2^k e^r` with |r| <= log(2) / 2, its series to r^13; 0 and infinity beyond float64; exact for whole powers of 2.
    """
    given, y = np.broadcast_arrays(np.asarray(base, np.float64), np.clip(exponent, -1e300, 1e300))
    none = given == 0.0
    e, rest = _taken_apart(np.where(none, 1.0, given))
    k = np.clip(np.rint(y * (e + rest / LOG_2)), -1100.0, 1100.0)
    r = np.clip((y * e - k) * LOG_2 + y * rest, -1.0, 1.0)  # beyond that k is clipped and decides alone
    with np.errstate(over="ignore", under="ignore"):
        result = np.ldexp(horner(_EXP, r), k.astype(np.int32))
    return np.where(none & (y > 0.0), 0.0, result)


def powers(base: float, exponents: NDArray[np.int64]) -> NDArray[np.float64]:
    """`base ** exponents` for whole exponents from 0, by squaring; a product of n factors, rounded up to n times."""
    result = np.ones(len(exponents))
    square, left = base, exponents
    with np.errstate(over="ignore", under="ignore"):
        while left.any():
            result = np.where(left & 1, result * square, result)
            square, left = square * square, left >> 1
    return result


def cosine_of_pi(x: Floats) -> Floats:
    """cos(pi x), to 1e-16 of 1; exactly 1, 0 and -1 where it should be."""
    r = np.abs(x - 2.0 * np.rint(x / 2.0))  # exact: the distance from the nearest even number, at most 1
    folded = np.minimum(r, 1.0 - r)  # cos(pi (1 - r)) = -cos(pi r)
    near = np.pi * np.minimum(folded, 0.25)
    far = np.pi * (0.5 - np.maximum(folded, 0.25))
    value = np.where(folded <= 0.25, horner(_COS, near * near), far * horner(_SIN, far * far))
    return np.where(r > 0.5, -value, value)


def _taken_apart(x: Floats) -> tuple[Floats, Floats]:
    """The e and log(m) of x = m 2^e with m around 1: `2 artanh s` for `s = (m - 1) / (m + 1)`, its series to s^21."""
    m, e = np.frexp(x)
    small = m < np.sqrt(0.5)
    m = np.where(small, 2.0 * m, m)
    s = (m - 1.0) / (m + 1.0)
    return (e - small).astype(np.float64), 2.0 * s * horner(_ARTANH, s * s)
