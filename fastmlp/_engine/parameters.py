"""The memory that outlives a fit: parameters, their transposes, the optimizer's slots and the state of training.

`fastmlp.kernels.layout` describes their panels and blocks. This module packs and unpacks them.
"""

from __future__ import annotations

import ctypes
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._engine.records import address_of, copy_record, new_record, new_records
from fastmlp._engine.rests import Rests
from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.architecture import Architecture
from fastmlp.initializers import Initializer
from fastmlp.kernels.layout import BLOCK, PANEL, RESTS, VERSION
from fastmlp.kernels.micro.finite import not_finite
from fastmlp.kernels.operations import random
from fastmlp.kernels.operations.flat import flatten, transposes, unflatten
from fastmlp.kernels.operations.orthogonal import draw_orthogonal, workspace_size
from fastmlp.kernels.tables import Layer as LayerTable
from fastmlp.kernels.tables import State

Real = np.floating[Any]
LayerWeights = tuple[NDArray[Real], NDArray[Real] | None]
"""W (inputs, units), or (units,) of a layer of columns, and b (units,) of a layer; None without a bias."""

Gradients = list[LayerWeights] | NDArray[Real]
"""(dW, db) of each layer, or one vector."""

_Counts = ctypes.c_int64 * 4  # of what `fastmlp.kernels.layout` names
_DRAWS = {
    "uniform": random.draw_uniform,
    "normal": random.draw_normal,
    "truncated_normal": random.draw_truncated_normal,
}


def panels(columns: int) -> int:
    """Return the number of panels of 16 columns that hold `columns` columns."""
    return -(-columns // PANEL)


class Parameters:
    """The learned parameters of a network, the slots of its optimizer, and the state of training.

    Parameters
    ----------
    architecture : Architecture
        Layers, loss, optimizer, dtype and seed.

    Attributes
    ----------
    weights : ndarray
        The parameter vector: the blocks of every W, then every b.
    transposed : ndarray
        The blocks of every W^T, which the delta recursion reads.
    slots : ndarray, shape (slots, size of weights)
        The values that the optimizer keeps for each parameter.
    layers : records of `fastmlp.kernels.tables.Layer`
        The sizes of each layer, and where its numbers lie. A plan completes a copy.
    counts : array of 4 int64
        What is counted for the network, see `fastmlp.kernels.layout`. Kernels count on it, too.
    state : record of `fastmlp.kernels.tables.State`
        Seed, counters, and the sums, data and batch size of the current epoch.

    Raises
    ------
    MemoryError
        If there is not enough memory. Nothing is allocated then.
    """

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        blocks = [panels(layer.rows) * panels(layer.units) * BLOCK for layer in architecture.layers]
        biases = [panels(layer.units) * PANEL for layer in architecture.layers]
        starts = list(itertools.accumulate([*blocks, *biases], initial=0))
        self.w_offsets = starts[: len(blocks)]
        self.b_offsets = starts[len(blocks) : -1]
        self.size = -(-starts[-1] // PANEL) * PANEL
        self.blocks = sum(blocks) // BLOCK
        dtype, optimizer = architecture.dtype, architecture.optimizer
        copies = 2 + len(optimizer.slots)
        drawing = max(blocks) * (8 + dtype.itemsize)  # temporary, while weights are drawn
        memory.require(
            (sum(blocks) + (copies - 1) * self.size) * dtype.itemsize + drawing,
            f"a network, {copies} times its weights for {optimizer.name} in {dtype.name},",
            "narrower layers, float32 or an optimizer that remembers less, such as sgd, would take less",
        )
        self.weights = aligned_zeros(self.size, dtype)
        self.transposed = aligned_zeros(sum(blocks), dtype)
        self.slots = aligned_zeros(len(optimizer.slots) * self.size, dtype).reshape(-1, self.size)
        self.layers = self._layer_records()
        self._fill_slots()
        self.counts = _Counts(0, -1, 0, 0)
        self.rests = Rests(architecture)
        self.state = new_record(State)
        self.state.seed = architecture.seed

    def initialise(self, seed: int) -> None:
        """Draw all weights, and reset the slots and the state."""
        self.weights[:] = 0
        self._fill_slots()
        self.rests = Rests(self.architecture)
        copy_record(self.state, new_record(State))
        self.state.seed = seed
        for index, layer in enumerate(self.architecture.layers):
            w = self._draw(layer.weight_init, index, random.WEIGHTS_DRAW, layer.shape)
            b = self._draw(layer.bias_init, index, random.BIASES_DRAW, (layer.units,)) if layer.use_bias else None
            self.pack(self.weights, index, w, b)
        self.refresh_transposed()

    def _fill_slots(self) -> None:
        """Write the values of the slots before the first step. The padding is 0, as after loading."""
        self.slots[:] = 0
        first = self.architecture.optimizer.first_slot_value
        for index, layer in enumerate(self.architecture.layers if first else ()):
            b = np.full(layer.units, first) if layer.use_bias else None
            self.pack(self.slots[0], index, np.full(layer.shape, first), b)

    def copy_from(self, other: Parameters) -> None:
        """Copy a network that differs only in its seed. Nothing is allocated, so the copy cannot fail halfway."""
        for name in ("weights", "transposed", "slots"):
            getattr(self, name)[...] = getattr(other, name)
        self.count_change()
        copy_record(self.state, other.state)
        self.architecture, self.rests = other.architecture, other.rests

    def are_finite(self) -> bool:
        """Return whether all parameters and slots are finite."""
        count = not_finite.function_for(self.architecture.dtype)
        return not any(count(address(each), each.size) for each in (self.weights, self.slots))

    @property
    def version(self) -> int:
        """How often the weights have changed, so that results of older weights are known."""
        return int(self.counts[VERSION])

    @property
    def rests(self) -> Rests:
        """How long each layer has rested; plans follow when it is set."""
        return self._rests

    @rests.setter
    def rests(self, rests: Rests) -> None:
        self._rests = rests
        self.counts[RESTS] += 1

    def count_change(self) -> None:
        """Count a change of the weights."""
        self.counts[VERSION] += 1

    def sums(self) -> NDArray[np.float64]:
        """Return the sums of losses, weights and penalties of the current epoch."""
        return np.array([self.state.loss_sum, self.state.weight_sum, self.state.penalty_sum])

    def set_sums(self, sums: NDArray[np.float64]) -> None:
        """Set the sums of losses, weights and penalties of the current epoch."""
        self.state.loss_sum, self.state.weight_sum, self.state.penalty_sum = sums

    def pack(self, vector: NDArray[Real], index: int, w: NDArray[Any], b: NDArray[Any] | None) -> None:
        """Write one layer's W, of the layer's shape, and b (units,) into a vector of parameters or slots."""
        layer = self.architecture.layers[index]
        flat = np.empty(layer.weights + (0 if b is None else layer.units), vector.dtype)
        with np.errstate(all="ignore"):  # underflow to 0, whatever `numpy.seterr` is set to
            flat[: layer.weights].reshape(layer.shape)[:] = w
            if b is not None:
                flat[layer.weights :] = b
        write = unflatten.function_for(vector.dtype)
        write(address_of(self.layers[index]), 1, address(vector), address(flat))

    def unpack(self, vector: NDArray[Real]) -> list[LayerWeights]:
        """Return copies of every layer's W and b (None without bias) in a vector of parameters, slots or gradients."""
        memory.require(vector.nbytes, "a copy of the weights, or of as many numbers,")
        return [self.unpack_layer(vector, index) for index in range(len(self.architecture.layers))]

    def flatten(self, vector: NDArray[Real], out: NDArray[Real]) -> None:
        """Write a vector of parameters or gradients to `out`, in the order of `Network.flat_weights`."""
        flatten.function_for(out.dtype)(address_of(self.layers), len(self.layers), address(out), address(vector))

    def layers_or_flat(self, vector: NDArray[Real], out: NDArray[Real] | None) -> Gradients:
        """Return a vector of gradients by layer, or flat in `out`."""
        if out is None:
            return self.unpack(vector)
        self.flatten(vector, out)
        return out

    def unflatten(self, flat: NDArray[Real], vector: NDArray[Real]) -> None:
        """Write a flat vector to a vector of parameters or gradients; the padding of inputs is not written."""
        unflatten.function_for(flat.dtype)(address_of(self.layers), len(self.layers), address(vector), address(flat))

    def refresh_transposed(self) -> None:
        """Write every W^T from its W, after a change of the weights."""
        self.count_change()
        write = transposes.function_for(self.weights.dtype)
        write(address_of(self.layers), len(self.layers), address(self.weights))

    def _layer_records(self) -> Any:
        """Return a record of each layer, with its sizes and where its numbers lie."""
        layers = self.architecture.layers
        records, transposed = new_records(LayerTable, len(layers)), address(self.transposed)
        for index, (layer, row) in enumerate(zip(layers, records, strict=True)):
            row.inputs, row.units = layer.inputs, layer.units
            row.input_panels, row.unit_panels = panels(layer.inputs), panels(layer.units)
            row.w_rows, row.w_panels = layer.rows, panels(layer.rows)
            row.w, row.b, row.uses_bias = self.w_offsets[index], self.b_offsets[index], layer.use_bias
            row.wt = transposed + row.w * self.weights.itemsize
        return records

    def _draw(self, initializer: Initializer, index: int, purpose: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return the initial values of one layer's W or b."""
        layer, seed, out = self.architecture.layers[index], self.state.seed, np.empty(shape)
        location, scale = initializer.location_and_scale(layer.inputs, layer.units)
        if initializer.distribution == "constant":
            out[:] = location
        elif initializer.distribution == "orthogonal":
            tall = out if layer.inputs >= layer.units else out.T
            work = np.empty(workspace_size(*tall.shape))
            steps = [stride // out.itemsize for stride in tall.strides]
            draw = draw_orthogonal.function_for(out.dtype)
            draw(address(out), address(work), *tall.shape, *steps, scale, seed, index)
        else:
            draw = _DRAWS[initializer.distribution].function_for(out.dtype)
            draw(address(out), out.size, location, scale, seed, purpose, index)
        return out

    def unpack_layer(self, vector: NDArray[Real], index: int) -> LayerWeights:
        """Return copies of one layer's W and b (None without bias) in a vector of parameters, slots or gradients."""
        layer, blocks = self.architecture.layers[index], self._blocks_of(vector, index)
        flat = blocks.transpose(1, 2, 0, 3).reshape(blocks.shape[1] * PANEL, blocks.shape[0] * PANEL)
        start = self.b_offsets[index]
        b = vector[start : start + layer.units].copy() if layer.use_bias else None
        return flat[: layer.rows, : layer.units].reshape(layer.shape).copy(), b  # of 16 units `flat` is a view

    def _blocks_of(self, vector: NDArray[Real], index: int) -> NDArray[Real]:
        """Return a view of one layer's W in a vector, [unit panel][panel of rows][16 rows][16 units]."""
        layer = self.architecture.layers[index]
        shape = (panels(layer.units), panels(layer.rows), PANEL, PANEL)
        start = self.w_offsets[index]
        return vector[start : start + int(np.prod(shape))].reshape(shape)
