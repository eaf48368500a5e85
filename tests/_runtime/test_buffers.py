"""Buffers for kernels are aligned and zero, and every array has the address of its first element."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from cases import Array

from fastmlp._runtime.buffers import ALIGNMENT, address, aligned_zeros


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 1000])
def test_a_buffer_is_aligned_and_zero(count: int, dtype: type) -> None:
    buffer = aligned_zeros(count, dtype)
    assert buffer.shape == (count,)
    assert buffer.dtype == dtype
    assert not buffer.any()
    assert count == 0 or address(buffer) % ALIGNMENT == 0


def read_only() -> Array:
    array = np.arange(1.0, 7.0)
    array.flags.writeable = False
    return array


ARRAYS = {
    "contiguous": np.arange(1.0, 7.0),
    "two dimensions": np.arange(1.0, 7.0).reshape(2, 3),
    "in Fortran order": np.asfortranarray(np.arange(1.0, 7.0).reshape(2, 3)),
    "a slice": np.arange(1.0, 7.0)[2:],
    "with a stride": np.arange(1.0, 7.0)[1::2],
    "backwards": np.arange(1.0, 7.0)[::-1],
    "read-only": read_only(),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_address_is_that_of_the_first_element(name: str) -> None:
    array = ARRAYS[name]
    assert ctypes.c_double.from_address(address(array)).value == array.flat[0]


def test_an_empty_array_has_an_address() -> None:
    assert isinstance(address(np.empty(0)), int)
