"""`check_gradients`, the proof that backpropagation computes the right gradients for one network.

Two comparisons are made for each weight matrix and each bias vector. The analytic gradient g of a float64 copy of the
network, in plain NumPy (`fastmlp.reference`), is compared with central differences `(J(w + h) - J(w - h)) / 2h` of the
loss J. The gradient of the compiled network is compared with g.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.samples import check_samples
from fastmlp._engine.engine import engine_of
from fastmlp._runtime.checks import number, whole_number
from fastmlp.metrics.checks import check_weights
from fastmlp.network import Network as CompiledNetwork
from fastmlp.reference import Network, activations, data, losses
from fastmlp.reference.activations import Array
from fastmlp.reference.network import NetworkLike, Parameters, Samples, flat

SMALLEST_SCALE = 1e-6
"""Differences are relative to the largest |g| of a tensor, or to this number if the gradient is smaller."""

DIFFERENCE_TOLERANCE = 1e-6
ROUNDING = 8 * 2.0**-52
"""The relative rounding error of J in float64; divided by the step, it is a rounding error of the difference."""

COMPILED_TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
"""By dtype; larger than the rounding error of one product, because errors add up over the layers."""
COMPILED_ROUNDING = 8.0
"""The rounding error of the outputs a, in units of the last place. It counts where `a - y` cancels most digits of g."""


class Differentiable(NetworkLike, Protocol):
    """A network that can be copied to a reference network, and that computes gradients."""

    def loss_and_gradients(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Parameters]:
        """Return the loss of these rows, and (dW, db) of each layer."""


@dataclass(frozen=True)
class TensorCheck:
    """The result for one weight matrix or one bias vector.

    Parameters
    ----------
    layer : int
        The number of the layer; 0 is the first hidden layer.
    tensor : {"W", "b"}
        Weights or biases.
    size : int
        The number of elements.
    checked : int
        The number of elements for which a difference could be measured.
    difference : float
        The largest |g - difference quotient|, divided by the largest |g|.
    tolerance : float
        The limit of `difference`: 1e-6, plus the effect of rounding of J.
    compiled : float or None
        The largest |gradient of the compiled network - g|, divided by the largest |g|. None for a reference network.
    compiled_tolerance : float
        The limit of `compiled`: 1e-4 in float32, 1e-10 in float64, plus the effect of rounding of the outputs.
    """

    layer: int
    tensor: str
    size: int
    checked: int
    difference: float
    tolerance: float
    compiled: float | None
    compiled_tolerance: float

    @property
    def ok(self) -> bool:
        """Whether at least one element was measured and all gradients agree."""
        compiled_ok = self.compiled is None or self.compiled <= self.compiled_tolerance
        return self.checked > 0 and self.difference <= self.tolerance and compiled_ok

    def __str__(self) -> str:
        """Return one line of the table of `GradientReport`."""
        verdict = "ok" if self.ok else "WRONG" if self.checked else "at kinks"
        name, share = f"{self.tensor}[{self.layer}]", f"{self.checked}/{self.size}"
        compiled = "-" if self.compiled is None else f"{self.compiled:.1e}"
        return f"{name:<8}{share:>14}{self.difference:>14.1e}{compiled:>12}   {verdict}"


@dataclass(frozen=True)
class GradientReport:
    """The result of `check_gradients`; `print(report)` shows a table.

    Parameters
    ----------
    tensors : tuple of TensorCheck
        One result for each W and each b that is trained, in the order of the layers.
    """

    tensors: tuple[TensorCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether the gradients of all tensors are right."""
        return all(tensor.ok for tensor in self.tensors)

    def __str__(self) -> str:
        """Return a table with one line for each tensor, and the verdict."""
        head = f"{'tensor':<8}{'checked':>14}{'differences':>14}{'compiled':>12}"
        verdict = "All gradients are right." if self.ok else "Not all gradients are right."
        return "\n".join([head, *map(str, self.tensors), verdict])


def check_gradients(
    network: Differentiable,
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    step: float = 1e-6,
    seed: int = 0,
    samples: int = 200,
) -> GradientReport:
    """Compare the gradients of a network with central differences and, for a compiled network, with the reference.

    Dropout is off and penalties are included. The network does not change.

    Parameters
    ----------
    network : fastmlp.Network or fastmlp.reference.Network
        The network to check.
    X : array-like of shape (n, inputs)
        Rows to compute the loss of.
    y : array-like
        Targets that suit the loss.
    sample_weight : array-like of shape (n,), optional
        The weight of each row.
    step : float
        The h of the differences, relative to the larger of 1 and |w|.
    seed : int
        Determines which elements are measured.
    samples : int
        The maximum number of elements of each tensor that are measured.

    Returns
    -------
    GradientReport
        `report.ok` is True if all gradients are right, `report.tensors` has the numbers, `print(report)` shows a table.

    Raises
    ------
    ValueError, TypeError
        If the data do not suit the network, or step or samples are out of range.

    Notes
    -----
    A step that carries a unit across a kink (relu at 0, an l1 penalty at 0) gives no derivative. Such elements are left
    out. If none is left, the report says "at kinks" and is not ok. Layers at rest are left out, too: their gradients
    are 0, whatever J does.

    Examples
    --------
    >>> report = check_gradients(net, X[:32], y[:32])
    >>> print(report)
    """
    step, samples = number(step, "step", minimum=1e-12), whole_number(samples, "samples")
    if isinstance(network, CompiledNetwork):  # it takes columns by name and labels, the reference does not
        given = check_samples(X, y, sample_weight, network.architecture, engine_of(network).names)
        X, y = given.X[:], given.targets.as_array()
    reference = Network.like(network, dtype="float64")
    rows = _samples_in_float64(network, X, y, sample_weight)
    loss, gradients = reference.loss_and_gradients(*rows)
    names = [(l, name) for l, b in enumerate(reference.b) for name in ("W", "b") if name == "W" or b is not None]
    tensors, expected = flat(zip(reference.W, reference.b, strict=True)), flat(gradients)
    compiled_gradients: Sequence[Array | None] = [None] * len(tensors)
    if not isinstance(network, Network):
        compiled_gradients = flat(network.loss_and_gradients(X, y, sample_weight=sample_weight)[1])
    compiled_rounding = COMPILED_ROUNDING * float(np.finfo(network.architecture.dtype).eps)
    compiled_rounding *= max(float(np.abs(reference.predict(rows[0])).max()), 1.0)

    rng, checks = np.random.default_rng(seed), []
    for (layer, name), w, g, compiled in zip(names, tensors, expected, compiled_gradients, strict=True):
        if not network.architecture.layers[layer].trainable:
            continue
        scale = max(float(np.abs(g).max()), SMALLEST_SCALE)
        chosen = rng.choice(w.size, min(samples, w.size), replace=False)
        slopes = [(i, _slope(reference, rows, w, i, step)) for i in chosen]
        differences = [g.flat[i] - slope for i, slope in slopes if slope is not None]
        checks.append(
            TensorCheck(
                layer=layer,
                tensor=name,
                size=w.size,
                checked=len(differences),
                difference=_largest(differences) / scale,
                tolerance=DIFFERENCE_TOLERANCE + ROUNDING * max(abs(loss), 1.0) / (step * scale),
                compiled=None if compiled is None else _largest(compiled - g) / scale,
                compiled_tolerance=COMPILED_TOLERANCE[network.architecture.dtype.name] + compiled_rounding / scale,
            )
        )
    return GradientReport(tuple(checks))


def _slope(reference: Network, samples: Samples, w: Array, i: np.intp, step: float) -> float | None:
    """Return the central difference of the loss at element i of w, or None if the step crosses a kink."""
    start = float(w.flat[i])
    h = step * max(1.0, abs(start))
    low, high = start - h, start + h
    w.flat[i] = low
    loss_below, sides_below = _loss_and_sides(reference, samples)
    w.flat[i] = high
    loss_above, sides_above = _loss_and_sides(reference, samples)
    w.flat[i] = start
    if (sides_below != sides_above).any():
        return None
    return float((loss_above - loss_below) / (high - low))


def _loss_and_sides(reference: Network, samples: Samples) -> tuple[float, NDArray[np.bool_]]:
    """Return the loss, and for each value with a kink (z, weight or error) the side of the kink it is on."""
    X, y, weights = samples
    trace = reference.forward(X)
    loss = data.weighted_mean(reference.losses(trace, y), weights) + reference.penalty()
    architecture = reference.architecture
    distances = [W for W, layer in zip(reference.W, architecture.layers, strict=True) if layer.l1]
    for Z, layer in zip(trace.Z, architecture.layers, strict=True):
        distances += [Z - kink for kink in activations.formula_of(layer.activation).kinks]
    kink = losses.formula_of(architecture.loss).kink
    if kink is not None:
        distances.append(kink(trace.A[-1], y, *architecture.loss.parameters))
    return loss, np.concatenate([np.empty(0, bool), *(np.ravel(distance) > 0 for distance in distances)])


def _samples_in_float64(network: NetworkLike, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Samples:
    """Return the rows in float64, after rounding to the dtype of the network."""
    rows = data.inputs(X, network.architecture)
    targets = data.targets(y, len(rows), network.architecture)
    return rows.astype(np.float64), targets.astype(np.float64), check_weights(sample_weight, len(rows))


def _largest(differences: ArrayLike) -> float:
    """Return the largest magnitude: NaN if any value is NaN, 0 if there are no values."""
    return float(np.abs(differences).max(initial=0.0))
