"""A vocabulary for functions of one number: constants, polynomials, fma and the parts of a floating-point number.

One text serves float32 and float64: a constant given as (single, double) takes the one of its argument's type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_LONG = 16  # coefficients; erf in float64, of 25: 1.95 ns an element in two chains, 2.4 in one


def constant(single: float, double: float | None = None) -> Any:
    """An intrinsic `value(like)`: the constant in the type of `like`."""

    @intrinsic
    def value(_typing_context: Any, like: Any) -> Any:
        chosen = single if like == types.float32 or double is None else double

        def generate(context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
            return _literal(context.get_value_type(like), chosen)

        return like(like), generate

    return value


def polynomial(single: Sequence[float], double: Sequence[float]) -> Any:
    """An intrinsic `p(x)`: the polynomial with these coefficients, constant first, by Horner's rule with FMA.

    A long one is even(x^2) + x odd(x^2): two chains side by side, in place of one that the processor waits for.
    """

    @intrinsic
    def value(_typing_context: Any, x: Any) -> Any:
        chosen = single if x == types.float32 else double

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            coefficients = [_literal(context.get_value_type(x), coefficient) for coefficient in chosen]
            if len(coefficients) < _LONG:
                return _emit_horner(builder, coefficients, arguments[0])
            square = builder.fmul(arguments[0], arguments[0])
            even, odd = (_emit_horner(builder, coefficients[first::2], square) for first in (0, 1))
            return _emit_call(builder, "fma", odd, arguments[0], even)

        return x(x), generate

    return value


@intrinsic
def fma(_typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`, rounded once."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _emit_call(builder, "fma", *arguments)

    return a(a, a, a), generate


def _replaced_where(relation: str) -> Any:
    """An intrinsic `f(x, bound)`: the bound where x stands so to it, else x, a NaN too; one instruction on x86."""

    @intrinsic
    def limited(_typing_context: Any, x: Any, bound: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            number, limit = arguments
            return builder.select(builder.fcmp_ordered(relation, number, limit), limit, number)

        return x(x, bound), generate

    return limited


# Said as `x if x < bound else bound`, two of them become branches that LLVM turns into compares under masks and blends,
# 6 instructions for 2: exp in float32 takes 0.24 ns an element with these and 0.29 without.
at_least = _replaced_where("<")
at_most = _replaced_where(">")


@intrinsic
def times_two_to(_typing_context: Any, x: Any, shifted: Any) -> Any:
    """`x * 2**n`, where `shifted` is n + MAGIC, so that n is its lowest bits; in two steps, against overflow."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(x)
        integer, digits, bias, magic = _format(kind)
        n = builder.sub(builder.bitcast(arguments[1], integer), integer(magic))
        half = builder.ashr(n, integer(1))
        result = arguments[0]
        for part in (half, builder.sub(n, half)):
            power = builder.shl(builder.add(part, integer(bias)), integer(digits))
            result = builder.fmul(result, builder.bitcast(power, kind))
        return result

    return x(x, x), generate


@intrinsic
def two_to(_typing_context: Any, shifted: Any) -> Any:
    """`2**n`, where `shifted` is n + MAGIC; for n from the least normal exponent to the greatest."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(shifted)
        integer, digits, bias, _magic = _format(kind)
        exponent = builder.add(builder.bitcast(arguments[0], integer), integer(bias))
        return builder.bitcast(builder.shl(exponent, integer(digits)), kind)  # what else MAGIC has is shifted out

    return shifted(shifted), generate


@intrinsic
def with_sign_of(_typing_context: Any, size: Any, x: Any) -> Any:
    """`size` with the sign of x."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _emit_call(builder, "copysign", *arguments)

    return size(size, x), generate


@intrinsic
def split(_typing_context: Any, x: Any) -> Any:
    """(m, n) with `x = m * 2**n` and m from sqrt(1/2) to sqrt(2); for positive normal x."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(x)
        integer, digits, _bias, _magic = _format(kind)
        root = np.float32(0.5**0.5).view(np.int32) if digits == 23 else np.float64(0.5**0.5).view(np.int64)
        bits = builder.bitcast(arguments[0], integer)
        n = builder.ashr(builder.sub(bits, integer(int(root))), integer(digits))
        m = builder.bitcast(builder.sub(bits, builder.shl(n, integer(digits))), kind)
        return cgutils.pack_struct(builder, (m, builder.sitofp(n, kind)))

    return types.UniTuple(x, 2)(x), generate


def _format(kind: Any) -> tuple[Any, int, int, int]:
    """Integer of the same size, bits of the fraction, bias of the exponent, and the bits of MAGIC."""
    if isinstance(kind, ir.FloatType):
        return ir.IntType(32), 23, 127, int(np.float32(1.5 * 2.0**23).view(np.int32))
    return ir.IntType(64), 52, 1023, int(np.float64(1.5 * 2.0**52).view(np.int64))


def _literal(kind: Any, value: float) -> Any:
    rounded = float(np.float32(value)) if isinstance(kind, ir.FloatType) else value
    return ir.Constant(kind, rounded)


def _emit_horner(builder: Any, coefficients: Sequence[Any], x: Any) -> Any:
    *rest, result = coefficients
    for coefficient in reversed(rest):
        result = _emit_call(builder, "fma", result, x, coefficient)
    return result


def _emit_call(builder: Any, name: str, *operands: Any) -> Any:
    """A call of an LLVM intrinsic whose operands and result have one type."""
    kind = operands[0].type
    suffix = "f32" if isinstance(kind, ir.FloatType) else "f64"
    signature = ir.FunctionType(kind, [kind] * len(operands))
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.{suffix}")
    return builder.call(function, operands)


zero = constant(0.0)
half = constant(0.5)
one = constant(1.0)
two = constant(2.0)
infinity = constant(float("inf"))
not_a_number = constant(float("nan"))

MAGIC = constant(1.5 * 2.0**23, 1.5 * 2.0**52)  # adding it rounds to a whole number, in the lowest bits of the sum
