"""The tables of README.md, of the pages in docs/ and of bench/RESULTS.md, in Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.peers import OWN
from bench.results import FRESH, Case, Results
from bench.workloads import DTYPES

AGED = "after 100 epochs"

INTRODUCTION = """Written by `python -m bench.report` from the results of `pytest bench`. Each part is one run on one
machine. [docs/speed.md](../docs/speed.md) says how to repeat it, and [NOTES.md](NOTES.md) what was learned."""
STEPS = """Microseconds for one step: forward pass, backpropagation and Adam. All libraries have the same weights,
batches, order, loss and learning rate, and their losses are compared before anything is timed. Rounds alternate, and
the best round of each library counts. In brackets is the share of the floor, if it is at least 1 %; the floor is the
larger of FLOPs over the FMA peak and bytes over the memory bandwidth, as [workloads.py](workloads.py) counts them."""
ESTIMATORS = """`fit` of MLPClassifier and MLPRegressor with default parameters, float64, from fastmlp.sklearn and from
scikit-learn, each in a process of its own: the same iterations with the same losses."""
CALLS = """Microseconds for a call with NumPy's arrays on one thread, float32, Adam. The kernel is a step within `fit`,
the rest of a call is Python."""
KERNELS = "Products as shares of the FMA peak of one core, all others in nanoseconds a number."


def why(worlds: Sequence[Results]) -> str:
    """Return the reasons to use fastmlp, as the README begins: steps, start and estimators, each with its figures."""
    ranges = [
        f"{span(ratios)} times as fast on {threads_text(results, 'all')} of a {results.machine_name}"
        for results in worlds
        if (ratios := [ratio for case in results.steps_in("float32") if (ratio := case.ahead("all"))])
    ]
    lines = [
        "- **Fast at every size.** Compared with the best of PyTorch, JAX and scikit-learn, a training step is "
        f"{' and '.join(ranges)}."
    ]
    for results in [each for each in worlds if each.predictions and has_start(each)][:1]:
        start = start_seconds(results)
        lines.append(
            f"- **No waiting.** On a {results.machine_name} the first epoch ends {start['warm']:.2f} s after `import`, "
            f"{start['none']:.1f} s if nothing is compiled yet; a new shape compiles nothing. Predicting one row takes "
            f"{in_others(prediction_times(results.predictions[0]), in_units)}."
        )
    fits = [fit for results in worlds for fit in fits_by_data(results).values()]
    if fits:
        faster = [fit["scikit-learn"]["seconds"] / fit["fastmlp"]["seconds"] for fit in fits]
        lines.append(
            f"- **A faster drop-in.** `MLPClassifier` and `MLPRegressor` fit {span(faster)} times as fast as "
            "scikit-learn's, and learn the same weights."
        )
    return "\n".join(lines)


def span(ratios: Sequence[float]) -> str:
    """Return the smallest and the largest ratio: "1.1 to 5.9"."""
    return f"{min(ratios):.1f} to {max(ratios):.1f}"


def readme_steps(worlds: Sequence[Results]) -> str:
    """Return the README's table of training steps on all threads, with a column for each world."""
    cases = [{(case.name, case.rows): case for case in results.steps_in("float32")} for results in worlds]
    sizes = dict.fromkeys(size for found in cases for size in found)
    rows = [(name, str(rows), *(beside(found.get((name, rows))) for found in cases)) for name, rows in sizes]
    return markdown(("network", "batch", *(results.machine_name for results in worlds)), rows)


def beside(case: Case | None) -> str:
    """Return the ratio to the best peer and, in brackets, both times: "**5.90 x** (2.1, JAX 12.4)"."""
    own, peer, ahead = (case.best("fastmlp", "all"), case.best_peer("all"), case.ahead("all")) if case else (None,) * 3
    return f"**{ahead:.2f} x** ({short(own)}, {peer[1]} {short(peer[0])})" if ahead and peer else short(own)


def speed_steps(worlds: Sequence[Results]) -> str:
    """Return for each world its machine and its tables of training steps, each library at its best."""
    parts = []
    for results in worlds:
        parts += [f"### {results.machine_name}", machine_line(results)]
        for dtype in DTYPES:
            for threads in ("all", 1) if results.steps_in(dtype) else ():
                parts += [f"{dtype}, {threads_text(results, threads)}:", steps_at_best(results, dtype, threads)]
    return "\n\n".join(parts)


def compared(cases: Sequence[Case]) -> list[str]:
    """Return the names of the timed libraries: fastmlp first, the reference last."""
    names = list(dict.fromkeys(name for case in cases for name, _ in case.columns()))
    return sorted(names, key=lambda name: (name != "fastmlp", name in OWN))


def steps_at_best(results: Results, dtype: str, threads: Any) -> str:
    """Return one table of training steps, with the ratio to the best peer and the share of the floor."""
    cases = results.steps_in(dtype)
    names = compared(cases)
    head = ("network", "batch", *names, "best other / fastmlp", "floor / fastmlp")
    rows = []
    for case in cases:
        own, ahead = case.best("fastmlp", threads), case.ahead(threads)
        share = f"{results.floor(case, threads) / own:.0%}" if own else ""
        times = (short(case.best(name, threads)) for name in names)
        rows.append((case.name, str(case.rows), *times, f"**{ahead:.2f} x**" if ahead else "", share))
    return markdown(head, rows)


def speed_rest(worlds: Sequence[Results]) -> str:
    """Return prediction, start and memory in a few sentences for each world."""
    return "\n\n".join(f"**{results.machine_name}.** {text}" for results in worlds if (text := rest_of(results)))


def rest_of(results: Results) -> str:
    """Return prediction, start and memory of one world, or "" if nothing was measured."""
    sentences = []
    for case in (results.predictions[:1] + results.predictions[-1:]) if results.predictions else ():
        one = f"{case.rows:,} row" + "s" * (case.rows > 1)
        times = in_others(prediction_times(case), in_units)
        sentences.append(f"Predicting {one} of {case.name} takes {times}.")
    if has_start(results):
        start = start_seconds(results)
        sentences.append(
            f"From `import` to the first finished epoch it takes {start['warm']:.2f} s, and {start['none']:.1f} s "
            "where nothing is compiled yet."
        )
    for name, peaks in memory(results).items():
        sentences.append(f"A process that trains {name} holds at most {in_others(peaks, megabytes)}.")
    return " ".join(sentences)


def prediction_times(case: Case) -> dict[str, float]:
    """Return the seconds of a prediction by library, on one thread or all, whichever is faster."""
    return {name: seconds for name, _ in case.columns() if (seconds := case.best(name, "all"))}


def in_others(values: Mapping[str, float], text: Callable[[float], str]) -> str:
    """Return the value of fastmlp and, in brackets, the values of the peers, the best first: "1 us (JAX 2 us)"."""
    others = sorted((value, name) for name, value in values.items() if name not in OWN)
    brackets = f" ({', '.join(f'{name} {text(value)}' for value, name in others)})" if others else ""
    return f"{text(values['fastmlp'])}{brackets}"


def full(worlds: Sequence[Results]) -> str:
    """Return the text of bench/RESULTS.md: all results."""
    return "\n\n".join(["# Results", INTRODUCTION, *(part for results in worlds for part in part_of(results))]) + "\n"


def part_of(results: Results) -> list[str]:
    """Return the paragraphs and tables of one world."""
    parts = [f"## {results.machine_name}", machine_line(results), "### Training steps", STEPS]
    for dtype, age, threads in itertools.product(DTYPES, (FRESH, AGED), (1, "all")):
        if table := every_time(results, results.steps_in(dtype), threads, age, "batch"):
            parts += [f"#### {dtype}, {threads_text(results, threads)}, weights {age}", table]
    if results.predictions:
        parts += ["### Predictions", "Microseconds for one call from Python, float32, and the share of the FMA peak."]
        for threads in (1, "all"):
            parts += [f"#### {threads_text(results, threads).capitalize()}"]
            parts += [every_time(results, results.predictions, threads, FRESH, "rows")]
    if results.calls():
        parts += ["### Calls from Python", CALLS, calls(results)]
    for name, peaks in memory(results).items():
        rows = [(library, megabytes(count)) for library, count in sorted(peaks.items(), key=lambda pair: pair[1])]
        parts += ["### Memory", f"Peak memory of a process that trains {name}, including Python."]
        parts += [markdown(("", "peak"), rows)]
    if fits_by_data(results):
        parts += ["### Estimators", ESTIMATORS, estimators(results)]
    if start := start_seconds(results):
        names = {"none": "from an empty cache, everything compiled", "warm": "from a warm cache"}
        rows = [(names[cache], f"{seconds:.2f} s") for cache, seconds in start.items()]
        parts += ["### Start", markdown(("import to first finished epoch", "seconds"), rows)]
    if results.kernels():
        parts += ["### Each kernel alone, beside NumPy and PyTorch", KERNELS, kernels(results)]
    return parts


def every_time(results: Results, cases: Sequence[Case], threads: Any, age: str, rows: str) -> str:
    """Return a table of every library and variant on that number of threads, or "" if nothing was measured."""
    columns = list(dict.fromkeys(column for case in cases for column in case.columns(age)))
    lines = []
    for case in cases:
        times = [case.seconds.get((library, way, threads, age)) for library, way in columns]
        if any(times):
            lines.append((case.name, f"{case.rows}", *(with_share(t, results.floor(case, threads)) for t in times)))
    if not lines:
        return ""
    return markdown(("network", rows, *(f"{library} {way}".strip() for library, way in columns)), lines)


def with_share(seconds: float | None, floor: float) -> str:
    """Return the time and, if it is at least 1 %, the share of its floor."""
    if seconds and floor / seconds >= 0.01:
        return f"{short(seconds)} ({floor / seconds:.0%})"
    return short(seconds)


def calls(results: Results) -> str:
    """Return a table of single calls, with the part of fastmlp's kernel and the ratio to the best peer."""
    found = results.calls()
    peers = list(dict.fromkeys(who for times in found.values() for who in times if who not in (*OWN, "kernel")))
    rows = []
    for (call, name, count), times in found.items():
        own, kernel = times["fastmlp"], times.get("kernel")
        best = min((times[who] for who in peers if who in times), default=None)
        others = (short(times.get(who)) for who in peers)
        rows.append((call, name, str(count), short(own), short(kernel), *others, f"{best / own:.1f} x" if best else ""))
    return markdown(("call", "network", "rows", "fastmlp", "its kernel", *peers, "faster"), rows)


def kernels(results: Results) -> str:
    """Return a table of single kernels: products as shares of the FMA peak, all others in nanoseconds a number."""
    peaks, rows = results.products(), []
    others = ("NumPy", "PyTorch")
    for name, seconds in results.kernels().items():
        times = (
            (f"{1 / s / peaks[name]:.0%} of peak" if name in peaks else f"{s * 1e9:.2f} ns") if s else ""
            for s in (seconds.get(by) for by in ("fastmlp", *others))
        )
        best = min(seconds[by] for by in others if by in seconds)
        rows.append((name, *times, f"{best / seconds['fastmlp']:.1f} x"))
    return markdown(("kernel", "fastmlp", *others, "faster"), rows)


def start_seconds(results: Results) -> dict[str, float]:
    """Return the seconds from import to the first finished epoch, by the state of the cache."""
    return {info["start"]: info["seconds"] for info in results.infos if "start" in info}


def has_start(results: Results) -> bool:
    """Check that the start was measured in both states of the cache."""
    return {"warm", "none"} <= start_seconds(results).keys()


def memory(results: Results) -> dict[str, dict[str, int]]:
    """Return the peak memory in bytes, by network and batch size and by library."""
    peaks: dict[str, dict[str, int]] = {}
    for info in (info for info in results.infos if "memory" in info):
        peaks.setdefault(f"{info['memory']} at batch {info['batch']}", {})[info["who"]] = info["bytes"]
    return peaks


def fits_by_data(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what was measured of fits with default parameters, by data and library."""
    fits: dict[str, dict[str, dict[str, Any]]] = {}
    for info in (info for info in results.infos if "fit" in info):
        fits.setdefault(info["fit"], {})[info["who"]] = info
    return fits


def every_estimators(worlds: Sequence[Results]) -> str:
    """Return the table of fits for each world that has one, with the name of its machine."""
    measured = [results for results in worlds if fits_by_data(results)]
    return "\n\n".join(f"On a {results.machine_name}:\n\n{estimators(results)}" for results in measured)


def estimators(results: Results) -> str:
    """Return the table of fits with default parameters, in fastmlp.sklearn and in scikit-learn."""
    rows = []
    for name, by in fits_by_data(results).items():
        own, hers = by["fastmlp"], by["scikit-learn"]
        size = f"{own['rows']:,} x {own['columns']}"
        ratio = f"**{hers['seconds'] / own['seconds']:.1f} x**"
        rows.append((name, size, f"{own['iterations']}", *(f"{each['seconds']:.3g} s" for each in (own, hers)), ratio))
    return markdown(("data", "rows x columns", "iterations", "fastmlp", "scikit-learn", "faster"), rows)


def machine_line(results: Results) -> str:
    """Return the sentence that says on which machine the results were measured, with its limits."""
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    giga = {name: value / 1e9 for name, value in machine.items() if name.startswith(("peak", "bandwidth"))}
    peaks = {
        dtype: f"{giga[f'peak_{dtype}']:.0f} GFLOP/s ({giga[f'peak_{dtype}_all']:.0f} of all threads)"
        if f"peak_{dtype}_all" in giga
        else f"{giga[f'peak_{dtype}']:.0f} GFLOP/s"
        for dtype in DTYPES
    }
    return (
        f"Measured on a {results.machine_name} ({machine['system']}), {machine['threads']} threads "
        f"({machine['layer']}). In the same run: FMA peak of one core {peaks['float32']} in float32 and "
        f"{peaks['float64']} in float64; memory is read at {giga['bandwidth']:.0f} GB/s by one thread and "
        f"{giga['bandwidth_all']:.0f} by all. {versions}."
    )


def threads_text(results: Results, threads: Any) -> str:
    """Return "1 thread", or the number of all threads."""
    count = results.machine["threads"] if threads == "all" else threads
    return f"{count} thread" + "s" * (count > 1)


def markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table in Markdown, with numbers aligned to the right."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def megabytes(count: float) -> str:
    """Return a number of bytes in whole MB."""
    return f"{count / 1e6:,.0f} MB"


def in_units(seconds: float) -> str:
    """Return a time with three digits in a suitable unit."""
    return f"{short(seconds)} us" if seconds < 1e-3 else f"{short(seconds * 1e-3)} ms"


def short(seconds: float | None) -> str:
    """Return a time in microseconds with three digits."""
    if seconds is None:
        return ""
    microseconds = seconds * 1e6
    return f"{microseconds:.1f}" if microseconds < 100 else f"{microseconds:,.0f}"
