"""Schedules along a cosine: one fall, falls with restarts, and one cycle of rise and fall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.plain_math import cosine_of_pi
from fastmlp._runtime.settings import require
from fastmlp.schedules.base import Floats, Schedule, finite_power


@dataclass(frozen=True, eq=False, repr=False)
class CosineDecay(Schedule):
    """Let the rate fall along half a wave of the cosine to `alpha` times the initial rate, where it stays, as in Keras.

    Up to `decay_steps` the rate is
    `initial_learning_rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)` (Loshchilov and Hutter,
    2017), and `initial_learning_rate * alpha` from then on.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    decay_steps : int
        The number of steps after which the rate has reached its end, at least 1.
    alpha : float
        The last rate as a share of the initial rate, from 0 to 1.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type.

    Examples
    --------
    >>> from fastmlp import CosineDecay
    >>> CosineDecay(0.5, decay_steps=10).rates([0, 5, 10, 11])
    array([0.5 , 0.25, 0.  , 0.  ])
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0

    name = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha <= 1, self, "alpha", self.alpha, "from 0 to 1")

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        return self.initial_learning_rate * _cosine(np.minimum(steps / self.decay_steps, 1.0), 1.0, self.alpha)


@dataclass(frozen=True, eq=False, repr=False)
class CosineDecayRestarts(Schedule):
    """Let the rate fall along half a wave of the cosine, again and again, as in Keras.

    Cycle i, counted from 0, is `first_decay_steps * t_mul ** i` steps long. At the share s of its length, from 0 to 1,
    the rate is `initial_learning_rate * ((1 - alpha) * m_mul ** i * (1 + cos(pi * s)) / 2 + alpha)` (Loshchilov and
    Hutter, 2017). If `m_mul` is 1, this is PyTorch's CosineAnnealingWarmRestarts.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    first_decay_steps : int
        The length of the first cycle in steps, at least 1.
    t_mul : float
        The factor from the length of one cycle to the next, at least 1.
    m_mul : float
        The factor from the first rate of one cycle to the next, positive.
    alpha : float
        The end of each cycle as a share of the initial rate, from 0 to 1.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type.
    """

    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0

    name = "cosine_restarts"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.t_mul >= 1, self, "t_mul", self.t_mul, "at least 1")
        require(self.m_mul > 0, self, "m_mul", self.m_mul, "positive")
        require(self.alpha <= 1, self, "alpha", self.alpha, "from 0 to 1")

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        time = steps / self.first_decay_steps
        cycle, begin, length = _cycles(time, self.t_mul)
        height = finite_power(self.m_mul, cycle)
        return self.initial_learning_rate * _cosine((time - begin) / length, height, self.alpha)


@dataclass(frozen=True, eq=False, repr=False)
class OneCycle(Schedule):
    """Raise the rate from a low value to the highest, then lower it to almost nothing, as PyTorch's OneCycleLR does.

    The rate goes from `max_learning_rate / div_factor` to `max_learning_rate` in the first `pct_start` of the steps,
    then down to `max_learning_rate / div_factor / final_div_factor`, which is the rate of the last of `total_steps` and
    of every later step (Smith and Topin, 2019). Unlike in PyTorch, the momentum does not change.

    Parameters
    ----------
    max_learning_rate : float
        The highest rate, at least 0.
    total_steps : int
        The length of the cycle in steps, at least 1.
    pct_start : float
        The share of the steps in which the rate rises: less than 1, less than 0.5 with `three_phase`, and more than
        one step.
    div_factor : float
        The highest rate divided by the first rate, positive.
    final_div_factor : float
        The first rate divided by the last rate, positive.
    anneal_strategy : {"cos", "linear"}
        Whether the rate moves along half a wave of the cosine or in a straight line.
    three_phase : bool
        Whether the rate falls to the first rate in as many steps as it rose, and then to the last rate.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or of the wrong type.
    """

    max_learning_rate: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    anneal_strategy: str = "cos"
    three_phase: bool = False

    name = "one_cycle"

    def __post_init__(self) -> None:
        super().__post_init__()
        limit = 0.5 if self.three_phase else 1.0
        require(self.pct_start < limit, self, "pct_start", self.pct_start, f"less than {limit:g}")
        rise = self.pct_start * self.total_steps
        require(rise > 1, self, "pct_start * total_steps", rise, "more than 1 step")
        require(self.div_factor > 0, self, "div_factor", self.div_factor, "positive")
        require(self.final_div_factor > 0, self, "final_div_factor", self.final_div_factor, "positive")
        known = self.anneal_strategy in ("cos", "linear")
        require(known, self, "anneal_strategy", self.anneal_strategy, "'cos' or 'linear'")

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        highest, first = self.max_learning_rate, self.max_learning_rate / self.div_factor
        rise, end = self.pct_start * self.total_steps, self.total_steps - 1.0
        corners = [(0.0, first), (rise - 1.0, highest), (end, first / self.final_div_factor)]  # (step, rate)
        if self.three_phase:
            corners.insert(2, (2.0 * rise - 2.0, first))
        time = np.minimum(steps, end)
        rates = np.empty(steps.shape)
        for (begin, start), (finish, stop) in zip(corners[-2::-1], corners[:0:-1], strict=True):  # the last phase first
            share = (time - begin) / (finish - begin)
            way = 0.5 - 0.5 * cosine_of_pi(share) if self.anneal_strategy == "cos" else share
            rates = np.where(time <= finish, start + (stop - start) * way, rates)
        return rates


def _cosine(share: Floats, height: Floats | float, alpha: float) -> Floats:
    """Return half a wave of the cosine, from about `height` at share 0 to `alpha` at share 1."""
    return (1.0 - alpha) * (0.5 * height * (1.0 + cosine_of_pi(share))) + alpha


def _cycles(time: Floats, growth: float) -> tuple[Floats, Floats, Floats]:
    """Find the cycle of each time, where cycle i has the length `growth ** i`.

    The number of the cycle is found bit by bit, from the highest bit: the n cycles after the first i cycles are
    together `growth ** i` times as long as the first n cycles. No logarithm has to be rounded, and the result is exact
    if `growth` is a whole number.

    Returns
    -------
    cycle, begin, length : arrays in the shape of `time`
        The number of the cycle, counted from 0; the time at which it begins; its length.
    """
    counts, lengths, sums = [1.0], [growth], [1.0]  # for n = 1, 2, 4, ...: n, the length of cycle n, of the first n
    while sums[-1] <= time.max(initial=0.0):
        sums.append(sums[-1] * (1.0 + lengths[-1]))
        lengths.append(lengths[-1] * lengths[-1])
        counts.append(2.0 * counts[-1])
    cycle, begin, length = np.zeros_like(time), np.zeros_like(time), np.ones_like(time)
    # A fractional growth is rounded: a time that is less than 3e-14 of itself below a border counts as the border.
    reached = time * (1.0 + 2.0**-45)
    for n, growth_of_n, total in zip(counts[::-1], lengths[::-1], sums[::-1], strict=True):
        border = begin + length * total
        over = border <= reached
        cycle, begin = np.where(over, cycle + n, cycle), np.where(over, border, begin)
        length = np.where(over, length * growth_of_n, length)
    return cycle, begin, length
