"""No kernel touches a byte that is not its own, and none depends on what it finds in memory that is not promised 0.

Kernels get bare addresses, which NUMBA_BOUNDSCHECK does not look at; so memory itself says where it ends (guarded.py).
"""

from __future__ import annotations

import os
import signal
import sys

import pytest
from behaviour import Tried, finish, run_python, start_python

from fastmlp.kernels.host import threads

THREADS = {"NUMBA_NUM_THREADS": "4", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect, to forbid a page to the process")

STRAY = """
from guarded import accesses
for what, inside, status in accesses():
    print(what, inside, status, sep="|")
"""

BESIDE = """
import numpy as np
from guarded import Guard, write_beside

for side, place in (("end", -1), ("begin", 24)):
    for living in (True, False):
        guard = Guard(side)
        x, y = guard.zeros(3, np.float64), guard.zeros(3, np.float64)
        guard.check()
        write_beside(x, place)
        if not living:
            del x
        try:
            guard.check()
        except AssertionError as error:
            print(error)
"""

COMPARE = """
from fastmlp.kernels.host import threads
from guarded import cases, compare, {shapes}

counts = (1, 2, 4) if threads.layer() in ("omp", "tbb") else (1,)
print(compare(cases({shapes}(), counts)))
"""


def compared(shapes: str, seconds: float, **variables: str | None) -> tuple[int, int]:
    """Return the numbers of cases and of parallel calls. A failure names the network."""
    process = start_python(COMPARE.format(shapes=shapes), "-W", "error", **THREADS, **variables)
    try:
        out, _ = finish(process, seconds)
    except AssertionError as error:
        said = str(error).splitlines()
        tried = [line for line in said if " rows, float" in line]
        last = tried[-1] if tried else "the start"
        rest = "\n".join(line for line in said if line not in tried)
        raise AssertionError(f"at {last}: {rest}") from None
    *tried, parallel = out.splitlines()
    return len(tried), int(parallel)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork, to lose a child for each access")
def test_a_stray_access_ends_the_process() -> None:
    """Check the guards themselves, without which the other tests could not fail."""
    out, _ = run_python(STRAY, "-W", "error", "-W", "ignore:This process:DeprecationWarning")
    found = [line.split("|") for line in out.splitlines()]
    assert len(found) == 16
    for what, inside, status in found:
        killed = int(status) in (-signal.SIGSEGV, -signal.SIGBUS)
        assert killed if inside == "False" else status == "0", what


def test_a_write_beside_an_array_is_seen() -> None:
    """The write is in the rest of its pages, and it is found while the array exists and after it is freed."""
    said = run_python(BESIDE, "-W", "error")[0].splitlines()
    assert said == ["something was written beside 1 of 2 arrays"] * 4


@pytest.mark.parametrize(
    ("shapes", "seconds", "boundscheck"),
    [
        ("cross_section", 300, None),
        pytest.param("everything", 600, None, marks=pytest.mark.heavy),
        pytest.param("everything", 600, "1", marks=pytest.mark.heavy),
    ],
)
def test_networks_stay_within_their_memory(shapes: str, seconds: float, boundscheck: str | None, tried: Tried) -> None:
    """Widths and rows around those of tiles and panels; every activation, loss and optimizer; 1, 2 and 4 threads.

    Each network computes three times: in ordinary memory, then where every array ends at a page that nobody may touch,
    then where it begins behind one; there buffers are full of NaN at first. The bits have to be the same.
    """
    number, parallel = compared(shapes, seconds, NUMBA_BOUNDSCHECK=boundscheck)
    assert number >= 50
    assert parallel > 50 or threads.layer() not in ("omp", "tbb")
    tried("networks whose memory ends, and begins, at a page that kills who touches it", 2 * number)
