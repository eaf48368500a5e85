"""Random matrices with orthonormal columns, uniformly distributed (Haar measure): products of random reflections.

For a vector x of normal numbers, the reflection `H = I - 2 v v^T / |v|^2` with `v = x + sign(x_0) |x| e_0` maps the
unit vector e_0 to `-sign(x_0) x / |x|`, a random direction. Reflection j acts on the rows from j down. The product of
all reflections, with the signs removed, is a random orthogonal matrix (Stewart, SIAM Journal on Numerical Analysis 17
(1980), 403-409).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def orthogonal(normals: Floats) -> Floats:
    """Return a matrix Q with orthonormal columns, of the shape of `normals`.

    Parameters
    ----------
    normals : array of shape (rows, columns)
        Standard normal numbers, rows >= columns. Column j is read from row j down.
    """
    rows, columns = normals.shape
    Q, signs = np.eye(rows, columns), np.ones(columns)
    for j in reversed(range(columns)):
        v = normals[j:, j].copy()
        length = np.sqrt(_sum_of_rows(v * v))
        factor = 1.0 / (length * (length + abs(v[0])))
        signs[j] = -1.0 if v[0] >= 0.0 else 1.0
        v[0] -= signs[j] * length
        Q[j:, j:] -= v[:, None] * (_sum_of_rows(v[:, None] * Q[j:, j:]) * factor)
    return Q * signs


def _sum_of_rows(terms: Floats) -> Floats:
    """Return the sum over axis 0, added row by row; the order of `np.sum` is not defined."""
    total: Floats = np.cumsum(terms, axis=0)[-1]
    return total
