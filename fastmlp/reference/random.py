"""The random numbers of a network: a pure function of their purpose, without state, so that each can be computed alone.

`key` hashes (seed, purpose, counter, layer) to the key of a stream. `bits(key, element)` hashes the number of an
element to the random bits of this element of the stream. The hash is the finaliser of SplitMix64 (Steele, Lea and
Flood, 2014), and the step between elements is its golden ratio. All arithmetic is modulo 2**64, which is what NumPy
does with arrays of uint64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.plain_math import horner, logarithm
from fastmlp.initializers import Initializer
from fastmlp.reference.orthogonal import orthogonal

Words: TypeAlias = NDArray[np.uint64]
Floats: TypeAlias = NDArray[np.float64]

WEIGHTS, BIASES, SHUFFLE, DROPOUT, SPLIT = 1, 2, 3, 4, 5
"""The purposes of a stream: the second word of its key."""

BELOW, WITHIN = 0.022750131948179207, 0.9544997361036416
"""The probabilities of a standard normal number below -2, and from -2 to 2."""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z: Words) -> Words:
    """Return the finaliser of SplitMix64: a bijection of 64-bit words in which every bit depends on every bit."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def key(seed: int, purpose: int, counter: int = 0, layer: int = 0) -> int:
    """Return the key of one stream; `counter` is the epoch or the step, `layer` counts from 0."""
    k = np.zeros(1, np.uint64)
    for word in (seed, purpose, counter, layer):
        k = mix((k ^ np.uint64(word)) + GOLDEN)
    return int(k[0])


def bits(key: int, elements: Words) -> Words:
    """Return 64 random bits for each element number, in the shape of `elements`."""
    return mix(np.uint64(key) + GOLDEN * (elements + np.uint64(1)))


def uniform(key: int, shape: tuple[int, ...]) -> Floats:
    """Return uniform numbers in [0, 1), multiples of 2**-53; elements are counted in C order."""
    return (_bits(key, shape) >> np.uint64(11)) * np.float64(2.0**-53)


def middles(key: int, shape: tuple[int, ...]) -> Floats:
    """Return uniform numbers in (0, 1): the midpoints between the multiples of 2**-53."""
    return ((_bits(key, shape) >> np.uint64(11)) + np.float64(0.5)) * 2.0**-53


def normal(key: int, shape: tuple[int, ...]) -> Floats:
    """Return standard normal numbers: the normal quantiles of the uniform numbers `middles`."""
    return normal_quantile(middles(key, shape))


def truncated_normal(key: int, shape: tuple[int, ...]) -> Floats:
    """Return standard normal numbers from -2 to 2: the normal quantiles of `middles`, scaled to that range."""
    return normal_quantile(BELOW + middles(key, shape) * WITHIN)


_STANDARD: dict[str, Callable[[int, tuple[int, ...]], Floats]] = {
    "uniform": lambda key, shape: 2.0 * uniform(key, shape) - 1.0,
    "normal": normal,
    "truncated_normal": truncated_normal,
}


def initial(initializer: Initializer, key: int, shape: tuple[int, ...], inputs: int, outputs: int) -> Floats:
    """Return the initial values of W or b, of this shape, for a layer with these numbers of inputs and outputs."""
    location, scale = initializer.location_and_scale(inputs, outputs)
    if initializer.distribution == "constant":
        return np.full(shape, location)
    if initializer.distribution == "orthogonal":
        Q = orthogonal(normal(key, (max(shape), min(shape))))
        return (Q if Q.shape == shape else Q.T) * scale
    return location + _STANDARD[initializer.distribution](key, shape) * scale


def dropout_mask(key: int, shape: tuple[int, int], p: float) -> Floats:
    """Return D: 0 with probability p, else 1 / (1 - p), so that the expectation of D is 1 (inverted dropout)."""
    return (uniform(key, shape) >= p) / (1.0 - p)


def permutation(key: int, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return `rows` in a random order: the shuffle of Fisher and Yates, from the last element down to the second."""
    order = rows.tolist()
    last = np.arange(len(order), dtype=np.uint64)
    partners = ((bits(key, last) >> np.uint64(32)) * (last + np.uint64(1))) >> np.uint64(32)
    for i in range(len(order) - 1, 0, -1):
        j = int(partners[i])
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.intp)


def _bits(key: int, shape: tuple[int, ...]) -> Words:
    """Return 64 random bits for each element of an array of this shape, counted in C order."""
    return bits(key, np.arange(np.prod(shape), dtype=np.uint64)).reshape(shape)


# Coefficients of the routine PPND16, from the highest power down: numerator and denominator for the centre, the tails
# (probabilities down to about 1e-11) and the far tails. Wichura, Algorithm AS 241, Applied Statistics 37 (1988),
# 477-484.
# fmt: off
CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)
TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)
FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)
# fmt: on


def normal_quantile(u: Floats) -> Floats:
    """Return the z with P(Z <= z) = u for a standard normal Z and 0 < u < 1, to about 16 digits (Wichura's AS 241)."""
    q = u - 0.5
    centre = q * _ratio(CENTRE, 0.180625 - q * q)
    r = np.sqrt(-logarithm(np.minimum(u, 1.0 - u)))
    tail = np.sign(q) * np.where(r <= 5.0, _ratio(TAIL, r - 1.6), _ratio(FAR_TAIL, r - 5.0))
    return np.where(np.abs(q) <= 0.425, centre, tail)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Floats) -> Floats:
    """Return the quotient of two polynomials of x."""
    numerator, denominator = coefficients
    return horner(numerator, x) / horner(denominator, x)
