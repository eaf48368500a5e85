"""`LBFGS`, which trains on all rows at once. SciPy does the work."""

from __future__ import annotations

from dataclasses import dataclass

from fastmlp._runtime.settings import require
from fastmlp.optimizers.base import Optimizer


@dataclass(frozen=True, eq=False, repr=False)
class LBFGS(Optimizer):
    """L-BFGS: each iteration of `fit` is a line search along a quasi-Newton direction of the loss over all rows.

    It suits small networks on data that one pass computes in milliseconds, where it finds far lower losses than steps
    of batches do. An epoch of the fit is an iteration: `epochs` is their maximum number. `batch_size` and `shuffle`
    have no effect. The fit ends when an iteration converges. There is no learning rate. The network must have no
    dropout, and the methods that make single steps, such as `train_on_batch`, need another optimizer. What L-BFGS knows
    of the curvature is not kept: a second fit begins anew from the weights of the first.

    It is SciPy's L-BFGS-B, so it needs scipy: `pip install "fastmlp[scipy]"`.

    Source: Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989.

    Parameters
    ----------
    memory : int
        How many of the last changes of weights and gradient describe the curvature.
    gtol : float
        The fit ends when no element of the gradient is larger.
    ftol : float
        The fit ends when an iteration lowers the loss by less than this, relative to the largest of both losses and 1.
    max_line_search : int
        The maximum number of losses that a line search computes.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or of the wrong type.

    Examples
    --------
    >>> net = Network([4, 32, 1], activation="tanh", optimizer=LBFGS(), dtype="float64", seed=0)
    >>> net.fit(X, y, epochs=500)
    """

    memory: int = 10
    gtol: float = 1e-5
    ftol: float = 2.220446049250313e-9  # SciPy's default
    max_line_search: int = 20

    name = "lbfgs"

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        require(self.memory <= 1000, self, "memory", self.memory, "at most 1000")
        require(self.max_line_search <= 1000, self, "max_line_search", self.max_line_search, "at most 1000")

    @property
    def slots(self) -> tuple[str, ...]:
        """None: nothing is kept from fit to fit."""
        return ()
