"""The time from `import` to the first finished epoch of a new process, with a warm cache and without a cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIRST_EPOCH = """
import time
started = time.perf_counter()
import numpy as np
from fastmlp import Network
X = np.random.default_rng(0).standard_normal((569, 30)).astype("float32")
y = (X[:, 0] > 0).astype(int)
Network([30, 16, 8, 2], output="softmax", seed=0).fit(X, y)
print(time.perf_counter() - started)
"""


def first_epoch(cache: Path) -> float:
    """Return the seconds from import to the end of the first epoch, in a process of its own."""
    environment = {**os.environ, "FASTMLP_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", FIRST_EPOCH]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=300)
    return float(done.stdout)


@pytest.mark.parametrize("cache", ["none", "warm"])
def test_first_epoch(benchmark: Any, cache: str, tmp_path: Path) -> None:
    benchmark.group = "start"
    folders = iter(tmp_path / str(i) for i in range(100))
    if cache == "warm":
        first_epoch(tmp_path / "warm")
    rounds = 5 if cache == "warm" else 2
    inside: list[float] = []
    benchmark.pedantic(
        lambda: inside.append(first_epoch(tmp_path / "warm" if cache == "warm" else next(folders))), rounds=rounds
    )
    benchmark.extra_info.update(start=cache, seconds=min(inside))
