"""How fast fits are whose second core is not always free: after products of NumPy, and among busy processes.

Run it from the root of the checkout: `python -m bench.threads`. It takes 6 minutes on 2 cores and prints a table;
`--network` and `--seconds` choose a part, and `--calm` leaves out the busy processes. Times are milliseconds for a fit:

- **one**: on one thread.
- **alone**: on all threads, one fit after another.
- **after NumPy**: on all threads, each after a product of two 300 x 300 matrices. The threads of OpenBLAS spin for 100
  ms after a product, unless `OPENBLAS_THREAD_TIMEOUT` is set. In brackets is the speed, as a share of that alone.
- **busy, one** and **busy, all**: on one and on all threads, among two busy processes for each core. In brackets is the
  speed, as a share of that on one thread.

Each kind of fit has a new network in each round, whose first fit is not timed. Rounds of all kinds alternate, a round
counts with the mean of its fits, and the best round counts; among busy processes the mean of all rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from bench.peers import ours
from bench.tables import markdown
from bench.workloads import WORKLOADS, Workload

NETWORKS = {work.name: work for work in WORKLOADS if work.name in ("64-64-64-64-64-64-64", "30-800-400-2")}
NETWORKS |= {work.name: replace(work, rows=8 * work.batch_size) for work in WORKLOADS[1:3]}  # short epochs
SECONDS = (0.03, 0.1, 0.3)  # of a fit on all threads
SPEED_UP = 1.8  # of all threads, by which the number of epochs is chosen
ROUNDS, ROUND_SECONDS = 5, 0.4
BUSY_ROUNDS = 4
REST = 0.12  # seconds, after which the threads of OpenBLAS sleep
NEIGHBOUR = "print('busy', flush=True)\nwhile True: pass"

FACTOR = np.random.default_rng(0).normal(size=(300, 300))


def product() -> None:
    """Multiply two matrices on the threads of NumPy's BLAS."""
    np.dot(FACTOR, FACTOR)


def nothing() -> None:
    """Do nothing before a fit."""


def fits(work: Workload, threads: int | None, epochs: int, count: int, before: Callable[[], None] = nothing) -> float:
    """Return the mean seconds of some fits of a new network. The first fit is not counted."""
    X, y = work.data()
    network = ours.network(work, threads)
    seconds = []
    time.sleep(REST)
    for _ in range(count + 1):
        before()
        started = time.perf_counter()
        network.fit(X, y, epochs=epochs, batch_size=work.batch_size)
        seconds.append(time.perf_counter() - started)
    return statistics.mean(seconds[1:])


@contextlib.contextmanager
def neighbours() -> Iterator[None]:
    """Keep the machine busy: two processes for each core."""
    busy = [
        subprocess.Popen([sys.executable, "-c", NEIGHBOUR], stdout=subprocess.PIPE, text=True)
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        for process in busy:
            assert process.stdout is not None
            process.stdout.readline()
        yield
    finally:
        for process in busy:
            process.kill()
            process.communicate()


def row(work: Workload, length: float, calm: bool) -> tuple[str, ...]:
    """Return the row of the table for fits of about some seconds on all threads."""
    epoch_seconds = fits(work, 1, 2, 3) / 2
    epochs = max(1, round(SPEED_UP * length / epoch_seconds))
    count = max(3, round(ROUND_SECONDS / length))
    kinds = {"one": (1, nothing), "alone": (None, nothing), "after": (None, product)}
    best = dict.fromkeys(kinds, np.inf)
    for _ in range(ROUNDS):
        for kind, (threads, before) in kinds.items():
            best[kind] = min(best[kind], fits(work, threads, epochs, count, before))
    one, alone, after = (1e3 * best[kind] for kind in kinds)
    cells = [f"{one:.1f}", f"{alone:.1f}", f"{after:.1f} ({alone / after:.2f})"]
    if not calm:
        mean = {1: 0.0, None: 0.0}
        with neighbours():
            for turn in range(BUSY_ROUNDS):
                for threads in (1, None) if turn % 2 else (None, 1):
                    mean[threads] += 1e3 * fits(work, threads, epochs, max(2, count // 3)) / BUSY_ROUNDS
        cells += [f"{mean[1]:.0f}", f"{mean[None]:.0f} ({mean[1] / mean[None]:.2f})"]
    return (work.name, str(epochs * work.steps), *cells)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.threads", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--network", choices=list(NETWORKS), nargs="+", default=list(NETWORKS))
    parser.add_argument("--seconds", type=float, nargs="+", default=SECONDS, help="of a fit on all threads")
    parser.add_argument("--calm", action="store_true", help="without busy processes")
    options = parser.parse_args(argv)
    head = ("network", "steps", "one", "alone", "after NumPy") + (() if options.calm else ("busy, one", "busy, all"))
    rows = [row(NETWORKS[name], length, options.calm) for name in options.network for length in options.seconds]
    print(markdown(head, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
