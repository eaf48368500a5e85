"""A schedule that rises to the first rate of another schedule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmlp.schedules.base import Floats, Schedule, resolve


@dataclass(frozen=True, eq=False, repr=False)
class Warmup(Schedule):
    """Raise the rate in a straight line to the first rate of a schedule, then follow that schedule from its first step.

    With r(t) the rate of `schedule` in its step t, the rate is `start + (r(0) - start) * step / steps` in the first
    `steps` steps, and `r(step - steps)` from then on.

    Parameters
    ----------
    steps : int
        The number of steps before the first step of the schedule, at least 1.
    schedule : Schedule or float
        The schedule that follows; a number means a constant rate.
    start : float
        The rate of the first step, at least 0.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type, or `schedule` is neither a schedule nor a number.

    Examples
    --------
    >>> from fastmlp import Warmup
    >>> Warmup(4, 1.0).rates([0, 1, 2, 3, 4, 5])
    array([0.  , 0.25, 0.5 , 0.75, 1.  , 1.  ])
    """

    steps: int
    schedule: Schedule | float
    start: float = 0.0

    name = "warmup"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "schedule", resolve(self.schedule))

    def _rates(self, steps: NDArray[np.int64]) -> Floats:
        after = resolve(self.schedule).rates(np.maximum(steps - self.steps, 0))  # r(0) for the steps of the warm-up
        return np.where(steps < self.steps, self.start + (after - self.start) * (steps / self.steps), after)
