"""Turn what `pytest bench` measured into the README's tables and its chart, so that no figure there is typed by hand.

It also brings the README's links to lines of the sources up to date. Run it from the root of the checkout:
`python -m bench.report`; with `--check` it writes nothing and tells by its exit code whether it would.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).with_name("results.json")
CHART = Path(__file__).with_name("speed.png")
README = ROOT / "README.md"

MOST = 1.02  # of the FMA peak: what exceeds it says that the peak was measured in a disturbed moment

Bench = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Read the results, write the README and the chart; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if README.md has other tables")
    check = parser.parse_args(argv).check
    try:
        results = json.loads(RESULTS.read_text())
    except FileNotFoundError:
        print(f"{RESULTS.relative_to(ROOT)} is not there; measure first, with: pytest bench", file=sys.stderr)
        return 1
    benches, machine = results["benchmarks"], results["machine_info"]
    if not step_rows(benches):
        print(f"{RESULTS.relative_to(ROOT)} has no training steps; measure all of it: pytest bench", file=sys.stderr)
        return 1
    if wrong := impossible(benches, machine):
        print("more than the FMA peak, measure again:", *wrong, sep="\n", file=sys.stderr)
        return 1
    before = README.read_text()
    text = with_tables(before, benches, machine)
    if check:
        if text != before:
            print(f"{README.relative_to(ROOT)} is not what python -m bench.report writes", file=sys.stderr)
        return int(text != before)
    README.write_text(text)
    print(f"wrote {README.relative_to(ROOT)}")
    return draw(benches)


def with_tables(text: str, benches: list[Bench], machine: dict[str, Any]) -> str:
    """The README's text with the tables of these results."""
    for name, table in (
        ("steps", steps_table(benches, machine)),
        ("kernels", kernels_table(benches, machine)),
        ("start", start_table(benches)),
        ("machine", machine_line(machine)),
    ):
        text = replaced(text, name, table)
    return with_lines(text)


def with_lines(text: str) -> str:
    """The README's text with every link to a line of a source file, [`code`](file#L1), at the line that holds the code.

    Raises
    ------
    ValueError
        If a file has no such line, or several.
    """

    def mended(found: re.Match[str]) -> str:
        code, file = found[1], found[2]
        numbered = list(enumerate((ROOT / file).read_text().splitlines(), 1))
        whole = [i for i, line in numbered if code == line.strip()]
        lines = whole or [i for i, line in numbered if code in line]
        if len(lines) != 1:
            raise ValueError(f"README.md names a line {code!r} of {file}; there are {len(lines)} such lines")
        return f"[`{code}`]({file}#L{lines[0]})"

    return re.sub(r"\[`([^`\n]+)`\]\(([\w./]+)#L\d+\)", mended, text)


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


def step_rows(benches: list[Bench]) -> list[dict[str, Any]]:
    """What was noted of each workload: its name, batch and flops, and the microseconds a step of each network."""
    return [bench["extra_info"] for bench in benches if "microseconds" in bench["extra_info"]]


def step_peak(row: dict[str, Any], machine: dict[str, Any]) -> float:
    """The share of one core's FMA peak that one thread reaches in a step."""
    return float(row["flops"] / (row["microseconds"]["1 thread"] * 1e-6) / machine["peak_float32"])


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
    for row in step_rows(benches):
        times = row["microseconds"]
        one, every, numpy = times["1 thread"], times["all threads"], times["reference"]
        aged = times.get("1 thread after 100 epochs")
        rows.append(
            (
                row["workload"],
                f"{row['batch']}",
                short(one),
                f"{step_peak(row, machine):.0%}",
                short(aged) if aged else "",
                short(every),
                short(numpy),
                f"{numpy / min(one, every):.1f} x",
            )
        )
    return markdown(head, rows)


def kernel_seconds(benches: list[Bench]) -> dict[str, dict[str, float]]:
    """Of each kernel, the seconds for one number or one floating-point operation, by who does it."""
    found: dict[str, dict[str, float]] = {}
    for bench in benches:
        info = bench["extra_info"]
        if "kernel" in info:
            found.setdefault(info["kernel"], {})[info["by"]] = bench["stats"]["min"] / info["count"]
    return found


def products(benches: list[Bench], machine: dict[str, Any]) -> dict[str, float]:
    """The kernels that are told in shares of the FMA peak of one core, with that peak, in operations a second."""
    names = [b["extra_info"]["kernel"] for b in benches if b["extra_info"].get("unit") == "flops"]
    return {name: machine["peak_float64" if name.endswith("float64") else "peak_float32"] for name in names}


def kernels_table(benches: list[Bench], machine: dict[str, Any]) -> str:
    """Kernels alone: products in shares of the FMA peak, the others in nanoseconds a number, beside NumPy."""
    peaks, rows = products(benches, machine), []
    for name, seconds in kernel_seconds(benches).items():
        ours, numpy = (
            f"{1 / s / peaks[name]:.0%} of peak" if name in peaks else f"{s * 1e9:.2f} ns"
            for s in (seconds["fastmlp"], seconds["NumPy"])
        )
        rows.append((name, ours, numpy, f"{seconds['NumPy'] / seconds['fastmlp']:.1f} x"))
    return markdown(("kernel", "fastmlp", "NumPy", "faster"), rows)


def impossible(benches: list[Bench], machine: dict[str, Any]) -> list[str]:
    """Every figure that exceeds the FMA peak: of one core for fastmlp, whose kernels run alone, of all for NumPy."""
    shares = {f"a step of {row['workload']}": step_peak(row, machine) for row in step_rows(benches)}
    seconds = kernel_seconds(benches)
    for name, peak in products(benches, machine).items():
        for by, cores in (("fastmlp", 1), ("NumPy", machine["threads"])):
            shares[f"{name}, {by}"] = 1 / seconds[name][by] / peak / cores
    return [f"{name}: {share:.1%}" for name, share in shares.items() if share > MOST]


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


def markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
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
    rows = step_rows(benches)[::-1]
    times = [row["microseconds"] for row in rows]
    figure = Figure(figsize=(8, 0.55 * len(rows) + 1.2), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for offset, who, label, color in (
        (0.2, "1 thread", "fastmlp, 1 thread", "#1f77b4"),
        (-0.2, "all threads", "fastmlp, all threads", "#0b3c5d"),
    ):
        ratios = [row["reference"] / row[who] for row in times]
        places, ahead = [i + offset for i in range(len(rows))], [ratio - 1 for ratio in ratios]
        bars = axes.barh(
            places, ahead, height=0.38, left=1, color=color, label=label
        )  # what is slower goes to the left
        axes.bar_label(bars, [f"{ratio:.1f} x" for ratio in ratios], padding=3, fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{row['workload']}, batch {row['batch']}" for row in rows])
    found = [row["reference"] / row[who] for row in times for who in ("1 thread", "all threads")]
    most, least = 1.6 * max(found), min(1, 0.7 * min(found))
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    axes.axvline(1, color="black", linewidth=0.8)
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
