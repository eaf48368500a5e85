"""`GradientMonitor` measures each layer after each epoch: it shows vanishing gradients, dead and saturated units."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.names import check_keywords
from fastmlp.activations import Activation
from fastmlp.callbacks.base import Callback

SATURATED = 0.97
"""Share of the way from the middle of the range to a limit; there tanh and sigmoid have 6 % of their steepest slope."""

MEASURES = ("weight_norm", "gradient_norm", "activation_rms", "dead", "saturated")


class GradientMonitor(Callback):
    """Measure the weights, gradients and activations of each layer after each epoch, on the same rows.

    `fastmlp.plot.gradient_norms` draws the result. Gradients vanish if their norm shrinks by orders of magnitude from
    the last layer to the first (Glorot and Bengio, 2010). The other measures show the cause:

    - "weight_norm": the square root of the sum of the squares of W.
    - "gradient_norm": the square root of the sum of the squares of dW. dW is the exact gradient of the loss of the
      given rows, with penalties and without dropout.
    - "activation_rms": the root mean square of the outputs of the layer.
    - "dead": the share of units of relu or relu6 that are 0 for every row. Their z is never positive, so they learn
      nothing from these rows (Lu et al., 2020). NaN for other activations.
    - "saturated": the share of (row, unit) pairs whose output is within 1.5 % of the range from a limit of sigmoid,
      hard_sigmoid or tanh; for tanh this is the usual |a| > 0.97. For sigmoid and tanh, the slope there is less than
      6 % of the slope at z = 0. hard_sigmoid is flat there, or almost at its flat part. NaN for other activations.

    Parameters
    ----------
    X : array-like of shape (n, inputs)
        The rows to measure on. Some hundreds are enough. They may be training rows or others.
    y : array-like of shape (n,) or (n, outputs)
        The targets of these rows, as `Network.fit` accepts them.
    every : int
        Measure after each epoch whose number, counted from 1 since the network was created, is a multiple of this.

    Attributes
    ----------
    history : dict of str to list
        For each of the measures above, a list with an entry for each measured epoch. An entry is a list of floats, one
        for each layer, including the output layer.
    epoch : list of int
        The numbers of the measured epochs, counted from 0 as in `History`.
    layers : list of str
        A description of each layer, such as "1: 30-16 relu".

    Raises
    ------
    TypeError
        If `every` is not a whole number.
    ValueError
        If `every` is less than 1.

    Notes
    -----
    Each fit resets the attributes.

    Examples
    --------
    >>> monitor = GradientMonitor(X[:500], y[:500])
    >>> net.fit(X, y, epochs=30, callbacks=[monitor])
    >>> fastmlp.plot.gradient_norms(monitor, "gradients.png")
    """

    @check_keywords
    def __init__(self, X: ArrayLike, y: ArrayLike, *, every: int = 1) -> None:
        self.X, self.y, self.every = X, y, whole_number(every, "every")
        self._reset()

    def _reset(self) -> None:
        self.history: dict[str, list[list[float]]] = {name: [] for name in MEASURES}
        self.epoch: list[int] = []
        self.layers: list[str] = []

    def on_train_begin(self) -> None:
        """Reset the attributes, and check that the rows fit the network.

        Raises
        ------
        TypeError, ValueError
            If X or y is not as `Network.fit` accepts it.
        """
        self._reset()
        try:
            self.network.loss_and_gradients(self.X, self.y)
        except (ValueError, TypeError) as error:
            raise type(error)(f"GradientMonitor: {error}") from None
        self.layers = [
            f"{number}: {layer.inputs}-{layer.units} {layer.activation.label}"
            for number, layer in enumerate(self.network.architecture.layers, 1)
        ]

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Measure all layers, if `every` selects the epoch."""
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
    """Return the square root of the sum of squares, in float64 because squares of float32 may overflow."""
    return float(np.sqrt(np.square(array, dtype=np.float64).sum()))


def _dead(A: NDArray[Any], activation: Activation) -> float:
    return float(np.mean(~A.any(axis=0))) if activation.rectifies else math.nan


def _saturated(A: NDArray[Any], activation: Activation) -> float:
    if activation.limits is None:
        return math.nan
    low, high = activation.limits
    return float(np.mean(np.abs(A - (low + high) / 2) > SATURATED * (high - low) / 2))
