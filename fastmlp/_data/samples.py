"""Samples: X, y and the weights of the rows, checked against the architecture of a network."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import FLOAT64, RowArray, converted, is_kernel_ready, select_rows
from fastmlp._data.inputs import check_rows
from fastmlp._data.names import Names
from fastmlp._data.targets import Targets, check_targets
from fastmlp._data.weights import Weights, check_weights, require_weight, select_weights, weights_are_kernel_ready
from fastmlp.architecture import Architecture


class Samples(NamedTuple):
    """Samples that suit a network, checked by `check_samples`.

    Parameters
    ----------
    X : RowArray of shape (n, inputs)
        Finite real numbers of any dtype and layout.
    targets : Targets
        The target of each row.
    weights : Weights of shape (n,), or None
        The weight of each row. None stands for the weight 1.
    """

    X: RowArray
    targets: Targets
    weights: Weights | None

    def select(self, rows: NDArray[np.int64]) -> Samples:
        """Return some of the samples: copies of small arrays, and `SelectedRows` of large ones."""
        X = select_rows(self.X, rows, self.targets.architecture.dtype)
        return Samples(X, self.targets.select(rows), select_weights(self.weights, rows))

    def are_kernel_ready(self) -> bool:
        """Return whether kernels can read all three where they are."""
        ready = self.targets.kernel_ready and weights_are_kernel_ready(self.weights)
        return ready and is_kernel_ready(self.X, self.targets.architecture.dtype)

    def fingerprint(self) -> int:
        """Return a checksum of the first, middle and last row, to recognize other samples."""
        rows = [0, len(self.X) // 2, len(self.X) - 1]
        y = self.targets.take(rows).as_array()
        return zlib.crc32(converted(self.X[rows], FLOAT64).tobytes() + converted(y, FLOAT64).tobytes())


def check_samples(
    X: Any,
    y: Any,
    sample_weight: ArrayLike | None,
    architecture: Architecture,
    names: Names | None = None,
    suffix: str = "",
) -> Samples:
    """Check X, y and the weights of the rows; return them as samples, of which there is at least one.

    X is not copied if it is an array. `check_targets` and `check_weights` copy y and the weights if they are small.

    Parameters
    ----------
    X, y, sample_weight
        The arguments of `Network.fit` and `Network.evaluate`.
    architecture : Architecture
        The network that the samples must suit.
    names : Names, optional
        The names that the network knows.
    suffix : str
        Text after the names of the arguments in messages, such as " of validation_data".

    Raises
    ------
    TypeError
        If an argument does not hold real numbers, or labels.
    ValueError
        If a shape, a value or a name does not suit the network, X has no rows, or all weights are 0.
    """
    inputs = check_rows(X, architecture, f"X{suffix}", names)
    targets = check_targets(y, len(inputs), architecture, f"y{suffix}", names)
    weights = check_weights(sample_weight, len(inputs), suffix)
    require_weight(weights, len(inputs), f"sample_weight{suffix}")
    return Samples(inputs, targets, weights)
