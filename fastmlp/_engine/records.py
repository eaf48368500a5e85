"""Records of the kernels' tables in Python: `ctypes` structures whose fields read and write the kernels' memory."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from fastmlp._runtime.buffers import aligned_zeros
from fastmlp.kernels.host.annotations import structure_of


def new_record(table: type) -> Any:
    """Return a new record of a table, filled with 0 and aligned to a cache line."""
    structure = structure_of(table)
    return structure.from_buffer(aligned_zeros(ctypes.sizeof(structure), np.uint8))


def new_records(table: type, count: int) -> Any:
    """Return an array of `count` new records of a table, filled with 0 and aligned to a cache line."""
    structure = structure_of(table) * count
    return structure.from_buffer(aligned_zeros(ctypes.sizeof(structure), np.uint8))


def address_of(record: Any) -> int:
    """Return the address of a record, or of the first record of an array."""
    return ctypes.addressof(record)


def copy_record(target: Any, source: Any) -> None:
    """Copy all fields of `source`, a record of the same table or its bytes, to `target`.

    Raises
    ------
    ValueError
        If the source has another size. Nothing is copied then.
    """
    data, size = bytes(source), ctypes.sizeof(target)
    if len(data) != size:
        raise ValueError(f"a record of {type(target).__name__} has {size} bytes, got {len(data)}")
    ctypes.memmove(ctypes.addressof(target), data, size)
