"""Monte Carlo dropout: predictions of one network with units dropped at random, as samples of what it could predict."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.inputs import check_rows
from fastmlp._engine.engine import engine_of
from fastmlp._runtime import memory
from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.names import check_keywords
from fastmlp.network import Network

_ROWS = 4096  # of a forward pass, whose activations are kept; a constant, because masks depend on a row's place in it


@check_keywords
def mc_dropout(net: Network, X: ArrayLike, samples: int = 100) -> NDArray[np.floating]:
    """Return predictions with dropout on, each with units dropped anew (Gal and Ghahramani, 2016).

    Their mean and standard deviation over the samples say what the network predicts, and how sure it is.

    Parameters
    ----------
    net : Network
        A network with dropout. It is not changed.
    X : array-like or frame of shape (n, inputs)
        The inputs, as in `Network.predict`.
    samples : int
        The number of predictions for each row.

    Returns
    -------
    ndarray of shape (samples, n, outputs)
        The predictions, in the network's dtype. The seed and the step of the network decide which units are dropped, so
        that a second call returns the same bits.

    Raises
    ------
    TypeError
        If `net` is not a Network.
    ValueError
        If no layer has dropout, or X does not suit the network.
    MemoryError
        If there is not enough memory for the predictions.

    Examples
    --------
    >>> net = Network([8, Dense(64, dropout=0.1), Dense(64, dropout=0.1), 1], seed=0)
    >>> history = net.fit(X, y, epochs=50)
    >>> draws = mc_dropout(net, X_new, samples=200)
    >>> mean, std = draws.mean(axis=0), draws.std(axis=0)
    """
    if not isinstance(net, Network):
        raise TypeError(f"mc_dropout needs a fastmlp.Network, got {type(net).__name__}")
    count, architecture = whole_number(samples, "samples"), net.architecture
    if not any(layer.dropout for layer in architecture.layers):
        raise ValueError("mc_dropout needs a network with dropout, such as Network([8, Dense(64, dropout=0.1), 1])")
    inputs = check_rows(X, architecture, names=engine_of(net).names)
    rows = len(inputs)
    memory.require(count * rows * architecture.outputs * architecture.dtype.itemsize, "the predictions")
    predictions = np.empty((count, rows, architecture.outputs), architecture.dtype)
    engine = engine_of(copy.copy(net))  # the masks depend on the step, which moves on for each pass
    for start in range(0, rows, _ROWS):
        piece = slice(start, min(start + _ROWS, rows))
        for sample in range(count):
            predictions[sample, piece] = engine.forward(inputs[piece], training=True)
            engine.skip_step()
    return predictions
