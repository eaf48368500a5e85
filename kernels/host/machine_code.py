"""Machine code that is loaded into the process.

One engine of LLVM loads all object files, each in 0.2 to 0.5 ms. Numba's own loading would take 4 ms each, and 45 ms to
begin, for what these kernels do not use: intermediate code to link into others, and reference counting.
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import binding
from numba.core.registry import cpu_target


@functools.cache
def _engine() -> Any:
    """Return the engine. It owns the code, so it lives as long as the process."""
    cpu_target.target_context  # noqa: B018  # when Numba makes it, LLVM learns of functions that the code may call
    target = binding.Target.from_triple(binding.get_process_triple())
    return binding.create_mcjit_compiler(binding.parse_assembly(""), target.create_target_machine(jit=True))


def load(code: bytes, name: str) -> int:
    """Load an object file. Return the address of its function `name`, which no other object file may have."""
    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return int(engine.get_function_address(name))
