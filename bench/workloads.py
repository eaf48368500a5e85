"""The networks whose training steps are timed, from a toy to one that fills the caches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Workload:
    """A network, its batch and how many rows an epoch has.

    Parameters
    ----------
    sizes : tuple of int
        Inputs, then units of each layer.
    batch_size, rows : int
        Rows of a step and of an epoch.
    activation, output : str
        Of the hidden layers, and of the last.
    """

    sizes: tuple[int, ...]
    batch_size: int
    rows: int
    activation: str = "relu"
    output: str = "softmax"

    @property
    def name(self) -> str:
        """The sizes, as the tables show them."""
        return "-".join(map(str, self.sizes))

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.rows // self.batch_size)

    @property
    def flops(self) -> float:
        """Floating-point operations of the products of one step: forward, delta but for the inputs, and dW."""
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        return 2.0 * self.batch_size * sum(k * n * (3 if l else 2) for l, (k, n) in enumerate(pairs))

    def data(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Random rows with targets that suit the output."""
        generator = np.random.default_rng(0)
        X = generator.standard_normal((self.rows, self.sizes[0]), np.float32)
        if self.output == "softmax":
            return X, generator.integers(0, self.sizes[-1], self.rows)
        return X, generator.standard_normal((self.rows, self.sizes[-1]), np.float32)


WORKLOADS = (
    Workload((30, 16, 8, 2), 32, 544),
    Workload((64, 64, 64, 1), 128, 4096, output="linear"),
    Workload((784, 128, 10), 64, 4096),
    Workload((784, 256, 256, 256, 10), 128, 4096),
    Workload((1024, 1024, 1024, 1024, 10), 512, 2048),
    Workload((4, 32, 16, 4), 10000, 10000, activation="tanh", output="linear"),
    Workload((64, 64, 64, 64, 64, 64, 64), 16384, 16384, output="linear"),
    Workload((30, 800, 400, 2), 32, 544),
)
