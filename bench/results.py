"""The results of `pytest bench`, in the form that the tables and the chart use.

A world is a kind of instructions. Each has its file, with the results of one run on one machine. A processor with
AVX-512 can measure two of them: `pytest bench --isa avx2` limits all libraries to AVX2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import OWN

WORLDS = {"avx512": "AVX-512", "avx2": "AVX2", "neon": "NEON", "other": "neither AVX nor NEON"}
MAX_SHARE = 1.02  # of a limit of the machine; a larger share means that the limit was measured in a disturbed moment
FRESH = "fresh"


def path_of(world: str) -> Path:
    """Return the file of the results of a world."""
    return Path(__file__).with_name(f"results_{world}.json")


@dataclass
class Case:
    """The times of one workload, by library, number of threads (1 or "all") and age of the weights.

    Parameters
    ----------
    name : str
        The sizes of the layers.
    rows : int
        What one step, or one call of `predict`, processes.
    dtype : str
        "float32" or "float64".
    flops, bytes : number
        What it computes and moves.
    seconds : dict
        Seconds by (library, variant, threads, age).
    """

    name: str
    rows: int
    dtype: str
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

    def best_peer(self, threads: Any) -> tuple[float, str] | None:
        """Return the seconds and the name of the fastest peer."""
        times = ((self.best(library, threads), library) for library, _ in self.columns() if library not in OWN)
        return min(((seconds, library) for seconds, library in times if seconds), default=None)

    def ahead(self, threads: Any) -> float | None:
        """Return how many times as fast as the best peer fastmlp is."""
        peer, own = self.best_peer(threads), self.best("fastmlp", threads)
        return peer[0] / own if peer and own else None


class Results:
    """The results of one run, in one world.

    Raises
    ------
    ValueError
        If there are no training steps, or a figure that the machine cannot reach.
    """

    def __init__(self, world: str) -> None:
        path = path_of(world)
        results = json.loads(path.read_text())
        self.instructions = WORLDS[world]
        self.machine: dict[str, Any] = results["machine_info"]
        self.benches: list[dict[str, Any]] = results["benchmarks"]
        self.infos: list[dict[str, Any]] = [bench["extra_info"] for bench in self.benches]
        self.steps = self._cases("step", "batch")
        self.predictions = self._cases("prediction", "rows")
        if not self.steps:
            raise ValueError(f"{path.name} has no training steps; measure everything: pytest bench")
        if wrong := self._impossible():
            head = f"{path.name}: these shares of the machine's limits are impossible; measure again:"
            raise ValueError("\n".join([head, *wrong]))

    @property
    def machine_name(self) -> str:
        """The name of the processor with the instructions that were used: "znver4 with AVX-512"."""
        limited = "limited to" if self.machine.get("isa") else "with"
        return f"{self.machine['cpu']} {limited} {self.instructions}"

    def steps_in(self, dtype: str) -> list[Case]:
        """Return the training steps in a dtype."""
        return [case for case in self.steps if case.dtype == dtype]

    def _cases(self, kind: str, rows: str) -> list[Case]:
        cases: dict[tuple[str, int, str], Case] = {}
        for info in (info for info in self.infos if kind in info):
            key = info[kind], info[rows], info.get("dtype", "float32")
            case = cases.setdefault(key, Case(*key, info["flops"], info.get("bytes", 0.0)))
            case.seconds[info["who"], info["way"], info["threads"], info.get("age", FRESH)] = info["seconds"]
        return list(cases.values())

    def floor(self, case: Case, threads: Any) -> float:
        """Return the minimum seconds that the machine allows: FLOPs at the peak, or bytes at the memory bandwidth."""
        suffix = "" if threads == 1 else "_all"
        peak, bandwidth = float(self.machine[f"peak_{case.dtype}{suffix}"]), float(self.machine[f"bandwidth{suffix}"])
        return max(case.flops / peak, case.bytes / bandwidth)

    def kernels(self) -> dict[str, dict[str, float]]:
        """Return the seconds for one number or one floating-point operation, by kernel and library."""
        seconds: dict[str, dict[str, float]] = {}
        for bench, info in zip(self.benches, self.infos, strict=True):
            if "by" in info:  # the time of a kernel, and not of a call, which names the part that its kernel takes
                seconds.setdefault(info["kernel"], {})[info["by"]] = bench["stats"]["min"] / info["count"]
        return seconds

    def calls(self) -> dict[tuple[str, str, int], dict[str, float]]:
        """Return the seconds by library, and as "kernel" those of a step within `fit`: by call, network and rows."""
        found: dict[tuple[str, str, int], dict[str, float]] = {}
        for info in (info for info in self.infos if "call" in info):
            times = found.setdefault((info["call"], info["network"], info["rows"]), {})
            times[info["who"]] = info["seconds"]
            if info["kernel"]:
                times["kernel"] = info["kernel"]
        return found

    def products(self) -> dict[str, float]:
        """Return the kernels that are shown as shares of the FMA peak of one core, with that peak in FLOP/s."""
        names = [info["kernel"] for info in self.infos if info.get("unit") == "flops"]
        return {name: self.machine["peak_float64" if name.endswith("float64") else "peak_float32"] for name in names}

    def _impossible(self) -> list[str]:
        """Return every figure above a limit: of one core for kernels of fastmlp, of all cores for NumPy."""
        shares: dict[str, float] = {}
        for case in (*self.steps, *self.predictions):
            for (library, way, threads, age), seconds in case.seconds.items():
                name = f"{case.name}, {case.rows} rows, {case.dtype}, {library} {way}, {threads} threads, {age}"
                shares[name] = self.floor(case, threads) / seconds
        kernels = self.kernels()
        for name, peak in self.products().items():
            for by, cores in (("fastmlp", 1), ("NumPy", self.machine["threads"])):
                shares[f"{name}, {by}"] = 1 / kernels[name][by] / peak / cores
        return [f"{name}: {share:.1%}" for name, share in shares.items() if share > MAX_SHARE]


def all_results() -> list[Results]:
    """Return the results of every world that was measured.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    found = [Results(world) for world in WORLDS if path_of(world).exists()]
    if not found:
        raise FileNotFoundError(f"there are no results in {Path(__file__).parent.name}/; measure first: pytest bench")
    return found
