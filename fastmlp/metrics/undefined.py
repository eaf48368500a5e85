"""Metrics that are undefined for some rows: what they count as, and the warning that says so."""

from __future__ import annotations

import math
from typing import NamedTuple

from fastmlp._runtime.user_warnings import warn_user


class UndefinedMetricWarning(UserWarning):
    """Warns that a metric is undefined for the given rows, and says what it counts as."""


class Undefined(NamedTuple):
    """Why a metric cannot tell good predictions of some rows from bad ones, and its value for these rows.

    Parameters
    ----------
    reason : str
        What the metric needs, and what was given.
    value : float
        NaN, or the number that the metric counts as by convention.
    """

    reason: str
    value: float


def warn_undefined(name: str, reason: str, value: float) -> None:
    """Warn that a metric is undefined, and that it counts as `value`."""
    number = "NaN" if math.isnan(value) else f"{value:g}"
    warn_user(f"{name} is undefined and counts as {number}: {reason}", UndefinedMetricWarning)
