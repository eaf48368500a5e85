"""The losses that suit a target, and the unit in which each is reported."""

from __future__ import annotations

import math

import numpy as np

from fastmlp import losses
from fastmlp.losses import Loss
from fastmlp.tables.schema import ClassTarget, Target

CLASS_LOSSES = ("categorical_crossentropy", "kl_divergence")
"""The losses for classes: those whose outputs are the probabilities of classes."""

NUMBER_LOSSES = {
    "mean_squared_error": 2,
    "half_squared_error": 2,
    "huber": 2,
    "log_cosh": 2,
    "mean_absolute_error": 1,
}
"""The losses for numbers, and the power of the target's unit in which each is reported."""


def resolve_loss(loss: str | Loss, target: Target) -> Loss:
    """Return the loss with a name, or the loss itself.

    Raises
    ------
    ValueError, TypeError
        If there is no such loss, or it does not suit the target.
    """
    found = losses.resolve(loss)
    offered = tuple(NUMBER_LOSSES)
    if isinstance(target, ClassTarget):
        offered = CLASS_LOSSES if target.outputs > 1 else ("binary_crossentropy",)  # of the sigmoid of a single class
    if found.name not in offered:
        what = "classes" if isinstance(target, ClassTarget) else "numbers"
        raise ValueError(
            f"the loss {found.name} does not suit the target {target.name!r}, which holds {what}; take one of "
            f"{', '.join(offered)}"
        )
    return found


def loss_units(loss: Loss, target: Target) -> dict[str, float]:
    """Return the factors by which losses and metrics of a standardised target are multiplied for its own unit."""
    if isinstance(target, ClassTarget):
        return {}
    with np.errstate(over="ignore", under="ignore"):
        loss_unit = float(np.float64(target.deviation) ** NUMBER_LOSSES.get(loss.name, 0))
    units = {"loss": loss_unit, "mean_absolute_error": target.deviation}
    return units if 0 < loss_unit < math.inf else {}  # the square of a deviation beyond 1e154 is infinite
