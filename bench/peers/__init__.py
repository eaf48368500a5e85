"""Who competes: one module a library, each trains and predicts the same networks in that library's quickest way.

A module's functions are imported in a worker process alone (`bench.worker`), so that no library's threads or memory are
another's. `trainer(workload, threads)` gives a function that trains for some epochs and returns the loss of each, the
mean over its steps; `predictor(workload, threads)` one that predicts all rows. Both start from `workload.weights()`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Train: TypeAlias = Callable[[int], Sequence[float]]
Predict: TypeAlias = Callable[[], Any]


class Unavailable(Exception):
    """What a competitor needs is not there; the text says what."""


@dataclass(frozen=True)
class Competitor:
    """One way to train or predict.

    Parameters
    ----------
    name : str
        Of the library, as the tables show it.
    module, imports : str
        The module of `bench.peers`, and the package that it needs.
    way : str
        One of several ways of the same library, of which the quicker counts.
    """

    name: str
    module: str
    imports: tuple[str, ...]
    way: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.way}".strip()

    @property
    def missing(self) -> str:
        """Why it cannot take part, or nothing."""
        absent = [name for name in self.imports if importlib.util.find_spec(name) is None]
        return f"{self}: {' and '.join(absent)} not installed" if absent else ""


FASTMLP = Competitor("fastmlp", "ours", ("fastmlp",))
REFERENCE = Competitor("reference", "textbook", ("fastmlp",))
EAGER = Competitor("PyTorch", "pytorch", ("torch",), "eager")
COMPILED = Competitor("PyTorch", "pytorch", ("torch",), "compiled")
JAX = Competitor("JAX", "xla", ("jax",))
SKLEARN = Competitor("scikit-learn", "scikit", ("sklearn",))
ONNXRUNTIME = Competitor("ONNX Runtime", "onnxrt", ("onnxruntime", "onnx"))

TRAINING = (FASTMLP, REFERENCE, EAGER, COMPILED, JAX, SKLEARN)
PREDICTION = (FASTMLP, REFERENCE, EAGER, JAX, SKLEARN, ONNXRUNTIME)
MEMORY = (FASTMLP, EAGER, JAX, SKLEARN)
OWN = (FASTMLP.name, REFERENCE.name)  # everybody else is a peer
