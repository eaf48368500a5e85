"""The counter-based random generator: one hash an element, so that any element can be drawn without those before it.

A stream has a key, which is made of (seed, purpose, epoch or step, layer). SplitMix64's finalizer (Steele, Lea and
Flood, 2014) hashes the key with the number of an element. `fastmlp.reference.random` does the same in NumPy, to the
same bits.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types

from fastmlp.kernels.host.annotations import Floats, Ints
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.host.linking import intrinsic

WEIGHTS_DRAW, BIASES_DRAW, SHUFFLE_DRAW, DROPOUT_DRAW, SPLIT_DRAW = range(1, 6)

# The constants of SplitMix64, as signed integers with the same bits.
GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST_FACTOR = 0xBF58476D1CE4E5B9 - 2**64
_SECOND_FACTOR = 0x94D049BB133111EB - 2**64


@intrinsic
def _shift_right(_typing_context: Any, bits: Any, count: Any) -> Any:
    """Shift the bits to the right and fill with zeros."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.lshr(*arguments)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def _wrapping_mul(_typing_context: Any, a: Any, b: Any) -> Any:
    """Return `a * b` modulo 2**64. Numba's product tells LLVM that it never overflows, and products of a hash do."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.mul(*arguments)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def _wrapping_add(_typing_context: Any, a: Any, b: Any) -> Any:
    """Return `a + b` modulo 2**64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.add(*arguments)

    return types.int64(types.int64, types.int64), generate


def emit_mix(builder: Any, z: Any) -> Any:
    """Emit SplitMix64's finalizer of a 64-bit integer, or of each lane of a vector; its products may wrap around."""
    lanes = getattr(z.type, "count", None)

    def constant(number: int) -> Any:
        return ir.Constant(z.type, [number] * lanes if lanes else number)

    for bits, factor in ((30, _FIRST_FACTOR), (27, _SECOND_FACTOR)):
        z = builder.mul(builder.xor(z, builder.lshr(z, constant(bits))), constant(factor))
    return builder.xor(z, builder.lshr(z, constant(31)))


@intrinsic
def _mix(_typing_context: Any, z: Any) -> Any:
    """Return SplitMix64's finalizer of a 64-bit integer."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return emit_mix(builder, *arguments)

    return types.int64(types.int64), generate


@inline
def key(seed: int, purpose: int, counter: int, layer: int) -> int:
    """Return the key of a stream."""
    k = _mix(_wrapping_add(seed, GOLDEN))
    k = _mix(_wrapping_add(k ^ purpose, GOLDEN))
    k = _mix(_wrapping_add(k ^ counter, GOLDEN))
    return _mix(_wrapping_add(k ^ layer, GOLDEN))


@inline
def bits(stream: int, element: int) -> int:
    """Return the 64 random bits of an element."""
    return _mix(_wrapping_add(stream, _wrapping_mul(GOLDEN, element + 1)))


@inline
def uniform(stream: int, element: int) -> float:
    """Return a number in [0, 1), a multiple of 2**-53."""
    return _shift_right(bits(stream, element), 11) * 2.0**-53


@inline
def shuffle(order: Ints, count: int, stream: int) -> None:
    """Shuffle `order` in place (Fisher and Yates): swap each position, from the last down, with one at or before it."""
    for i in range(count - 1, 0, -1):
        j = _shift_right(_wrapping_mul(_shift_right(bits(stream, i), 32), i + 1), 32)
        order[i], order[j] = order[j], order[i]


@kernel()
def permute(order: Ints, count: int, seed: int, purpose: int, counter: int, part: int) -> None:
    """Shuffle `order` in place, for a caller in Python. `part` is the number of a chunk of the data."""
    shuffle(order, count, key(seed, purpose, counter, part))


@inline
def open_uniform(stream: int, element: int) -> float:
    """Return a number in (0, 1): the middle of the interval of width 2**-53 that `uniform` begins."""
    return (_shift_right(bits(stream, element), 11) + 0.5) * 2.0**-53


@inline
def normal(stream: int, element: int) -> float:
    """Return a number from N(0, 1)."""
    return normal_quantile(open_uniform(stream, element))


@kernel()
def draw_uniform(out: Floats, count: int, location: float, scale: float, seed: int, purpose: int, layer: int) -> None:
    """Draw `count` numbers, uniform in [location - scale, location + scale)."""
    stream = key(seed, purpose, 0, layer)
    for i in range(count):
        out[i] = location + (2.0 * uniform(stream, i) - 1.0) * scale


@kernel()
def draw_normal(out: Floats, count: int, location: float, scale: float, seed: int, purpose: int, layer: int) -> None:
    """Draw `count` numbers from N(location, scale^2)."""
    stream = key(seed, purpose, 0, layer)
    for i in range(count):
        out[i] = location + normal(stream, i) * scale


@kernel()
def draw_truncated_normal(
    out: Floats, count: int, location: float, scale: float, seed: int, purpose: int, layer: int
) -> None:
    """Draw `count` numbers from N(location, scale^2), truncated at 2 standard deviations."""
    stream = key(seed, purpose, 0, layer)
    for i in range(count):
        out[i] = location + normal_quantile(BELOW_2_SIGMA + open_uniform(stream, i) * WITHIN_2_SIGMA) * scale


BELOW_2_SIGMA, WITHIN_2_SIGMA = 0.022750131948179207, 0.9544997361036416
"""The probabilities that a normal number is below -2 standard deviations, and from -2 to 2."""

# Coefficients of PPND16, from the highest power down: numerators and denominators for the centre, tails and far tails.
# fmt: off
_CENTRE_NUM = (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
               13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608)
_CENTRE_DEN = (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
               5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0)
_TAIL_NUM = (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
             3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734)
_TAIL_DEN = (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
             0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0)
_FAR_NUM = (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
            0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772)
_FAR_DEN = (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
            0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0)
_ODD_RECIPROCALS = tuple(1.0 / k for k in range(21, 0, -2))
# fmt: on


@inline
def normal_quantile(p: float) -> float:
    """Return the inverse of the normal distribution function, to 1e-16: algorithm AS 241, PPND16 (Wichura, 1988)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * (_horner(_CENTRE_NUM, r) / _horner(_CENTRE_DEN, r))
    r = math.sqrt(-_plain_log(min(p, 1.0 - p)))
    if r <= 5.0:
        value = _horner(_TAIL_NUM, r - 1.6) / _horner(_TAIL_DEN, r - 1.6)
    else:
        value = _horner(_FAR_NUM, r - 5.0) / _horner(_FAR_DEN, r - 5.0)
    return -value if q < 0.0 else value


@inline
def _plain_log(x: float) -> float:
    """Return ln(x) by +, -, * and / alone, which round alike in NumPy: with x = m 2**e, 2 artanh((m - 1) / (m + 1))."""
    m, e = math.frexp(x)
    if m < math.sqrt(0.5):
        m, e = 2.0 * m, e - 1
    s = (m - 1.0) / (m + 1.0)
    return e * 0.6931471805599453 + 2.0 * s * _horner(_ODD_RECIPROCALS, s * s)


@inline
def _horner(coefficients: Any, x: float) -> float:
    """Evaluate a polynomial whose coefficients begin with the highest power."""
    total = coefficients[0]
    for i in range(1, len(coefficients)):
        total = total * x + coefficients[i]
    return total
