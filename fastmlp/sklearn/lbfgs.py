"""The solver 'lbfgs': SciPy's L-BFGS-B minimises the loss of a network over all rows.

Source: Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989.
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
from fastmlp.sklearn.networks import EstimatorNetwork


class Objective:
    """The loss over all rows and its gradient, as a function of one vector of all weights.

    The vector is packed as scikit-learn packs it: all `coefs_`, then all `intercepts_`, each in C order.

    Parameters
    ----------
    compiled : EstimatorNetwork
        The network. Each call replaces its weights.
    X : ndarray or SparseRows of shape (n_samples, n_features)
        The checked inputs.
    targets : Targets
        The checked targets.
    weights : ndarray of shape (n_samples,) or None
        The checked sample weights.
    loss_factor : float
        The reported loss of the data is multiplied by this factor. The gradient is not, as in scikit-learn.
    alpha : float
        The strength of the L2 penalty.
    """

    def __init__(
        self,
        compiled: EstimatorNetwork,
        X: Any,
        targets: Targets,
        weights: NDArray[Any] | None,
        loss_factor: float,
        alpha: float,
    ) -> None:
        self.compiled, self.X, self.targets, self.weights = compiled, X, targets, weights
        self.loss_factor, self.alpha = loss_factor, alpha
        own = compiled.network._parameters
        positions: Any = np.arange(own.size)  # of each weight in the network's memory
        layers = own.unpack(positions)
        self._positions = np.concatenate([*(w.ravel() for w, _ in layers), *(b for _, b in layers if b is not None)])
        self._penalised = sum(w.size for w, _ in layers)
        self._sum_of_weights = len(targets) if weights is None else float(np.sum(weights))

    def start(self) -> NDArray[np.float64]:
        """Return the current weights of the network, packed."""
        return np.asarray(self.compiled.network._parameters.weights[self._positions], np.float64)

    def __call__(self, packed: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its gradient at the packed weights."""
        network = self.compiled.network
        own = network._parameters
        with HeldSignals(), network._use.change():
            with np.errstate(all="ignore"):
                own.weights[self._positions] = packed
            own.refresh_transposed()
            self.compiled.drop_snapshot()
            loss, gradient = inference.loss_and_gradient(network._plans, self.X, self.targets, self.weights)
        if self.loss_factor != 1.0:
            penalty = self.alpha / 2 * float(np.square(packed[: self._penalised]).sum()) / self._sum_of_weights
            loss = self.loss_factor * (loss - penalty) + penalty
        return loss, gradient[self._positions].astype(np.float64)

    def unpack(self, packed: NDArray[Any]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Return the `coefs_` and `intercepts_` of packed weights, in the dtype of the network."""
        layers, dtype = self.compiled.network.architecture.layers, self.compiled.network.architecture.dtype
        sizes = [layer.inputs * layer.units for layer in layers] + [layer.units for layer in layers]
        parts = np.split(packed.astype(dtype), np.cumsum(sizes)[:-1])
        coefs = [part.reshape(layer.inputs, layer.units) for part, layer in zip(parts, layers, strict=False)]
        return coefs, parts[len(layers) :]


def minimise(objective: Objective, estimator: Any) -> NDArray[np.float64]:
    """Run L-BFGS and return the final packed weights.

    Each iteration sets the estimator's `coefs_`, `intercepts_`, `loss_`, `loss_curve_` and `n_iter_`. After Ctrl-C the
    estimator therefore has the weights and the loss of the last finished iteration.
    """
    estimator.loss_curve_ = []

    def record(intermediate_result: Any) -> None:
        estimator.coefs_, estimator.intercepts_ = objective.unpack(intermediate_result.x)
        estimator.loss_ = float(intermediate_result.fun)
        estimator.loss_curve_.append(estimator.loss_)
        estimator.n_iter_ = len(estimator.loss_curve_)

    output = {}
    if sp_version < parse_version("1.15"):  # later versions print nothing and deprecate the option
        output["iprint"] = 1 if estimator.verbose else -1
    result = scipy.optimize.minimize(
        objective,
        objective.start(),
        method="L-BFGS-B",
        jac=True,
        callback=record,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
            **output,
        },
    )
    estimator.n_iter_ = _check_optimize_result("lbfgs", result, estimator.max_iter)
    estimator.loss_ = result.fun
    return np.asarray(result.x)
