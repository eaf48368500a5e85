"""Random small networks with data that suits them, for tests of relations.

Hypothesis draws what a network and its data consist of. The numbers follow from a drawn seed, so that an example is
drawn in a millisecond and a failing one shrinks to few layers, few units and few rows.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from behaviour import bits
from bounds import NOT_CONVEX
from cases import ACTIVATIONS, CENTRES, DTYPES, LEARNERS, LOSSES, Array, outputs_for, tensors
from hypothesis import strategies as st

from fastmlp import Dense, Network
from fastmlp._engine.engine import NonFiniteLossError
from fastmlp.activations import Activation
from fastmlp.losses import Loss
from fastmlp.optimizers import Optimizer

BOUNDED = tuple(loss for loss in LOSSES.values() if loss.name not in NOT_CONVEX)
UNITS = (1, 2, 3, 5, 8, 9, 16, 17, 20)  # around the 8 and 16 columns of the kernels' panels
PLAIN = tuple(each for each in ACTIVATIONS.values() if each.name != "exponential")  # PyTorch has no module for it
WEIGHTS = ("none", "random", "some zero")


@dataclasses.dataclass(frozen=True)
class Case:
    """A network and its data.

    Parameters
    ----------
    layers : tuple
        The argument of `Network`: the number of inputs, then a `Dense` for each layer.
    loss, optimizer, dtype
        The arguments of `Network`.
    seed : int
        Decides the weights and the numbers of the data.
    rows : int
        The number of rows.
    labels : bool
        Whether y holds class labels, if the loss takes them.
    weights : str
        Which weights the rows have, one of `WEIGHTS`.
    centred : bool
        Whether the outputs are near the middle of (0, 1), where the slopes of the cross-entropies are small.
    """

    layers: tuple[Any, ...]
    loss: Loss
    optimizer: Optimizer
    dtype: str
    seed: int
    rows: int
    labels: bool
    weights: str
    centred: bool = False

    @property
    def outputs(self) -> int:
        return int(self.layers[-1].units)

    def network(self, **options: Any) -> Network:
        """Return the network, whose biases are not 0."""
        given = {"loss": self.loss, "optimizer": self.optimizer, "dtype": self.dtype, "seed": self.seed, **options}
        network = Network(list(self.layers), **given)
        rng = np.random.default_rng(self.seed)
        scales = [
            0.3 if layer.activation.name == "exponential" else 0.7 for layer in self.layers[1:]
        ]  # e^e^z grows fast
        weights = [
            (scale * W, None if b is None else rng.normal(0, 0.3, b.shape))
            for scale, (W, b) in zip(scales, network.get_weights(), strict=True)
        ]
        if self.centred:
            weights[-1] = (
                0.1 * weights[-1][0],
                np.full(self.outputs, CENTRES.get(self.layers[-1].activation.name, 0.5)),
            )
        network.set_weights(weights)
        return network

    def data(self) -> dict[str, Any]:
        """Return the arguments X, y and sample_weight of `Network.fit`."""
        rng = np.random.default_rng(self.seed)
        X = rng.normal(size=(self.rows, self.layers[0])).astype(self.dtype)
        weights = None if self.weights == "none" else rng.uniform(0.25, 4.0, self.rows)
        if self.weights == "some zero":
            weights[1:] *= rng.uniform(size=self.rows - 1) < 0.7
        return {"X": X, "y": self._targets(rng), "sample_weight": weights}

    def _targets(self, rng: np.random.Generator) -> Array:
        """Return y: labels, or rows of probabilities, 0 and 1, signs, counts or any numbers."""
        shape, kind = (self.rows, self.loss.target_columns(self.outputs)), self.loss.targets
        if kind == "classes":
            labels = rng.integers(0, self.outputs, self.rows)
            return labels if self.labels else rng.dirichlet(np.ones(self.outputs), self.rows).astype(self.dtype)
        numbers = {
            "binary": lambda: rng.integers(0, 2, shape) if self.labels else rng.uniform(size=shape),
            "signs": lambda: rng.choice([-1, 1], shape),
            "counts": lambda: rng.poisson(1.5, shape),
            "positive": lambda: 0.1 + rng.gamma(2.0, size=shape),
            "values": lambda: rng.normal(size=shape),
        }[kind]()
        return np.asarray(numbers, self.dtype)


@st.composite
def cases(
    draw: Any,
    *,
    activations: tuple[Activation, ...] = tuple(ACTIVATIONS.values()),
    losses: tuple[Loss, ...] = BOUNDED,
    optimizers: tuple[Optimizer, ...] = tuple(LEARNERS.values()),
    dtypes: tuple[str, ...] = DTYPES,
    weights: tuple[str, ...] = WEIGHTS,
    dropout: bool = True,
    penalties: bool = True,
    centred: bool = False,
    most_rows: int = 40,
) -> Case:
    """Draw a network of 1 to 3 layers of any kind that the arguments allow, and the description of its data.

    With `centred`, the outputs are in the domain of a cross-entropy without its partner, and not clipped.
    """
    loss, output = draw(st.sampled_from(losses)), draw(st.sampled_from(activations))
    if loss.partner and draw(st.booleans()):  # half of them with the activation that suits the loss
        output = next((each for each in activations if each.name == loss.partner), output)
    centred = centred and loss.targets in ("classes", "binary", "counts", "positive") and loss.partner != output.name
    least = 2 if output.mixes_units or loss.targets == "classes" else 1
    layers: list[Any] = [draw(st.sampled_from(UNITS))]
    for _ in range(draw(st.integers(0, 2))):
        layers.append(
            Dense(
                draw(st.sampled_from(UNITS)),
                draw(st.sampled_from(activations)),
                use_bias=draw(st.booleans()),
                dropout=draw(st.sampled_from((0.0, 0.3))) if dropout else 0.0,
                **_penalties(draw, penalties),
            )
        )
        if layers[-1].activation.mixes_units and layers[-1].units == 1:
            layers[-1] = dataclasses.replace(layers[-1], units=2)
    units = draw(st.sampled_from([count for count in UNITS if count >= least]))
    units = outputs_for(loss, units)
    layers.append(Dense(units, output, use_bias=centred or draw(st.booleans()), **_penalties(draw, penalties)))
    return Case(
        tuple(layers),
        loss,
        draw(st.sampled_from(optimizers)),
        draw(st.sampled_from(dtypes)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(1, most_rows)),
        draw(st.booleans()),
        draw(st.sampled_from(weights)),
        centred,
    )


def _penalties(draw: Any, penalties: bool) -> dict[str, float]:
    """Draw the penalties of a layer: none, l1, l2 or both."""
    l1, l2 = draw(st.sampled_from([(0.0, 0.0), (0.01, 0.0), (0.0, 0.1), (0.02, 0.05)])) if penalties else (0.0, 0.0)
    return {"l1": l1, "l2": l2}


def labelled_cases(**options: Any) -> st.SearchStrategy[Case]:
    """Draw networks whose targets are class labels."""
    losses = tuple(loss for loss in LOSSES.values() if loss.targets == "classes")
    return cases(losses=losses, **options).map(lambda case: dataclasses.replace(case, labels=True))


def metrics_of(loss: Loss) -> list[str]:
    """Return a metric that is defined for any targets of a loss, unlike R2, which one row does not have."""
    return ["mean_absolute_error"] if loss.targets in ("values", "counts", "positive") else ["accuracy"]


def answers(network: Network, X: Any, y: Any, sample_weight: Any = None) -> dict[str, Any]:
    """Return what a network answers to the bit. Numbers are text, in which NaN equals NaN."""
    loss, gradients = network.loss_and_gradients(X, y, sample_weight)
    return {
        "predictions": network.predict(X).tobytes(),
        "loss": repr(loss),
        "gradients": [tensor.tobytes() for tensor in tensors(gradients)],
        "metrics": repr(network.evaluate(X, y, sample_weight, metrics=metrics_of(network.architecture.loss))),
    }


def state_after(network: Network, **fit: Any) -> dict[str, Any]:
    """Fit, and return weights, slots, counters and history to the bit; a loss that becomes NaN is part of them.

    The history of a loss is text, in which NaN equals NaN.
    """
    error = ""
    try:
        network.fit(verbose=False, **fit)
    except NonFiniteLossError as raised:
        error = str(raised)
    assert network.history is not None
    return {**bits(network), "history": repr(network.history.history), "error": error}
