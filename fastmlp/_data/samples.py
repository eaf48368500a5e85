"""Samples: X, y and the weights of the rows, checked against the architecture of a network."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from fastmlp._data.arrays import Table, Targets, check_inputs, check_targets
from fastmlp._data.weights import Weights, check_weights
from fastmlp.architecture import Architecture


class Samples(NamedTuple):
    """Samples that suit a network, checked by `check_samples`.

    Parameters
    ----------
    X : ndarray or SelectedRows, shape (n, inputs)
        Finite real numbers of any dtype and layout.
    targets : Targets
        The target of each row.
    weights : ndarray, SelectedRows or ClassWeights of shape (n,), or None
        The weight of each row. None stands for equal weights.
    """

    X: Table
    targets: Targets
    weights: Weights | None


def check_samples(
    X: Any, y: ArrayLike, sample_weight: ArrayLike | None, architecture: Architecture, of: str = ""
) -> Samples:
    """Check X, y and the weights of the rows; return them as samples, of which there is at least one.

    Parameters
    ----------
    X, y, sample_weight
        The arguments of `Network.fit` and `Network.evaluate`.
    architecture : Architecture
        The network that the samples must suit.
    of : str
        Text after the names of the arguments in messages, such as " of validation_data".

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If a shape or a value does not suit the network, or X has no rows.
    """
    checked = check_inputs(X, architecture, f"X{of}")
    if not len(checked):
        raise ValueError(f"X{of} must have at least one row, got none")
    targets = check_targets(y, len(checked), architecture, f"y{of}")
    return Samples(checked, targets, check_weights(sample_weight, len(checked), of))
