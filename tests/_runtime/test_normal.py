"""The normal distribution in NumPy is that of SciPy, and its polynomial the one that its comment describes."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import ndtr

from fastmlp._runtime.normal import erfc_polynomial, erfc_range, normal_cdf


def test_the_normal_distribution_is_that_of_scipy() -> None:
    z = np.linspace(-37, 37, 20_001)
    found, expected = normal_cdf(z), ndtr(z)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-15)
    np.testing.assert_allclose(found[z > -9], expected[z > -9], rtol=2e-14)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(normal_cdf(np.array([-np.inf, np.inf, np.nan])), [0, 1, np.nan])


def test_the_polynomial_goes_through_the_chebyshev_points() -> None:
    (center, half_width), degree = erfc_range(), len(erfc_polynomial()) - 1
    points = chebyshev.chebpts1(degree + 1)
    scaled = [math.erfc(x) * math.exp(x**2) for x in (2.0 / (center + half_width * points) - 2.0).tolist()]
    expected = chebyshev.cheb2poly(chebyshev.chebfit(points, scaled, degree))
    np.testing.assert_allclose(erfc_polynomial(), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.polyval(erfc_polynomial()[::-1], points), scaled, rtol=0, atol=2e-15)
