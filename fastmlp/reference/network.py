"""A multi-layer perceptron in plain NumPy: forward pass, backpropagation and training, as in a textbook.

    A[0] = X,   Z[l] = A[l-1] W[l] + b[l],   A[l] = D[l] o g(Z[l])
    delta[L] = dJ/dZ[L],   delta[l] = ((delta[l+1] W[l+1]^T) o D[l]) o g'(Z[l])
    dW[l] = A[l-1]^T delta[l],   db[l] = sum of delta[l] over the samples

J is the weighted mean of the losses of the samples plus the penalties. D is the dropout mask, g the activation, and o
multiplies elements. Rows are samples: A[l], Z[l] and delta[l] have shape (n, units), W[l] (inputs, units), b[l]
(units,). `fastmlp.reference.layers` has the formulas of layers whose W[l] is a number for each unit, (units,).

Python counts layers from 0: `W[0]` and `Z[0]` belong to the first hidden layer, and `A[l]` is the input of layer l.
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
from fastmlp.layers import LayerDescription
from fastmlp.losses import Loss
from fastmlp.metrics.checks import check_weights
from fastmlp.metrics.evaluation import SelectedMetrics, measure, predicted_classes, select_metrics
from fastmlp.metrics.registry import MetricFunction
from fastmlp.optimizers import Optimizer
from fastmlp.reference import activations, data, losses, random
from fastmlp.reference.activations import Array
from fastmlp.reference.layers import LAYERS, Formula
from fastmlp.reference.optimizers import clip_gradients, empty_slots, update
from fastmlp.schedules import Schedule

Parameters: TypeAlias = list[tuple[Array, Array | None]]
"""The pair (W, b) of each layer, or (dW, db); None for b if the layer has no biases."""
Samples: TypeAlias = tuple[Array, Array, NDArray[np.float64]]
"""Checked samples: X (n, inputs), y (n, outputs), weights (n,)."""


class NetworkLike(Protocol):
    """A network, compiled or not, from which `Network.like` can make a copy."""

    @property
    def architecture(self) -> Architecture:
        """Layers, loss, optimizer, dtype and seed."""

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""

    @property
    def step(self) -> int:
        """The number of finished optimizer steps."""

    def get_weights(self) -> Parameters:
        """Return (W, b) of each layer."""


@dataclasses.dataclass
class History:
    """The result of `fit`: `history` holds for the loss and each metric a list with one number for each epoch."""

    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Trace:
    """What the forward pass keeps for the backward pass, a list entry for each layer.

    `A[0]` is X. Layer l turns `A[l]` into `Z[l]`, `G[l] = g(Z[l])` and `A[l + 1] = D[l] o G[l]`.
    """

    A: list[Array]
    Z: list[Array] = dataclasses.field(default_factory=list)
    G: list[Array] = dataclasses.field(default_factory=list)
    D: list[Array | float] = dataclasses.field(default_factory=list)


class Network:
    """A multi-layer perceptron in plain NumPy, with the interface of `fastmlp.Network`, to read and to test against.

    Parameters
    ----------
    layers : sequence of int or LayerDescription
        The number of inputs, then each layer: its number of units, or an object such as `Dense`.
    activation : str or Activation
        The activation of hidden layers that name none.
    output : str or Activation, optional
        The activation of the last layer if it names none; None derives it from the loss.
    loss : str or Loss, optional
        The loss; None derives it from the output activation.
    optimizer : str or Optimizer, optional
        The optimizer; None means `Adam(1e-3)`.
    dtype : {"float32", "float64"}
        The dtype of the parameters and of the computations.
    seed : int, optional
        Determines initial weights, shuffling, dropout and splits; None draws one.
    threads : int, optional
        Ignored; the compiled network takes the same argument.

    Attributes
    ----------
    architecture : Architecture
        Layers, loss, optimizer, dtype and seed, with every default resolved.
    W, b : list
        The parameters of each layer: (inputs, units), and (units,) or None.
    epoch, step : int
        The numbers of finished epochs and optimizer steps.
    history : History or None
        The result of the last `fit`.

    Raises
    ------
    ValueError, TypeError
        If an argument is unknown or out of range, or arguments contradict each other.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import reference
    >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    >>> network = reference.Network([2, 8, 1], activation="tanh", output="sigmoid", optimizer="sgd", seed=0)
    >>> history = network.fit(X, y, epochs=10, batch_size=4).history["loss"]
    >>> history[-1] < history[0]
    True
    """

    architecture: Architecture
    W: list[Array]
    b: list[Array | None]
    epoch: int
    step: int
    history: History | None

    def __init__(
        self,
        layers: Sequence[int | LayerDescription],
        *,
        activation: str | Activation = "relu",
        output: str | Activation | None = None,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        dtype: Any = "float32",
        seed: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._initialize(
            build(layers, activation=activation, output=output, loss=loss, optimizer=optimizer, dtype=dtype, seed=seed)
        )

    @classmethod
    def like(cls, network: NetworkLike, dtype: Any = None) -> Network:
        """Return a reference network with the architecture, parameters and counters of another network.

        What the optimizer of the other network remembers is not copied; its slots begin anew.

        Parameters
        ----------
        network : Network
            A compiled network or a reference network.
        dtype : {"float32", "float64"}, optional
            The dtype of the copy; None keeps the dtype of the network.
        """
        architecture = network.architecture
        twin = cls.__new__(cls)
        twin._initialize(dataclasses.replace(architecture, dtype=np.dtype(dtype or architecture.dtype)))
        twin.set_weights(network.get_weights())
        twin.epoch, twin.step = network.epoch, network.step
        twin._steps = [network.step] * len(twin._steps)
        return twin

    def reinitialize(self, seed: int | None = None) -> None:
        """Reset the network to the state of a new network with this seed; None draws a seed."""
        self._initialize(dataclasses.replace(self.architecture, seed=resolve_seed(seed)))

    def _initialize(self, architecture: Architecture) -> None:
        """Set every attribute to its value before training."""
        self.architecture = architecture
        self.W, self.b = [], []
        for l, layer in enumerate(architecture.layers):
            b = self._initial_values(l, layer.bias_init, random.BIASES, (layer.units,)) if layer.use_bias else None
            self.W.append(self._initial_values(l, layer.weight_init, random.WEIGHTS, layer.shape))
            self.b.append(b)
        self._slots = [empty_slots(architecture.optimizer, w) for w in self._parameters()]
        self._steps = [0] * len(self._slots)
        self.epoch = self.step = 0
        self.history = None

    def _initial_values(self, l: int, initializer: Initializer, purpose: int, shape: tuple[int, ...]) -> Array:
        """Draw the initial W or b of layer l."""
        layer = self.architecture.layers[l]
        stream = random.key(self.architecture.seed, purpose, 0, l)
        values = random.initial(initializer, stream, shape, layer.inputs, layer.units)
        return values.astype(self.architecture.dtype)

    def get_weights(self) -> Parameters:
        """Return copies of (W, b) of each layer: (inputs, units), and (units,) or None."""
        return [(W.copy(), None if b is None else b.copy()) for W, b in zip(self.W, self.b, strict=True)]

    def set_weights(self, weights: Sequence[tuple[ArrayLike, ArrayLike | None]]) -> None:
        """Copy (W, b) of each layer into the network; the optimizer and the counters do not change.

        Parameters
        ----------
        weights : sequence of (W, b)
            For each layer W (inputs, units), or (units,) of a layer of columns, and b (units,) or None.

        Raises
        ------
        ValueError
            If the number of layers or a shape differs; the network is then unchanged.
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

    # Forward pass: from X to the outputs and the loss ----------------------------------------------------------------

    def forward(self, X: Array, step: int | None = None) -> Trace:
        """Send X (n, inputs) through all layers.

        Parameters
        ----------
        X : array of shape (n, inputs)
            Samples in the dtype of the network.
        step : int, optional
            The number of a training step, which determines the dropout masks; None means no dropout.
        """
        trace = Trace(A=[X])
        for l, layer in enumerate(self.architecture.layers):
            b = self.b[l]
            Z = self._formula(l).forward(layer, trace.A[l], self.W[l], 0 if b is None else b)
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

    def losses(self, trace: Trace, y: Array) -> Array:
        """Return the loss of each sample, (n,), without penalties, for the targets y (n, outputs)."""
        pair, loss = self._exact_pair(), self.architecture.loss
        if pair is not None:
            return losses.EXACT_PAIRS[pair].value(trace.Z[-1], y, *loss.parameters)
        return losses.formula_of(loss).value(trace.A[-1], y, *loss.parameters)

    def penalty(self) -> float:
        """Return the sum of the penalties of all layers that are trained."""
        layers = zip(self.W, self.architecture.layers, strict=True)
        return sum(losses.penalty(W, layer.l1, layer.l2) for W, layer in layers if layer.trainable)

    # Backward pass: from the loss to the gradients -------------------------------------------------------------------

    def _output_delta(self, trace: Trace, y: Array) -> Array:
        """Return delta of the last layer, (n, outputs): the derivative of the loss of each sample with respect to Z."""
        pair, loss = self._exact_pair(), self.architecture.loss
        if pair is not None:
            return losses.EXACT_PAIRS[pair].delta(trace.A[-1], y, *loss.parameters)
        dA = losses.formula_of(loss).gradient(trace.A[-1], y, *loss.parameters)
        return self._through_activation(-1, dA, trace)

    def _backward(self, delta: Array, trace: Trace) -> list[Array]:
        """Return delta of every layer, given delta of the last layer: the chain rule, layer by layer."""
        deltas = [delta]
        for l in reversed(range(len(self.W) - 1)):
            dA = self._below(l + 1, deltas[0], trace) * trace.D[l]
            deltas.insert(0, self._through_activation(l, dA, trace))
        return deltas

    def _below(self, l: int, delta: Array, trace: Trace) -> Array:
        """Return dJ/dA below layer l, given its delta."""
        return self._formula(l).backward(self.architecture.layers[l], trace.A[l], self.W[l], delta)

    def _formula(self, l: int) -> Formula:
        """Return the formulas of layer l."""
        return LAYERS[self.architecture.layers[l].kind]

    def _gradients(self, trace: Trace, y: Array, weights: NDArray[np.float64]) -> Parameters:
        """Return (dW, db) of every layer, the derivatives of J: the weighted mean of the losses plus the penalties."""
        share = weights / (weights.sum() or 1.0)
        return self._gradients_below(self._output_delta(trace, y) * share[:, None].astype(y.dtype), trace)[0]

    def _gradients_below(self, delta: Array, trace: Trace) -> tuple[Parameters, Array]:
        """Return (dW, db) of every layer, penalties included, and delta of the first, given delta of the last layer."""
        deltas = self._backward(delta, trace)
        gradients: Parameters = []
        for l, layer in enumerate(self.architecture.layers):
            dW = self._formula(l).weight_gradient(layer, trace.A[l], deltas[l])
            dW = dW + losses.penalty_gradient(self.W[l], layer.l1, layer.l2)
            db = None if self.b[l] is None else deltas[l].sum(axis=0)
            gradients.append((dW, db) if layer.trainable else (0 * dW, None if db is None else 0 * db))
        return gradients, deltas[0]

    def backward(self, trace: Trace, dA: Array) -> tuple[Parameters, Array]:
        """Return (dW, db) of every layer, penalties included, and dJ/dX, for any J, given dJ/dA (n, outputs)."""
        gradients, delta = self._gradients_below(self._through_activation(-1, dA, trace), trace)
        return gradients, self._below(0, delta, trace)

    def _through_activation(self, l: int, dA: Array, trace: Trace) -> Array:
        """Return `delta = dA o g'(Z)` of layer l."""
        activation = self.architecture.layers[l].activation
        return activations.formula_of(activation).backward(dA, trace.Z[l], trace.G[l], *activation.parameters)

    def _exact_pair(self) -> tuple[str, str] | None:
        """Return the names of the last activation and of the loss if they form an exact pair, else None."""
        pair = self.architecture.layers[-1].activation.name, self.architecture.loss.name
        return pair if self.architecture.exact_pair else None

    # Predictions and gradients for users -----------------------------------------------------------------------------

    def predict(self, X: ArrayLike, batch_size: int | None = None) -> Array:
        """Return the outputs for X.

        Parameters
        ----------
        X : array-like of shape (n, inputs)
            Samples.
        batch_size : int, optional
            Ignored: all rows are computed at once.

        Returns
        -------
        array of shape (n, outputs)
            The activations of the last layer.

        Raises
        ------
        ValueError
            If X has another shape or is not finite.
        """
        return self.forward(data.inputs(X, self.architecture)).A[-1]

    def predict_classes(self, X: ArrayLike) -> NDArray[np.intp]:
        """Return the most probable class of each row of X (n, inputs), as (n,).

        If there are several outputs and each is a binary decision of its own, return 0 or 1 for each, (n, outputs).

        Raises
        ------
        ValueError
            If X has another shape or is not finite.
        """
        return predicted_classes(self.predict(X), self.architecture.loss)

    def hidden_activations(self, X: ArrayLike) -> list[Array]:
        """Return `g(Z)` (n, units) of every hidden layer for X (n, inputs), without dropout.

        Raises
        ------
        ValueError
            If X has another shape or is not finite.
        """
        return self.forward(data.inputs(X, self.architecture)).G[:-1]

    def loss_and_gradients(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Parameters]:
        """Return J and its gradients for all rows together, without dropout.

        Parameters
        ----------
        X : array-like of shape (n, inputs)
            Samples.
        y : array-like
            Targets that suit the loss: labels (n,) or rows (n, outputs).
        sample_weight : array-like of shape (n,), optional
            Weights of the samples in the mean of the losses; None gives all samples the same weight.

        Returns
        -------
        J : float
            The weighted mean of the losses plus the penalties.
        gradients : list of (dW, db)
            The derivatives of J with respect to W and b of each layer; None for db if the layer has no biases.

        Raises
        ------
        ValueError
            If the data do not suit the network.
        """
        X, y, weights = self._check_samples(X, y, sample_weight)
        trace = self.forward(X)
        loss = data.weighted_mean(self.losses(trace, y), weights) + self.penalty()
        return loss, self._gradients(trace, y, weights)

    def input_gradients(self, X: ArrayLike) -> Array:
        """Return the Jacobian of the outputs with respect to the inputs, without dropout.

        Parameters
        ----------
        X : array-like of shape (n, inputs)
            Samples.

        Returns
        -------
        array of shape (n, outputs, inputs)
            Element [i, k, j] is the derivative of output k with respect to input j at row i.

        Raises
        ------
        ValueError
            If X has another shape or is not finite.
        """
        trace = self.forward(data.inputs(X, self.architecture))
        A = trace.A[-1]
        jacobian = np.empty((*A.shape, self.architecture.inputs), A.dtype)
        for k in range(self.architecture.outputs):
            dA = np.zeros_like(A)
            dA[:, k] = 1
            deltas = self._backward(self._through_activation(-1, dA, trace), trace)
            jacobian[:, k] = self._below(0, deltas[0], trace)
        return jacobian

    # Training --------------------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step.

        Assign a number or a `Schedule` to change it; what the optimizer remembers does not change.
        """
        return self.architecture.step_optimizer.rate(self.step + 1)

    @learning_rate.setter
    def learning_rate(self, rate: float | Schedule) -> None:
        self.architecture = self.architecture.with_learning_rate(rate)

    def freeze(self, layers: int | Iterable[int]) -> None:
        """Let layers rest: training does not change them, and they have no penalty and no gradient."""
        self.architecture = self.architecture.with_trainable(self.architecture.places_of(layers), False)

    def unfreeze(self, layers: int | Iterable[int]) -> None:
        """Train layers again. What the optimizer remembers of them, and the count of their steps, go on."""
        self.architecture = self.architecture.with_trainable(self.architecture.places_of(layers), True)

    def train_on_batch(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Do one step of the optimizer on these rows, with dropout.

        Parameters
        ----------
        X : array-like of shape (n, inputs)
            Samples.
        y : array-like
            Targets that suit the loss: labels (n,) or rows (n, outputs).
        sample_weight : array-like of shape (n,), optional
            Weights of the samples in the mean of the losses; None gives all samples the same weight.

        Returns
        -------
        float
            The loss before the step, penalties included.

        Raises
        ------
        ValueError
            If the data do not suit the network; the network is then unchanged.
        """
        X, y, weights = self._check_samples(X, y, sample_weight)
        sample_losses, penalty = self._step(X, y, weights)
        return data.weighted_mean(sample_losses, weights) + penalty

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
        """Train for some epochs. An epoch takes every row once, in batches, in an order that seed and epoch determine.

        The data must be arrays; only `fastmlp.Network` takes chunks.

        Parameters
        ----------
        X : array-like of shape (n, inputs)
            Samples.
        y : array-like
            Targets that suit the loss: labels (n,) or rows (n, outputs).
        epochs : int
            The number of epochs, at least 1.
        batch_size : int
            The number of rows in a batch, at least 1; the last batch of an epoch may be smaller.
        validation_data : tuple, optional
            (X, y) or (X, y, sample_weight), to evaluate after each epoch.
        validation_split : float
            The share of the rows, in [0, 1), that is drawn at random and used for validation instead of training.
        sample_weight : array-like of shape (n,), optional
            Weights of the samples in the mean of the losses; None gives all samples the same weight.
        class_weight : mapping, optional
            For class labels a factor of the weights of their training rows; labels not in the mapping have factor 1.
        shuffle : bool
            False takes the rows in the given order.
        metrics : iterable of str or function, optional
            The metrics of the validation rows, as in `evaluate`.
        callbacks : iterable
            Must be empty: the reference calls no callbacks.
        verbose
            Ignored: the reference prints nothing.

        Returns
        -------
        History
            Lists with one number for each epoch: "loss", the mean over the batches of the epoch, and for the validation
            rows "val_loss" and each metric with "val_" before its name.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data do not suit the network, or callbacks are given; the network is
            then unchanged.
        """
        if list(callbacks):
            raise ValueError("the reference takes no callbacks; use fastmlp.Network")
        if validation_data is not None and validation_split:
            raise ValueError("give validation_data or validation_split, not both")
        if metrics is not None and validation_data is None and not validation_split:
            raise ValueError("metrics are measured on validation rows; give validation_data or validation_split")
        selected = select_metrics(metrics, self.architecture.loss)
        epochs, batch_size = whole_number(epochs, "epochs"), whole_number(batch_size, "batch_size")
        X, y, weights, metric_targets = self._check_samples_for_metrics(X, y, sample_weight)
        factors = data.class_weights(y, class_weight, self.architecture)
        rows, validation = np.arange(len(X)), None
        if validation_data is not None:
            validation = self._check_samples_for_metrics(*validation_data)
        elif validation_split:
            rows, held_out = data.split(len(X), validation_split, self._stream(random.SPLIT))
            validation = X[held_out], y[held_out], weights[held_out], metric_targets[held_out]
        weights = weights * factors

        self.history = History()
        for _ in range(epochs):
            order = random.permutation(self._stream(random.SHUFFLE, self.epoch), rows) if shuffle else rows
            results = {"loss": self._epoch(X[order], y[order], weights[order], batch_size)}
            if validation:
                results |= {f"val_{name}": value for name, value in self._evaluate(*validation, selected).items()}
            for name, value in results.items():
                self.history.history.setdefault(name, []).append(value)
        return self.history

    def _epoch(self, X: Array, y: Array, weights: NDArray[np.float64], batch_size: int) -> float:
        """Do a step on each batch of these rows; return the mean of the losses before the steps, penalties included."""
        batches = [slice(start, start + batch_size) for start in range(0, len(X), batch_size)]
        steps = [self._step(X[batch], y[batch], weights[batch]) for batch in batches]
        sample_losses, penalties = zip(*steps, strict=True)
        self.epoch += 1
        return data.weighted_mean(np.concatenate(sample_losses), weights) + float(np.mean(penalties))

    def _step(self, X: Array, y: Array, weights: NDArray[np.float64]) -> tuple[Array, float]:
        """Do one step of the optimizer; return the losses of the samples (n,) and the penalty from before the step."""
        trace = self.forward(X, self.step + 1)
        sample_losses, penalty = self.losses(trace, y), self.penalty()
        self.apply_gradients(self._gradients(trace, y, weights))
        return sample_losses, penalty

    def apply_gradients(self, gradients: Parameters) -> None:
        """Do one step of the optimizer with (dW, db) of every layer, without adding penalties."""
        optimizer, rate = self.architecture.step_optimizer, self.learning_rate
        self.step += 1
        layers = [layer for layer in self.architecture.layers for _ in range(1 + layer.use_bias)]  # of each parameter
        trained = [index for index, layer in enumerate(layers) if layer.trainable]
        parameters, given = self._parameters(), flat(gradients)
        clipped = clip_gradients(optimizer, [given[index] for index in trained])
        for index, g in zip(trained, clipped, strict=True):
            self._steps[index] += 1
            own_rate = rate * layers[index].learning_rate_factor
            update(optimizer, parameters[index], g, self._slots[index], self._steps[index], own_rate)

    def _stream(self, purpose: int, counter: int = 0) -> int:
        """Return the key of the random numbers for this purpose."""
        return random.key(self.architecture.seed, purpose, counter)

    def _check_samples(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Samples:
        """Return X (n, inputs), y (n, outputs) and the weights (n,) of the samples."""
        X = data.inputs(X, self.architecture)
        return X, data.targets(y, len(X), self.architecture), check_weights(sample_weight, len(X))

    def _check_samples_for_metrics(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, Array, NDArray[np.float64], NDArray[Any]]:
        """Return the checked samples, then the targets as metrics take them: class labels if labels were given."""
        samples = self._check_samples(X, y, sample_weight)
        return (*samples, data.metric_targets(y, samples[1]))

    # Evaluation ------------------------------------------------------------------------------------------------------

    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        metrics: Iterable[str | MetricFunction] | None = None,
    ) -> dict[str, float]:
        """Return the loss and metrics of these rows, without dropout.

        Parameters
        ----------
        X : array-like of shape (n, inputs)
            Samples.
        y : array-like
            Targets that suit the loss: labels (n,) or rows (n, outputs).
        sample_weight : array-like of shape (n,), optional
            Weights of the samples; None gives all samples the same weight.
        metrics : iterable of str or function, optional
            Names of `fastmlp.metrics.METRICS`, or functions as in `fastmlp.metrics.evaluate`; None measures the default
            metrics of the loss.

        Returns
        -------
        dict of str to float
            "loss", penalties included, then the metrics by name.

        Raises
        ------
        ValueError, TypeError
            If the data do not suit the network, or a metric is unknown or does not suit the loss or the data.
        """
        selected = select_metrics(metrics, self.architecture.loss)
        return self._evaluate(*self._check_samples_for_metrics(X, y, sample_weight), selected)

    def _evaluate(
        self,
        X: Array,
        y: Array,
        weights: NDArray[np.float64],
        metric_targets: NDArray[Any],
        selected: SelectedMetrics,
    ) -> dict[str, float]:
        """Return the loss and the selected metrics of checked samples."""
        trace = self.forward(X)
        loss = data.weighted_mean(self.losses(trace, y), weights) + self.penalty()
        return {"loss": loss, **measure(selected, self.architecture.loss, metric_targets, trace.A[-1], weights)}


def flat(pairs: Iterable[tuple[Array, Array | None]]) -> list[Array]:
    """Return the arrays of (W, b) pairs in one list, without the biases that are None."""
    return [w for pair in pairs for w in pair if w is not None]


def shapes(W: Sequence[Array], b: Sequence[Array | None]) -> list[tuple[object, object]]:
    """Return the shapes of W and b of each layer, and None for a layer without biases."""
    return [(v.shape, None if c is None else c.shape) for v, c in zip(W, b, strict=True)]
