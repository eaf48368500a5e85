"""Registration of activations and losses that a user defines by scalar Python functions.

The functions are checked at registration: their values must be finite, the derivative must agree with central
differences, and the compiled code must return the values of the Python code. After that, networks use them by name.
"""

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
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp._runtime.settings import Settings
from fastmlp.activations import ACTIVATIONS, OwnActivation
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.layout import BLOCK, LOSS_LANES, LOSS_MATRICES, PANEL
from fastmlp.kernels.operations.user_functions import activation_kernels, loss_kernel, versions_of
from fastmlp.losses import LOSSES, OwnLoss, Targets

Scalar = Callable[..., float]
Points = Sequence[tuple[float, ...]]

STEP = 1e-5
TOLERANCE = 1e-5
"""The allowed difference of a derivative and the central difference, relative to the larger of 1 and the latter."""

# The points of the checks avoid whole numbers and halves, where functions often have kinks. They include z = 0: the
# kernels compute padding too, it holds 0, and an infinite slope times 0 is NaN.
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
    """Register an activation that two Python functions of one number define.

    The name then works wherever the name of a built-in activation does.

    Parameters
    ----------
    name : str
        A Python identifier that is not the name of a built-in activation.
    forward : function
        `g(z)`.
    derivative : function
        `g'(z)`, also a function of z. Both functions must be finite at 0 and at 241 points from -6 to 6. There the
        derivative is compared with central differences of g, except across kinks.
    weight_init : str
        The default initializer of the weights of a layer with this activation.
    output_loss : str
        The default loss of a network with this activation on the last layer.

    Raises
    ------
    TypeError
        If the name is not a string, or an argument is not a function of one number.
    ValueError
        If the name is taken, a value is not finite, the derivative is wrong, or a function cannot be compiled. Nothing
        is registered then.

    Notes
    -----
    Numba compiles both functions. They can use arithmetic, `math`, conditions, loops, and other functions of this kind.
    Variables from outside a function have the values of the moment of registration. `exp`, `expm1`, `log`, `log1p`,
    `tanh` and `erf` of `math` or NumPy are replaced by vectorized functions of fastmlp.

    A saved model holds only the name, so register the activation before you load the model. A name can be registered
    anew. Networks that exist already keep their functions. Compiled code stays in memory until the process ends: about
    4 MB for new functions, nothing more for functions that were registered before.

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
    values = _finite_values(forward, points, f"{name}: forward")
    slopes = _check_derivative(forward, derivative, points, f"{name}: derivative")
    _check_compiles(name, 1, forward=forward, derivative=derivative)
    kernel = _float64_version(activation_kernels(name, forward, derivative).forward_saving)
    compiled_values, compiled_slopes = _Z.copy(), np.empty_like(_Z)
    kernel(address(compiled_values), address(compiled_slopes), len(_Z), 0)
    _check_same(compiled_values, values, points, f"{name}: forward")
    _check_same(compiled_slopes, slopes, points, f"{name}: derivative")
    ACTIVATIONS[name] = OwnActivation(forward, derivative, name, weight_init, output_loss)


def register_loss(name: str, value: Scalar, gradient: Scalar, *, targets: Targets = "values") -> None:
    """Register a loss that two Python functions of an output a and its target y define.

    The loss of a row is the mean over its outputs. The name then works wherever the name of a built-in loss does.

    Parameters
    ----------
    name : str
        A Python identifier that is not the name of a built-in loss.
    value : function
        `loss(a, y)`.
    gradient : function
        The derivative with respect to a. It is compared with central differences, except across kinks.
    targets : {"values", "counts", "binary", "signs", "classes"}
        What y may hold: any numbers; numbers of at least 0; numbers from 0 to 1; -1 and 1; class labels or rows of
        probabilities. This determines the default metrics. It also determines where both functions are checked, and
        must be finite: a in (0, 1) for "binary" and "classes", from 0 to 5 for "counts", otherwise from -3 to 3.

    Raises
    ------
    TypeError
        If the name is not a string, or an argument is not a function of two numbers.
    ValueError
        If the name is taken, targets is unknown, a value is not finite, the gradient is wrong, or a function cannot be
        compiled. Nothing is registered then.

    Notes
    -----
    `register_activation` describes what the functions can use, how models are saved, and how much memory compiled code
    takes.

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
    values = _finite_values(value, points, f"{name}: value")
    slopes = _check_derivative(value, gradient, points, f"{name}: gradient")
    _check_compiles(name, 2, value=value, gradient=gradient)
    compiled_values, compiled_slopes = _run_loss(_float64_version(loss_kernel(name, value, gradient)), points)
    _check_same(compiled_values, values, points, f"{name}: value")
    _check_same(compiled_slopes, slopes, points, f"{name}: gradient")
    LOSSES[name] = OwnLoss(value, gradient, name, targets)


def _check_name(name: str, table: Mapping[str, Settings], user_kind: type, what: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the name of a registered {what} must be a string, got {name!r}")
    if not name.isidentifier():
        raise ValueError(f"the name of a registered {what} must be a Python name such as 'softsign', got {name!r}")
    if name in table and not isinstance(table[name], user_kind):
        raise ValueError(f"{name!r} is a built-in {what}; choose another name")


def _check_functions(count: int, **functions: Any) -> None:
    """Check that each argument is a Python function of `count` numbers."""
    arguments = "one number, z" if count == 1 else "two numbers, a and y"
    for role, function in functions.items():
        if not inspect.isfunction(function):
            raise TypeError(f"{role} must be a Python function of {arguments}, got {function!r}")
        signature = inspect.signature(function)
        required = [p for p in signature.parameters.values() if p.default is p.empty]
        if len(required) != count or any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in signature.parameters.values()):
            raise TypeError(f"{role} must take {arguments}, got {signature}")


def _finite_values(function: Scalar, points: Points, what: str) -> NDArray[np.float64]:
    """Return the values of the Python function at the points, after checking that they are finite."""
    values = []
    for point in points:
        try:
            value = float(function(*point))
        except Exception as error:
            raise ValueError(f"{what}{_call(point)} failed: {type(error).__name__}: {error}") from error
        if not math.isfinite(value):
            raise ValueError(f"{what}{_call(point)} must be a finite number, got {value}")
        values.append(value)
    return np.array(values)


def _check_derivative(function: Scalar, derivative: Scalar, points: Points, what: str) -> NDArray[np.float64]:
    """Return the values of the derivative by the first argument, after comparing them with central differences.

    At a kink the differences to the left and to the right disagree. Such points are not compared.
    """
    below, at, above = (
        _finite_values(function, [(first + shift, *rest) for first, *rest in points], what)
        for shift in (-STEP, 0.0, STEP)
    )
    slopes, given = (above - below) / (2 * STEP), _finite_values(derivative, points, what)
    size = np.maximum(np.abs(slopes), 1)
    kinked = np.abs((above - at) - (at - below)) / STEP > 0.01 * size
    errors = np.where(kinked, 0, np.abs(given - slopes))
    wrong = errors > TOLERANCE * size
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, errors, 0)))
        raise ValueError(
            f"{what}{_call(points[worst])} is {given[worst]:.6g}, but the central difference is {slopes[worst]:.6g}"
        )
    if kinked.mean() > 0.2:
        raise ValueError(f"{what} cannot be checked: the function has kinks or jumps at {kinked.sum()} of the points")
    return given


def _check_compiles(name: str, count: int, **functions: Scalar) -> None:
    for role, function in functions.items():
        try:
            versions_of(function, count)
        except Exception as error:  # a compiler may raise anything
            raise ValueError(f"{name}: {role} cannot be compiled: {_compiler_message(error)}") from None


def _float64_version(kernel: Kernel | None) -> Callable[..., Any]:
    assert kernel is not None
    return kernel.function_for(np.dtype(np.float64))


def _run_loss(kernel: Callable[..., Any], points: Points) -> tuple[NDArray[np.float64], ...]:
    """Return the compiled losses and gradients at the points (a, y): one row of one output for each."""
    rows = -(-len(points) // PANEL) * PANEL
    a, y, delta = (aligned_zeros(rows * PANEL, np.float64).reshape(rows, PANEL) for _ in range(3))
    a[: len(points), 0], y[: len(points), 0] = np.transpose(points)
    weights, losses = np.ones(rows), np.empty(rows)
    scratch = aligned_zeros(LOSS_LANES * PANEL + LOSS_MATRICES * 2 * BLOCK, np.float64)
    arrays = [address(array) for array in (delta, a, y, weights, losses)]
    kernel(*arrays, rows, 1, 1, rows * PANEL, 1.0, address(scratch), address(np.zeros(1)))
    return losses[: len(points)], delta[: len(points), 0]


def _check_same(compiled: NDArray[np.float64], expected: NDArray[np.float64], points: Points, what: str) -> None:
    """Check that the compiled function returns the values of the Python function."""
    wrong = ~(np.abs(compiled - expected) <= 1e-9 * np.maximum(np.abs(expected), 1))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"{what}{_call(points[i])} is {expected[i]:.10g} in Python, but {compiled[i]:.10g} when compiled"
        )


def _call(point: tuple[float, ...]) -> str:
    """Return the arguments as they stand in a call: `(0.5, 1)`."""
    return f"({', '.join(f'{number:.6g}' for number in point)})"


def _compiler_message(error: Exception) -> str:
    """Return the part of an error of Numba that helps a user: first line, signature, and place in the user's code."""
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith("Failed in nopython mode pipeline")]
    first = lines[0].partition(" Raised from ")[0] if lines else type(error).__name__
    if first.endswith("found for signature:"):
        first += "".join(line.removeprefix(">>>") for line in lines[1:2])
    places = re.findall(r'File "(.*)", line (\d+):|Raised from (.*) \((\d+)\)', str(error))
    outside_numba = [(Path(a or c).name, b or d) for a, b, c, d in places if "/numba/" not in a]
    return f"{first} ({outside_numba[0][0]}, line {outside_numba[0][1]})" if outside_numba else first
