"""Options of the benchmarks, and where their results are written.

`pytest bench` writes a file that the report reads: bench/results_avx512.json on a processor with AVX-512,
bench/results_avx2.json on one with AVX2, or with `--isa avx2`. A partial run (`-k`, a single file, `--quick`) does not
change that file, because its tables show one run on one machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bench import isa
from bench.machine import description, world
from bench.results import path_of
from bench.rounds import FULL, QUICK, Effort

FOLDER = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="few and short rounds, to check that everything runs")
    parser.addoption(
        "--mnist",
        metavar="FOLDER",
        help="the folder with images and labels of MNIST, *.gz; without it MNIST is left out",
    )
    parser.addoption("--isa", choices=isa.ISAS, help="limit all libraries to these instructions")


def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if option.isa and option.isa != isa.limit():
        start_limited(config, option.isa)
    if not getattr(option, "numprocesses", None):
        option.dist = "no"  # `--dist` of setup.cfg is for the tests: pytest-benchmark would take it for xdist at work
    if option.quick:
        option.benchmark_max_time, option.benchmark_min_rounds, option.benchmark_min_time = 0.01, 2, 1e-5
    option.benchmark_columns = option.benchmark_columns or ["min", "median", "rounds"]
    everything = not option.keyword and {Path(name).resolve() for name in config.args} == {FOLDER}
    if everything and not (option.quick or option.benchmark_json or option.collectonly):
        option.benchmark_json = str(path_of(world()))


def start_limited(config: pytest.Config, name: str) -> NoReturn:
    """Start pytest anew, in this process, with the variables of a limit, which NumPy and others read when they load."""
    config.pluginmanager.getplugin("capturemanager").stop_global_capturing()  # it keeps the streams of the terminal
    arguments = [sys.executable, "-m", "pytest", *config.invocation_params.args]
    os.execve(sys.executable, arguments, isa.environment(name))


@pytest.fixture(scope="session", autouse=True)
def confirmed_limit() -> None:
    """Check that this process is limited if it should be: it measures the machine and single kernels."""
    isa.confirm("ours")
    isa.confirm("textbook")


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
