"""`Network`, the public class of a multi-layer perceptron: it checks arguments and passes them to its engine."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import architecture as architectures
from fastmlp._data.array_feed import ArrayData
from fastmlp._data.block_data import advise_blocks
from fastmlp._data.chunk_feed import ChunkSource
from fastmlp._data.gradients import check_flat, check_flat_out, check_gradients, check_output_gradient
from fastmlp._data.inputs import check_input_shape, check_inputs, check_rows
from fastmlp._data.layer_weights import check_layer_weights
from fastmlp._data.names import Names
from fastmlp._data.samples import Samples, check_samples
from fastmlp._data.training_data import check_training_data
from fastmlp._display import notebook, summary
from fastmlp._engine.engine import Engine, FitJob, LayerWeights, plan_validation
from fastmlp._runtime.checks import check_bool, number, optional_whole_number, whole_number
from fastmlp._runtime.names import AttributeHints, check_keywords, on_class_only, refuse_other_name
from fastmlp.activations import Activation
from fastmlp.architecture import Architecture
from fastmlp.callbacks import Callback
from fastmlp.callbacks.base import check_callbacks
from fastmlp.history import History
from fastmlp.layers import LayerDescription
from fastmlp.losses import Loss
from fastmlp.metrics.evaluation import predicted_classes, select_metrics
from fastmlp.metrics.registry import MetricFunction
from fastmlp.optimizers import Optimizer, StepOptimizer
from fastmlp.schedules import Schedule


class Network(AttributeHints):
    """A multi-layer perceptron: its parameters, and methods to train, evaluate, inspect and save them.

    Parameters
    ----------
    layers : sequence
        The number of inputs, then for each layer its number of units, or an object such as `Dense(16, "tanh")` or
        `LayerNormalization()`.
    activation : str or Activation
        The activation of hidden layers that specify none: a name of `fastmlp.activations.ACTIVATIONS`, or an object
        such as `LeakyReLU(0.1)`.
    output : str or Activation, optional
        The activation of the last layer, if that layer specifies none. None derives it from the loss; without a loss it
        is linear.
    loss : str or Loss, optional
        A name of `fastmlp.losses.LOSSES`, or an object such as `Huber(0.5)`. None derives it from the output
        activation: softmax and sigmoid take their cross-entropy, exponential takes Poisson's loss, any other takes mean
        squared error.
    optimizer : str or Optimizer, optional
        A name of `fastmlp.optimizers.OPTIMIZERS`, or an object such as `SGD(0.1, momentum=0.9)`. None is `Adam(1e-3)`.
    dtype : {"float32", "float64"}
        The dtype of the parameters and of all computations.
    seed : int, optional
        Decides initial weights, shuffles, dropout and splits. The same seed gives the same bits, whatever the number of
        threads. None draws a seed, which `network.seed` returns.
    threads : int, optional
        The maximum number of threads. None lets the library choose; it uses one thread for small work.

    Attributes
    ----------
    architecture : Architecture
        Layers, loss, optimizer, dtype and seed, with all defaults resolved.
    history : History or None
        The history of the last `fit`, also if it was interrupted.
    stop_training : bool
        A callback sets it to True to end the fit after the current epoch.
    stop_at_once : bool
        A callback sets it to True to end the fit after the current steps, within the epoch. No exception is raised. The
        next fit finishes that epoch, as after Ctrl-C.

    Raises
    ------
    ValueError, TypeError
        If an argument is unknown or out of its range, or if arguments contradict each other.
    MemoryError
        If there is not enough memory for the network.

    Notes
    -----
    Threads may share a network. While one thread fits it, other threads can read it (predict, evaluate, copy, pickle,
    save) between two calls of the kernels, which take about 50 ms, or one step if that takes longer. They read the
    state after a completed step. A change by another thread, such as a second fit, raises RuntimeError. In a process
    that was forked in the middle of a step of another thread's fit, every use of the network raises RuntimeError.

    Examples
    --------
    >>> net = Network([30, 16, 8, 2], output="softmax", seed=0)
    >>> history = net.fit(X, labels, epochs=20, validation_split=0.2)
    >>> net.predict_classes(X[:5])
    """

    @check_keywords
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
        max_threads = optional_whole_number(threads, "threads")
        architecture = architectures.build(
            layers, activation=activation, output=output, loss=loss, optimizer=optimizer, dtype=dtype, seed=seed
        )
        self._attach(Engine.initialised(architecture, max_threads))

    def _attach(self, engine: Engine) -> None:
        """Use an engine, and start without a history."""
        self._engine = engine
        self.history: History | None = None
        self.stop_training = self.stop_at_once = False

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; refuse names such as `lr` or `optimizer`, which would change nothing."""
        if type(self) is Network and name not in self.__dict__:
            refuse_other_name(self, name)
        super().__setattr__(name, value)

    # Properties ------------------------------------------------------------------------------------------------------

    @property
    def architecture(self) -> Architecture:
        """Layers, loss, optimizer, dtype and seed, with all defaults resolved."""
        return self._engine.architecture

    @property
    def threads(self) -> int | None:
        """The maximum number of threads; None lets the library choose."""
        return self._engine.threads

    @property
    def seed(self) -> int:
        """The seed of all random numbers."""
        return self.architecture.seed

    @property
    def epoch(self) -> int:
        """The number of completed epochs, over all fits."""
        return self._engine.epoch

    @property
    def step(self) -> int:
        """The number of completed steps of the optimizer."""
        return self._engine.step

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step: the optimizer's constant, or the value of its schedule.

        Set it to a number or a `Schedule`. A schedule counts the steps that are already completed. The next step uses
        the new rate, also within a fit if a callback sets it. The rate becomes part of `architecture.optimizer`, and
        so of files, copies and `repr`. The optimizer's moments do not change. If an epoch is undone because its loss
        became NaN, the rate is not reset.

        Raises
        ------
        AttributeError
            If the optimizer has none, as `LBFGS`.
        TypeError, ValueError
            If the value is neither a schedule nor a number of at least 0, or there is no learning rate. Nothing is
            changed.
        RuntimeError
            If another thread is fitting this network.
        """
        try:
            return self._engine.learning_rate()
        except ValueError as error:  # so that `hasattr` and `inspect` find that there is none
            raise AttributeError(str(error), name="learning_rate") from None

    @learning_rate.setter
    def learning_rate(self, rate: float | Schedule) -> None:
        self._engine.set_learning_rate(rate)

    def freeze(self, layers: int | Iterable[int]) -> None:
        """Let layers rest: training does not change them, until `unfreeze`.

        A layer at rest has no penalty, and its gradient is 0, also in the norm that `global_clipnorm` limits. Its
        moments do not change, and its optimizer counts no steps, as in PyTorch. Below the lowest layer that is trained
        nothing is computed backwards. A callback may freeze layers during its fit.

        Parameters
        ----------
        layers : int or iterable of int
            The layers as in `get_weights`: 0 is the first, -1 the last.

        Raises
        ------
        ValueError, TypeError
            If there is no such layer, or no layer would be trained. Nothing is changed.
        RuntimeError
            If another thread is fitting this network.

        Examples
        --------
        >>> net.freeze(range(2))  # the first two layers
        """
        self._engine.set_trainable(self.architecture.places_of(layers), False)

    def unfreeze(self, layers: int | Iterable[int] | None = None) -> None:
        """Train layers again that rest.

        Parameters
        ----------
        layers : int or iterable of int, optional
            The layers, as in `freeze`. None means all, except each `Normalization`, which training never changes.

        Raises
        ------
        ValueError, TypeError
            If there is no such layer, or it is a `Normalization`.
        RuntimeError
            If another thread is fitting this network.
        """
        every = [i for i, layer in enumerate(self.architecture.layers) if layer.learns]
        self._engine.set_trainable(self.architecture.places_of(every if layers is None else layers), True)

    @check_keywords
    def with_layers(
        self,
        kept: int,
        layers: Sequence[int | LayerDescription],
        *,
        activation: str | Activation = "relu",
        output: str | Activation | None = None,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        seed: int | None = None,
        threads: int | None = None,
    ) -> Network:
        """Return a new network of the first layers of this one, with their weights, and of new layers behind them.

        Parameters
        ----------
        kept : int
            How many layers are kept.
        layers : sequence of int or LayerDescription
            The layers behind them.
        activation, output, loss, seed, threads
            The arguments of `Network`.
        optimizer : str or Optimizer, optional
            None takes the optimizer of this network. Its moments begin anew.

        Returns
        -------
        Network
            The new network, in the dtype of this one.

        Raises
        ------
        ValueError, TypeError
            If this network has fewer layers, or an argument is wrong.

        Examples
        --------
        >>> other = net.with_layers(2, [5], output="softmax")
        >>> other.freeze(range(2))
        """
        own = self.architecture
        kept = whole_number(kept, "kept")
        if isinstance(layers, (str, bytes)) or not isinstance(layers, Sequence):
            raise TypeError(f"layers must be a list such as [16, 2], got {layers!r}")
        if kept > len(own.layers):
            raise ValueError(f"kept must be at most {len(own.layers)}, the number of layers, got {kept}")
        network = Network(
            [own.inputs, *(layer.describe() for layer in own.layers[:kept]), *layers],
            activation=activation,
            output=output,
            loss=loss,
            optimizer=own.optimizer if optimizer is None else optimizer,
            dtype=own.dtype,
            seed=seed,
            threads=threads,
        )
        network.set_weights([*self.get_weights()[:kept], *network.get_weights()[kept:]])
        network._engine.names = Names(self._engine.names.features)
        return network

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the inputs: the columns of the first frame that the network was trained on; else None."""
        return self._engine.names.features

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The label of each class, if the network was trained on labels that are strings; else None."""
        return self._engine.names.classes

    # Weights ---------------------------------------------------------------------------------------------------------

    def get_weights(self) -> list[LayerWeights]:
        """Return copies of each layer's (W, b).

        Returns
        -------
        list of (ndarray, ndarray or None)
            W of shape (inputs, units), or (units,) of a layer of columns such as `Scale`; and b of shape (units,), or
            None for a layer without bias. A `Normalization` has its deviations as W and its means as b.
        """
        return self._engine.get_weights()

    def set_weights(self, weights: Sequence[tuple[ArrayLike, ArrayLike | None]]) -> None:
        """Copy each layer's (W, b) into the network. The optimizer's state and the counters do not change.

        Parameters
        ----------
        weights : sequence of (array-like, array-like or None)
            W and b of each layer, as `get_weights` returns them.

        Raises
        ------
        ValueError, TypeError
            If the number of layers or a shape differs, or a value is not finite. Nothing is changed.
        MemoryError
            If there is no memory for a copy of the weights. Nothing is changed.
        RuntimeError
            If another thread is fitting this network; a callback may set weights.
        """
        self._engine.set_weights(check_layer_weights(weights, self.architecture))

    @check_keywords
    def adapt(self, X: ArrayLike) -> None:
        """Take the means and deviations of the `Normalization` layers from data, usually the rows of training.

        A layer that is not the first takes them from the activations below it, with the weights of now. They are
        computed in float64. A column of equal numbers has the deviation 1. `fit` warns if they were never taken.

        Parameters
        ----------
        X : array-like of shape (n, inputs)
            At least one row.

        Raises
        ------
        ValueError, TypeError
            If the network has no such layer, or X does not suit it. Nothing is changed.
        RuntimeError
            If another thread is fitting this network.

        Examples
        --------
        >>> net = Network([30, Normalization(), 16, 2], output="softmax", seed=0)
        >>> net.adapt(X)
        """
        if all(layer.learns for layer in self.architecture.layers):
            raise ValueError("this network has no Normalization layer; write Network([30, Normalization(), 16, 2])")
        if callable(X) or isinstance(X, Iterator):
            raise TypeError("adapt needs all rows at once: an array, which may be a memory-mapped file, not chunks")
        self._engine.adapt(check_rows(X, self.architecture, names=self._engine.names))

    def flat_weights(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return all parameters as one vector: layer by layer W, row by row, then b.

        It is `np.concatenate([each.ravel() for pair in net.get_weights() for each in pair])` for layers with biases.

        Parameters
        ----------
        out : ndarray of shape (parameters,), optional
            Receives the vector; in the network's dtype.

        Returns
        -------
        ndarray of shape (parameters,)
            A copy, or `out`.
        """
        return self._engine.flat_weights(check_flat_out(out, self.architecture))

    def set_flat_weights(self, weights: ArrayLike) -> None:
        """Copy a vector, in the order of `flat_weights`, into the network. It is otherwise `set_weights`.

        Parameters
        ----------
        weights : array-like of shape (parameters,)
            Finite numbers.

        Raises
        ------
        ValueError, TypeError
            If the shape differs or a value is not finite. Nothing is changed.
        RuntimeError
            If another thread is fitting this network; a callback may set weights.
        """
        self._engine.set_flat_weights(check_flat(weights, self.architecture, "weights"))

    def blend(self, other: Network, tau: float) -> None:
        """Move the weights towards those of another network: `W = (1 - tau) W + tau W_other`, and b likewise.

        This averages weights over the steps (Polyak), as for the target networks of reinforcement learning. The
        optimizer's state and the counters do not change.

        Parameters
        ----------
        other : Network
            A network with the same dtype, and the same numbers of inputs, units and biases.
        tau : float
            The share of the other network, in [0, 1]. 1 copies its weights.

        Raises
        ------
        ValueError, TypeError
            If the networks differ, or tau is out of its range. Nothing is changed.
        RuntimeError
            If another thread is fitting this network.
        """
        if not isinstance(other, Network):
            raise TypeError(f"other must be a Network, got {type(other).__name__}")
        mine, theirs = (
            (each.architecture.dtype.name, [(l.kind, l.shape, l.use_bias) for l in each.architecture.layers])
            for each in (self, other)
        )
        if mine != theirs:
            raise ValueError(f"networks to blend must have the same shapes and dtype, got {mine} and {theirs}")
        share = number(tau, "tau")
        if share > 1.0:
            raise ValueError(f"tau must be in [0, 1], got {tau!r}")
        self._engine.blend(other._engine, share)

    def reinitialize(self, seed: int | None = None) -> None:
        """Reset the network to the state of a new network with this seed, which knows no names.

        While this method runs, the network takes twice its memory.

        Parameters
        ----------
        seed : int, optional
            None draws a seed.

        Raises
        ------
        MemoryError
            If there is no memory for a second network. Nothing is changed.
        RuntimeError
            If this network is being fitted.
        """
        self._engine.reinitialise(self, architectures.resolve_seed(seed))

    # Display ---------------------------------------------------------------------------------------------------------

    def summary(self) -> None:
        """Print a table of the layers: units, activation, regularisation, number of parameters, and names."""
        print(summary.text_table(self.architecture, self._engine.names))

    def __repr__(self) -> str:
        """Return layers, loss, optimizer, dtype, seed and classes in one line."""
        return summary.one_line(self.architecture, self._engine.names)

    def _repr_html_(self) -> str:
        """Return the table of `summary` as HTML, for notebooks."""
        return notebook.network_table(self.architecture, self._engine.names)

    def memory(self, batch_size: int = 32) -> int:
        """Return the number of bytes that a fit takes for parameters, moments, buffers and tables.

        Not included are the data, the order of its rows (8 bytes a row), and buffers of about 16 MB for large data that
        kernels cannot read in place.
        """
        return self._engine.memory(whole_number(batch_size, "batch_size"))

    # Inference -------------------------------------------------------------------------------------------------------

    @check_keywords
    def predict(self, X: ArrayLike, batch_size: int | None = None) -> NDArray[Any]:
        """Return the output activations.

        Parameters
        ----------
        X : array-like or frame of shape (n, inputs)
            Finite real numbers of any dtype. The columns of a frame are taken by their names if the network was trained
            on a frame, by position otherwise.
        batch_size : int, optional
            The number of rows that a thread computes together. It changes only speed and memory.

        Returns
        -------
        ndarray of shape (n, outputs)
            The outputs, in the network's dtype.

        Raises
        ------
        ValueError, TypeError
            If X does not have shape (n, inputs), contains values that are not finite real numbers, or is a frame whose
            columns have other names than those of the training.
        MemoryError
            If there is not enough memory for the predictions.
        """
        rows = optional_whole_number(batch_size, "batch_size")
        engine = self._engine
        inputs = check_input_shape(X, engine.architecture, "X", engine.names)  # the kernels check that X is finite
        return engine.predict(inputs, rows)

    def predict_classes(self, X: ArrayLike) -> NDArray[np.intp]:
        """Return the predicted class of each row.

        With softmax it is the class with the largest probability. With a sigmoid it is 1 if p >= 0.5, else 0. With a
        hinge loss it is 1 if the output is greater than 0, else 0.

        Returns
        -------
        ndarray of int
            Shape (n,); shape (n, outputs) for several outputs with binary cross-entropy or a hinge loss.
        """
        return predicted_classes(self.predict(X), self.architecture.loss)

    def predict_labels(self, X: ArrayLike) -> NDArray[np.str_]:
        """Return the predicted label of each row: the name in `classes` of the predicted class.

        Returns
        -------
        ndarray of str
            Shape (n,).

        Raises
        ------
        ValueError
            If the network was trained on labels that are numbers; or for the reasons of `predict`.

        Examples
        --------
        >>> net = Network([4, 16, 3], output="softmax", seed=0)
        >>> history = net.fit(X, species, epochs=50)  # species: strings, such as "setosa"
        >>> net.predict_labels(X[:5])
        """
        if self.classes is None:
            raise ValueError(
                "the network knows no labels, because it was not trained on strings; predict_classes returns the "
                "numbers of the classes"
            )
        return np.array(self.classes)[self.predict_classes(X)]

    def hidden_activations(self, X: ArrayLike) -> list[NDArray[Any]]:
        """Return `g(Z)` of every hidden layer without dropout, of shape (n, units) each."""
        return self._engine.hidden_activations(check_inputs(X, self.architecture, names=self._engine.names))

    def input_gradients(self, X: ArrayLike) -> NDArray[Any]:
        """Return the Jacobian of the outputs with respect to the inputs, of shape (n, outputs, inputs).

        The inputs are in the order of `feature_names`, also if X is a frame with another order of columns.
        """
        return self._engine.input_gradients(check_inputs(X, self.architecture, names=self._engine.names))

    @check_keywords
    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        metrics: Iterable[str | MetricFunction] | None = None,
    ) -> dict[str, float]:
        """Return the loss, penalties included, and metrics.

        X is read in pieces. The predictions, of shape (n, outputs), are in memory as a whole.

        Parameters
        ----------
        X, y, sample_weight
            Arrays as in `fit`. The weights apply to the loss and to the metrics.
        metrics : iterable of str or function, optional
            Names of `fastmlp.metrics.METRICS`, or functions `f(y, predictions)` of your own. Such a function receives
            the numbers of classes (n,), also if y holds strings, or rows (n, outputs) and the result of `predict`, and
            returns a finite number. The metric has the name of the function. A function with a parameter
            `sample_weight` receives the weights too. None computes "accuracy" if the loss takes classes, otherwise
            "mean_absolute_error" and "r2".

        Returns
        -------
        dict of str to float
            "loss" and the metrics by their names.

        Raises
        ------
        ValueError, TypeError
            If the arrays do not suit the network, or a metric is unknown or does not suit the loss or the targets.
        """
        selected = select_metrics(metrics, self.architecture.loss)
        return self._engine.evaluate(self._check_samples(X, y, sample_weight), selected)

    def loss_and_gradients(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, list[LayerWeights]]:
        """Return the loss over all rows, penalties included and dropout off, and its exact gradient.

        Returns
        -------
        loss : float
            The loss, penalties included.
        gradients : list of (dW, db)
            The gradients, in the shapes that `get_weights` returns.
        """
        return self._engine.loss_and_gradients(self._check_samples(X, y, sample_weight))

    def _check_samples(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Samples:
        return check_samples(X, y, sample_weight, self.architecture, self._engine.names)

    # Training --------------------------------------------------------------------------------------------------------

    @check_keywords
    def fit(
        self,
        X: ArrayLike | ChunkSource,
        y: ArrayLike | None = None,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | Mapping[str, float] | Literal["balanced"] | None = None,
        classes: Iterable[str] | None = None,
        shuffle: bool | Literal["blocks"] = True,
        metrics: Iterable[str | MetricFunction] | None = None,
        callbacks: Iterable[Callback] = (),
        verbose: bool | int | str = "auto",
        prefetch: int = 2,
    ) -> History:
        """Train for some epochs. Each epoch uses every row once, in batches, in an order that seed and epoch decide.

        Parameters
        ----------
        X : array-like or frame of shape (n, inputs), or iterable of chunks, or function that returns one
            Finite real numbers of any dtype and layout. The network remembers the names of the columns of a frame.
        y : array-like, optional
            Class labels (n,) or rows (n, outputs) for categorical cross-entropy, numbers from 0 to 1 for binary
            cross-entropy, any numbers otherwise. Shape (n,) suffices for one target. Labels are the numbers of the
            outputs, 0, 1, ..., or strings. None if X gives chunks.
        epochs, batch_size : int
            The number of epochs, and the rows of a batch; at least 1. The last batch of an epoch may be smaller. An
            iterator of chunks, which can be read only once, allows one epoch.
        validation_data : tuple, optional
            (X, y) or (X, y, sample_weight) to evaluate after each epoch.
        validation_split : float
            Instead of `validation_data`: the share of the rows, drawn by the seed, that is excluded from training and
            evaluated. It cannot be used with chunks.
        sample_weight : array-like of shape (n,), optional
            The weight of each row in the mean of the losses. Chunks contain their own weights.
        class_weight : mapping or "balanced", optional
            From class label to a factor of the weights of its rows in training. Classes that are left out have the
            factor 1. "balanced" gives all classes the same weight in total: n / (classes * rows of the class), as in
            scikit-learn, where n and the rows are training rows and count by their `sample_weight`. Chunks need a
            mapping.
        classes : iterable of str, optional
            The label of each class, in the order of the outputs; with one output that of class 0, then that of class 1.
            None sorts the different strings in y. Chunks whose labels are strings need it.
        shuffle : bool or "blocks"
            Whether to shuffle the rows before each epoch. False keeps their order. "blocks", for memory-mapped files
            that are larger than memory, shuffles runs of rows of 2 MB, and the rows of eight such runs among each
            other.
        metrics : iterable of str or function, optional
            The metrics of the validation rows after each epoch, as in `evaluate`. For metrics of the training rows,
            pass these as `validation_data`.
        callbacks : iterable of Callback
            The callbacks, which are called in this order.
        verbose : {"auto", True, False}
            Whether to show a line of progress; "auto" shows it in a terminal and in a notebook. True also writes it to
            a file: a line for each epoch, from epoch 1,000 on for each tenth, from 10,000 on for each hundredth, and so
            on. A `ProgressBar` among the callbacks shows it in any case.
        prefetch : int
            How many chunks, or chunks of blocks, a thread reads ahead while the kernels compute. 0 reads each chunk
            when it is needed, in the thread that fits, as a source needs that is bound to its thread. It has no effect
            on other arrays, and on bits.

        Returns
        -------
        History
            "loss" of each epoch, as the training steps computed it. With validation rows also "val_loss" and the
            metrics, with "val_" before their names.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, or does not suit the network. Nothing is changed. Messages about a chunk contain
            its number.
        NonFiniteLossError
            If a loss becomes NaN or infinite. The network is back where that epoch began.
        MemoryError
            If there is not enough memory for the fit. Nothing is changed. The message names what takes how much.
        RuntimeError
            If this network is being fitted already, by another thread or by the fit whose callback this is.

        Notes
        -----
        **Data larger than memory.** Arrays whose rows are contiguous in the network's dtype are read in place. Small
        arrays are converted once. Any other array, such as a memory-mapped file of any dtype and layout, is converted a
        piece at a time. Beside these buffers a fit takes 8 bytes a row for the order of the rows, and as much again
        with `validation_split`. Lists, objects with `__array__`, and arrays of Python objects are converted as a
        whole.

        **Names.** A frame is a table of pandas, polars or Arrow, or of a library like them. The network remembers the
        names of its columns if they are strings: `feature_names`. Other methods then take the columns of a frame by
        name, in any order, and raise if a name is missing or unknown. Arrays are taken by position. Labels that are
        strings become the numbers of their classes, in alphabetical order: `classes`. There must be as many different
        ones as the network has classes, so that none can be missing; `classes` names those that do not occur in y. A
        later fit must have the same names. Copies, pickles and files contain the names. Metrics and callbacks receive
        the numbers of classes.

        **Chunks.** Without y, X gives chunks: tuples (X, y) or (X, y, sample_weight) of any size. X is an iterable that
        is read once an epoch, or a function, such as a generator function, that returns an iterable for each epoch.
        Rows are shuffled within their chunk, by seed, epoch and the number of the chunk. Rows that do not fill a batch
        wait for the next chunk, so without `shuffle` the bits are those of a fit on all rows at once. A thread reads
        `prefetch` chunks ahead. In memory are these, one chunk more, one batch and one buffer. If a chunk does not suit
        the network, or raises an error, the network is back where that epoch began.

        **Interruption.** Ctrl-C, or an exception of another signal handler, ends a fit between two steps, or during a
        call of callbacks, metrics, chunks or data. During compilation it ends the fit after the current kernel, within
        a few seconds. The network is then in the state after a completed step. Its `history` contains all finished
        epochs, with NaN for values that were not computed. No further callbacks are called. An exception in a callback
        leaves the network in such a state, too.

        **Resumption.** The next fit on the same data, with the same `validation_split`, `batch_size`, `shuffle` and
        weights, first finishes the interrupted epoch, as the first of its `epochs`, with the bits of a fit that was
        never interrupted. This also works in another process, from a file of `save` or `ModelCheckpoint`. A fit on
        other data, in batches of another size, or on chunks begins a new epoch.
        """
        epochs, batch_size = whole_number(epochs, "epochs"), whole_number(batch_size, "batch_size")
        architecture = self.architecture
        listeners, selected = check_callbacks(callbacks), select_metrics(metrics, architecture.loss)
        by_blocks = isinstance(shuffle, str) and shuffle == "blocks"
        if not by_blocks:
            check_bool(shuffle, "shuffle, if it is not 'blocks',")
        names = self._engine.names.copy()
        data, held_out = check_training_data(
            X,
            y,
            architecture,
            names,
            epochs=epochs,
            classes=classes,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation_data=validation_data,
            validation_split=validation_split,
            prefetch=whole_number(prefetch, "prefetch", 0),
            by_blocks=by_blocks and isinstance(architecture.optimizer, StepOptimizer),
        )
        if shuffle is True and isinstance(data, ArrayData):
            advise_blocks(data.samples.X)
        if metrics is not None and held_out is None:
            raise ValueError("metrics are measured on validation rows; give validation_data or validation_split")
        validation = None if held_out is None else plan_validation(held_out, selected, metrics is not None)
        job = FitJob(data, epochs, batch_size, bool(shuffle), listeners, verbose, validation)
        return self._engine.fit(self, job, names)

    def train_on_batch(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        classes: Iterable[str] | None = None,
    ) -> float:
        """Do one step of the optimizer on these rows, dropout on. The arguments are those of `fit`.

        Returns
        -------
        float
            The loss before the step, penalties included.

        Raises
        ------
        NonFiniteLossError
            If the loss or a weight becomes NaN or infinite. The network is unchanged.
        RuntimeError
            If this network is being fitted.
        """
        if sample_weight is None and classes is None:
            loss = self._engine.few_row_passes.step(X, y)
            if loss is not None:
                return loss
        names = self._engine.names.copy()
        y = names.learn(X, y, self.architecture, classes)
        samples = check_samples(X, y, sample_weight, self.architecture, names)
        return self._engine.train_on_batch(samples, names)

    # Parts of a step -------------------------------------------------------------------------------------------------

    def gradients(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> list[LayerWeights] | NDArray[Any]:
        """Return the gradient of the loss on these rows, penalties included, dropout off.

        Without dropout, `apply_gradients(gradients(X, y))` does the step of `train_on_batch(X, y)`, to the bit.

        Parameters
        ----------
        X, y, sample_weight
            Arrays as in `fit`.
        out : ndarray of shape (parameters,), optional
            Receives the gradient as one vector in the network's dtype, in the order of `flat_weights`.

        Returns
        -------
        list of (dW, db), or ndarray
            The gradients, in the shapes that `get_weights` returns; or `out`.

        Raises
        ------
        ValueError, TypeError
            If an array does not suit the network.
        """
        checked = check_flat_out(out, self.architecture)
        found = self._engine.few_row_passes.gradients(X, y, checked) if sample_weight is None else None
        if found is not None:
            return found
        return self._engine.gradients(self._check_samples(X, y, sample_weight), checked)

    def forward(self, X: ArrayLike, *, training: bool = False) -> NDArray[Any]:
        """Return the outputs, and keep the activations of all layers for `backward(None, dA)` of the same thread.

        Parameters
        ----------
        X : array-like or frame of shape (n, inputs)
            Finite real numbers.
        training : bool
            Whether units are dropped, by the masks that `train_on_batch` would draw now. They change with each step.

        Returns
        -------
        ndarray of shape (n, outputs)
            The outputs, in the network's dtype.

        Raises
        ------
        ValueError, TypeError
            If X does not suit the network.
        MemoryError
            If there is not enough memory for the activations of all rows.
        """
        check_bool(training, "training")
        A = self._engine.few_row_passes.forward(X, bool(training))
        if A is not None:
            return A
        return self._engine.forward(check_rows(X, self.architecture, names=self._engine.names), bool(training))

    def backward(
        self,
        X: ArrayLike | None,
        dA: ArrayLike,
        *,
        out: NDArray[Any] | None = None,
        return_input_gradient: bool = False,
    ) -> Any:
        """Return the gradient of the parameters for any J, given dJ/dA of the outputs, by backpropagation.

        Penalties are added to the gradient.

        Parameters
        ----------
        X : array-like or frame of shape (n, inputs), or None
            The inputs, without dropout. None takes the activations of this thread's last `forward`, with its masks;
            they hold until the weights change, or `forward` or `backward` is called with other inputs.
        dA : array-like of shape (n, outputs)
            dJ/dA: how J changes with each output of each row. If J is a mean over the rows, it contains the factor 1/n.
        out : ndarray of shape (parameters,), optional
            Receives the gradient as one vector in the network's dtype, in the order of `flat_weights`.
        return_input_gradient : bool
            Whether to return dJ/dX, of shape (n, inputs), too.

        Returns
        -------
        gradients : list of (dW, db), or ndarray
            The gradients, in the shapes that `get_weights` returns; or `out`.
        dX : ndarray of shape (n, inputs)
            Only with `return_input_gradient`.

        Raises
        ------
        ValueError, TypeError
            If an array does not suit the network, or the other one.
        StaleForwardError
            If X is None, and this thread has called no `forward`, or the weights have changed since.

        Examples
        --------
        >>> A = net.forward(X)
        >>> gradients = net.backward(None, 2 * (A - y) / A.size)  # of the mean squared error
        >>> net.apply_gradients(gradients)
        """
        architecture = self.architecture
        check_bool(return_input_gradient, "return_input_gradient")
        checked_out = check_flat_out(out, architecture)
        result = self._engine.few_row_passes.backward(X, dA, checked_out, bool(return_input_gradient))
        if result is None:
            inputs = None if X is None else check_rows(X, architecture, names=self._engine.names)
            gradient = check_output_gradient(dA, None if inputs is None else len(inputs), architecture)
            result = self._engine.backward(inputs, gradient, checked_out, bool(return_input_gradient))
        return result if return_input_gradient else result[0]

    def apply_gradients(self, gradients: Sequence[tuple[ArrayLike, ArrayLike | None]] | NDArray[Any]) -> None:
        """Do one step of the optimizer with given gradients: clipping, the update, decay, and the count of steps.

        Penalties are not added; `gradients` and `backward` add them.

        Parameters
        ----------
        gradients : sequence of (dW, db), or ndarray of shape (parameters,)
            The gradients, in the shapes that `get_weights` returns, or as one vector in the order of `flat_weights`.

        Raises
        ------
        ValueError, TypeError
            If the gradients do not suit the network, or a value is not finite. Nothing is changed.
        NonFiniteLossError
            If a weight becomes NaN or infinite. The network is unchanged.
        RuntimeError
            If this network is being fitted.
        """
        if self._engine.few_row_passes.update(gradients):
            return
        self._engine.apply_gradients(check_gradients(gradients, self.architecture))

    def train_on_gradient(self, X: ArrayLike, dA: ArrayLike) -> None:
        """Do one step of the optimizer, dropout off, given dJ/dA: `apply_gradients(backward(X, dA))` in one call.

        Parameters
        ----------
        X, dA
            Arrays as in `backward`.

        Raises
        ------
        ValueError, TypeError
            If an array does not suit the network, or the other one. Nothing is changed.
        NonFiniteLossError
            If a weight becomes NaN or infinite. The network is unchanged.
        RuntimeError
            If this network is being fitted.
        """
        if self._engine.few_row_passes.step_on_gradient(X, dA):
            return
        names = self._engine.names.copy()
        names.learn_features(X, self.architecture)
        inputs = check_rows(X, self.architecture, names=names)
        self._engine.train_on_gradient(inputs, check_output_gradient(dA, len(inputs), self.architecture), names)

    # Files and copies ------------------------------------------------------------------------------------------------

    @check_keywords
    def save(self, path: str | Path, *, optimizer: bool = True) -> None:
        """Write the network to a file in the safetensors layout. An older file is replaced only by a complete new one.

        Parameters
        ----------
        path : path
            The file. By custom its name ends with ".safetensors".
        optimizer : bool
            Whether to store the optimizer's state, so that training continues as if never interrupted.

        Raises
        ------
        OSError
            If the file cannot be written. An older file of that name is unchanged, and no other file is left behind.
        ValueError
            If weights are NaN or infinite, as they can be within an epoch that fails, or if the description of nested
            schedules is too long. An older file is unchanged.
        MemoryError
            If there is no memory for a copy of the weights. An older file is unchanged.
        """
        self._engine.save(path, optimizer=optimizer)

    @on_class_only
    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Network:
        """Return the network that `save` wrote.

        Call it on the class: `net = Network.load(path)`.

        Parameters
        ----------
        path : path
            The file.
        threads : int, optional
            The maximum number of threads. None lets the library choose.

        Raises
        ------
        TypeError
            If it is called on a network, which it would not change.
        OSError
            If the file cannot be read, or is a device or a pipe.
        ModelFormatError
            If the file is damaged, or was not written by `save`. Before this error, loading takes at most twice the
            size of the file in memory, and twice the size of the description at its beginning.
        MemoryError
            If there is no memory for the network.
        """
        engine, _ = Engine.load(path, optional_whole_number(threads, "threads"))
        return network_with(engine, cls)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without plans and lock, which contain addresses of this process."""
        return self._engine.copy_state(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Create an engine with this state."""
        self._attach(Engine.from_state(state))
        self.history = state["history"]

    def __copy__(self) -> Network:
        """Return a deep copy, which shares nothing with this network."""
        return copy.deepcopy(self)


def network_with(engine: Engine, kind: type[Network] = Network) -> Network:
    """Return the network of an engine. Modules that load more than a network from a file use it."""
    network = kind.__new__(kind)
    network._attach(engine)
    return network
