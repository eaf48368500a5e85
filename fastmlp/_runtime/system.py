"""What fastmlp runs on: versions, the processor, threads, and the cache of compiled code."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The processor features that the kernels can use, and LLVM's names for them.
FEATURES = {"AVX2": "avx2", "FMA": "fma", "AVX512F": "avx512f", "NEON": "neon"}
_VECTOR_BITS = {"AVX512F": 512, "AVX2": 256}


def describe() -> dict[str, Any]:
    """Describe everything that decides how fast this machine trains.

    Returns
    -------
    dict
        "versions" (name to version), "platform", "cpu", "features" (name to bool), "vector_bits", "threading_layer"
        ("omp", "tbb", "workqueue" or "none"), "threads" (the maximum), "cache_directory" and "cache_bytes". All values
        can be written as JSON.
    """
    import llvmlite
    import numba
    import numpy
    from llvmlite import binding

    import fastmlp
    from fastmlp.kernels.host import code_cache, threads

    found = features(dict(binding.get_host_cpu_features()), platform.machine())
    cache = code_cache.directory()
    config: Any = numba.config  # Numba adds the attributes at run time, where type checkers cannot see them
    return {
        "versions": {
            "fastmlp": fastmlp.__version__,
            "numba": numba.__version__,
            "llvmlite": llvmlite.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": binding.get_host_cpu_name(),
        "features": found,
        "vector_bits": vector_bits(found),
        "threading_layer": threads.layer(),
        "threads": config.NUMBA_NUM_THREADS,
        "cache_directory": str(cache),
        "cache_bytes": folder_size(cache),
    }


def features(host: Mapping[str, bool], machine: str) -> dict[str, bool]:
    """Return which of `FEATURES` the processor has.

    Parameters
    ----------
    host : mapping of str to bool
        LLVM's names of the features, as llvmlite returns them.
    machine : str
        The kind of processor, as `platform.machine` names it. Every 64-bit ARM processor has NEON and FMA, but LLVM
        does not list them on every system.

    Returns
    -------
    dict of str to bool
        One entry for each of `FEATURES`.
    """
    arm = machine.lower() in ("arm64", "aarch64")
    return {name: host.get(llvm, False) or (arm and name in ("NEON", "FMA")) for name, llvm in FEATURES.items()}


def vector_bits(found: Mapping[str, bool]) -> int:
    """Return the width of a vector register, given the result of `features`; every 64-bit processor has 128 bits."""
    return max((bits for name, bits in _VECTOR_BITS.items() if found[name]), default=128)


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder; 0 if it does not exist. Files that vanish meanwhile count 0."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total
