"""The treatment of denormals: a thread's floating-point state, which regions change and restore."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastmlp.kernels.host.linking import intrinsic
from fastmlp.kernels.processor import IS_ARM, IS_X86
from fastmlp.kernels.vocabulary.simd import INT, INT32

_FLUSH_X86 = 0x8040  # FTZ and DAZ in MXCSR
_FLUSH_ARM = 1 << 24  # FZ in FPCR


@intrinsic
def flush_denormals(_typing_context: Any) -> Any:
    """Let this thread treat denormals as 0. Return its former state, for `restore_denormals`."""

    def generate(_context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        old = _read_control(builder)
        bits = _FLUSH_X86 if IS_X86 else _FLUSH_ARM
        _write_control(builder, builder.or_(old, INT(bits)))
        return old

    return types.intp(), generate


@intrinsic
def restore_denormals(_typing_context: Any, state: Any) -> Any:
    """Restore the floating-point state of this thread that `flush_denormals` returned."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _write_control(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.intp), generate


def _read_control(builder: Any) -> Any:
    if IS_X86:
        place = cgutils.alloca_once(builder, INT32)
        _call_control(builder, "llvm.x86.sse.stmxcsr", place)
        return builder.zext(builder.load(place), INT)
    if IS_ARM:
        kind = ir.FunctionType(INT, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.get.fpcr"), [])
    return INT(0)


def _write_control(builder: Any, state: Any) -> None:
    if IS_X86:
        place = cgutils.alloca_once(builder, INT32)
        builder.store(builder.trunc(state, INT32), place)
        _call_control(builder, "llvm.x86.sse.ldmxcsr", place)
    elif IS_ARM:
        kind = ir.FunctionType(ir.VoidType(), [INT])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr"), [state])


def _call_control(builder: Any, name: str, place: Any) -> None:
    byte = ir.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [byte]), name)
    builder.call(function, [builder.bitcast(place, byte)])
