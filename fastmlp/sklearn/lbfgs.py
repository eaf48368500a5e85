"""L-BFGS of SciPy over a network's loss and gradient.

Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.utils.fixes import parse_version, sp_version
from sklearn.utils.optimize import _check_optimize_result

from fastmlp._data.arrays import Targets
from fastmlp._engine import inference
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.sklearn.networks import Compiled


class Objective:
    """The loss over all rows as a function of all weights: every coefs_, then every intercepts_, row by row.

    Parameters
    ----------
    compiled : Compiled
        The network, whose weights a call changes.
    X, targets, weights
        The checked data.
    share : float
        What of the data's loss is told; the gradient is that of all of it, as scikit-learn's is.
    alpha : float
        The penalty's strength.
    """

    def __init__(
        self, compiled: Compiled, X: Any, targets: Targets, weights: NDArray[Any] | None, share: float, alpha: float
    ) -> None:
        self.compiled, self.X, self.targets, self.weights = compiled, X, targets, weights
        self.share, self.alpha = share, alpha
        own = compiled.network._parameters
        numbered: Any = np.arange(own.size)  # what each weight is called among the network's
        places = own.unpack(numbered)
        self._places = np.concatenate([*(w.ravel() for w, _ in places), *(b for _, b in places if b is not None)])
        self._penalised = sum(w.size for w, _ in places)
        self._sum_of_weights = len(targets) if weights is None else float(np.sum(weights))

    def start(self) -> NDArray[np.float64]:
        """The weights that the network has."""
        return np.asarray(self.compiled.network._parameters.weights[self._places], np.float64)

    def __call__(self, packed: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        """The loss and its gradient at these weights."""
        network = self.compiled.network
        own = network._parameters
        with HeldSignals(), network._use.change():
            with np.errstate(all="ignore"):
                own.weights[self._places] = packed
            own.refresh_transposed()
            self.compiled.forget()
            loss, gradient = inference.loss_and_gradient(network._plans, self.X, self.targets, self.weights)
        if self.share != 1.0:
            penalty = self.alpha / 2 * float(np.square(packed[: self._penalised]).sum()) / self._sum_of_weights
            loss = self.share * (loss - penalty) + penalty
        return loss, gradient[self._places].astype(np.float64)

    def unpack(self, packed: NDArray[Any]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """The coefs_ and intercepts_ among packed weights, in the network's dtype."""
        layers, dtype = self.compiled.network.architecture.layers, self.compiled.network.architecture.dtype
        sizes = [layer.inputs * layer.units for layer in layers] + [layer.units for layer in layers]
        parts = np.split(packed.astype(dtype), np.cumsum(sizes)[:-1])
        coefs = [part.reshape(layer.inputs, layer.units) for part, layer in zip(parts, layers, strict=False)]
        return coefs, parts[len(layers) :]


def minimise(objective: Objective, estimator: Any) -> NDArray[np.float64]:
    """The weights at which L-BFGS ends; the estimator gets its loss, the losses of all iterations and their number.

    Where Ctrl-C ends it, it has those of the last iteration, with its weights.
    """
    estimator.loss_curve_ = []

    def note(intermediate_result: Any) -> None:
        estimator.coefs_, estimator.intercepts_ = objective.unpack(intermediate_result.x)
        estimator.loss_ = float(intermediate_result.fun)
        estimator.loss_curve_.append(estimator.loss_)
        estimator.n_iter_ = len(estimator.loss_curve_)

    prints = {}
    if sp_version < parse_version("1.15"):  # since then it is silent and the option deprecated
        prints["iprint"] = 1 if estimator.verbose else -1
    found = scipy.optimize.minimize(
        objective,
        objective.start(),
        method="L-BFGS-B",
        jac=True,
        callback=note,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
            **prints,
        },
    )
    estimator.n_iter_ = _check_optimize_result("lbfgs", found, estimator.max_iter)
    estimator.loss_ = found.fun
    return np.asarray(found.x)
