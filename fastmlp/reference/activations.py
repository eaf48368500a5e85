# mypy: disable-error-code="no-any-return"
# (NumPy's own type hints give Any for arithmetic on arrays of an unnamed floating type.)
"""The activations `A = g(Z)`, each followed by its backward pass `delta = dA o g'(Z)`, where o multiplies elements.

Rows are samples: Z, A, dA and delta have shape (n, units), and A is taken before dropout. dA is the derivative of the
loss J with respect to A; delta is the derivative of J with respect to Z. In the docstrings z and a are the elements of
Z and A. If the formula would overflow or lose digits, the code uses a stable form, which the docstring gives too.

To add an activation, write g and its backward pass here, add a line to `ACTIVATIONS` at the end, and follow the list of
places in CONTRIBUTING.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastmlp.activations import Activation, OwnActivation

Array: TypeAlias = NDArray[np.floating[Any]]


def linear(Z: Array) -> Array:
    """`g(z) = z`."""
    return Z


def linear_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = 1`."""
    return dA


def relu(Z: Array) -> Array:
    """`g(z) = max(z, 0)`."""
    return np.maximum(Z, 0)


def relu_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = 1 where z > 0, else 0`; at the kink z = 0 it is 0."""
    return dA * (Z > 0)


def sigmoid(Z: Array) -> Array:
    """`g(z) = 1 / (1 + e^-z)`, computed as `e^z / (1 + e^z)` for negative z, so that nothing overflows."""
    E = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1, E) / (1 + E)


def sigmoid_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = a (1 - a)`."""
    return dA * A * (1 - A)


def tanh(Z: Array) -> Array:
    """`g(z) = (e^z - e^-z) / (e^z + e^-z)`."""
    return np.tanh(Z)


def tanh_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = 1 - a^2`."""
    return dA * (1 - A**2)


def softmax(Z: Array) -> Array:
    """`a_k = e^z_k / sum_j e^z_j` in each row.

    The largest z of the row is subtracted first: this cancels in the quotient, and no exponential can overflow.
    """
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def softmax_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`da_j/dz_k = a_j ([j = k] - a_k)`, hence `delta_k = a_k (dA_k - sum_j dA_j a_j)`: no Jacobian is built."""
    return A * (dA - (dA * A).sum(axis=1, keepdims=True))


def leaky_relu(Z: Array, slope: float) -> Array:
    """`g(z) = z where z > 0, else slope z`."""
    return np.where(Z > 0, Z, slope * Z)


def leaky_relu_backward(dA: Array, Z: Array, A: Array, slope: float) -> Array:
    """`g'(z) = 1 where z > 0, else slope`."""
    return dA * np.where(Z > 0, 1, slope)


def relu6(Z: Array) -> Array:
    """`g(z) = min(max(z, 0), 6)`."""
    return np.clip(Z, 0, 6)


def relu6_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = 1 where 0 < z < 6, else 0`."""
    return dA * ((Z > 0) & (Z < 6))


def elu(Z: Array, alpha: float) -> Array:
    """`g(z) = z where z > 0, else alpha (e^z - 1)`."""
    return np.where(Z > 0, Z, alpha * np.expm1(np.minimum(Z, 0)))


def elu_backward(dA: Array, Z: Array, A: Array, alpha: float) -> Array:
    """`g'(z) = 1 where z > 0, else alpha e^z = a + alpha`."""
    return dA * np.where(Z > 0, 1, A + alpha)


SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
"""With these two constants, standard normal Z give A with mean 0 and variance 1 (Klambauer et al., 2017)."""


def selu(Z: Array) -> Array:
    """`g(z) = scale elu(z, alpha)`."""
    return SELU_SCALE * elu(Z, SELU_ALPHA)


def selu_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = scale where z > 0, else scale alpha e^z = a + scale alpha`."""
    return dA * np.where(Z > 0, SELU_SCALE, A + SELU_SCALE * SELU_ALPHA)


def softplus(Z: Array) -> Array:
    """`g(z) = log(1 + e^z)`, computed as `max(z, 0) + log(1 + e^-|z|)`, so that e^z cannot overflow."""
    return np.maximum(Z, 0) + np.log1p(np.exp(-np.abs(Z)))


def softplus_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = 1 / (1 + e^-z) = 1 - e^-a`."""
    return dA * -np.expm1(-A)


def exponential(Z: Array) -> Array:
    """`g(z) = e^z`."""
    return np.exp(Z)


def exponential_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = a`."""
    return dA * A


def gelu(Z: Array) -> Array:
    """`g(z) = z Phi(z)`, where Phi is the cumulative distribution function of the standard normal distribution."""
    return Z * normal_distribution(Z)


def gelu_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = Phi(z) + z phi(z)`, where `phi(z) = e^(-z^2 / 2) / sqrt(2 pi)` is the normal density."""
    return dA * (normal_distribution(Z) + Z * np.exp(-(Z**2) / 2) / math.sqrt(2 * math.pi))


def normal_distribution(Z: Array) -> Array:
    """`Phi(z) = (1 + erf(z / sqrt(2))) / 2`, element by element, because NumPy has no erf."""
    return np.vectorize(lambda z: math.erfc(-z / math.sqrt(2)) / 2, otypes=[Z.dtype])(Z)


def gelu_tanh(Z: Array) -> Array:
    """`g(z) = z (1 + tanh(u)) / 2` with `u = sqrt(2 / pi) (z + 0.044715 z^3)`: an approximation of `gelu`."""
    return Z * (1 + np.tanh(_gelu_argument(Z))) / 2


def gelu_tanh_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = (1 + tanh(u)) / 2 + z (1 - tanh(u)^2) u' / 2` with `u' = sqrt(2 / pi) (1 + 3 * 0.044715 z^2)`."""
    T = np.tanh(_gelu_argument(Z))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * Z**2)
    return dA * ((1 + T) / 2 + Z * (1 - T**2) * slope / 2)


def _gelu_argument(Z: Array) -> Array:
    """`u = sqrt(2 / pi) (z + 0.044715 z^3)`."""
    return math.sqrt(2 / math.pi) * (Z + 0.044715 * Z**3)


def silu(Z: Array) -> Array:
    """`g(z) = z sigmoid(z)`."""
    return Z * sigmoid(Z)


def silu_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = s + z s (1 - s)` with `s = sigmoid(z)`; `1 - s` is computed as `sigmoid(-z)`, which keeps all digits."""
    return dA * (sigmoid(Z) + Z * sigmoid(Z) * sigmoid(-Z))


def mish(Z: Array) -> Array:
    """`g(z) = z tanh(softplus(z))`."""
    return Z * np.tanh(softplus(Z))


def mish_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = t + z (1 - t^2) sigmoid(z)` with `t = tanh(softplus(z))`."""
    T = np.tanh(softplus(Z))
    return dA * (T + Z * (1 - T**2) * sigmoid(Z))


def hard_sigmoid(Z: Array) -> Array:
    """`g(z) = min(max(z + 3, 0), 6) / 6`."""
    return np.clip(Z + 3, 0, 6) / 6


def hard_sigmoid_backward(dA: Array, Z: Array, A: Array) -> Array:
    """`g'(z) = 1 / 6 where -3 < z < 3, else 0`."""
    return dA * ((Z > -3) & (Z < 3)) / 6


class Formula(NamedTuple):
    """An activation and its backward pass.

    Parameters
    ----------
    forward : function
        `forward(Z, *numbers)` returns A, of shape (n, units). The numbers are `Activation.parameters`.
    backward : function
        `backward(dA, Z, A, *numbers)` returns delta, of shape (n, units).
    kinks : tuple of float
        The z at which g' jumps. Tests take no differences across them.
    """

    forward: Callable[..., Array]
    backward: Callable[..., Array]
    kinks: tuple[float, ...] = ()


ACTIVATIONS = {
    "linear": Formula(linear, linear_backward),
    "relu": Formula(relu, relu_backward, kinks=(0,)),
    "leaky_relu": Formula(leaky_relu, leaky_relu_backward, kinks=(0,)),
    "relu6": Formula(relu6, relu6_backward, kinks=(0, 6)),
    "elu": Formula(elu, elu_backward, kinks=(0,)),
    "selu": Formula(selu, selu_backward, kinks=(0,)),
    "softplus": Formula(softplus, softplus_backward),
    "exponential": Formula(exponential, exponential_backward),
    "gelu": Formula(gelu, gelu_backward),
    "gelu_tanh": Formula(gelu_tanh, gelu_tanh_backward),
    "silu": Formula(silu, silu_backward),
    "mish": Formula(mish, mish_backward),
    "sigmoid": Formula(sigmoid, sigmoid_backward),
    "hard_sigmoid": Formula(hard_sigmoid, hard_sigmoid_backward, kinks=(-3, 3)),
    "tanh": Formula(tanh, tanh_backward),
    "softmax": Formula(softmax, softmax_backward),
}


def formula_of(activation: Activation) -> Formula:
    """Return the formula of an activation; functions that a user registered are applied element by element."""
    if not isinstance(activation, OwnActivation):
        return ACTIVATIONS[activation.formula]
    g, derivative = (elementwise(function) for function in (activation.forward, activation.derivative))
    return Formula(g, lambda dA, Z, A: dA * derivative(Z))


def elementwise(function: Callable[..., float]) -> Callable[..., Array]:
    """Turn a function of numbers into a function of arrays.

    It computes in float64, element by element, and returns the dtype of its first argument.
    """

    def apply(first: Array, *rest: Array) -> Array:
        numbers = [array.astype(np.float64) for array in (first, *rest)]
        return np.vectorize(function, otypes=[np.float64])(*numbers).astype(first.dtype)

    return apply
