"""The loop of a fit on all rows at once: an epoch is an iteration of L-BFGS, which SciPy runs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import converted_if_small
from fastmlp._data.samples import Samples
from fastmlp._display.progress import ProgressLine
from fastmlp._engine import inference
from fastmlp._engine.epoch_loop import EpochLoop
from fastmlp._engine.fit_job import FitJob
from fastmlp._engine.plan import Plans
from fastmlp._engine.step_runner import NonFiniteLossError
from fastmlp._runtime.extras import needed_by
from fastmlp._runtime.user_warnings import warn_user
from fastmlp.history import History
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.metrics.evaluation import SelectedMetrics
from fastmlp.optimizers import LBFGS

if TYPE_CHECKING:
    from fastmlp.network import Network

_NO_LIMIT = 2**31 - 1  # of losses; epochs limit the iterations, and `max_line_search` the losses of one
_LINE_SEARCH_FAILED = 2  # SciPy's status


class FullBatchLoop(EpochLoop):
    """One fit of a network, on all rows at once.

    Within an evaluation the network has the weights of a trial. Afterwards it has those of the last iteration again, so
    other threads, and whoever comes after an interruption, find only these.

    Parameters
    ----------
    network, evaluate, job, update, history, progress, signals
        As in `EpochLoop`.
    plans : Plans
        The plans of the network, of which the loss and its gradient are computed.
    samples : Samples
        The rows that train.
    """

    def __init__(
        self,
        network: Network,
        evaluate: Callable[[Samples, SelectedMetrics], dict[str, float]],
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
            import threadpoolctl
        self._minimize, self._limit_threads = scipy.optimize.minimize, threadpoolctl.threadpool_limits
        super().__init__(network, evaluate, job, plans.parameters, update, history, progress, signals)
        architecture = self.parameters.architecture
        self.plans, self.samples = plans, samples._replace(X=converted_if_small(samples.X, architecture.dtype))
        self._weights = np.empty(architecture.parameters, architecture.dtype)  # of the last iteration
        self._gradient = np.empty_like(self._weights)
        self._evaluations = 0  # since the last iteration

    def _train(self, first: int, last: int) -> None:
        optimizer, state = self.parameters.architecture.optimizer, self.state
        assert isinstance(optimizer, LBFGS)
        self.parameters.flatten(self.parameters.weights, self._weights)
        self._version = self.parameters.version
        state.batch = 0
        if self._is_stopped():
            return
        with self._limit_threads(1, "blas"):  # so that the bits do not depend on the number of threads
            result = self._minimize(
                self._loss_and_gradient,
                self._weights.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=lambda intermediate_result: self._end_iteration(intermediate_result, first, last),
                options={
                    "maxiter": last - first,
                    "maxfun": _NO_LIMIT,
                    "maxcor": optimizer.memory,
                    "gtol": optimizer.gtol,
                    "ftol": optimizer.ftol,
                    "maxls": optimizer.max_line_search,
                },
            )
        if state.epoch == first:  # nothing lowers the loss of the first weights: an epoch says so
            self._begin_iteration()
            with contextlib.suppress(StopIteration):
                self._end_iteration(result, first, last)
        self._show((), state.epoch - first, finished=True)
        if result.status == _LINE_SEARCH_FAILED:
            warn_user(
                f"LBFGS ended in epoch {state.epoch}: no step along its direction lowers the loss further, as happens "
                "where a loss has kinks or the dtype has no more digits"
            )

    def _loss_and_gradient(self, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its gradient, penalties included, at some weights.

        The first evaluation of a fit is that of its first weights. An iteration begins with the next one, and any other
        with the first after the iteration before, since there is none if that has converged.
        """
        self._begin_iteration()
        self._evaluations += 1
        if self.parameters.version != self._version:
            raise RuntimeError("a callback changed the weights, which LBFGS cannot follow; end the fit first")
        self.signals.deliver()  # such as that of Ctrl-C
        with self.update():
            try:
                self._set(weights)
                loss, gradient = inference.loss_and_gradient(self.plans, *self.samples)
                self.parameters.flatten(gradient, self._gradient)
            finally:
                self._set(self._weights)
        if not math.isfinite(loss) and (weights == self._weights).all():
            raise NonFiniteLossError(int(self.state.epoch), 0, "this fit")
        return loss, self._gradient.astype(np.float64)

    def _begin_iteration(self) -> None:
        """Tell callbacks of an epoch before the first evaluation of its line search."""
        if self._evaluations == 1:
            self._notify("on_epoch_begin", self.state.epoch)

    def _set(self, weights: NDArray[Any]) -> None:
        """Give the network these weights."""
        with np.errstate(all="ignore"):
            flat = np.ascontiguousarray(weights, self._weights.dtype)
        self.parameters.unflatten(flat, self.parameters.weights)
        self.parameters.refresh_transposed()
        self._version = self.parameters.version

    def _end_iteration(self, result: Any, first: int, last: int) -> None:
        """Keep the weights of an iteration, then do what follows an epoch. Raise StopIteration if the fit ends."""
        state = self.state
        epoch = int(state.epoch)
        with np.errstate(all="ignore"):
            weights = result.x.astype(self._weights.dtype)
        if not (math.isfinite(result.fun) and np.isfinite(weights).all()):
            raise NonFiniteLossError(epoch, 0)
        with self.update():
            self._set(weights)
            self._weights[...] = weights
            state.step += 1
            state.epoch += 1
        loss = float(result.fun)
        entry = {"loss": self._in_unit("loss", loss), **dict.fromkeys(self.validated, math.nan)}
        self._complete(epoch, [entry], lambda: self._notify_of_steps(0, lambda: loss))
        self._evaluations = 1
        if state.epoch == last or self._is_stopped():
            raise StopIteration
        self._show([entry], state.epoch - first, finished=False)

    def _undo_overflow(self) -> None:
        """Do nothing: every iteration has finite weights."""
