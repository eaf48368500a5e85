"""The activations a layer can have: one table of names and of what each implies for the rest of a network.

`fastmlp.reference.activations` has the formula of each, `fastmlp.kernels.operations.activations` its compiled form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from fastmlp._runtime.checks import lookup
from fastmlp._runtime.settings import Settings, find, require


@dataclass(frozen=True)
class Activation(Settings):
    """What a network needs to know of an activation beside its formula.

    Attributes
    ----------
    weight_init : str
        The initialiser that a layer with this activation takes by default.
    output_loss : str
        The loss that follows from this activation on the last layer.
    limits : tuple of float, or None
        Where it is an S between two limits, these: near them it is flat, and no gradient comes through.
    rectifies : bool
        True where every z below 0 gives 0, and lets no gradient through.
    mixes_units : bool
        True where one output depends on every unit of the layer (softmax), so that the derivative is a Jacobian.
    """

    weight_init = "glorot_uniform"
    output_loss = "mean_squared_error"
    limits: ClassVar[tuple[float, float] | None] = None
    rectifies = False
    mixes_units = False

    @property
    def formula(self) -> str:
        """Under which name the reference and the kernels have it."""
        return self.name


class Linear(Activation):
    """`z`."""

    name = "linear"


class ReLU(Activation):
    """`max(z, 0)`."""

    name = "relu"
    weight_init = "he_uniform"
    rectifies = True


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """`z`, below 0 `slope * z` (Maas et al., 2013).

    Parameters
    ----------
    slope : float
        Greater than 0 and at most 1.
    """

    slope: float = 0.01

    name = "leaky_relu"
    weight_init = "he_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1e-30 <= self.slope <= 1, self, "slope", self.slope, "greater than 0 and at most 1")


class ReLU6(Activation):
    """`min(max(z, 0), 6)` (Krizhevsky, 2010)."""

    name = "relu6"
    weight_init = "he_uniform"
    rectifies = True


@dataclass(frozen=True)
class ELU(Activation):
    """`z`, below 0 `alpha (e^z - 1)` (Clevert et al., 2016).

    Parameters
    ----------
    alpha : float
        Minus the limit far below 0, greater than 0.
    """

    alpha: float = 1.0

    name = "elu"
    weight_init = "he_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1e-30 <= self.alpha <= 1e30, self, "alpha", self.alpha, "greater than 0, and at most 1e30")


class SELU(Activation):
    """`scale z`, below 0 `scale alpha (e^z - 1)`, with the two numbers of Klambauer et al. (2017)."""

    name = "selu"
    weight_init = "lecun_normal"


class Softplus(Activation):
    """`log(1 + e^z)`."""

    name = "softplus"


class Exponential(Activation):
    """`e^z`."""

    name = "exponential"
    output_loss = "poisson"


@dataclass(frozen=True)
class GELU(Activation):
    """`z P(N <= z)` for a standard normal N (Hendrycks and Gimpel, 2016).

    Parameters
    ----------
    approximate : bool
        Take their formula with tanh in place of the error function.
    """

    approximate: bool = False

    name = "gelu"
    weight_init = "he_uniform"

    @property
    def formula(self) -> str:
        """`"gelu"`, or `"gelu_tanh"` where it is approximate."""
        return "gelu_tanh" if self.approximate else "gelu"


class SiLU(Activation):
    """`z sigmoid(z)`, also called swish (Elfwing et al., 2018)."""

    name = "silu"
    weight_init = "he_uniform"


class Mish(Activation):
    """`z tanh(softplus(z))` (Misra, 2020)."""

    name = "mish"
    weight_init = "he_uniform"


class Sigmoid(Activation):
    """`1 / (1 + e^-z)`."""

    name = "sigmoid"
    output_loss = "binary_crossentropy"
    limits = (0.0, 1.0)


class HardSigmoid(Activation):
    """`min(max(z + 3, 0), 6) / 6`."""

    name = "hard_sigmoid"
    limits = (0.0, 1.0)


class Tanh(Activation):
    """The hyperbolic tangent."""

    name = "tanh"
    limits = (-1.0, 1.0)


class Softmax(Activation):
    """`e^z_k / sum_j e^z_j` over the units of a row."""

    name = "softmax"
    output_loss = "categorical_crossentropy"
    mixes_units = True


@dataclass(frozen=True)
class OwnActivation(Activation):
    """One that a user registered, `fastmlp.register_activation`; a pickle and a model file hold its name alone."""

    forward: Callable[[float], float]
    derivative: Callable[[float], float]
    name: str = ""
    weight_init: str = "glorot_uniform"
    output_loss: str = "mean_squared_error"

    def to_dict(self) -> dict[str, Any]:
        """The name."""
        return {"name": self.name}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name, which must be registered where it is unpickled."""
        return _own, (self.name,)

    def __deepcopy__(self, memo: Any) -> OwnActivation:
        """Itself: a copied network keeps the functions it has, whatever has the name now."""
        return self


def _own(name: str) -> Activation:
    return find(name, ACTIVATIONS, "activation")


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Linear(),
        ReLU(),
        LeakyReLU(),
        ReLU6(),
        ELU(),
        SELU(),
        Softplus(),
        Exponential(),
        GELU(),
        SiLU(),
        Mish(),
        Sigmoid(),
        HardSigmoid(),
        Tanh(),
        Softmax(),
    )
}


def resolve(activation: str | Activation) -> Activation:
    """The activation of that name with its defaults, or the object itself.

    Raises
    ------
    ValueError
        If no activation has that name; the message lists those there are.
    TypeError
        If it is neither a name nor an `Activation`.
    """
    return lookup(activation, Activation, ACTIVATIONS, "activation")
