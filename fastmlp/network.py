"""`Network`, the face of fastmlp: it validates, owns the memory and calls the kernels; it has no loop over samples."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import architecture as architectures
from fastmlp._data.arrays import (
    Table,
    Targets,
    check_finite,
    check_inputs,
    check_table,
    own_copy,
    real_array,
)
from fastmlp._data.chunks import ChunkData, ChunkSource
from fastmlp._data.feeds import ArrayData, ArrayFeed
from fastmlp._data.samples import Samples, check_samples
from fastmlp._data.training_data import check_training_data
from fastmlp._data.weights import Weights
from fastmlp._display import notebook, summary
from fastmlp._display.progress import ProgressLine
from fastmlp._engine import checkpointing, inference
from fastmlp._engine.few_rows import FewRowsPredictor
from fastmlp._engine.fit_loop import FitLoop
from fastmlp._engine.parameters import LayerWeights, Parameters
from fastmlp._engine.plan import Plan, Plans
from fastmlp._engine.plan_buffers import buffer_sizes, bytes_of
from fastmlp._engine.records import copy_record
from fastmlp._engine.step_runner import (
    EpochLosses,
    NonFiniteLossError,
    StepConstants,
    StepRunner,
    batch_loss,
    epoch_losses,
)
from fastmlp._io import checkpoint
from fastmlp._runtime import memory
from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.locks import NetworkLock
from fastmlp.activations import Activation
from fastmlp.architecture import Architecture
from fastmlp.callbacks import Callback, ProgressBar
from fastmlp.callbacks.base import check_callbacks
from fastmlp.history import History
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.layers import Dense
from fastmlp.losses import Loss
from fastmlp.metrics.evaluation import (
    SelectedMetrics,
    built_in_metrics,
    measure,
    predicted_classes,
    select_metrics,
    working_memory,
)
from fastmlp.metrics.registry import MetricFunction
from fastmlp.optimizers import Optimizer
from fastmlp.schedules import Schedule


class Validation(NamedTuple):
    """What is measured after each epoch: the rows, the metrics, and those among them that the user asked for."""

    rows: Samples
    metrics: SelectedMetrics
    asked: SelectedMetrics


class Network:
    """A multi-layer perceptron: its parameters, and all that can be done with them.

    Parameters
    ----------
    layers : sequence
        The number of inputs, then for each layer the number of its units or a `Dense`.
    activation : str or Activation
        For hidden layers that name none: a name of `fastmlp.activations.ACTIVATIONS`, or an object with numbers of its
        own such as `LeakyReLU(0.1)`.
    output : str or Activation, optional
        The activation of the last layer, if it names none; None lets it follow from the loss, and is linear without.
    loss : str or Loss, optional
        A name of `fastmlp.losses.LOSSES`, or an object with numbers of its own such as `Huber(0.5)`; None lets it
        follow from the output activation: softmax and sigmoid take their cross-entropy, exponential Poisson's loss,
        anything else mean squared error.
    optimizer : str or Optimizer, optional
        A name of `fastmlp.optimizers.OPTIMIZERS`, or an object such as `SGD(0.1, momentum=0.9)`; None is `Adam(1e-3)`.
    dtype : {"float32", "float64"}
        Of the parameters and of everything computed.
    seed : int, optional
        Decides initial weights, shuffles, dropout and splits: the same seed gives the same bits, whatever the number of
        threads. None draws one, which is then `network.seed`.
    threads : int, optional
        The most threads to use; None leaves it to the library, which takes one for small work.

    Notes
    -----
    Threads may share a network. They take turns; while one fits it, others read it (predict, evaluate, copy, pickle,
    save) between two steps, some 50 ms apart or a step where that is longer, and get the network of a finished step.
    What would change it, a second fit above all, raises RuntimeError then. In a process that was forked in the middle
    of a step of another thread's fit, all that reads or changes the network raises RuntimeError.

    Attributes
    ----------
    architecture : Architecture
        Layers, loss, optimizer, dtype and seed, with nothing left open.
    history : History or None
        Of the last `fit`, also of one that was interrupted.
    stop_training : bool
        A callback sets it to end the fit after the epoch.
    stop_at_once : bool
        A callback sets it to end the fit after the steps under way, within the epoch, which the next fit finishes as
        after Ctrl-C; nothing is raised.

    Raises
    ------
    ValueError, TypeError
        If something is unknown or out of its range, or if the arguments contradict each other.
    MemoryError
        If it would take more memory than there is.

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
        most = None if threads is None else whole_number(threads, "threads")
        architecture = architectures.build(
            layers, activation=activation, output=output, loss=loss, optimizer=optimizer, dtype=dtype, seed=seed
        )
        parameters = Parameters(architecture)
        parameters.initialise(architecture.seed)
        self._adopt(parameters, most)

    def _adopt(self, parameters: Parameters, threads: int | None) -> None:
        """Take this memory as one's own."""
        self.architecture: Architecture = parameters.architecture
        self.threads = threads
        self.history: History | None = None
        self.stop_training = self.stop_at_once = False
        self._parameters = parameters
        self._plans = Plans(self._parameters, self.threads)
        self._few_rows = FewRowsPredictor(self._parameters)
        self._constants = StepConstants(self.architecture.optimizer)
        self._use = NetworkLock()

    # What it is ------------------------------------------------------------------------------------------------------

    @property
    def seed(self) -> int:
        """What decides all random numbers."""
        return self.architecture.seed

    @property
    def epoch(self) -> int:
        """How many epochs are done, over all fits."""
        return int(self._parameters.state.epoch)

    @property
    def step(self) -> int:
        """How many steps of the optimizer are done."""
        return int(self._parameters.state.step)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step: the optimizer's number, or what its schedule gives.

        Set a number or a `Schedule`, for which the steps done count, and the next step takes it, within a fit too if a
        callback sets it. It takes its place in `architecture.optimizer`, and so in files, copies and `repr`; what the
        optimizer remembers stays. An epoch that is undone, since its loss became NaN, does not bring an older one back.

        Raises
        ------
        TypeError, ValueError
            If what is set is neither a schedule nor a number of at least 0; then nothing is changed.
        RuntimeError
            If it is set while another thread is fitting this network.
        """
        with self._use.turn, self._use.lock:
            return self.architecture.optimizer.rate(self.step + 1)

    @learning_rate.setter
    def learning_rate(self, rate: float | Schedule) -> None:
        with HeldSignals(), self._use.change():
            changed = self.architecture.with_learning_rate(rate)
            self.architecture = self._parameters.architecture = changed
            self._constants.use(changed.optimizer)

    def get_weights(self) -> list[LayerWeights]:
        """Copies of each layer's (W, b): shapes (inputs, units) and (units,), None without bias."""
        with self._use.turn, self._use.lock:
            return self._parameters.unpack(self._parameters.weights)

    def set_weights(self, weights: Sequence[tuple[ArrayLike, ArrayLike | None]]) -> None:
        """Copy each layer's (W, b) in; the optimizer and the counters stay as they are.

        Raises
        ------
        ValueError
            If the number of layers or a shape differs, or a value is not finite; then nothing is changed.
        MemoryError
            If there is no room for a copy of the weights; likewise.
        RuntimeError
            If another thread is fitting this network; a callback may set them.
        """
        layers = self.architecture.layers
        wanted = f"weights must be {len(layers)} pairs (W, b)"
        try:
            given = [tuple(pair) for pair in weights]
        except TypeError:
            raise TypeError(f"{wanted}, got {type(weights).__name__}") from None
        if len(given) != len(layers) or any(len(pair) != 2 for pair in given):
            raise ValueError(f"{wanted}, got {len(given)} entries of lengths {[len(pair) for pair in given]}")
        checked = [self._check_layer(index, w, b) for index, (w, b) in enumerate(given)]
        own = self._parameters
        memory.require(own.weights.nbytes, "a copy of the weights")
        packed = np.zeros_like(own.weights)  # memory may run out here, but not while they are changed
        for index, (w, b) in enumerate(checked):
            own.pack(packed, index, w, b)
        with HeldSignals(), self._use.change():
            own.weights[:] = packed
            own.refresh_transposed()

    def _check_layer(self, index: int, w: Any, b: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
        layer, dtype = self.architecture.layers[index], self.architecture.dtype
        if (b is not None) != layer.use_bias:
            raise ValueError(f"layer {index} has {'a' if layer.use_bias else 'no'} bias, got b={b!r}")
        checked: list[NDArray[Any] | None] = []
        for name, given, shape in (("W", w, (layer.inputs, layer.units)), ("b", b, (layer.units,))):
            if given is None:
                checked.append(None)
                continue
            array = real_array(given, f"{name} of layer {index}")
            if array.shape != shape:
                raise ValueError(f"{name} of layer {index} must have shape {shape}, got {array.shape}")
            check_finite(array, dtype, f"{name} of layer {index}")
            checked.append(array)
        if checked[0] is None:
            raise ValueError(f"W of layer {index} must have shape {(layer.inputs, layer.units)}, got None")
        return checked[0], checked[1]

    def reinitialize(self, seed: int | None = None) -> None:
        """Start afresh, as if just made with this seed; None draws one. RuntimeError during a fit.

        It takes as much memory again for a moment; where there is none, the MemoryError leaves the network as it is.
        """
        fresh = Parameters(dataclasses.replace(self.architecture, seed=architectures.resolve_seed(seed)))
        fresh.initialise(fresh.architecture.seed)
        with HeldSignals(), self._use.fit(), self._use.update():
            self._parameters.copy_from(fresh)
            self.architecture = fresh.architecture
            self.history = None

    def summary(self) -> None:
        """Print a table of the layers: units, activation, what they are regularised by, number of parameters."""
        print(summary.text_table(self.architecture))

    def __repr__(self) -> str:
        """The layers, loss, optimizer, dtype and seed."""
        return summary.one_line(self.architecture)

    def _repr_html_(self) -> str:
        """The table of `summary`, for notebooks."""
        return notebook.network_table(self.architecture)

    def memory(self, batch_size: int = 32) -> int:
        """How many bytes a fit with batches of that size takes: parameters, slots, buffers and tables.

        The data itself and the order of its rows, 8 bytes each, come on top, and buffers of some 16 MB for data that
        is large and does not lie as the kernels read it.
        """
        rows = whole_number(batch_size, "batch_size")
        own = self._parameters
        kept = own.weights.nbytes + own.transposed.nbytes + own.slots.nbytes
        plans = Plans(own, self.threads)
        sizes = buffer_sizes(self.architecture, own.size, "training", rows, plans.thread_count())
        tables = self._constants.nbytes
        return int(kept + tables + bytes_of(sizes))

    # What it says ----------------------------------------------------------------------------------------------------

    def predict(self, X: ArrayLike, batch_size: int | None = None) -> NDArray[Any]:
        """The output activations.

        Parameters
        ----------
        X : array-like of shape (n, inputs)
            Finite real numbers of any dtype.
        batch_size : int, optional
            How many rows a thread takes through the layers together; it changes speed and memory alone.

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
        size = None if batch_size is None else whole_number(batch_size, "batch_size")
        given = check_table(X, self.architecture)  # whether its numbers are finite, the kernels see
        with self._use.turn, self._use.lock:
            if 0 < len(given) <= self._few_rows.most:
                return self._few_rows.predict(given)
            return inference.predict(self._plans, given, batch_size=size)

    def predict_classes(self, X: ArrayLike) -> NDArray[np.intp]:
        """The most probable class of each row, (n,).

        Outputs that stand for themselves are classes 0 and 1 by whether p >= 0.5, with a hinge loss p > 0: a single
        output, (n,), and each of the several of a binary cross-entropy or a hinge loss, (n, outputs).
        """
        return predicted_classes(self.predict(X), self.architecture.loss)

    def hidden_activations(self, X: ArrayLike) -> list[NDArray[Any]]:
        """`g(Z)` of every hidden layer, (n, units) each, dropout off."""
        checked = check_inputs(X, self.architecture)
        with self._use.turn, self._use.lock:
            return inference.hidden(self._plans, checked)

    def input_gradients(self, X: ArrayLike) -> NDArray[Any]:
        """The Jacobian of the outputs, (n, outputs, inputs): how each output changes with each input."""
        checked = check_inputs(X, self.architecture)
        with self._use.turn, self._use.lock:
            return inference.jacobian(self._plans, checked)

    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        metrics: Iterable[str | MetricFunction] | None = None,
    ) -> dict[str, float]:
        """The loss, penalties included, and metrics.

        Parameters
        ----------
        X, y, sample_weight
            Rows as `fit` takes them; they count by their weights.
        metrics : iterable of str or function, optional
            Names of `fastmlp.metrics.METRICS`, or functions of yours: `f(y, predictions)` gets labels (n,) or rows
            (n, outputs), and what `predict` gives, and returns a finite number that is named after the function; if it
            has a parameter `sample_weight` it gets the weights too. None takes "accuracy" where the loss takes
            classes, else "mean_absolute_error" and "r2".

        Returns
        -------
        dict
            "loss", and the metrics by their names. X is read in pieces; the predictions, (n, outputs), are held.

        Raises
        ------
        ValueError, TypeError
            If the rows do not suit the network, or a metric is unknown or does not suit the loss or the rows.
        """
        chosen = select_metrics(metrics, self.architecture.loss)
        return self._evaluate(*check_samples(X, y, sample_weight, self.architecture), chosen)

    def _evaluate(
        self, X: Table, targets: Targets, weights: Weights | None, chosen: SelectedMetrics
    ) -> dict[str, float]:
        self._require_room(len(X), chosen)
        with self._use.turn, self._use.lock:
            loss = inference.loss(self._plans, X, targets, weights)
            predictions = inference.predict(self._plans, X)
        own_weights = None if weights is None else own_copy(weights[:], np.dtype(np.float64))
        return {"loss": loss, **measure(chosen, self.architecture.loss, targets.as_array(), predictions, own_weights)}

    def _require_room(self, rows: int, chosen: SelectedMetrics) -> None:
        """Raise MemoryError where predictions and metrics of so many rows take more than there is."""
        count, dtype = rows * self.architecture.outputs, self.architecture.dtype
        size = count * dtype.itemsize + working_memory(chosen, count, dtype)
        memory.require(size, f"to evaluate {rows:,} rows at once", "fewer rows, or other metrics, would take less")

    def loss_and_gradients(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, list[LayerWeights]]:
        """The loss over all rows, penalties included and dropout off, and its exact gradient.

        Returns
        -------
        loss : float
        gradients : list of (dW, db)
            Shaped as `get_weights` gives the parameters.
        """
        checked, targets, weights = check_samples(X, y, sample_weight, self.architecture)
        with self._use.turn, self._use.lock:
            loss, gradient = inference.loss_and_gradient(self._plans, checked, targets, weights)
            return loss, self._parameters.unpack(gradient)

    # How it learns ---------------------------------------------------------------------------------------------------

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
        """Train for some epochs: in each, every row once, in batches, in an order that seed and epoch decide.

        X and y may be larger than memory: what lies C-contiguous in the network's dtype is read where it is, what is
        small is converted once, and all else, a memory-mapped file of any dtype and layout, is converted a piece at a
        time. Beside such buffers a fit takes 8 bytes a row for their order, and as much again with `validation_split`.
        Lists, objects that make an array of themselves, and arrays of Python objects become arrays as a whole.

        Without y, X gives chunks, tuples (X, y) or (X, y, sample_weight) of any size, one after the other: it is an
        iterable that can be gone through once an epoch, or a function, such as a generator function, that returns one
        for each epoch. Rows are shuffled within their chunk, by seed, epoch and the number of the chunk; those that do
        not fill a batch wait for the next chunk, so that without `shuffle` the bits are those of a fit on all rows at
        once. No more than a chunk, a batch and a buffer are held, and only the next chunk is asked for ahead. If one
        does not suit, or its making raises, the network is back where that epoch began.

        Ctrl-C, or what the handler of another signal raises, ends a fit between two steps or while it waits for your
        callbacks, metrics, chunks or data; while kernels are compiled, after the one under way, some seconds at most.
        The network is that of a finished step, its `history` what was seen so far, with NaN for what was not yet
        measured; callbacks that had not been called are not called any more. An exception of a callback leaves the same
        behind.

        The next fit on the same data, with the same `validation_split`, `batch_size`, `shuffle` and weights of rows,
        first finishes the epoch under way, as the first of its `epochs`, with the bits of a fit never interrupted; so
        it does in another process, from a file that `save` or a `ModelCheckpoint` wrote. On other data or in batches of
        another size, and on chunks, which cannot be gone back to, it begins an epoch.

        Parameters
        ----------
        X : array-like of shape (n, inputs), or iterable of chunks, or function that returns one
            Finite real numbers of any dtype and layout.
        y : array-like, optional
            Class labels (n,) or rows (n, outputs) for categorical cross-entropy, numbers from 0 to 1 for binary
            cross-entropy, any numbers otherwise; (n,) will do for one output. None if X gives chunks.
        epochs, batch_size : int
            At least 1; the last batch of an epoch may be smaller. An iterator that can be gone through only once
            allows one epoch.
        validation_data : tuple, optional
            (X, y) or (X, y, sample_weight) to evaluate after each epoch.
        validation_split : float
            Instead, this share of the rows, drawn by the seed, is kept out of training and evaluated; not of chunks.
        sample_weight : array-like of shape (n,), optional
            The weight of each row in the mean of the losses; chunks bring their own.
        class_weight : mapping, optional
            From class label to a factor on the weights of its rows in training; 1 for classes left out.
        shuffle : bool
            False takes the rows as they come.
        metrics : iterable of str or function, optional
            What to measure of the validation rows after each epoch, as in `evaluate`; for the training rows give them
            as `validation_data`.
        callbacks : iterable of Callback
            Called in this order.
        verbose : {"auto", True, False}
            Whether to show a line of progress; "auto" does in a terminal. With a `ProgressBar` among the callbacks
            it is shown anyway, once.

        Returns
        -------
        History
            "loss" by epoch, as training saw it; with validation rows "val_loss" and the metrics, "val_" before their
            names.

        Raises
        ------
        ValueError, TypeError
            If an argument does not suit; then nothing is changed. Errors of a chunk name its number.
        NonFiniteLossError
            If a loss becomes NaN or infinite; the network is back where that epoch began.
        MemoryError
            If it would take more memory than there is; then nothing is changed. It says what takes how much.
        RuntimeError
            If this network is being fitted already, by another thread or by the fit whose callback this is.
        """
        epochs, batch_size = whole_number(epochs, "epochs"), whole_number(batch_size, "batch_size")
        listeners, chosen = check_callbacks(callbacks), select_metrics(metrics, self.architecture.loss)
        if not isinstance(shuffle, (bool, np.bool_)):
            raise TypeError(f"shuffle must be True or False, got {shuffle!r}")
        source, validation = check_training_data(
            X,
            y,
            self.architecture,
            epochs=epochs,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation_data=validation_data,
            validation_split=validation_split,
        )
        if metrics is not None and validation is None:
            raise ValueError("metrics are measured on validation rows; give validation_data or validation_split")
        asked = {} if metrics is None else built_in_metrics(chosen)
        held = None if validation is None else Validation(validation, chosen, asked)
        return self._train(source, epochs, batch_size, shuffle, listeners, verbose, held)

    def _train(
        self,
        data: ArrayData | ChunkData,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        callbacks: Sequence[Callback],
        verbose: bool | int | str,
        validation: Validation | None = None,
        losses: EpochLosses = epoch_losses,
    ) -> History:
        """A fit whose arguments are checked; `losses` makes those of epochs of the results of steps."""
        shown = any(isinstance(callback, ProgressBar) for callback in callbacks)
        progress = ProgressLine(True if shown and verbose in (0, "auto") else verbose, epochs, data.samples)
        batch_size = min(batch_size, data.samples or batch_size)
        with contextlib.closing(progress), HeldSignals() as signals, self._use.fit():
            self._require_finite()
            plan = signals.released(self._prepare, progress, batch_size, validation)
            feed = data.feed(plan, batch_size, shuffle)
            self._resume_or_begin_epoch(*data.identity(batch_size))
            trainer = signals.released(StepRunner, plan, feed, self._constants, signals.released, self._use.update)
            history = self.history = History()
            self.stop_training = self.stop_at_once = False
            validate = validation and functools.partial(self._evaluate, *validation.rows, validation.metrics)
            validated = ("loss", *validation.metrics) if validation else ()
            FitLoop(self, history, trainer, validate, validated, callbacks, progress, signals, losses).run(epochs)
            return history

    def _prepare(self, progress: ProgressLine, batch_size: int, validation: Validation | None) -> Plan:
        """The plan of a fit; compiles what is needed the first time, and tries the metrics that were asked for."""
        progress.prepare()
        plan = self._plans.get("training", batch_size)
        if validation is not None:
            rows = len(validation.rows[0])
            self._require_room(rows, validation.metrics)
            inference.prepare(self._plans, rows)
            if validation.asked:
                self._evaluate(*validation.rows, validation.asked)  # refuses now what would not suit after an epoch
        return plan

    def train_on_batch(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """One step of the optimizer on these rows, dropout on; returns the loss before it, penalties included.

        Raises
        ------
        NonFiniteLossError
            If the loss is NaN or infinite, or the weights become so; the network is as it was.
        RuntimeError
            If this network is being fitted.
        """
        checked, targets, weights = check_samples(X, y, sample_weight, self.architecture)
        with HeldSignals() as signals, self._use.fit():
            self._require_finite()
            plan = signals.released(self._plans.get, "training", len(checked))
            feed = ArrayFeed(plan, checked, targets, weights, None, len(checked), shuffle=False)
            trainer = signals.released(StepRunner, plan, feed, self._constants, operator.call, contextlib.nullcontext)
            with self._use.update():
                return self._step_alone(trainer)

    def _step_alone(self, trainer: StepRunner) -> float:
        """One step that is of no epoch; returns its loss."""
        state = self._parameters.state
        kept = type(state).from_buffer_copy(state)
        try:
            state.batch = 0
            return batch_loss(trainer.run(1)[0])
        except NonFiniteLossError as error:
            raise NonFiniteLossError(error.epoch, 0, "this step") from None
        finally:
            kept.step = state.step
            copy_record(state, kept)

    def _require_finite(self) -> None:
        if not self._parameters.are_finite():
            raise ValueError("the network's weights hold NaN or infinity; set_weights or reinitialize it")

    def _resume_or_begin_epoch(self, *data: int) -> None:
        """Go on within an epoch only if it was of these data: as many rows, in batches of that size, of that mark."""
        state = self._parameters.state
        if (state.epoch_rows, state.epoch_batch_size, state.epoch_fingerprint) != data:
            state.batch = 0
        state.epoch_rows, state.epoch_batch_size, state.epoch_fingerprint = data

    # How it is kept --------------------------------------------------------------------------------------------------

    def save(self, path: str | Path, *, optimizer: bool = True) -> None:
        """Write the network to a file in the safetensors layout; at any moment the old file or the new one is there.

        Parameters
        ----------
        path : path
            The file; by custom it ends with ".safetensors".
        optimizer : bool
            Whether to store what the optimizer remembers, so that training goes on as if never interrupted.

        Raises
        ------
        OSError
            If it cannot be written; an old file of that name is intact then, and nothing else is left.
        ValueError
            If weights are NaN or infinite, as they can be within an epoch that fails, or a schedule of schedules is too
            long to be described; likewise.
        MemoryError
            If there is no room for a copy of the weights; the old file is intact then too.
        """
        self._save(path, optimizer, None)

    def _save(
        self, path: str | Path, optimizer: bool, table: str | None, best: tuple[str, float] | None = None
    ) -> None:
        """Write the network, the description of the table that its inputs are columns of, and its best figure."""
        with self._use.turn, self._use.lock:
            stored = checkpointing.to_checkpoint(self._parameters, optimizer=optimizer, table=table, best=best)
            checkpoint.write(path, stored)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Network:
        """The network that `save` wrote.

        Raises
        ------
        OSError
            If the file cannot be read, or is a device or a pipe.
        ModelFormatError
            If anything in it is not as `save` writes it. Until that is known, loading takes at most twice the file's
            size of memory, and twice the description's at its beginning.
        MemoryError
            If there is no room for the network.
        """
        return cls._load(path, threads)[0]

    @classmethod
    def _load(cls, path: str | Path, threads: int | None = None) -> tuple[Network, str | None]:
        """The network, and the description of the table that its inputs are columns of, if the file holds one."""
        most = None if threads is None else whole_number(threads, "threads")
        stored = checkpoint.read(path)
        network = cls.__new__(cls)
        network._adopt(checkpointing.from_checkpoint(stored), most)
        return network, stored.table

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the plans and the lock, which hold addresses of this process."""
        with self._use.turn, self._use.lock:
            own = self._parameters
            memory.require(own.weights.nbytes + own.slots.nbytes, "a copy of a network")
            return {
                "architecture": self.architecture,
                "threads": self.threads,
                "history": copy.deepcopy(self.history),
                **{name: getattr(own, name).copy() for name in ("weights", "slots")},
                "state": bytes(own.state),
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the memory and copy the state in."""
        parameters = Parameters(state["architecture"])
        for name in ("weights", "slots"):
            getattr(parameters, name)[...] = state[name]
        copy_record(parameters.state, state["state"])
        parameters.refresh_transposed()
        self._adopt(parameters, state["threads"])
        self.history = state["history"]

    def __copy__(self) -> Network:
        """A network of its own: nothing is shared."""
        return copy.deepcopy(self)
