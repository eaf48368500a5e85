"""What is reported of a network: weighted means over samples, and the measures that suit each kind of target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmlp.losses import Loss
from fastmlp.reference.activations import Array

Weights = NDArray[np.float64]


def weighted_mean(values: Array, weights: Weights) -> float:
    """`sum(w v) / sum(w)`, added up in the order of the rows in float64; 0 where all weights are 0."""
    total = np.cumsum(weights)[-1]
    return float(np.cumsum(weights * values)[-1] / total) if total else 0.0


def metrics(loss: Loss, A: Array, y: Array, weights: Weights) -> dict[str, float]:
    """Of A and y (n, outputs): "accuracy" for the cross-entropies, else "mean_absolute_error" and "r2"."""
    if loss.targets == "classes":
        return {"accuracy": weighted_mean(A.argmax(axis=1) == y.argmax(axis=1), weights)}
    if loss.targets == "binary":
        return {"accuracy": weighted_mean(((A >= 0.5) == (y >= 0.5)).mean(axis=1), weights)}
    A, y = A.astype(np.float64), y.astype(np.float64)
    mean_absolute_error = weighted_mean(np.abs(A - y).mean(axis=1), weights)
    return {"mean_absolute_error": mean_absolute_error, "r2": r2(A, y, weights)}


def r2(A: Array, y: Array, weights: Weights) -> float:
    """`1 - sum w (a - y)^2 / sum w (y - mean y)^2`, mean over outputs; for constant y 1 if exact, else 0."""
    if not weights.any():
        return 0.0
    y, A = y - y[weights.argmax()], A - y[weights.argmax()]  # so that the mean of a constant is exact
    scores = []
    for a, target in zip(A.T, y.T, strict=True):
        residual = weighted_mean((a - target) ** 2, weights)
        variance = weighted_mean((target - weighted_mean(target, weights)) ** 2, weights)
        scores.append(1 - residual / variance if variance else float(residual == 0))
    return float(np.mean(scores))
