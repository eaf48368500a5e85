"""The normal distribution in NumPy, which has no error function, with the same bits on every machine.

For x >= 0 it is `erfc(x) = e^(-x^2) p(u)`, where u is linear in t = 1 / (1 + x / 2) and falls from 1 at x = 0 to -1 at
`ERFC_END`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.plain_math import exponential, horner

ERFC_END = 6.5  # beyond, erfc is below 4e-20, and the factor e^(-x^2) makes any value of the polynomial negligible

# The coefficients of p, lowest first: the polynomial through erfc(x) e^(x^2) at the 19 Chebyshev points of u, with an
# error of 2e-15. A higher degree is not more accurate. tests/_runtime/test_normal.py computes them.
_ERFC = (
    0.37032411176472535,
    0.42373092412917807,
    0.17409463737151323,
    0.035104572729566984,
    -0.001627885655488878,
    -0.0018515781219051704,
    0.00013431437871789866,
    0.00011918906108400767,
    -2.5576997235101006e-05,
    -5.755828417397747e-06,
    3.5139656044892076e-06,
    -2.895290885246955e-07,
    -2.7845221727785254e-07,
    1.1468395299397084e-07,
    -5.571626208235897e-09,
    -1.2601901851208652e-08,
    4.73072322772838e-09,
    4.250838978549068e-10,
    -4.822698713011554e-10,
)


def erfc_range() -> tuple[float, float]:
    """Return the center and the half width of the range of t = 1 / (1 + x / 2) for x from 0 to `ERFC_END`."""
    smallest = 1.0 / (1.0 + ERFC_END / 2)
    return (1.0 + smallest) / 2, (1.0 - smallest) / 2


def erfc_polynomial() -> list[float]:
    """Return the coefficients, lowest first, of the polynomial in u."""
    return list(_ERFC)


def normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Phi(z), the probability that a standard normal number is at most z.

    The absolute error is below 2e-15, the relative one below 2e-14 for z from -9, and below 1e-6 for z from -37.
    """
    center, half_width = erfc_range()
    x = np.minimum(np.abs(z) * math.sqrt(0.5), 30.0)  # where erfc is 0
    u = (1.0 / (1.0 + 0.5 * x) - center) / half_width
    tail = 0.5 * exponential(-x * x) * horner(_ERFC[::-1], u)
    share: NDArray[np.float64] = np.where(z < 0, tail, 1.0 - tail)
    return share
