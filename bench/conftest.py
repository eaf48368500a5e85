"""Where results go, and what they say of the machine: nothing that names it."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).with_name("results.json")


def pytest_configure(config: pytest.Config) -> None:
    if not config.option.benchmark_json and not config.option.collectonly:
        config.option.benchmark_json = str(RESULTS)


def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any]:
    from llvmlite import binding

    from bench.peak import flops_per_second
    from fastmlp.kernels import threads

    versions = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "llvmlite")}
    return {
        "cpu": binding.get_host_cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads.available(),
        "layer": threads.layer(),
        "peak_float32": flops_per_second("float32"),
        "peak_float64": flops_per_second("float64"),
        "versions": {"python": platform.python_version(), **versions},
    }


def pytest_benchmark_generate_commit_info(config: pytest.Config) -> dict[str, Any]:
    return {}


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """Keep what the report reads; the raw times of every round would be a hundred megabytes."""
    output_json["benchmarks"] = [
        {
            "group": found["group"],
            "name": found["name"],
            "extra_info": found["extra_info"],
            "stats": {key: found["stats"][key] for key in ("min", "median", "rounds")},
        }
        for found in output_json["benchmarks"]
    ]
