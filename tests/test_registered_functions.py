"""Registered activations and losses train as in the reference, whatever their functions use of Python."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from math import tanh
from typing import Any

import cases
import numpy as np
import pytest
from cases import DTYPES, assert_same_bits, data_for, heavy_but, largest_error, tensors
from digests import always_parallel
from own_functions import network_of, register_swish, swish, swish_slope

from fastmlp import Dense, Network, check_gradients, register_activation, register_loss
from fastmlp.kernels.host.threads import available
from fastmlp.reference import Network as Reference

pytestmark = pytest.mark.usefixtures("forget_registered")

HALF, ROOT = 0.5, np.sqrt(2.0)
TOLERANCES = {"float32": 1e-5, "float64": 1e-9}
"""The allowed relative difference of compiled network and reference after a whole training."""


# Functions as users write them ---------------------------------------------------------------------------------------


def sigmoid(z: float) -> float:
    return 1 / (1 + np.exp(-z))  # type: ignore[no-any-return]


def logistic_slope(z: float) -> float:
    return sigmoid(z) * (1 - sigmoid(z))


def power(z: float, n: int) -> float:
    return 1.0 if n == 0 else z * power(z, n - 1)


def steep(k: float) -> tuple[Callable[[float], float], Callable[[float], float]]:
    def bell(z: float) -> float:
        return math.exp(-k * z * z)

    return lambda z: z * bell(z), lambda z: (1 - 2 * k * z * z) * bell(z)


def with_default(z: float, k: float = 0.25) -> float:
    return math.tanh(k * z)


def with_default_slope(z: float, k: float = 0.25) -> float:
    return k * (1.0 - math.tanh(k * z) ** 2)


def function_within(z: float) -> float:
    def inner(t: float) -> float:
        return math.exp(-HALF * t * t)

    return inner(z)


def branches(z: float) -> float:
    if z > 1.0:
        return 1.0
    if z > 0:
        return z
    return 0.25 * z


def branches_slope(z: float) -> float:
    return 0 if z > 1.0 else 1 if z > 0 else 0.25


def loop(z: float) -> float:
    total = 0.0
    for n in range(1, 4):
        total += z**n / (n * n)
    return total


FUNCTIONS: dict[str, tuple[Callable[[float], Any], Callable[[float], Any]]] = {
    "math": (swish, swish_slope),
    "numpy": (lambda z: np.tanh(np.sin(z)), lambda z: (1 - np.tanh(np.sin(z)) ** 2) * np.cos(z)),
    "imported by name": (lambda z: tanh(z), lambda z: 1 - tanh(z) ** 2),
    "constants": (lambda z: HALF * z + ROOT, lambda z: HALF),
    "functions of whole numbers": (lambda z: math.log(2) * z + np.exp(-1), lambda z: math.log(2)),
    "functions of roundings": (lambda z: math.exp(math.floor(z)) + math.tanh(z > 0.1), lambda z: 0),
    "a constant too small for float32": (lambda z: z * z / (abs(z) + 1e-300), lambda z: 1 if z > 0 else -1),
    "another function": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) + z * logistic_slope(z)),
    "another module": (lambda z: cases.logistic(z), lambda z: cases.logistic(z) * (1 - cases.logistic(z))),
    "a function that calls itself": (lambda z: power(z, 3), lambda z: 3 * power(z, 2)),
    "a function in a closure": steep(0.5),
    "a function within": (function_within, lambda z: -z * function_within(z)),
    "a default": (with_default, with_default_slope),
    "conditions": (branches, branches_slope),
    "np.where": (lambda z: np.where(z > 0, z, 0.1 * z), lambda z: np.where(z > 0, 1.0, 0.1)),
    "a loop": (loop, lambda z: 1 + z / 2 + z * z / 3),
    "whole numbers": (lambda z: (1 - z) ** 2 / 3, lambda z: 2 * (z - 1) / 3),
    "abs, max, min": (lambda z: min(max(abs(z) - 1, 0), 3), lambda z: (1 if z > 0 else -1) if 1 < abs(z) < 4 else 0),
    "whole results": (lambda z: 2 if z > 0.25 else -1, lambda z: 0),
    "truth": (lambda z: z > 0.25, lambda z: False),
}
ROUNDED = ("math", "constants", "functions of whole numbers", "a constant too small for float32")
"""Functions whose constants float32 cannot hold."""


def pinball(share: float) -> tuple[Callable[[float, float], float], Callable[[float, float], float]]:
    return lambda a, y: max(share * (y - a), (share - 1) * (y - a)), lambda a, y: -share if y > a else 1 - share


LOSS_FUNCTIONS: dict[str, tuple[str, str, Callable[[float, float], float], Callable[[float, float], float]]] = {
    "fourth_power": ("values", "linear", lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3),
    "pinball": ("values", "tanh", *pinball(0.75)),
    "logistic": (
        "binary",
        "sigmoid",
        lambda a, y: -y * math.log(a) - (1 - y) * math.log(1 - a),
        lambda a, y: (a - y) / (a * (1 - a)),
    ),
    "squared_hinge": ("signs", "linear", lambda a, y: max(1 - y * a, 0) ** 2, lambda a, y: -2 * y * max(1 - y * a, 0)),
    "deviance": ("counts", "softplus", lambda a, y: a - y * np.log(a), lambda a, y: 1 - y / a),
    "entropy": ("classes", "softmax", lambda a, y: -y * math.log(a), lambda a, y: -y / a),
}
"""For each loss its targets, the activation of the output, value and gradient."""


# Trainings -----------------------------------------------------------------------------------------------------------


def check(make: Callable[[Any], Any], dtype: str) -> None:
    """Compare gradients with central differences and with the reference, and a whole training with the reference."""
    network, reference = make(Network), make(Reference)
    X, y = data_for(network, 50, dtype)
    report = check_gradients(network, X, y, samples=20)
    assert report.ok, str(report)
    losses = [made.fit(X, y, epochs=3, batch_size=16).history["loss"] for made in (network, reference)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=TOLERANCES[dtype])
    if dtype == "float64":
        assert largest_error(network.get_weights(), reference.get_weights()) <= TOLERANCES[dtype]


@pytest.mark.parametrize(
    ("name", "dtype"),
    heavy_but(
        [*itertools.product(FUNCTIONS, ["float64"]), *itertools.product(ROUNDED, ["float32"])],
        itertools.product(FUNCTIONS, DTYPES),
    ),
)
def test_an_activation_trains_as_in_the_reference(name: str, dtype: str) -> None:
    register_activation("own", *FUNCTIONS[name])
    check(lambda kind: network_of(kind, "own", dtype), dtype)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("name", LOSS_FUNCTIONS)
def test_a_loss_trains_as_in_the_reference(name: str, dtype: str) -> None:
    targets, output, *functions = LOSS_FUNCTIONS[name]
    register_loss(name, *functions, targets=targets)  # type: ignore[arg-type]
    check(lambda kind: network_of(kind, "tanh", dtype, output=output, loss=name), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_registered_copy_of_a_built_in_one_computes_the_same(dtype: str) -> None:
    register_swish()
    register_loss("own_error", lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))
    own, built_in = network_of(Network, "own_swish", dtype, loss="own_error"), network_of(Network, "silu", dtype)
    own.set_weights(built_in.get_weights())
    X, y = data_for(own, 40, dtype)
    losses, gradients = zip(own.loss_and_gradients(X, y), built_in.loss_and_gradients(X, y), strict=True)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6 if dtype == "float32" else 1e-14)
    assert largest_error(*gradients) <= (1e-6 if dtype == "float32" else 1e-14)
    assert list(own.evaluate(X, y)) == list(built_in.evaluate(X, y))


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_do_not_change_the_bits(dtype: str) -> None:
    register_swish()
    register_loss("own_error", lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))
    layers = [96, Dense(130, "own_swish", dropout=0.2), Dense(70, "own_swish"), 10]
    networks = [Network(layers, loss="own_error", dtype=dtype, seed=3, threads=threads) for threads in (1, 2)]
    X, y = data_for(networks[0], 353, dtype)
    with always_parallel() as counted:
        for network in networks:
            network.fit(X, y, epochs=2, batch_size=160)
    assert counted or available(2) < 2
    for tensor, other in zip(*(tensors(network.get_weights()) for network in networks), strict=True):
        assert_same_bits(tensor, other)
