"""Optimizers: what a network does with the gradient in each step. `LBFGS` does an iteration over all rows instead.

An optimizer is a frozen object that holds only its numbers. What it remembers of past gradients, its slots, belongs to
the network. `fastmlp.reference.optimizers` has the formulas in NumPy; `fastmlp.kernels.operations.optimizers` has the
compiled update rules. Formulas and defaults are those of PyTorch, except that the velocity of SGD contains the learning
rate, as in Keras and scikit-learn.

To add an optimizer that makes a step for each batch, touch these places:

1. `fastmlp/reference/optimizers.py`: the formula as a function, and an entry in its `OPTIMIZERS`.
2. `kernels/operations/optimizers.py`: the update rule for one vector of weights, and a line in its `UPDATES`.
3. A class in `descent`, `adaptive` or `adam`: its numbers as dataclass fields, `name`, `slots`, and `constants`, which
   returns what the update rule multiplies with, in the order in which the rule unpacks it.
4. This module: the import, `__all__`, and an instance with the defaults in `OPTIMIZERS`.
5. `fastmlp/__init__.py` and `fastmlp/__init__.pyi`: the public name.
6. Tests: `OPTIMIZERS` in `tests/cases.py` (kernels against the reference), a scalar formula in
   `tests/reference/test_reference.py`, and wrong numbers in `BAD` of `tests/optimizers/test_optimizers.py`.
7. `docs/training.md`: a line.

The model file, checkpoints, schedules and clipping then work without further changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastmlp import schedules
from fastmlp._runtime import settings
from fastmlp._runtime.checks import lookup
from fastmlp._runtime.names import module_attributes
from fastmlp.optimizers.adam import Adam, AdamW, Nadam
from fastmlp.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from fastmlp.optimizers.base import Optimizer, StepOptimizer
from fastmlp.optimizers.descent import SGD, Lion
from fastmlp.optimizers.lbfgs import LBFGS

__all__ = [
    "LBFGS",
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
    "StepOptimizer",
    "from_dict",
    "resolve",
]

OPTIMIZERS: dict[str, Optimizer] = {
    optimizer.name: optimizer
    for optimizer in (SGD(), RMSprop(), Adagrad(), Adadelta(), Adam(), AdamW(), Nadam(), Lion(), LBFGS())
}
"""Each optimizer with its default numbers, by name."""


def resolve(optimizer: str | Optimizer) -> Optimizer:
    """Return the optimizer with this name and default numbers, or the given object unchanged.

    Raises
    ------
    ValueError
        If no optimizer has this name; the message lists all names.
    TypeError
        If the argument is neither a string nor an `Optimizer`.
    """
    return lookup(optimizer, Optimizer, OPTIMIZERS, "optimizer")  # type: ignore[type-abstract]


def from_dict(stored: dict[str, Any]) -> Optimizer:
    """Return the optimizer that `Optimizer.to_dict` described; the inverse of that method.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or a number is missing, unknown, of the wrong type or out of range.
    """
    numbers = dict(stored)
    if isinstance(numbers.get("learning_rate"), dict):
        numbers["learning_rate"] = schedules.from_dict(numbers["learning_rate"])
    return settings.from_dict(numbers, OPTIMIZERS, "optimizer")


if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
