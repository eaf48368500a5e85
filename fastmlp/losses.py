"""The losses: their names, their numbers, the targets that each accepts, and the output activation that suits it.

To add a loss, change these files:

1. This module: a class with its `name` and attributes, and an instance in `LOSSES`.
2. `fastmlp/reference/losses.py`: the loss of each row and its gradient in NumPy, and an entry in `LOSSES`. If the loss
   has a `partner`, also an entry in `EXACT_PAIRS`.
3. `kernels/operations/losses.py`: two compiled scalar functions, and an entry in `LOSSES`; with a `partner` also an
   entry in `EXACT_PAIRS`.
4. `fastmlp/__init__.py` and `__init__.pyi`, only if the class has numbers: users can then write `fastmlp.Huber(0.5)`.

The tests take their cases from `LOSSES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fastmlp._runtime.checks import lookup
from fastmlp._runtime.names import module_attributes
from fastmlp._runtime.settings import Settings, find, require

Targets = Literal["classes", "binary", "signs", "counts", "values"]


@dataclass(frozen=True, eq=False, repr=False)
class Loss(Settings):
    """The base class of the losses: what a network needs to know about a loss besides its formula.

    Attributes
    ----------
    name : str
        The name for users and model files.
    targets : {"classes", "binary", "signs", "counts", "values"}
        What y holds. "classes": class labels, or rows of class probabilities. "binary": numbers from 0 to 1. "signs":
        -1 and 1, or 0 and 1. "counts": numbers of at least 0. "values": any numbers.
    partner : str
        The output activation for which loss and gradient are computed directly from Z, exactly and without clipping;
        empty if there is none. It is also the default output activation for this loss.
    """

    targets = "values"
    partner = ""


class MeanSquaredError(Loss):
    """The squared error, the mean over the outputs of `(a - y)^2`."""

    name = "mean_squared_error"


class HalfSquaredError(Loss):
    """Half the squared error, the sum over the outputs of `(a - y)^2 / 2`, as in scikit-learn and many textbooks.

    The gradient is `a - y`.
    """

    name = "half_squared_error"


class MeanAbsoluteError(Loss):
    """The absolute error, the mean over the outputs of `|a - y|`."""

    name = "mean_absolute_error"


@dataclass(frozen=True, eq=False, repr=False)
class Huber(Loss):
    """The Huber loss (1964): quadratic for small errors, linear for large ones.

    With `d = |a - y|` it is the mean over the outputs of `d^2 / 2` for d <= delta, else of `delta (d - delta / 2)`.

    Parameters
    ----------
    delta : float
        The error from which on the loss is linear; greater than 0 and at most 1e15.

    Raises
    ------
    ValueError, TypeError
        If delta is out of range or not a number.

    Examples
    --------
    >>> Network([8, 32, 1], loss=Huber(0.5))
    """

    delta: float = 1.0

    name = "huber"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1e-30 <= self.delta <= 1e15, self, "delta", self.delta, "greater than 0, and at most 1e15")


class LogCosh(Loss):
    """The mean over the outputs of `log(cosh(a - y))`: like the Huber loss, but smooth."""

    name = "log_cosh"


class Poisson(Loss):
    """The Poisson loss, the mean over the outputs of `a - y log(a)`, where y is a count and a its expected value."""

    name = "poisson"
    targets = "counts"
    partner = "exponential"


class HalfPoissonDeviance(Loss):
    """Half the Poisson deviance, the sum over the outputs of `y log(y / a) - y + a`; 0 where a equals y."""

    name = "half_poisson_deviance"
    targets = "counts"
    partner = "exponential"


class Hinge(Loss):
    """The hinge loss, the mean over the outputs of `max(1 - s a, 0)`, where s is 1 for y > 0, else -1."""

    name = "hinge"
    targets = "signs"


@dataclass(frozen=True, eq=False, repr=False)
class _Smoothed(Loss):
    """The base class of the cross-entropies, which can smooth their targets."""

    label_smoothing: float = 0.0

    below = 1.0


class BinaryCrossentropy(_Smoothed):
    """The binary cross-entropy, the sum over the outputs of `-y log(a) - (1 - y) log(1 - a)`.

    Label smoothing replaces y by `y (1 - s) + s / 2`.

    Parameters
    ----------
    label_smoothing : float
        The share s of the targets that is spread evenly over all classes (Szegedy et al., 2016); in [0, 1).

    Raises
    ------
    ValueError, TypeError
        If label_smoothing is out of range or not a number.

    Examples
    --------
    >>> Network([30, 16, 1], output="sigmoid", loss=BinaryCrossentropy(0.1))
    """

    name = "binary_crossentropy"
    targets = "binary"
    partner = "sigmoid"


class CategoricalCrossentropy(_Smoothed):
    """The cross-entropy of class probabilities, `-sum_k y_k log(a_k)`.

    Label smoothing replaces y_k by `y_k (1 - s) + s / outputs`.

    Parameters
    ----------
    label_smoothing : float
        The share s of the targets that is spread evenly over all classes (Szegedy et al., 2016); in [0, 1).

    Raises
    ------
    ValueError, TypeError
        If label_smoothing is out of range or not a number.

    Examples
    --------
    >>> Network([30, 16, 3], output="softmax", loss=CategoricalCrossentropy(0.1))
    """

    name = "categorical_crossentropy"
    targets = "classes"
    partner = "softmax"


class KLDivergence(Loss):
    """The divergence of Kullback and Leibler (1951), `sum_k y_k log(y_k / a_k)`."""

    name = "kl_divergence"
    targets = "classes"
    partner = "softmax"


@dataclass(frozen=True, eq=False, repr=False)
class OwnLoss(Loss):
    """A loss that `fastmlp.register_loss` has made of a user's functions.

    A pickle or a model file holds only the name.

    Parameters
    ----------
    value, gradient : function
        The loss of one output a and its target y, and its derivative with respect to a.
    name : str
        The registered name.
    targets : str
        See `Loss`.
    """

    value: Callable[[float, float], float]
    gradient: Callable[[float, float], float]
    name: str = ""
    targets: str = "values"

    def to_dict(self) -> dict[str, Any]:
        """Return the name alone; the functions are not stored."""
        return {"name": self.name}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the name; the process that unpickles must have registered it."""
        return _own, (self.name,)

    def __deepcopy__(self, memo: Any) -> OwnLoss:
        """Return the object itself, so that a copied network keeps its functions if the name is registered anew."""
        return self


def _own(name: str) -> Loss:
    return find(name, LOSSES, "loss")


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        MeanSquaredError(),
        HalfSquaredError(),
        MeanAbsoluteError(),
        Huber(),
        LogCosh(),
        Poisson(),
        HalfPoissonDeviance(),
        Hinge(),
        BinaryCrossentropy(),
        CategoricalCrossentropy(),
        KLDivergence(),
    )
}


def resolve(loss: str | Loss) -> Loss:
    """Return the loss with this name and its default numbers, or the object itself.

    Parameters
    ----------
    loss : str or Loss
        A name of `LOSSES`, or a loss object.

    Returns
    -------
    Loss
        The loss object.

    Raises
    ------
    ValueError
        If no loss has this name; the message lists all names.
    TypeError
        If `loss` is neither a name nor a `Loss`.
    """
    return lookup(loss, Loss, LOSSES, "loss")


if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
