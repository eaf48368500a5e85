"""The loop of a fit on all rows at once: an epoch is an iteration of L-BFGS, which SciPy runs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import converted_if_small
from fastmlp._data.samples import Samples
from fastmlp._display.progress import ProgressLine
from fastmlp._engine import inference
from fastmlp._engine.epoch_loop import EpochLoop
from fastmlp._engine.evaluations import Evaluate
from fastmlp._engine.fit_job import FitJob
from fastmlp._engine.plan import Plans
from fastmlp._engine.step_runner import NonFiniteLossError
from fastmlp._runtime import blas, memory
from fastmlp._runtime.extras import needed_by
from fastmlp._runtime.user_warnings import warn_user
from fastmlp.history import History
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.kernels.layout import RESTS
from fastmlp.optimizers import LBFGS

if TYPE_CHECKING:
    from fastmlp.network import Network

_NO_LIMIT = 2**31 - 1  # of losses; epochs limit the iterations, and `max_line_search` the losses of one
_LINE_SEARCH_FAILED = 2  # SciPy's status


class Point(NamedTuple):
    """Weights, and the loss and its gradient there, in float64."""

    weights: NDArray[np.float64]
    loss: float
    gradient: NDArray[np.float64]


def working_bytes(optimizer: LBFGS, parameters: int) -> int:
    """Return the bytes that a fit takes beside the network and its plans: SciPy's workspace, and vectors of weights."""
    numbers = (2 * optimizer.memory + 5) * parameters + 11 * optimizer.memory**2
    return 8 * (numbers + 10 * parameters)


class FullBatchLoop(EpochLoop):
    """One fit of a network, on all rows at once.

    While a trial is evaluated the network has its weights. Otherwise it has those of the last iteration, which other
    threads see, and which an interrupted fit leaves.

    Parameters
    ----------
    network, evaluate, job, update, history, progress, signals
        As in `EpochLoop`.
    plans : Plans
        The plans of the network, of which the loss and its gradient are computed.
    samples : Samples
        The rows that train.

    Raises
    ------
    ImportError
        If SciPy or threadpoolctl is not installed.
    MemoryError
        If there is not enough memory.
    """

    def __init__(
        self,
        network: Network,
        evaluate: Evaluate,
        job: FitJob,
        plans: Plans,
        samples: Samples,
        update: Callable[[], AbstractContextManager[None]],
        history: History,
        progress: ProgressLine,
        signals: HeldSignals,
    ) -> None:
        with needed_by("LBFGS", "fastmlp[scipy]"):
            import scipy.optimize
            import threadpoolctl  # noqa: F401  `blas` uses it
        self._minimize = scipy.optimize.minimize
        super().__init__(network, evaluate, job, plans.parameters, update, history, progress, signals)
        architecture = self.parameters.architecture
        assert isinstance(architecture.optimizer, LBFGS)
        self.optimizer, size = architecture.optimizer, architecture.parameters
        advice = "a smaller memory of LBFGS or narrower layers would take less"
        memory.require(working_bytes(self.optimizer, size), f"L-BFGS of {size:,} parameters", advice)
        self.plans, self.samples = plans, samples._replace(X=converted_if_small(samples.X, architecture.dtype))
        self._flat = np.empty(size, architecture.dtype)
        self._kept: Point | None = None  # the last iteration
        self._latest: Point | None = None  # the last evaluation
        self._evaluations = 0  # of this iteration; the first of a fit counts as one before its iterations

    def _train(self, first: int, last: int) -> None:
        optimizer, state = self.optimizer, self.state
        self.parameters.flatten(self.parameters.weights, self._flat)
        self._start = self._flat.astype(np.float64)
        self._seen = self._changes()
        state.batch = 0
        if self._is_stopped():
            return
        with blas.single_threaded():
            result = self._minimize(
                self._loss_and_gradient,
                self._start,
                method="L-BFGS-B",
                jac=True,
                callback=lambda intermediate_result: self._end_iteration(intermediate_result.x, first, last),
                options={
                    "maxiter": last - first,
                    "maxfun": _NO_LIMIT,
                    "maxcor": optimizer.memory,
                    "gtol": optimizer.gtol,
                    "ftol": optimizer.ftol,
                    "maxls": optimizer.max_line_search,
                },
            )
        if state.epoch == first or self._evaluations > 1:  # nothing lowers the loss further: an epoch says so
            self._begin_iteration()
            with contextlib.suppress(StopIteration):
                self._end_iteration(self._start, first, last)
        self._say_why(result)
        self._show((), state.epoch - first, finished=True)

    def _say_why(self, result: Any) -> None:
        """Write into the history why the fit ended before its last epoch, and warn if the line search failed."""
        if result.status == _LINE_SEARCH_FAILED:
            self.history.ending = "no step along the direction lowers the loss further"
            name = type(self.optimizer).__name__
            warn_user(
                f"{name} ended in epoch {self.state.epoch}: {self.history.ending}, as happens where a loss has kinks "
                "or the dtype has no more digits"
            )
        elif "PGTOL" in result.message or "PROJECTED GRADIENT" in result.message:
            self.history.ending = f"no element of the gradient is above gtol={self.optimizer.gtol:g}"
        elif "REDUCTION" in result.message:
            self.history.ending = f"the last iteration lowered the loss by at most ftol={self.optimizer.ftol:g}"

    def _loss_and_gradient(self, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its gradient, penalties included, at some weights."""
        self._begin_iteration()
        self._evaluations += 1
        if self._changes() != self._seen:
            name = type(self.optimizer).__name__
            raise RuntimeError(
                f"a callback changed the weights, or the layers that are trained, which {name} cannot follow; end the "
                "fit first"
            )
        self.signals.deliver()  # such as that of Ctrl-C
        point = self._evaluated(weights)
        if math.isfinite(point.loss) and np.isfinite(point.gradient).all():
            self._latest = point
            self._kept = self._kept or point
            return point.loss, point.gradient
        if self._kept is None:
            raise NonFiniteLossError(int(self.state.epoch), 0, "this fit")
        return _wall(weights, self._kept)

    def _evaluated(self, weights: NDArray[np.float64]) -> Point:
        """Return the loss and the gradient at some weights. The network has its own weights again afterwards."""
        with self.update():
            try:
                self._set(weights)
                loss, gradient = inference.loss_and_gradient(self.plans, *self.samples)
                self.parameters.flatten(gradient, self._flat)
                flat = self._flat.astype(np.float64)
            finally:
                self._set(self._start)
        return Point(weights.copy(), loss, flat)

    def _changes(self) -> tuple[int, int]:
        """Return how often the weights and the layers at rest have changed."""
        return self.parameters.version, int(self.parameters.counts[RESTS])

    def _begin_iteration(self) -> None:
        """Tell callbacks of an epoch, once SciPy evaluates again: after the last iteration it does not."""
        if self._evaluations == 1:
            self._notify("on_epoch_begin", self.state.epoch)

    def _set(self, weights: NDArray[Any]) -> None:
        """Give the network these weights."""
        with np.errstate(all="ignore"):
            self._flat[...] = weights
        self.parameters.unflatten(self._flat, self.parameters.weights)
        self.parameters.refresh_transposed()
        self._seen = self._changes()

    def _end_iteration(self, weights: NDArray[np.float64], first: int, last: int) -> None:
        """Keep the weights of an iteration, then do what follows an epoch. Raise StopIteration if the fit ends."""
        state, point = self.state, self._latest
        epoch = int(state.epoch)
        if point is None or (point.weights != weights).any():
            point = self._evaluated(weights)
        with np.errstate(all="ignore"):
            finite = np.isfinite(weights.astype(self._flat.dtype)).all()
        if not (finite and math.isfinite(point.loss)):
            raise NonFiniteLossError(epoch, 0)
        with self.update():
            self._set(weights)
            self._start, self._kept = weights.copy(), point
            state.step += 1
            state.epoch += 1
        entry = {"loss": self._in_unit("loss", point.loss), **dict.fromkeys(self.validated, math.nan)}
        self._complete(epoch, [entry], lambda: self._notify_of_steps(0, lambda: point.loss))
        self._evaluations = 1
        if state.epoch == last or self._is_stopped():
            raise StopIteration
        self._show([entry], state.epoch - first, finished=False)


def _wall(weights: NDArray[np.float64], kept: Point) -> tuple[float, NDArray[np.float64]]:
    """Return a loss and a gradient in place of those that are not finite, so that the line search shortens its step.

    Along the step they are those of a curve that rises behind the last iteration. From infinity SciPy falls back to the
    last iteration, and calls it converged.
    """
    step = weights - kept.weights
    rise = abs(float((kept.gradient * step).sum())) or 1.0
    return kept.loss + rise, 3.0 * rise * step / float((step * step).sum())
