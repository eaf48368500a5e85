"""Schedules: learning rates that change from step to step.

A schedule is a frozen object that holds only its numbers. The rate of a step depends on the number of the step alone,
counted from 0 for the first step of the optimizer. A late step therefore costs no more than the first one, and a fit
that continues an earlier fit continues its rates. Every rate has the same bits on every machine
(`fastmlp._runtime.plain_math`).

To add a schedule, touch these places:

1. A class in `decays`, `cosines` or `warmup`: its numbers as dataclass fields, `name`, and `_rates`, which computes the
   rates of an array of steps. Use `power` and `cosine_of_pi` of `plain_math` instead of NumPy's functions.
2. This module: the import, `__all__`, and an example in `SCHEDULES`.
3. `fastmlp/__init__.py` and `fastmlp/__init__.pyi`: the public name.
4. Tests: the formula in `FORMULAS`, examples in `CASES` and wrong numbers in `WRONG` of
   `tests/schedules/test_schedules.py`, and an example in `SHORT` of `tests/optimizers/test_optimizers.py`.
5. `docs/training.md`: a line.

Optimizers, the model file and checkpoints then work without further changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastmlp._runtime import settings
from fastmlp._runtime.names import module_attributes
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
"""One example of each class, by name. Most numbers have no defaults; those here are examples."""


def from_dict(stored: Any) -> Schedule:
    """Return the schedule that `Schedule.to_dict` described; the inverse of that method.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or a number is missing, unknown, of the wrong type or out of range.
    """
    if isinstance(stored, dict) and isinstance(stored.get("schedule"), dict):
        stored = {**stored, "schedule": from_dict(stored["schedule"])}
    return settings.from_dict(stored, SCHEDULES, "schedule")


if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
