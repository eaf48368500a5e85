"""A plan: the table of sizes, offsets and addresses from which the kernels work, and the buffers it points to.

It is made once for a network, a purpose and a size of batch, so that nothing is allocated in a step.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastmlp._engine.parameters import Parameters, panels
from fastmlp._engine.step_plan import CHUNK, RowBlocking, program, row_blocking
from fastmlp._engine.thread_tuner import ThreadTuner
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.activations import Activation, OwnActivation
from fastmlp.architecture import Architecture, Layer
from fastmlp.kernels import layout as at
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.host.threads import available
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.operations.activations import ACTIVATIONS, ActivationKernels
from fastmlp.kernels.operations.losses import EXACT_PAIRS, LOSSES, SCRATCH_LANES, SCRATCH_MATRICES, output_seed
from fastmlp.kernels.operations.optimizers import UPDATES
from fastmlp.kernels.operations.user_functions import activation_kernels, loss_kernel
from fastmlp.kernels.phases.blocks import product
from fastmlp.kernels.phases.gradients import gradients_region
from fastmlp.kernels.phases.groups import group_products
from fastmlp.kernels.phases.predict import predict_region
from fastmlp.kernels.phases.rows import rows_region
from fastmlp.losses import OwnLoss

Purpose = Literal["training", "gradients", "jacobian", "prediction"]


class Plan:
    """The words, numbers and buffers for one purpose.

    Parameters
    ----------
    parameters : Parameters
        The network's memory, which the plan points into.
    purpose : {"training", "gradients", "jacobian", "prediction"}
        Training updates and drops out; gradients are added up without either; a jacobian goes back from the outputs in
        place of the loss; prediction goes forward alone.
    rows : int
        The most rows at a time: of a batch, or of what each thread predicts at once.
    threads : int
        Into how many shares the regions are cut.
    averaged_penalties : bool
        Whether penalties too are divided by the sum of the weights of the rows, as scikit-learn's are.

    Raises
    ------
    MemoryError
        If its buffers take more than there is; nothing is taken then.
    """

    def __init__(
        self, parameters: Parameters, purpose: Purpose, rows: int, threads: int, averaged_penalties: bool = False
    ) -> None:
        self.parameters = parameters
        self.purpose = purpose
        self.rows = rows
        self.threads = threads
        architecture = parameters.architecture
        self.words = aligned_zeros(at.HEAD + len(architecture.layers) * at.LAYER, np.int64)
        self.numbers = aligned_zeros(at.NUMBER_HEAD + len(architecture.layers) * at.NUMBER_LAYER, np.float64)
        self.address = address(self.words)
        self._choices: dict[int, ThreadTuner] = {}
        self._buffers: dict[int, NDArray[Any]] = {}
        self.cut = _cut(architecture, purpose, rows)
        self.capacity = _capacity(self.cut, purpose, rows, threads)
        sizes = buffer_sizes(architecture, parameters.size, purpose, rows, threads)
        memory.require(bytes_of(sizes), *_told(purpose, rows))
        self._fill_sizes(architecture)
        self._fill_layers(architecture)
        self._allocate(sizes)
        self._fill_kernels(architecture)
        self.words[at.AVERAGED] = averaged_penalties

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers of this plan."""
        return sum(buffer.nbytes for buffer in (self.words, self.numbers, *self._buffers.values()))

    def buffer(self, word: int) -> NDArray[Any]:
        """The buffer whose address stands in that word of the plan."""
        return self._buffers[word]

    def fits(self, rows: int, threads: int) -> bool:
        """Whether it serves that many rows and threads, and with the bits that a plan made for them would have."""
        if rows > self.rows or threads != self.threads:
            return False
        return rows == self.rows or _cut(self.parameters.architecture, self.purpose, rows) == self.cut

    def choice(self, region: int, most: int, rows: int) -> ThreadTuner:
        """What was measured of threads for that region, with at most so many and that many rows at a time."""
        known = self._choices.get(region)
        if known is None or not known.fits(most, rows):
            known = self._choices[region] = ThreadTuner(most, rows)
        return known

    def layer(self, index: int) -> NDArray[np.int64]:
        """The words on one layer."""
        return self.words[at.HEAD + index * at.LAYER :][: at.LAYER]

    def layer_numbers(self, index: int) -> NDArray[np.float64]:
        """The numbers on one layer."""
        return self.numbers[at.NUMBER_HEAD + index * at.NUMBER_LAYER :][: at.NUMBER_LAYER]

    def _fill_sizes(self, architecture: Architecture) -> None:
        parameters, words = self.parameters, self.words
        training = self.purpose == "training"
        words[at.LAYERS] = len(architecture.layers)
        words[at.CAPACITY] = self.capacity
        words[at.BATCH] = self.rows
        words[at.GROUPS], words[at.CHUNK] = self.cut
        words[at.THREADS] = self.threads
        words[at.TILES] = parameters.tiles
        words[at.PARAMETERS] = parameters.size
        words[at.SLOT_STRIDE] = parameters.size
        words[at.SLOT_COUNT] = len(parameters.slots)
        words[at.BACKWARD] = self.purpose != "prediction"
        clipping = training and architecture.optimizer.global_clipnorm is not None
        words[at.ADDING] = not training
        words[at.CLIPPING] = clipping
        words[at.PENALISED] = architecture.penalised
        words[at.OUTPUT_LAYER] = len(architecture.layers) - 1
        for word, array in (
            (at.STATE, parameters.state),
            (at.TOTALS, parameters.totals),
            (at.NUMBERS, self.numbers),
            (at.WEIGHTS, parameters.weights),
            (at.TRANSPOSED, parameters.transposed),
            (at.SLOTS, parameters.slots),
        ):
            words[word] = address(array)

    def _fill_layers(self, architecture: Architecture) -> None:
        """Offsets of every layer; a buffer of activations holds the inputs, then A, and with dropout g(Z) and D."""
        stride = self.capacity * PANEL
        below, activations, deltas = 0, panels(architecture.inputs) * stride, 0
        for index, layer in enumerate(architecture.layers):
            size = panels(layer.units) * stride
            row = self.layer(index)
            row[at.INPUTS], row[at.UNITS] = layer.inputs, layer.units
            row[at.INPUT_PANELS], row[at.UNIT_PANELS] = panels(layer.inputs), panels(layer.units)
            row[at.W] = row[at.WT] = self.parameters.w_offsets[index]
            row[at.B] = self.parameters.b_offsets[index]
            row[at.MIXES], row[at.USES_BIAS] = layer.activation.mixes_units, layer.use_bias
            row[at.BELOW], row[at.DELTA] = below, deltas
            row[at.A] = row[at.G] = below = activations
            row[at.MASK] = row[at.SLOPES] = -1
            activations += size
            if layer.dropout and self.purpose == "training":
                row[at.G], row[at.MASK] = activations, activations + size
                activations += 2 * size
            if keeps_slopes(layer, self.purpose):
                row[at.SLOPES] = activations
                activations += size
            deltas += size

    def _allocate(self, sizes: dict[int, tuple[int, Any]]) -> None:
        for word, (count, kind) in sizes.items():
            self._buffers[word] = aligned_zeros(count, kind)
            self.words[word] = address(self._buffers[word])
        self.words[at.SCRATCH_STRIDE] = sizes[at.SCRATCH][0] // self.threads

    def _fill_kernels(self, architecture: Architecture) -> None:
        dtype, words, purpose = architecture.dtype, self.words, self.purpose
        exact = architecture.exact_pair and purpose in ("training", "gradients")
        for index, layer in enumerate(architecture.layers):
            row, numbers = self.layer(index), self.layer_numbers(index)
            kernels = kernels_of(layer.activation)
            numbers[at.THRESHOLD] = kernels.threshold
            numbers[at.DROPOUT], numbers[at.L1], numbers[at.L2] = layer.dropout, layer.l1, layer.l2
            _put(numbers, at.ACTIVATION_PARAMETERS, layer.activation.parameters)
            if exact and layer is architecture.layers[-1]:
                continue  # the loss of an exact pair reads Z: neither g nor its derivative is wanted
            forward = kernels.keeping if keeps_slopes(layer, purpose) else kernels.forward
            row[at.FORWARD] = forward.address(dtype) if forward else 0
            if purpose != "prediction" and kernels.derivative:
                row[at.DERIVATIVE] = kernels.derivative.address(dtype)
        if purpose == "prediction":
            words[at.ROWS_REGION] = predict_region.address(dtype)
            return
        words[at.ROWS_REGION] = rows_region.address(dtype)
        words[at.LOSS] = self._loss(architecture, exact).address(dtype)
        _put(self.numbers, at.LOSS_PARAMETERS, architecture.loss.parameters)
        optimizer = architecture.optimizer
        value, norm = (purpose == "training" and limit for limit in (optimizer.clipvalue, optimizer.global_clipnorm))
        self.numbers[at.CLIP_VALUE], self.numbers[at.CLIP_NORM] = value or math.inf, norm or math.inf
        if purpose != "jacobian":
            update = UPDATES[optimizer.kernel]
            words[at.GRADIENTS_REGION] = gradients_region.address(dtype) if purpose == "gradients" else 0
            words[at.PRODUCT] = product.address(dtype)
            words[at.PRODUCT_UPDATE] = update.product_update.address(dtype)
            words[at.UPDATE] = update.update.address(dtype)
            words[at.GROUP_PRODUCTS] = group_products.address(dtype) if self.cut.groups else 0
        if purpose == "training":
            self._programs = {parallel: self._program(parallel) for parallel in {False, self.threads > 1}}

    def _program(self, parallel: bool) -> NDArray[np.int64]:
        """The table of phases, serial or parallel."""
        architecture = self.parameters.architecture
        phases = program(architecture, self.threads if parallel else 1, self.cut.groups > 0)
        table = aligned_zeros(len(phases) * at.PHASE_ROW, np.int64).reshape(-1, at.PHASE_ROW)
        for row, phase in zip(table, phases, strict=True):
            row[at.REGION] = phase.region.address(architecture.dtype)
            row[at.FROM_LAYER], row[at.THEN] = phase.layer, phase.then
        return table

    def share_out(self, parallel: bool) -> None:
        """Cut the next steps for all threads, or for one."""
        self.words[at.THREADS] = self.threads if parallel else 1
        self.words[at.PROGRAM] = address(self._programs[parallel])

    def _loss(self, architecture: Architecture, exact: bool) -> Kernel:
        if self.purpose == "jacobian":
            return output_seed
        loss = architecture.loss
        if isinstance(loss, OwnLoss):
            return loss_kernel(loss.name, loss.value, loss.gradient)
        return (EXACT_PAIRS if exact else LOSSES)[loss.name]


def buffer_sizes(
    architecture: Architecture, parameters: int, purpose: Purpose, rows: int, threads: int
) -> dict[int, tuple[int, Any]]:
    """How many elements, of which dtype, each buffer of a plan has, under the word that holds its address."""
    cut = _cut(architecture, purpose, rows)
    capacity = _capacity(cut, purpose, rows, threads)
    dtype, stride = architecture.dtype, capacity * PANEL
    layers = architecture.layers
    widest = max(panels(layer.units) for layer in layers)
    scratch = at.WORK + SCRATCH_LANES * PANEL + SCRATCH_MATRICES * (widest + 1) * BLOCK
    activations = sum(_copies(layer, purpose) * panels(layer.units) for layer in layers)
    sizes: dict[int, tuple[int, Any]] = {
        at.SCRATCH: (scratch * threads, dtype),
        at.ACTIVATIONS: ((panels(architecture.inputs) + activations) * stride, dtype),
    }
    if purpose != "prediction":
        sizes[at.DELTAS] = (sum(panels(layer.units) for layer in layers) * stride, dtype)
        sizes[at.TARGETS] = (panels(architecture.outputs) * stride, dtype)
        sizes[at.ROW_WEIGHTS] = (capacity, np.float64)  # their mean may not depend on their scale
        sizes[at.ROW_LOSSES] = (panels(rows) * PANEL, np.float64)
        sizes[at.TILE_PENALTIES] = (sum(panels(layer.inputs) * panels(layer.units) for layer in layers), np.float64)
    clipping = purpose == "training" and architecture.optimizer.global_clipnorm is not None
    if purpose == "gradients" or clipping:
        sizes[at.GRADIENT] = (parameters, dtype)
    if clipping:
        sizes[at.TILE_SQUARES] = sizes[at.TILE_PENALTIES]
    if purpose == "training":
        sizes[at.SNAPSHOT] = (parameters * (1 + len(architecture.optimizer.slots)), dtype)
        sizes[at.CREW] = (at.CREW_CLAIMS + threads * at.CREW_LINE, np.int64)
    if cut.groups:
        sizes[at.GROUP_GRADIENTS] = (cut.groups * parameters, dtype)
    return sizes


def _cut(architecture: Architecture, purpose: Purpose, rows: int) -> RowBlocking:
    return row_blocking(architecture, rows) if purpose == "training" else RowBlocking(0, CHUNK)


def _capacity(cut: RowBlocking, purpose: Purpose, rows: int, threads: int) -> int:
    """Rows of the buffers: all of a batch, or what each thread takes at a time, side by side."""
    apart = purpose == "prediction" or cut.groups > 0
    return panels(cut.chunk if cut.groups else rows) * PANEL * (threads if apart else 1)


def bytes_of(sizes: dict[int, tuple[int, Any]]) -> int:
    """How many bytes buffers of these sizes take together."""
    return sum(count * np.dtype(kind).itemsize for count, kind in sizes.values())


def _copies(layer: Layer, purpose: Purpose) -> int:
    """How many matrices of its outputs a layer keeps: A, with dropout g(Z) and D, and g'(Z) where it has to."""
    dropped = 2 if layer.dropout and purpose == "training" else 0
    return 1 + dropped + keeps_slopes(layer, purpose)


def keeps_slopes(layer: Layer, purpose: Purpose) -> bool:
    """Whether the derivative is computed on the way forward, since it does not follow from g(Z)."""
    return purpose != "prediction" and kernels_of(layer.activation).keeping is not None


def kernels_of(activation: Activation) -> ActivationKernels:
    """The kernels of an activation, built in or a user's own."""
    if isinstance(activation, OwnActivation):
        return activation_kernels(activation.name, activation.forward, activation.derivative)
    return ACTIVATIONS[activation.formula]


def _told(purpose: Purpose, rows: int) -> tuple[str, str]:
    """What the buffers of a plan are for, and what would take less."""
    if purpose == "training":
        kept = "a copy of the network, to undo an epoch, and what its layers make of a batch"
        return f"a fit in batches of {rows:,} rows ({kept})", "a smaller batch_size or narrower layers would take less"
    questions = {"gradients": "a loss", "jacobian": "gradients of the inputs", "prediction": "a prediction"}
    return f"{questions[purpose]} (what the layers make of {rows:,} rows)", "narrower layers would take less"


def _put(numbers: NDArray[np.float64], first: int, values: tuple[float, ...]) -> None:
    numbers[first : first + len(values)] = values


class Plans:
    """The plans of one network, made when first needed and kept while they fit.

    Parameters
    ----------
    parameters : Parameters
        The network's memory.
    threads : int or None
        The most threads that the user wants; None leaves it to the library.

    Attributes
    ----------
    averaged_penalties : bool
        Of plans that are made from now on, as in `Plan`.
    """

    def __init__(self, parameters: Parameters, threads: int | None) -> None:
        self.parameters = parameters
        self.threads = threads
        self.averaged_penalties = False
        self._plans: dict[Purpose, Plan] = {}

    def thread_count(self) -> int:
        """How many threads there are to use now."""
        return available(self.threads)

    def discard(self, purpose: Purpose) -> None:
        """Give back the memory of the plan for that purpose, which will be made anew if it is needed again."""
        self._plans.pop(purpose, None)

    def get(self, purpose: Purpose, rows: int) -> Plan:
        """A plan for at least that many rows at a time."""
        plan = self._plans.get(purpose)
        threads = self.thread_count()
        if plan is None or not plan.fits(rows, threads):
            self.discard(purpose)  # its memory goes before the new one is taken
            plan = self._plans[purpose] = Plan(self.parameters, purpose, rows, threads, self.averaged_penalties)
        return plan
