"""The initializers of weights and biases: a distribution, and its location and scale for a layer of a given size.

Every value is `location + scale * z`. The distribution of z is one of:

- "constant": z is 0;
- "uniform": from -1 to 1;
- "normal": N(0, 1);
- "truncated_normal": N(0, 1), restricted to the interval from -2 to 2;
- "orthogonal": a random matrix whose columns (or rows, if there are fewer) are orthonormal; all such matrices have the
  same probability.

Sources: Glorot and Bengio (2010) for glorot, He et al. (2015) for he, LeCun et al. (1998) for lecun, Saxe et al. (2014)
for orthogonal. The normal distributions are not truncated, so lecun_normal is N(0, 1 / inputs).

To add an initializer with one of these distributions, change this module: a class with its `name` and its
`location_and_scale`, and an instance in `INITIALIZERS`. If it has numbers, add the class to `fastmlp/__init__.py` and
`__init__.pyi`. A new distribution needs three more changes:

1. `fastmlp/reference/random.py`: a function in NumPy, and an entry in `_STANDARD`.
2. `kernels/operations/random.py`: a kernel that draws the same bits.
3. `fastmlp/_engine/parameters.py`: an entry in `_DRAWN`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastmlp._runtime import settings
from fastmlp._runtime.checks import lookup
from fastmlp._runtime.names import module_attributes
from fastmlp._runtime.settings import Settings, require

LARGEST = 1e30
"""The exclusive limit of the numbers of an initializer, so that float32 can hold every value."""


@dataclass(frozen=True, eq=False, repr=False)
class Initializer(Settings, ABC):
    """The base class of the initializers.

    Attributes
    ----------
    name : str
        The name for users and model files; it stands for the initializer with its default numbers.
    distribution : {"constant", "uniform", "normal", "truncated_normal", "orthogonal"}
        The distribution of z in `location + scale * z`.
    """

    distribution = "constant"

    minimum, below = -LARGEST, LARGEST

    @abstractmethod
    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """Return the location and the scale for a layer of this size.

        Parameters
        ----------
        inputs, outputs : int
            The shape of the layer's W.

        Returns
        -------
        location, scale : float
            Each value is `location + scale * z`.
        """


@dataclass(frozen=True, eq=False, repr=False)
class Zeros(Initializer):
    """All values are 0."""

    name = "zeros"

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """Return 0 and a scale of 0."""
        return 0.0, 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Ones(Initializer):
    """All values are 1."""

    name = "ones"

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """Return 1 and a scale of 0."""
        return 1.0, 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Initializer):
    """All values are one number.

    Parameters
    ----------
    value : float
        The number; its magnitude must be less than 1e30.

    Raises
    ------
    ValueError, TypeError
        If value is out of range or not a number.

    Examples
    --------
    >>> Dense(16, bias_init=Constant(0.1))
    """

    value: float = 0.0

    name = "constant"

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """Return the value and a scale of 0."""
        return self.value, 0.0


@dataclass(frozen=True, eq=False, repr=False)
class RandomUniform(Initializer):
    """The uniform distribution U(minval, maxval), independent of the size of the layer.

    Parameters
    ----------
    minval, maxval : float
        The bounds, minval <= maxval; their magnitude must be less than 1e30.

    Raises
    ------
    ValueError, TypeError
        If a bound is out of range or not a number.

    Examples
    --------
    >>> Dense(16, weight_init=RandomUniform(-0.1, 0.1))
    """

    minval: float = -0.05
    maxval: float = 0.05

    name = "random_uniform"
    distribution = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.minval <= self.maxval, self, "minval", self.minval, f"at most maxval, {self.maxval!r}")

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """Return the middle of the interval and half of its width."""
        return (self.minval + self.maxval) / 2.0, (self.maxval - self.minval) / 2.0


@dataclass(frozen=True, eq=False, repr=False)
class RandomNormal(Initializer):
    """The normal distribution N(mean, stddev^2), independent of the size of the layer.

    Parameters
    ----------
    mean, stddev : float
        The mean and the standard deviation, stddev >= 0; their magnitude must be less than 1e30.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or not a number.

    Examples
    --------
    >>> Dense(16, weight_init=RandomNormal(stddev=0.01))
    """

    mean: float = 0.0
    stddev: float = 0.05

    name = "random_normal"
    distribution = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.stddev >= 0, self, "stddev", self.stddev, "at least 0")

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """Return the mean and the standard deviation."""
        return self.mean, self.stddev


@dataclass(frozen=True, eq=False, repr=False)
class TruncatedNormal(RandomNormal):
    """The normal distribution N(mean, stddev^2), restricted to values within 2 stddev of the mean.

    The standard deviation of the values is 0.88 stddev.

    Parameters
    ----------
    mean, stddev : float
        The mean and the standard deviation before the truncation, stddev >= 0; their magnitude must be less than 1e30.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or not a number.

    Examples
    --------
    >>> Dense(16, weight_init=TruncatedNormal(stddev=0.01))
    """

    name = "truncated_normal"
    distribution = "truncated_normal"


@dataclass(frozen=True, eq=False, repr=False)
class Orthogonal(Initializer):
    """A random matrix with orthonormal columns (or rows, if there are fewer), times `gain`.

    All orthonormal matrices have the same probability. Saxe et al. (2014) recommend this for deep networks. It suits
    weights only, because a bias is a vector.

    Parameters
    ----------
    gain : float
        The length of each column (or row); greater than 0 and less than 1e30.

    Raises
    ------
    ValueError, TypeError
        If gain is out of range or not a number.

    Examples
    --------
    >>> Dense(16, weight_init=Orthogonal(gain=2.0))
    """

    gain: float = 1.0

    name = "orthogonal"
    distribution = "orthogonal"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gain > 0, self, "gain", self.gain, "positive")

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """Return 0 and the gain."""
        return 0.0, self.gain


@dataclass(frozen=True, eq=False, repr=False)
class _VarianceScaling(Initializer):
    """Mean 0 and variance `numerator / fan`.

    Attributes
    ----------
    numerator : float
        1 or 2.
    averages : bool
        Whether the fan is the mean of inputs and outputs (glorot), not the number of inputs.
    """

    numerator = 1.0
    averages = False

    def location_and_scale(self, inputs: int, outputs: int) -> tuple[float, float]:
        """Return 0, and the bound of the uniform or the standard deviation of the normal distribution."""
        fan = (inputs + outputs) / 2 if self.averages else inputs
        variance = self.numerator / fan
        return 0.0, math.sqrt(3.0 * variance) if self.distribution == "uniform" else math.sqrt(variance)


@dataclass(frozen=True, eq=False, repr=False)
class GlorotUniform(_VarianceScaling):
    """The uniform distribution with mean 0 and variance 2 / (inputs + outputs) (Glorot and Bengio, 2010)."""

    name = "glorot_uniform"
    distribution = "uniform"
    averages = True


@dataclass(frozen=True, eq=False, repr=False)
class GlorotNormal(_VarianceScaling):
    """The normal distribution N(0, 2 / (inputs + outputs)) (Glorot and Bengio, 2010)."""

    name = "glorot_normal"
    distribution = "normal"
    averages = True


@dataclass(frozen=True, eq=False, repr=False)
class HeUniform(_VarianceScaling):
    """The uniform distribution with mean 0 and variance 2 / inputs (He et al., 2015)."""

    name = "he_uniform"
    distribution = "uniform"
    numerator = 2.0


@dataclass(frozen=True, eq=False, repr=False)
class HeNormal(_VarianceScaling):
    """The normal distribution N(0, 2 / inputs) (He et al., 2015)."""

    name = "he_normal"
    distribution = "normal"
    numerator = 2.0


@dataclass(frozen=True, eq=False, repr=False)
class LecunUniform(_VarianceScaling):
    """The uniform distribution with mean 0 and variance 1 / inputs (LeCun et al., 1998)."""

    name = "lecun_uniform"
    distribution = "uniform"


@dataclass(frozen=True, eq=False, repr=False)
class LecunNormal(_VarianceScaling):
    """The normal distribution N(0, 1 / inputs) (LeCun et al., 1998)."""

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
    """Return the initializer with this name and its default numbers, or the object itself.

    Parameters
    ----------
    initializer : str or Initializer
        A name of `INITIALIZERS`, or an initializer object.

    Returns
    -------
    Initializer
        The initializer object.

    Raises
    ------
    ValueError
        If no initializer has this name; the message lists all names.
    TypeError
        If `initializer` is neither a name nor an `Initializer`.
    """
    return lookup(initializer, Initializer, INITIALIZERS, "initializer")  # type: ignore[type-abstract]


def resolve_bias(initializer: str | Initializer) -> Initializer:
    """Return the initializer of a bias, given its name or the object itself.

    Parameters
    ----------
    initializer : str or Initializer
        A name of `INITIALIZERS`, or an initializer object.

    Returns
    -------
    Initializer
        The initializer object.

    Raises
    ------
    ValueError
        If no initializer has this name, or it is `Orthogonal`, which suits only matrices.
    TypeError
        If `initializer` is neither a name nor an `Initializer`.
    """
    found = resolve(initializer)
    if found.distribution == "orthogonal":
        raise ValueError(f"bias_init cannot be {found!r}: a bias is a vector, not a matrix")
    return found


def from_dict(stored: Any) -> Initializer:
    """Return the initializer that `Initializer.to_dict` describes.

    Parameters
    ----------
    stored : dict
        The name and the numbers.

    Returns
    -------
    Initializer
        An equal initializer.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or a number is missing, unknown or out of range.
    """
    return settings.from_dict(stored, INITIALIZERS, "initializer")


if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
