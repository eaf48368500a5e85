"""The networks whose training steps are timed, from a toy to one that fills the caches, with data and initial weights.

This module imports only NumPy, because every competitor makes its data in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = ("float32", "float64")
RATE = 1e-3  # of Adam, for every network; the other numbers are the defaults of PyTorch
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Workload:
    """A network, its batch size and the number of rows in an epoch.

    Parameters
    ----------
    sizes : tuple of int
        The number of inputs, then the units of each layer.
    batch_size, rows : int
        The rows of a step and of an epoch; an epoch is a whole number of steps.
    activation : str
        The activation of the hidden layers: "relu" or "tanh".
    output : str
        The activation of the last layer: "softmax", with cross-entropy, or "linear", with the squared error.
    dtype : str
        "float32" or "float64", of the data and of the weights.
    """

    sizes: tuple[int, ...]
    batch_size: int
    rows: int
    activation: str = "relu"
    output: str = "softmax"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.rows % self.batch_size:
            raise ValueError(f"rows must be a multiple of batch_size, got {self.rows} and {self.batch_size}")

    @property
    def name(self) -> str:
        """The sizes of the layers, as the tables show them."""
        return "-".join(map(str, self.sizes))

    @property
    def steps(self) -> int:
        """The number of steps in an epoch."""
        return self.rows // self.batch_size

    @property
    def flops(self) -> float:
        """The FLOPs of the products of one step: forward, delta (except for the inputs) and dW."""
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        return 2.0 * self.batch_size * sum(k * n * (3 if l else 2) for l, (k, n) in enumerate(pairs))

    @property
    def forward_flops(self) -> float:
        """The FLOPs of the products of one forward pass over a batch."""
        return 2.0 * self.batch_size * sum(k * n for k, n in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum((k + 1) * n for k, n in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def targets(self) -> int:
        """The number of values of y in a row."""
        return 1 if self.output == "softmax" else self.sizes[-1]

    def memory_traffic(self, cache_bytes: float) -> float:
        """Return the minimum number of bytes that one step moves between memory and processor.

        The parameters and the two slots of Adam are read and written once, and X and y of the batch are read once;
        activations and deltas can stay in a cache. If parameters, slots and all rows of an epoch fit into the largest
        cache together, nothing has to move.
        """
        number = np.dtype(self.dtype).itemsize
        state, row = 3 * number * self.parameters, number * (self.sizes[0] + self.targets)
        if state + row * self.rows <= cache_bytes:
            return 0.0
        return 2.0 * state + row * self.batch_size

    def data(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return random rows and targets that suit the output."""
        generator = np.random.default_rng(0)
        X = self._normal(generator, (self.rows, self.sizes[0]))
        if self.output == "softmax":
            return X, generator.integers(0, self.sizes[-1], self.rows)
        return X, self._normal(generator, (self.rows, self.sizes[-1]))

    def weights(self) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Return the initial W (inputs, units) and b (units,) of each layer."""
        generator = np.random.default_rng(1)
        return [
            (self._normal(generator, (k, n)) * np.asarray(np.sqrt(1 / k), self.dtype), np.zeros(n, self.dtype))
            for k, n in zip(self.sizes, self.sizes[1:], strict=False)
        ]

    def _normal(self, generator: np.random.Generator, shape: tuple[int, int]) -> NDArray[Any]:
        """Return float32 numbers from N(0, 1), in the dtype of the workload."""
        return generator.standard_normal(shape, np.float32).astype(self.dtype)


WORKLOADS = (
    Workload((30, 16, 8, 2), 32, 544),
    Workload((64, 64, 64, 1), 128, 4096, output="linear"),
    Workload((784, 128, 10), 64, 4096),
    Workload((784, 256, 256, 256, 10), 128, 4096),
    Workload((1024, 1024, 1024, 1024, 10), 512, 4096),
    Workload((4, 32, 16, 4), 10000, 10000, activation="tanh", output="linear"),
    Workload((64, 64, 64, 64, 64, 64, 64), 16384, 16384, output="linear"),
    Workload((30, 800, 400, 2), 32, 544),
)
TIMED = tuple(replace(workload, dtype=dtype) for workload in WORKLOADS for dtype in DTYPES)
LARGEST = WORKLOADS[4]  # the network whose peak memory is measured

# The predictions that are timed: all rows in one call.
PREDICTIONS = (
    Workload((30, 16, 8, 2), 1, 1),
    Workload((784, 128, 10), 1, 1),
    Workload((30, 16, 8, 2), 16384, 16384),
    Workload((784, 256, 256, 256, 10), 16384, 16384),
)
