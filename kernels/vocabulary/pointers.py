"""Null pointers: a field of a table that holds an address may be 0."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastmlp.kernels.vocabulary.simd import INT


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
