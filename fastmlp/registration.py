"""Registration of activations and losses that a user defines by Python functions of numbers or of rows.

The functions are checked at registration: their values must be finite, the derivative must agree with central
differences, and the compiled code must return the values of the Python code. After that, networks use them by name.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fastmlp import initializers, losses
from fastmlp._display.progress import CountLine
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.function_checks import (
    call_text,
    check_derivative,
    check_same,
    finite_values,
    row_text,
    settable_parameters,
)
from fastmlp._runtime.settings import Settings
from fastmlp.activations import ACTIVATIONS, OwnActivation
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.layout import PANEL, loss_workspace
from fastmlp.kernels.operations.user_functions import activation_kernels, versions_of
from fastmlp.kernels.operations.user_row_losses import own_loss_kernel, row_versions_of
from fastmlp.losses import LOSSES, Targets
from fastmlp.own_losses import Definition, OwnLoss, Parameters, TargetColumns

Floats = NDArray[np.float64]

# The points of the check avoid whole numbers and halves, where functions often have kinks. They include z = 0: the
# kernels compute padding too, it holds 0, and an infinite slope times 0 is NaN.
_Z = np.append(np.linspace(-6.0137, 6.0113, 241), 0.0)


def register_activation(
    name: str,
    forward: Callable[..., float],
    derivative: Callable[..., float],
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
    for role, function in (("forward", forward), ("derivative", derivative)):
        _check_function(role, function, 1, "one number, z")
    for what, given in (("weight_init", weight_init), ("output_loss", output_loss)):
        if not isinstance(given, str):
            raise TypeError(f"{what} must be a name, got {given!r}")
    initializers.resolve(weight_init)
    losses.resolve(output_loss)
    points = [(z,) for z in _Z.tolist()]
    values = finite_values(forward, points, f"{name}: forward")
    slopes = check_derivative(forward, derivative, points, f"{name}: derivative")
    for role, function in (("forward", forward), ("derivative", derivative)):
        _check_compiles(name, role, versions_of, function, 1)
    kernel = _float64_version(activation_kernels(name, forward, derivative).forward_saving)
    compiled_values, compiled_slopes = _Z.copy(), np.empty_like(_Z)
    kernel(address(compiled_values), address(compiled_slopes), len(_Z), 0)
    check_same(compiled_values, values, f"{name}: forward", lambda place: call_text(points[place]))
    check_same(compiled_slopes, slopes, f"{name}: derivative", lambda place: call_text(points[place]))
    ACTIVATIONS[name] = OwnActivation(forward, derivative, name, weight_init, output_loss)


def register_loss(
    name: str,
    value: Callable[..., float],
    gradient: Callable[..., Any],
    *,
    targets: Targets = "values",
    outputs: Literal["each", "row"] = "each",
    target_columns: TargetColumns = None,
    check_outputs: int = 3,
) -> None:
    """Register a loss that two Python functions define: of an output a and its target y, or of whole rows.

    The name then works wherever the name of a built-in loss does.

    Parameters
    ----------
    name : str
        A Python identifier that is not the name of a built-in loss.
    value : function
        `loss(a, y)`.
    gradient : function
        The derivative with respect to a. It is compared with central differences, except across kinks.
    targets : {"values", "counts", "positive", "binary", "signs", "classes"}
        What y may hold: any numbers; numbers of at least 0; numbers greater than 0; numbers from 0 to 1; -1 and 1;
        class labels or rows of probabilities. This determines the default metrics. It also determines where both
        functions are checked, and must be finite: a in (0, 1) for "binary" and "classes", from 0 to 5 for "counts" and
        "positive", otherwise from -3 to 3.
    outputs : {"each", "row"}
        "each": the functions take one output and its target; the loss of a row is the mean over its outputs. "row":
        `value(a, y)` takes the outputs and the targets of a row as arrays, and returns the loss of the row.
        `gradient(a, y, out)` writes its derivatives to the array out, which holds zeros.
    target_columns : int or function, optional
        With "row": how many targets a row has, if they are not as many as its outputs. A function takes the number of
        outputs, and those parameters of the loss that it names. It raises a ValueError where the number does not suit.
    check_outputs : int
        With "row": the number of outputs with which the functions are checked at once. A network checks them again
        with its own.

    Raises
    ------
    TypeError
        If the name is not a string, or an argument is not a function of such arguments.
    ValueError
        If the name is taken, an option is unknown, a value is not finite, the gradient is wrong, an array other than
        out is written to, or a function cannot be compiled. Nothing is registered then.

    Notes
    -----
    `register_activation` describes what the functions can use, how models are saved, and how much memory compiled code
    takes.

    For functions of rows, only those functions of `math` are replaced that `register_activation` names, not NumPy's.

    Both functions may have further parameters. Those whose default is a float, or for rows a tuple of floats, are the
    same in both and can be given at use: `OwnLoss(name, parameter=...)`. The functions get a tuple as an array. Any
    other default is a constant.

    Functions of rows are tried with the outputs of each network, where an index that is too large raises an error. An
    index that depends on the data, such as `out[int(y[0])]`, makes the loss NaN where it is too large.

    Examples
    --------
    >>> def value(a, y):
    ...     return (a - y) ** 4
    >>> def gradient(a, y):
    ...     return 4.0 * (a - y) ** 3
    >>> register_loss("fourth_power", value, gradient)
    >>> Network([8, 32, 1], loss="fourth_power")

    One target with several quantiles, whose number is that of the levels:

    >>> def pinball(a, y, levels=(0.1, 0.5, 0.9)):
    ...     total = 0.0
    ...     for k in range(len(a)):
    ...         d = y[0] - a[k]
    ...         total += max(levels[k] * d, (levels[k] - 1.0) * d)
    ...     return total
    >>> def slopes(a, y, out, levels=(0.1, 0.5, 0.9)):
    ...     for k in range(len(a)):
    ...         out[k] = -levels[k] if y[0] > a[k] else 1.0 - levels[k]
    >>> register_loss("quantiles", pinball, slopes, outputs="row", target_columns=1)
    >>> Network([8, 32, 2], loss=OwnLoss("quantiles", levels=(0.25, 0.75)))
    """
    _check_name(name, LOSSES, OwnLoss, "loss")
    for what, given, known in (("outputs", outputs, ("each", "row")), ("targets", targets, get_args(Targets))):
        if given not in known:
            raise ValueError(f"{what} must be one of {', '.join(known)}, got {given!r}")
    by_row = outputs == "row"
    _check_loss_functions(value, gradient, by_row)
    if target_columns is not None and not by_row:
        raise ValueError("target_columns needs outputs='row'; a function of one output has one target")
    if target_columns is not None and targets == "classes":
        raise ValueError("target_columns cannot be given for targets='classes', which have a column for each output")
    if not (target_columns is None or callable(target_columns)):
        target_columns = whole_number(target_columns, "target_columns")
    count = whole_number(check_outputs, "check_outputs")
    count = count if by_row else 1
    loss = OwnLoss.of(Definition(name, value, gradient, targets, by_row, target_columns))
    own = loss.definition
    expected = own.check(count, loss.given)
    with contextlib.closing(CountLine("auto", f"compiling the loss {name}", 3)) as progress:
        for done, (role, function) in enumerate((("value", value), ("gradient", gradient))):
            progress.update(done)
            if by_row:
                _check_compiles(name, role, row_versions_of, function, role == "gradient", own.settable, own.tuples)
            else:
                _check_compiles(name, role, versions_of, function, 2, own.settable)
        progress.update(2)
        compiled = _run_loss(loss, count)
        progress.update(3)
    place = _places(own, count, loss.given)
    for what, got, wanted in zip(("value", "gradient"), compiled, expected, strict=True):
        check_same(got, wanted, f"{name}: {what}", place)
    LOSSES[name] = loss


def _check_name(name: str, table: Mapping[str, Settings], user_kind: type, what: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the name of a registered {what} must be a string, got {name!r}")
    if not name.isidentifier():
        raise ValueError(f"the name of a registered {what} must be a Python name such as 'softsign', got {name!r}")
    if name in table and not isinstance(table[name], user_kind):
        raise ValueError(f"{name!r} is a built-in {what}; choose another name")


def _check_loss_functions(value: Any, gradient: Any, by_row: bool) -> None:
    """Check that both are functions of an output and its target, or of rows, with the same parameters behind these."""
    numbers = "arrays" if by_row else "numbers"
    _check_function("value", value, 2, f"two {numbers}, a and y")
    if by_row:
        _check_function("gradient", gradient, 3, "three arrays, a, y and out")
    else:
        _check_function("gradient", gradient, 2, f"two {numbers}, a and y")
    ours, theirs = settable_parameters(value, 2), settable_parameters(gradient, 3 if by_row else 2)
    if list(ours.items()) != list(theirs.items()):
        raise TypeError(f"value and gradient must have the same parameters and defaults, got {ours} and {theirs}")
    if "name" in ours:
        raise TypeError("a parameter cannot be called 'name', which is the name of the loss")
    for key, default in ours.items():
        if isinstance(default, tuple) and not by_row:
            raise TypeError(f"{key}={default} needs outputs='row'; a function of one output takes numbers")


def _check_function(role: str, function: Any, count: int, arguments: str) -> None:
    """Check that an argument is a Python function with `count` parameters that have no default."""
    if not inspect.isfunction(function):
        raise TypeError(f"{role} must be a Python function of {arguments}, got {function!r}")
    signature = inspect.signature(function)
    required = [p for p in signature.parameters.values() if p.default is p.empty]
    if len(required) != count or any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in signature.parameters.values()):
        raise TypeError(f"{role} must take {arguments}, got {signature}")


def _check_compiles(name: str, role: str, compiler: Callable[..., Any], function: Any, *options: Any) -> None:
    try:
        compiler(function, *options)
    except Exception as error:  # a compiler may raise anything
        if "setitem(readonly" in str(error):
            raise ValueError(f"{name}: {role} writes to an array other than out") from None
        raise ValueError(f"{name}: {role} cannot be compiled: {_compiler_message(error)}") from None


def _float64_version(kernel: Kernel | None) -> Callable[..., Any]:
    assert kernel is not None
    return kernel.function_for(np.dtype(np.float64))


def _run_loss(loss: OwnLoss, outputs: int) -> tuple[Floats, Floats]:
    """Return the compiled losses and gradients where the functions of a loss are checked."""
    own = loss.definition
    A, Y = own.rows(outputs, own.columns(outputs, loss.given)) if own.by_row else np.transpose(own.points())[..., None]
    kernel = own_loss_kernel(own.name, own.value, own.gradient, own.settable, own.tuples, by_row=own.by_row)
    rows, outputs, columns = -(-len(A) // PANEL) * PANEL, A.shape[1], Y.shape[1]
    a, y, delta = _in_panels(A, rows), _in_panels(Y, rows), _in_panels(np.zeros_like(A), rows)
    weights, losses = np.ones(rows), np.empty(rows)
    scratch = aligned_zeros(loss_workspace(max(len(a), len(y))), np.float64)
    numbers = np.array([*loss.parameters, 0.0])
    arrays = [address(array) for array in (delta, a, y, weights, losses)]
    sizes = rows, outputs, columns, rows * PANEL
    _float64_version(kernel)(*arrays, *sizes, 1.0, address(scratch), address(numbers))
    found = delta.transpose(1, 0, 2).reshape(rows, -1)[: len(A), :outputs]
    return losses[: len(A)], found if own.by_row else found[:, 0]


def _in_panels(matrix: Floats, rows: int) -> Floats:
    """Return rows in panels of 16 columns, [panel][row][16]."""
    panels = -(-matrix.shape[1] // PANEL)
    padded = np.zeros((rows, panels * PANEL))
    padded[: len(matrix), : matrix.shape[1]] = matrix
    laid_out = aligned_zeros(padded.size, np.float64).reshape(panels, rows, PANEL)
    laid_out[:] = padded.reshape(rows, panels, PANEL).transpose(1, 0, 2)
    return laid_out


def _places(own: Definition, outputs: int, parameters: Parameters) -> Callable[[int], str]:
    """Return a function that names the arguments at a place of what was checked."""
    if not own.by_row:
        points = own.points()
        return lambda place: call_text(points[place])
    A, Y = own.rows(outputs, own.columns(outputs, parameters))
    return lambda place: row_text(A[place], Y[place])


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
