"""What threads tell each other through memory: loads and stores in order, additions and claims that nobody else sees
halfway, and how to wait.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastmlp.kernels.processor import IS_ARM, IS_X86
from fastmlp.kernels.vocabulary.simd import INT, INT32

_YIELDS = sys.platform != "win32"  # where the C library has sched_yield


@intrinsic
def load_acquire(_typing_context: Any, place: Any) -> Any:
    """The number there; what its writer wrote before it is seen too."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(arguments[0], "acquire", 8)

    return types.int64(place), generate


@intrinsic
def store_release(_typing_context: Any, place: Any, value: Any) -> Any:
    """Put the number there, after everything written before."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], arguments[0], "release", 8)
        return context.get_dummy_value()

    return types.void(place, types.int64), generate


@intrinsic
def atomic_increment(_typing_context: Any, place: Any) -> Any:
    """Add 1 to the number there; returns what it is then."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.add(builder.atomic_rmw("add", arguments[0], INT(1), "acq_rel"), INT(1))

    return types.int64(place), generate


@intrinsic
def atomic_max(_typing_context: Any, place: Any, value: Any) -> Any:
    """Put the number there if what is there is less; True for the one thread that did."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        before = builder.atomic_rmw("max", arguments[0], arguments[1], "acq_rel")
        return builder.icmp_signed("<", before, arguments[1])

    return types.boolean(place, types.int64), generate


@intrinsic
def pause(_typing_context: Any) -> Any:
    """Tell the core that this thread only waits."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        if IS_X86:
            _call(builder, "llvm.x86.sse2.pause")
        elif IS_ARM:
            _call(builder, "llvm.aarch64.hint", INT32(1))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def yield_thread(_typing_context: Any) -> Any:
    """Let another thread have this core, if one waits for it."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        if _YIELDS:
            kind = ir.FunctionType(INT32, [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


def _call(builder: Any, name: str, *operands: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), operands)
