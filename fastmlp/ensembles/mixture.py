"""What the predictions of several networks say together: a mixture of distributions with equal weights.

Without a loss that predicts a distribution, each member stands for the single value that it predicts, so the spread is
that of the members. With `GaussianNLL` each member predicts a normal distribution N(m, v), and the mixture has the mean
`mean_i m_i` and the variance `mean_i v_i + var_i m_i` (Lakshminarayanan, Pritzel and Blundell, 2017): what the members
say of the noise, and how far they disagree.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.normal import normal_cdf
from fastmlp._runtime.plain_math import exponential, logarithm
from fastmlp.losses import GaussianNLL, Loss, Quantile

Floats = NDArray[np.float64]

_BISECTION = 8  # every such iteration is one; Newton's method alone takes 5 to 8 for members of similar scales
_MAX_ITERATIONS = _BISECTION * 65  # 64 bisections leave one number
_TOLERANCE = 1e-12  # of the level; normal_cdf has a relative error of 2e-14
_LARGEST_DEVIATION = 1e150  # of a normal distribution in a mixture, so that no difference overflows


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
        return cls(outputs[:, :, :half], exponential(outputs[:, :, half:]) + loss.epsilon)

    def mean(self) -> Floats:
        """Return the mean, (n, columns)."""
        return _mean(self.values)

    def variance(self) -> Floats:
        """Return the variance, (n, columns)."""
        disagreement = _mean((self.values - self.mean()) ** 2)
        return disagreement if self.variances is None else disagreement + _mean(self.variances)

    def outputs(self, loss: Loss) -> Floats:
        """Return what a single network with this loss would have to predict, (n, outputs)."""
        if not isinstance(loss, GaussianNLL):
            return self.mean()
        numbers = np.finfo(np.float64)
        noise = np.clip(self.variance() - loss.epsilon, numbers.tiny, numbers.max)  # the loss adds its epsilon again
        return np.concatenate([self.mean(), logarithm(noise)], axis=1)

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
    members, rows, columns = outputs.shape
    learned = np.sort(outputs.reshape(members, rows, columns // len(loss.levels), len(loss.levels)), axis=3)
    chosen = _mean(learned[..., [loss.levels.index(level) for level in levels]])
    return np.moveaxis(chosen, 2, 0)


def _mean(values: Floats) -> Floats:
    """Return the mean over the members, added in their order: `numpy.mean` adds in another one if there is one row."""
    total: Floats = values[0].copy()
    for each in values[1:]:
        total += each
    return total / len(values)


def _normal_mixture_quantile(means: Floats, deviations: Floats, level: float) -> Floats:
    """Solve `mean_i Phi((x - m_i) / s_i) = level` for x, (n, columns); means and deviations are (members, n, columns).

    The quantile of a mixture lies between the smallest and the largest of its members. Newton's method searches there,
    for the logarithm of both sides, which is smoother in the tail. Bisection replaces a step that leaves the bracket,
    and every eighth. A level above 1/2 is solved from above, where `1 - level` and the tail have all their digits.
    """
    if level > 0.5:
        return -_normal_mixture_quantile(-means, deviations, 1.0 - level)
    deviations = np.minimum(deviations, _LARGEST_DEVIATION)
    z = round(NormalDist().inv_cdf(level), 6)  # its last bits depend on the machine
    low, high = (means + deviations * (z - 1e-6)).min(axis=0), (means + deviations * (z + 1e-6)).max(axis=0)
    x = _mean(means + deviations * z)
    for iteration in range(_MAX_ITERATIONS):
        scaled = (x - means) / deviations
        share = _mean(normal_cdf(scaled))
        low, high = np.where(share < level, x, low), np.where(share > level, x, high)
        done = (np.abs(share - level) <= _TOLERANCE * level) | (high <= np.nextafter(low, np.inf))
        done |= np.isnan(share)  # a member predicts NaN or infinity
        if done.all():
            break
        with np.errstate(all="ignore"):
            density = _mean(exponential(-0.5 * scaled * scaled) / deviations) / math.sqrt(2 * math.pi)
            new = x - share * logarithm(np.maximum(share, np.finfo(np.float64).tiny) / level) / density
        bisects = ~((new > low) & (new < high)) | (iteration % _BISECTION == _BISECTION - 1)
        x = np.where(done, x, np.where(bisects, _middle(low, high), new))
    return x


def _middle(low: Floats, high: Floats) -> Floats:
    """Return the number in the middle of all float64 numbers from low to high.

    64 such bisections leave one number, whatever the scales of the members. Halves of a difference would need 1000.
    """
    low_place, high_place = _place(low.view(np.int64)), _place(high.view(np.int64))
    middle = (low_place & high_place) + ((low_place ^ high_place) >> 1)  # their mean, which does not overflow
    return _place(middle).view(np.float64)


def _place(bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return integers in the order of the float64 numbers with these bits; the function is its own inverse."""
    return bits ^ ((bits >> 63) & np.iinfo(np.int64).max)
