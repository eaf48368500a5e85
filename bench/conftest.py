"""Options of the benchmarks, and where their results are written.

`pytest bench` writes bench/results.json, which the report reads. A partial run (`-k`, a single file, `--quick`) does
not change that file, because the tables show one run on one machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.machine import description
from bench.rounds import FULL, QUICK, Effort

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="few and short rounds, to check that everything runs")
    parser.addoption(
        "--mnist",
        metavar="FOLDER",
        help="the folder with images and labels of MNIST, *.gz; without it MNIST is left out",
    )


def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if option.quick:
        option.benchmark_max_time, option.benchmark_min_rounds, option.benchmark_min_time = 0.01, 2, 1e-5
    option.benchmark_columns = option.benchmark_columns or ["min", "median", "rounds"]
    everything = not option.keyword and {Path(name).resolve() for name in config.args} == {FOLDER}
    if everything and not (option.quick or option.benchmark_json or option.collectonly):
        option.benchmark_json = str(RESULTS)


@pytest.fixture(scope="session")
def effort(request: pytest.FixtureRequest) -> Effort:
    """Return how long to measure."""
    return QUICK if request.config.option.quick else FULL


def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any]:
    return description()


def pytest_benchmark_generate_commit_info(config: pytest.Config) -> dict[str, Any]:
    return {}


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """Keep only what the report reads; the raw times of every round would take a hundred megabytes."""
    output_json["benchmarks"] = [
        {
            "group": found["group"],
            "name": found["name"],
            "extra_info": found["extra_info"],
            "stats": {key: found["stats"][key] for key in ("min", "median", "rounds")},
        }
        for found in output_json["benchmarks"]
    ]
