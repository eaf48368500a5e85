"""The initialisers of weights and biases: each a distribution, and where it lies for a layer of some size.

Sources: Glorot and Bengio (2010) for glorot, He et al. (2015) for he, LeCun et al. (1998) for lecun, Saxe et al. (2014)
for orthogonal. The normal ones are not truncated, so lecun_normal is N(0, 1 / inputs).

Every value is `location + scale * z`. The distributions of z are "constant" (0), "uniform" (from -1 to 1), "normal"
(N(0, 1)), "truncated_normal" (the part of N(0, 1) from -2 to 2) and "orthogonal" (a matrix with orthonormal columns, or
rows where those are fewer, all such matrices alike).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from fastmlp._runtime import settings
from fastmlp._runtime.checks import lookup
from fastmlp._runtime.settings import Settings, require

LARGEST = 1e30
"""The size that numbers of an initialiser stay below, so that float32 can hold what is drawn."""


@dataclass(frozen=True)
class Initializer(Settings, ABC):
    """The base of the initialisers; a name is one with its defaults, `RandomNormal(stddev=0.01)` one with its own.

    Attributes
    ----------
    distribution : str
        What z is drawn from.
    """

    distribution = "constant"

    minimum, below = -LARGEST, LARGEST

    @abstractmethod
    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """What z is moved by and multiplied with, for a layer of that many inputs and outputs."""


@dataclass(frozen=True)
class Zeros(Initializer):
    """0 everywhere."""

    name = "zeros"

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """0 and nothing."""
        return 0.0, 0.0


@dataclass(frozen=True)
class Ones(Initializer):
    """1 everywhere."""

    name = "ones"

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """1 and nothing."""
        return 1.0, 0.0


@dataclass(frozen=True)
class Constant(Initializer):
    """The same number everywhere.

    Parameters
    ----------
    value : float
        That number.
    """

    value: float = 0.0

    name = "constant"

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """The value and nothing."""
        return self.value, 0.0


@dataclass(frozen=True)
class RandomUniform(Initializer):
    """U(minval, maxval), whatever the size of the layer.

    Parameters
    ----------
    minval, maxval : float
        The bounds, the first not above the second.
    """

    minval: float = -0.05
    maxval: float = 0.05

    name = "random_uniform"
    distribution = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.minval <= self.maxval, self, "minval", self.minval, f"at most maxval, {self.maxval!r}")

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """The middle, and the distance from there to the bounds."""
        return (self.minval + self.maxval) / 2.0, (self.maxval - self.minval) / 2.0


@dataclass(frozen=True)
class RandomNormal(Initializer):
    """N(mean, stddev^2), whatever the size of the layer.

    Parameters
    ----------
    mean, stddev : float
        Its mean and standard deviation, the second at least 0.
    """

    mean: float = 0.0
    stddev: float = 0.05

    name = "random_normal"
    distribution = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.stddev >= 0, self, "stddev", self.stddev, "at least 0")

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """Mean and standard deviation."""
        return self.mean, self.stddev


@dataclass(frozen=True)
class TruncatedNormal(RandomNormal):
    """N(mean, stddev^2) without what lies further than 2 stddev from the mean; 0.88 stddev is then its deviation.

    Parameters
    ----------
    mean, stddev : float
        Mean and standard deviation before the cut, the second at least 0.
    """

    name = "truncated_normal"
    distribution = "truncated_normal"


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random matrix, all alike, whose columns (or rows, if they are fewer) are orthonormal, times `gain`.

    For weights alone: a bias is no matrix. Saxe et al. (2014) recommend it for deep networks.

    Parameters
    ----------
    gain : float
        The length of each column (or row), positive.
    """

    gain: float = 1.0

    name = "orthogonal"
    distribution = "orthogonal"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gain > 0, self, "gain", self.gain, "positive")

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """0, and the gain."""
        return 0.0, self.gain


@dataclass(frozen=True)
class _VarianceScaling(Initializer):
    """Mean 0 and variance `numerator / inputs`; glorot takes the average of inputs and outputs."""

    numerator = 1.0
    averages = False

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """0, and the bound of the uniform or the standard deviation of the normal distribution."""
        variance = self.numerator / ((inputs + outputs) / 2 if self.averages else inputs)
        return 0.0, math.sqrt(3.0 * variance) if self.distribution == "uniform" else math.sqrt(variance)


@dataclass(frozen=True)
class GlorotUniform(_VarianceScaling):
    """Uniform with variance 2 / (inputs + outputs)."""

    name = "glorot_uniform"
    distribution = "uniform"
    averages = True


@dataclass(frozen=True)
class GlorotNormal(_VarianceScaling):
    """N(0, 2 / (inputs + outputs))."""

    name = "glorot_normal"
    distribution = "normal"
    averages = True


@dataclass(frozen=True)
class HeUniform(_VarianceScaling):
    """Uniform with variance 2 / inputs."""

    name = "he_uniform"
    distribution = "uniform"
    numerator = 2.0


@dataclass(frozen=True)
class HeNormal(_VarianceScaling):
    """N(0, 2 / inputs)."""

    name = "he_normal"
    distribution = "normal"
    numerator = 2.0


@dataclass(frozen=True)
class LecunUniform(_VarianceScaling):
    """Uniform with variance 1 / inputs."""

    name = "lecun_uniform"
    distribution = "uniform"


@dataclass(frozen=True)
class LecunNormal(_VarianceScaling):
    """N(0, 1 / inputs)."""

    name = "lecun_normal"
    distribution = "normal"


INITIALIZERS: dict[str, Initializer] = {
    initializer.name: initializer
    for initializer in (
        GlorotUniform(),
        GlorotNormal(),
        HeUniform(),
        HeNormal(),
        LecunUniform(),
        LecunNormal(),
        Zeros(),
        Ones(),
        Constant(),
        RandomUniform(),
        RandomNormal(),
        TruncatedNormal(),
        Orthogonal(),
    )
}


def resolve(initializer: str | Initializer) -> Initializer:
    """The initialiser of that name with its defaults, or the object itself.

    Raises
    ------
    ValueError
        If no initialiser has that name; the message lists those there are.
    TypeError
        If it is neither a name nor an `Initializer`.
    """
    return lookup(initializer, Initializer, INITIALIZERS, "initializer")  # type: ignore[type-abstract]


def resolve_bias(initializer: str | Initializer) -> Initializer:
    """The same for a bias.

    Raises
    ------
    ValueError
        If it is `Orthogonal`, which only a matrix can be.
    """
    found = resolve(initializer)
    if found.distribution == "orthogonal":
        raise ValueError(f"bias_init cannot be {found!r}: a bias is a vector, not a matrix")
    return found


def from_dict(stored: Any) -> Initializer:
    """The initialiser that `Initializer.to_dict` described.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or a number is missing, unknown or out of range.
    """
    return settings.from_dict(stored, INITIALIZERS, "initializer")
