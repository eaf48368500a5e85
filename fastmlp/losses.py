"""The losses a network can minimise: one table of names, of the targets each takes and of its exact partner.

The formula of each stands in `fastmlp.reference.losses`, its compiled form in `fastmlp.kernels.operations.losses`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastmlp._runtime.checks import lookup
from fastmlp._runtime.settings import Settings, find, require

Targets = Literal["classes", "binary", "signs", "counts", "values"]


@dataclass(frozen=True)
class Loss(Settings):
    """What a network needs to know of a loss beside its formula.

    Attributes
    ----------
    targets : {"classes", "binary", "signs", "counts", "values"}
        What y holds: class labels or rows of class probabilities; numbers from 0 to 1; -1 or 1, for which 0 or 1 will
        do; numbers from 0; any numbers.
    partner : str
        The output activation with which the gradient with respect to Z is computed exactly, without clipping; empty
        where there is none.
    """

    targets = "values"
    partner = ""


class MeanSquaredError(Loss):
    """The mean over the outputs of `(a - y)^2`."""

    name = "mean_squared_error"


class HalfSquaredError(Loss):
    """The sum over the outputs of `(a - y)^2 / 2`, whose gradient is `a - y`: as in scikit-learn and many textbooks."""

    name = "half_squared_error"


class MeanAbsoluteError(Loss):
    """The mean over the outputs of `|a - y|`."""

    name = "mean_absolute_error"


@dataclass(frozen=True)
class Huber(Loss):
    """The mean over the outputs of `d^2 / 2` for `d = |a - y|` up to delta, beyond it `delta (d - delta / 2)`.

    Parameters
    ----------
    delta : float
        Where the parabola becomes a line, greater than 0 (Huber, 1964).
    """

    delta: float = 1.0

    name = "huber"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1e-30 <= self.delta <= 1e15, self, "delta", self.delta, "greater than 0, and at most 1e15")


class LogCosh(Loss):
    """The mean over the outputs of `log(cosh(a - y))`."""

    name = "log_cosh"


class Poisson(Loss):
    """The mean over the outputs of `a - y log(a)`: y counts what is expected to happen a times."""

    name = "poisson"
    targets = "counts"
    partner = "exponential"


class HalfPoissonDeviance(Loss):
    """The sum over the outputs of `y log(y / a) - y + a`, half of Poisson's deviance: 0 where a is y."""

    name = "half_poisson_deviance"
    targets = "counts"
    partner = "exponential"


class Hinge(Loss):
    """The mean over the outputs of `max(1 - s a, 0)`, s the sign of a row's class: 1 where y > 0, else -1."""

    name = "hinge"
    targets = "signs"


@dataclass(frozen=True)
class _Smoothed(Loss):
    """A cross-entropy whose targets are moved towards equal shares.

    Parameters
    ----------
    label_smoothing : float
        The share s of the targets that is spread over all classes alike, in [0, 1) (Szegedy et al., 2016).
    """

    label_smoothing: float = 0.0

    below = 1.0


class BinaryCrossentropy(_Smoothed):
    """The sum over the outputs of `-y log(a) - (1 - y) log(1 - a)`; smoothed, `y (1 - s) + s / 2` in place of y."""

    name = "binary_crossentropy"
    targets = "binary"
    partner = "sigmoid"


class CategoricalCrossentropy(_Smoothed):
    """`-sum_k y_k log(a_k)`; smoothed, `y_k (1 - s) + s / outputs` in place of y_k."""

    name = "categorical_crossentropy"
    targets = "classes"
    partner = "softmax"


class KLDivergence(Loss):
    """`sum_k y_k log(y_k / a_k)`, the divergence of Kullback and Leibler (1951)."""

    name = "kl_divergence"
    targets = "classes"
    partner = "softmax"


@dataclass(frozen=True)
class OwnLoss(Loss):
    """One that a user registered, `fastmlp.register_loss`; a pickle and a model file hold its name alone."""

    value: Callable[[float, float], float]
    gradient: Callable[[float, float], float]
    name: str = ""
    targets: str = "values"

    def to_dict(self) -> dict[str, Any]:
        """The name."""
        return {"name": self.name}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name, which must be registered where it is unpickled."""
        return _own, (self.name,)

    def __deepcopy__(self, memo: Any) -> OwnLoss:
        """Itself: a copied network keeps the functions it has, whatever has the name now."""
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
    """The loss of that name with its defaults, or the object itself.

    Raises
    ------
    ValueError
        If no loss has that name; the message lists those there are.
    TypeError
        If it is neither a name nor a `Loss`.
    """
    return lookup(loss, Loss, LOSSES, "loss")
