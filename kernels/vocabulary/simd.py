"""Vector code: the operations in which products, panels, optimizers and dropout are written.

LLVM's vectorizer does not keep a tile of accumulators in registers, so the hot loops emit their instructions
themselves. A function under `@instruction` receives an `Emitter` and its operands; each vector operation in it becomes
one LLVM instruction. Vectors have 16 lanes, or fewer where less is used. LLVM splits them into the registers that the
processor has. All arithmetic is IEEE, each `fma` rounds once and nothing is reassociated, so the width of the registers
changes no bit.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastmlp.kernels.host.linking import Intrinsic
from fastmlp.kernels.layout import PANEL

INT = ir.IntType(64)
INT32 = ir.IntType(32)


class Vector:
    """A value of several lanes. Operators work lane by lane."""

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
    """Return `a * b + c`, rounded once."""
    return a.emitter.call("llvm.fma", a, b, c)


def sqrt(a: Vector) -> Vector:
    """Return the square root, correctly rounded."""
    return a.emitter.call("llvm.sqrt", a)


def maximum(a: Vector, b: Vector) -> Vector:
    """Return the larger of a and b; NaN where a is NaN."""
    return a.emitter.select(a.emitter.builder.fcmp_ordered("<", a.value, b.value), b, a)


def sign_times(magnitude: Vector, x: Vector) -> Vector:
    """Return `magnitude * sign(x)` for a positive magnitude; 0 where x is 0, and NaN where x is NaN."""
    emit, zero = magnitude.emitter, magnitude.emitter.zero()
    positive = emit.builder.fcmp_ordered(">", x.value, zero.value)
    negative = emit.builder.fcmp_ordered("<", x.value, zero.value)
    return emit.select(positive, magnitude, emit.select(negative, zero - magnitude, x))


class Emitter:
    """Emits vector instructions at the builder's position.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where instructions are appended.
    real : llvmlite.ir.Type
        The type of a lane: float or double.
    lanes : int
        How many lanes a vector has.
    """

    def __init__(self, builder: Any, real: Any, lanes: int = PANEL) -> None:
        self.builder = builder
        self.real = real
        self.lanes = lanes
        self.type = ir.VectorType(real, lanes)
        self.suffix = "f32" if isinstance(real, ir.FloatType) else "f64"

    def with_lanes(self, lanes: int) -> Emitter:
        """Return an emitter of vectors with another number of lanes, at the same position."""
        return Emitter(self.builder, self.real, lanes)

    def real_constant(self, value: float) -> Any:
        """Return a scalar constant of a lane's type."""
        return ir.Constant(self.real, value)

    def zero(self) -> Vector:
        """Return a vector of zeros."""
        return Vector(self, ir.Constant(self.type, [0.0] * self.lanes))

    def splat(self, scalar: Any) -> Vector:
        """Broadcast a scalar to all lanes."""
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, INT32(0))
        return self.shuffle(Vector(self, first), Vector(self, undefined), [0] * self.lanes)

    def at(self, pointer: Any, *offsets: Any) -> Any:
        """Return the pointer moved by the sum of the offsets, in elements."""
        for offset in offsets:
            pointer = self.builder.gep(pointer, [INT(offset) if isinstance(offset, int) else offset])
        return pointer

    def scalar(self, pointer: Any, *offsets: Any) -> Any:
        """Load one element at `pointer + offsets`."""
        return self.builder.load(self.at(pointer, *offsets))

    def load(self, pointer: Any, *offsets: Any) -> Vector:
        """Load `lanes` contiguous elements at `pointer + offsets`, aligned as one element is."""
        value = self.builder.load(self._as_vector(self.at(pointer, *offsets)))
        value.align = self.element_bytes
        return Vector(self, value)

    def store(self, vector: Vector, pointer: Any, *offsets: Any) -> Any:
        """Store the lanes at `pointer + offsets`. Return LLVM's instruction."""
        stored = self.builder.store(vector.value, self._as_vector(self.at(pointer, *offsets)))
        stored.align = self.element_bytes
        return stored

    def store_padded(self, vector: Vector, pointer: Any, *offsets: Any) -> None:
        """Store the lanes at `pointer + offsets`, padded with zeros to the width of a panel."""
        if self.lanes == PANEL:
            self.store(vector, pointer, *offsets)
            return
        wide = Emitter(self.builder, self.real)
        wide.store(self.shuffle(vector, self.zero(), range(PANEL)), pointer, *offsets)

    def shuffle(self, a: Vector, b: Vector, lanes: Sequence[int]) -> Vector:
        """Return chosen lanes of a and b, where lane i of b has the number `len(a) + i`."""
        chosen = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
        return Vector(self, self.builder.shuffle_vector(a.value, b.value, chosen))

    def call(self, name: str, *operands: Vector) -> Vector:
        """Call an LLVM intrinsic on whole vectors, such as `llvm.fma`."""
        kind = ir.FunctionType(self.type, [self.type] * len(operands))
        full_name = f"{name}.v{self.lanes}{self.suffix}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, full_name)
        return Vector(self, self.builder.call(function, [operand.value for operand in operands]))

    def select(self, condition: Any, a: Vector, b: Vector) -> Vector:
        """Return a in the lanes where the condition holds, b in the others."""
        return Vector(self, self.builder.select(condition, a.value, b.value))

    def loop(self, count: Any, carried: Sequence[Any], body: Callable[..., Sequence[Any]]) -> list[Any]:
        """Emit `for i in range(count): carried = body(i, *carried)`. Return the values after the last iteration.

        The carried values, vectors or scalars, stay in registers from one iteration to the next.
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
        """The dtype of a lane, "float32" or "float64"."""
        return "float32" if self.suffix == "f32" else "float64"

    @property
    def element_bytes(self) -> int:
        """The bytes of a lane."""
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
    """Make `body(emitter, *operands)` callable from a kernel. The first pointer among the operands gives the dtype."""
    made: Any = Intrinsic(lambda: _definition(body))
    functools.update_wrapper(made, body)
    made.body = body
    return made


def _definition(body: Callable[..., None]) -> Any:
    """Return what `numba.extending.intrinsic` takes: a function of types that returns how to emit the instructions."""

    def definition(_typing_context: Any, *operands: Any) -> Any:
        real = next(kind.dtype for kind in operands if isinstance(kind, types.CPointer))
        kinds = [kind if isinstance(kind, (types.CPointer, types.Float)) else types.intp for kind in operands]

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            body(Emitter(builder, context.get_value_type(real)), *arguments)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    functools.update_wrapper(definition, body)
    del definition.__wrapped__  # type: ignore[attr-defined]
    # Numba reads the names of the operands from the signature, after a first parameter for its typing context. The
    # emitter of the body stands in that place.
    names = inspect.signature(body).parameters.values()
    definition.__signature__ = inspect.Signature(list(names))  # type: ignore[attr-defined]
    return definition
