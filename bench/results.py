"""The results of `pytest bench`, in the form that the tables and the chart use."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import OWN

RESULTS = Path(__file__).with_name("results.json")
MAX_SHARE = 1.02  # of a limit of the machine; a larger share means that the limit was measured in a disturbed moment
FRESH = "fresh"


@dataclass
class Case:
    """The times of one workload, by library, number of threads (1 or "all") and age of the weights.

    Parameters
    ----------
    name : str
        The sizes of the layers.
    rows, flops, bytes : number
        What one step, or one call of `predict`, processes, computes and moves.
    seconds : dict
        Seconds by (library, variant, threads, age).
    """

    name: str
    rows: int
    flops: float
    bytes: float
    seconds: dict[tuple[str, str, Any, str], float] = field(default_factory=dict)

    def columns(self, age: str = FRESH) -> list[tuple[str, str]]:
        """Return the libraries and their variants."""
        return list(dict.fromkeys((library, way) for library, way, _, when in self.seconds if when == age))

    def best(self, library: str, threads: Any, age: str = FRESH) -> float | None:
        """Return the seconds of the faster variant; on all threads a peer may also use one, if that is faster."""
        allowed = (threads,) if library in OWN or threads == 1 else (1, threads)
        times = [t for (name, _, n, a), t in self.seconds.items() if name == library and n in allowed and a == age]
        return min(times, default=None)

    def best_peer(self, threads: Any) -> float | None:
        """Return the seconds of the fastest peer."""
        times = [self.best(library, threads) for library, _ in self.columns() if library not in OWN]
        return min((seconds for seconds in times if seconds), default=None)

    def ahead(self, threads: Any) -> float | None:
        """Return how many times as fast as the best peer fastmlp is."""
        peer, own = self.best_peer(threads), self.best("fastmlp", threads)
        return peer / own if peer and own else None


class Results:
    """The results of one run.

    Raises
    ------
    ValueError
        If there are no training steps, or a figure that the machine cannot reach.
    """

    def __init__(self, text: str) -> None:
        results = json.loads(text)
        self.machine: dict[str, Any] = results["machine_info"]
        self.benches: list[dict[str, Any]] = results["benchmarks"]
        self.infos: list[dict[str, Any]] = [bench["extra_info"] for bench in self.benches]
        self.steps = self._cases("step", "batch")
        self.predictions = self._cases("prediction", "rows")
        if not self.steps:
            raise ValueError("results.json has no training steps; measure everything: pytest bench")
        if wrong := self._impossible():
            raise ValueError("\n".join(["these shares of the machine's limits are impossible; measure again:", *wrong]))

    def _cases(self, kind: str, rows: str) -> list[Case]:
        cases: dict[tuple[str, int], Case] = {}
        for info in (info for info in self.infos if kind in info):
            key = info[kind], info[rows]
            case = cases.setdefault(key, Case(*key, info["flops"], info.get("bytes", 0.0)))
            case.seconds[info["who"], info["way"], info["threads"], info.get("age", FRESH)] = info["seconds"]
        return list(cases.values())

    def floor(self, case: Case, threads: Any) -> float:
        """Return the minimum seconds that the machine allows: FLOPs at the peak, or bytes at the memory bandwidth."""
        suffix = "" if threads == 1 else "_all"
        peak, bandwidth = float(self.machine[f"peak_float32{suffix}"]), float(self.machine[f"bandwidth{suffix}"])
        return max(case.flops / peak, case.bytes / bandwidth)

    def kernels(self) -> dict[str, dict[str, float]]:
        """Return the seconds for one number or one floating-point operation, by kernel and library."""
        seconds: dict[str, dict[str, float]] = {}
        for bench, info in zip(self.benches, self.infos, strict=True):
            if "kernel" in info:
                seconds.setdefault(info["kernel"], {})[info["by"]] = bench["stats"]["min"] / info["count"]
        return seconds

    def products(self) -> dict[str, float]:
        """Return the kernels that are shown as shares of the FMA peak of one core, with that peak in FLOP/s."""
        names = [info["kernel"] for info in self.infos if info.get("unit") == "flops"]
        return {name: self.machine["peak_float64" if name.endswith("float64") else "peak_float32"] for name in names}

    def _impossible(self) -> list[str]:
        """Return every figure above a limit: of one core for kernels of fastmlp, of all cores for NumPy."""
        shares: dict[str, float] = {}
        for case in (*self.steps, *self.predictions):
            for (library, way, threads, age), seconds in case.seconds.items():
                name = f"{case.name}, {case.rows} rows, {library} {way}, {threads} threads, {age}"
                shares[name] = self.floor(case, threads) / seconds
        kernels = self.kernels()
        for name, peak in self.products().items():
            for by, cores in (("fastmlp", 1), ("NumPy", self.machine["threads"])):
                shares[f"{name}, {by}"] = 1 / kernels[name][by] / peak / cores
        return [f"{name}: {share:.1%}" for name, share in shares.items() if share > MAX_SHARE]
