"""Nothing leaks: memory, files and threads do not grow with the number of fits, however the fits end."""

from __future__ import annotations

import sys

import pytest
from behaviour import Tried, run_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory, files and threads are counted in /proc")

IMPORT = "import small_fits as fits\n"
FITS = "a fit of a small network, errors and files included, with the memory measured"


@pytest.mark.parametrize(("fits", "warm_up"), [(500, 320), pytest.param(5000, 500, marks=pytest.mark.heavy)])
def test_memory_is_flat(fits: int, warm_up: int, tried: Tried) -> None:
    """After allocators have settled, a fit costs less than 1 kB by least squares."""
    said, _ = run_python(IMPORT + f"print(fits.slope({fits}, {warm_up}))")
    assert float(said) < 1000
    tried(FITS, fits)


@pytest.mark.parametrize("times", [30, pytest.param(300, marks=pytest.mark.heavy)])
def test_nothing_waits_for_the_garbage_collector(times: int, tried: Tried) -> None:
    """A network and its data are freed with the last reference, also after a failure."""
    code = f"""
for name in fits.ACTIVITIES:
    print(name, *fits.growth(name, {times}), sep="\\t")
"""
    found = [line.split("\t") for line in run_python(IMPORT + code)[0].splitlines()]
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
print(*fits.growth("leaking", 20), fits.slope(200, 50))
"""
    _, files, _, networks, garbage, slope = run_python(IMPORT + code)[0].split()
    assert (files, networks) == ("20", "20")
    assert int(garbage) >= 20
    assert float(slope) > 3000


@pytest.mark.parametrize("count", [10, pytest.param(100, marks=pytest.mark.heavy)])
def test_functions_that_are_registered_again_take_no_memory(count: int, tried: Tried) -> None:
    """Compiled code is never freed: new functions take some MB each time, the same functions nothing."""
    said, _ = run_python(IMPORT + f"print(fits.registrations({count}, anew=False), fits.registrations(4, anew=True))")
    again, anew = (float(number) for number in said.split())
    assert again < 1000
    assert 1e5 < anew < 8e6
    tried("a registration of functions that are registered already", count)
