"""The networks whose training steps are timed, from a toy to one that fills the caches, and what each starts from.

Only NumPy is imported here: every competitor reads its data in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 1e-3  # of Adam, everywhere; its other numbers are the defaults of PyTorch
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Workload:
    """A network, its batch and how many rows an epoch has.

    Parameters
    ----------
    sizes : tuple of int
        Inputs, then units of each layer.
    batch_size, rows : int
        Rows of a step and of an epoch, which is a whole number of steps.
    activation : str
        Of the hidden layers: "relu" or "tanh".
    output : str
        Of the last layer: "softmax", with cross-entropy, or "linear", with the squared error.
    """

    sizes: tuple[int, ...]
    batch_size: int
    rows: int
    activation: str = "relu"
    output: str = "softmax"

    def __post_init__(self) -> None:
        if self.rows % self.batch_size:
            raise ValueError(f"{self.rows} rows are no whole number of batches of {self.batch_size}")

    @property
    def name(self) -> str:
        """The sizes, as the tables show them."""
        return "-".join(map(str, self.sizes))

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self.rows // self.batch_size

    @property
    def flops(self) -> float:
        """Floating-point operations of the products of one step: forward, delta but for the inputs, and dW."""
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        return 2.0 * self.batch_size * sum(k * n * (3 if l else 2) for l, (k, n) in enumerate(pairs))

    @property
    def forward_flops(self) -> float:
        """Floating-point operations of the products of one forward pass over a batch."""
        return 2.0 * self.batch_size * sum(k * n for k, n in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum((k + 1) * n for k, n in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def targets(self) -> int:
        """Numbers of y in a row."""
        return 1 if self.output == "softmax" else self.sizes[-1]

    def memory_traffic(self, cache_bytes: float) -> float:
        """The bytes that one step moves between memory and processor at least.

        Counted are the parameters and Adam's two slots, read and written once, and X and y of the batch, read once;
        activations and deltas can stay in a cache. Where parameters, slots and all rows of an epoch together fit into
        the largest cache, nothing has to move.
        """
        state, row = 3 * 4 * self.parameters, 4 * (self.sizes[0] + self.targets)
        if state + row * self.rows <= cache_bytes:
            return 0.0
        return 2.0 * state + row * self.batch_size

    def data(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Random rows with targets that suit the output."""
        generator = np.random.default_rng(0)
        X = generator.standard_normal((self.rows, self.sizes[0]), np.float32)
        if self.output == "softmax":
            return X, generator.integers(0, self.sizes[-1], self.rows)
        return X, generator.standard_normal((self.rows, self.sizes[-1]), np.float32)

    def weights(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Of each layer W (inputs, units) and b (units,), to start from."""
        generator = np.random.default_rng(1)
        return [
            (generator.standard_normal((k, n), np.float32) * np.float32(np.sqrt(1 / k)), np.zeros(n, np.float32))
            for k, n in zip(self.sizes, self.sizes[1:], strict=False)
        ]


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
LARGEST = WORKLOADS[4]  # the one whose peak of memory is told

# What is predicted: all rows in one call.
PREDICTIONS = (
    Workload((30, 16, 8, 2), 1, 1),
    Workload((784, 128, 10), 1, 1),
    Workload((30, 16, 8, 2), 16384, 16384),
    Workload((784, 256, 256, 256, 10), 16384, 16384),
)
