"""A user's loss of whole rows: Python functions of the outputs and the targets of a row, compiled to a kernel.

The functions get a row as an array, so they can look at all of its outputs at once. What they write to is the array of
the gradient alone: the other arrays are read-only for the compiler, too. An index beyond an array makes the loss NaN,
so that the step is undone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import Kernel, kernel
from fastmlp.kernels.layout import LOSS_LANES, PANEL
from fastmlp.kernels.micro.panels import panels_to_row, row_to_panels
from fastmlp.kernels.operations.user_functions import Settable, Version, loss_kernel
from fastmlp.kernels.vocabulary.pointers import offset, real_like
from fastmlp.kernels.vocabulary.simd import INT


def own_loss_kernel(
    name: str,
    value: Callable[..., Any],
    gradient: Callable[..., Any],
    settable: Settable,
    tuples: Settable,
    *,
    by_row: bool,
) -> Kernel:
    """Make the kernel of a loss from functions of rows, or of an output and its target."""
    if by_row:
        return row_loss_kernel(name, value, gradient, settable, tuples)
    return loss_kernel(name, value, gradient, settable)


@functools.cache
def row_loss_kernel(
    name: str, value: Callable[..., Any], gradient: Callable[..., Any], settable: Settable, tuples: Settable
) -> Kernel:
    """Make the kernel of a loss from `value(a, y, *parameters)` and `gradient(a, y, out, *parameters)`.

    The kernel's parameters begin with the length of each parameter of the functions, 1 for a number.

    Parameters
    ----------
    name : str
        The name of the loss.
    value, gradient : function
        The functions.
    settable, tuples : tuple of str
        The parameters that can be set, and those among them that are tuples.
    """
    of_value, of_gradient = (_callable(each, each is gradient, settable, tuples) for each in (value, gradient))
    count = len(settable)

    @kernel(name, cached=False)
    def loss(
        delta: Reals,
        a: Reals,
        y: Reals,
        weights: Floats,
        losses: Floats,
        rows: int,
        units: int,
        columns: int,
        stride: int,
        scale: float,
        scratch: Reals,
        parameters: Floats,
    ) -> None:
        p = offset(scratch, LOSS_LANES * PANEL)
        t = offset(p, units + PANEL)
        out = offset(t, columns + PANEL)
        own = offset(out, units + PANEL)
        place = count
        for index in range(count):
            for _ in range(int(parameters[index])):
                own[place - count] = real_like(parameters[place], a)
                place += 1
        for r in range(rows):
            panels_to_row(p, offset(a, r * PANEL), units, stride)
            panels_to_row(t, offset(y, r * PANEL), columns, stride)
            for i in range(units):
                out[i] = 0.0
            losses[r] = of_value(p, units, t, columns, out, parameters, own) * weights[r]
            failed = of_gradient(p, units, t, columns, out, parameters, own)  # 0, or NaN after an error
            factor = real_like(weights[r] * scale, a)
            for i in range(units):
                out[i] = (out[i] + failed) * factor
            row_to_panels(offset(delta, r * PANEL), out, units, stride)

    return loss


@functools.cache
def row_versions_of(
    function: Callable[..., Any], writes: bool, settable: Settable, tuples: Settable
) -> dict[Any, Version]:
    """Compile a function of a row for float64 and float32. Return the versions by Numba's type.

    Raises
    ------
    TypeError
        If the value is not a number, or the function contains a `raise` statement.
    Exception
        Any error of Numba if it cannot compile the function.
    """
    versions = {}
    for kind in (types.float64, types.float32):
        read, written = types.Array(kind, 1, "C", readonly=True), types.Array(kind, 1, "C")
        first = (read, read, written) if writes else (read, read)
        types_of = {key: read if key in tuples else kind for key in settable}
        try:
            version = Version(function, kind, first, types_of, arrays=True)
        except TypeError:  # Numba's expressions of arrays take no constants of float32
            version = Version(function, kind, first, types_of, arrays=True, single=False)
        versions[kind] = version
        expected = types.NoneType if writes else (types.Integer, types.Float, types.Boolean)
        if not isinstance(version.result, expected):
            wanted = "nothing, and write to out" if writes else "a number"
            raise TypeError(f"it must return {wanted}, got {version.result}")
    return versions


def _callable(function: Callable[..., Any], writes: bool, settable: Settable, tuples: Settable) -> Any:
    """Make an intrinsic that makes arrays of the pointers to a row, and calls a user's function."""
    versions = row_versions_of(function, writes, settable, tuples)

    @intrinsic
    def call(
        _typing_context: Any, a: Any, units: Any, y: Any, columns: Any, out: Any, lengths: Any, parameters: Any
    ) -> Any:
        version = versions[a.dtype]

        def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            a, units, y, columns, out, lengths, parameters = values

            def array(pointer: Any, count: Any, writeable: bool = False) -> Any:
                kind = types.Array(version.kind, 1, "C", readonly=not writeable)
                made, item = make_array(kind)(context, builder), context.get_abi_sizeof(pointer.type.pointee)
                shape, strides = cgutils.pack_array(builder, [count]), cgutils.pack_array(builder, [INT(item)])
                populate_array(made, pointer, shape, strides, INT(item), None)
                return made._getvalue()

            arguments = [array(a, units), array(y, columns)] + ([array(out, units, True)] if writes else [])
            place = INT(0)
            for index, key in enumerate(settable):
                first = builder.gep(parameters, [place])
                count = builder.fptosi(builder.load(builder.gep(lengths, [INT(index)])), INT)
                arguments.append(array(first, count) if key in tuples else builder.load(first))
                place = builder.add(place, count)
            return version.emit(context, builder, arguments)

        return version.kind(a, units, y, columns, out, lengths, parameters), generate

    return call
