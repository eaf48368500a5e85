"""Random matrices with orthonormal columns, all alike (Haar's measure): a product of random reflections.

For a normal vector x, the reflection `H = I - 2 v v^T / |v|^2` with `v = x + sign(x_0) |x| e_0` takes the first unit
vector to `-sign(x_0) x / |x|`, a random direction. One after the other, each in the rows below the last one's, with the
signs undone, they make a random orthogonal matrix (Stewart, SIAM Journal on Numerical Analysis 17 (1980), 403-409).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def orthogonal(normals: Floats) -> Floats:
    """A matrix with orthonormal columns from standard normals of its shape (rows, columns), rows >= columns.

    Column j of the normals is read from row j down.
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
    """The sum over axis 0, one row after the other; `sum` itself may take them in another order."""
    total: Floats = np.cumsum(terms, axis=0)[-1]
    return total
