"""The chart of docs/speed.md: how many times as fast as the best peer a training step is."""

from __future__ import annotations

from pathlib import Path

from bench.results import Results
from bench.tables import threads_text

CHART = Path(__file__).with_name("speed.png")
COLORS = {1: "#1f77b4", "all": "#0b3c5d"}
TICKS = (0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)


def draw(results: Results) -> str:
    """Write the chart and return a line that says what was done."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return 'no chart: matplotlib is not installed; python -m pip install ".[bench]" installs it'
    cases = [case for case in results.steps[::-1] if case.ahead(1) and case.ahead("all")]
    if not cases:
        return "no chart: no peer was measured"
    figure = Figure(figsize=(8, 0.55 * len(cases) + 1.2), layout="constrained", facecolor="white")
    axes = figure.subplots()
    all_ratios = []
    for offset, threads in ((0.2, 1), (-0.2, "all")):
        ratios = [case.ahead(threads) or 1.0 for case in cases]
        places, ahead = [i + offset for i in range(len(cases))], [ratio - 1 for ratio in ratios]
        label = threads_text(results, threads)
        bars = axes.barh(places, ahead, height=0.38, left=1, color=COLORS[threads], label=label)
        axes.bar_label(bars, [f"{ratio:.2f} x" for ratio in ratios], padding=3, fontsize=8)
        all_ratios += ratios
    axes.set_yticks(range(len(cases)), [f"{case.name}, batch {case.rows}" for case in cases])
    left, right = min(0.95, 0.7 * min(all_ratios)), 1.3 * max(all_ratios)  # slower libraries lie to the left of 1
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.axvline(1, color="black", linewidth=0.8)
    ticks = [tick for tick in TICKS if left < tick < right]
    axes.set_xticks(ticks, [f"{tick:g} x" for tick in ticks])
    axes.xaxis.minorticks_off()
    axes.set_xlabel("how many times as fast as the best of the peers")
    axes.legend(loc="lower right", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(CHART, dpi=150)
    return f"wrote {CHART.name}"
