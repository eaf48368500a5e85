"""Helpers of the tests of conversions: networks with every activation, ensembles, rows, and measures of difference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from cases import ACTIVATIONS, Array

from fastmlp import (
    Dense,
    Ensemble,
    GaussianNLL,
    LayerNormalization,
    Network,
    Normalization,
    Scale,
    activations,
    register_activation,
)
from fastmlp.activations import ELU, GELU, Activation, LeakyReLU
from fastmlp.layers import LayerDescription
from fastmlp.losses import Loss

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
"""Of a prediction, relative to the larger of 1 and its absolute value."""

ALL_ACTIVATIONS: dict[str, Activation] = {
    **ACTIVATIONS,
    "leaky_relu 0.2": LeakyReLU(0.2),
    "elu 2": ELU(2.0),
    "gelu exact": GELU(approximate=False),
}


def network(activation: Activation, dtype: str = "float32") -> Network:
    """Return a network 5-16-7-3 with the activation in all layers, one without bias, one with dropout."""
    layers = [5, Dense(16, activation, use_bias=False), Dense(7, activation, dropout=0.2), Dense(3, activation)]
    net = Network(layers, dtype=dtype, seed=1)
    rng = np.random.default_rng(2)
    scale = 0.3 if activation.name == "exponential" else 1.0  # the exponential of an exponential grows fast
    net.set_weights(
        [(scale * W, None if b is None else scale * rng.normal(size=b.shape)) for W, b in net.get_weights()]
    )
    return net


def columns(dtype: str = "float32") -> Network:
    """Return a network with layers of columns of every kind, also as the first and the last; one deviation is 0."""
    layers = [
        5,
        Normalization(),
        Scale(use_bias=False),
        Dense(17, "linear"),
        LayerNormalization(activation="gelu", dropout=0.2),
        Scale(activation="relu"),
        LayerNormalization(epsilon=0.1, use_bias=False),
        Dense(3),
        Scale(activation="tanh"),
    ]
    net = Network(layers, dtype=dtype, seed=1)
    rng = np.random.default_rng(2)
    weights = [
        (rng.uniform(0.5, 2.0, W.shape) if W.ndim == 1 else W, None if b is None else rng.normal(size=b.shape))
        for W, b in net.get_weights()
    ]
    weights[0][0][2] = 0.0
    net.set_weights(weights)
    return net


def ensemble(dtype: str = "float32", loss: Loss | None = None) -> Ensemble:
    """Return networks with 5 inputs and 4 outputs of different shapes, with every activation and kind of layer."""
    hidden: list[list[LayerDescription]] = [
        [Normalization(), Dense(9), LayerNormalization()],
        [Scale(use_bias=False)],
        [],
    ]
    hidden += [[Dense(3 + index, g), Dense(6)] for index, g in enumerate(ALL_ACTIVATIONS.values())]
    networks = [
        Network([5, *layers, Dense(4, "linear")], loss=loss, dtype=dtype, seed=index)
        for index, layers in enumerate(hidden)
    ]
    rng = np.random.default_rng(4)
    for net in networks:
        weights = [(W, None if b is None else rng.normal(size=b.shape)) for W, b in net.get_weights()]
        net.set_weights([*weights[:-1], (0.5 * weights[-1][0], weights[-1][1])])
    return Ensemble.from_networks(networks)


def rows(dtype: str, count: int = 50) -> Array:
    """Return random inputs, shape (count, 5)."""
    return np.random.default_rng(3).normal(size=(count, 5)).astype(dtype)


def extremes(activation: Activation, dtype: str) -> tuple[Network, Array]:
    """Return a network with Z = (x, -x) for its input x, and inputs from the smallest to the largest numbers."""
    net = Network([1, Dense(2, activation)], dtype=dtype, seed=0)
    net.set_weights([(np.array([[1.0, -1.0]]), np.zeros(2))])
    largest = 80.0 if activation.name == "exponential" else 1e30
    values = np.geomspace(1e-6, largest, 300)
    return net, values.astype(dtype)[:, np.newaxis]


def difference(actual: Any, expected: Array) -> float:
    """Return the largest difference, relative to the larger of 1 and the absolute value of the expected number."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    assert np.isfinite(expected).all()
    return float((np.abs(actual - expected) / np.maximum(np.abs(expected), 1)).max())


def assert_predicts_as(model: Ensemble, X: Array, mean: Array, std: Array) -> None:
    """Check the mean and the standard deviation to what follows from the tolerance of each member.

    The root of a mean square is a norm, so it is wrong by no more than the numbers in it: the outputs, and with
    `GaussianNLL` the deviations `e^(s / 2)`, which are relatively wrong by half of the error of s.
    """
    expected_mean, expected_std = model.predict(X, return_std=True)
    outputs = np.stack([net.predict(X) for net in model.networks])
    tolerance = TOLERANCE[X.dtype.name] * np.maximum(np.abs(outputs).max(axis=(0, 2), keepdims=True)[0], 1)
    if isinstance(model.networks[0].architecture.loss, GaussianNLL):
        tolerance = tolerance * np.maximum(np.exp(outputs[:, :, expected_std.shape[1] :] / 2).max(axis=0), 1)
    for found, expected in ((mean, expected_mean), (std, expected_std)):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert np.isfinite(expected).all()
        assert (np.abs(found - expected) <= tolerance).all()


def close_ensemble(dtype: str) -> Ensemble:
    """Return an ensemble that predicts 1000 with a deviation of 0.1, whatever its inputs."""
    model = Ensemble([5, Dense(2)], members=8, dtype=dtype, seed=0)
    for index, net in enumerate(model.networks):
        net.set_weights([(np.zeros((5, 2)), np.full(2, 1000 + 0.1 * (-1) ** index))])
    return model


@contextmanager
def registered_activation() -> Iterator[Network]:
    """Yield a network with a registered activation in its second layer, and remove the activation afterwards."""
    before = dict(activations.ACTIVATIONS)
    register_activation("softsign", lambda z: z / (1.0 + abs(z)), lambda z: 1.0 / (1.0 + abs(z)) ** 2)
    try:
        yield Network([5, 4, Dense(3, "softsign"), 2], seed=0)
    finally:
        activations.ACTIVATIONS.clear()
        activations.ACTIVATIONS.update(before)
