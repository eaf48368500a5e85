"""What the tests of the exchange with other formats share: networks of every activation, rows, and how to compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from cases import ACTIVATIONS, Array

from fastmlp import Dense, Network, activations, register_activation
from fastmlp.activations import ELU, GELU, Activation, LeakyReLU

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
"""Of a prediction, relative to the larger of 1 and its size."""

OWN_NUMBERS: dict[str, Activation] = {
    **ACTIVATIONS,
    "leaky_relu 0.2": LeakyReLU(0.2),
    "elu 2": ELU(2.0),
    "gelu exact": GELU(approximate=False),
}


def network(activation: Activation, dtype: str = "float32") -> Network:
    """5-16-7-3 with it in all layers, one of them without bias, one with dropout; weights as large as in training."""
    layers = [5, Dense(16, activation, use_bias=False), Dense(7, activation, dropout=0.2), Dense(3, activation)]
    made = Network(layers, dtype=dtype, seed=1)
    rng = np.random.default_rng(2)
    scale = 0.3 if activation.name == "exponential" else 1.0  # the exponential of an exponential grows fast
    made.set_weights(
        [(scale * W, None if b is None else scale * rng.normal(size=b.shape)) for W, b in made.get_weights()]
    )
    return made


def rows(dtype: str, count: int = 50) -> Array:
    """(count, 5)."""
    return np.random.default_rng(3).normal(size=(count, 5)).astype(dtype)


def far(activation: Activation, dtype: str) -> tuple[Network, Array]:
    """A network whose Z are the given numbers and minus them, and numbers from the smallest to the largest."""
    made = Network([1, Dense(2, activation)], dtype=dtype, seed=0)
    made.set_weights([(np.array([[1.0, -1.0]]), np.zeros(2))])
    largest = 80.0 if activation.name == "exponential" else 1e30
    values = np.geomspace(1e-6, largest, 300)
    return made, values.astype(dtype)[:, np.newaxis]


def difference(got: Any, expected: Array) -> float:
    """The largest, relative to the larger of 1 and what is expected."""
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    assert np.isfinite(expected).all()
    return float((np.abs(got - expected) / np.maximum(np.abs(expected), 1)).max())


@contextmanager
def own_activation() -> Iterator[Network]:
    """A network with a registered activation on its second layer, which is forgotten afterwards."""
    before = dict(activations.ACTIVATIONS)
    register_activation("softsign", lambda z: z / (1.0 + abs(z)), lambda z: 1.0 / (1.0 + abs(z)) ** 2)
    try:
        yield Network([5, 4, Dense(3, "softsign"), 2], seed=0)
    finally:
        activations.ACTIVATIONS.clear()
        activations.ACTIVATIONS.update(before)
