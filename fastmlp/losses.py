"""The losses: their names, their numbers, the targets that each accepts, and the output activation that suits it.

To add a loss, change these files:

1. This module: a class with its `name` and attributes, and an instance in `LOSSES`.
2. `fastmlp/reference/losses.py`: the loss of each row and its gradient in NumPy, and an entry in `LOSSES`. If the loss
   has a `partner`, also an entry in `EXACT_PAIRS`.
3. `kernels/operations/losses.py`: two compiled scalar functions, and an entry in `LOSSES`; with a `partner` also an
   entry in `EXACT_PAIRS`. A loss for which several outputs belong to a target is a kernel in
   `kernels/operations/distribution_losses.py`, and its class has `target_columns` and `estimates`.
4. `fastmlp/__init__.py` and `__init__.pyi`, only if the class has numbers: users can then write `fastmlp.Huber(0.5)`.

The tests take their cases from `LOSSES`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fastmlp._runtime.checks import lookup, number
from fastmlp._runtime.names import module_attributes
from fastmlp._runtime.settings import Settings, require

Targets = Literal["classes", "binary", "signs", "counts", "positive", "values"]


@dataclass(frozen=True, eq=False, repr=False)
class Loss(Settings):
    """The base class of the losses: what a network needs to know about a loss besides its formula.

    Attributes
    ----------
    name : str
        The name for users and model files.
    targets : {"classes", "binary", "signs", "counts", "positive", "values"}
        What y holds. "classes": class labels, or rows of class probabilities. "binary": numbers from 0 to 1. "signs":
        -1 and 1, or 0 and 1. "counts": numbers of at least 0. "positive": numbers greater than 0. "values": any
        numbers.
    partner : str
        The output activation for which loss and gradient are computed directly from Z, exactly and without clipping;
        empty if there is none. It is also the default output activation for this loss.
    has_estimates : bool
        Whether there is an output for each target that estimates it.
    """

    targets = "values"
    partner = ""
    has_estimates = True

    def target_columns(self, outputs: int) -> int:
        """Return how many numbers of y belong to a row of a network with so many outputs.

        Raises
        ------
        ValueError
            If a network with this loss cannot have so many outputs.
        """
        return outputs

    def estimates(self, outputs: int) -> slice:
        """Return the outputs that estimate the targets, one for each, if the loss has such; metrics compare them."""
        return slice(None)


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


class Gamma(Loss):
    """Half the deviance of the gamma distribution, the mean over the outputs of `log(a / y) + y / a - 1`.

    It suits positive targets, such as sizes of claims, whose standard deviation grows with their expected value a.
    """

    name = "gamma"
    targets = "positive"
    partner = "exponential"


@dataclass(frozen=True, eq=False, repr=False)
class Tweedie(Loss):
    """Half the deviance of Tweedie's distribution with a power p between 1 and 2 (Jørgensen, 1987).

    It is the mean over the outputs of `y^(2-p) / ((1-p)(2-p)) - y a^(1-p) / (1-p) + a^(2-p) / (2-p)`. It suits targets
    of at least 0 of which many are exactly 0, such as the rainfall of a day or the claims of a year: the variance is
    proportional to a^p. At the ends of the range lie `HalfPoissonDeviance` (p = 1) and `Gamma` (p = 2).

    Parameters
    ----------
    power : float
        The power p; from 1.001 to 1.999. Nearer to the ends the terms of the deviance cancel.

    Raises
    ------
    ValueError, TypeError
        If power is out of range or not a number.

    Examples
    --------
    >>> Network([8, 32, 1], loss=Tweedie(1.5))
    """

    power: float = 1.5

    name = "tweedie"
    targets = "counts"
    partner = "exponential"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1.001 <= self.power <= 1.999, self, "power", self.power, "from 1.001 to 1.999")


@dataclass(frozen=True, eq=False, repr=False)
class Quantile(Loss):
    """The pinball loss (Koenker and Bassett, 1978), by which outputs learn quantiles of a target.

    For a level q it is `q (y - a)` where y > a, else `(1 - q) (a - y)`; the loss of a row is the mean over its outputs.
    With n levels the network has n outputs for each target: those of the first target, level by level, then those of
    the next. The outputs of a row can cross; `numpy.sort` puts them in order.

    Parameters
    ----------
    levels : tuple of float
        The levels, each between 0 and 1, in ascending order. The default is the median.

    Raises
    ------
    ValueError, TypeError
        If a level is out of range or not a number, or they are not in ascending order.

    Examples
    --------
    >>> Network([8, 32, 3], loss=Quantile((0.1, 0.5, 0.9))).fit(X, y)  # y of shape (n,) or (n, 1)
    """

    levels: tuple[float, ...] = (0.5,)

    name = "quantile"

    def __post_init__(self) -> None:
        super().__post_init__()
        is_several = isinstance(self.levels, Iterable) and not isinstance(self.levels, str)
        levels = tuple(number(level, "quantile: a level") for level in (self.levels if is_several else (self.levels,)))
        rises = all(low < high for low, high in itertools.pairwise((0.0, *levels, 1.0)))
        require(rises and bool(levels), self, "levels", self.levels, "between 0 and 1 and in ascending order")
        object.__setattr__(self, "levels", levels)

    @property
    def parameters(self) -> tuple[float, ...]:
        """The levels."""
        return self.levels

    def target_columns(self, outputs: int) -> int:
        """Return the number of outputs divided by that of the levels."""
        count = len(self.levels)
        if outputs % count:
            raise ValueError(
                f"the loss quantile of {count} levels needs {count} outputs for each target, got {outputs}"
            )
        return outputs // count

    def estimates(self, outputs: int) -> slice:
        """Return the outputs of the level that is closest to the median."""
        if len(self.levels) == 1:
            return slice(None)
        middle = min(range(len(self.levels)), key=lambda place: abs(self.levels[place] - 0.5))
        return slice(middle, None, len(self.levels))


@dataclass(frozen=True, eq=False, repr=False)
class GaussianNLL(Loss):
    """The negative log-likelihood of normal distributions whose means and variances are both predicted.

    For n targets the network has 2 n outputs: the means m of all targets, then the logarithms s of their variances. The
    loss is the mean over the targets of `(log v + (y - m)^2 / v) / 2` with `v = e^s + epsilon` (Nix and Weigend, 1994).
    `GaussianNLLLoss` of PyTorch is the same for the variance v; there eps limits a variance from below.

    Parameters
    ----------
    epsilon : float
        The smallest variance; at least 1e-30.

    Raises
    ------
    ValueError, TypeError
        If epsilon is out of range or not a number.

    Examples
    --------
    >>> net = Network([8, 32, 2], loss=GaussianNLL())
    >>> mean, deviation = net.predict(X)[:, 0], np.exp(net.predict(X)[:, 1] / 2)
    """

    epsilon: float = 1e-6

    name = "gaussian_nll"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1e-30 <= self.epsilon <= 1e15, self, "epsilon", self.epsilon, "greater than 0, and at most 1e15")

    def target_columns(self, outputs: int) -> int:
        """Return half the number of outputs."""
        if outputs % 2:
            raise ValueError(
                f"the loss gaussian_nll needs two outputs for each target, mean and log variance, got {outputs}"
            )
        return outputs // 2

    def estimates(self, outputs: int) -> slice:
        """Return the means."""
        return slice(outputs // 2)


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


@dataclass(frozen=True, eq=False, repr=False)
class BinaryFocalCrossentropy(Loss):
    """The focal loss (Lin et al., 2017): a binary cross-entropy in which outputs that are nearly right count less.

    It is the sum over the outputs of the binary cross-entropy times `q^gamma`, where `q = a (1 - y) + (1 - a) y` is the
    error of the output. With alpha, it is also multiplied by alpha for y = 1 and by 1 - alpha for y = 0.

    Parameters
    ----------
    gamma : float
        How much less; at most 1000. 0 gives the binary cross-entropy.
    alpha : float, optional
        The weight of class 1, between 0 and 1; 0.25 in the paper. None gives both classes the weight 1.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type.

    Examples
    --------
    >>> Network([30, 16, 1], output="sigmoid", loss=BinaryFocalCrossentropy(2.0, alpha=0.25))
    """

    gamma: float = 2.0
    alpha: float | None = None

    name = "binary_focal_crossentropy"
    targets = "binary"
    partner = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gamma <= 1e3, self, "gamma", self.gamma, "from 0 to 1000")
        if self.alpha is not None:
            alpha = number(self.alpha, "binary_focal_crossentropy: alpha")
            require(0 < alpha < 1, self, "alpha", alpha, "None, or between 0 and 1")
            object.__setattr__(self, "alpha", alpha)

    @property
    def parameters(self) -> tuple[float, ...]:
        """Gamma, and the weights of class 1 and class 0."""
        return (self.gamma, 1.0, 1.0) if self.alpha is None else (self.gamma, self.alpha, 1.0 - self.alpha)


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
        Gamma(),
        Tweedie(),
        Quantile(),
        GaussianNLL(),
        Hinge(),
        BinaryCrossentropy(),
        BinaryFocalCrossentropy(),
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
