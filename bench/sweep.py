"""Search for cliffs: measure the step time over all sizes from tiny to large, along one axis at a time.

Run it from the root of the checkout: `python -m bench.sweep`. It takes a quarter of an hour on a quiet machine, or two
minutes with `--quick`; `--axis`, `--base` and `--dtype` choose a part. It writes its results to bench/sweep.json and
prints the worst neighbours. The exit code is 0 if all of this holds for the three networks that it varies:

- Between neighbouring sizes the step time changes by at most a factor of 1.5, up or down, or by the factor by which the
  multiply-adds of the step grow (for example from one row to two, or by a further layer), unless `REASONS` gives a
  reason. Steps of less than 5 microseconds are not judged.
- No step is slower than that of the NumPy reference, on one thread each and on all.
- All threads are never slower than one thread by more than 3 %: `fit` finds out where threads do not pay.

A point is the best of several fits of some milliseconds. Ten neighbours take turns, so that a disturbance of the
machine affects all of them; a result that looks wrong is measured again, with more rounds. Times are those of the
epochs (`History.seconds`), without what a fit does once, such as searching X for NaN.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.sweep_cases import AXES, BASES, SIZES, Case, cases
from bench.sweep_report import (
    EVERY,
    NUMPY,
    NUMPY_EVERY,
    ONE,
    THREADS_LOSS,
    Point,
    from_json,
    report,
    rise_between,
    to_json,
)
from fastmlp import Network
from fastmlp._engine.flops import SERIAL_FLOPS
from fastmlp.reference import Network as Reference

RESULTS = Path(__file__).with_name("sweep.json")
ROOT = RESULTS.parent.parent
DTYPES = ("float32", "float64")

WINDOW = 10  # neighbours that take turns
ROUNDS, ROUND_SECONDS = 6, 0.003
NUMPY_ROUNDS = 3
THREAD_ROUNDS, THREAD_SECONDS = 5, 0.2  # the first milliseconds of a fit always run on one thread
THREAD_POINTS = 8  # of an axis: these fits are long
AGAIN = 4  # times as many rounds for a result that looks wrong
CLOSE = 0.8  # of the reference's time: worth a second look

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Timers = dict[str, Callable[[], float]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write and print the results, and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--axis", choices=AXES, nargs="+", default=AXES)
    parser.add_argument("--base", choices=list(BASES), nargs="+", default=list(BASES))
    parser.add_argument("--dtype", choices=DTYPES, nargs="+", default=DTYPES)
    parser.add_argument("--threads", choices=("one", "all", "both"), default="both", help="what to compare")
    parser.add_argument("--quick", action="store_true", help="float32 on one thread, few rounds")
    parser.add_argument("--report", action="store_true", help="measure nothing, judge what was written before")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    parser.add_argument("--part", choices=("one", "all"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.quick:
        options.dtype, options.threads = ("float32",), "one"
    if options.part:
        json.dump(to_json(list(measured(options))), sys.stdout)
        return 0
    if not options.report:
        lines = (f"{json.dumps(name)}: {json.dumps(group)}" for name, group in in_parts(options.threads, arguments))
        options.out.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(f"wrote {options.out}")
    return int(not report(from_json(json.loads(options.out.read_text()))))


def in_parts(threads: str, arguments: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Measure in processes of their own, because BLAS fixes its number of threads when NumPy is imported."""
    for part in ("one", "all") if threads == "both" else (threads,):
        environment = {**os.environ, **(dict.fromkeys(BLAS_THREADS, "1") if part == "one" else {})}
        command = [sys.executable, "-m", "bench.sweep", *arguments, "--part", part]
        found = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
        yield from json.loads(found.stdout).items()


def measured(options: argparse.Namespace) -> Iterator[Point]:
    """Measure every point of the chosen axes."""
    for base, dtype, axis in itertools.product(options.base, options.dtype, options.axis):
        started = time.perf_counter()
        chosen = list(cases(axis, base))
        yield from on_all_threads(chosen, dtype) if options.part == "all" else on_one(chosen, dtype, options.quick)
        print(f"{base}, {dtype}, {axis}: {time.perf_counter() - started:.0f} s", file=sys.stderr)


def on_one(chosen: list[Case], dtype: str, quick: bool) -> Iterator[Point]:
    """Measure the points of an axis on one thread; each window begins with the last size of the previous one."""
    rounds, numpy_rounds = (ROUNDS // 2, 1) if quick else (ROUNDS, NUMPY_ROUNDS)
    last: Point | None = None
    for first in range(0, max(len(chosen) - 1, 1), WINDOW - 1):
        window = chosen[first : first + WINDOW]
        timers = [timers_of(case, dtype) for case in window]
        points = [Point(case, dtype, dict.fromkeys((ONE, NUMPY), np.inf)) for case in window]
        take_turns(points, timers, ONE, rounds)
        take_turns(points, timers, NUMPY, numpy_rounds)
        for before, after in itertools.pairwise(range(len(points))):
            pair = slice(before, after + 1)
            if (rise := rise_between(*points[pair])) and rise.excess > 1.0:
                take_turns(points[pair], timers[pair], ONE, AGAIN * rounds)
        for i, point in enumerate(points):
            if point.times[ONE] > CLOSE * point.times[NUMPY]:
                take_turns([point], [timers[i]], ONE, AGAIN * rounds)
                take_turns([point], [timers[i]], NUMPY, AGAIN * numpy_rounds)
        if last is not None:
            points[0].times.update({who: min(us, last.times[who]) for who, us in points[0].times.items()})
        last = points.pop()
        yield from points
    if last is not None:
        yield last


def on_all_threads(chosen: list[Case], dtype: str) -> Iterator[Point]:
    """Measure points with steps long enough for threads, by fits long enough for the choice of threads."""
    chosen = [case for case in chosen if case.workload.flops > SERIAL_FLOPS]
    some = chosen[:: -(-len(chosen) // THREAD_POINTS)] if chosen and chosen[0].axis in SIZES else chosen
    for case in some:
        X, y = data_of(case, dtype)
        one = timer(functools.partial(Network, threads=1), case, dtype, X, y, THREAD_SECONDS, alone=False)
        every = timer(Network, case, dtype, X, y, THREAD_SECONDS, alone=False)
        numpy = timer(Reference, case, dtype, X, y, THREAD_SECONDS / 10, alone=False)
        points, timers = (
            [Point(case, dtype, dict.fromkeys((ONE, EVERY, NUMPY_EVERY), np.inf))],
            [{ONE: one, EVERY: every, NUMPY_EVERY: numpy}],
        )
        take_turns(points, timers, NUMPY_EVERY, THREAD_ROUNDS)
        for round_number in range(AGAIN * THREAD_ROUNDS):
            take_turns(points, timers, ONE, 1)
            take_turns(points, timers, EVERY, 1)
            times = points[0].times
            if round_number + 1 >= THREAD_ROUNDS and times[EVERY] <= THREADS_LOSS * times[ONE]:
                break
        yield points[0]


def take_turns(points: Sequence[Point], timers: Sequence[Timers], who: str, rounds: int) -> None:
    """Fit so many times at each point, in turn, and keep the best microseconds of a step."""
    for _ in range(rounds):
        for point, of_point in zip(points, timers, strict=True):
            point.times[who] = min(point.times[who], of_point[who]())


def timers_of(case: Case, dtype: str) -> Timers:
    """Return the timers of fastmlp on one thread and of the reference."""
    X, y = data_of(case, dtype)
    return {
        ONE: timer(functools.partial(Network, threads=1), case, dtype, X, y, ROUND_SECONDS, alone=True),
        NUMPY: timer(Reference, case, dtype, X, y, ROUND_SECONDS, alone=True),
    }


def timer(
    kind: Callable[..., Any], case: Case, dtype: str, X: NDArray[Any], y: NDArray[Any], seconds: float, alone: bool
) -> Callable[[], float]:
    """Return a function that fits for about so many seconds and returns the microseconds of a step.

    If the fit is `alone`, without further threads, the time in which other processes had its processor does not count.
    """
    network = kind(case.layers(), optimizer=case.optimizer, dtype=dtype, seed=0)
    steps = case.workload.steps

    def microseconds(epochs: int) -> float:
        clocks = (time.perf_counter, time.thread_time) if alone else (time.perf_counter,)
        started = [clock() for clock in clocks]
        history = network.fit(X, y, epochs=epochs, batch_size=case.batch, verbose=False)
        seconds = min(clock() - start for clock, start in zip(clocks, started, strict=True))
        inside = getattr(
            history, "seconds", seconds
        )  # without the checks of X; the history of the reference has no seconds
        return float(min(seconds, inside)) / (epochs * steps) * 1e6

    microseconds(1)  # brings everything into memory
    epochs = max(1, round(seconds * 1e6 / steps / microseconds(1)))
    return functools.partial(microseconds, epochs)


def data_of(case: Case, dtype: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return random rows and targets that suit the output."""
    rows, inputs = case.workload.rows, case.inputs
    numbers = random_numbers(dtype)
    X = numbers[: rows * inputs].reshape(rows, inputs)
    return X, numbers[-rows:].reshape(rows, 1) if case.output == "linear" else np.arange(rows) % case.outputs


@functools.cache
def random_numbers(dtype: str) -> NDArray[Any]:
    """Return as many random numbers as the largest point needs."""
    count = max(c.workload.rows * c.inputs for base in BASES for axis in SIZES for c in cases(axis, base))
    return np.random.default_rng(0).standard_normal(count, dtype)


if __name__ == "__main__":
    sys.exit(main())
