"""Passes: a single step, or a part of one, that is asked for from Python.

A step of `fit` is one of thousands that a kernel runs. Here a call is one step, or its gradient, or its update. The
plans of passes have a state of their own, so that a pass does not touch the epoch under way.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import FLOAT64, RowArray, converted, is_contiguous
from fastmlp._data.samples import Samples
from fastmlp._data.staging import point_to_inputs, point_to_targets
from fastmlp._data.targets import Targets
from fastmlp._engine.flops import forward_flops, step_flops
from fastmlp._engine.parameters import Parameters
from fastmlp._engine.plan import Plan, Plans
from fastmlp._engine.program_runner import INT64, ProgramRunner
from fastmlp._engine.purposes import GRADIENT_STEP, PASS, STEP, Purpose
from fastmlp._engine.records import address_of, new_record
from fastmlp._engine.step_constants import StepConstants
from fastmlp._engine.step_plan import Program
from fastmlp._engine.step_runner import NonFiniteLossError, batch_loss
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address
from fastmlp.kernels.drivers.passes import DONE, run_pass
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.tables import Result, State

UPDATING: tuple[Program, ...] = ("step", "update")
"""The programs that update the weights."""

UPDATE_ROWS = 16  # an update takes about the time of the products of so many rows


class StaleForwardError(RuntimeError):
    """Raised when a backward pass has no activations of a forward pass with the current weights."""


class PassRunner(ProgramRunner):
    """Run a program of a plan once, on a state that belongs to the plan."""

    def _function_of(self, driver: Kernel) -> Callable[..., int]:
        return functools.partial(run_pass.function_for(INT64), driver.address(INT64))

    def run_once(self, constants: int, result: int, updates: bool, drops: bool) -> int:
        """Run the program, with the addresses of the optimizer's constants and the result. Return what became of it."""
        arguments = (self.plan.address, constants, result, updates, drops)
        if self.max_threads == 1:
            return self._call(False, arguments)
        _, parallel = self._choose()
        started = time.perf_counter()
        outcome = self._call(parallel, arguments)
        self.tuner.measured(parallel, time.perf_counter() - started)
        return outcome


class PassPlan:
    """A plan whose programs run one at a time, on a state of its own.

    Parameters
    ----------
    plan : Plan
        A plan whose purpose runs phases.
    constants : StepConstants
        The constants of the network's optimizer.

    """

    def __init__(self, plan: Plan, constants: StepConstants) -> None:
        self.plan, self.record, self.constants = plan, plan.record, constants
        self._result, self._state = new_record(Result), new_record(State)
        self.result_address = address_of(self._result)
        self._runners: dict[Program, PassRunner] = {}
        record = plan.record
        record.state, record.targets_from = address_of(self._state), -1

    def run(self, program: Program, rows: int, drops: bool = False) -> None:
        """Run a program on the rows to which the plan's record points.

        Raises
        ------
        NonFiniteLossError
            If it updates the weights, and a loss or a weight is not finite. Then the step is undone.
        """
        runner = self._runners.get(program)
        if runner is None or runner.rows != rows:
            runner = self._runners[program] = PassRunner(self.plan, program, rows, self._flops(program, rows))
        state, updates = self.plan.parameters.state, program in UPDATING
        self.record.samples = self.record.batch_size = rows
        table = self.constants.table(state.step + 1 if updates else 0, 1)
        if runner.run_once(address_of(table), self.result_address, updates, drops) != DONE:
            raise NonFiniteLossError(state.epoch, 0, "this step")

    def loss(self) -> float:
        """Return the loss before the last step, penalties included."""
        result = self._result
        return batch_loss(result.loss_sum, result.weight_sum, result.penalty)

    def _flops(self, program: Program, rows: int) -> float:
        architecture = self.plan.parameters.architecture
        forward, whole = forward_flops(architecture, rows), step_flops(architecture, rows)
        parts = {"forward": forward, "backward": whole - forward, "update": forward_flops(architecture, UPDATE_ROWS)}
        return parts.get(program, whole)


class ThreadPasses(threading.local):
    """The forward passes of the calling thread: its plans for few rows and for many, and that of its last pass."""

    few: Any = None  # a FewRowsPlan
    many: PassPlan | None = None
    last: PassPlan | None = None


class Passes:
    """The passes of one network.

    Parameters
    ----------
    parameters : Parameters
        The network's memory.
    plans : Plans
        The network's plans.
    constants : StepConstants
        The constants of the network's optimizer.

    Attributes
    ----------
    of_thread : ThreadPasses
        The forward passes of the calling thread.
    """

    def __init__(self, parameters: Parameters, plans: Plans, constants: StepConstants) -> None:
        self._parameters, self._plans, self.constants = parameters, plans, constants
        self._pass_plans: dict[Purpose, PassPlan] = {}
        self.of_thread = ThreadPasses()

    # From a loss ------------------------------------------------------------------------------------------------------

    def step(self, samples: Samples) -> float:
        """Do one step with dropout, and return the loss before it, penalties included."""
        rows = len(samples.X)
        passes = self._plan(STEP, rows)
        kept = self._point_to_samples(passes.plan.record, samples)
        passes.run("step", rows, drops=True)
        del kept
        return passes.loss()

    def gradient(self, samples: Samples) -> NDArray[Any]:
        """Return the gradient of the loss, without dropout, as the next step would use it: a buffer of the plan."""
        rows = len(samples.X)
        passes = self._plan(STEP, rows)
        kept = self._point_to_samples(passes.plan.record, samples)
        passes.run("gradient", rows)
        del kept
        return passes.plan.buffer("gradient")

    # From a gradient --------------------------------------------------------------------------------------------------

    def update(self, gradient: NDArray[Any]) -> None:
        """Do one step with a flat gradient."""
        passes = self._pass_plans.get(STEP) or self._plan(STEP, 1)
        self._parameters.unflatten(gradient, passes.plan.buffer("gradient"))
        passes.plan.clear_rests()
        passes.plan.record.sample_weights = 0  # there are no rows
        passes.run("update", 1)

    def step_on_gradient(self, X: RowArray, dA: NDArray[Any]) -> None:
        """Do one step, without dropout, with the gradient that dJ/dA of the rows of X gives."""
        rows = len(X)
        passes = self._plan(GRADIENT_STEP, rows)
        inputs = self._point_to_inputs(passes.plan.record, X)
        self._point_to_gradient(passes.plan.record, dA)
        passes.run("step", rows)
        del inputs

    def forward(self, X: RowArray, drops: bool) -> NDArray[Any]:
        """Return the outputs (n, outputs), and keep what a backward pass of this thread needs."""
        rows, architecture = len(X), self._parameters.architecture
        memory.require(rows * architecture.outputs * architecture.dtype.itemsize, "the activations of all rows")
        own = self._pass_of_thread(rows)
        out = np.empty((rows, architecture.outputs), architecture.dtype)
        own.record.output, own.record.output_stride = address(out), architecture.outputs
        inputs = self._point_to_inputs(own.record, X)
        own.run("forward", rows, drops)
        del inputs
        self.of_thread.last = own
        return out

    def require_forward(self) -> int:
        """Return the number of rows of this thread's last forward pass, whose activations still hold.

        Raises
        ------
        StaleForwardError
            If there was none, or the weights have changed since.
        """
        last = self.of_thread.last
        if last is None:
            raise StaleForwardError("backward(None, dA) needs a forward pass by this thread; call forward(X) first")
        if last.record.forward_version != self._parameters.version:
            raise StaleForwardError(
                "the weights have changed since this thread's last forward pass; call forward(X) again, or "
                "backward(X, dA)"
            )
        return int(last.record.rows)

    def backward(self, dA: NDArray[Any], dX: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the gradient after this thread's last forward pass: a buffer of the plan. Write dJ/dX to `dX`."""
        last = self.of_thread.last
        assert last is not None
        self._point_to_gradient(last.record, dA)
        if dX is not None:
            last.record.output, last.record.output_stride = address(dX), self._parameters.architecture.inputs
        last.run("backward" if dX is None else "input_gradient", len(dA))
        return last.plan.buffer("gradient")

    # Plans ------------------------------------------------------------------------------------------------------------

    def _plan(self, purpose: Purpose, rows: int) -> PassPlan:
        """Return the plan for a purpose and at least so many rows."""
        if purpose in self._pass_plans and not self._pass_plans[purpose].plan.fits(rows, self._plans.thread_count()):
            del self._pass_plans[purpose]  # frees its memory before the new plan allocates
        plan = self._plans.get(purpose, rows)
        known = self._pass_plans.get(purpose)
        if known is None or known.plan is not plan:
            known = self._pass_plans[purpose] = PassPlan(plan, self.constants)
        return known

    def _pass_of_thread(self, rows: int) -> PassPlan:
        """Return the plan of the calling thread's forward passes, with room for so many rows."""
        own = self.of_thread
        if own.many is None or not own.many.plan.fits(rows, self._plans.thread_count()):
            own.many = own.last = None  # frees the memory before the new plan allocates
            own.many = PassPlan(self._plans.make(PASS, rows), self.constants)
        return own.many

    # Data -------------------------------------------------------------------------------------------------------------

    def _point_to_inputs(self, record: Any, X: RowArray) -> NDArray[Any]:
        """Point a plan to X, or to a copy in its dtype. Return the array, which must live as long as the pass."""
        dtype = self._parameters.architecture.dtype
        if not is_contiguous(X, dtype):
            memory.require(len(X) * X.shape[1] * dtype.itemsize, "a copy of X as the network reads it")
        inputs = converted(X if isinstance(X, np.ndarray) else X[:], dtype)
        point_to_inputs(record, inputs)
        return inputs

    def _point_to_samples(self, record: Any, samples: Samples) -> tuple[Any, ...]:
        """Point a plan to samples, or to copies. Return the arrays, which must live as long as the pass."""
        targets = samples.targets.take(slice(None))
        weights = None if samples.weights is None else converted(samples.weights[:], FLOAT64)
        point_to_targets(record, targets, weights)
        return self._point_to_inputs(record, samples.X), targets, weights

    def _point_to_gradient(self, record: Any, dA: NDArray[Any]) -> None:
        """Point a plan to dJ/dA, which is kernel-ready, in place of the targets."""
        point_to_targets(record, Targets(None, dA, self._parameters.architecture), None)
