"""The tables of README.md, of the pages in docs/ and of bench/RESULTS.md, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.peers import OWN
from bench.results import FRESH, Case, Results

AGED = "after 100 epochs"

INTRODUCTION = """Written by `python -m bench.report` from the results of `pytest bench`, in one run on one machine.
[docs/speed.md](../docs/speed.md) says how to repeat it, and [NOTES.md](NOTES.md) what was learned."""
STEPS = """Microseconds for one step: forward pass, backpropagation and Adam, float32. All libraries have the same
weights, batches, order, loss and learning rate, and their losses are compared before anything is timed. Rounds
alternate, and the best round of each library counts. In brackets is the share of the floor, if it is at least 1 %; the
floor is the larger of FLOPs over the FMA peak and bytes over the memory bandwidth, as [workloads.py](workloads.py)
counts them."""
ESTIMATORS = """`fit` of MLPClassifier and MLPRegressor with default parameters, float64, from fastmlp.sklearn and from
scikit-learn, each in a process of its own: the same iterations with the same losses."""
KERNELS = "Products as shares of the FMA peak of one core, all others in nanoseconds a number."


def why(results: Results) -> str:
    """Return the reasons to use fastmlp, as the README begins: steps, start and estimators, each with its figures."""
    ratios = [ratio for case in results.steps if (ratio := case.ahead("all"))]
    lines = [
        f"- **Fast at every size.** A training step on {threads_text(results, 'all')} of a {results.machine['cpu']} is "
        f"{span(ratios)} times as fast as the best of PyTorch, JAX and scikit-learn."
    ]
    if results.predictions and {"warm", "none"} <= start_seconds(results).keys():
        case, start = results.predictions[0], start_seconds(results)
        times = {name: seconds for name, _ in case.columns() if (seconds := case.best(name, "all"))}
        lines.append(
            f"- **No waiting.** The first epoch ends {start['warm']:.2f} s after `import`, {start['none']:.1f} s if "
            "nothing is compiled yet; a new shape compiles nothing. Predicting one row takes "
            f"{in_others(times, in_units)}."
        )
    if fits := fits_by_data(results):
        faster = [fit["scikit-learn"]["seconds"] / fit["fastmlp"]["seconds"] for fit in fits.values()]
        lines.append(
            f"- **A faster drop-in.** `MLPClassifier` and `MLPRegressor` fit {span(faster)} times as fast as "
            "scikit-learn's, and learn the same weights."
        )
    return "\n".join(lines)


def span(ratios: Sequence[float]) -> str:
    """Return the smallest and the largest ratio: "1.1 to 5.9"."""
    return f"{min(ratios):.1f} to {max(ratios):.1f}"


def readme_steps(results: Results) -> str:
    """Return the README's table of training steps on all threads, each library at its best."""
    names = [name for name in compared(results) if name != "reference"]
    rows = []
    for case in results.steps:
        ahead = case.ahead("all")
        times = (short(case.best(name, "all")) for name in names)
        rows.append((case.name, str(case.rows), *times, f"**{ahead:.2f} x**" if ahead else ""))
    return markdown(("network", "batch", *names, "best other / fastmlp"), rows)


def speed_steps(results: Results) -> str:
    """Return two tables of training steps, on all threads and on one, each library at its best."""
    return "\n\n".join(
        f"On {threads_text(results, threads)}:\n\n{steps_at_best(results, threads)}" for threads in ("all", 1)
    )


def compared(results: Results) -> list[str]:
    """Return the names of the timed libraries: fastmlp first, the reference last."""
    names = list(dict.fromkeys(name for case in results.steps for name, _ in case.columns()))
    return sorted(names, key=lambda name: (name != "fastmlp", name in OWN))


def steps_at_best(results: Results, threads: Any) -> str:
    """Return one table of training steps, with the ratio to the best peer and the share of the floor."""
    names = compared(results)
    head = ("network", "batch", *names, "best other / fastmlp", "floor / fastmlp")
    rows = []
    for case in results.steps:
        own, ahead = case.best("fastmlp", threads), case.ahead(threads)
        share = f"{results.floor(case, threads) / own:.0%}" if own else ""
        times = (short(case.best(name, threads)) for name in names)
        rows.append((case.name, str(case.rows), *times, f"**{ahead:.2f} x**" if ahead else "", share))
    return markdown(head, rows)


def speed_rest(results: Results) -> str:
    """Return prediction, start and memory in a few sentences."""
    sentences = []
    for case in (results.predictions[:1] + results.predictions[-1:]) if results.predictions else ():
        times = {name: seconds for name, _ in case.columns() if (seconds := case.best(name, "all"))}
        one = f"{case.rows:,} row" + "s" * (case.rows > 1)
        sentences.append(f"Predicting {one} of {case.name} takes {in_others(times, in_units)}.")
    start = start_seconds(results)
    if {"warm", "none"} <= start.keys():
        sentences.append(
            f"From `import` to the first finished epoch it takes {start['warm']:.2f} s, and {start['none']:.1f} s "
            "where nothing is compiled yet."
        )
    for name, peaks in memory(results).items():
        sentences.append(f"A process that trains {name} holds at most {in_others(peaks, megabytes)}.")
    return " ".join(sentences)


def in_others(values: Mapping[str, float], text: Callable[[float], str]) -> str:
    """Return the value of fastmlp and, in brackets, the values of the peers, the best first: "1 us (JAX 2 us)"."""
    others = sorted((value, name) for name, value in values.items() if name not in OWN)
    brackets = f" ({', '.join(f'{name} {text(value)}' for value, name in others)})" if others else ""
    return f"{text(values['fastmlp'])}{brackets}"


def full(results: Results) -> str:
    """Return the text of bench/RESULTS.md: all results."""
    parts = [
        "# Results",
        INTRODUCTION,
        machine_line(results),
        "## Training steps",
        STEPS,
    ]
    for age in (FRESH, AGED):
        for threads in (1, "all"):
            if table := every_time(results, results.steps, threads, age, "batch"):
                parts += [f"### {threads_text(results, threads).capitalize()}, weights {age}", table]
    if results.predictions:
        parts += ["## Predictions", "Microseconds for one call from Python, and the share of the FMA peak."]
        for threads in (1, "all"):
            parts += [f"### {threads_text(results, threads).capitalize()}"]
            parts += [every_time(results, results.predictions, threads, FRESH, "rows")]
    for name, peaks in memory(results).items():
        rows = [(library, megabytes(count)) for library, count in sorted(peaks.items(), key=lambda pair: pair[1])]
        parts += ["## Memory", f"Peak memory of a process that trains {name}, including Python."]
        parts += [markdown(("", "peak"), rows)]
    if any("fit" in info for info in results.infos):
        parts += ["## Estimators", ESTIMATORS, estimators(results)]
    if start := start_seconds(results):
        names = {"none": "from an empty cache, everything compiled", "warm": "from a warm cache"}
        rows = [(names[cache], f"{seconds:.2f} s") for cache, seconds in start.items()]
        parts += ["## Start", markdown(("import to first finished epoch", "seconds"), rows)]
    if results.kernels():
        parts += ["## Each kernel alone, beside NumPy and PyTorch", KERNELS, kernels(results)]
    return "\n\n".join(parts) + "\n"


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
    return (
        f"Measured on {machine['cpu']} ({machine['system']}), {machine['threads']} threads ({machine['layer']}). In "
        f"the same run: FMA peak of one core {giga['peak_float32']:.0f} GFLOP/s in float32 and "
        f"{giga['peak_float64']:.0f} in float64, of all threads {giga['peak_float32_all']:.0f} in float32; memory is "
        f"read at {giga['bandwidth']:.0f} GB/s by one thread and {giga['bandwidth_all']:.0f} by all. {versions}."
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
