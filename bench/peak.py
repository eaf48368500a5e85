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
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.vocabulary.simd import Emitter, Vector, fma, instruction

# Independent accumulators. On a Zen 4, 6 to 14 give 117 to 118 GFLOP/s in float32 and 58.5 to 59.0 in float64. Fewer do
# not hide the latency of an FMA. 16 accumulators of 16 float64 lanes need all 32 registers: they spill and give 54.
CHAINS = 8
LANES = 16
TURNS = 200_000  # 0.4 ms; ten times as many with several threads, which need up to 50 us to start together

READ_BYTES = 2**28  # by each thread: several times the largest cache of most machines


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
    function, calls = multiply_add.function_for(np.dtype(dtype)), []
    turns = TURNS if threads == 1 else 10 * TURNS
    for _ in range(threads):
        numbers = aligned_zeros((2 + CHAINS) * LANES, np.dtype(dtype))
        numbers[:] = 0.5
        numbers[LANES : 2 * LANES] = np.arange(LANES)  # different values, so that the compiler cannot share a result
        calls.append(partial(call, function, numbers, turns))
    return 2.0 * CHAINS * LANES * turns * best_rate(calls, rounds)


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
