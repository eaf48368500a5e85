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

from fastmlp._data.samples import Samples
from fastmlp._engine.engine import engine_of
from fastmlp.sklearn.networks import EstimatorNetwork


class Objective:
    """The loss over all rows and its gradient, as a function of one vector of all weights.

    The vector is packed as scikit-learn packs it: all `coefs_`, then all `intercepts_`, each in C order.

    Parameters
    ----------
    compiled : EstimatorNetwork
        The network. Each call replaces its weights.
    samples : Samples
        The checked inputs, an array or `SparseRows`, targets and sample weights.
    loss_factor : float
        The reported loss of the data is multiplied by this factor. The gradient is not, as in scikit-learn.
    alpha : float
        The strength of the L2 penalty.
    """

    def __init__(
        self,
        compiled: EstimatorNetwork,
        samples: Samples,
        loss_factor: float,
        alpha: float,
    ) -> None:
        self.compiled, self.samples = compiled, samples
        self.loss_factor, self.alpha = loss_factor, alpha
        layers = engine_of(compiled.network).weight_positions()
        self._positions = np.concatenate([*(w.ravel() for w, _ in layers), *(b for _, b in layers if b is not None)])
        self._penalised = sum(w.size for w, _ in layers)
        self._sum_of_weights = len(samples.targets) if samples.weights is None else float(np.sum(samples.weights[:]))

    def start(self) -> NDArray[np.float64]:
        """Return the current weights of the network, packed."""
        return np.asarray(engine_of(self.compiled.network).weights_at(self._positions), np.float64)

    def __call__(self, packed: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its gradient at the packed weights."""
        engine = engine_of(self.compiled.network)
        try:
            loss, gradient = engine.loss_and_gradient_at(self._positions, packed, self.samples)
        finally:
            self.compiled.drop_snapshot()
        if self.loss_factor != 1.0:
            penalty = self.alpha / 2 * float(np.square(packed[: self._penalised]).sum()) / self._sum_of_weights
            loss = self.loss_factor * (loss - penalty) + penalty
        return loss, gradient.astype(np.float64)

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
        estimator._training_began = True
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
