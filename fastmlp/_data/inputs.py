"""Inputs: X, checked for a network. The columns of a frame are taken by their names, those of an array by position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import SelectedColumns, check_finite, real_array
from fastmlp._data.frames import column_names, frame_array, is_frame
from fastmlp._data.names import Names
from fastmlp.architecture import Architecture


def check_inputs(
    X: Any, architecture: Architecture, name: str = "X", names: Names | None = None
) -> NDArray[Any] | SelectedColumns:
    """Return X as an array of shape (n, inputs), not copied if it is an array, after checking all of it.

    Parameters
    ----------
    X : array-like or frame
        The argument of the user.
    architecture : Architecture
        The network that X must suit.
    name : str
        The name of the argument in messages.
    names : Names, optional
        The names that the network knows.

    Raises
    ------
    TypeError
        If X does not hold real numbers.
    ValueError
        If the shape or the names of columns do not suit the network, or a value is NaN, infinite or too large for the
        network's dtype.
    """
    if is_frame(X):
        return _check_frame(X, architecture, name, names)
    array = _check_array(X, architecture, name)
    check_finite(array, architecture.dtype, name)
    return array


def check_rows(
    X: Any, architecture: Architecture, name: str = "X", names: Names | None = None
) -> NDArray[Any] | SelectedColumns:
    """Return what `check_inputs` returns, of which there must be at least one row.

    Raises
    ------
    TypeError, ValueError
        As `check_inputs` does, or if there is no row.
    """
    inputs = check_inputs(X, architecture, name, names)
    if not len(inputs):
        raise ValueError(f"{name} must have at least one row, got none")
    return inputs


def check_input_shape(
    X: Any, architecture: Architecture, name: str = "X", names: Names | None = None
) -> NDArray[Any] | SelectedColumns:
    """Return X as an array of shape (n, inputs), after checking its type and shape, but not the values of an array.

    A prediction uses this function, since its kernels check that the values are finite.

    Raises
    ------
    TypeError
        If X does not hold real numbers.
    ValueError
        If the shape or the names of columns do not suit the network, or a value of a frame is not finite.
    """
    if type(X) is not np.ndarray and is_frame(X):
        return _check_frame(X, architecture, name, names)
    return _check_array(X, architecture, name)


def _check_frame(X: Any, architecture: Architecture, name: str, names: Names | None) -> NDArray[Any] | SelectedColumns:
    columns = column_names(X, name)
    array = (names or Names()).arrange(frame_array(X, name), columns, name)
    if len(array.shape) != 2 or array.shape[1] != architecture.inputs:
        _raise_wrong_shape(array, X, architecture.inputs, name)
    known = names.features if names is not None and columns is not None else None
    check_finite(array, architecture.dtype, name, known or columns)
    return array


def _check_array(X: Any, architecture: Architecture, name: str) -> NDArray[Any]:
    if not hasattr(X, "__array__") and (isinstance(X, Iterator) or callable(X)):
        raise TypeError(
            f"{name} must be an array, got {X!r}; fit takes chunks if y is left out, but predict and evaluate must be "
            "called for each chunk"
        )
    array = real_array(X, name)
    if array.ndim != 2 or array.shape[1] != architecture.inputs:
        _raise_wrong_shape(array, X, architecture.inputs, name)
    return array


def _raise_wrong_shape(array: NDArray[Any] | SelectedColumns, X: Any, inputs: int, name: str) -> NoReturn:
    hint = ""
    if array.shape == (inputs,):
        can_reshape = name.isidentifier() and not hasattr(X, "dtypes")  # a Series cannot
        hint = f"; one sample {f'is {name}.reshape(1, -1)' if can_reshape else f'must have shape (1, {inputs})'}"
    raise ValueError(f"{name} must have shape (n, {inputs}) for this network, got {array.shape}{hint}")
