"""What becomes of weights, gradients and activations in each layer: where gradients vanish, units die or saturate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime.checks import whole_number
from fastmlp.activations import Activation
from fastmlp.callbacks.base import Callback

SATURATED = 0.97
"""How far from the middle to a limit: there tanh has 6 % of its steepest slope, sigmoid likewise."""


class GradientMonitor(Callback):
    """Measure every layer, after each epoch, on the same rows.

    `fastmlp.plot.gradient_norms` draws it. A gradient that shrinks from the last layer to the first by orders of
    magnitude vanishes (Glorot and Bengio, 2010); the other figures say why.

    - "weight_norm": the root of the sum of squares of W.
    - "gradient_norm": the same of dW, the exact gradient of the loss of these rows, penalties included, dropout off.
    - "activation_rms": the root mean square of the layer's outputs.
    - "dead": the share of units of relu or relu6 that are 0 for every row: their z is never positive, so they learn
      nothing from these rows (Lu et al., 2020). NaN for other activations.
    - "saturated": the share of (row, unit) pairs within 1.5 % of the range from one of the limits of sigmoid,
      hard_sigmoid or tanh: |a| > 0.97 for tanh, where courses draw the line. There g'(z) is less than 6 % of what it
      is at z = 0, for sigmoid and tanh alike; hard_sigmoid is flat, or about to be. NaN for other activations.

    Each fit begins anew.

    Parameters
    ----------
    X, y : array-like
        Rows as `fit` takes them. They are looked at all: some hundreds are enough, be they of the training rows or
        others.
    every : int
        Measure after each epoch whose number, counted from 1 when the network was made, is a multiple of it.

    Attributes
    ----------
    history : dict of str to list
        Under each of the names above a list with an entry for each epoch that was measured: a list of floats, one for
        each layer, the last one's output included.
    epoch : list of int
        The numbers of these epochs, counted from 0 as in `History`.
    layers : list of str
        The layers in words, such as "1: 30-16 relu".

    Raises
    ------
    ValueError, TypeError
        If `every` is no whole number of at least 1.
    """

    def __init__(self, X: ArrayLike, y: ArrayLike, *, every: int = 1) -> None:
        self.X, self.y, self.every = X, y, whole_number(every, "every")
        self._forget()

    def _forget(self) -> None:
        names = ("weight_norm", "gradient_norm", "activation_rms", "dead", "saturated")
        self.history: dict[str, list[list[float]]] = {name: [] for name in names}
        self.epoch: list[int] = []
        self.layers: list[str] = []

    def on_train_begin(self) -> None:
        """Forget earlier fits, and see whether the rows suit the network.

        Raises
        ------
        ValueError, TypeError
            If they do not.
        """
        self._forget()
        try:
            self.network.loss_and_gradients(self.X, self.y)
        except (ValueError, TypeError) as error:
            raise type(error)(f"GradientMonitor: {error}") from None
        self.layers = [
            f"{number}: {layer.inputs}-{layer.units} {layer.activation.label}"
            for number, layer in enumerate(self.network.architecture.layers, 1)
        ]

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Measure, if it is the time."""
        if (epoch + 1) % self.every:
            return
        network = self.network
        _, gradients = network.loss_and_gradients(self.X, self.y)
        outputs = [*network.hidden_activations(self.X), network.predict(self.X)]
        activations = [layer.activation for layer in network.architecture.layers]
        measured = {
            "weight_norm": [_norm(W) for W, _ in network.get_weights()],
            "gradient_norm": [_norm(dW) for dW, _ in gradients],
            "activation_rms": [_norm(A) / math.sqrt(A.size) for A in outputs],
            "dead": [_dead(A, g) for A, g in zip(outputs, activations, strict=True)],
            "saturated": [_saturated(A, g) for A, g in zip(outputs, activations, strict=True)],
        }
        for name, values in measured.items():
            self.history[name].append(values)
        self.epoch.append(epoch)


def _norm(array: NDArray[Any]) -> float:
    """The root of the sum of squares, in float64: squares of float32 may overflow."""
    return float(np.sqrt(np.square(array, dtype=np.float64).sum()))


def _dead(A: NDArray[Any], activation: Activation) -> float:
    return float(np.mean(~A.any(axis=0))) if activation.rectifies else math.nan


def _saturated(A: NDArray[Any], activation: Activation) -> float:
    if activation.limits is None:
        return math.nan
    low, high = activation.limits
    return float(np.mean(np.abs(A - (low + high) / 2) > SATURATED * (high - low) / 2))
