"""Questions about pointers and addresses, which a table may leave empty."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

INT = ir.IntType(64)


@intrinsic
def exists(_typing_context: Any, pointer: Any) -> Any:
    """Whether a pointer, or the address of a kernel, is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.icmp_unsigned("!=", builder.ptrtoint(arguments[0], INT), INT(0))

    return types.boolean(pointer), generate


@intrinsic
def null_like(_typing_context: Any, pointer: Any) -> Any:
    """Return the address 0 as a pointer of the same type as `pointer`."""

    def generate(_context: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
        return ir.Constant(arguments[0].type, None)

    return pointer(pointer), generate
