"""Buffers that compiled code reads and writes: aligned NumPy vectors, and the addresses of arrays."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime import memory

ALIGNMENT = 64  # bytes: the size of a cache line, and of the widest vector register


def aligned_zeros(count: int, dtype: Any) -> NDArray[Any]:
    """Return a vector of `count` zeros that starts at a multiple of 64 bytes."""
    dtype = np.dtype(dtype)
    raw = np.zeros(count * dtype.itemsize + ALIGNMENT, np.uint8)
    memory.commit(raw)
    skip = -address(raw) % ALIGNMENT
    return raw[skip : skip + count * dtype.itemsize].view(dtype)


def address(array: NDArray[Any]) -> int:
    """Return the address of the array's first element."""
    try:
        buffer: Any = array
        return ctypes.addressof(ctypes.c_char.from_buffer(buffer))  # 0.3 us; __array_interface__ takes 1.1 us
    except (TypeError, ValueError, BufferError):  # the array is read-only, not contiguous or empty
        return int(array.__array_interface__["data"][0])
