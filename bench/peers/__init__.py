"""The competitors: a module for each library, which trains and predicts the same networks in its fastest way.

Only a worker process (`bench.worker`) imports such a module, so that libraries share no threads and no memory.
`trainer(workload, threads)` returns a function that trains for some epochs and returns the loss of each epoch, the mean
over its steps. `predictor(workload, threads)` returns a function that predicts all rows. `caller(workload, threads,
way)` returns a function that does with NumPy's arrays what one of `CALLS` does. All start from `workload.weights()`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Train: TypeAlias = Callable[[int], Sequence[float]]
Predict: TypeAlias = Callable[[], Any]
Call: TypeAlias = Callable[[], Any]


class Unavailable(Exception):
    """Raised if a competitor lacks something; the message says what."""


@dataclass(frozen=True)
class Competitor:
    """One way to train or predict.

    Parameters
    ----------
    name : str
        The name of the library in the tables.
    module : str
        The module of `bench.peers`.
    imports : tuple of str
        The packages that it needs.
    way : str
        A variant of the same library; the fastest variant counts.
    """

    name: str
    module: str
    imports: tuple[str, ...]
    way: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.way}".strip()

    @property
    def missing(self) -> str:
        """The reason why the competitor cannot take part, or an empty text."""
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
CALLS = ("train_on_batch", "train_on_gradient", "predict")
CALLING = (FASTMLP, EAGER, JAX)
MEMORY = (FASTMLP, EAGER, JAX, SKLEARN)
OWN = (FASTMLP.name, REFERENCE.name)  # everybody else is a peer
