"""A vocabulary for vector code: what product.py, optimizers.py and tiles.py are written in.

LLVM's vectoriser does not keep a tile of accumulators in registers, so the hot loops say themselves what they want: a
function under `@instruction` receives an `Emitter` and its operands, and every vector operation in it becomes one LLVM
instruction. Vectors have 16 lanes, or 8; LLVM cuts them to what the processor has. All arithmetic is IEEE, each `fma`
rounds once and nothing is reassociated, so the bits are the same whatever the width of the hardware.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, errors
from numba.extending import intrinsic

from fastmlp.kernels.host.annotations import CODE
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.processor import IS_ARM, IS_X86

INT = ir.IntType(64)
INT32 = ir.IntType(32)


class Vector:
    """A value of several lanes; operators are lane by lane."""

    def __init__(self, emitter: Emitter, value: Any) -> None:
        self.emitter = emitter
        self.value = value

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.emitter, self.emitter.builder.fadd(self.value, other.value))

    def __sub__(self, other: Vector) -> Vector:
        return Vector(self.emitter, self.emitter.builder.fsub(self.value, other.value))

    def __mul__(self, other: Vector) -> Vector:
        return Vector(self.emitter, self.emitter.builder.fmul(self.value, other.value))

    def __truediv__(self, other: Vector) -> Vector:
        return Vector(self.emitter, self.emitter.builder.fdiv(self.value, other.value))


def fma(a: Vector, b: Vector, c: Vector) -> Vector:
    """`a * b + c`, rounded once."""
    return a.emitter.call("llvm.fma", a, b, c)


def sqrt(a: Vector) -> Vector:
    """The square root, correctly rounded."""
    return a.emitter.call("llvm.sqrt", a)


def maximum(a: Vector, b: Vector) -> Vector:
    """The larger of both; NaN where a is NaN."""
    return a.emitter.select(a.emitter.builder.fcmp_ordered("<", a.value, b.value), b, a)


def sign_times(size: Vector, of: Vector) -> Vector:
    """`size` (above 0) where `of` is greater than 0, `-size` where it is less, 0 where it is 0, NaN where it is NaN."""
    emit, nothing = size.emitter, size.emitter.zero()
    positive = emit.builder.fcmp_ordered(">", of.value, nothing.value)
    negative = emit.builder.fcmp_ordered("<", of.value, nothing.value)
    return emit.select(positive, size, emit.select(negative, nothing - size, of))


class Emitter:
    """Writes vector instructions of `lanes` elements of the type `real` at the builder's place."""

    def __init__(self, builder: Any, real: Any, lanes: int = PANEL) -> None:
        self.builder = builder
        self.real = real
        self.lanes = lanes
        self.type = ir.VectorType(real, lanes)
        self.suffix = "f32" if isinstance(real, ir.FloatType) else "f64"

    def narrowed(self, lanes: int) -> Emitter:
        """The same for vectors of that many lanes."""
        return Emitter(self.builder, self.real, lanes)

    def real_constant(self, value: float) -> Any:
        """A scalar constant of the elements' type."""
        return ir.Constant(self.real, value)

    def zero(self) -> Vector:
        """All lanes 0."""
        return Vector(self, ir.Constant(self.type, [0.0] * self.lanes))

    def splat(self, scalar: Any) -> Vector:
        """The scalar in every lane."""
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, INT32(0))
        return self.shuffle(Vector(self, first), Vector(self, undefined), [0] * self.lanes)

    def at(self, pointer: Any, *offsets: Any) -> Any:
        """The pointer moved by that many elements."""
        for offset in offsets:
            pointer = self.builder.gep(pointer, [INT(offset) if isinstance(offset, int) else offset])
        return pointer

    def scalar(self, pointer: Any, *offsets: Any) -> Any:
        """The element there."""
        return self.builder.load(self.at(pointer, *offsets))

    def load(self, pointer: Any, *offsets: Any) -> Vector:
        """The `lanes` elements there."""
        value = self.builder.load(self._as_vector(self.at(pointer, *offsets)))
        value.align = self.element_bytes
        return Vector(self, value)

    def store(self, vector: Vector, pointer: Any, *offsets: Any) -> Any:
        """Put the lanes there; returns LLVM's instruction."""
        stored = self.builder.store(vector.value, self._as_vector(self.at(pointer, *offsets)))
        stored.align = self.element_bytes
        return stored

    def store_padded(self, vector: Vector, pointer: Any, *offsets: Any) -> None:
        """Put the lanes there, and zeros behind them up to the width of a panel."""
        if self.lanes == PANEL:
            self.store(vector, pointer, *offsets)
            return
        wide = Emitter(self.builder, self.real)
        wide.store(self.shuffle(vector, self.zero(), range(PANEL)), pointer, *offsets)

    def shuffle(self, a: Vector, b: Vector, lanes: Sequence[int]) -> Vector:
        """The chosen lanes of a and, counted on from its last, of b."""
        chosen = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
        return Vector(self, self.builder.shuffle_vector(a.value, b.value, chosen))

    def call(self, name: str, *operands: Vector) -> Vector:
        """LLVM's function of that name on whole vectors."""
        kind = ir.FunctionType(self.type, [self.type] * len(operands))
        full_name = f"{name}.v{self.lanes}{self.suffix}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, full_name)
        return Vector(self, self.builder.call(function, [operand.value for operand in operands]))

    def select(self, condition: Any, a: Vector, b: Vector) -> Vector:
        """Lane by lane a where the condition holds, else b."""
        return Vector(self, self.builder.select(condition, a.value, b.value))

    def loop(self, count: Any, carried: Sequence[Any], body: Callable[..., Sequence[Any]]) -> list[Any]:
        """`for i in range(count): carried = body(i, *carried)`; the values after the last turn.

        What is carried, vectors or scalars, stays in registers from turn to turn.
        """
        builder = self.builder
        before = builder.block
        head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        index, *merged = phis = [builder.phi(self._raw(value).type) for value in (INT(0), *carried)]
        builder.cbranch(builder.icmp_signed("<", index, count), inside, after)
        builder.position_at_end(inside)
        following = body(index, *(self._like(old, new) for old, new in zip(carried, merged, strict=True)))
        following = [builder.add(index, INT(1)), *following]
        for phi, first, next_value in zip(phis, (INT(0), *carried), following, strict=True):
            phi.add_incoming(self._raw(first), before)
            phi.add_incoming(self._raw(next_value), builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return [self._like(old, new) for old, new in zip(carried, merged, strict=True)]

    @property
    def dtype(self) -> str:
        """The name of the type of a lane, "float32" or "float64"."""
        return "float32" if self.suffix == "f32" else "float64"

    @property
    def element_bytes(self) -> int:
        """Bytes of one lane."""
        return 4 if self.suffix == "f32" else 8

    def _as_vector(self, pointer: Any) -> Any:
        return self.builder.bitcast(pointer, self.type.as_pointer())

    @staticmethod
    def _raw(value: Any) -> Any:
        return value.value if isinstance(value, Vector) else value

    @staticmethod
    def _like(old: Any, new: Any) -> Any:
        return Vector(old.emitter, new) if isinstance(old, Vector) else new


def instruction(body: Callable[..., None]) -> Any:
    """Make `body(emitter, *operands)` callable from a kernel; the first pointer says what the lanes hold."""

    def definition(_typing_context: Any, *operands: Any) -> Any:
        real = next(kind.dtype for kind in operands if isinstance(kind, types.CPointer))
        kinds = [kind if isinstance(kind, (types.CPointer, types.Float)) else types.intp for kind in operands]

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            body(Emitter(builder, context.get_value_type(real)), *arguments)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    functools.update_wrapper(definition, body)
    del definition.__wrapped__  # type: ignore[attr-defined]
    # Numba asks for the names of the operands: those of the body, after its own context.
    names = inspect.signature(body).parameters.values()
    definition.__signature__ = inspect.Signature(list(names))  # type: ignore[attr-defined]
    made = intrinsic(definition)
    made.body = body
    return made


@intrinsic
def offset(_typing_context: Any, pointer: Any, offset: Any) -> Any:
    """The pointer moved by `offset` elements."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), generate


@intrinsic
def reals_at(_typing_context: Any, address: Any, like: Any) -> Any:
    """The address as a pointer of the same type as `like`."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(like))

    return like(types.intp, like), generate


@intrinsic
def real_like(_typing_context: Any, value: Any, pointer: Any) -> Any:
    """The number in the type that the pointer points to."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[0], types.float64, pointer.dtype)

    return pointer.dtype(types.float64, pointer), generate


def first_numbers(count: int) -> Any:
    """An intrinsic `numbers(parameters, pointer)`: the first `count`, a tuple in the type that `pointer` points to."""

    @intrinsic
    def numbers(_typing_context: Any, parameters: Any, pointer: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            places = [builder.gep(arguments[0], [INT(i)]) for i in range(count)]
            found = [context.cast(builder, builder.load(place), types.float64, pointer.dtype) for place in places]
            return context.make_tuple(builder, signature.return_type, found)

        return types.UniTuple(pointer.dtype, count)(parameters, pointer), generate

    return numbers


def _pointers(kind: Any) -> Any:
    @intrinsic
    def pointer_at(_typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.intp), generate

    return pointer_at


ints_at = _pointers(types.CPointer(types.int64))
floats_at = _pointers(types.CPointer(types.float64))


@intrinsic
def call(_typing_context: Any, address: Any, arguments: Any) -> Any:
    """Call the compiled function at `address` with a tuple of arguments; it returns nothing.

    An address has no signature to check against; a float32, which no kernel takes, is the one mistake it can see.
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


_FLUSH_X86 = 0x8040  # FTZ and DAZ in MXCSR
_FLUSH_ARM = 1 << 24  # FZ in FPCR


@intrinsic
def flush_denormals(_typing_context: Any) -> Any:
    """Let this thread treat denormals as 0; returns the state that `restore_denormals` puts back."""

    def generate(_context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        old = _read_control(builder)
        bits = _FLUSH_X86 if IS_X86 else _FLUSH_ARM
        _write_control(builder, builder.or_(old, INT(bits)))
        return old

    return types.intp(), generate


@intrinsic
def restore_denormals(_typing_context: Any, state: Any) -> Any:
    """Give this thread back the floating-point state that it had."""

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
