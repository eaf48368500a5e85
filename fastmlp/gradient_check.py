"""Proof that backpropagation is right for one network: its gradients beside the slopes of the loss itself.

The analytic gradient g of a float64 copy in `fastmlp.reference` is compared with central differences,
`(J(w + h) - J(w - h)) / 2h`, and the compiled network's own gradient with g.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime.checks import number, whole_number
from fastmlp.reference import Network, activations, data, losses
from fastmlp.reference.activations import Array
from fastmlp.reference.network import NetworkLike, Parameters, Samples, flat

SMALLEST_SCALE = 1e-6
"""Differences are relative to the largest |g| of a tensor, or to this where the gradient vanishes."""

DIFFERENCE_TOLERANCE = 1e-6
ROUNDING = 8 * 2.0**-52
"""What rounding in float64 may add to J, relatively; divided by the step, what it may add to a slope."""

COMPILED_TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
"""By dtype; more than a single product may be off, since errors add up over the layers."""
COMPILED_ROUNDING = 8.0
"""So many units of rounding of the outputs a may stand in `a - y`, where g is what is left of two numbers alike."""


class Differentiable(NetworkLike, Protocol):
    """A network that can be copied into a reference one and knows its own gradients."""

    def loss_and_gradients(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Parameters]:
        """The loss of these rows, and (dW, db) of each layer."""


@dataclass(frozen=True)
class TensorCheck:
    """The comparison of one weight matrix or one bias vector.

    Parameters
    ----------
    layer : int
        0 for the first hidden layer.
    tensor : {"W", "b"}
        Which of the layer's two.
    size, checked : int
        How many parameters it has, and for how many the slope was measured.
    difference, tolerance : float
        The largest |g - slope| over the largest |g|, and what it may be: 1e-6 and the rounding of J in the slope.
    compiled : float or None
        The same for the network's own gradient against g; None for a network that is a reference itself.
    compiled_tolerance : float
        What that may be: 1e-4 in float32, 1e-10 in float64, and the rounding of the outputs in g.
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
        """Whether something could be measured and all agrees."""
        compiled_ok = self.compiled is None or self.compiled <= self.compiled_tolerance
        return self.checked > 0 and self.difference <= self.tolerance and compiled_ok

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "WRONG" if self.checked else "at kinks"
        name, share = f"{self.tensor}[{self.layer}]", f"{self.checked}/{self.size}"
        compiled = "-" if self.compiled is None else f"{self.compiled:.1e}"
        return f"{name:<8}{share:>14}{self.difference:>14.1e}{compiled:>12}   {verdict}"


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found: `tensors` in the order of the layers, `print` shows them as a table."""

    tensors: tuple[TensorCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether every tensor's gradient is right."""
        return all(tensor.ok for tensor in self.tensors)

    def __str__(self) -> str:
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
    """Compare a network's gradients with central differences and, if it is compiled, with the reference.

    Dropout is off, penalties are included; the network is not changed. Parameters whose step carries a unit across a
    kink (relu at 0, the l1 penalty at 0) have no slope and are left out.

    Parameters
    ----------
    network : Network
        A compiled or a reference network.
    X, y : array
        Rows to compute the loss of, (n, inputs) and targets that suit it.
    sample_weight : array, optional
        (n,), the weight of each row.
    step : float
        The h of the differences.
    seed : int
        Determines which parameters are measured.
    samples : int
        How many parameters of each tensor are measured, at most.

    Returns
    -------
    GradientReport
        `report.ok`, `print(report)`, and `report.tensors` with the numbers.

    Raises
    ------
    ValueError, TypeError
        If the data do not suit the network, or step or samples are out of range.
    """
    step, samples = number(step, "step", minimum=1e-12), whole_number(samples, "samples")
    reference = Network.like(network, dtype="float64")
    rows = _rows_in_float64(network, X, y, sample_weight)
    loss, gradients = reference.loss_and_gradients(*rows)
    rounding = COMPILED_ROUNDING * float(np.finfo(network.architecture.dtype).eps)
    rounding *= max(float(np.abs(reference.predict(rows[0])).max()), 1.0)
    names = [(l, name) for l, b in enumerate(reference.b) for name in ("W", "b") if name == "W" or b is not None]
    tensors, expected = flat(zip(reference.W, reference.b, strict=True)), flat(gradients)
    own: Sequence[Array | None] = [None] * len(tensors)
    if not isinstance(network, Network):
        own = flat(network.loss_and_gradients(X, y, sample_weight=sample_weight)[1])

    rng, checks = np.random.default_rng(seed), []
    for (layer, name), w, g, compiled in zip(names, tensors, expected, own, strict=True):
        scale = max(float(np.abs(g).max()), SMALLEST_SCALE)
        chosen = rng.choice(w.size, min(samples, w.size), replace=False)
        differences = [g.flat[i] - slope for i in chosen if (slope := _slope(reference, rows, w, i, step)) is not None]
        checks.append(
            TensorCheck(
                layer=layer,
                tensor=name,
                size=w.size,
                checked=len(differences),
                difference=_largest(differences) / scale,
                tolerance=DIFFERENCE_TOLERANCE + ROUNDING * max(abs(loss), 1.0) / (step * scale),
                compiled=None if compiled is None else _largest(compiled - g) / scale,
                compiled_tolerance=COMPILED_TOLERANCE[network.architecture.dtype.name] + rounding / scale,
            )
        )
    return GradientReport(tuple(checks))


def _slope(reference: Network, rows: Samples, w: Array, i: np.intp, step: float) -> float | None:
    """The central difference of the loss at element i of w, None where a kink lies between the two points."""
    start = float(w.flat[i])
    h = step * max(1.0, abs(start))
    low, high = start - h, start + h
    w.flat[i] = low
    loss_below, sides_below = _loss_and_sides(reference, rows)
    w.flat[i] = high
    loss_above, sides_above = _loss_and_sides(reference, rows)
    w.flat[i] = start
    if (sides_below != sides_above).any():
        return None
    return float((loss_above - loss_below) / (high - low))


def _loss_and_sides(reference: Network, rows: Samples) -> tuple[float, NDArray[np.bool_]]:
    """The loss, and on which side of its kink everything is that has one."""
    X, y, weights = rows
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


def _rows_in_float64(network: NetworkLike, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Samples:
    """The rows as the network sees them, rounded to its dtype, for a computation in float64."""
    rows = data.inputs(X, network.architecture)
    targets = data.targets(y, len(rows), network.architecture)
    return rows.astype(np.float64), targets.astype(np.float64), data.weights(len(rows), sample_weight)


def _largest(differences: ArrayLike) -> float:
    """The largest magnitude; NaN where there is one, and 0 of nothing."""
    return float(np.abs(differences).max(initial=0.0))
