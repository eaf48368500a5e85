"""The activations: their names, their numbers, and what each implies for the rest of a network.

To add an activation, change these files:

1. This module: a class with its `name` and attributes, and an instance in `ACTIVATIONS`.
2. `fastmlp/reference/activations.py`: the formula and its derivative in NumPy, and an entry in `ACTIVATIONS`.
3. `kernels/operations/activations.py`: two compiled scalar functions, and an entry in `ACTIVATIONS`.
4. `fastmlp/interchange/`: an entry in `EXPRESSIONS` (onnx.py) and in `FUNCTIONS` (c.py). If PyTorch has the activation,
   also an entry in `_PLAIN` (torch.py), or in `_makers` and `_readers` if it has numbers.
5. `fastmlp/__init__.py` and `__init__.pyi`, only if the class has numbers: users can then write `fastmlp.ELU(0.5)`.

The tests take their cases from `ACTIVATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fastmlp._runtime.checks import lookup
from fastmlp._runtime.names import module_attributes
from fastmlp._runtime.settings import Settings, find, require


@dataclass(frozen=True, eq=False, repr=False)
class Activation(Settings):
    """The base class of the activations: what a network needs to know about g besides its formula.

    Attributes
    ----------
    name : str
        The name for users and model files.
    weight_init : str
        The default initializer of the weights of a layer with this activation.
    output_loss : str
        The default loss of a network with this activation on the last layer.
    limits : tuple of float, or None
        The two limits of an S-shaped function; None for other shapes. Near a limit the function is flat and the
        gradient vanishes.
    rectifies : bool
        Whether every z < 0 gives 0 and passes no gradient.
    mixes_units : bool
        Whether each output depends on all units of the layer (softmax), so that the derivative is a Jacobian matrix.
    """

    weight_init = "glorot_uniform"
    output_loss = "mean_squared_error"
    limits: ClassVar[tuple[float, float] | None] = None
    rectifies = False
    mixes_units = False

    @property
    def formula(self) -> str:
        """The name of the formula in the tables of the reference and of the kernels."""
        return self.name


class Linear(Activation):
    """The identity, `g(z) = z`."""

    name = "linear"


class ReLU(Activation):
    """The rectified linear unit, `g(z) = max(z, 0)`."""

    name = "relu"
    weight_init = "he_uniform"
    rectifies = True


@dataclass(frozen=True, eq=False, repr=False)
class LeakyReLU(Activation):
    """The leaky rectified linear unit (Maas et al., 2013): `g(z) = z` for z >= 0, `slope * z` for z < 0.

    Parameters
    ----------
    slope : float
        The slope for z < 0; greater than 0 and at most 1.

    Raises
    ------
    ValueError, TypeError
        If slope is out of range or not a number.

    Examples
    --------
    >>> Dense(16, LeakyReLU(0.1))
    """

    slope: float = 0.01

    name = "leaky_relu"
    weight_init = "he_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1e-30 <= self.slope <= 1, self, "slope", self.slope, "greater than 0 and at most 1")


class ReLU6(Activation):
    """The rectified linear unit with a maximum of 6 (Krizhevsky, 2010): `g(z) = min(max(z, 0), 6)`."""

    name = "relu6"
    weight_init = "he_uniform"
    rectifies = True


@dataclass(frozen=True, eq=False, repr=False)
class ELU(Activation):
    """The exponential linear unit (Clevert et al., 2016): `g(z) = z` for z >= 0, `alpha (e^z - 1)` for z < 0.

    Parameters
    ----------
    alpha : float
        The limit for z towards minus infinity is `-alpha`; greater than 0 and at most 1e30.

    Raises
    ------
    ValueError, TypeError
        If alpha is out of range or not a number.

    Examples
    --------
    >>> Dense(16, ELU(0.5))
    """

    alpha: float = 1.0

    name = "elu"
    weight_init = "he_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1e-30 <= self.alpha <= 1e30, self, "alpha", self.alpha, "greater than 0, and at most 1e30")


class SELU(Activation):
    """The scaled exponential linear unit (Klambauer et al., 2017).

    `g(z) = scale z` for z >= 0, `scale alpha (e^z - 1)` for z < 0, with scale = 1.0507 and alpha = 1.6733.
    """

    name = "selu"
    weight_init = "lecun_normal"


class Softplus(Activation):
    """A smooth rectifier, `g(z) = log(1 + e^z)`."""

    name = "softplus"


class Exponential(Activation):
    """The exponential function, `g(z) = e^z`; on the last layer for rates, with the Poisson loss."""

    name = "exponential"
    output_loss = "poisson"


@dataclass(frozen=True, eq=False, repr=False)
class GELU(Activation):
    """The Gaussian error linear unit (Hendrycks and Gimpel, 2016).

    `g(z) = z Phi(z)`, where Phi is the distribution function of the standard normal distribution.

    Parameters
    ----------
    approximate : bool
        Whether to use the approximation with tanh from the same paper.

    Raises
    ------
    ValueError
        If approximate is not True or False.
    """

    approximate: bool = False

    name = "gelu"
    weight_init = "he_uniform"

    @property
    def formula(self) -> str:
        """The name of the formula: `"gelu"`, or `"gelu_tanh"` for the approximation."""
        return "gelu_tanh" if self.approximate else "gelu"


class SiLU(Activation):
    """The sigmoid linear unit, also called swish (Elfwing et al., 2018): `g(z) = z sigmoid(z)`."""

    name = "silu"
    weight_init = "he_uniform"


class Mish(Activation):
    """Mish (Misra, 2020): `g(z) = z tanh(softplus(z))`."""

    name = "mish"
    weight_init = "he_uniform"


class Sigmoid(Activation):
    """The logistic function, `g(z) = 1 / (1 + e^-z)`."""

    name = "sigmoid"
    output_loss = "binary_crossentropy"
    limits = (0.0, 1.0)


class HardSigmoid(Activation):
    """A piecewise linear sigmoid, `g(z) = min(max(z + 3, 0), 6) / 6`."""

    name = "hard_sigmoid"
    limits = (0.0, 1.0)


class Tanh(Activation):
    """The hyperbolic tangent, `g(z) = tanh(z)`."""

    name = "tanh"
    limits = (-1.0, 1.0)


class Softmax(Activation):
    """The softmax over the units of a row, `g(z)_k = e^z_k / sum_j e^z_j`: probabilities of classes."""

    name = "softmax"
    output_loss = "categorical_crossentropy"
    mixes_units = True


@dataclass(frozen=True, eq=False, repr=False)
class OwnActivation(Activation):
    """An activation that `fastmlp.register_activation` has made of a user's functions.

    A pickle or a model file holds only the name.

    Parameters
    ----------
    forward, derivative : function
        `g(z)` and `g'(z)` of one number.
    name : str
        The registered name.
    weight_init, output_loss : str
        See `Activation`.
    """

    forward: Callable[[float], float]
    derivative: Callable[[float], float]
    name: str = ""
    weight_init: str = "glorot_uniform"
    output_loss: str = "mean_squared_error"

    def to_dict(self) -> dict[str, Any]:
        """Return the name alone; the functions are not stored."""
        return {"name": self.name}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the name; the process that unpickles must have registered it."""
        return _own, (self.name,)

    def __deepcopy__(self, memo: Any) -> OwnActivation:
        """Return the object itself, so that a copied network keeps its functions if the name is registered anew."""
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
    """Return the activation with this name and its default numbers, or the object itself.

    Parameters
    ----------
    activation : str or Activation
        A name of `ACTIVATIONS`, or an activation object.

    Returns
    -------
    Activation
        The activation object.

    Raises
    ------
    ValueError
        If no activation has this name; the message lists all names.
    TypeError
        If `activation` is neither a name nor an `Activation`.
    """
    return lookup(activation, Activation, ACTIVATIONS, "activation")


if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
