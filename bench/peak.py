"""The limit of one core: how many fused multiply-adds a second it does, measured by a kernel that does nothing else."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastmlp.kernels._jit import Reals, kernel
from fastmlp.kernels.simd import Emitter, Vector, fma, instruction

# Independent accumulators. 6 to 14 give 117 to 118 GFLOP/s in float32 and 58.5 to 59.0 in float64 on a Zen 4; fewer do
# not hide the latency of an FMA, and 16 of 16 float64 lanes are all 32 registers: they spill and give 54.
CHAINS = 8
TURNS = 200_000


@instruction
def _chains(emit: Emitter, numbers: Any, turns: Any) -> None:
    factor, start = emit.load(numbers), emit.load(numbers, emit.lanes)

    def turn(_: Any, *sums: Vector) -> list[Vector]:
        return [fma(factor, total, start) for total in sums]

    for i, total in enumerate(emit.loop(turns, [start] * CHAINS, turn)):
        emit.store(total, numbers, (2 + i) * emit.lanes)


@kernel()
def multiply_add(numbers: Reals, turns: int) -> None:
    _chains(numbers, turns)


def flops_per_second(dtype: Any = np.float32, rounds: int = 300) -> float:
    """The best of some rounds, in floating-point operations a second of one core."""
    lanes = 16
    numbers = np.full((2 + CHAINS) * lanes, 0.5, dtype)
    numbers[lanes : 2 * lanes] = np.arange(lanes)  # different lanes, so that nothing can be computed once for all
    function = multiply_add.function_for(np.dtype(dtype))
    best = np.inf
    for _ in range(rounds):
        started = time.perf_counter()
        function(numbers.ctypes.data, TURNS)
        best = min(best, time.perf_counter() - started)
    return 2.0 * CHAINS * lanes * TURNS / best
