"""Random matrices with orthonormal columns, uniformly distributed (Haar measure): a product of random reflections.

Reflection j, `I - factor v v^T`, acts on rows j and below. It maps column j of the identity to a random direction,
-x / |x| or x / |x| for a normal x (Stewart, 1980). Unlike the Gram-Schmidt process on a matrix of normal numbers, the
product is orthogonal to the precision of float64 for any draw. `fastmlp.reference.orthogonal` does the same in NumPy,
to the same bits: each sum is in the order of the rows.
"""

from __future__ import annotations

import math

from fastmlp.kernels.host.annotations import Floats
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.operations.random import WEIGHTS_DRAW, key, normal
from fastmlp.kernels.vocabulary.pointers import offset

COLUMNS_PER_PASS = 64
"""Columns to which all reflections are applied before the next columns. 1024 rows of them stay in the L2 cache."""


def workspace_size(rows: int, columns: int) -> int:
    """Return how many float64 numbers of workspace `draw_orthogonal` needs."""
    return rows * columns + columns + COLUMNS_PER_PASS + rows * COLUMNS_PER_PASS


@kernel()
def draw_orthogonal(
    out: Floats,
    work: Floats,
    rows: int,
    columns: int,
    row_stride: int,
    column_stride: int,
    gain: float,
    seed: int,
    layer: int,
) -> None:
    """Draw a matrix (rows, columns) of orthogonal columns of length `gain`, where rows >= columns.

    Strides are in elements. 1024 x 1024 takes 0.2 s.
    """
    vectors = work  # (columns, rows): v of every reflection
    factors = offset(vectors, columns * rows)
    sums = offset(factors, columns)
    product = offset(sums, COLUMNS_PER_PASS)  # (rows, COLUMNS_PER_PASS): the reflections' product on some columns
    stream = key(seed, WEIGHTS_DRAW, 0, layer)
    for j in range(columns):
        factors[j] = _draw_reflection(offset(vectors, j * rows), stream, j, rows, columns)
    for first in range(0, columns, COLUMNS_PER_PASS):
        width = min(COLUMNS_PER_PASS, columns - first)
        for i in range(rows * COLUMNS_PER_PASS):
            product[i] = 0.0
        for c in range(width):
            product[(first + c) * COLUMNS_PER_PASS + c] = 1.0
        for j in range(first + width - 1, -1, -1):
            _reflect(product, sums, offset(vectors, j * rows), factors[j], j, rows)
        for c in range(width):
            length = -gain if vectors[(first + c) * rows + first + c] >= 0.0 else gain
            for k in range(rows):
                out[k * row_stride + (first + c) * column_stride] = product[k * COLUMNS_PER_PASS + c] * length


@inline
def _draw_reflection(v: Floats, stream: int, j: int, rows: int, columns: int) -> float:
    """Draw x in rows j and below of v, and increase the size of x[j] by |x|. Return 2 / |v|^2."""
    squares = 0.0
    for k in range(j, rows):
        v[k] = normal(stream, k * columns + j)
        squares += v[k] * v[k]
    length = math.sqrt(squares)
    factor = 1.0 / (length * (length + abs(v[j])))
    v[j] += length if v[j] >= 0.0 else -length
    return factor


@inline
def _reflect(product: Floats, sums: Floats, v: Floats, factor: float, j: int, rows: int) -> None:
    """Compute `product -= v (factor v^T product)` in rows j and below. `sums` is scratch."""
    for c in range(COLUMNS_PER_PASS):
        sums[c] = 0.0
    for k in range(j, rows):
        row, v_k = offset(product, k * COLUMNS_PER_PASS), v[k]
        for c in range(COLUMNS_PER_PASS):
            sums[c] += v_k * row[c]
    for c in range(COLUMNS_PER_PASS):
        sums[c] *= factor
    for k in range(j, rows):
        row, v_k = offset(product, k * COLUMNS_PER_PASS), v[k]
        for c in range(COLUMNS_PER_PASS):
            row[c] -= v_k * sums[c]
