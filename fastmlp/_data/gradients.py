"""Gradients that the user gives: dJ/dA of the outputs, and gradients of the parameters, by layer or as one vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import check_finite, converted, real_array
from fastmlp._data.layer_weights import GRADIENTS, check_layer_weights
from fastmlp.architecture import Architecture


def check_output_gradient(dA: Any, rows: int | None, architecture: Architecture) -> NDArray[Any]:
    """Return dJ/dA as a C-contiguous array (n, outputs) in the network's dtype.

    Parameters
    ----------
    dA : array-like of shape (n, outputs)
        The derivative of J with respect to each output; the shape (n,) suits a network with one output.
    rows : int or None
        The number of rows of X, if it is known.
    architecture : Architecture
        The network.

    Raises
    ------
    TypeError
        If dA does not hold real numbers.
    ValueError
        If the shape does not suit X and the network, or a value is not finite in the network's dtype.
    """
    array = real_array(dA, "dA")
    if array.ndim == 1 and architecture.outputs == 1:
        array = array.reshape(-1, 1)
    expected = ("n" if rows is None else rows, architecture.outputs)
    if array.ndim != 2 or array.shape[1] != architecture.outputs or (rows is not None and len(array) != rows):
        shape = f"({expected[0]}, {expected[1]})"
        raise ValueError(f"dA must have shape {shape}, dJ/dA of each row and output, got {np.shape(dA)}")
    check_finite(array, architecture.dtype, "dA", hint="")
    return converted(array, architecture.dtype)


def check_gradients(gradients: Any, architecture: Architecture) -> NDArray[Any]:
    """Return the gradient of all parameters as a vector in the network's dtype, from pairs (dW, db) or from a vector.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If the number of layers, a shape or the length differs, or a value is not finite in the network's dtype.
    """
    if isinstance(gradients, np.ndarray) and gradients.dtype.kind != "O":
        return check_flat(gradients, architecture, "gradients")
    layers = check_layer_weights(gradients, architecture, GRADIENTS)
    return np.concatenate(
        [converted(each, architecture.dtype).ravel() for layer in layers for each in layer if each is not None]
    )


def check_flat(vector: ArrayLike, architecture: Architecture, name: str) -> NDArray[Any]:
    """Return a vector with an element for each parameter, in the network's dtype.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If its shape is another, or a value is not finite in the network's dtype.
    """
    array = real_array(vector, name)
    if array.shape != (architecture.parameters,):
        raise ValueError(
            f"{name} must have shape ({architecture.parameters},), an element for each parameter of this network, got "
            f"{array.shape}"
        )
    check_finite(array, architecture.dtype, name, hint="")
    return converted(array, architecture.dtype)


def check_flat_out(out: Any, architecture: Architecture) -> NDArray[Any] | None:
    """Return `out` if results can be written to it: None, or a contiguous vector in the network's dtype.

    Raises
    ------
    TypeError
        If it is no array.
    ValueError
        If its shape, dtype or layout is another, or it is read-only.
    """
    if out is None:
        return None
    expected = f"a C-contiguous, writeable array of shape ({architecture.parameters},) and dtype {architecture.dtype}"
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be {expected}, got {type(out).__name__}")
    fits = out.shape == (architecture.parameters,) and out.dtype == architecture.dtype
    if not (fits and out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        layout = "" if out.flags.c_contiguous else ", not contiguous"
        layout += "" if out.flags.writeable else ", read-only"
        raise ValueError(f"out must be {expected}, got shape {out.shape} and dtype {out.dtype}{layout}")
    return out
