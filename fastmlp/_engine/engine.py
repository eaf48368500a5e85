"""The engine of a network: the one interface through which the rest of fastmlp reads, trains and changes a network.

`Network`, the scikit-learn estimators, callbacks and tables use an `Engine` and nothing below it. An engine takes
arguments that `fastmlp._data` has checked. It owns the memory and the lock of a network, and it calls the kernels.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.array_feed import ArrayData
from fastmlp._data.arrays import FLOAT64, RowArray, converted, row_slices
from fastmlp._data.column_statistics import means_and_deviations
from fastmlp._data.layer_weights import check_layer
from fastmlp._data.names import Names
from fastmlp._data.samples import Samples
from fastmlp._display.progress import ProgressLine
from fastmlp._engine import inference
from fastmlp._engine.checkpointing import from_checkpoint, to_checkpoint
from fastmlp._engine.epoch_loop import EpochLoop
from fastmlp._engine.evaluations import Evaluate, Evaluation, can_evaluate
from fastmlp._engine.few_row_passes import FewRowPasses
from fastmlp._engine.few_rows import FewRowsPredictor
from fastmlp._engine.fit_job import FitJob, plan_validation, require_memory_to_evaluate
from fastmlp._engine.fit_loop import FitLoop
from fastmlp._engine.full_batch_loop import FullBatchLoop, working_bytes
from fastmlp._engine.parameters import Gradients, LayerWeights, Parameters
from fastmlp._engine.passes import Passes, StaleForwardError
from fastmlp._engine.plan import Plans
from fastmlp._engine.plan_buffers import buffer_sizes, bytes_of
from fastmlp._engine.purposes import LOSS, TRAINING
from fastmlp._engine.records import copy_record
from fastmlp._engine.rests import Rests
from fastmlp._engine.step_constants import StepConstants
from fastmlp._engine.step_runner import EpochLosses, NonFiniteLossError, StepRunner
from fastmlp._io import checkpoint
from fastmlp._runtime import memory
from fastmlp._runtime.locks import NetworkLock
from fastmlp._runtime.user_warnings import warn_user
from fastmlp.architecture import Architecture
from fastmlp.history import History
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.layers import LAYERS
from fastmlp.metrics.evaluation import SelectedMetrics, measure
from fastmlp.optimizers import LBFGS, StepOptimizer
from fastmlp.schedules import Schedule

if TYPE_CHECKING:
    from fastmlp.network import Network

__all__ = [
    "Engine",
    "EpochLosses",
    "FitJob",
    "LayerWeights",
    "NonFiniteLossError",
    "StaleForwardError",
    "engine_of",
    "plan_validation",
]

T = TypeVar("T")


class Engine:
    """The memory, plans and lock of one network.

    The methods behind the public interface of `Network` acquire the lock. Those that read are thread-safe, also during
    a fit. Those that change the network raise RuntimeError while another thread fits it.

    Parameters
    ----------
    parameters : Parameters
        The network's memory.
    threads : int or None
        The maximum number of threads; None lets the library choose.
    names : Names, optional
        The names of inputs and classes that the network knows.

    Attributes
    ----------
    averages_penalties : bool
        Whether penalties are divided by the sum of the weights of the rows, as in scikit-learn.
    few_row_passes : FewRowPasses
        Does calls of few rows, with arguments that nobody has checked, or says that it does not.
    units : mapping of str to float
        The factors by which the next fits multiply "loss" and metrics before they report them; see `FitJob`.
    """

    def __init__(self, parameters: Parameters, threads: int | None, names: Names | None = None) -> None:
        self.threads = threads
        self.names = names or Names()
        self.parameters = parameters
        self.plans = Plans(parameters, threads)
        self.lock = NetworkLock(parameters.state)
        self.constants = StepConstants(parameters)
        self.few_rows = FewRowsPredictor(parameters)
        self.passes = Passes(parameters, self.plans, self.constants)
        self.few_row_passes = FewRowPasses(parameters, self.plans, self.passes, self.lock)
        self.units: Mapping[str, float] = {}
        self._adapted = False  # whether the numbers of a `Normalization` were taken from data, as far as is known

    @classmethod
    def initialised(cls, architecture: Architecture, threads: int | None) -> Engine:
        """Return the engine of a new network, whose weights are drawn by the seed."""
        parameters = Parameters(architecture)
        parameters.initialise(architecture.seed)
        return cls(parameters, threads)

    # State -----------------------------------------------------------------------------------------------------------

    @property
    def architecture(self) -> Architecture:
        """Layers, loss, optimizer, dtype and seed."""
        return self.parameters.architecture

    @property
    def epoch(self) -> int:
        """The number of completed epochs, over all fits."""
        return int(self.parameters.state.epoch)

    @property
    def step(self) -> int:
        """The number of completed steps of the optimizer."""
        return int(self.parameters.state.step)

    @property
    def is_within_epoch(self) -> bool:
        """Whether an epoch has begun and is not finished."""
        return bool(self.parameters.state.batch != 0)

    def drop_epoch_under_way(self) -> None:
        """Drop the current epoch, so that the next fit begins with a new one."""
        self.parameters.state.batch = 0

    def are_finite(self) -> bool:
        """Return whether all weights, and all values of the optimizer, are finite."""
        return self.parameters.are_finite()

    @property
    def averages_penalties(self) -> bool:
        """Whether plans that are made after this was set average penalties."""
        return self.plans.averages_penalties

    @averages_penalties.setter
    def averages_penalties(self, value: bool) -> None:
        self.plans.averages_penalties = value

    def learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        with self.lock.turn, self.lock.lock:
            return self.architecture.step_optimizer.rate(self.step + 1)

    def set_learning_rate(self, rate: float | Schedule) -> None:
        """Set the learning rate from the next step on. A callback may set it during its fit."""
        with HeldSignals(), self.lock.change():
            self.parameters.architecture = self.architecture.with_learning_rate(rate)
            self.constants.follow()

    def set_trainable(self, places: Sequence[int], trainable: bool) -> None:
        """Let some layers rest, or train them again. A callback may do it during its fit."""
        with HeldSignals(), self.lock.change():
            parameters = self.parameters
            changed = self.architecture.with_trainable(places, trainable)
            rests = parameters.rests.changed(changed, self.step, within_epoch=self.is_within_epoch)
            parameters.architecture, parameters.rests = changed, rests
            self.constants.follow()

    def copy_state(self, network: Network) -> dict[str, Any]:
        """Return copies of the state of a network at one moment: weights, slots, counters and history."""
        with self.lock.turn, self.lock.lock:
            parameters = self.parameters
            memory.require(parameters.weights.nbytes + parameters.slots.nbytes, "a copy of a network")
            return {
                "architecture": self.architecture,
                "weights": parameters.weights.copy(),
                "slots": parameters.slots.copy(),
                "state": bytes(parameters.state),
                "missed": parameters.rests.missed(self.step),
                "threads": self.threads,
                "feature_names": self.names.features,
                "classes": self.names.classes,
                "history": copy.deepcopy(network.history),
            }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Engine:
        """Return an engine with the weights, slots and counters that `copy_state` returned."""
        parameters = Parameters(state["architecture"])
        parameters.weights[...], parameters.slots[...] = state["weights"], state["slots"]
        copy_record(parameters.state, state["state"])
        parameters.rests = Rests(parameters.architecture, state.get("missed"), int(parameters.state.step))
        parameters.refresh_transposed()
        return cls(parameters, state["threads"], Names(state.get("feature_names"), state.get("classes")))

    def copy_optimizer_state(self, other: Engine) -> None:
        """Copy the slots and counters of a network with the same shapes and optimizer."""
        self.parameters.slots[:] = other.parameters.slots
        copy_record(self.parameters.state, other.parameters.state)
        self.parameters.state.updating = 0
        self.parameters.rests = Rests(self.architecture, other.parameters.rests.missed(other.step), other.step)
        self.constants.follow()

    def memory(self, batch_size: int) -> int:
        """Return the number of bytes that a fit with batches of a given size takes."""
        parameters, threads, optimizer = self.parameters, self.plans.thread_count(), self.architecture.optimizer
        network = parameters.weights.nbytes + parameters.transposed.nbytes + parameters.slots.nbytes
        purpose, rows, more = TRAINING, batch_size, self.constants.nbytes
        if isinstance(optimizer, LBFGS):
            purpose, rows = LOSS, inference.gradient_rows(self.plans, batch_size)
            more = working_bytes(optimizer, self.architecture.parameters)
        return int(network + more + bytes_of(buffer_sizes(self.architecture, parameters.size, purpose, rows, threads)))

    # Weights ---------------------------------------------------------------------------------------------------------

    def get_weights(self) -> list[LayerWeights]:
        """Return copies of each layer's (W, b)."""
        with self.lock.turn, self.lock.lock:
            return self.parameters.unpack(self.parameters.weights)

    def set_weights(self, weights: Sequence[tuple[NDArray[Any], NDArray[Any] | None]]) -> None:
        """Replace the weights by each layer's checked (W, b)."""
        parameters = self.parameters
        memory.require(parameters.weights.nbytes, "a copy of the weights")
        packed = np.zeros_like(parameters.weights)  # memory may run out here, but not while the weights are changed
        for index, (w, b) in enumerate(weights):
            parameters.pack(packed, index, w, b)
        with HeldSignals(), self.lock.change():
            parameters.weights[:] = packed
            parameters.refresh_transposed()

    def flat_weights(self, out: NDArray[Any] | None) -> NDArray[Any]:
        """Return all weights as one vector, in `out` if it is given."""
        with self.lock.turn, self.lock.lock:
            if out is None:
                memory.require(self.parameters.weights.nbytes, "a copy of the weights")
                out = np.empty(self.architecture.parameters, self.architecture.dtype)
            self.parameters.flatten(self.parameters.weights, out)
            return out

    def set_flat_weights(self, vector: NDArray[Any]) -> None:
        """Replace all weights by a checked vector."""
        with HeldSignals(), self.lock.change():
            self.parameters.unflatten(vector, self.parameters.weights)
            self.parameters.refresh_transposed()

    def blend(self, other: Engine, tau: float) -> None:
        """Move the weights towards those of a network of the same shapes: `W = (1 - tau) W + tau W_other`."""
        dtype = self.architecture.dtype.type
        with other.lock.turn, other.lock.lock, np.errstate(all="ignore"):
            theirs = other.parameters.weights * dtype(tau)
        with HeldSignals(), self.lock.change(), np.errstate(all="ignore"):
            weights = self.parameters.weights
            weights *= dtype(1.0 - tau)
            weights += theirs
            self.parameters.refresh_transposed()

    def adapt(self, X: RowArray) -> None:
        """Take the means and deviations of every `Normalization` from rows of X, from the first layer to the last.

        Other layers may be trained meanwhile: only these numbers are written.
        """
        before: dict[int, tuple[NDArray[Any], NDArray[Any] | None]] = {}
        try:
            for place, layer in enumerate(self.architecture.layers):
                if not layer.learns:
                    means, deviations = means_and_deviations(partial(self._pieces_below, place, X))
                    before[place] = self._replace_layer(place, deviations, means)
        except BaseException:
            for place, numbers in before.items():
                self._replace_layer(place, *numbers)
            raise
        self._adapted = True

    def _replace_layer(self, place: int, w: NDArray[Any], b: NDArray[Any] | None) -> LayerWeights:
        """Replace the numbers of one layer, and return those before."""
        check_layer(place, w, b, self.architecture)
        with HeldSignals(), self.lock.change():
            before = self.parameters.unpack_layer(self.parameters.weights, place)
            self.parameters.pack(self.parameters.weights, place, w, b)
            self.parameters.refresh_transposed()
            return before

    def _pieces_below(self, place: int, X: RowArray) -> Iterator[NDArray[Any]]:
        """Yield A below a layer for rows of X, piece after piece."""
        units = self.architecture.layers[place].inputs
        for rows in row_slices(len(X), max(self.architecture.inputs, units) * FLOAT64.itemsize):
            if place == 0:
                yield X[rows]
            else:
                with self.lock.turn, self.lock.lock:
                    A = inference.predict(self.plans, X[rows], place - 1)
                yield A

    def weight_positions(self) -> list[LayerWeights]:
        """Return the positions of the elements of each layer's (W, b) in the parameter vector."""
        positions: Any = np.arange(self.parameters.size)
        return self.parameters.unpack(positions)

    def weights_at(self, positions: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of the weights at some positions of the parameter vector."""
        weights: NDArray[Any] = self.parameters.weights[positions]
        return weights

    def loss_and_gradient_at(
        self, positions: NDArray[Any], values: NDArray[Any], samples: Samples
    ) -> tuple[float, NDArray[Any]]:
        """Set the weights at some positions, and return the loss and its gradient at these positions."""
        parameters = self.parameters
        with HeldSignals(), self.lock.change():
            with np.errstate(all="ignore"):
                parameters.weights[positions] = values
            parameters.refresh_transposed()
            loss, gradient = inference.loss_and_gradient(self.plans, *samples)
            return loss, gradient[positions]  # a copy, made before another thread can compute its own

    def reinitialise(self, network: Network, seed: int) -> None:
        """Reset the network to the state of a new one with this seed. If memory runs out, nothing is changed."""
        fresh = Parameters(dataclasses.replace(self.architecture, seed=seed))
        fresh.initialise(seed)
        with HeldSignals(), self.lock.fit(), self.lock.update():
            self.parameters.copy_from(fresh)
            self.constants.follow()
            self.names, network.history, self._adapted = Names(), None, False

    # Inference -------------------------------------------------------------------------------------------------------

    def predict(self, X: RowArray, batch_size: int | None = None) -> NDArray[Any]:
        """Return the output activations, (n, outputs); the kernels check that X is finite."""
        with self.lock.turn, self.lock.lock:
            if isinstance(X, np.ndarray) and 0 < len(X) <= self.few_rows.max_rows:
                return self.few_rows.predict(X)
            return inference.predict(self.plans, X, batch_size=batch_size)

    def hidden_activations(self, X: RowArray) -> list[NDArray[Any]]:
        """Return `g(Z)` of every hidden layer."""
        with self.lock.turn, self.lock.lock:
            return inference.hidden(self.plans, X)

    def input_gradients(self, X: RowArray) -> NDArray[Any]:
        """Return the Jacobian of the outputs, (n, outputs, inputs)."""
        with self.lock.turn, self.lock.lock:
            return inference.jacobian(self.plans, X)

    def loss(self, samples: Samples) -> float:
        """Return the loss, penalties included and dropout off."""
        with self.lock.turn, self.lock.lock:
            return inference.loss(self.plans, *samples)

    def loss_and_gradients(self, samples: Samples) -> tuple[float, list[LayerWeights]]:
        """Return the loss, penalties included and dropout off, and its exact gradient by layer."""
        with self.lock.turn, self.lock.lock:
            loss, gradient = inference.loss_and_gradient(self.plans, *samples)
            return loss, self.parameters.unpack(gradient)

    def evaluate(self, samples: Samples, metrics: SelectedMetrics) -> dict[str, float]:
        """Return the loss and the metrics by their names."""
        X, targets, weights = samples
        require_memory_to_evaluate(self.architecture, len(X), metrics)
        with self.lock.turn, self.lock.lock:
            predictions = np.empty((len(X), self.architecture.outputs), self.architecture.dtype)
            loss = inference.loss(self.plans, X, targets, weights, predictions)
        sample_weight = None if weights is None else converted(weights[:], FLOAT64)
        values = measure(metrics, self.architecture.loss, targets.as_array(), predictions, sample_weight)
        return {"loss": loss, **values}

    # Training --------------------------------------------------------------------------------------------------------

    def fit(self, network: Network, job: FitJob, names: Names | None = None) -> History:
        """Train for some epochs: claim the network, plan, and run the loop over epochs.

        `names` are those of the network and of the data of this fit.

        `network.history` is set before the first step, so that it exists after an interrupted fit.

        Raises
        ------
        NonFiniteLossError
            If a loss becomes NaN or infinite; the network is back where that epoch began.
        RuntimeError
            If this network is being fitted already.
        """
        self.warn_if_not_adapted()
        job.units = self.units
        with job.progress_line() as progress, HeldSignals() as signals, self.lock.fit():
            self._require_finite()
            history = History()
            full_batch = not isinstance(self.architecture.optimizer, StepOptimizer)
            loop = (self._full_batch_loop if full_batch else self._fit_loop)(network, job, history, progress, signals)
            with self._learned(names):
                loop.run()
            return history

    def _fit_loop(
        self, network: Network, job: FitJob, history: History, progress: ProgressLine, signals: HeldSignals
    ) -> EpochLoop:
        """Return the loop of a fit in batches."""
        signals.released(progress.prepare)
        plan = signals.released(self.plans.get, TRAINING, job.batch_size)
        evaluate = signals.released(self._prepare_validation, job)
        feed = job.data.feed(plan.record, self.parameters.state, job.batch_size, job.shuffle)
        self._resume_or_begin_epoch(*job.data.identity(job.batch_size))
        runner = signals.released(StepRunner, plan, feed, self.constants, signals.released, self.lock.update)
        return FitLoop(network, evaluate, job, runner, history, progress, signals)

    def _full_batch_loop(
        self, network: Network, job: FitJob, history: History, progress: ProgressLine, signals: HeldSignals
    ) -> EpochLoop:
        """Return the loop of a fit on all rows at once."""
        if not isinstance(job.data, ArrayData):
            name = type(self.architecture.optimizer).__name__
            raise ValueError(f"{name} needs all rows at once; give X and y as arrays, not as chunks")
        samples, rows = job.data.samples, job.data.training_rows
        samples = samples if rows is None else samples.select(rows)
        signals.released(progress.prepare)
        signals.released(inference.prepare, self.plans, len(samples.X))
        evaluate = signals.released(self._prepare_validation, job)
        update = self.lock.update
        return FullBatchLoop(network, evaluate, job, self.plans, samples, update, history, progress, signals)

    def train_on_batch(self, samples: Samples, names: Names) -> float:
        """Do one step of the optimizer, dropout on. Return the loss before the step, penalties included."""
        with HeldSignals(), self.lock.turn, self.lock.lock:
            self._begin_step(names)
            loss = self.passes.step(samples)
            self.names = names
        return loss

    def train_on_gradient(self, X: RowArray, dA: NDArray[Any], names: Names) -> None:
        """Do one step of the optimizer, dropout off, with the gradient that dJ/dA gives."""
        with HeldSignals(), self.lock.turn, self.lock.lock:
            self._begin_step(names)
            self.passes.step_on_gradient(X, dA)
            self.names = names

    def apply_gradients(self, gradient: NDArray[Any]) -> None:
        """Do one step of the optimizer with a flat gradient."""
        with HeldSignals(), self.lock.turn, self.lock.lock:
            self._begin_step(self.names)
            self.passes.update(gradient)

    def _begin_step(self, names: Names) -> None:
        """Check that a step can be made by this thread, and agrees with the names that the network knows.

        The kernel makes the whole step in one call. Signals are held, because their handlers may use the network, too,
        and so the plan that points to the arrays of this call.
        """
        _ = self.architecture.step_optimizer
        self.lock.require_no_fit()
        names.check_agreement(self.names)
        self._require_finite()

    def gradients(self, samples: Samples, out: NDArray[Any] | None) -> Gradients:
        """Return the gradient that the next step would use without dropout, by layer, or flat in `out`."""
        with HeldSignals(), self.lock.turn, self.lock.lock:
            return self.parameters.layers_or_flat(self.passes.gradient(samples), out)

    def forward(self, X: RowArray, training: bool) -> NDArray[Any]:
        """Return the outputs, and keep the activations for a backward pass of this thread; `training` drops units."""
        with HeldSignals(), self.lock.turn, self.lock.lock:
            return self.passes.forward(X, training)

    def skip_step(self) -> None:
        """Count a step that was not made, so that the next pass drops other units."""
        self.parameters.state.step += 1

    def backward(
        self, X: RowArray | None, dA: NDArray[Any], out: NDArray[Any] | None, input_gradient: bool
    ) -> tuple[Gradients, NDArray[Any] | None]:
        """Return the gradient that dJ/dA gives, by layer or flat in `out`, and dJ/dX if it is asked for.

        Without X the activations are those of this thread's last forward pass.

        Raises
        ------
        StaleForwardError
            If there are none, or the weights have changed since.
        ValueError
            If dA has another number of rows than they have.
        """
        with HeldSignals(), self.lock.turn, self.lock.lock:
            if X is not None:
                self.passes.forward(X, drops=False)
            rows = self.passes.require_forward()
            if len(dA) != rows:
                raise ValueError(f"dA must have the {rows} rows of the last forward pass, got {len(dA)}")
            dX = None
            if input_gradient:
                memory.require(rows * self.architecture.inputs * self.architecture.dtype.itemsize, "dJ/dX of all rows")
                dX = np.empty((rows, self.architecture.inputs), self.architecture.dtype)
            return self.parameters.layers_or_flat(self.passes.backward(dA, dX), out), dX

    def discard_training_buffers(self) -> None:
        """Free the memory that a fit takes beside the network. The next fit allocates it again."""
        self.plans.discard(TRAINING)

    def _prepare_validation(self, job: FitJob) -> Evaluate:
        """Make the plans of the validation, try the requested metrics, and return what evaluates after an epoch."""
        validation = job.validation
        if validation is None:
            return dict
        samples, measured = validation.samples, validation.measured
        if validation.requested:
            self.evaluate(samples, validation.requested)  # an error is raised now, not after an epoch
        if not can_evaluate(measured):
            inference.prepare(self.plans, len(samples.X))
            return partial(self.evaluate, samples, measured)
        require_memory_to_evaluate(self.architecture, len(samples.X), measured)
        evaluation = Evaluation(self.plans, samples, measured)
        return partial(self._locked, evaluation)

    def _locked(self, function: Callable[[], T]) -> T:
        """Call a function that reads the network."""
        with self.lock.turn, self.lock.lock:
            return function()

    def _resume_or_begin_epoch(self, *data: int) -> None:
        """Resume the interrupted epoch if its rows, batch size and fingerprint equal `data`; else begin a new epoch."""
        state = self.parameters.state
        if (state.epoch_rows, state.epoch_batch_size, state.epoch_fingerprint) != data:
            state.batch = 0
        state.epoch_rows, state.epoch_batch_size, state.epoch_fingerprint = data

    def begin_epochs(self, *data: int) -> None:
        """Prepare a fit by a loop that has claimed the network: check its weights, and begin an epoch of the data."""
        self._require_finite()
        self._resume_or_begin_epoch(*data)

    @contextlib.contextmanager
    def _learned(self, names: Names | None) -> Iterator[None]:
        """Use the names that the data of a fit have, unless the fit ends before its first step is completed."""
        before, step = self.names, self.step
        if names is not None:
            names.check_agreement(before)
            self.names = names
        try:
            yield
        finally:
            if self.step == step:
                self.names = before

    def warn_if_not_adapted(self) -> None:
        """Warn of a `Normalization` of a new network whose means and deviations were never taken from data."""
        if self._adapted or self.step:
            return
        for place, layer in enumerate(self.architecture.layers):
            if not layer.learns:
                W, b = self.parameters.unpack_layer(self.parameters.weights, place)
                if (W == 1).all() and not np.any(b):
                    name = LAYERS[layer.kind].__name__
                    warn_user(f"layer {place}, a {name}, has no means and deviations; call net.adapt(X) before fit")

    def _require_finite(self) -> None:
        if not self.parameters.are_finite():
            raise ValueError("the network's weights hold NaN or infinity; set_weights or reinitialize it")

    # Files -----------------------------------------------------------------------------------------------------------

    def save(
        self, path: str | Path, *, optimizer: bool, table: str | None = None, best: tuple[str, float] | None = None
    ) -> None:
        """Write the network to a file.

        Parameters
        ----------
        path : path
            The file.
        optimizer : bool
            Whether to store the state of the optimizer.
        table : str, optional
            The JSON of a table's schema, if the inputs are the columns of a table.
        best : (str, float), optional
            Name and value of the best figure so far.
        """
        with self.lock.turn, self.lock.lock:
            stored = to_checkpoint(self.parameters, self.names, optimizer=optimizer, table=table, best=best)
            checkpoint.write(path, stored)

    @classmethod
    def load(cls, path: str | Path, threads: int | None) -> tuple[Engine, str | None]:
        """Return the engine of the network in a file, and the JSON of its table's schema, if the file has one."""
        stored = checkpoint.read(path)
        return cls(from_checkpoint(stored), threads, stored.names), stored.table


def engine_of(network: Network) -> Engine:
    """Return the engine of a network. Modules that need more than the public interface of `Network` use it."""
    return network._engine
