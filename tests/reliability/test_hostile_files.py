"""Loading trusts nothing: any file is refused by a ModelFormatError, or gives a network that works."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from behaviour import PATIENCE, Tried, finish, start_python


class Trials:
    """A process that runs the trials, with a time limit and with warnings as errors."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def make(self, call: str, seconds: float) -> list[int]:
        """Return the numbers that a trial prints. The trial must succeed within the time limit."""
        if self.process is None:
            code = "import runpy; runpy.run_module('hostile_trials', run_name='__main__')"
            self.process = start_python(code, "-W", "error", talks=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(call, file=self.process.stdin, flush=True)
        limit = threading.Timer(seconds * PATIENCE, self.process.kill)
        limit.start()
        said = self.process.stdout.readline()
        limit.cancel()
        if not said:
            ended, self.process = self.process, None
            finish(ended)  # which tells why
        return [int(number) for number in said.split()]

    def end(self) -> None:
        """End the process."""
        if self.process is not None and self.process.poll() is None:
            finish(self.process)


@pytest.fixture(scope="module")
def trials() -> Iterator[Trials]:
    found = Trials()
    yield found
    found.end()


HEAVY = pytest.mark.heavy
WHICH = [2, pytest.param(0, marks=HEAVY), pytest.param(1, marks=HEAVY)]
BITS = [(2, 7), *(pytest.param(which, 1, marks=HEAVY) for which in range(3))]
both_versions = pytest.mark.parametrize("version", ["1", "2"])
latest_version = pytest.mark.parametrize("version", [pytest.param("1", marks=HEAVY), "2"])
"""The layout of both versions is the same, and random changes of version 1 reach its decoder in every run."""


@latest_version
@pytest.mark.parametrize("which", WHICH)
def test_a_file_cut_at_any_byte_is_refused(
    trials: Trials, tmp_path: Path, version: str, which: int, tried: Tried
) -> None:
    (cases,) = trials.make(f"cuts({version!r}, {which}, {str(tmp_path)!r})", 120)
    tried("a file cut short, at every byte, its digest right or not", cases)


@latest_version
@pytest.mark.parametrize(("which", "stride"), BITS)
def test_a_flipped_bit_of_the_header_is_refused_or_does_no_harm(
    trials: Trials, tmp_path: Path, version: str, which: int, stride: int, tried: Tried
) -> None:
    (cases, refused) = trials.make(f"flips({version!r}, {which}, {stride}, {str(tmp_path)!r})", 240)
    assert refused > cases // 2
    tried("a bit of the header flipped, the digest right", cases)


@pytest.mark.parametrize(
    ("version", "count"),
    [("1", 500), ("2", 1000), *(pytest.param(version, 100_000, marks=HEAVY) for version in ("1", "2"))],
)
def test_a_random_change_is_refused_or_does_no_harm(
    trials: Trials, tmp_path: Path, version: str, count: int, tried: Tried
) -> None:
    cases, refused, accepted = trials.make(f"mutations({version!r}, {count}, {str(tmp_path)!r})", 900)
    assert refused > cases // 2
    assert accepted > cases // 50
    tried("a file changed at random, most with a digest that is right", cases)


@both_versions
@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=HEAVY)])
def test_a_random_change_of_a_tables_model_is_refused_or_does_no_harm(
    trials: Trials, tmp_path: Path, version: str, count: int, tried: Tried
) -> None:
    cases, refused, accepted = trials.make(f"table_mutations({version!r}, {count}, {str(tmp_path)!r})", 600)
    assert refused > cases // 4
    assert accepted > cases // 50
    tried("a file of a table's model changed at random, the digest right", cases)


@both_versions
@pytest.mark.parametrize("most", [300_000, pytest.param(8_000_000, marks=pytest.mark.heavy)])
def test_a_long_header_is_refused_in_little_time_and_memory(
    trials: Trials, tmp_path: Path, version: str, most: int, tried: Tried
) -> None:
    (cases,) = trials.make(f"large_headers({version!r}, {most}, {str(tmp_path)!r})", 240)
    tried("a long hostile header refused, its memory measured", cases)


@both_versions
def test_the_largest_counters_hang_no_optimizer_or_schedule(
    trials: Trials, tmp_path: Path, version: str, tried: Tried
) -> None:
    (cases,) = trials.make(f"large_counters({version!r}, {str(tmp_path)!r})", 120)
    tried("a training that goes on from step 2^62 - 1", cases)


@pytest.mark.parametrize("refused", [40, pytest.param(300, marks=pytest.mark.heavy)])
def test_a_file_that_changes_while_it_is_read_is_refused_or_whole(
    trials: Trials, tmp_path: Path, refused: int, tried: Tried
) -> None:
    (cases,) = trials.make(f"changing({refused}, {str(tmp_path)!r})", 60)
    tried("a load of a file that is cut, grown and rewritten meanwhile", cases)
