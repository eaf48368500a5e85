"""`Network`, a multi-layer perceptron as users handle it: it checks arguments and hands them to its engine."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import architecture as architectures
from fastmlp._data.arrays import check_input_shape, check_inputs
from fastmlp._data.chunk_feed import ChunkSource
from fastmlp._data.layer_weights import check_layer_weights
from fastmlp._data.samples import check_samples
from fastmlp._data.training_data import check_training_data
from fastmlp._display import notebook, summary
from fastmlp._engine.engine import Engine, FitJob, LayerWeights, Validation
from fastmlp._runtime.checks import check_bool, optional_whole_number, whole_number
from fastmlp.activations import Activation
from fastmlp.architecture import Architecture
from fastmlp.callbacks import Callback
from fastmlp.callbacks.base import check_callbacks
from fastmlp.history import History
from fastmlp.layers import Dense
from fastmlp.losses import Loss
from fastmlp.metrics.evaluation import built_in_metrics, predicted_classes, select_metrics
from fastmlp.metrics.registry import MetricFunction
from fastmlp.optimizers import Optimizer
from fastmlp.schedules import Schedule


class Network:
    """A multi-layer perceptron: its parameters, and all that can be done with them.

    Parameters
    ----------
    layers : sequence
        The number of inputs, then for each layer its number of units or a `Dense`.
    activation : str or Activation
        The activation of hidden layers that name none: a name of `fastmlp.activations.ACTIVATIONS`, or an object such
        as `LeakyReLU(0.1)`.
    output : str or Activation, optional
        The activation of the last layer, if it names none. None lets it follow from the loss; without a loss it is
        linear.
    loss : str or Loss, optional
        A name of `fastmlp.losses.LOSSES`, or an object such as `Huber(0.5)`. None lets it follow from the output
        activation: softmax and sigmoid take their cross-entropy, exponential takes Poisson's loss, any other takes mean
        squared error.
    optimizer : str or Optimizer, optional
        A name of `fastmlp.optimizers.OPTIMIZERS`, or an object such as `SGD(0.1, momentum=0.9)`. None is `Adam(1e-3)`.
    dtype : {"float32", "float64"}
        The dtype of the parameters and of everything computed.
    seed : int, optional
        Decides initial weights, shuffles, dropout and splits. The same seed gives the same bits, whatever the number of
        threads. None draws a seed, which is then `network.seed`.
    threads : int, optional
        The most threads to use. None leaves it to the library, which takes one for small work.

    Attributes
    ----------
    architecture : Architecture
        Layers, loss, optimizer, dtype and seed, with nothing left open.
    history : History or None
        The history of the last `fit`, also of one that was interrupted.
    stop_training : bool
        A callback sets it to end the fit after the epoch.
    stop_at_once : bool
        A callback sets it to end the fit after the steps under way, within the epoch. The next fit finishes that epoch,
        as after Ctrl-C. Nothing is raised.

    Raises
    ------
    ValueError, TypeError
        If an argument is unknown or out of its range, or if arguments contradict each other.
    MemoryError
        If the network would take more memory than there is.

    Notes
    -----
    Threads may share a network. While one thread fits it, others can read it (predict, evaluate, copy, pickle, save)
    between two steps, some 50 ms apart or a step where that is longer, and they see the network of a finished step.
    Any change by another thread, a second fit above all, raises RuntimeError. In a process that was forked in the
    middle of a step of another thread's fit, every use of the network raises RuntimeError.

    Examples
    --------
    >>> net = Network([30, 16, 8, 2], output="softmax", seed=0)
    >>> history = net.fit(X, labels, epochs=20, validation_split=0.2)
    >>> net.predict_classes(X[:5])
    """

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
        max_threads = optional_whole_number(threads, "threads")
        architecture = architectures.build(
            layers, activation=activation, output=output, loss=loss, optimizer=optimizer, dtype=dtype, seed=seed
        )
        self._attach(Engine.initialised(architecture, max_threads))

    def _attach(self, engine: Engine) -> None:
        """Become the network of that engine, with no history."""
        self._engine = engine
        self.history: History | None = None
        self.stop_training = self.stop_at_once = False

    # Properties ------------------------------------------------------------------------------------------------------

    @property
    def architecture(self) -> Architecture:
        """Layers, loss, optimizer, dtype and seed, with nothing left open."""
        return self._engine.architecture

    @property
    def threads(self) -> int | None:
        """The most threads to use; None leaves it to the library."""
        return self._engine.threads

    @property
    def seed(self) -> int:
        """The seed of all random numbers."""
        return self.architecture.seed

    @property
    def epoch(self) -> int:
        """How many epochs are done, over all fits."""
        return self._engine.epoch

    @property
    def step(self) -> int:
        """How many steps of the optimizer are done."""
        return self._engine.step

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step: the optimizer's number, or what its schedule gives.

        Set it to a number or a `Schedule`. The steps already done count for a schedule. The next step takes the new
        rate, within a fit too if a callback sets it. The rate becomes part of `architecture.optimizer`, and so of
        files, copies and `repr`. The optimizer's moments stay. If an epoch is undone because its loss became NaN, the
        rate stays as it was set.

        Raises
        ------
        TypeError, ValueError
            If the value is neither a schedule nor a number of at least 0. Nothing is changed.
        RuntimeError
            If another thread is fitting this network.
        """
        return self._engine.learning_rate()

    @learning_rate.setter
    def learning_rate(self, rate: float | Schedule) -> None:
        self._engine.set_learning_rate(rate)

    # Weights ---------------------------------------------------------------------------------------------------------

    def get_weights(self) -> list[LayerWeights]:
        """Return copies of each layer's (W, b).

        Returns
        -------
        list of (ndarray, ndarray or None)
            W of shape (inputs, units) and b of shape (units,), or None for a layer without bias.
        """
        return self._engine.get_weights()

    def set_weights(self, weights: Sequence[tuple[ArrayLike, ArrayLike | None]]) -> None:
        """Copy each layer's (W, b) into the network; the optimizer's state and the counters stay as they are.

        Parameters
        ----------
        weights : sequence of (array-like, array-like or None)
            As `get_weights` returns them.

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

    def reinitialize(self, seed: int | None = None) -> None:
        """Start afresh, as if the network had just been made with this seed.

        For a moment the network takes twice its memory.

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
        """Print a table of the layers: units, activation, regularisation and number of parameters."""
        print(summary.text_table(self.architecture))

    def __repr__(self) -> str:
        """Return layers, loss, optimizer, dtype and seed in one line."""
        return summary.one_line(self.architecture)

    def _repr_html_(self) -> str:
        """Return the table of `summary` as HTML, for notebooks."""
        return notebook.network_table(self.architecture)

    def memory(self, batch_size: int = 32) -> int:
        """Return how many bytes a fit with batches of that size takes: parameters, moments, buffers and tables.

        The data and the order of its rows, 8 bytes a row, come on top. So do buffers of some 16 MB where data is large
        and does not lie as the kernels read it.
        """
        return self._engine.memory(whole_number(batch_size, "batch_size"))

    # Inference -------------------------------------------------------------------------------------------------------

    def predict(self, X: ArrayLike, batch_size: int | None = None) -> NDArray[Any]:
        """Return the output activations.

        Parameters
        ----------
        X : array-like of shape (n, inputs)
            Finite real numbers of any dtype.
        batch_size : int, optional
            How many rows a thread takes through the layers together. It changes speed and memory only.

        Returns
        -------
        ndarray of shape (n, outputs)
            In the network's dtype.

        Raises
        ------
        ValueError, TypeError
            If X does not suit the network.
        MemoryError
            If the predictions would take more memory than there is.
        """
        rows = optional_whole_number(batch_size, "batch_size")
        engine = self._engine
        return engine.predict(check_input_shape(X, engine.architecture), rows)  # the kernels check that X is finite

    def predict_classes(self, X: ArrayLike) -> NDArray[np.intp]:
        """Return the predicted class of each row.

        With softmax it is the class with the largest probability. Outputs of a sigmoid are classes 0 and 1 by whether
        p >= 0.5, outputs of a hinge loss by whether p > 0.

        Returns
        -------
        ndarray of int
            Shape (n,); shape (n, outputs) for several outputs with binary cross-entropy or a hinge loss.
        """
        return predicted_classes(self.predict(X), self.architecture.loss)

    def hidden_activations(self, X: ArrayLike) -> list[NDArray[Any]]:
        """Return `g(Z)` of every hidden layer without dropout, of shape (n, units) each."""
        return self._engine.hidden_activations(check_inputs(X, self.architecture))

    def input_gradients(self, X: ArrayLike) -> NDArray[Any]:
        """Return the Jacobian of the outputs with respect to the inputs, of shape (n, outputs, inputs)."""
        return self._engine.input_gradients(check_inputs(X, self.architecture))

    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        metrics: Iterable[str | MetricFunction] | None = None,
    ) -> dict[str, float]:
        """Return the loss, penalties included, and metrics.

        X is read in pieces; the predictions, (n, outputs), are held in memory.

        Parameters
        ----------
        X, y, sample_weight
            Rows as `fit` takes them. They count by their weights.
        metrics : iterable of str or function, optional
            Names of `fastmlp.metrics.METRICS`, or functions `f(y, predictions)` of your own. Such a function receives
            labels (n,) or rows (n, outputs) and what `predict` returns, and returns a finite number. The metric takes
            the function's name. A function with a parameter `sample_weight` receives the weights too. None measures
            "accuracy" where the loss takes classes, otherwise "mean_absolute_error" and "r2".

        Returns
        -------
        dict of str to float
            "loss" and the metrics by their names.

        Raises
        ------
        ValueError, TypeError
            If the rows do not suit the network, or a metric is unknown or does not suit the loss or the rows.
        """
        selected = select_metrics(metrics, self.architecture.loss)
        return self._engine.evaluate(check_samples(X, y, sample_weight, self.architecture), selected)

    def loss_and_gradients(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, list[LayerWeights]]:
        """Return the loss over all rows, penalties included and dropout off, and its exact gradient.

        Returns
        -------
        loss : float
        gradients : list of (dW, db)
            Of the shapes that `get_weights` returns.
        """
        return self._engine.loss_and_gradients(check_samples(X, y, sample_weight, self.architecture))

    # Training --------------------------------------------------------------------------------------------------------

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
        class_weight: Mapping[int, float] | None = None,
        shuffle: bool = True,
        metrics: Iterable[str | MetricFunction] | None = None,
        callbacks: Iterable[Callback] = (),
        verbose: bool | int | str = "auto",
    ) -> History:
        """Train for some epochs. Each epoch takes every row once, in batches, in an order that seed and epoch decide.

        Parameters
        ----------
        X : array-like of shape (n, inputs), or iterable of chunks, or function that returns one
            Finite real numbers of any dtype and layout.
        y : array-like, optional
            Class labels (n,) or rows (n, outputs) for categorical cross-entropy, numbers from 0 to 1 for binary
            cross-entropy, any numbers otherwise. Shape (n,) will do for one output. None if X gives chunks.
        epochs, batch_size : int
            At least 1. The last batch of an epoch may be smaller. An iterator, which can be read only once, allows one
            epoch.
        validation_data : tuple, optional
            (X, y) or (X, y, sample_weight) to evaluate after each epoch.
        validation_split : float
            Instead of `validation_data`: the share of the rows, drawn by the seed, that is kept out of training and
            evaluated. Not with chunks.
        sample_weight : array-like of shape (n,), optional
            The weight of each row in the mean of the losses. Chunks bring their own.
        class_weight : mapping, optional
            From class label to a factor on the weights of its rows in training; 1 for classes left out.
        shuffle : bool
            False takes the rows as they come.
        metrics : iterable of str or function, optional
            What to measure of the validation rows after each epoch, as in `evaluate`. To measure the training rows,
            pass them as `validation_data`.
        callbacks : iterable of Callback
            Called in this order.
        verbose : {"auto", True, False}
            Whether to show a line of progress; "auto" shows it in a terminal. With a `ProgressBar` among the callbacks
            it is shown in any case, once.

        Returns
        -------
        History
            "loss" by epoch, as training saw it; with validation rows also "val_loss" and the metrics, "val_" before
            their names.

        Raises
        ------
        ValueError, TypeError
            If an argument does not suit. Nothing is changed. Errors of a chunk name its number.
        NonFiniteLossError
            If a loss becomes NaN or infinite. The network is back where that epoch began.
        MemoryError
            If the fit would take more memory than there is. Nothing is changed. The message says what takes how much.
        RuntimeError
            If this network is being fitted already, by another thread or by the fit whose callback this is.

        Notes
        -----
        **Data larger than memory.** Data that lies C-contiguous in the network's dtype is read where it is. Small data
        is converted once. Any other data, such as a memory-mapped file of any dtype and layout, is converted a piece at
        a time. Beside these buffers a fit takes 8 bytes a row for the order of the rows, and as much again with
        `validation_split`. Lists, objects with `__array__`, and arrays of Python objects are converted as a whole.

        **Chunks.** Without y, X gives chunks: tuples (X, y) or (X, y, sample_weight) of any size. X is an iterable that
        can be read once an epoch, or a function, such as a generator function, that returns one for each epoch. Rows
        are shuffled within their chunk, by seed, epoch and the number of the chunk. Rows that do not fill a batch wait
        for the next chunk, so without `shuffle` the bits are those of a fit on all rows at once. A chunk, a batch and a
        buffer are held at most, and only the next chunk is asked for ahead. If a chunk does not suit, or cannot be
        made, the network is back where that epoch began.

        **Interruption.** Ctrl-C, or what the handler of another signal raises, ends a fit between two steps, or while
        it waits for callbacks, metrics, chunks or data. While kernels are compiled it ends after the one under way,
        some seconds at most. The network is then that of a finished step, and its `history` holds what was measured
        until then, NaN for what was not; callbacks that had not been called are not called. An exception in a callback
        leaves the same state behind.

        **Resumption.** The next fit on the same data, with the same `validation_split`, `batch_size`, `shuffle` and
        weights, first finishes the epoch under way, as the first of its `epochs`, with the bits of a fit that was never
        interrupted. This also works in another process, from a file of `save` or `ModelCheckpoint`. A fit on other
        data, in batches of another size, or on chunks begins a new epoch.
        """
        epochs, batch_size = whole_number(epochs, "epochs"), whole_number(batch_size, "batch_size")
        architecture = self.architecture
        listeners, selected = check_callbacks(callbacks), select_metrics(metrics, architecture.loss)
        check_bool(shuffle, "shuffle")
        source, held_out = check_training_data(
            X,
            y,
            architecture,
            epochs=epochs,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation_data=validation_data,
            validation_split=validation_split,
        )
        if metrics is not None and held_out is None:
            raise ValueError("metrics are measured on validation rows; give validation_data or validation_split")
        requested = {} if metrics is None else built_in_metrics(selected)
        validation = None if held_out is None else Validation(held_out, selected, requested)
        job = FitJob(source, epochs, batch_size, bool(shuffle), listeners, verbose, validation)
        return self._engine.fit(self, job)

    def train_on_batch(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Do one step of the optimizer on these rows, dropout on.

        Returns
        -------
        float
            The loss before the step, penalties included.

        Raises
        ------
        NonFiniteLossError
            If the loss is NaN or infinite, or the weights become so. The network is as it was.
        RuntimeError
            If this network is being fitted.
        """
        return self._engine.train_on_batch(check_samples(X, y, sample_weight, self.architecture))

    # Files and copies ------------------------------------------------------------------------------------------------

    def save(self, path: str | Path, *, optimizer: bool = True) -> None:
        """Write the network to a file in the safetensors layout; at any moment the old file or the new one is there.

        Parameters
        ----------
        path : path
            The file. By custom its name ends with ".safetensors".
        optimizer : bool
            Whether to store the optimizer's state, so that training continues as if never interrupted.

        Raises
        ------
        OSError
            If the file cannot be written. An old file of that name is intact, and nothing else is left behind.
        ValueError
            If weights are NaN or infinite, as they can be within an epoch that fails, or if nested schedules are too
            long to be described. An old file is intact.
        MemoryError
            If there is no memory for a copy of the weights. An old file is intact.
        """
        self._engine.save(path, optimizer=optimizer)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Network:
        """Return the network that `save` wrote.

        Parameters
        ----------
        path : path
            The file.
        threads : int, optional
            The most threads to use. None leaves it to the library.

        Raises
        ------
        OSError
            If the file cannot be read, or is a device or a pipe.
        ModelFormatError
            If anything in it is not as `save` writes it. Until that is known, loading takes at most twice the file's
            size of memory, and twice the size of the description at its beginning.
        MemoryError
            If there is no memory for the network.
        """
        engine, _ = Engine.load(path, optional_whole_number(threads, "threads"))
        network = cls.__new__(cls)
        network._attach(engine)
        return network

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but plans and lock, which hold addresses of this process."""
        return self._engine.copy_state(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make an engine with this state."""
        self._attach(Engine.from_state(state))
        self.history = state["history"]

    def __copy__(self) -> Network:
        """Return a network of its own: nothing is shared."""
        return copy.deepcopy(self)


def network_with(engine: Engine) -> Network:
    """Return the network of an engine, for the parts of fastmlp that load more than a network from a file."""
    network = Network.__new__(Network)
    network._attach(engine)
    return network
