"""The chart of docs/speed.md: how many times as fast as the best peer a training step in float32 is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.results import Case, Results
from bench.tables import threads_text

CHART = Path(__file__).with_name("speed.png")
COLORS = {1: "#1f77b4", "all": "#0b3c5d"}
TICKS = (0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)


def draw(worlds: Sequence[Results]) -> str:
    """Write the chart, with axes for each world, and return a line that says what was done."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return 'no chart: matplotlib is not installed; python -m pip install ".[bench]" installs it'
    drawn = {results: cases for results in worlds if (cases := compared_cases(results))}
    if not drawn:
        return "no chart: no peer was measured"
    networks = list(dict.fromkeys(network for cases in drawn.values() for network in cases))[::-1]  # from the bottom up
    ratios = [case.ahead(threads) or 1.0 for cases in drawn.values() for case in cases.values() for threads in COLORS]
    limits = min(0.95, 0.7 * min(ratios)), 1.4 * max(ratios)  # slower libraries lie to the left of 1
    size = 4 + 4 * len(drawn), 0.55 * len(networks) + 1.2
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    for axes, (results, cases) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn.items(), strict=True):
        draw_bars(axes, results, {networks.index(network): case for network, case in cases.items()})
        axes.set_title(results.machine_name, fontsize=10)
        axes.set_xlim(limits)
        ticks = [tick for tick in TICKS if limits[0] < tick < limits[1]]
        axes.set_xticks(ticks, [f"{tick:g} x" for tick in ticks])
        axes.xaxis.minorticks_off()
        axes.set_ylim(-0.6, len(networks) - 0.4)
        axes.set_yticks(range(len(networks)), networks)
        axes.label_outer()  # the networks stand at the left alone
    figure.supxlabel("how many times as fast as the best of the peers, float32", fontsize=10)
    figure.savefig(CHART, dpi=150)
    return f"wrote {CHART.name}"


def compared_cases(results: Results) -> dict[str, Case]:
    """Return the steps that can be compared with those of a peer, by network."""
    cases = (case for case in results.steps_in("float32") if all(case.ahead(threads) for threads in COLORS))
    return {f"{case.name}, batch {case.rows}": case for case in cases}


def draw_bars(axes: Any, results: Results, cases: Mapping[int, Case]) -> None:
    """Draw the bars of one world, by place: for each network one thread above all threads."""
    for offset, threads in ((0.2, 1), (-0.2, "all")):
        ratios = [case.ahead(threads) or 1.0 for case in cases.values()]
        places, ahead = [place + offset for place in cases], [ratio - 1 for ratio in ratios]
        label = threads_text(results, threads)
        bars = axes.barh(places, ahead, height=0.38, left=1, color=COLORS[threads], label=label)
        axes.bar_label(bars, [f"{ratio:.2f} x" for ratio in ratios], padding=3, fontsize=8)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.legend(loc="lower right", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
