"""Records of the kernels' tables in Python: `ctypes` structures whose fields read and write the kernels' memory."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from fastmlp._runtime.buffers import aligned_zeros
from fastmlp.kernels.host.annotations import structure_of


def new_record(table: type) -> Any:
    """Return a record of the table, all 0, which begins at a cache line."""
    structure = structure_of(table)
    return structure.from_buffer(aligned_zeros(ctypes.sizeof(structure), np.uint8))


def new_records(table: type, count: int) -> Any:
    """Return an array of `count` records of the table, all 0, which begins at a cache line."""
    structure = structure_of(table) * count
    return structure.from_buffer(aligned_zeros(ctypes.sizeof(structure), np.uint8))


def address_of(record: Any) -> int:
    """Return the address of a record, or of the first of several."""
    return ctypes.addressof(record)


def copy_record(target: Any, source: Any) -> None:
    """Copy all fields of one record, or of its bytes, to another of the same table."""
    ctypes.memmove(ctypes.addressof(target), bytes(source), ctypes.sizeof(target))
