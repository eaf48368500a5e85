"""Peak memory of a process that trains the largest network, including Python, the library and the data.

The time in the table is that of the process, from its start to the end of the second epoch.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench.peers import MEMORY, Competitor
from bench.worker import Worker
from bench.workloads import LARGEST


@pytest.mark.parametrize("competitor", MEMORY, ids=lambda competitor: competitor.name)
def test_memory(benchmark: Any, competitor: Competitor) -> None:
    if competitor.missing:
        pytest.skip(competitor.missing)
    benchmark.group = f"memory of training {LARGEST.name}, batch {LARGEST.batch_size}"
    peak = benchmark.pedantic(peak_memory, args=(competitor,), rounds=1)
    benchmark.extra_info.update(memory=LARGEST.name, batch=LARGEST.batch_size, who=competitor.name, bytes=peak)


def peak_memory(competitor: Competitor) -> int:
    """Return the peak memory of two epochs on all threads, in a process of its own, in bytes."""
    worker = Worker("Training", competitor, LARGEST, None)
    try:
        worker.answer()
        worker.do("losses", 2)
        peak: int = worker.do("peak_memory")
    finally:
        worker.close()
    return peak
