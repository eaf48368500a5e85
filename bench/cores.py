"""A model of the step time against the number of cores, compared with the measurements on one and on all threads.

Run it from the root of the checkout after the report: `python -m bench.cores` writes the table in bench/NOTES.md.

On p cores a step takes the sum over its phases (`fastmlp._engine.step_plan`) of

- the work of the largest share, at the speed measured on one thread. A share is a number of 16 rows, groups of rows, 16
  rows of a panel of 16 units, or blocks of 16 x 16 weights, so there may be fewer shares than cores;
- the cache lines that this share reads from other cores: all weights but its own if it works by rows, otherwise all
  activations and deltas but its own;
- a barrier: each thread adds 1 to one number, one after the other, and waits until another number changes.

The model leaves out memory slower than the caches (it is part of the speed of one thread, but cores share it) and clock
rates that fall with load.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.report import replaced
from bench.results import Case, Results, all_results
from bench.tables import markdown, short
from bench.workloads import WORKLOADS, Workload
from fastmlp import Network
from fastmlp._engine.parameters import panels
from fastmlp._engine.step_plan import phases_of, row_blocking
from fastmlp.architecture import Architecture, Layer
from fastmlp.kernels.layout import BLOCK

NOTES = Path(__file__).with_name("NOTES.md")
CORES = (1, 2, 4, 8, 16, 32, 64)
LINE_SECONDS = 4e-9  # a line of 64 bytes from the cache of another core; traces of two threads show 2 to 9 ns
BARRIER, BARRIER_PER_CORE = 0.25e-6, 0.05e-6  # seconds: traces of two threads show 0.3 to 0.4 us between two phases
GAIN = 1.25  # the speed-up that makes twice the cores worth it


class Part(NamedTuple):
    """The work of a share in a phase: its FLOPs, and the cache lines that it reads from other cores."""

    flops: float
    lines: float


def seconds(work: Workload, cores: int, speed: float) -> float:
    """Return the seconds of a step on a number of cores, each of which computes `speed` FLOP/s."""
    architecture = Network(list(work.sizes), activation=work.activation, output=work.output, seed=0).architecture
    groups = row_blocking(architecture, work.batch_size).groups
    total = 0.0
    for phase in phases_of("step", architecture, cores, groups > 0)[2:]:
        name = phase.region.function.__name__
        parts = parts_of(name, phase.layer, architecture, work.batch_size, groups, cores)
        total += max(part.flops / speed + part.lines * LINE_SECONDS for part in parts)
        total += BARRIER + BARRIER_PER_CORE * cores if cores > 1 else 0.0
    return total


def parts_of(name: str, first: int, architecture: Architecture, rows: int, groups: int, cores: int) -> Iterator[Part]:
    """Yield the work of each core in a phase."""
    others = 1.0 - 1.0 / cores
    layers = architecture.layers
    row_parts = groups or panels(rows)
    for core in range(cores):
        if name == "rows_region":
            share = of(row_parts, core, cores) / row_parts
            flops = sum(flops_of(layers[i], rows) * (2 if i else 1) for i in range(first, len(layers)))
            weights = sum(2 * weight_lines(layer) for layer in layers[first:])
            flops += sum(flops_of(layer, rows) for layer in layers) if groups else 0.0
            yield Part(flops * share, weights * others if share else 0.0)
        elif name == "forward_region":
            items = panels(layers[first].units) * panels(rows)
            share = of(items, core, cores) / items
            yield Part(flops_of(layers[first], rows) * share, rows * layers[first].inputs / 16 * others)
        elif name == "delta_region":
            items = panels(layers[first].inputs) * panels(rows)
            share = of(items, core, cores) / items
            lines = rows * layers[first].units / 16 + weight_lines(layers[first]) * share
            yield Part(flops_of(layers[first], rows) * share, lines * others)
        elif name == "groups_region":
            share = sum(of(blocks(layer), core, cores) for layer in layers)
            yield Part(0.0, share * BLOCK / 16 * groups * others)
        elif name == "blocks_region":
            yield blocks_part(layers, rows, core, cores)
        else:
            yield Part(0.0, 0.0)


def blocks_part(layers: tuple[Layer, ...], rows: int, core: int, cores: int) -> Part:
    """Return the work of one core on blocks: it reads the inputs of its blocks, and the deltas of other cores."""
    flops = lines = 0.0
    for layer in layers:
        own = of(blocks(layer), core, cores)
        flops += flops_of(layer, rows) * own / blocks(layer)
        read = min(own, panels(layer.inputs)) + -(-own // panels(layer.inputs))
        lines += read * rows * (1.0 - 1.0 / cores)
    return Part(flops, lines)


def of(items: int, core: int, cores: int) -> int:
    """Return how many of the items belong to a core."""
    return items * (core + 1) // cores - items * core // cores


def blocks(layer: Layer) -> int:
    """Return the number of blocks of 16 x 16 weights of a layer."""
    return panels(layer.inputs) * panels(layer.units)


def weight_lines(layer: Layer) -> float:
    """Return the number of cache lines that the weights of a layer take."""
    return blocks(layer) * BLOCK / 16


def flops_of(layer: Layer, rows: int) -> float:
    """Return the FLOPs of one product of a layer."""
    return 2.0 * rows * layer.inputs * layer.units


def table(results: Results) -> str:
    """Return a table of measured and modelled times, and of the number of cores that is worth it."""
    rows = []
    for work in (*WORKLOADS, Workload((784, 256, 256, 256, 10), 32, 64)):
        cases = results.steps_in(work.dtype)
        case = next((c for c in cases if (c.name, c.rows) == (work.name, work.batch_size)), None)
        speed = speed_of(case, results)
        times = [seconds(work, cores, speed) for cores in CORES]
        worth = next((n for n, a, b in zip(CORES, times, times[1:], strict=False) if a < GAIN * b), CORES[-1])
        measured = (case.best("fastmlp", threads) if case else None for threads in (1, "all"))
        measured_times = [short(time) if time else "" for time in measured]
        rows.append((work.name, str(work.batch_size), *measured_times, *map(short, times), str(worth)))
    head = ("network", "batch", "measured, 1", "measured, all", *(f"{n} cores" for n in CORES), "worth it up to")
    return markdown(head, rows)


def speed_of(case: Case | None, results: Results) -> float:
    """Return the measured FLOP/s of one thread, or nine tenths of the FMA peak if nothing was measured."""
    own = case.best("fastmlp", 1) if case else None
    return case.flops / own if case and own else 0.9 * float(results.machine["peak_float32"])


def main() -> int:
    """Write the table and return the exit code."""
    results = all_results()[0]
    NOTES.write_text(replaced(NOTES.read_text(), "cores", table(results), NOTES.name))
    print(f"wrote {NOTES.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
