"""The limits of the machine, measured by kernels that only do multiply-adds, or only read numbers from memory."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import Kernel, kernel
from fastmlp.kernels.vocabulary.simd import Emitter, Vector, fma, instruction

# Independent sums, and the lanes of each; the best shape counts. Too few do not hide the latency of a multiply-add, too
# many spill. On a Zen 4, 8 of 16 lanes give 118 GFLOP/s in float32 and 59 in float64. On a Zen 1, with 16 registers
# of 8 float32, they spill and give 27.5 and 11.3; 12 of 8 lanes give 38.5 in float32, 6 of 8 lanes 19.2 in float64.
SHAPES = ((8, 16), (12, 8), (6, 8))
CHAINS, LANES = 8, 16  # of the sums that read memory
TURNS = 200_000  # 0.4 ms; ten times as many with several threads, which need up to 50 us to start together

READ_BYTES = 2**28  # by each thread: several times the largest cache of most machines


def _multiply_add(chains: int, lanes: int) -> Kernel:
    """Return a kernel that does `turns` multiply-adds in each of `chains` vectors."""

    @instruction
    def emit_chains(wide: Emitter, numbers: Any, turns: Any) -> None:
        emit = wide.with_lanes(lanes)
        factor, start = emit.load(numbers), emit.load(numbers, lanes)

        def turn(_: Any, *sums: Vector) -> list[Vector]:
            return [fma(factor, total, start) for total in sums]

        for i, total in enumerate(emit.loop(turns, [start] * chains, turn)):
            emit.store(total, numbers, (2 + i) * lanes)

    @kernel(f"multiply-add of {chains} x {lanes}")
    def multiply_add(numbers: Reals, turns: int) -> None:
        emit_chains(numbers, turns)

    return multiply_add


MULTIPLY_ADDS = {shape: _multiply_add(*shape) for shape in SHAPES}


@instruction
def _sums(emit: Emitter, sums: Any, numbers: Any, turns: Any) -> None:
    def turn(i: Any, *totals: Vector) -> list[Vector]:
        place = emit.builder.mul(i, i.type(CHAINS * emit.lanes))
        return [total + emit.load(numbers, place, k * emit.lanes) for k, total in enumerate(totals)]

    for i, total in enumerate(emit.loop(turns, [emit.zero()] * CHAINS, turn)):
        emit.store(total, sums, i * emit.lanes)


@kernel()
def read(sums: Reals, numbers: Reals, turns: int) -> None:
    _sums(sums, numbers, turns)


def flops_per_second(dtype: Any = np.float32, threads: int = 1, rounds: int = 300) -> float:
    """Return the peak FLOP/s of one core, or of several threads together."""
    best, turns = 0.0, TURNS if threads == 1 else 10 * TURNS
    for (chains, lanes), multiply_add in MULTIPLY_ADDS.items():
        function, calls = multiply_add.function_for(np.dtype(dtype)), []
        for _ in range(threads):
            numbers = aligned_zeros((2 + chains) * lanes, np.dtype(dtype))
            numbers[:] = 0.5
            numbers[lanes : 2 * lanes] = np.arange(lanes)  # different, so that the compiler cannot share a result
            calls.append(partial(call, function, numbers, turns))
        best = max(best, 2.0 * chains * lanes * turns * best_rate(calls, rounds // len(SHAPES)))
    return best


def bytes_per_second(threads: int = 1, rounds: int = 10) -> float:
    """Return the peak bytes per second that several threads read from memory, each from an array of its own."""
    function, calls = read.function_for(np.dtype(np.float32)), []
    for _ in range(threads):
        numbers, sums = aligned_zeros(READ_BYTES // 4, np.float32), aligned_zeros(CHAINS * LANES, np.float32)
        numbers[:] = 1.0  # pages that were never written are all mapped to the same page
        turns = numbers.size // (CHAINS * LANES)
        calls.append(partial(call, function, sums, numbers, turns))
    return READ_BYTES * best_rate(calls, rounds)


def call(function: Callable[..., Any], *arguments: Any) -> None:
    """Call a kernel with the addresses of arrays; the caller keeps the arrays alive."""
    function(*(address(a) if isinstance(a, np.ndarray) else a for a in arguments))


def best_rate(calls: Sequence[Callable[[], Any]], rounds: int) -> float:
    """Return how many calls per second all threads make together, one thread for each call; the best round counts."""
    together, spans = threading.Barrier(len(calls)), np.zeros((len(calls), rounds, 2))

    def rounds_of(number: int) -> None:
        for i in range(rounds):
            together.wait()
            spans[number, i, 0] = time.perf_counter()
            calls[number]()
            spans[number, i, 1] = time.perf_counter()

    threads = [threading.Thread(target=rounds_of, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = spans[:, :, 1].max(axis=0) - spans[:, :, 0].min(axis=0)
    return len(calls) / float(seconds.min())


def cache_bytes() -> float:
    """Return the size of the largest cache, or infinity if the system does not report it."""
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((int(size.read_text().strip().removesuffix("K")) * 1024 for size in sizes), default=math.inf)
