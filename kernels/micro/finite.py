"""Searches for numbers that a network does not take: infinite ones and NaN, and those outside of limits.

The first takes 0.34 us for 960 numbers, and 16 (float32) or 26 (float64) for 262144. NumPy takes 1.5 us, and 24 or 56.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Ints, Reals
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.vocabulary.pointers import real_like


@inline
def count_not_finite(values: Reals, count: int) -> int:
    """Count the numbers that are infinite or NaN. Any other number minus itself is 0."""
    total = 0
    for i in range(count):
        total += 0 if values[i] - values[i] == 0.0 else 1
    return total


@kernel()
def not_finite(values: Reals, count: int) -> int:
    """Count the numbers that are infinite or NaN, for a caller in Python."""
    return count_not_finite(values, count)


@kernel()
def outside(values: Reals, count: int, least: float, most: float) -> int:
    """Count the numbers outside of [least, most], and NaN, for a caller in Python."""
    low, high = real_like(least, values), real_like(most, values)
    total = 0
    for i in range(count):
        total += 0 if low <= values[i] and values[i] <= high else 1
    return total


@kernel()
def labels_outside(labels: Ints, count: int, classes: int) -> int:
    """Count the labels that are not from 0 to classes - 1, for a caller in Python. NumPy takes 5 us for 32 labels."""
    total = 0
    for i in range(count):
        total += 0 if labels[i] >= 0 and labels[i] < classes else 1
    return total
