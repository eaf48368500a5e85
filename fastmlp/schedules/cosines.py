"""Rates that follow a cosine: one fall, falls that begin again, and the rise and fall of one cycle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.plain_math import cosine_of_pi
from fastmlp._runtime.settings import require
from fastmlp.schedules.base import Floats, Schedule, factor


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Half a wave of the cosine from the initial rate to `alpha` times it, where it stays (Keras).

    `initial_learning_rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)`, after Loshchilov and
    Hutter (2017).

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    decay_steps : int
        After how many steps the rate is at its end.
    alpha : float
        The end, as a share of the initial rate, from 0 to 1.
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


@dataclass(frozen=True)
class CosineDecayRestarts(Schedule):
    """Falling cosines, each `t_mul` times as long and beginning `m_mul` times as high as the one before (Keras).

    PyTorch's CosineAnnealingWarmRestarts where `m_mul` is 1, after Loshchilov and Hutter (2017).

    Parameters
    ----------
    initial_learning_rate : float
        The rate of the first step, at least 0.
    first_decay_steps : int
        The length of the first fall, in steps.
    t_mul : float
        The growth of the falls' lengths, at least 1.
    m_mul : float
        The change of the rates that they begin at, positive.
    alpha : float
        Where they end, as a share of the initial rate, from 0 to 1.
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
        return self.initial_learning_rate * _cosine((time - begin) / length, factor(self.m_mul, cycle), self.alpha)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from a low rate to the highest and down to almost nothing (Smith and Topin, 2019), PyTorch's OneCycleLR.

    The momentum stays as it is.

    From `max_learning_rate / div_factor` to `max_learning_rate` over the share `pct_start` of the steps, then down to
    `max_learning_rate / div_factor / final_div_factor`, which the last of `total_steps` has, and every step after it.

    Parameters
    ----------
    max_learning_rate : float
        The highest rate, at least 0.
    total_steps : int
        The length of the cycle.
    pct_start : float
        The share of the steps in which the rate goes up, below 1 (below 0.5 with `three_phase`), and more than a step.
    div_factor, final_div_factor : float
        The highest rate over the first, the first over the last; positive.
    anneal_strategy : {"cos", "linear"}
        The way from one rate to the next.
    three_phase : bool
        Go down to the first rate in as many steps as up, and only then to the last one.
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
        top = 0.5 if self.three_phase else 1.0
        require(self.pct_start < top, self, "pct_start", self.pct_start, f"less than {top:g}")
        rise = self.pct_start * self.total_steps
        require(rise > 1, self, "pct_start * total_steps", rise, "more than 1 step")
        require(self.div_factor > 0, self, "div_factor", self.div_factor, "positive")
        require(self.final_div_factor > 0, self, "final_div_factor", self.final_div_factor, "positive")
        known = self.anneal_strategy in ("cos", "linear")
        require(known, self, "anneal_strategy", self.anneal_strategy, "'cos' or 'linear'")

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        highest, first = self.max_learning_rate, self.max_learning_rate / self.div_factor
        rise, end = self.pct_start * self.total_steps, self.total_steps - 1.0
        corners = [(0.0, first), (rise - 1.0, highest), (end, first / self.final_div_factor)]
        if self.three_phase:
            corners.insert(2, (2.0 * rise - 2.0, first))
        time = np.minimum(steps, end)
        rates = np.empty(steps.shape)
        for (begin, start), (finish, stop) in zip(corners[-2::-1], corners[:0:-1], strict=True):
            share = (time - begin) / (finish - begin)
            way = 0.5 - 0.5 * cosine_of_pi(share) if self.anneal_strategy == "cos" else share
            rates = np.where(time <= finish, start + (stop - start) * way, rates)
        return rates


def _cosine(share: Floats, height: Floats | float, alpha: float) -> Floats:
    """From `height` at share 0 to `alpha` at share 1."""
    return (1.0 - alpha) * (0.5 * height * (1.0 + cosine_of_pi(share))) + alpha


def _cycles(time: Floats, growth: float) -> tuple[Floats, Floats, Floats]:
    """In which cycle a time lies, when that began and how long it is, where cycle i is `growth ** i` long.

    The number of the cycle is found bit by bit, from the highest: `n` cycles after the first `i` take `growth ** i`
    times what the first `n` take. No logarithm has to be rounded, and all is exact where `growth` is whole.
    """
    counts, lengths, sums = [1.0], [growth], [1.0]  # of n = 1, 2, 4, ... cycles: n, the next one's length, their sum
    while sums[-1] <= time.max(initial=0.0):
        sums.append(sums[-1] * (1.0 + lengths[-1]))
        lengths.append(lengths[-1] * lengths[-1])
        counts.append(2.0 * counts[-1])
    cycle, begin, length = np.zeros_like(time), np.zeros_like(time), np.ones_like(time)
    # A fractional growth is rounded: a time that is a border but for 3e-14 of itself begins the cycle.
    reached = time * (1.0 + 2.0**-45)
    for n, growth_of_n, total in zip(counts[::-1], lengths[::-1], sums[::-1], strict=True):
        border = begin + length * total
        over = border <= reached
        cycle, begin = np.where(over, cycle + n, cycle), np.where(over, border, begin)
        length = np.where(over, length * growth_of_n, length)
    return cycle, begin, length
