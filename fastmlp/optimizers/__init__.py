"""The optimizers: frozen objects of their numbers, and the constants that a compiled step takes from them.

`fastmlp.reference.optimizers` has the formulas, `fastmlp.kernels.operations.optimizers` their compiled form. They are
PyTorch's, with its defaults, except that the velocity of SGD contains the learning rate, as in Keras and scikit-learn.
"""

from __future__ import annotations

from typing import Any

from fastmlp import schedules
from fastmlp._runtime import settings
from fastmlp._runtime.checks import lookup
from fastmlp.optimizers.adam import Adam, AdamW, Nadam
from fastmlp.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from fastmlp.optimizers.base import Optimizer
from fastmlp.optimizers.descent import SGD, Lion

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "from_dict",
    "resolve",
]

OPTIMIZERS: dict[str, Optimizer] = {
    optimizer.name: optimizer
    for optimizer in (SGD(), RMSprop(), Adagrad(), Adadelta(), Adam(), AdamW(), Nadam(), Lion())
}


def resolve(optimizer: str | Optimizer) -> Optimizer:
    """The optimizer of that name with its defaults, or the object itself.

    Raises
    ------
    ValueError
        If no optimizer has that name; the message lists those there are.
    TypeError
        If it is neither a name nor an `Optimizer`.
    """
    return lookup(optimizer, Optimizer, OPTIMIZERS, "optimizer")  # type: ignore[type-abstract]


def from_dict(stored: dict[str, Any]) -> Optimizer:
    """The optimizer that `Optimizer.to_dict` described.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or a number is missing, unknown or out of range.
    """
    numbers = dict(stored)
    if isinstance(numbers.get("learning_rate"), dict):
        numbers["learning_rate"] = schedules.from_dict(numbers["learning_rate"])
    return settings.from_dict(numbers, OPTIMIZERS, "optimizer")
