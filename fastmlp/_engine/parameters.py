"""The memory that outlives a fit: parameters, their transposes, the optimizer's slots and the counters.

Everything is packed as `fastmlp.kernels.layout` says; here is where it is packed and unpacked.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime import memory
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.architecture import Architecture, Layer
from fastmlp.initializers import Initializer
from fastmlp.kernels import layout as at
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.finite import not_finite
from fastmlp.kernels.operations import random
from fastmlp.kernels.operations.orthogonal import draw_orthogonal, room

Real = np.floating[Any]
LayerWeights = tuple[NDArray[Real], NDArray[Real] | None]

_DRAWN = {
    "uniform": random.draw_uniform,
    "normal": random.draw_normal,
    "truncated_normal": random.draw_truncated_normal,
}


def panels(columns: int) -> int:
    """How many panels of 16 hold that many columns."""
    return -(-columns // PANEL)


class Parameters:
    """All that is learned, and all that the optimizer remembers.

    Parameters
    ----------
    architecture : Architecture
        What the network is.

    Attributes
    ----------
    weights : ndarray
        The parameter vector: the blocks of every W, then every b.
    transposed : ndarray
        The blocks of every W^T, which the delta recursion reads.
    slots : ndarray, shape (slots, size of weights)
        What the optimizer keeps beside each parameter.
    state : ndarray of int64
        Seed, epochs, batches of the epoch and steps done, and of which data in which batches the epoch is.
    totals : ndarray of float64
        Losses, weights and penalties of the epoch so far.

    Raises
    ------
    MemoryError
        If they take more than there is; nothing is taken then.
    """

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        blocks = [panels(layer.inputs) * panels(layer.units) * BLOCK for layer in architecture.layers]
        biases = [panels(layer.units) * PANEL for layer in architecture.layers]
        starts = list(itertools.accumulate([*blocks, *biases], initial=0))
        self.w_offsets = starts[: len(blocks)]
        self.b_offsets = starts[len(blocks) : -1]
        self.size = -(-starts[-1] // PANEL) * PANEL
        self.tiles = sum(blocks) // BLOCK
        dtype, optimizer = architecture.dtype, architecture.optimizer
        copies = 2 + len(optimizer.slots)
        drawing = max(blocks) * (8 + dtype.itemsize)  # beside what stays
        memory.require(
            (sum(blocks) + (copies - 1) * self.size) * dtype.itemsize + drawing,
            f"a network, {copies} times its weights for {optimizer.name} in {dtype.name},",
            "narrower layers, float32 or an optimizer that remembers less, such as sgd, would take less",
        )
        self.weights = aligned_zeros(self.size, dtype)
        self.transposed = aligned_zeros(sum(blocks), dtype)
        self.slots = aligned_zeros(len(architecture.optimizer.slots) * self.size, dtype).reshape(-1, self.size)
        self._begin_slots()
        self.state = np.zeros(len(at.STATE_WORDS), np.int64)
        self.state[at.SEED] = architecture.seed
        self.totals = np.zeros(3)

    def initialise(self, seed: int) -> None:
        """Draw all weights anew and forget everything learned."""
        self.weights[:] = 0
        self._begin_slots()
        self.state[:] = 0
        self.totals[:] = 0
        self.state[at.SEED] = seed
        for index, layer in enumerate(self.architecture.layers):
            w = self._draw(layer.weight_init, index, random.WEIGHTS_DRAW, (layer.inputs, layer.units))
            b = self._draw(layer.bias_init, index, random.BIASES_DRAW, (layer.units,)) if layer.use_bias else None
            self.pack(self.weights, index, w, b)
        self.refresh_transposed()

    def _begin_slots(self) -> None:
        """What the optimizer remembers before its first step; the padding holds 0, as after loading."""
        self.slots[:] = 0
        first = self.architecture.optimizer.first_slot_value
        for index, layer in enumerate(self.architecture.layers if first else ()):
            b = np.full(layer.units, first) if layer.use_bias else None
            self.pack(self.slots[0], index, np.full((layer.inputs, layer.units), first), b)

    def become(self, other: Parameters) -> None:
        """Copy all of a network that differs in its seed alone; this takes no memory, so it cannot fail halfway."""
        for name in ("weights", "transposed", "slots", "state", "totals"):
            getattr(self, name)[...] = getattr(other, name)
        self.architecture = other.architecture

    def are_finite(self) -> bool:
        """Whether neither a parameter nor a slot is NaN or infinite."""
        count = not_finite.function_for(self.architecture.dtype)
        return not any(count(address(each), each.size) for each in (self.weights, self.slots))

    def pack(self, vector: NDArray[Real], index: int, w: NDArray[Any], b: NDArray[Any] | None) -> None:
        """Put one layer's W (inputs, units) and b (units,) into a vector of parameters or slots."""
        layer = self.architecture.layers[index]
        blocks = self._blocks(vector, index)
        padded = np.zeros((blocks.shape[1] * PANEL, blocks.shape[0] * PANEL), vector.dtype)
        with np.errstate(all="ignore"):  # what is too small becomes 0, whatever the user has NumPy raise
            padded[: layer.inputs, : layer.units] = w
            if b is not None:
                start = self.b_offsets[index]
                vector[start : start + layer.units] = b
        blocks[:] = padded.reshape(blocks.shape[1], PANEL, blocks.shape[0], PANEL).transpose(2, 0, 1, 3)

    def unpack(self, vector: NDArray[Real]) -> list[LayerWeights]:
        """Copies of every layer's W and b (None without bias) out of a vector of parameters, slots or gradients."""
        memory.require(vector.nbytes, "a copy of the weights, or of as many numbers,")
        return [self._unpack_layer(vector, index, layer) for index, layer in enumerate(self.architecture.layers)]

    def refresh_transposed(self) -> None:
        """Make every W^T from its W."""
        for index in range(len(self.architecture.layers)):
            blocks = self._blocks(self.weights, index)
            start = self.w_offsets[index]
            swapped = blocks.transpose(1, 0, 3, 2)
            self.transposed[start : start + blocks.size].reshape(swapped.shape)[:] = swapped

    def _draw(self, initializer: Initializer, index: int, purpose: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """The values that one layer's W or b starts from."""
        layer, seed, out = self.architecture.layers[index], int(self.state[at.SEED]), np.empty(shape)
        location, scale = initializer.location_and_scale(layer.inputs, layer.units)
        if initializer.distribution == "constant":
            out[:] = location
        elif initializer.distribution == "orthogonal":
            tall = out if layer.inputs >= layer.units else out.T
            work = np.empty(room(*tall.shape))
            steps = [stride // out.itemsize for stride in tall.strides]
            draw = draw_orthogonal.function_for(out.dtype)
            draw(address(out), address(work), *tall.shape, *steps, scale, seed, index)
        else:
            draw = _DRAWN[initializer.distribution].function_for(out.dtype)
            draw(address(out), out.size, location, scale, seed, purpose, index)
        return out

    def _unpack_layer(self, vector: NDArray[Real], index: int, layer: Layer) -> LayerWeights:
        blocks = self._blocks(vector, index)
        flat = blocks.transpose(1, 2, 0, 3).reshape(blocks.shape[1] * PANEL, blocks.shape[0] * PANEL)
        start = self.b_offsets[index]
        b = vector[start : start + layer.units].copy() if layer.use_bias else None
        return np.ascontiguousarray(flat[: layer.inputs, : layer.units]), b

    def _blocks(self, vector: NDArray[Real], index: int) -> NDArray[Real]:
        """A view of one layer's W, [unit panel][input panel][16 inputs][16 units]."""
        layer = self.architecture.layers[index]
        shape = (panels(layer.units), panels(layer.inputs), PANEL, PANEL)
        start = self.w_offsets[index]
        return vector[start : start + int(np.prod(shape))].reshape(shape)
