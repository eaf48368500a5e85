"""Scalar arithmetic: constants, polynomials, fma, and the exponent and sign of a floating-point number.

One function serves float32 and float64. A constant that is given as (single, double) takes the value for the type of
its argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastmlp.kernels.host.linking import intrinsic

# A polynomial of this many coefficients or more is evaluated in two chains: erf in float64, of 25 coefficients, takes
# 1.95 ns an element in two chains and 2.4 in one. The number of chains decides how a result is rounded, so it is the
# same on every processor and does not belong in `kernels.processor`.
_TWO_CHAINS_FROM = 16


def constant(single: float, double: float | None = None) -> Any:
    """Make an intrinsic `value(like)` that returns the constant in the type of `like`."""

    @intrinsic
    def value(_typing_context: Any, like: Any) -> Any:
        chosen = single if like == types.float32 or double is None else double

        def generate(context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
            return _literal(context.get_value_type(like), chosen)

        return like(like), generate

    return value


def polynomial(single: Sequence[float], double: Sequence[float]) -> Any:
    """Make an intrinsic `p(x)` that evaluates a polynomial by Horner's rule with FMA.

    The coefficients begin with the constant one. A long polynomial is split into even(x^2) + x odd(x^2): two chains of
    FMA that the processor computes in parallel, so that it waits half as long for their latency.
    """

    @intrinsic
    def value(_typing_context: Any, x: Any) -> Any:
        chosen = single if x == types.float32 else double

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            coefficients = [_literal(context.get_value_type(x), coefficient) for coefficient in chosen]
            if len(coefficients) < _TWO_CHAINS_FROM:
                return _emit_horner(builder, coefficients, arguments[0])
            square = builder.fmul(arguments[0], arguments[0])
            even, odd = (_emit_horner(builder, coefficients[first::2], square) for first in (0, 1))
            return _emit_call(builder, "fma", odd, arguments[0], even)

        return x(x), generate

    return value


@intrinsic
def fma(_typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return `a * b + c`, rounded once."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _emit_call(builder, "fma", *arguments)

    return a(a, a, a), generate


def _bounded(relation: str) -> Any:
    """Make an intrinsic `f(x, bound)`: the bound where `x relation bound`, else x, so that NaN stays NaN.

    It is one instruction on x86.
    """

    @intrinsic
    def bounded(_typing_context: Any, x: Any, bound: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            number, limit = arguments
            return builder.select(builder.fcmp_ordered(relation, number, limit), limit, number)

        return x(x, bound), generate

    return bounded


# Written as `x if x < bound else bound`, a pair of them becomes branches, which LLVM turns into masked compares and
# blends: 6 instructions in place of 2. exp in float32 takes 0.24 ns an element with these intrinsics and 0.29 without.
maximum = _bounded("<")
minimum = _bounded(">")


@intrinsic
def times_power_of_two(_typing_context: Any, x: Any, shifted: Any) -> Any:
    """Return `x * 2**n`, where `shifted` is n + MAGIC, which has n in its lowest bits.

    It multiplies twice, by the powers of both halves of n, so that neither power overflows.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(x)
        integer, digits, bias, magic = _float_format(kind)
        n = builder.sub(builder.bitcast(arguments[1], integer), integer(magic))
        half = builder.ashr(n, integer(1))
        result = arguments[0]
        for part in (half, builder.sub(n, half)):
            power = builder.shl(builder.add(part, integer(bias)), integer(digits))
            result = builder.fmul(result, builder.bitcast(power, kind))
        return result

    return x(x, x), generate


@intrinsic
def power_of_two(_typing_context: Any, shifted: Any) -> Any:
    """Return `2**n`, where `shifted` is n + MAGIC, for n from the smallest normal exponent to the largest."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(shifted)
        integer, digits, bias, _magic = _float_format(kind)
        exponent = builder.add(builder.bitcast(arguments[0], integer), integer(bias))
        return builder.bitcast(builder.shl(exponent, integer(digits)), kind)  # the higher bits of MAGIC are shifted out

    return shifted(shifted), generate


@intrinsic
def copysign(_typing_context: Any, magnitude: Any, x: Any) -> Any:
    """Return the magnitude with the sign of x."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _emit_call(builder, "copysign", *arguments)

    return magnitude(magnitude, x), generate


@intrinsic
def split_exponent(_typing_context: Any, x: Any) -> Any:
    """Return (m, n) with `x = m * 2**n` and m from sqrt(1/2) to sqrt(2), for positive normal x."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(x)
        integer, digits, _bias, _magic = _float_format(kind)
        root = np.float32(0.5**0.5).view(np.int32) if digits == 23 else np.float64(0.5**0.5).view(np.int64)
        bits = builder.bitcast(arguments[0], integer)
        n = builder.ashr(builder.sub(bits, integer(int(root))), integer(digits))
        m = builder.bitcast(builder.sub(bits, builder.shl(n, integer(digits))), kind)
        return cgutils.pack_struct(builder, (m, builder.sitofp(n, kind)))

    return types.UniTuple(x, 2)(x), generate


def _float_format(kind: Any) -> tuple[Any, int, int, int]:
    """Return (integer type of the same size, bits of the fraction, bias of the exponent, MAGIC as an integer)."""
    if isinstance(kind, ir.FloatType):
        return ir.IntType(32), 23, 127, int(np.float32(1.5 * 2.0**23).view(np.int32))
    return ir.IntType(64), 52, 1023, int(np.float64(1.5 * 2.0**52).view(np.int64))


def _literal(kind: Any, value: float) -> Any:
    rounded = float(np.float32(value)) if isinstance(kind, ir.FloatType) else value
    return ir.Constant(kind, rounded)


def _emit_horner(builder: Any, coefficients: Sequence[Any], x: Any) -> Any:
    *lower, result = coefficients
    for coefficient in reversed(lower):
        result = _emit_call(builder, "fma", result, x, coefficient)
    return result


def _emit_call(builder: Any, name: str, *operands: Any) -> Any:
    """Emit a call of an LLVM intrinsic whose operands and result have one type."""
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
nan = constant(float("nan"))

# A number plus MAGIC is rounded to an integer, which the lowest bits of the sum hold.
MAGIC = constant(1.5 * 2.0**23, 1.5 * 2.0**52)
