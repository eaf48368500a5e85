"""A user's own activations and losses: scalar functions, checked when they are registered, then used by their names."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from fastmlp import initializers, losses
from fastmlp._engine.parameters import panels
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp._runtime.settings import Settings
from fastmlp.activations import ACTIVATIONS, OwnActivation
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.operations.losses import SCRATCH_LANES, SCRATCH_MATRICES
from fastmlp.kernels.operations.user_functions import activation_kernels, loss_kernel, versions_of
from fastmlp.losses import LOSSES, OwnLoss, Targets

Scalar = Callable[..., float]
Points = Sequence[tuple[float, ...]]

STEP = 1e-5
TOLERANCE = 1e-5
"""Of a derivative against the central difference, relative to the larger of 1 and the derivative."""

# Points that miss whole numbers and halves, where functions have their kinks; and 0, which is what padding holds:
# kernels go over it too, and an infinite slope times 0 is NaN.
_Z = np.append(np.linspace(-6.0137, 6.0113, 241), 0.0)
_A = {
    "classes": np.linspace(0.0213, 0.9817, 41),
    "binary": np.linspace(0.0213, 0.9817, 41),
    "signs": np.linspace(-3.0137, 3.0113, 61),
    "counts": np.linspace(0.0213, 5.0117, 61),
    "values": np.linspace(-3.0137, 3.0113, 61),
}
_Y = {
    "classes": (0.0, 0.307, 1.0),
    "binary": (0.0, 0.307, 1.0),
    "signs": (-1.0, 1.0),
    "counts": (0.0, 1.0, 3.0),
    "values": (-1.507, 0.003, 2.011),
}


def register_activation(
    name: str,
    forward: Scalar,
    derivative: Scalar,
    *,
    weight_init: str = "glorot_uniform",
    output_loss: str = "mean_squared_error",
) -> None:
    """Make an activation of two functions of one number; its name then works wherever a built-in one does.

    Both are compiled, so they hold to what Numba compiles: arithmetic, `math`, conditions, loops, and other functions
    of the kind. Numbers that they find outside of themselves are those of the moment of registration. `exp`, `expm1`,
    `log`, `log1p`, `tanh` and `erf` of `math` or NumPy are replaced by those of fastmlp, which are vector code. A saved
    model holds the name alone: register it again before loading. A name of one's own can be registered anew; networks
    that were made before keep what they have. Compiled code stays until the process ends, about 4 MB for functions that
    are new, nothing more for the same ones.

    Parameters
    ----------
    name : str
        A Python name, not that of a built-in activation.
    forward : function
        `g(z)`.
    derivative : function
        `g'(z)`, of z as well. Both must be finite at 0 and at 241 points from -6 to 6, where this is compared with
        central differences of g, except across kinks.
    weight_init : str
        The initialiser that a layer with this activation takes by default.
    output_loss : str
        The loss that follows from it on the last layer.

    Raises
    ------
    TypeError
        If the name is no string, or something is not a function of one number.
    ValueError
        If the name is taken, a value is not finite, the derivative is wrong, or a function cannot be compiled. Nothing
        is registered then.

    Examples
    --------
    >>> def g(z):
    ...     return z / (1.0 + abs(z))
    >>> def slope(z):
    ...     return 1.0 / (1.0 + abs(z)) ** 2
    >>> register_activation("softsign", g, slope)
    >>> Network([30, Dense(16, "softsign"), 2], output="softmax")
    """
    _check_name(name, ACTIVATIONS, OwnActivation, "activation")
    _check_functions(1, forward=forward, derivative=derivative)
    for what, given in (("weight_init", weight_init), ("output_loss", output_loss)):
        if not isinstance(given, str):
            raise TypeError(f"{what} must be a name, got {given!r}")
    initializers.resolve(weight_init)
    losses.resolve(output_loss)
    points = [(z,) for z in _Z.tolist()]
    values = _values(forward, points, f"{name}: forward")
    slopes = _check_slopes(forward, derivative, points, f"{name}: derivative")
    _check_compiles(name, 1, forward=forward, derivative=derivative)
    compiled = _compiled(activation_kernels(name, forward, derivative).keeping)
    found, found_slopes = _Z.copy(), np.empty_like(_Z)
    compiled(address(found), address(found_slopes), len(found), 0)
    _compare(found, values, points, f"{name}: forward")
    _compare(found_slopes, slopes, points, f"{name}: derivative")
    ACTIVATIONS[name] = OwnActivation(forward, derivative, name, weight_init, output_loss)


def register_loss(name: str, value: Scalar, gradient: Scalar, *, targets: Targets = "values") -> None:
    """Make a loss of two functions of an output a and its target y; the loss of a row is the mean over the outputs.

    Compiled and stored as `register_activation` says.

    Parameters
    ----------
    name : str
        A Python name, not that of a built-in loss.
    value : function
        `loss(a, y)`.
    gradient : function
        Its derivative with respect to a. It is compared with central differences, except across kinks.
    targets : {"values", "counts", "binary", "signs", "classes"}
        What y may hold: any numbers; numbers from 0; numbers from 0 to 1; -1 and 1; class labels or rows of
        probabilities. The metrics that suit follow from it, and the points of the check: a within (0, 1) for "binary"
        and "classes", from 0 to 5 for "counts", else from -3 to 3.

    Raises
    ------
    TypeError, ValueError
        As `register_activation`.

    Examples
    --------
    >>> def value(a, y):
    ...     return (a - y) ** 4
    >>> def gradient(a, y):
    ...     return 4.0 * (a - y) ** 3
    >>> register_loss("fourth_power", value, gradient)
    >>> Network([8, 32, 1], loss="fourth_power")
    """
    _check_name(name, LOSSES, OwnLoss, "loss")
    _check_functions(2, value=value, gradient=gradient)
    if targets not in get_args(Targets):
        raise ValueError(f"targets must be one of {', '.join(get_args(Targets))}, got {targets!r}")
    points = [(a, y) for y in _Y[targets] for a in _A[targets].tolist()]
    values = _values(value, points, f"{name}: value")
    slopes = _check_slopes(value, gradient, points, f"{name}: gradient")
    _check_compiles(name, 2, value=value, gradient=gradient)
    found, found_slopes = _losses(_compiled(loss_kernel(name, value, gradient)), points)
    _compare(found, values, points, f"{name}: value")
    _compare(found_slopes, slopes, points, f"{name}: gradient")
    LOSSES[name] = OwnLoss(value, gradient, name, targets)


def _check_name(name: str, table: Mapping[str, Settings], own: type, what: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the name of one's own {what} must be a string, got {name!r}")
    if not name.isidentifier():
        raise ValueError(f"the name of one's own {what} must be a Python name such as 'softsign', got {name!r}")
    if name in table and not isinstance(table[name], own):
        raise ValueError(f"{name!r} is a built-in {what}; choose another name")


def _check_functions(count: int, **functions: Any) -> None:
    arguments = "one number, z" if count == 1 else "two numbers, a and y"
    for role, function in functions.items():
        if not inspect.isfunction(function):
            raise TypeError(f"{role} must be a Python function of {arguments}, got {function!r}")
        signature = inspect.signature(function)
        required = [p for p in signature.parameters.values() if p.default is p.empty]
        if len(required) != count or any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in signature.parameters.values()):
            raise TypeError(f"{role} must take {arguments}, got {signature}")


def _values(function: Scalar, points: Points, what: str) -> NDArray[np.float64]:
    """The values at the points, all finite."""
    found = []
    for point in points:
        try:
            value = float(function(*point))
        except Exception as error:
            raise ValueError(f"{what}{_place(point)} failed: {type(error).__name__}: {error}") from error
        if not math.isfinite(value):
            raise ValueError(f"{what}{_place(point)} must be a finite number, got {value}")
        found.append(value)
    return np.array(found)


def _check_slopes(function: Scalar, derivative: Scalar, points: Points, what: str) -> NDArray[np.float64]:
    """The derivative in the first argument, compared with central differences where those from both sides agree."""
    below, at, above = (
        _values(function, [(first + shift, *rest) for first, *rest in points], what) for shift in (-STEP, 0.0, STEP)
    )
    slopes, given = (above - below) / (2 * STEP), _values(derivative, points, what)
    kinked = np.abs((above - at) - (at - below)) / STEP > 0.01 * np.maximum(np.abs(slopes), 1)
    wrong = (np.abs(given - slopes) > TOLERANCE * np.maximum(np.abs(slopes), 1)) & ~kinked
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, np.abs(given - slopes), 0)))
        raise ValueError(
            f"{what}{_place(points[worst])} is {given[worst]:.6g}, but the central difference is {slopes[worst]:.6g}"
        )
    if kinked.mean() > 0.2:
        raise ValueError(f"{what} cannot be checked: the function has kinks or jumps at {kinked.sum()} of the points")
    return given


def _check_compiles(name: str, count: int, **functions: Scalar) -> None:
    for role, function in functions.items():
        try:
            versions_of(function, count)
        except Exception as error:  # whatever a compiler may raise
            raise ValueError(f"{name}: {role} cannot be compiled: {_reason(error)}") from None


def _compiled(kernel: Kernel | None) -> Callable[..., Any]:
    """The version for float64."""
    assert kernel is not None
    return kernel.function_for(np.dtype(np.float64))


def _losses(kernel: Callable[..., Any], points: Points) -> tuple[NDArray[np.float64], ...]:
    """The compiled loss and gradient at each (a, y): those of a network of one output, with a row for each."""
    rows = panels(len(points)) * PANEL
    a, y, delta = (aligned_zeros(rows * PANEL, np.float64).reshape(rows, PANEL) for _ in range(3))
    a[: len(points), 0], y[: len(points), 0] = np.transpose(points)
    weights, losses = np.ones(rows), np.empty(rows)
    scratch = aligned_zeros(SCRATCH_LANES * PANEL + SCRATCH_MATRICES * 2 * BLOCK, np.float64)
    arrays = [address(array) for array in (delta, a, y, weights, losses)]
    kernel(*arrays, rows, 1, rows * PANEL, 1.0, address(scratch), address(np.zeros(1)))
    return losses[: len(points)], delta[: len(points), 0]


def _compare(found: NDArray[np.float64], expected: NDArray[np.float64], points: Points, what: str) -> None:
    wrong = ~(np.abs(found - expected) <= 1e-9 * np.maximum(np.abs(expected), 1))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(f"{what}{_place(points[i])} is {expected[i]:.10g}, but compiled {found[i]:.10g}")


def _place(point: tuple[float, ...]) -> str:
    return f"({', '.join(f'{number:.6g}' for number in point)})"


def _reason(error: Exception) -> str:
    """What Numba's message says to a user: its first line, what was called there, and where that stands."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith("Failed in nopython mode pipeline")]
    first = said[0].partition(" Raised from ")[0] if said else type(error).__name__
    if first.endswith("found for signature:"):
        first += "".join(line.removeprefix(">>>") for line in said[1:2])
    places = re.findall(r'File "(.*)", line (\d+):|Raised from (.*) \((\d+)\)', str(error))
    own = [(Path(a or c).name, b or d) for a, b, c, d in places if "/numba/" not in a]
    return f"{first} ({own[0][0]}, line {own[0][1]})" if own else first
