"""Loading trusts nothing: whatever a file holds, it is refused by a ModelFormatError or makes a network that works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from behaviour import run_python

Tried = Callable[[str, int], None]

# The tests run in a process of their own, which may take so long only, and where a warning is an error.
HERE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import hostile_trials
"""


def trial(call: str, seconds: float) -> list[int]:
    out, _ = run_python(f"{HERE}\nhostile_trials.{call}", "-W", "error", seconds=seconds)
    return [int(number) for number in out.split()]


WHICH = [2, pytest.param(0, marks=pytest.mark.heavy), pytest.param(1, marks=pytest.mark.heavy)]


@pytest.mark.parametrize("which", WHICH)
def test_a_file_cut_at_any_byte_is_refused(tmp_path: Path, which: int, tried: Tried) -> None:
    (cases,) = trial(f"cuts({which}, {str(tmp_path)!r})", 120)
    tried("a file cut short, at every byte, its digest right or not", cases)


@pytest.mark.parametrize("which", WHICH)
def test_a_flipped_bit_of_the_header_is_refused_or_does_no_harm(tmp_path: Path, which: int, tried: Tried) -> None:
    (cases, refused) = trial(f"flips({which}, {str(tmp_path)!r})", 240)
    assert refused > cases // 2
    tried("a bit of the header flipped, each of them, the digest right", cases)


@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.heavy)])
def test_a_random_change_is_refused_or_does_no_harm(tmp_path: Path, count: int, tried: Tried) -> None:
    cases, refused, accepted = trial(f"mutations({count}, {str(tmp_path)!r})", 900)
    assert refused > cases // 2
    assert accepted > cases // 50
    tried("a file changed at random, most with a digest that is right", cases)


@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=pytest.mark.heavy)])
def test_a_random_change_of_a_tables_model_is_refused_or_does_no_harm(tmp_path: Path, count: int, tried: Tried) -> None:
    cases, refused, accepted = trial(f"table_mutations({count}, {str(tmp_path)!r})", 600)
    assert refused > cases // 4
    assert accepted > cases // 50
    tried("a file of a table's model changed at random, the digest right", cases)


@pytest.mark.parametrize("most", [300_000, pytest.param(8_000_000, marks=pytest.mark.heavy)])
def test_a_long_header_is_refused_in_little_time_and_memory(tmp_path: Path, most: int, tried: Tried) -> None:
    (cases,) = trial(f"large_headers({most}, {str(tmp_path)!r})", 240)
    tried("a long hostile header refused, its memory measured", cases)


def test_the_largest_counters_hang_no_optimizer_or_schedule(tmp_path: Path, tried: Tried) -> None:
    (cases,) = trial(f"large_counters({str(tmp_path)!r})", 120)
    tried("a training that goes on from step 2^62 - 1", cases)


def test_a_file_that_changes_while_it_is_read_is_refused_or_whole(tmp_path: Path, tried: Tried) -> None:
    (cases,) = trial(f"changing({str(tmp_path)!r})", 60)
    tried("a load of a file that is cut, grown and rewritten meanwhile", cases)
