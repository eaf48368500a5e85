"""A multi-layer perceptron in plain NumPy: forward pass, backpropagation and training, as a textbook writes them.

    A[0] = X,   Z[l] = A[l-1] W[l] + b[l],   A[l] = D[l] o g(Z[l])
    delta[L] = dJ/dZ[L],   delta[l] = ((delta[l+1] W[l+1]^T) o D[l]) o g'(Z[l])
    dW[l] = A[l-1]^T delta[l],   db[l] = sum of delta[l] over the samples

J is the weighted mean of the samples' losses plus the penalties, D the mask of dropout, o the product of elements.
Python counts from 0: here `W[0]` belongs to the first hidden layer, and `A[l]` is what layer l receives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._runtime.checks import whole_number
from fastmlp.activations import Activation
from fastmlp.architecture import Architecture, build, resolve_seed
from fastmlp.initializers import Initializer
from fastmlp.layers import Dense
from fastmlp.losses import Loss
from fastmlp.metrics.evaluation import SelectedMetrics, measure, predicted_classes, select_metrics
from fastmlp.metrics.registry import MetricFunction
from fastmlp.optimizers import Optimizer
from fastmlp.reference import activations, data, losses, random
from fastmlp.reference.activations import Array
from fastmlp.reference.optimizers import empty_slots, limited, update
from fastmlp.schedules import Schedule

Parameters: TypeAlias = list[tuple[Array, Array | None]]
Rows: TypeAlias = tuple[Array, Array, NDArray[np.float64]]
"""Samples ready to compute with: X (n, inputs), y (n, outputs), weights (n,)."""


class NetworkLike(Protocol):
    """Any network whose state can be copied, compiled or not."""

    architecture: Architecture

    @property
    def epoch(self) -> int:
        """How many epochs are done."""

    @property
    def step(self) -> int:
        """How many steps of the optimizer are done."""

    def get_weights(self) -> Parameters:
        """Of each layer (W, b)."""


@dataclasses.dataclass
class History:
    """What `fit` saw: `history` holds a list with one number per epoch for the loss and each metric."""

    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Trace:
    """What a forward pass leaves for the way back, by layer: Z, `G = g(Z)`, the mask D, `A = D o G`; A[0] is X."""

    A: list[Array]
    Z: list[Array] = dataclasses.field(default_factory=list)
    G: list[Array] = dataclasses.field(default_factory=list)
    D: list[Array | float] = dataclasses.field(default_factory=list)


class Network:
    """A multi-layer perceptron with the face of `fastmlp.Network`, for reading and for proofs.

    Parameters
    ----------
    layers, activation, output, loss, optimizer, dtype, seed
        As in `fastmlp.Network`.
    threads : int, optional
        Accepted so that both faces are alike; NumPy decides for itself.

    Attributes
    ----------
    architecture : Architecture
        Every decision about layers, loss, optimizer, dtype and seed.
    W, b : list
        The parameters of each layer, (inputs, units) and (units,) or None.
    epoch, step : int
        How many epochs and optimizer steps are done.
    history : History or None
        What the last `fit` returned.
    """

    architecture: Architecture
    W: list[Array]
    b: list[Array | None]
    epoch: int
    step: int
    history: History | None

    def __init__(
        self,
        layers: Sequence[int | Dense],
        *,
        activation: str | Activation = "relu",
        output: str | Activation | None = None,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        dtype: Any = "float32",
        seed: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._start(
            build(layers, activation=activation, output=output, loss=loss, optimizer=optimizer, dtype=dtype, seed=seed)
        )

    @classmethod
    def like(cls, network: NetworkLike, dtype: Any = None) -> Network:
        """A reference network with the architecture, parameters and counters of another one, the optimizer at rest.

        Parameters
        ----------
        network : Network
            A compiled or a reference network.
        dtype : {"float32", "float64"}, optional
            None keeps the network's own.
        """
        architecture = network.architecture
        twin = cls.__new__(cls)
        twin._start(dataclasses.replace(architecture, dtype=np.dtype(dtype or architecture.dtype)))
        twin.set_weights(network.get_weights())
        twin.epoch, twin.step = network.epoch, network.step
        return twin

    def reinitialize(self, seed: int | None = None) -> None:
        """Start afresh, as if just made with this seed; None draws one."""
        self._start(dataclasses.replace(self.architecture, seed=resolve_seed(seed)))

    def _start(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.W, self.b = [], []
        for l, layer in enumerate(architecture.layers):
            b = self._initial(l, layer.bias_init, random.BIASES, (layer.units,)) if layer.use_bias else None
            self.W.append(self._initial(l, layer.weight_init, random.WEIGHTS, (layer.inputs, layer.units)))
            self.b.append(b)
        self._slots = [empty_slots(architecture.optimizer, w) for w in self._parameters()]
        self.epoch = self.step = 0
        self.history = None

    def _initial(self, l: int, initializer: Initializer, purpose: int, shape: tuple[int, ...]) -> Array:
        layer = self.architecture.layers[l]
        stream = random.key(self.architecture.seed, purpose, 0, l)
        values = random.initial(initializer, stream, shape, layer.inputs, layer.units)
        return values.astype(self.architecture.dtype)

    def get_weights(self) -> Parameters:
        """Copies of each layer's (W, b): (inputs, units), and (units,) or None."""
        return [(W.copy(), None if b is None else b.copy()) for W, b in zip(self.W, self.b, strict=True)]

    def set_weights(self, weights: Sequence[tuple[ArrayLike, ArrayLike | None]]) -> None:
        """Copy each layer's (W, b) in; the optimizer and the counters stay as they are.

        Raises
        ------
        ValueError
            If the number of layers or a shape differs; then nothing is changed.
        """
        dtype = self.architecture.dtype
        W = [np.array(W, dtype) for W, _ in weights]
        b = [None if b is None else np.array(b, dtype) for _, b in weights]
        given, expected = shapes(W, b), shapes(self.W, self.b)
        if given != expected:
            raise ValueError(f"weights must have the shapes {expected}, got {given}")
        self.W, self.b = W, b

    def _parameters(self) -> list[Array]:
        return flat(zip(self.W, self.b, strict=True))

    # Forward: what the network says ----------------------------------------------------------------------------------

    def forward(self, X: Array, step: int | None = None) -> Trace:
        """X (n, inputs) through all layers; the number of a training step turns dropout on."""
        trace = Trace(A=[X])
        for l, layer in enumerate(self.architecture.layers):
            b = self.b[l]
            Z = trace.A[l] @ self.W[l] + (0 if b is None else b)
            G = activations.formula_of(layer.activation).forward(Z, *layer.activation.parameters)
            D: Array | float = 1.0
            if step is not None and layer.dropout:
                stream = random.key(self.architecture.seed, random.DROPOUT, step, l)
                D = random.dropout_mask(stream, Z.shape, layer.dropout).astype(Z.dtype)
            trace.Z.append(Z)
            trace.G.append(G)
            trace.D.append(D)
            trace.A.append(D * G)
        return trace

    def predict(self, X: ArrayLike, batch_size: int | None = None) -> Array:
        """The output activations of X (n, inputs), as (n, outputs); all rows at once, whatever `batch_size`."""
        return self.forward(data.inputs(X, self.architecture)).A[-1]

    def predict_classes(self, X: ArrayLike) -> NDArray[np.intp]:
        """The most probable class of each row, (n,); 0 or 1 for each output that stands for itself."""
        return predicted_classes(self.predict(X), self.architecture.loss)

    def hidden_activations(self, X: ArrayLike) -> list[Array]:
        """`g(Z)` (n, units) of every hidden layer, without dropout."""
        return self.forward(data.inputs(X, self.architecture)).G[:-1]

    # Backward: what the loss asks of each parameter ------------------------------------------------------------------

    def losses(self, trace: Trace, y: Array) -> Array:
        """The loss of each sample, (n,), penalties not included."""
        pair, loss = self._pair(), self.architecture.loss
        if pair is not None:
            return losses.EXACT_PAIRS[pair].value(trace.Z[-1], y, *loss.parameters)
        return losses.formula_of(loss).value(trace.A[-1], y, *loss.parameters)

    def penalty(self) -> float:
        """The penalties of all layers together."""
        layers = zip(self.W, self.architecture.layers, strict=True)
        return sum(losses.penalty(W, layer.l1, layer.l2) for W, layer in layers)

    def _output_delta(self, trace: Trace, y: Array) -> Array:
        """The derivative of each sample's loss with respect to the last Z, (n, outputs)."""
        pair, loss = self._pair(), self.architecture.loss
        if pair is not None:
            return losses.EXACT_PAIRS[pair].delta(trace.A[-1], y, *loss.parameters)
        dA = losses.formula_of(loss).gradient(trace.A[-1], y, *loss.parameters)
        return self._through_activation(-1, dA, trace)

    def _backward(self, delta: Array, trace: Trace) -> list[Array]:
        """The delta of every layer, from that of the last, (n, outputs): the chain rule, layer by layer."""
        deltas = [delta]
        for l in reversed(range(len(self.W) - 1)):
            dA = deltas[0] @ self.W[l + 1].T * trace.D[l]
            deltas.insert(0, self._through_activation(l, dA, trace))
        return deltas

    def _gradients(self, trace: Trace, y: Array, weights: NDArray[np.float64]) -> Parameters:
        """(dW, db) of every layer for the weighted mean of the samples' losses plus the penalties."""
        share = weights / (weights.sum() or 1.0)
        deltas = self._backward(self._output_delta(trace, y) * share[:, None].astype(y.dtype), trace)
        gradients: Parameters = []
        for layer, W, b, A, delta in zip(self.architecture.layers, self.W, self.b, trace.A[:-1], deltas, strict=True):
            dW = A.T @ delta + losses.penalty_gradient(W, layer.l1, layer.l2)
            db = None if b is None else delta.sum(axis=0)
            gradients.append((dW, db))
        return gradients

    def _through_activation(self, l: int, dA: Array, trace: Trace) -> Array:
        activation = self.architecture.layers[l].activation
        return activations.formula_of(activation).backward(dA, trace.Z[l], trace.G[l], *activation.parameters)

    def _pair(self) -> tuple[str, str] | None:
        """The last activation and the loss, where they are an exact pair."""
        pair = self.architecture.layers[-1].activation.name, self.architecture.loss.name
        return pair if self.architecture.exact_pair else None

    def loss_and_gradients(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Parameters]:
        """The loss of the whole of X, penalties included and dropout off, and its gradient (dW, db) by layer."""
        X, y, weights = self._rows(X, y, sample_weight)
        trace = self.forward(X)
        loss = data.weighted_mean(self.losses(trace, y), weights) + self.penalty()
        return loss, self._gradients(trace, y, weights)

    def input_gradients(self, X: ArrayLike) -> Array:
        """The Jacobian of the outputs with respect to the inputs, (n, outputs, inputs), dropout off."""
        trace = self.forward(data.inputs(X, self.architecture))
        A = trace.A[-1]
        jacobian = np.empty((*A.shape, self.architecture.inputs), A.dtype)
        for k in range(self.architecture.outputs):
            dA = np.zeros_like(A)
            dA[:, k] = 1
            deltas = self._backward(self._through_activation(-1, dA, trace), trace)
            jacobian[:, k] = deltas[0] @ self.W[0].T
        return jacobian

    # Training --------------------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; set a number or a `Schedule`, and what the optimizer remembers stays."""
        return self.architecture.optimizer.rate(self.step + 1)

    @learning_rate.setter
    def learning_rate(self, rate: float | Schedule) -> None:
        self.architecture = self.architecture.with_learning_rate(rate)

    def _train(self, X: Array, y: Array, weights: NDArray[np.float64]) -> tuple[Array, float]:
        """One step of the optimizer; returns the samples' losses and the penalty, both from before it."""
        self.step += 1
        trace = self.forward(X, self.step)
        losses, penalty = self.losses(trace, y), self.penalty()
        optimizer = self.architecture.optimizer
        gradients = limited(optimizer, flat(self._gradients(trace, y, weights)))
        for w, g, slots in zip(self._parameters(), gradients, self._slots, strict=True):
            update(optimizer, w, g, slots, self.step)
        return losses, penalty

    def train_on_batch(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """One step of the optimizer on these rows, dropout on; returns the loss before it, penalties included."""
        X, y, weights = self._rows(X, y, sample_weight)
        losses, penalty = self._train(X, y, weights)
        return data.weighted_mean(losses, weights) + penalty

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: tuple[ArrayLike, ...] | None = None,
        validation_split: float = 0.0,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        shuffle: bool = True,
        metrics: Iterable[str | MetricFunction] | None = None,
        callbacks: Iterable[object] = (),
        verbose: object = "auto",
    ) -> History:
        """Train for some epochs: in each, every row once, in batches, in an order that seed and epoch determine.

        The reference takes arrays, which it holds as a whole; chunks are for `fastmlp.Network`.

        Parameters
        ----------
        X, y
            (n, inputs) and targets that suit the loss.
        epochs, batch_size : int
            At least 1; the last batch of an epoch may be smaller.
        validation_data : tuple, optional
            (X, y) or (X, y, sample_weight) to evaluate after each epoch.
        validation_split : float
            Instead, this share of the rows is drawn at random and kept out of training.
        sample_weight : array, optional
            (n,), the weight of each row in the mean of the losses.
        class_weight : mapping, optional
            From class label to a factor on the weights of its rows in training; 1 for classes left out.
        shuffle : bool
            False takes the rows as they come.
        metrics : iterable of str or function, optional
            What to measure of the validation rows, as in `evaluate`.
        callbacks, verbose
            The reference only proves numbers: it calls nothing back and prints nothing.

        Returns
        -------
        History
            "loss" by epoch, as training saw it; with validation rows "val_loss" and the metrics, "val_" before their
            names.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its range or callbacks are given; then nothing is changed.
        """
        if list(callbacks):
            raise ValueError("the reference takes no callbacks; use fastmlp.Network")
        if validation_data is not None and validation_split:
            raise ValueError("give validation_data or validation_split, not both")
        if metrics is not None and validation_data is None and not validation_split:
            raise ValueError("metrics are measured on validation rows; give validation_data or validation_split")
        chosen = select_metrics(metrics, self.architecture.loss)
        epochs, batch_size = whole_number(epochs, "epochs"), whole_number(batch_size, "batch_size")
        X, y, weights, given = self._rows_and_given(X, y, sample_weight)
        factors = data.class_weights(y, class_weight, self.architecture)
        rows, validation = np.arange(len(X)), None
        if validation_data is not None:
            validation = self._rows_and_given(*validation_data)
        elif validation_split:
            rows, kept_out = data.split(len(X), validation_split, self._stream(random.SPLIT))
            validation = X[kept_out], y[kept_out], weights[kept_out], given[kept_out]
        weights = weights * factors

        self.history = History()
        for _ in range(epochs):
            order = random.permutation(self._stream(random.SHUFFLE, self.epoch), rows) if shuffle else rows
            seen = {"loss": self._epoch(X[order], y[order], weights[order], batch_size)}
            if validation:
                seen |= {f"val_{name}": value for name, value in self._evaluate(*validation, chosen).items()}
            for name, value in seen.items():
                self.history.history.setdefault(name, []).append(value)
        return self.history

    def _epoch(self, X: Array, y: Array, weights: NDArray[np.float64], batch_size: int) -> float:
        """Steps through these rows, batch by batch; returns the mean of the losses that they saw."""
        batches = [slice(start, start + batch_size) for start in range(0, len(X), batch_size)]
        steps = [self._train(X[batch], y[batch], weights[batch]) for batch in batches]
        losses, penalties = zip(*steps, strict=True)
        self.epoch += 1
        return data.weighted_mean(np.concatenate(losses), weights) + float(np.mean(penalties))

    def _stream(self, purpose: int, counter: int = 0) -> int:
        return random.key(self.architecture.seed, purpose, counter)

    def _rows(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Rows:
        X = data.inputs(X, self.architecture)
        return X, data.targets(y, len(X), self.architecture), data.weights(len(X), sample_weight)

    def _rows_and_given(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, Array, NDArray[np.float64], NDArray[Any]]:
        """The rows, and behind them y as metrics see it: class labels where labels were given."""
        rows = self._rows(X, y, sample_weight)
        return (*rows, data.as_given(y, rows[1]))

    # Evaluation ------------------------------------------------------------------------------------------------------

    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        metrics: Iterable[str | MetricFunction] | None = None,
    ) -> dict[str, float]:
        """Under "loss" the loss, penalties included, and metrics by their names; `metrics` as in `fastmlp.Network`."""
        chosen = select_metrics(metrics, self.architecture.loss)
        return self._evaluate(*self._rows_and_given(X, y, sample_weight), chosen)

    def _evaluate(
        self, X: Array, y: Array, weights: NDArray[np.float64], given: NDArray[Any], chosen: SelectedMetrics
    ) -> dict[str, float]:
        trace = self.forward(X)
        loss = data.weighted_mean(self.losses(trace, y), weights) + self.penalty()
        return {"loss": loss, **measure(chosen, self.architecture.loss, given, trace.A[-1], weights)}


def flat(pairs: Iterable[tuple[Array, Array | None]]) -> list[Array]:
    """The arrays of (W, b) pairs in one list, without the biases that are None."""
    return [w for pair in pairs for w in pair if w is not None]


def shapes(W: Sequence[Array], b: Sequence[Array | None]) -> list[tuple[object, object]]:
    """The shapes of each layer's W and b, None where there is no b."""
    return [(v.shape, None if c is None else c.shape) for v, c in zip(W, b, strict=True)]
