"""A user's scalar Python functions, compiled to kernels like those of built-in activations and losses.

In a compiled copy of the function, exp, expm1, log, log1p, tanh and erf of `math` and NumPy are replaced by those of
`fastmlp.kernels.micro.functions`, which become vector code and give the same bits on every machine. For a network in
float32, constants such as 0.5 become float32. The functions and numbers that the function refers to are treated alike.

In float32, `z / (1.0 + math.exp(-z))` takes 4.4 ns an element with the C library, 1.4 with our exp in float64, and 1.1
with all of this.
"""

from __future__ import annotations

import dis
import functools
import inspect
import math
import types as python
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastmlp.kernels.host.jit import Kernel, scalar, users_scalar
from fastmlp.kernels.micro import functions
from fastmlp.kernels.operations.activations import ActivationKernels, with_derivative
from fastmlp.kernels.operations.losses import elementwise_loss

Scalar = Callable[..., float]
Settable = tuple[str, ...]
"""The names of the parameters of a user's functions that are given to a kernel, in the order of its numbers."""


@scalar
def where(condition: bool, x: float, y: float) -> float:
    """Replace `np.where` for numbers; Numba's makes an array."""
    return x if condition else y


def _accept_integers(function: Any, single: bool) -> Any:
    """Make one of our functions take integers too, as in `math.log(2)`: they become floats of the network's dtype."""
    kind = types.float32 if single else types.float64

    @intrinsic
    def as_float(_typing_context: Any, x: Any) -> Any:
        result = x if isinstance(x, types.Float) else kind

        def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            return context.cast(builder, values[0], x, result)

        return result(x), generate

    @scalar
    def wrapper(x: float) -> float:
        return function(as_float(x))

    return wrapper


@functools.cache
def _replacements(single: bool, arrays: bool) -> list[tuple[Any, Any]]:
    """Return pairs of a function of `math` or NumPy and our function that replaces it; with arrays, of `math` alone."""
    pairs = [] if arrays else [(np.where, where)]
    for name in ("exp", "expm1", "log", "log1p", "tanh", "erf"):
        ours = _accept_integers(getattr(functions, name), single)
        libraries = (math,) if arrays else (math, np)
        pairs += [(getattr(library, name), ours) for library in libraries if hasattr(library, name)]
    return pairs


@functools.cache
def activation_kernels(name: str, forward: Scalar, derivative: Scalar) -> ActivationKernels:
    """Make the kernels of an activation from `forward(z)` and `derivative(z)`. They are compiled in each process."""
    g, g_prime = _callable(versions_of(forward, 1)), _callable(versions_of(derivative, 1))

    @scalar
    def value_and_derivative(z: float) -> tuple[float, float]:
        return g((z,)), g_prime((z,))

    return with_derivative(name, value_and_derivative, cached=False)


@functools.cache
def loss_kernel(name: str, value: Scalar, gradient: Scalar, settable: Settable) -> Kernel:
    """Make the kernel of a loss, the mean over the outputs of `value(a, y, *numbers)`. It is compiled in each process.

    The numbers are the parameters that can be set.
    """
    of_value, of_gradient = (_callable(versions_of(each, 2, settable)) for each in (value, gradient))

    @scalar
    def element_value(a: float, y: float, *numbers: float) -> float:
        return of_value((a, y, *numbers))

    @scalar
    def element_gradient(a: float, y: float, *numbers: float) -> float:
        return of_gradient((a, y, *numbers))

    return elementwise_loss(name, element_value, element_gradient, mean=True, numbers=len(settable), cached=False)


@functools.cache
def versions_of(function: Scalar, count: int, settable: Settable = ()) -> dict[Any, Version]:
    """Compile a function of `count` numbers, and of those that can be set, for float64 and float32.

    Return the versions by Numba's type.

    Raises
    ------
    TypeError
        If the function does not return a number, or contains a `raise` statement.
    Exception
        Any error of Numba if it cannot compile the function.
    """
    versions = {}
    for kind in (types.float64, types.float32):
        version = versions[kind] = Version(function, kind, (kind,) * count, dict.fromkeys(settable, kind))
        if not isinstance(version.result, (types.Integer, types.Float, types.Boolean)):
            raise TypeError(f"it must return a number, got {version.result}")
    return versions


class Version:
    """A user's function, compiled for float32 or float64.

    Parameters
    ----------
    function : function
        The function.
    kind : Numba's type
        That of the result, if it is a number.
    first : sequence of Numba's types
        The types of the parameters without a default.
    settable : mapping of str to Numba's type
        The types of the parameters that can be set; any other one is a constant.
    arrays : bool
        Whether the function takes arrays.
    single : bool
        Whether constants become float32 in the version for float32.

    Attributes
    ----------
    result : Numba's type
        What the function returns.
    """

    def __init__(
        self,
        function: Any,
        kind: Any,
        first: Sequence[Any],
        settable: Mapping[str, Any],
        arrays: bool = False,
        single: bool = True,
    ) -> None:
        self.kind = kind
        self._dispatcher = _compiled(function, single and kind == types.float32, {}, arrays)
        names = list(inspect.signature(function).parameters)[len(first) :]
        rest = [
            settable.get(name, types.Omitted(default))
            for name, default in zip(names, self._dispatcher.py_func.__defaults__, strict=True)
        ]
        self._dispatcher.compile((*first, *rest))
        self.result = self._dispatcher.overloads[self._dispatcher.signatures[0]].signature.return_type

    def emit(self, context: Any, builder: Any, values: Sequence[Any]) -> Any:
        """Emit a call with the values of all parameters that are no constants.

        Return the result in `kind`: NaN if the function ended with an error, such as an index beyond an array; 0 if it
        returned nothing.
        """
        compiled, given = self._dispatcher.overloads[self._dispatcher.signatures[0]], iter(values)
        described = compiled.fndesc
        arguments = [
            context.get_constant_generic(builder, each, each.value) if isinstance(each, types.Omitted) else next(given)
            for each in described.argtypes
        ]
        context.add_linking_libs((compiled.library,))
        function = context.declare_function(builder.module, described)
        call = context.call_conv.call_function
        status, result = call(builder, function, described.restype, described.argtypes, arguments)
        if self.result == types.none:
            result = context.get_constant(self.kind, 0.0)
        else:
            result = context.cast(builder, result, self.result, self.kind)
        return builder.select(status.is_error, context.get_constant(self.kind, math.nan), result)


def _callable(versions: dict[Any, Version]) -> Any:
    """Make an intrinsic of a user's function, which takes a tuple of numbers."""

    @intrinsic
    def call(_typing_context: Any, numbers: Any) -> Any:
        version = versions[numbers.dtype]

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return version.emit(context, builder, cgutils.unpack_tuple(builder, arguments[0]))

        return version.kind(numbers), generate

    return call


def _compiled(function: Any, single: bool, known: dict[Any, Any], arrays: bool) -> Any:
    """Return a compiled copy of a function that calls our exp and the like; with `single`, its constants are float32.

    With `arrays` the function takes arrays, for which NumPy's functions may be called, so these stay. `known` holds the
    functions that were compiled on the way here, since a function may call itself.
    """
    if function in known:
        return known[function]
    code = _convert_constants(function.__code__, single)
    new_globals: dict[str, Any] = {}
    cells = tuple(python.CellType() for _ in function.__closure__ or ())
    defaults = tuple(_convert_number(value, single) for value in function.__defaults__ or ())
    copy = python.FunctionType(code, new_globals, function.__name__, defaults, cells)
    known[function] = compiled = users_scalar(copy, boundscheck=arrays)
    codes = list(_nested_codes(code))
    names = {name for nested in codes for name in nested.co_names}
    if any(step.opname == "RAISE_VARARGS" for nested in codes for step in dis.get_instructions(nested)):
        raise TypeError(f"{function.__name__} must not raise an error: a kernel cannot stop; return math.nan instead")

    def replace(value: Any) -> Any:
        """Return the replacement of a module, of a function, or of a number."""
        if isinstance(value, python.ModuleType):
            module = python.ModuleType(value.__name__)
            vars(module).update({name: replace(vars(value)[name]) for name in names & vars(value).keys()})
            return module
        if isinstance(value, python.FunctionType) and not str(value.__module__).startswith(("numpy", "numba")):
            return _compiled(value, single, known, arrays)
        ours = next((ours for theirs, ours in _replacements(single, arrays) if value is theirs), None)
        return ours or _convert_number(value, single)

    new_globals.update({name: replace(function.__globals__[name]) for name in names & function.__globals__.keys()})
    for cell, original in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = replace(original.cell_contents)
    return compiled


def _convert_constants(code: python.CodeType, single: bool) -> python.CodeType:
    """Return the code with its constants converted by `_convert_number`, those of nested functions too."""
    constants = (
        _convert_constants(value, single) if isinstance(value, python.CodeType) else _convert_number(value, single)
        for value in code.co_consts
    )
    return code.replace(co_consts=tuple(constants))


def _nested_codes(code: python.CodeType) -> Iterator[python.CodeType]:
    """Yield the code and that of all functions nested in it."""
    yield code
    for value in code.co_consts:
        if isinstance(value, python.CodeType):
            yield from _nested_codes(value)


def _convert_number(value: Any, single: bool) -> Any:
    """With `single`, convert a float to float32 unless it overflows or underflows. Return any other value as it is."""
    if not single or not isinstance(value, float):
        return value
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.float32(value)
    out_of_range = math.isfinite(value) and value != 0 and not np.finfo(np.float32).tiny <= abs(rounded) < math.inf
    return value if out_of_range else rounded
