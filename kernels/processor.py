"""What the kernels choose by the processor: one table, with a row for each kind of processor and dtype.

This is the only module that asks what the processor can do. `tuning(dtype)` returns the row for the processor that
code is compiled for, which NUMBA_CPU_NAME and NUMBA_CPU_FEATURES may set.

A row may change the instructions and the speed of a kernel, and never a bit of its result: each element of a product
is one chain of fused multiply-adds in the order of k, whatever the height of the tile. A number that does decide bits
stands beside the code that it belongs to, and is the same on every processor: the chains of a polynomial in
`vocabulary.arithmetic`, those of a sum in `micro.panels` and `micro.lanes`.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

from llvmlite import binding
from numba.core import config

IS_X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
IS_ARM = platform.machine().lower() in ("aarch64", "arm64")


@dataclass(frozen=True)
class Tuning:
    """The choices for one kind of processor and one dtype.

    Parameters
    ----------
    tile_rows : int
        Height of the tile of a product: how many rows of 16 accumulators are held in vector registers. It divides 16.
    remainder_rows : int
        Height of the tile for the rows that a full tile leaves over, and for blocks of at most 8 inputs.
    update_portions : int
        Into how many portions a weight product cuts its rows (`emit_block_product`). After each portion it updates some
        vectors of another block.
    interleaved_vectors : int
        How many vectors of an elementwise loop are computed side by side (`interleaved_loop`). LLVM ignores the request
        if it is not a power of two.
    """

    tile_rows: int
    remainder_rows: int
    update_portions: int
    interleaved_vectors: int


# GFLOP/s are of one core. Shares of peak are by LLVM's machine model (llvm-mca) where no machine is named.
TABLE: dict[str, dict[str, Tuning]] = {
    # 32 registers of 64 bytes: a row of 16 accumulators takes 1 register in float32 and 2 in float64. 16 registers hold
    # the tile; the rest is free for the weights and the broadcast of a.
    "avx512": {
        # Tile: on a Zen 4, all tiles from 8 x 16 to 12 x 32 reach 98 % of FMA peak, so one shape serves every layer.
        # Remainder: four chains of multiply-adds already hide each other's latency.
        # Portions: on a Zen 4, a vector of Adam costs 16 cycles alone, and 8 within a product of 8 portions.
        # Interleaving: ns an element with 1, 2, 4 and 8 vectors: sigmoid 0.33, 0.29, 0.28, 0.29; tanh 0.33, 0.32, 0.30,
        # 0.31.
        "float32": Tuning(tile_rows=16, remainder_rows=4, update_portions=8, interleaved_vectors=4),
        # Interleaving: the polynomials of float64 are longer, so more vectors pay. ns an element with 1, 2, 4 and 8:
        # sigmoid 0.90, 0.82, 0.81, 0.78; tanh 0.93, 0.86, 0.86, 0.81.
        "float64": Tuning(tile_rows=8, remainder_rows=4, update_portions=8, interleaved_vectors=8),
    },
    # AVX and AVX2, 16 registers of 32 bytes: a row of 16 accumulators takes 2 registers in float32 and 4 in float64.
    # 8 registers hold the tile. One of 16 rows spills.
    "avx": {
        # Tile: 38.3 GFLOP/s on a Zen 1, of 38.5; 79 % of peak on Haswell and Zen 2 (8 chains do not hide the latency of
        # two pipes), 98 % on Skylake and Alder Lake, 99 % on Zen 3. Panels of 8 columns have 4 chains: 40 to 50 %.
        "float32": Tuning(tile_rows=4, remainder_rows=4, update_portions=8, interleaved_vectors=4),
        # Tile: 18.0 GFLOP/s on a Zen 1, of 19.2; 3 x 16 spills and has 12.8. Shares of peak as in float32.
        # Interleaving: half of the registers of AVX-512, so fewer vectors. ns an element with 1, 2, 4 and 8: tanh 1.53,
        # 1.43, 1.23, 1.23; gelu 2.3, 2.5, 2.2, 2.4.
        "float64": Tuning(tile_rows=2, remainder_rows=2, update_portions=8, interleaved_vectors=4),
    },
    # 64-bit ARM, 32 registers of 16 bytes: a row of 16 accumulators takes 4 registers in float32 and 8 in float64.
    # 16 registers hold the tile. No kernel has run on such a machine yet.
    "neon": {
        # Tile: 98 % of peak on Neoverse V1; panels of 8 columns 50 %. Portions and interleaving: not measured.
        "float32": Tuning(tile_rows=4, remainder_rows=4, update_portions=8, interleaved_vectors=4),
        "float64": Tuning(tile_rows=2, remainder_rows=2, update_portions=8, interleaved_vectors=4),
    },
    # Anything else, such as x86-64 with SSE alone. Correct and slow: there is no FMA, so LLVM calls the C library's for
    # each element, which takes far longer than any tile saves. Nothing is tuned; the values are those of AVX.
    "other": {
        "float32": Tuning(tile_rows=4, remainder_rows=4, update_portions=8, interleaved_vectors=4),
        "float64": Tuning(tile_rows=2, remainder_rows=2, update_portions=8, interleaved_vectors=4),
    },
}


def tuning(dtype: str) -> Tuning:
    """Return the row of the table for a dtype, "float32" or "float64", on the processor that code is compiled for."""
    return TABLE[kind()][dtype]


def kind() -> str:
    """Return the kind of processor that code is compiled for: a key of `TABLE`."""
    if has("avx512f"):
        return "avx512"
    if has("avx"):
        return "avx"
    return "neon" if IS_ARM or has("neon") else "other"


def has(feature: str) -> bool:
    """Check whether the processor that code is compiled for has a feature, by LLVM's name for it.

    NUMBA_CPU_FEATURES is searched for the beginning of a name: "+avx512vl" has "avx", which it implies. With
    NUMBA_CPU_NAME alone, another processor than the host counts as one without features.
    """
    if config.CPU_FEATURES is not None:
        return f"+{feature}" in config.CPU_FEATURES
    if config.CPU_NAME not in (None, "host", binding.get_host_cpu_name()):
        return False
    return bool(binding.get_host_cpu_features().get(feature, False))


def target() -> tuple[str, str, str]:
    """Return all that says which instructions code is compiled to: the architecture, the processor and its features."""
    host_features = binding.get_host_cpu_features().flatten() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return platform.machine(), config.CPU_NAME or binding.get_host_cpu_name(), host_features
