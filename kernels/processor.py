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

# Asked once, while this module is imported: signals wait then. Ctrl-C within llvmlite makes it free a string twice.
HOST_NAME, HOST_FEATURES = binding.get_host_cpu_name(), binding.get_host_cpu_features()

UNLIMITED = 1 << 40


@dataclass(frozen=True)
class Tuning:
    """The choices for one kind of processor and one dtype.

    A tile is the part of a product whose sums stay in vector registers. Rows are divided into full tiles and tiles of
    `remainder_rows` such that the fewest are computed in vain (`micro.product.division`).

    Parameters
    ----------
    tile : tuple[int, int]
        Rows and columns of the full tile. With 8 columns, a panel is computed in two halves.
    narrow_rows : int
        Height of the full tile of 8 columns, for panels of which no more are used.
    remainder_rows : int
        Height of the other tile, which also serves blocks of at most 8 inputs.
    row_panels : int
        How many panels a product of a single row computes side by side, a power of two: enough sums to hide the latency
        of a multiply-add.
    product_inputs : int
        How many inputs a panel product computes at a time, a multiple of 16. Every tile reads their weights again, so
        these should fill at most half of L1.
    product_rows : int
        How many rows a block product computes at a time. Every tile reads them again, in both panels.
    weaves_updates : bool
        Whether a weight product updates another block meanwhile (`emit_block_product`). Otherwise the update follows
        the product.
    woven_tile : tuple[int, int]
        Rows and columns of the tile of such a product. The update needs registers of its own.
    update_portions : int
        Into how many portions such a product cuts its rows. After each portion it updates some vectors of the other
        block. 8 on every processor that was measured.
    interleaved_vectors : int
        How many vectors of an elementwise loop are computed side by side (`interleaved_loop`). LLVM ignores the request
        if it is not a power of two.
    stores_masked : bool
        Whether some lanes of a vector are stored by one masked instruction, or piece by piece.
    """

    tile: tuple[int, int]
    narrow_rows: int
    remainder_rows: int
    row_panels: int
    product_inputs: int = UNLIMITED
    product_rows: int = UNLIMITED
    weaves_updates: bool = False
    woven_tile: tuple[int, int] = (4, 16)
    update_portions: int = 8
    interleaved_vectors: int = 4
    stores_masked: bool = False


# GFLOP/s are of one core. Shares of peak are by LLVM's machine model (llvm-mca) where no machine is named.
TABLE: dict[str, dict[str, Tuning]] = {
    # 32 registers of 64 bytes: a row of 16 accumulators takes 1 register in float32 and 2 in float64. 16 registers hold
    # the tile; the rest is free for the weights and the broadcast of a.
    "avx512": {
        # Tile: on a Zen 4, all tiles from 8 x 16 to 12 x 32 reach 98 % of FMA peak, so one shape serves every layer.
        # Remainder: four chains of multiply-adds already hide each other's latency.
        # Inputs and rows at a time: a block is one tile, which reads its rows once. At 784 inputs the panel product has
        # 93 % of peak on a Zen 4.
        # Woven: on a Zen 4, a vector of Adam costs 16 cycles alone, and 8 within a product of 8 portions.
        # Interleaving: ns an element with 1, 2, 4 and 8 vectors: sigmoid 0.33, 0.29, 0.28, 0.29; tanh 0.33, 0.32, 0.30,
        # 0.31.
        "float32": Tuning(
            tile=(16, 16),
            narrow_rows=16,
            remainder_rows=4,
            row_panels=8,
            weaves_updates=True,
            woven_tile=(16, 16),
            stores_masked=True,
        ),
        # Interleaving: the polynomials of float64 are longer, so more vectors pay. ns an element with 1, 2, 4 and 8:
        # sigmoid 0.90, 0.82, 0.81, 0.78; tanh 0.93, 0.86, 0.86, 0.81.
        "float64": Tuning(
            tile=(8, 16),
            narrow_rows=8,
            remainder_rows=4,
            row_panels=4,
            weaves_updates=True,
            woven_tile=(8, 16),
            interleaved_vectors=8,
            stores_masked=True,
        ),
    },
    # AVX and AVX2, 16 registers of 32 bytes: a row of 16 accumulators takes 2 registers in float32 and 4 in float64.
    # 12 registers of sums hide the latency of two pipes: 99 % of peak on Haswell, Zen 2, Skylake, Alder Lake and Zen 3.
    # With 8 (4 x 16 and 2 x 16) it is 79 % on Haswell and Zen 2.
    # Inputs and rows at a time: 16 KB of weights, and as many of rows. On a Zen 3 (32 KB of L1), steps of
    # 1024-1024-1024-1024-10 take 1.08 times as long without these limits in float32, 1.29 times in float64.
    # Masked stores: no. On AMD's processors, one of 8 lanes is a long program of its own. 16384 rows of 30-16-8-2 (2
    # outputs) are predicted in 579 us on a Zen 3, and in 731 with masked stores.
    # Woven: no. The registers of a Zen 3 hold about 30 cycles of a product ahead. A vector of Adam takes longer, so the
    # product waits: 64 rows of a block and its update take 446 ns woven, 432 one after the other (128 rows: 820, 762).
    "avx": {
        # Tile: 38.6 GFLOP/s on a Zen 1, of 38.5; 4 x 16 38.3.
        # Narrow: 64 GFLOP/s on a Zen 3 at 256 rows; 4 x 8 46, 6 x 8 60. 12 x 8 spills and has 54.
        "float32": Tuning(
            tile=(6, 16), narrow_rows=8, remainder_rows=4, row_panels=4, product_inputs=256, product_rows=128
        ),
        # Tile: a row of 16 columns takes 4 registers. 18.0 GFLOP/s on a Zen 1, of 19.2; two halves of 6 x 8 18.2, and
        # 3 x 16, which spills, 12.8. On a Zen 3 steps of 784-3x256-10 take 1.03 times as long with 6 x 8. Haswell and
        # Zen 2, whose multiply-add takes 5 cycles, would gain from 12 chains by LLVM's model; none was measured.
        # Narrow: 2 x 8 has 4 chains, 40 to 50 % of peak; 23 GFLOP/s on a Zen 3, 6 x 8 31.
        # Interleaving: half of the registers of AVX-512, so fewer vectors. ns an element with 1, 2, 4 and 8: tanh 1.53,
        # 1.43, 1.23, 1.23; gelu 2.3, 2.5, 2.2, 2.4.
        "float64": Tuning(
            tile=(2, 16), narrow_rows=6, remainder_rows=2, row_panels=2, product_inputs=128, product_rows=64
        ),
    },
    # 64-bit ARM, 32 registers of 16 bytes: a row of 16 accumulators takes 4 registers in float32 and 8 in float64.
    # 24 registers hold the tile. No kernel has run on such a machine yet.
    "neon": {
        # Tile: 99 % of peak on Neoverse V1. Narrow: 98 %, 4 x 8 50 %. Anything else: as on AVX2.
        "float32": Tuning(
            tile=(6, 16), narrow_rows=8, remainder_rows=4, row_panels=4, product_inputs=256, product_rows=128
        ),
        "float64": Tuning(
            tile=(6, 8), narrow_rows=6, remainder_rows=4, row_panels=2, product_inputs=128, product_rows=64
        ),
    },
    # Anything else, such as x86-64 with SSE alone. Correct and slow: there is no FMA, so LLVM calls the C library's for
    # each element, which takes far longer than any tile saves. Nothing is tuned.
    "other": {
        "float32": Tuning(tile=(4, 16), narrow_rows=8, remainder_rows=4, row_panels=2),
        "float64": Tuning(tile=(2, 16), narrow_rows=4, remainder_rows=2, row_panels=2),
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
    if config.CPU_NAME not in (None, "host", HOST_NAME):
        return False
    return bool(HOST_FEATURES.get(feature, False))


def target() -> tuple[str, str, str]:
    """Return all that says which instructions code is compiled to: the architecture, the processor and its features."""
    features = HOST_FEATURES.flatten() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return platform.machine(), config.CPU_NAME or HOST_NAME, features
