"""Random matrices with orthonormal columns, all alike (Haar's measure): a product of random reflections.

Reflection j, `I - factor v v^T`, lies in rows j and below; it turns column j of the identity into a random direction,
-x / |x| or x / |x| for a normal x (Stewart, 1980). The product is as orthogonal as float64 can be for any draw, which
what Gram and Schmidt make of a matrix of normals is not. `fastmlp.reference.orthogonal` is the same in NumPy, bit for
bit: every sum adds up in the order of the rows.
"""

from __future__ import annotations

import math

from fastmlp.kernels.host.annotations import Floats
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.operations.random import WEIGHTS_DRAW, key, normal
from fastmlp.kernels.vocabulary.simd import offset

TOGETHER = 64
"""Columns that all reflections are applied to before the next; 1024 rows of them stay in the second cache."""


def room(rows: int, columns: int) -> int:
    """How many numbers `draw_orthogonal` needs to work."""
    return rows * columns + columns + TOGETHER + rows * TOGETHER


@kernel()
def draw_orthogonal(
    out: Floats, work: Floats, rows: int, columns: int, step: int, across: int, gain: float, seed: int, layer: int
) -> None:
    """A matrix (rows, columns), rows >= columns; `step` elements lie from row to row, `across` from column to column.

    Columns are `gain` long. 1024 x 1024 take 0.2 s.
    """
    vectors = work  # (columns, rows): v of every reflection
    factors = offset(vectors, columns * rows)
    sums = offset(factors, columns)
    block = offset(sums, TOGETHER)  # (rows, TOGETHER)
    stream = key(seed, WEIGHTS_DRAW, 0, layer)
    for j in range(columns):
        factors[j] = _draw_reflection(offset(vectors, j * rows), stream, j, rows, columns)
    for first in range(0, columns, TOGETHER):
        width = min(TOGETHER, columns - first)
        for i in range(rows * TOGETHER):
            block[i] = 0.0
        for c in range(width):
            block[(first + c) * TOGETHER + c] = 1.0
        for j in range(first + width - 1, -1, -1):
            _reflect(block, sums, offset(vectors, j * rows), factors[j], j, rows)
        for c in range(width):
            length = -gain if vectors[(first + c) * rows + first + c] >= 0.0 else gain
            for k in range(rows):
                out[k * step + (first + c) * across] = block[k * TOGETHER + c] * length


@inline
def _draw_reflection(v: Floats, stream: int, j: int, rows: int, columns: int) -> float:
    """Put v, which is x with |x| more in its first element, in rows j and below; 2 / |v|^2 comes back."""
    squares = 0.0
    for k in range(j, rows):
        v[k] = normal(stream, k * columns + j)
        squares += v[k] * v[k]
    length = math.sqrt(squares)
    factor = 1.0 / (length * (length + abs(v[j])))
    v[j] += length if v[j] >= 0.0 else -length
    return factor


@inline
def _reflect(block: Floats, sums: Floats, v: Floats, factor: float, j: int, rows: int) -> None:
    """`block -= v (factor v^T block)` in rows j and below."""
    for c in range(TOGETHER):
        sums[c] = 0.0
    for k in range(j, rows):
        row, here = offset(block, k * TOGETHER), v[k]
        for c in range(TOGETHER):
            sums[c] += here * row[c]
    for c in range(TOGETHER):
        sums[c] *= factor
    for k in range(j, rows):
        row, here = offset(block, k * TOGETHER), v[k]
        for c in range(TOGETHER):
            row[c] -= here * sums[c]
