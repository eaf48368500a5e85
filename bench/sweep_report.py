"""The judgement of the sweep: cliffs between neighbours, points slower than the reference, threads that do not pay."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.sweep_cases import AXES, BASES, KINDS, Case, cases

RISE = 1.5  # how many times as long as its neighbour's a step may take
SHORT = 5.0  # microseconds; shorter steps are not judged
THREADS_LOSS = 1.03  # how many times as long as one thread all threads may take
SHOWN = 12  # the rows of a table

ONE, EVERY, NUMPY, NUMPY_EVERY = "1 thread", "all threads", "reference", "reference, all threads"


class Point(NamedTuple):
    """The best microseconds of a step at one size, by library and threads."""

    case: Case
    dtype: str
    times: dict[str, float]

    @property
    def name(self) -> str:
        """The network, the dtype and the axis."""
        return f"{self.case.base}, {self.dtype}, {self.case.axis}"


class Reason(NamedTuple):
    """The reason why the change to a size may be larger than others, and how large it may be."""

    axis: str
    bases: tuple[str, ...]
    sizes: tuple[int, ...]  # the larger of the two neighbours
    factor: float
    why: str


SECOND_PANEL = "a second panel: blocks of 16 x 16 weights for 17 units, four between two such layers in place of one"
REASONS = (Reason("width", tuple(BASES), (17,), 2.0, SECOND_PANEL),)  # 1.65 to 1.75 on a Zen 4


class Finding(NamedTuple):
    """A comparison: its value as a share of the limit, above 1 if it fails, and its row in the table."""

    excess: float
    columns: tuple[str, ...]
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.excess <= 1.0 or bool(self.reason)


def report(points: list[Point]) -> bool:
    """Print the worst findings and all that fail, and return whether none fails."""
    alone = [point for point in points if ONE in point.times and EVERY not in point.times]
    rises = [found for pair in itertools.pairwise(alone) if (found := rise_between(*pair))]
    slower = [found for point in points for found in against_numpy(point)]
    losing = [of_threads(point) for point in points if EVERY in point.times]
    tables = (
        ("neighbours", ("from", "to", "us", "us", "factor", "may be"), rises),
        ("against the NumPy reference", ("at", "us", "reference, us", "share"), slower),
        ("all threads against one", ("at", "1 thread, us", "all, us", "share"), losing),
    )
    for title, head, findings in tables:
        show(title, ("network", *head, ""), findings)
    return all(found.ok for _, _, findings in tables for found in findings)


def rise_between(before: Point, after: Point) -> Finding | None:
    """Return the change from one size to the next, if both are on one axis and their steps are long enough."""
    if before.name != after.name or after.case.axis in KINDS:
        return None
    (was, now), (a, b) = (point.times[ONE] for point in (before, after)), (before.case, after.case)
    if max(was, now) <= SHORT:
        return None
    work = max(1.0, b.workload.flops / a.workload.flops)
    factor, limit = (now / was, max(RISE, work)) if now > was else (was / now, RISE)
    columns = (after.name, f"{a.value}", f"{b.value}", f"{was:.1f}", f"{now:.1f}", f"{now / was:.2f}", f"{limit:.2f}")
    return Finding(factor / limit, columns, reason_for(b, factor) if factor > limit else "")


def reason_for(case: Case, factor: float) -> str:
    """Return the known reason for a change of this size, or an empty text."""
    fitting = (r for r in REASONS if r.axis == case.axis and case.base in r.bases and case.value in r.sizes)
    return next((reason.why for reason in fitting if factor <= reason.factor), "")


def against_numpy(point: Point) -> Iterator[Finding]:
    """Yield the time as a share of the reference's time, on the same number of threads."""
    for ours, reference in ((ONE, NUMPY), (EVERY, NUMPY_EVERY)):
        if reference in point.times:
            us, numpy = point.times[ours], point.times[reference]
            columns = (point.name, f"{point.case.value}", f"{us:.1f}", f"{numpy:.1f}", f"{us / numpy:.2f}")
            yield Finding(us / numpy, columns)


def of_threads(point: Point) -> Finding:
    """Return the time on all threads as a share of the time on one."""
    one, every = point.times[ONE], point.times[EVERY]
    columns = (point.name, f"{point.case.value}", f"{one:.1f}", f"{every:.1f}", f"{every / one:.2f}")
    return Finding(every / one / THREADS_LOSS, columns)


def show(title: str, head: tuple[str, ...], findings: list[Finding]) -> None:
    """Print a table of the worst findings and all that fail."""
    if not findings:
        return
    wrong = sum(not found.ok for found in findings)
    worst = sorted(findings, key=lambda found: (found.ok, -found.excess))[: max(wrong, SHOWN)]
    rows = [head, *((*found.columns, found.reason if found.ok else "WRONG") for found in worst)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"\n{title}: {wrong} of {len(findings)} wrong\n")
    for first, *numbers, last in rows:
        cells = (cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True))
        print("  ".join((first.ljust(widths[0]), *cells, last)).rstrip())


def to_json(points: list[Point]) -> dict[str, Any]:
    """Return, for each axis around each network, a list of sizes and lists of microseconds beside them."""
    groups: dict[str, Any] = {}
    for point in points:
        group = groups.setdefault(f"{point.name}, {' and '.join(point.times)}", {"at": []})
        group["at"].append(point.case.value)
        for series, microseconds in point.times.items():
            group.setdefault(series, []).append(float(f"{microseconds:.4g}"))
    return groups


def from_json(groups: dict[str, Any]) -> list[Point]:
    """Return the points that `to_json` wrote."""
    known = {(base, axis, case.value): case for base in BASES for axis in AXES for case in cases(axis, base)}
    points = []
    for name, group in groups.items():
        base, dtype, axis = name.split(", ")[:3]
        series = [key for key in group if key != "at"]
        for value, *times in zip(group["at"], *(group[key] for key in series), strict=True):
            points.append(Point(known[base, axis, value], dtype, dict(zip(series, times, strict=True))))
    return points
