"""A user's activation for the tests of registration, and a network that uses it."""

from __future__ import annotations

import math
from typing import Any

from fastmlp import Dense, register_activation


def swish(z: float) -> float:
    return z / (1.0 + math.exp(-z))


def swish_slope(z: float) -> float:
    s = 1.0 / (1.0 + math.exp(-z))
    return s + z * s * (1.0 - s)


def network_of(kind: Any, activation: Any, dtype: str = "float64", **options: Any) -> Any:
    layers = [4, Dense(9, activation, l2=0.01), Dense(6, activation), 3]
    return kind(layers, **{"dtype": dtype, "seed": 11, "loss": "mean_squared_error", **options})


def register_swish(name: str = "own_swish") -> None:
    register_activation(name, swish, swish_slope)
