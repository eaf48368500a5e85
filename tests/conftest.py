"""Fixtures and hooks of all tests.

Property tests run 200 examples each, the same ones in every run. `--hypothesis-profile=heavy` runs 20,000 random ones.
`-n auto` (pytest-xdist) runs whole files in as many processes as there are cores. With FASTMLP_TEST_COLD=1, compiled
code is cached in a new folder for this session. A test can report the number of its cases,
`tried("a save killed at every system call", 87)`. A table at the end shows these numbers.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from behaviour import Tried  # not at run time: it imports the kernels

hypothesis.settings.register_profile(
    "default", max_examples=200, derandomize=True, deadline=None, database=None, print_blob=True
)
hypothesis.settings.register_profile("heavy", parent=hypothesis.settings.get_profile("default"), max_examples=20_000)
hypothesis.settings.load_profile("default")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell script that starts the tests in the background ignores SIGINT for them. Children would inherit that, and
    # the tests that interrupt them would wait until their time limits.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_TRIED = pytest.StashKey[dict[str, int]]()
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
_COLD = tempfile.mkdtemp(prefix="fastmlp-tests-") if os.environ.get("FASTMLP_TEST_COLD") == "1" and not _WORKER else ""
if _COLD:
    os.environ["FASTMLP_CACHE_DIR"] = _COLD  # before any test imports the kernels, and for its subprocesses


@pytest.fixture(scope="session", autouse=True)
def _share_of_compilation() -> None:
    """Compile in each of several workers a share of the kernels, which would otherwise all compile what they need.

    They end at about the same time, and load the other kernels from the cache: 40 s earlier with two workers.
    """
    if _WORKER:
        from fastmlp._engine.warmup import kernel_versions

        worker, workers = int(_WORKER.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        for kernel, version in list(kernel_versions())[worker::workers]:
            kernel.address(version)


@pytest.fixture
def forget_registered() -> Iterator[None]:
    """Remove the activations and losses that the test registers."""
    from fastmlp.activations import ACTIVATIONS
    from fastmlp.losses import LOSSES

    tables: list[dict[str, Any]] = [ACTIVATIONS, LOSSES]
    before = [{**table} for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Tried:
    """Return a function that counts cases under a description, for the table at the end."""
    table = request.config.stash.setdefault(_TRIED, {})

    def count(what: str, cases: int) -> None:
        table[what] = table.get(what, 0) + cases

    return count


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _WORKER:
        session.config.workeroutput["cases tried"] = session.config.stash.get(_TRIED, {})  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the cases that a worker tried."""
    table = node.config.stash.setdefault(_TRIED, {})
    for what, cases in getattr(node, "workeroutput", {}).get("cases tried", {}).items():
        table[what] = table.get(what, 0) + cases


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = config.stash.get(_TRIED, {})
    if table:
        terminalreporter.section("cases tried")
        for what, cases in table.items():
            terminalreporter.write_line(f"{cases:>8,}  {what}")


def pytest_unconfigure() -> None:
    if _COLD:
        shutil.rmtree(_COLD, ignore_errors=True)
