"""Communication between threads: ordered loads and stores, atomic updates, and ways to wait."""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastmlp.kernels.host.linking import intrinsic
from fastmlp.kernels.processor import IS_ARM, IS_X86
from fastmlp.kernels.vocabulary.simd import INT, INT32

_YIELDS = sys.platform != "win32"  # where the C library has sched_yield


@intrinsic
def load_acquire(_typing_context: Any, pointer: Any) -> Any:
    """Load an int64 with acquire order: all stores of its writer before it are visible too."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(arguments[0], "acquire", 8)

    return types.int64(pointer), generate


@intrinsic
def store_release(_typing_context: Any, pointer: Any, value: Any) -> Any:
    """Store an int64 with release order: after all earlier stores of this thread."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], arguments[0], "release", 8)
        return context.get_dummy_value()

    return types.void(pointer, types.int64), generate


@intrinsic
def atomic_increment(_typing_context: Any, pointer: Any) -> Any:
    """Add 1 to an int64 and return the sum."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.add(builder.atomic_rmw("add", arguments[0], INT(1), "acq_rel"), INT(1))

    return types.int64(pointer), generate


@intrinsic
def atomic_max(_typing_context: Any, pointer: Any, value: Any) -> Any:
    """Replace an int64 by `value` if `value` is larger. Return whether this thread replaced it."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        before = builder.atomic_rmw("max", arguments[0], arguments[1], "acq_rel")
        return builder.icmp_signed("<", before, arguments[1])

    return types.boolean(pointer, types.int64), generate


@intrinsic
def pause(_typing_context: Any) -> Any:
    """Tell the core that this thread spins, so that it saves power and yields to the other thread of the core."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        if IS_X86:
            _call(builder, "llvm.x86.sse2.pause")
        elif IS_ARM:
            _call(builder, "llvm.aarch64.hint", INT32(1))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def yield_thread(_typing_context: Any) -> Any:
    """Let another thread run on this core, if one waits for it."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        if _YIELDS:
            kind = ir.FunctionType(INT32, [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


def _call(builder: Any, name: str, *operands: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), operands)
