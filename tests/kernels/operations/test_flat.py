"""Parameter vectors are copied to flat ones and back, and transposed, for layers of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import DTYPES, WIDTHS, tensors

from fastmlp import Dense, Network
from fastmlp._runtime.buffers import aligned_zeros
from fastmlp.kernels.layout import BLOCK

LAYERS = [
    [a, Dense(b, use_bias=a % 2 == 0), c] for a, b, c in zip(WIDTHS, WIDTHS[3:] + WIDTHS[:3], WIDTHS[::-1], strict=True)
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_flat_vectors_hold_every_parameter_once(layers: Any, dtype: str) -> None:
    network = Network(layers, dtype=dtype, seed=0)
    parameters = network._engine.parameters
    flat = np.full(network.architecture.parameters + 1, -1, dtype)
    parameters.flatten(parameters.weights, flat[:-1])
    np.testing.assert_array_equal(flat[:-1], np.concatenate([each.ravel() for each in tensors(network.get_weights())]))
    assert flat[-1] == -1
    back = aligned_zeros(parameters.size, dtype)
    parameters.unflatten(flat[:-1], back)
    np.testing.assert_array_equal(back, parameters.weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_the_transposes_are_those_of_the_blocks(layers: Any, dtype: str) -> None:
    parameters = Network(layers, dtype=dtype, seed=0)._engine.parameters
    parameters.weights[:] = np.arange(parameters.size)
    parameters.refresh_transposed()
    for row in parameters.layers:
        size = row.unit_panels * row.input_panels * BLOCK
        blocks = parameters.weights[row.w : row.w + size].reshape(row.unit_panels, row.input_panels, 16, 16)
        found = parameters.transposed[row.w : row.w + size].reshape(row.input_panels, row.unit_panels, 16, 16)
        np.testing.assert_array_equal(found, blocks.transpose(1, 0, 3, 2))
