"""Weighted sums, weighted means and quotients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def weighted_sum(values: NDArray[Any], weights: Floats) -> Any:
    """Return `sum w v` over the samples: a number for values (n,), an array (outputs,) for values (n, outputs).

    A matrix product would add in an order that differs between processors. A sum over contiguous memory has one order.
    """
    return np.ascontiguousarray(values.T * weights).sum(axis=-1)


def weighted_mean(values: NDArray[Any], weights: Floats) -> Any:
    """Return `sum w v / sum w` over the samples, where the sum of the weights is greater than 0.

    The result is a number for values (n,) and an array (outputs,) for values (n, outputs).
    """
    return weighted_sum(values, weights) / weights.sum()


def divide_or_zero(numerator: Floats, denominator: Floats) -> Floats:
    """Return `numerator / denominator` element by element, and 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator != 0)
