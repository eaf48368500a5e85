"""The losses a network can minimise: one table of names, of the targets each takes and of its exact partner.

The formula of each stands in `fastmlp.reference`, its compiled form in `fastmlp.kernels.losses`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastmlp._checks import lookup


@dataclass(frozen=True)
class Loss:
    """What a network needs to know of a loss beside its formula.

    Parameters
    ----------
    name : str
        The name used in `Network`, in saved models and in the tables of the reference and the kernels.
    targets : {"classes", "binary", "values"}
        What y holds: class labels or rows of class probabilities; numbers from 0 to 1; any numbers.
    partner : str or None
        The output activation with which the gradient with respect to Z is computed exactly, without clipping.
    parameters : tuple of float
        Numbers that the formula takes, handed to its block function; none of today's losses has any.
    """

    name: str
    targets: Literal["classes", "binary", "values"] = "values"
    partner: str | None = None
    parameters: tuple[float, ...] = ()


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("mean_squared_error"),
        Loss("binary_crossentropy", targets="binary", partner="sigmoid"),
        Loss("categorical_crossentropy", targets="classes", partner="softmax"),
    )
}


def resolve(loss: str | Loss) -> Loss:
    """The loss of that name, or the object itself.

    Raises
    ------
    ValueError
        If no loss has that name; the message lists those there are.
    TypeError
        If it is neither a name nor a `Loss`.
    """
    return lookup(loss, Loss, LOSSES, "loss")
