"""Checks of a user's Python functions by their values: finite numbers, and derivatives by central differences."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Function = Callable[..., Any]
Floats = NDArray[np.float64]
Points = Sequence[tuple[float, ...]]

STEP = 1e-5
TOLERANCE = 1e-5
"""The allowed difference of a derivative and the central difference, relative to the larger of 1 and the latter."""
MOST_KINKS = 0.2
"""The largest share of points at which a function may have a kink or jump, where no difference can be taken."""

_CANARY = -987.25


def settable_parameters(function: Function, count: int) -> dict[str, float | tuple[float, ...]]:
    """Return the parameters behind the first `count` whose default is a float or a tuple of floats, with the default.

    Parameters with other defaults, such as 2 or None, are constants.
    """

    def is_settable(default: Any) -> bool:
        numbers = default if isinstance(default, tuple) and default else (default,)
        return all(isinstance(each, float) for each in numbers)

    parameters = list(inspect.signature(function).parameters.values())[count:]
    return {each.name: each.default for each in parameters if is_settable(each.default)}


def finite_values(function: Function, points: Points, what: str) -> Floats:
    """Return the values of a function of numbers at the points, after checking that they are finite."""
    return np.array([finite_value(function, point, f"{what}{call_text(point)}") for point in points])


def finite_value(function: Function, arguments: Sequence[Any], what: str) -> float:
    """Return a value of a function, or raise ValueError if it fails, or is not finite."""
    try:
        value = float(function(*arguments))
    except Exception as error:
        raise ValueError(f"{what} failed: {type(error).__name__}: {error}") from error
    if not math.isfinite(value):
        raise ValueError(f"{what} must be a finite number, got {value}")
    return value


def check_derivative(function: Function, derivative: Function, points: Points, what: str) -> Floats:
    """Return the values of the derivative by the first argument, after comparing them with central differences.

    At a kink the differences to the left and to the right disagree. Such points are not compared.
    """
    below, at, above = (
        finite_values(function, [(first + shift, *rest) for first, *rest in points], what)
        for shift in (-STEP, 0.0, STEP)
    )
    given = finite_values(derivative, points, what)
    _compare(given, below, at, above, what, lambda worst: call_text(points[worst]))
    return given


def _compare(given: Floats, below: Floats, at: Floats, above: Floats, what: str, place: Callable[[int], str]) -> None:
    """Compare derivatives with the differences of the values below and above; `place` names one of them."""
    slopes = (above - below) / (2 * STEP)
    size = np.maximum(np.abs(slopes), 1)
    kinked = np.abs((above - at) - (at - below)) / STEP > 0.01 * size
    errors = np.where(kinked, 0, np.abs(given - slopes))
    wrong = errors > TOLERANCE * size
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, errors, 0)))
        raise ValueError(
            f"{what}{place(worst)} is {given[worst]:.6g}, but the central difference is {slopes[worst]:.6g}"
        )
    if kinked.mean() > MOST_KINKS:
        raise ValueError(f"{what} cannot be checked: the function has kinks or jumps at {kinked.sum()} of the points")


def check_rows(
    value: Function, gradient: Function, A: Floats, Y: Floats, parameters: Mapping[str, Any], name: str
) -> tuple[Floats, Floats]:
    """Return the losses (n,) and gradients (n, outputs) of rows, after comparing these with central differences.

    Parameters
    ----------
    value, gradient : function
        `value(a, y, **parameters)`, and `gradient(a, y, out, **parameters)`, which writes to out.
    A, Y : ndarray of shape (n, outputs) and (n, columns)
        The rows.
    parameters : mapping
        Numbers and tuples of numbers.
    name : str
        The name of the loss, for messages.

    Raises
    ------
    ValueError
        If a function fails, a value is not finite, the gradient is wrong, or a function writes to an array other than
        out, or beside it.
    """
    arrays = {key: _read_only(each) if isinstance(each, tuple) else each for key, each in parameters.items()}

    def losses_of(rows: Floats) -> Floats:
        function = functools.partial(value, **arrays)
        return np.array(
            [
                finite_value(function, (_read_only(a), _read_only(y)), f"{name}: value{row_text(a, y)}")
                for a, y in zip(rows, Y, strict=True)
            ]
        )

    gradients = np.array([_gradient_of_row(gradient, a, y, arrays, name) for a, y in zip(A, Y, strict=True)])
    at = losses_of(A)
    for k in range(A.shape[1]):
        shift = np.zeros(A.shape[1])
        shift[k] = STEP
        below, above = losses_of(A - shift), losses_of(A + shift)
        what = f"{name}: out[{k}] of gradient"
        _compare(gradients[:, k], below, at, above, what, lambda row: row_text(A[row], Y[row]))
    return at, gradients


def _gradient_of_row(gradient: Function, a: Floats, y: Floats, parameters: Mapping[str, Any], name: str) -> Floats:
    """Return the gradient of a row, which the function writes to an array within another one."""
    around = np.full(3 * len(a), _CANARY)
    out = around[len(a) : 2 * len(a)]
    out[:] = 0
    what = f"{name}: gradient{row_text(a, y)}"
    try:
        result = gradient(_read_only(a), _read_only(y), out, **parameters)
    except Exception as error:
        raise ValueError(f"{what} failed: {type(error).__name__}: {error}") from error
    if result is not None:
        raise ValueError(f"{what} must write to out and return nothing, got {result!r}")
    if (around[: len(a)] != _CANARY).any() or (around[2 * len(a) :] != _CANARY).any():
        raise ValueError(f"{what} has written beside out")
    if not np.isfinite(out).all():
        raise ValueError(f"{what} must write finite numbers, got {out.tolist()}")
    return out.copy()


def check_same(compiled: Floats, expected: Floats, what: str, place: Callable[[int], str]) -> None:
    """Check that a compiled function returns the values of the Python function, (n,) or (n, outputs).

    `place` names the arguments of one of them.
    """
    wrong = ~(np.abs(compiled - expected) <= 1e-9 * np.maximum(np.abs(expected), 1))
    if wrong.any():
        i = tuple(np.argwhere(wrong)[0])
        raise ValueError(f"{what}{place(i[0])} is {expected[i]:.10g} in Python, but {compiled[i]:.10g} when compiled")


def call_text(point: Sequence[float] | Floats) -> str:
    """Return the arguments as they stand in a call: `(0.5, 1)`."""
    return f"({', '.join(f'{number:.6g}' for number in point)})"


def row_text(a: Floats, y: Floats) -> str:
    """Return a row as it stands in a call: `([0.5, 1], [2])`."""
    return f"([{call_text(a)[1:-1]}], [{call_text(y)[1:-1]}])"


def _read_only(numbers: Any) -> Floats:
    array = np.array(numbers, np.float64)
    array.flags.writeable = False
    return array
