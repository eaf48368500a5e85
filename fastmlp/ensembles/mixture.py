"""What the predictions of several networks say together: a mixture of distributions with equal weights.

Without a loss that predicts a distribution, each member stands for the single value that it predicts, so the spread is
that of the members. With `GaussianNLL` each member predicts a normal distribution N(m, v), and the mixture has the mean
`mean_i m_i` and the variance `mean_i v_i + var_i m_i` (Lakshminarayanan, Pritzel and Blundell, 2017): what the members
say of the noise, and how far they disagree.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.normal import normal_cdf
from fastmlp.losses import GaussianNLL, Loss, Quantile

Floats = NDArray[np.float64]

_MAX_ITERATIONS = 200
_TOLERANCE = 4 * np.finfo(np.float64).eps


class Mixture(NamedTuple):
    """The predictions of all members for some rows.

    Attributes
    ----------
    values : ndarray of shape (members, n, columns)
        The outputs, or the means of normal distributions.
    variances : ndarray of the same shape, or None
        The variances of normal distributions.
    """

    values: Floats
    variances: Floats | None

    @classmethod
    def of(cls, outputs: Floats, loss: Loss) -> Mixture:
        """Return the mixture of outputs (members, n, outputs) of networks with this loss."""
        if not isinstance(loss, GaussianNLL):
            return cls(outputs, None)
        half = outputs.shape[2] // 2
        with np.errstate(over="ignore"):
            return cls(outputs[:, :, :half], np.exp(outputs[:, :, half:]) + loss.epsilon)

    def mean(self) -> Floats:
        """Return the mean, (n, columns)."""
        mean: Floats = self.values.mean(axis=0)
        return mean

    def variance(self) -> Floats:
        """Return the variance, (n, columns)."""
        spread: Floats = self.values.var(axis=0)
        return spread if self.variances is None else spread + self.variances.mean(axis=0)

    def outputs(self, loss: Loss) -> Floats:
        """Return what a single network with this loss would have to predict, (n, outputs)."""
        if not isinstance(loss, GaussianNLL):
            return self.mean()
        least = np.finfo(np.float64).tiny  # the loss adds its epsilon again
        return np.concatenate([self.mean(), np.log(np.maximum(self.variance() - loss.epsilon, least))], axis=1)

    def quantiles(self, levels: tuple[float, ...]) -> Floats:
        """Return the quantiles of the mixture at some levels, (levels, n, columns)."""
        if self.variances is None:
            found: Floats = np.quantile(self.values, levels, axis=0)
            return found
        return np.stack([_normal_mixture_quantile(self.values, np.sqrt(self.variances), level) for level in levels])


def mean_learned_quantiles(outputs: Floats, loss: Quantile, levels: tuple[float, ...]) -> Floats:
    """Return the means over the members of the quantiles that they have learned, (levels, n, targets).

    The outputs of a member can cross; they are put in order first.
    """
    members, rows, _ = outputs.shape
    learned = np.sort(outputs.reshape(members, rows, -1, len(loss.levels)), axis=3)
    chosen: Floats = learned[..., [loss.levels.index(level) for level in levels]].mean(axis=0)
    return np.moveaxis(chosen, 2, 0)


def _normal_mixture_quantile(means: Floats, deviations: Floats, level: float) -> Floats:
    """Solve `mean_i Phi((x - m_i) / s_i) = level` for x, by Newton's method within a bracket.

    The quantile of a mixture lies between the smallest and the largest of its members.
    """
    each = means + deviations * NormalDist().inv_cdf(level)
    low, high = each.min(axis=0), each.max(axis=0)
    x = each.mean(axis=0)
    for iteration in range(_MAX_ITERATIONS):
        z = (x - means) / deviations
        error = normal_cdf(z).mean(axis=0) - level
        low, high = np.where(error < 0, x, low), np.where(error > 0, x, high)
        density = (np.exp(-0.5 * z * z) / deviations).mean(axis=0) / np.sqrt(2 * np.pi)
        with np.errstate(all="ignore"):
            new = x - error / density
        outside = ~((new > low) & (new < high))
        new = np.where(outside | (iteration % 4 == 3), 0.5 * (low + high), new)  # halves the bracket at least then
        new = np.where(error == 0, x, new)
        done = np.abs(new - x) <= _TOLERANCE * (np.abs(x) + deviations.max(axis=0))
        x = new
        if done.all() or np.all(high - low <= _TOLERANCE * (np.abs(x) + deviations.max(axis=0))):
            break
    return x
