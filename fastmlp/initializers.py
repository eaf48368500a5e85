"""The initialisers of weights: one table of names, each a distribution and its scale.

Sources: Glorot and Bengio (2010) for glorot, He et al. (2015) for he, LeCun et al. (1998) for lecun. The normal
ones are not truncated, so lecun_normal is N(0, 1 / inputs).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fastmlp._checks import lookup


@dataclass(frozen=True)
class Initializer:
    """A distribution with mean 0 and variance `gain / fan`.

    Parameters
    ----------
    name : str
        The name used in `Dense` and in saved models.
    distribution : {"uniform", "normal", "zeros"}
        The shape of the distribution.
    gain : float
        The numerator of the variance.
    fan : {"inputs", "average"}
        The denominator: the number of inputs, or the average of the numbers of inputs and outputs.
    """

    name: str
    distribution: Literal["uniform", "normal", "zeros"]
    gain: float = 1.0
    fan: Literal["inputs", "average"] = "inputs"

    def scale(self, inputs: int, outputs: int) -> float:
        """The standard deviation of a normal, or the bound of a uniform distribution, for such a layer."""
        fan = inputs if self.fan == "inputs" else (inputs + outputs) / 2
        variance = self.gain / fan
        return math.sqrt(3.0 * variance) if self.distribution == "uniform" else math.sqrt(variance)


INITIALIZERS: dict[str, Initializer] = {
    initializer.name: initializer
    for initializer in (
        Initializer("glorot_uniform", "uniform", fan="average"),
        Initializer("glorot_normal", "normal", fan="average"),
        Initializer("he_uniform", "uniform", gain=2.0),
        Initializer("he_normal", "normal", gain=2.0),
        Initializer("lecun_uniform", "uniform"),
        Initializer("lecun_normal", "normal"),
        Initializer("zeros", "zeros"),
    )
}


def resolve(initializer: str | Initializer) -> Initializer:
    """The initialiser of that name, or the object itself.

    Raises
    ------
    ValueError
        If no initialiser has that name; the message lists those there are.
    TypeError
        If it is neither a name nor an `Initializer`.
    """
    return lookup(initializer, Initializer, INITIALIZERS, "initializer")
