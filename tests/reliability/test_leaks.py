"""Nothing leaks: memory, files and threads do not grow with the number of fits, however the fits end."""

from __future__ import annotations

import sys

import pytest
from behaviour import UNMEASURED, Tried, run_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory, files and threads are counted in /proc")

SPANS = 3
FITS = "a fit of a small network, errors and files included, with the memory measured"


def measured(code: str) -> str:
    """Run the code in a process that has `fits`. Coverage would keep some memory of every thread that ever ran."""
    return run_python(f"import small_fits as fits\n{code}", **UNMEASURED)[0]


@pytest.mark.parametrize(("rounds", "most_blocks"), [(2, 4.0), pytest.param(100, 0.5, marks=pytest.mark.heavy)])
def test_memory_is_flat(rounds: int, most_blocks: float, tried: Tried) -> None:
    """After caches have filled, a fit costs less than 100 bytes of malloc and few blocks of Python.

    Python itself still keeps some blocks for later: 2 to 3 a fit were seen over the first 100 fits.
    """
    said = measured(f"print(len(fits.ACTIVITIES), *fits.growth_per_fit({rounds}, {SPANS}))")
    activities, size, blocks = (float(number) for number in said.split())
    assert size < 100
    assert blocks < most_blocks
    tried(FITS, SPANS * rounds * int(activities))


@pytest.mark.parametrize("times", [6, pytest.param(300, marks=pytest.mark.heavy)])
def test_nothing_waits_for_the_garbage_collector(times: int, tried: Tried) -> None:
    """A network and its data are freed with the last reference, also after a failure."""
    code = f"""
for name in fits.ACTIVITIES:
    print(name, *fits.growth(name, {times}), sep="\\t")
"""
    found = [line.split("\t") for line in measured(code).splitlines()]
    assert len(found) > 15
    for name, blocks, files, threads, networks, garbage in found:
        # Python keeps some blocks to use them again: about 200, however many turns there were.
        assert int(blocks) < 500 + 2 * times, name
        assert (files, threads, networks, garbage) == ("0", "0", "0", "0"), name
    tried(FITS, times * len(found))


def test_a_leak_would_be_seen() -> None:
    """Check the measurement with a fit that leaks 4 kB, a network that refers to itself, and an open file."""
    code = """
def leaking():
    network = fits.fitted()
    network.myself = network
    kept.append(bytearray(4000))
    kept.append(open("/dev/null"))
kept = []
fits.ACTIVITIES.clear()
fits.activity(leaking)
print(*fits.growth("leaking", 20), *fits.growth_per_fit(2))
"""
    _, files, _, networks, garbage, size, _ = measured(code).split()
    assert (files, networks) == ("20", "20")
    assert int(garbage) >= 20
    assert float(size) > 4000


@pytest.mark.parametrize("count", [5, pytest.param(100, marks=pytest.mark.heavy)])
def test_functions_that_are_registered_again_take_no_memory(count: int, tried: Tried) -> None:
    """Compiled code is never freed: new functions take some MB each time, the same functions nothing."""
    code = f"print(*fits.registrations({count}, anew=False), *fits.registrations(2, anew=True))"
    again, compiled_again, anew, compiled_anew = (float(number) for number in measured(code).split())
    assert again < 1000
    assert compiled_again == 0
    assert 1e5 < anew < 8e6
    assert compiled_anew > 0
    tried("a registration of functions that are registered already", count)
