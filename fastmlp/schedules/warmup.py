"""A rise before another schedule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmlp.schedules.base import Floats, Schedule, resolve


@dataclass(frozen=True)
class Warmup(Schedule):
    """A straight line up to the first rate of a schedule, then that schedule from its own first step.

    Parameters
    ----------
    steps : int
        How many steps lie before the schedule's first.
    schedule : Schedule or float
        What follows; a number is a `ConstantRate`.
    start : float
        The rate of the first step, at least 0.
    """

    steps: int
    schedule: Schedule | float
    start: float = 0.0

    name = "warmup"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "schedule", resolve(self.schedule))

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        after = resolve(self.schedule).rates(np.maximum(steps - self.steps, 0))  # their first rate for those before
        return np.where(steps < self.steps, self.start + (after - self.start) * (steps / self.steps), after)
