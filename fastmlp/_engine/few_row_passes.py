"""Passes of few rows, whose kernels take less time than the checks and the preparation of a call of many rows.

A call copies its arrays into buffers of a plan, and one kernel checks them and runs the pass. What it does not take as
it is, such as a list, labels that are strings or a value that is not finite, it leaves to the way of many rows, which
converts it or raises the error. So a call of few rows either does all of its work or changes nothing.

A handler of a signal may use the same network in the middle of a call. So a call takes the plan away for its time, and
a call within it makes another.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import INT64, REAL_KINDS, is_contiguous
from fastmlp._data.staging import point_to_inputs
from fastmlp._data.targets import limits_of
from fastmlp._engine.few_rows import rows_of_one_thread
from fastmlp._engine.flops import step_flops
from fastmlp._engine.parameters import Gradients, Parameters
from fastmlp._engine.passes import UPDATING, Passes, PassPlan
from fastmlp._engine.plan import Plan, Plans
from fastmlp._engine.purposes import GRADIENT_STEP, PASS, STEP, Purpose
from fastmlp._engine.records import address_of
from fastmlp._engine.step_constants import StepConstants
from fastmlp._engine.step_plan import Program
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp._runtime.locks import NetworkLock
from fastmlp.kernels.drivers.passes import DONE, run_pass
from fastmlp.kernels.drivers.team import train_serial
from fastmlp.kernels.micro.finite import not_finite
from fastmlp.kernels.phases.checks import check_values

MAX_KINDS = 256  # of arrays, by shape and dtype, that a plan remembers

Array = NDArray[Any]


class _Place(NamedTuple):
    """Where arrays of one shape and dtype are copied to: a part of a buffer. Labels are no numbers of the network."""

    part: Array
    converts: bool
    is_labels: bool = False


class FewRowsPlan(PassPlan):
    """A plan with buffers of its own for X, for the targets or dJ/dA, and for the outputs.

    Parameters
    ----------
    plan : Plan
        A plan of one thread for all rows that the buffers hold.
    constants : StepConstants
        The constants of the network's optimizer.
    """

    def __init__(self, plan: Plan, constants: StepConstants) -> None:
        super().__init__(plan, constants)
        architecture, record = plan.parameters.architecture, self.record
        rows, dtype = plan.rows, architecture.dtype
        self._inputs = aligned_zeros(rows * architecture.inputs, dtype).reshape(rows, -1)
        columns = self.record.target_columns
        self._values = aligned_zeros(rows * columns, dtype).reshape(rows, columns)
        self._labels = aligned_zeros(rows, INT64)
        self._outputs = aligned_zeros(rows * architecture.outputs, dtype).reshape(rows, -1)
        self._places: dict[tuple[Any, ...], _Place | None] = {}
        self._addresses = address(self._values), address(self._labels), address(self._outputs)
        point_to_inputs(record, self._inputs)
        record.y_stride, record.output_stride = columns, architecture.outputs
        record.least, record.most = limits_of(architecture, any_value=plan.purpose.takes_gradient)
        record.check = check_values.address(dtype)
        self._run = run_pass.function_for(INT64)
        self._driver = train_serial.address(INT64)

    def take_inputs(self, X: Any) -> bool:
        """Copy X. Return False if it is not an array that can be copied as it is."""
        return self._take(X, True) is not None

    def take(self, X: Any, y: Any, rows: int) -> bool:
        """Copy X and the targets, or dJ/dA. Return False if they are not arrays that can be copied as they are."""
        return self.take_inputs(X) and self.take_targets(y, rows)

    def take_gradient(self, gradient: Array) -> bool:
        """Copy a flat gradient. Return whether it is finite."""
        self.plan.use("update", False)
        buffer = self.plan.buffer("gradient")
        self.plan.parameters.unflatten(gradient, buffer)
        self.plan.clear_rests()
        self.record.labels = self.record.sample_weights = 0  # there are no rows
        return not not_finite.function_for(buffer.dtype)(address(buffer), buffer.size)

    def take_targets(self, y: Any, rows: int) -> bool:
        """Copy the targets, or dJ/dA, of some rows. Return False if they are no array that can be copied as it is."""
        place = self._take(y, False)
        if place is None or len(place.part) != rows:
            return False
        record, (values, labels, _) = self.record, self._addresses
        record.y, record.labels, record.sample_weights = values, labels if place.is_labels else 0, 0
        return True

    def try_run(self, program: Program, rows: int, drops: bool = False) -> bool:
        """Run a program on the rows that were taken. Return whether it was done; if not, nothing has changed."""
        record, state = self.record, self.plan.parameters.state
        if program != "update":  # for which `take_gradient` prepares the plan
            self.plan.use(program, False)
        record.samples = record.batch_size = rows
        updates = program in UPDATING
        table = self.constants.table(state.step + 1 if updates else 0, 1)  # which lives as long as the call
        arguments = (self.plan.address, address_of(table), self.result_address, updates, drops)
        return bool(self._run(self._driver, *arguments) == DONE)

    def forward(self, rows: int, drops: bool) -> Array | None:
        """Run the forward pass of the rows that were taken. Return the outputs, or None if it was refused."""
        self.record.output, self.record.output_stride = self._addresses[2], self._outputs.shape[1]
        return self._outputs[:rows].copy() if self.try_run("forward", rows, drops) else None

    def backward(
        self, rows: int, out: Array | None, forward: bool, input_gradient: bool
    ) -> tuple[Gradients, Array | None] | None:
        """Run the backward pass, or both passes. Return the gradient and dJ/dX, or None if they were refused."""
        if not input_gradient:
            return (self.gradients(out), None) if self.try_run("gradient" if forward else "backward", rows) else None
        if forward:
            refused = not_finite.function_for(self._values.dtype)(self._addresses[0], rows * self._values.shape[1])
            # The check comes first: a forward pass overwrites the activations of the last one.
            if refused or self.forward(rows, drops=False) is None:
                return None
        dX = np.empty((rows, self._inputs.shape[1]), self._inputs.dtype)
        self.record.output, self.record.output_stride = address(dX), dX.shape[1]
        return (self.gradients(out), dX) if self.try_run("input_gradient", rows) else None

    def gradients(self, out: Array | None) -> Gradients:
        """Return the gradient of the last pass, by layer, or flat in `out`."""
        return self.plan.parameters.layers_or_flat(self.plan.buffer("gradient"), out)

    def _take(self, array: Any, is_inputs: bool) -> _Place | None:
        if type(array) is not np.ndarray:
            return None
        kind = array.shape, array.dtype, is_inputs
        try:
            place = self._places[kind]
        except KeyError:
            if len(self._places) == MAX_KINDS:
                self._places.clear()
            place = self._places[kind] = self._place_of(*kind)
        if place is None:
            return None
        if place.converts:
            with np.errstate(all="ignore"):  # overflow to infinity, whatever `numpy.seterr` is set to
                place.part[...] = array
        else:
            place.part[...] = array
        return place

    def _place_of(self, shape: tuple[int, ...], dtype: np.dtype[Any], is_inputs: bool) -> _Place | None:
        """Return the place of arrays of a shape and dtype, or None if they cannot be copied as they are."""
        rows = shape[0] if shape else 0
        if not 0 < rows <= self.plan.rows or dtype.kind not in REAL_KINDS:
            return None
        buffer = self._inputs if is_inputs else self._values
        if not (is_inputs or self.plan.purpose.takes_gradient):
            targets = self.plan.parameters.architecture.loss.targets
            if targets == "signs":  # -1 and 1, or 0 and 1, but not all three: the kernel knows no such rule
                return None
            if targets == "classes" and len(shape) == 1:
                return _Place(self._labels[:rows], False, True) if np.can_cast(dtype, INT64) else None
        if shape == (rows, buffer.shape[1]):
            return _Place(buffer[:rows], dtype != buffer.dtype)
        if not is_inputs and shape == (rows,) and buffer.shape[1] == 1:
            return _Place(buffer[:rows, 0], dtype != buffer.dtype)
        return None


class FewRowPasses:
    """The passes of few rows of one network. Every method returns None where the call must go the way of many rows.

    Parameters
    ----------
    parameters : Parameters
        The network's memory.
    plans : Plans
        The network's plans, which know how many threads it may use.
    passes : Passes
        The passes of many rows.
    lock : NetworkLock
        The network's lock, which every method acquires.
    """

    def __init__(self, parameters: Parameters, plans: Plans, passes: Passes, lock: NetworkLock) -> None:
        self._parameters, self._plans, self._lock = parameters, plans, lock
        self._constants, self._of_thread = passes.constants, passes.of_thread
        flops = 0.0 if plans.threads == 1 else step_flops(parameters.architecture, 1)
        self.max_rows = rows_of_one_thread(parameters.architecture, flops)
        self._idle: dict[Purpose, FewRowsPlan] = {}

    def step(self, X: Any, y: Any) -> float | None:
        """Do one step with dropout, and return the loss before it, penalties included."""
        if (rows := self._rows(X)) == 0:
            return None
        with self._lock.turn, self._lock.lock:
            self._lock.require_no_fit()
            passes = self._idle.pop(STEP, None) or self._make(STEP)
            loss = passes.loss() if passes.take(X, y, rows) and passes.try_run("step", rows, drops=True) else None
            self._idle[STEP] = passes
            return loss

    def step_on_gradient(self, X: Any, dA: Any) -> Literal[True] | None:
        """Do one step without dropout, with the gradient that dJ/dA gives."""
        if (rows := self._rows(X)) == 0:
            return None
        with self._lock.turn, self._lock.lock:
            self._lock.require_no_fit()
            passes = self._idle.pop(GRADIENT_STEP, None) or self._make(GRADIENT_STEP)
            done = passes.take(X, dA, rows) and passes.try_run("step", rows)
            self._idle[GRADIENT_STEP] = passes
            return done or None

    def update(self, gradient: Any) -> Literal[True] | None:
        """Do one step with a flat gradient."""
        dtype, shape = self._parameters.architecture.dtype, (self._parameters.architecture.parameters,)
        if type(gradient) is not np.ndarray or gradient.dtype != dtype or gradient.shape != shape:
            return None
        if self.max_rows == 0 or not is_contiguous(gradient, dtype):
            return None
        with self._lock.turn, self._lock.lock:
            self._lock.require_no_fit()
            passes = self._idle.pop(STEP, None) or self._make(STEP)
            done = passes.take_gradient(gradient) and passes.try_run("update", 1)
            self._idle[STEP] = passes
            return done or None

    def gradients(self, X: Any, y: Any, out: Array | None) -> Gradients | None:
        """Return the gradient of the loss without dropout, by layer, or flat in `out`."""
        if (rows := self._rows(X)) == 0:
            return None
        with self._lock.turn, self._lock.lock:
            passes = self._idle.pop(STEP, None) or self._make(STEP)
            done = passes.take(X, y, rows) and passes.try_run("gradient", rows)
            found = passes.gradients(out) if done else None
            self._idle[STEP] = passes
            return found

    def forward(self, X: Any, drops: bool) -> Array | None:
        """Return the outputs (n, outputs), and keep what a backward pass of this thread needs."""
        if (rows := self._rows(X)) == 0:
            return None
        with self._lock.turn, self._lock.lock:
            own = self._of_thread
            passes, own.few = own.few or self._make(PASS), None
            A = passes.forward(rows, drops) if passes.take_inputs(X) else None
            own.few, own.last = passes, own.last if A is None else passes
            return A

    def backward(
        self, X: Any, dA: Any, out: Array | None, input_gradient: bool
    ) -> tuple[Gradients, Array | None] | None:
        """Return the gradient that dJ/dA gives, by layer or flat in `out`, and dJ/dX if it is asked for.

        Without X the activations are those of this thread's last forward pass.
        """
        own = self._of_thread
        with self._lock.turn, self._lock.lock:
            rows = self._rows(X)
            if X is None and own.last is not None and own.last is own.few:
                rows = int(own.last.record.rows)
            if rows == 0:
                return None
            passes, own.few, found = own.few or self._make(PASS), None, None
            if (X is None or passes.take_inputs(X)) and passes.take_targets(dA, rows):
                found = passes.backward(rows, out, X is not None, input_gradient)
            own.few, own.last = passes, own.last if found is None else passes
            return found

    def _rows(self, X: Any) -> int:
        """Return the number of rows of X, or 0 if they are no array, or too many."""
        return len(X) if type(X) is np.ndarray and X.ndim == 2 and len(X) <= self.max_rows else 0

    def _make(self, purpose: Purpose) -> FewRowsPlan:
        """Return a plan for a purpose."""
        averages = self._plans.averages_penalties
        return FewRowsPlan(Plan(self._parameters, purpose, self.max_rows, 1, averages), self._constants)
