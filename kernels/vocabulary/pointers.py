"""Pointers: moved, converted, absent; and calls of kernels by their address."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, errors

from fastmlp.kernels.host.annotations import CODE
from fastmlp.kernels.host.linking import intrinsic
from fastmlp.kernels.vocabulary.simd import INT


@intrinsic
def offset(_typing_context: Any, pointer: Any, offset: Any) -> Any:
    """Return the pointer moved by `offset` elements."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), generate


@intrinsic
def real_like(_typing_context: Any, value: Any, pointer: Any) -> Any:
    """Convert a float64 to the type that `pointer` points to."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[0], types.float64, pointer.dtype)

    return pointer.dtype(types.float64, pointer), generate


def parameter_tuple(count: int) -> Any:
    """Make an intrinsic `f(parameters, pointer)`: the first `count` parameters in the type that `pointer` points to."""

    @intrinsic
    def first_parameters(_typing_context: Any, parameters: Any, pointer: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            places = [builder.gep(arguments[0], [INT(i)]) for i in range(count)]
            values = [context.cast(builder, builder.load(place), types.float64, pointer.dtype) for place in places]
            return context.make_tuple(builder, signature.return_type, values)

        return types.UniTuple(pointer.dtype, count)(parameters, pointer), generate

    return first_parameters


@intrinsic
def exists(_typing_context: Any, pointer: Any) -> Any:
    """Return whether a pointer, or the address of a kernel, is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.icmp_unsigned("!=", builder.ptrtoint(arguments[0], INT), INT(0))

    return types.boolean(pointer), generate


@intrinsic
def null_like(_typing_context: Any, pointer: Any) -> Any:
    """Return a null pointer of the type of `pointer`."""

    def generate(_context: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
        return ir.Constant(arguments[0].type, None)

    return pointer(pointer), generate


@intrinsic
def call(_typing_context: Any, address: Any, arguments: Any) -> Any:
    """Call the compiled function at `address` with a tuple of arguments. It returns nothing.

    An address has no signature that the arguments could be checked against. Only a float32, which no kernel takes, is
    refused.
    """
    if types.float32 in arguments:
        raise errors.TypingError(f"kernels take pointers, int64 and float64, got {arguments}")

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        function, packed = values
        unpacked = cgutils.unpack_tuple(builder, packed, len(arguments))
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in unpacked])
        builder.call(builder.bitcast(function, kind.as_pointer()), unpacked)
        return context.get_dummy_value()

    return types.void(CODE, arguments), generate
