"""A plan: the tables that the kernels read, and the buffers to which the tables point.

A plan is made once for a network, a purpose and a size of batch. A step then allocates nothing.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

from numpy.typing import NDArray

from fastmlp._engine.parameters import Parameters
from fastmlp._engine.plan_buffers import (
    BufferSizes,
    blocking_for,
    buffer_sizes,
    bytes_of,
    capacity_for,
    kernels_of,
    limits_norm,
    saves_derivatives,
    saves_factor,
    target_columns,
)
from fastmlp._engine.purposes import JACOBIAN, LOSS, PREDICTION, VALIDATION, Purpose
from fastmlp._engine.records import address_of, copy_record, new_record, new_records
from fastmlp._engine.step_plan import Program, phases_of
from fastmlp._engine.thread_tuner import ThreadTuner
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.architecture import Architecture, Layer
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.host.threads import available
from fastmlp.kernels.layout import BLOCK, PANEL, RESTS, STEP_ROW
from fastmlp.kernels.operations.columns import COLUMNS
from fastmlp.kernels.operations.losses import EXACT_PAIRS, LOSSES, given_gradient
from fastmlp.kernels.operations.optimizers import UPDATES
from fastmlp.kernels.operations.user_row_losses import own_loss_kernel
from fastmlp.kernels.phases.blocks import product
from fastmlp.kernels.phases.epoch import restore_region
from fastmlp.kernels.phases.forward import row_products
from fastmlp.kernels.phases.gradients import gradients_region
from fastmlp.kernels.phases.groups import group_products
from fastmlp.kernels.phases.predict import predict_region
from fastmlp.kernels.phases.rows import rows_region
from fastmlp.kernels.processor import tuning
from fastmlp.kernels.tables import Layer as LayerTable
from fastmlp.kernels.tables import Phase as PhaseTable
from fastmlp.kernels.tables import Plan as PlanTable
from fastmlp.kernels.tables import State
from fastmlp.optimizers import StepOptimizer
from fastmlp.own_losses import OwnLoss

MAX_PARAMETERS = 4  # numbers that an activation may have


class Plan:
    """The tables and buffers for one purpose.

    Parameters
    ----------
    parameters : Parameters
        The network's memory, which the plan points into.
    purpose : Purpose
        The use of the plan.
    rows : int
        The maximum number of rows at a time: of a batch, or of a prediction by one thread.
    threads : int
        The number of shares into which a phase is divided.
    averages_penalties : bool
        Whether penalties are divided by the sum of the weights of the rows, as in scikit-learn.

    Attributes
    ----------
    record : record of `fastmlp.kernels.tables.Plan`
        The table that the kernels read. Fields that change between calls are written here.
    address : int
        The address of the record.

    Raises
    ------
    MemoryError
        If there is not enough memory for the buffers. Nothing is allocated then.
    """

    def __init__(
        self, parameters: Parameters, purpose: Purpose, rows: int, threads: int, averages_penalties: bool = False
    ) -> None:
        self.parameters, self.purpose, self.rows, self.threads = parameters, purpose, rows, threads
        architecture = parameters.architecture
        self.blocking = blocking_for(architecture, purpose, rows)
        self.capacity = capacity_for(self.blocking, purpose, rows, threads)
        sizes = buffer_sizes(architecture, parameters.size, purpose, rows, threads)
        memory.require(bytes_of(sizes), purpose.subject.format(rows=rows), purpose.advice)
        self.record = new_record(PlanTable)
        self.address = address_of(self.record)
        self._layers = new_records(LayerTable, len(architecture.layers))
        self._snapshot_state = new_record(State)
        self._phases: dict[tuple[Program, bool], Any] = {}
        self._used: tuple[Program, bool] | None = None
        self._numbers = aligned_zeros(len(architecture.layers) * MAX_PARAMETERS, float).reshape(-1, MAX_PARAMETERS)
        self._loss_numbers = aligned_zeros(len(architecture.loss.parameters) + 1, float)
        self._tuners: dict[str, ThreadTuner] = {}
        self._buffers: dict[str, NDArray[Any]] = {}
        self._fill_sizes(architecture, averages_penalties)
        self._allocate(sizes)
        self._fill_layers(architecture)
        self._fill_kernels(architecture)
        self.follow_rests()

    @property
    def nbytes(self) -> int:
        """The number of bytes of all tables and buffers of this plan."""
        tables = ctypes.sizeof(self.record) + ctypes.sizeof(self._layers)
        arrays = (self._numbers, self._loss_numbers, *self._buffers.values())
        return tables + sum(array.nbytes for array in arrays)

    @property
    def snapshot_state(self) -> Any:
        """The state of training in the snapshot."""
        return self._snapshot_state

    def buffer(self, name: str) -> NDArray[Any]:
        """Return the buffer that a field of the plan points to."""
        return self._buffers[name]

    def fits(self, rows: int, threads: int) -> bool:
        """Return whether the plan can be used for so many rows and threads, with the same bits as a new plan."""
        if rows > self.rows or threads != self.threads:
            return False
        architecture = self.parameters.architecture
        return rows == self.rows or blocking_for(architecture, self.purpose, rows) == self.blocking

    def tuner(self, region: str, threads: int, rows: int) -> ThreadTuner:
        """Return the tuner of a region for a maximum number of threads and a number of rows at a time."""
        known = self._tuners.get(region)
        if known is None or not known.fits(threads, rows):
            known = self._tuners[region] = ThreadTuner(threads, rows)
        return known

    def use(self, program: Program, parallel: bool) -> None:
        """Run the phases of a program in the next calls of a driver, divided among all threads or left to one."""
        key = program, parallel
        if key == self._used and self.record.rests == self.parameters.counts[RESTS]:
            return
        self.follow_rests()
        record, self._used = self.record, None
        record.threads = self.threads if parallel else 1
        record.forward = program in ("step", "gradient", "forward")
        record.backward = program not in ("forward", "update")
        record.lowest_trained = 0 if program == "input_gradient" else self.parameters.architecture.lowest_trained
        record.writes_output, record.loss = program == "forward", 0 if program == "forward" else self._loss_address
        if key not in self._phases:
            self._phases[key] = self._phase_table(program, parallel)
        record.phases, self._used = address_of(self._phases[key]), key

    def follow_rests(self) -> None:
        """Write which layers are trained now, and at which pace, if that has changed."""
        parameters, record = self.parameters, self.record
        count = parameters.counts[RESTS]
        if record.rests == count:
            return
        record.rests = 0  # in doubt the tables know nothing
        architecture, paces = parameters.architecture, parameters.rests.paces()
        different = list(dict.fromkeys(paces))
        for layer, row, pace in zip(architecture.layers, self._layers, paces, strict=True):
            row.trains, row.constants = layer.trainable, different.index(pace) * STEP_ROW
        record.step_row = len(different) * STEP_ROW
        record.lowest_trained = 0 if self.purpose is JACOBIAN else architecture.lowest_trained
        record.penalised = architecture.penalised
        self.clear_rests()
        self._phases, self._used, record.rests = {}, None, count

    def clear_rests(self) -> None:
        """Write 0 where the gradients, squares and penalties of layers at rest stand, which no kernel writes."""
        before, parameters = 0, self.parameters
        for layer, row in zip(parameters.architecture.layers, self._layers, strict=True):
            blocks = row.unit_panels * row.w_panels
            if not layer.trainable:
                for name in ("block_squares", "block_penalties"):
                    if name in self._buffers:
                        self._buffers[name][before : before + blocks] = 0
                for name in ("gradient", "group_gradients"):
                    if name in self._buffers:
                        gradients = self._buffers[name].reshape(-1, parameters.size)
                        gradients[:, row.w : row.w + blocks * BLOCK] = 0
                        gradients[:, row.b : row.b + row.unit_panels * PANEL] = 0
            before += blocks

    def restore_snapshot(self) -> None:
        """Write the parameters and slots of the snapshot into the network."""
        self.parameters.count_change()
        restore_region.function_for(self.parameters.architecture.dtype)(self.address, None, 0)

    def _fill_sizes(self, architecture: Architecture, averages_penalties: bool) -> None:
        parameters, record, purpose = self.parameters, self.record, self.purpose
        record.layer_count = len(architecture.layers)
        record.output_layer = record.layer_count - 1
        record.target_columns = target_columns(architecture, purpose)
        record.capacity, record.batch_size, record.threads = self.capacity, self.rows, self.threads
        record.groups, record.chunk_rows = self.blocking
        record.block_count, record.parameter_count = parameters.blocks, parameters.size
        record.slot_count = len(parameters.slots)
        row = tuning(architecture.dtype.name)
        record.product_inputs, record.product_rows = row.product_inputs, row.product_rows
        record.forward, record.backward, record.drops = 1, purpose.backward, purpose.drops
        record.accumulates = not purpose.runs_phases
        record.clips_norm, record.clip_factor = limits_norm(architecture, purpose), 1.0
        record.averages_penalties = averages_penalties

    def _allocate(self, sizes: BufferSizes) -> None:
        """Allocate the buffers, and point the tables to them and to the network's memory."""
        record, parameters = self.record, self.parameters
        for name, (count, kind) in sizes.items():
            self._buffers[name] = aligned_zeros(count, kind)
            if name not in ("activations", "deltas"):  # the layers point into these
                setattr(record, name, address(self._buffers[name]))
        record.scratch_stride = sizes["scratch"][0] // self.threads
        record.layers = address_of(self._layers)
        record.state = record.network_state = address_of(parameters.state)
        record.counts, record.forward_version = ctypes.addressof(parameters.counts), -1
        record.snapshot_state = address_of(self._snapshot_state)
        record.weights, record.slots = address(parameters.weights), address(parameters.slots)

    def _fill_layers(self, architecture: Architecture) -> None:
        """Write what every layer does, and the addresses of A, with dropout g(Z) and D, and saved derivatives."""
        itemsize = architecture.dtype.itemsize
        activations = address(self._buffers["activations"])
        deltas = address(self._buffers["deltas"]) if "deltas" in self._buffers else 0
        copy_record(self._layers, self.parameters.layers)
        below = self.record.inputs
        for layer, row in zip(architecture.layers, self._layers, strict=True):
            size = row.unit_panels * self.capacity * PANEL * itemsize
            row.mixes_units = layer.activation.mixes_units
            row.dropout, row.l1, row.l2, row.epsilon = layer.dropout, layer.l1, layer.l2, layer.epsilon
            row.below = row.factor = below
            row.a = row.g = below = activations
            activations += size
            if layer.dropout and self.purpose.drops:
                row.g, row.mask = activations, activations + size
                activations += 2 * size
            if saves_derivatives(layer, self.purpose):
                row.saved_derivatives = activations
                activations += size
            if saves_factor(layer, self.purpose):
                row.factor = activations
                activations += size // row.unit_panels * (row.unit_panels + 1)
            if deltas:
                row.delta = deltas
                deltas += size

    def _fill_kernels(self, architecture: Architecture) -> None:
        dtype, record, purpose = architecture.dtype, self.record, self.purpose
        exact = architecture.exact_pair and purpose.backward and not purpose.takes_gradient
        self._fill_activations(architecture, exact)
        if purpose is PREDICTION or self.rows == 1:
            record.row_product = row_products.address(dtype)
        if purpose is PREDICTION:
            record.rows_region = predict_region.address(dtype)
            return
        record.rows_region = rows_region.address(dtype)
        self._loss_address = record.loss = self._loss(architecture, exact).address(dtype)
        self._loss_numbers[:-1] = architecture.loss.parameters
        record.loss_parameters = address(self._loss_numbers)
        record.clip_value = record.clip_norm = math.inf
        if purpose is JACOBIAN:
            return
        record.product = product.address(dtype)
        optimizer = architecture.optimizer
        if purpose.updates and isinstance(optimizer, StepOptimizer):  # without, the plan serves gradients alone
            record.clip_value, record.clip_norm = optimizer.clipvalue or math.inf, optimizer.global_clipnorm or math.inf
            update = UPDATES[optimizer.kernel]
            record.update = update.update.address(dtype)
            record.restore = restore_region.address(dtype)
            if tuning(dtype.name).weaves_updates:
                record.product_update = update.product_update.address(dtype)
        if self.blocking.groups:
            record.group_products = group_products.address(dtype)
        if purpose in (LOSS, VALIDATION):
            record.gradients_region = gradients_region.address(dtype)

    def _fill_activations(self, architecture: Architecture, exact: bool) -> None:
        """Write the kernels of every layer, except of the last in an exact pair, whose loss reads Z."""
        dtype = architecture.dtype
        for index, (layer, row) in enumerate(zip(architecture.layers, self._layers, strict=True)):
            self._fill_columns(layer, row)
            kernels = kernels_of(layer.activation)
            row.threshold = kernels.threshold
            row.parameters = self._write_numbers(index, layer.activation.parameters)
            if exact and layer is architecture.layers[-1]:
                if self.purpose in (LOSS, VALIDATION) and kernels.forward:  # a training plan writes no outputs
                    self.record.output_forward = kernels.forward.address(dtype)
                continue
            forward = kernels.forward_saving if saves_derivatives(layer, self.purpose) else kernels.forward
            row.forward = forward.address(dtype) if forward else 0
            if self.purpose.backward and kernels.derivative:
                row.derivative = kernels.derivative.address(dtype)

    def _fill_columns(self, layer: Layer, row: Any) -> None:
        """Write the kernels of a layer of columns."""
        if not layer.is_columns:
            return
        kernels, dtype = COLUMNS[layer.kind], self.parameters.architecture.dtype
        forward = kernels.forward_saving if saves_factor(layer, self.purpose) else kernels.forward
        assert forward is not None
        row.columns = forward.address(dtype)
        if self.purpose.backward:
            row.columns_back = kernels.backward.address(dtype)

    def _loss(self, architecture: Architecture, exact: bool) -> Kernel:
        if self.purpose.takes_gradient:
            return given_gradient
        loss = architecture.loss
        if isinstance(loss, OwnLoss):
            own = loss.definition
            return own_loss_kernel(own.name, own.value, own.gradient, own.settable, own.tuples, by_row=own.by_row)
        return (EXACT_PAIRS if exact else LOSSES)[loss.name]

    def _write_numbers(self, row: int, values: tuple[float, ...]) -> int:
        """Write the numbers of an activation into a row of their table, and return its address."""
        self._numbers[row, : len(values)] = values
        return address(self._numbers[row])

    def _phase_table(self, program: Program, parallel: bool) -> Any:
        """Return the table of a program's phases, serial or parallel."""
        architecture = self.parameters.architecture
        phases = phases_of(program, architecture, self.threads if parallel else 1, self.blocking.groups > 0)
        table = new_records(PhaseTable, len(phases))
        for row, phase in zip(table, phases, strict=True):
            row.region = phase.region.address(architecture.dtype)
            row.layer, row.then = phase.layer, phase.then
        return table


class Plans:
    """The plans of one network. A plan is made when it is first needed, and reused while it fits.

    Parameters
    ----------
    parameters : Parameters
        The network's memory.
    threads : int or None
        The maximum number of threads; None lets the library choose.

    Attributes
    ----------
    averages_penalties : bool
        The argument of `Plan` for plans that are made after it was set.
    """

    def __init__(self, parameters: Parameters, threads: int | None) -> None:
        self.parameters = parameters
        self.threads = threads
        self.averages_penalties = False
        self._plans: dict[Purpose, Plan] = {}

    def thread_count(self) -> int:
        """Return the number of threads that may be used now."""
        return available(self.threads)

    def discard(self, purpose: Purpose) -> None:
        """Drop the plan for a purpose and free its memory. The plan is made again when it is needed."""
        self._plans.pop(purpose, None)

    def get(self, purpose: Purpose, rows: int) -> Plan:
        """Return a plan for at least `rows` rows at a time."""
        if purpose in self._plans and not self._plans[purpose].fits(rows, self.thread_count()):
            self.discard(purpose)  # frees its memory before the new plan allocates
        if purpose not in self._plans:
            self._plans[purpose] = self.make(purpose, rows)
        plan = self._plans[purpose]
        plan.follow_rests()
        return plan

    def make(self, purpose: Purpose, rows: int) -> Plan:
        """Return a new plan for at most `rows` rows at a time, which belongs to the caller."""
        return Plan(self.parameters, purpose, rows, self.thread_count(), self.averages_penalties)
