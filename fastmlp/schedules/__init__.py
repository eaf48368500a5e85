"""Learning rates that change from step to step: frozen objects of their numbers, without any state.

The rate of a step follows from its number alone, counted from 0 for the first step of the optimizer. So a step far out
costs what the first one does, and a fit that goes on where another ended goes on with its rates. Every rate has the
same bits on every machine (`fastmlp._runtime.plain_math`).
"""

from __future__ import annotations

from typing import Any

from fastmlp._runtime import settings
from fastmlp.schedules.base import ConstantRate, Schedule, resolve
from fastmlp.schedules.cosines import CosineDecay, CosineDecayRestarts, OneCycle
from fastmlp.schedules.decays import ExponentialDecay, InverseScaling, InverseTimeDecay, PolynomialDecay, StepDecay
from fastmlp.schedules.warmup import Warmup

__all__ = [
    "SCHEDULES",
    "ConstantRate",
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseScaling",
    "InverseTimeDecay",
    "OneCycle",
    "PolynomialDecay",
    "Schedule",
    "StepDecay",
    "Warmup",
    "from_dict",
    "resolve",
]

SCHEDULES: dict[str, Schedule] = {
    example.name: example
    for example in (
        ConstantRate(1e-3),
        StepDecay(1e-3, 1000),
        ExponentialDecay(1e-3, 1000, 0.5),
        InverseTimeDecay(1e-3, 1000, 1.0),
        InverseScaling(1e-3),
        PolynomialDecay(1e-3, 1000),
        CosineDecay(1e-3, 1000),
        CosineDecayRestarts(1e-3, 1000),
        OneCycle(1e-3, 1000),
        Warmup(1000, 1e-3),
    )
}
"""One of each kind; most have no defaults, and their numbers here are examples."""


def from_dict(stored: Any) -> Schedule:
    """The schedule that `Schedule.to_dict` described.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or a number is missing, unknown or out of range.
    """
    if isinstance(stored, dict) and isinstance(stored.get("schedule"), dict):
        stored = {**stored, "schedule": from_dict(stored["schedule"])}
    return settings.from_dict(stored, SCHEDULES, "schedule")
