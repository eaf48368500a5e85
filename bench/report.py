"""Turn what `pytest bench` measured into the README's tables and its chart, so that no figure there is typed by hand.

Run it from the root of the checkout: `python -m bench.report`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).with_name("results.json")
CHART = Path(__file__).with_name("speed.png")
README = ROOT / "README.md"

Bench = dict[str, Any]


def main() -> int:
    """Read the results, write the README and the chart; returns the exit code."""
    try:
        results = json.loads(RESULTS.read_text())
    except FileNotFoundError:
        print(f"{RESULTS.relative_to(ROOT)} is not there; measure first, with: pytest bench", file=sys.stderr)
        return 1
    benches, machine = results["benchmarks"], results["machine_info"]
    text = README.read_text()
    for name, table in (
        ("steps", steps_table(benches, machine)),
        ("kernels", kernels_table(benches, machine)),
        ("start", start_table(benches)),
        ("machine", machine_line(machine)),
    ):
        text = replaced(text, name, table)
        print(table, end="\n\n")
    README.write_text(text)
    print(f"wrote {README.relative_to(ROOT)}")
    return draw(benches)


def replaced(text: str, name: str, content: str) -> str:
    """The text with new content between the marks of that name.

    Raises
    ------
    ValueError
        If the text has no such marks.
    """
    pattern = re.compile(rf"(<!-- {name}: begin[^>]*-->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"README.md has no marks '<!-- {name}: begin -->' and '<!-- {name}: end -->'")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def step_times(benches: list[Bench]) -> dict[str, dict[str, float]]:
    """Microseconds a step of each workload, at the best round, and the operations of a step."""
    times: dict[str, dict[str, float]] = {}
    for bench in benches:
        info = bench["extra_info"]
        if "workload" not in info:
            continue
        who = info["by"] if info["by"] == "reference" else f"threads {info['threads']}"
        who += " after 100 epochs" if info.get("age") else ""
        row = times.setdefault(info["workload"], {"flops": info["flops"], "batch": info["batch"]})
        row[who] = bench["stats"]["min"] / info["steps"] * 1e6
    return times


def steps_table(benches: list[Bench], machine: dict[str, Any]) -> str:
    """Training steps: fastmlp on one thread and all, share of the FMA peak, the reference, and how much faster."""
    head = (
        "network",
        "batch",
        "1 thread, us",
        "of FMA peak",
        "after 100 epochs, us",
        f"{machine['threads']} threads, us",
        "NumPy reference, us",
        "faster",
    )
    rows = []
    for name, row in step_times(benches).items():
        one, every, numpy = row["threads 1"], row["threads all"], row.get("reference")
        peak = row["flops"] / (one * 1e-6) / machine["peak_float32"]
        aged = row.get("threads 1 after 100 epochs")
        rows.append(
            (
                name,
                f"{row['batch']}",
                short(one),
                f"{peak:.0%}",
                short(aged) if aged else "",
                short(every),
                short(numpy) if numpy else "",
                f"{numpy / min(one, every):.1f} x" if numpy else "",
            )
        )
    return markdown(head, rows)


def kernels_table(benches: list[Bench], machine: dict[str, Any]) -> str:
    """Kernels alone: products in shares of the FMA peak, the others in nanoseconds a number, beside NumPy."""
    found: dict[str, dict[str, Bench]] = {}
    for bench in benches:
        if "kernel" in bench["extra_info"]:
            found.setdefault(bench["extra_info"]["kernel"], {})[bench["extra_info"]["by"]] = bench
    rows = []
    for name, pair in found.items():
        seconds = {by: bench["stats"]["min"] / bench["extra_info"]["count"] for by, bench in pair.items()}
        peak = machine["peak_float64" if name.endswith("float64") else "peak_float32"]
        is_product = pair["fastmlp"]["extra_info"]["unit"] == "flops"
        cells = [f"{1 / s / peak:.0%} of peak" if is_product else f"{s * 1e9:.2f} ns" for s in seconds.values()]
        by = dict(zip(seconds, cells, strict=True))
        rows.append((name, by["fastmlp"], by["NumPy"], f"{seconds['NumPy'] / seconds['fastmlp']:.1f} x"))
    return markdown(("kernel", "fastmlp", "NumPy", "faster"), rows)


def start_table(benches: list[Bench]) -> str:
    """Seconds from import to the first finished epoch."""
    names = {"none": "from an empty cache, everything compiled", "warm": "from a warm cache"}
    rows = [
        (names[bench["extra_info"]["start"]], f"{bench['extra_info']['seconds']:.2f} s")
        for bench in benches
        if "start" in bench["extra_info"]
    ]
    return markdown(("import to first finished epoch", "seconds"), rows)


def machine_line(machine: dict[str, Any]) -> str:
    """Where it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    peaks = ", ".join(f"{machine[f'peak_{kind}'] / 1e9:.0f} GFLOP/s in {kind}" for kind in ("float32", "float64"))
    return (
        f"Measured on {machine['cpu']} ({machine['system']}), {machine['threads']} threads ({machine['layer']}); FMA "
        f"peak of one core in the same run: {peaks}; {versions}."
    )


def markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table, numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def short(microseconds: float) -> str:
    """Three digits."""
    return f"{microseconds:.1f}" if microseconds < 100 else f"{microseconds:,.0f}"


def draw(benches: list[Bench]) -> int:
    """The chart: how many times faster than the reference each workload is."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no chart: matplotlib is not installed; python -m pip install ".[bench]" brings it')
        return 0
    times = {name: row for name, row in step_times(benches).items() if "reference" in row}
    names = list(times)[::-1]
    figure = Figure(figsize=(8, 0.55 * len(names) + 1.2), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for offset, who, label, color in (
        (0.2, "threads 1", "fastmlp, 1 thread", "#1f77b4"),
        (-0.2, "threads all", "fastmlp, all threads", "#0b3c5d"),
    ):
        ratios = [times[name]["reference"] / times[name][who] for name in names]
        bars = axes.barh([i + offset for i in range(len(names))], ratios, height=0.38, color=color, label=label)
        axes.bar_label(bars, fmt="%.1f x", padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), [f"{name}, batch {times[name]['batch']:.0f}" for name in names])
    most = 1.6 * max(row["reference"] / min(row["threads 1"], row["threads all"]) for row in times.values())
    axes.set_xscale("log")
    axes.set_xlim(1, most)
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if tick < most]
    axes.set_xticks(ticks, [f"{tick} x" for tick in ticks])
    axes.xaxis.minorticks_off()
    axes.set_xlabel("how many times as fast as the NumPy reference on all threads")
    axes.legend(loc="lower right", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(CHART, dpi=150)
    print(f"wrote {CHART.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
