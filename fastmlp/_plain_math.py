"""Powers, exponentials, logarithms and cosines whose bits no maths library can change.

`numpy.power`, `exp`, `log` and `cos` differ in their last bits from one machine to the next. Here is nothing but the
four operations, rounding to whole numbers, and frexp and ldexp, which are exact: the same bits everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]

LOG_2 = 0.6931471805599453
_LOG_2_TOP, _LOG_2_REST = 0.69314718036912382, 1.9082149292705877e-10  # the first has 33 bits: k times it is exact

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
    """The natural logarithm of positive numbers, to 1e-15 of itself.

    With x = m 2^e and m around 1, `log x = e log 2 + 2 artanh s` for `s = (m - 1) / (m + 1)`, its series to s^21.
    """
    m, e = np.frexp(x)
    small = m < np.sqrt(0.5)
    m, e = np.where(small, 2.0 * m, m), e - small
    s = (m - 1.0) / (m + 1.0)
    series = horner([1.0 / k for k in range(21, 0, -2)], s * s)
    log: Floats = e * LOG_2 + 2.0 * s * series
    return log


def exponential(x: Floats) -> Floats:
    """e^x to 1e-15 of itself, 0 and infinity beyond float64: `2^k e^r` with |r| <= log(2) / 2, its series to r^13."""
    x = np.clip(x, -800.0, 800.0)
    k = np.rint(x / LOG_2)
    r = (x - k * _LOG_2_TOP) - k * _LOG_2_REST
    with np.errstate(over="ignore", under="ignore"):
        result: Floats = np.ldexp(horner(_EXP, r), k.astype(np.int32))
    return result


def power(base: Floats | float, exponent: Floats | float) -> Floats:
    """`base ** exponent` for base >= 0, to `(1 + |exponent * log(base)|) * 5e-16` of itself.

    0 to a positive power is 0, to the power 0 it is 1.
    """
    base, exponent = np.broadcast_arrays(np.asarray(base, np.float64), np.asarray(exponent, np.float64))
    none = base == 0.0
    result = exponential(exponent * logarithm(np.where(none, 1.0, base)))
    return np.where(none & (exponent > 0.0), 0.0, result)


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
