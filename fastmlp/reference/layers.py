# mypy: disable-error-code="no-any-return"
# (NumPy's own type hints give Any for arithmetic on arrays of an unnamed floating type.)
"""The layers: Z from A below, W and b, and the gradients of W and of A below from delta = dJ/dZ.

A below has shape (n, inputs), Z and delta (n, units). The gradient of b is the sum of delta over the samples in every
layer that is trained.

To add a layer, follow the list of places in `fastmlp/layers/__init__.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from fastmlp.architecture import Layer
from fastmlp.reference.activations import Array


class Formula(ABC):
    """The formulas of a kind of layer."""

    @abstractmethod
    def forward(self, layer: Layer, A: Array, W: Array, b: Array | float) -> Array:
        """Return Z."""

    @abstractmethod
    def weight_gradient(self, layer: Layer, A: Array, delta: Array) -> Array:
        """Return dW."""

    @abstractmethod
    def backward(self, layer: Layer, A: Array, W: Array, delta: Array) -> Array:
        """Return dJ/dA below."""


class Dense(Formula):
    """`Z = A W + b`, with W of shape (inputs, units)."""

    def forward(self, layer: Layer, A: Array, W: Array, b: Array | float) -> Array:
        """Return `A W + b`."""
        return A @ W + b

    def weight_gradient(self, layer: Layer, A: Array, delta: Array) -> Array:
        """Return `A^T delta`."""
        return A.T @ delta

    def backward(self, layer: Layer, A: Array, W: Array, delta: Array) -> Array:
        """Return `delta W^T`."""
        return delta @ W.T


class Scale(Formula):
    """`Z = W o A + b`, with W of shape (units,)."""

    def forward(self, layer: Layer, A: Array, W: Array, b: Array | float) -> Array:
        """Return `W o A + b`."""
        return W * A + b

    def weight_gradient(self, layer: Layer, A: Array, delta: Array) -> Array:
        """Return the sum of `A o delta` over the samples."""
        return (A * delta).sum(axis=0)

    def backward(self, layer: Layer, A: Array, W: Array, delta: Array) -> Array:
        """Return `W o delta`."""
        return W * delta


class LayerNormalization(Formula):
    """`Z = W o N + b` with `N = (A - mean) / sqrt(variance + epsilon)` of each row (Ba, Kiros and Hinton, 2016)."""

    def forward(self, layer: Layer, A: Array, W: Array, b: Array | float) -> Array:
        """Return `W o N + b`."""
        return W * self._normalized(layer, A) + b

    def weight_gradient(self, layer: Layer, A: Array, delta: Array) -> Array:
        """Return the sum of `N o delta` over the samples."""
        return (self._normalized(layer, A) * delta).sum(axis=0)

    def backward(self, layer: Layer, A: Array, W: Array, delta: Array) -> Array:
        """Return `(D - mean(D) - N o mean(D o N)) / sqrt(variance + epsilon)` with `D = W o delta`; means of rows."""
        N, D = self._normalized(layer, A), W * delta
        means = D.mean(axis=1, keepdims=True), (D * N).mean(axis=1, keepdims=True)
        return (D - means[0] - N * means[1]) / self._spread(layer, A)

    def _normalized(self, layer: Layer, A: Array) -> Array:
        return (A - A.mean(axis=1, keepdims=True)) / self._spread(layer, A)

    def _spread(self, layer: Layer, A: Array) -> Array:
        """Return `sqrt(variance + epsilon)` of each row."""
        return np.sqrt(A.var(axis=1, keepdims=True) + A.dtype.type(layer.epsilon))


class Normalization(Formula):
    """`Z = (A - b) / W` with means b and deviations W, which no step changes; 0 where W is 0."""

    def forward(self, layer: Layer, A: Array, W: Array, b: Array | float) -> Array:
        """Return `(A - b) / W`."""
        return self._divided(A - b, W)

    def weight_gradient(self, layer: Layer, A: Array, delta: Array) -> Array:
        """Return 0: the layer always rests."""
        return np.zeros_like(delta[0])

    def backward(self, layer: Layer, A: Array, W: Array, delta: Array) -> Array:
        """Return `delta / W`."""
        return self._divided(delta, W)

    def _divided(self, x: Array, W: Array) -> Array:
        return np.where(W != 0, x / np.where(W != 0, W, W.dtype.type(1)), W.dtype.type(0))


LAYERS: dict[str, Formula] = {
    "dense": Dense(),
    "scale": Scale(),
    "layer_normalization": LayerNormalization(),
    "normalization": Normalization(),
}
"""The formulas of each kind of layer, by the names of `fastmlp.layers.LAYERS`."""
