"""Code for another processor gives the same bits, and so do NumPy, BLAS and the C library as they work on another one.

It is compiled for that processor and run on this one, which has to have the instructions. What cannot be tried so is a
processor of another kind (NEON), and instructions that are equal by their definition but made by somebody else.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable

import numpy as np
import pytest
from behaviour import Tried, run_python
from llvmlite import binding

X86_64 = "+cx16,+fxsr,+mmx,+sse,+sse2"
NEHALEM = X86_64 + ",+popcnt,+sse3,+sse4.1,+sse4.2,+ssse3"
HASWELL = NEHALEM + ",+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe"
LATER = HASWELL + ",+adx,+aes,+clflushopt,+clwb,+pclmul,+rdseed"
TARGETS = {
    "haswell": HASWELL,
    "znver3": LATER + ",+clzero,+sha,+sse4a,+vaes,+vpclmulqdq",
    "skylake-avx512": LATER + ",+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl",
    "nehalem": NEHALEM,
    "x86-64": X86_64,
}
"""Processors, by LLVM's name, and their features. The last two have no FMA, so LLVM calls the C library's."""

TILE_ROWS = {"haswell": 6, "znver3": 6, "skylake-avx512": 16, "nehalem": 4, "x86-64": 4}
"""The rows of the tile of a product in float32."""

# Where the C library may choose by what the processor has, it is told that this one has less.
OLD_LIBRARY = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-FMA,-FMA4"

PRINT = """
import portable
from fastmlp.kernels import processor
print(processor.tuning("float32").tile[0])
for what, found in portable.{what}():
    print(what, found, sep="|")
"""

CORES = ("Prescott", "Haswell", "SkylakeX")
"""Processors for which OpenBLAS has separate kernels."""


@functools.cache
def here(what: str) -> dict[str, str]:
    """Return the digests of this processor with all of its features."""
    return found_by(run_python(PRINT.format(what=what), "-W", "error", seconds=600)[0].splitlines()[1:])


def found_by(lines: Iterable[str]) -> dict[str, str]:
    """Return the digest of each computation, by its description."""
    pairs = [line.rpartition("|")[::2] for line in lines]
    found = dict(pairs)
    assert len(found) == len(pairs)  # each has a name of its own
    return found


def assert_same(got: dict[str, str], expected: dict[str, str]) -> None:
    """Check that all digests are equal. A failure names those that differ."""
    assert got.keys() == expected.keys()
    assert not [what for what in expected if got[what] != expected[what]]


def needs(features: str) -> None:
    """Skip the test if this processor lacks a feature."""
    host = dict(binding.get_host_cpu_features())
    missing = [feature for feature in features.split(",") if not host.get(feature[1:], False)]
    if platform.machine().lower() not in ("x86_64", "amd64") or missing:
        pytest.skip(f"this processor, {binding.get_host_cpu_name()}, lacks {', '.join(missing) or 'all of it'}")


heavy = pytest.mark.heavy


@heavy
@pytest.mark.parametrize("cpu", TARGETS)
def test_code_for_another_processor_gives_the_same_bits(cpu: str, tried: Tried) -> None:
    needs(TARGETS[cpu])
    library = None if "+fma" in TARGETS[cpu] else OLD_LIBRARY
    variables = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": TARGETS[cpu], "GLIBC_TUNABLES": library}
    out, _ = run_python(PRINT.format(what="everything"), "-W", "error", seconds=600, **variables)
    height, *lines = out.splitlines()
    assert int(height) == TILE_ROWS[cpu]  # it was compiled for that processor
    found, expected = found_by(lines), here("everything")
    if library:  # there is no FMA
        expected = {name: value for name, value in expected.items() if not name.endswith("float64, flushed")}
        found = {name: value for name, value in found.items() if not name.endswith("float64, flushed")}
    assert_same(found, expected)
    tried("results of code for another processor, compared bit by bit", len(found))


@pytest.mark.parametrize(
    ("core", "what"), [("Nehalem", "numpys_share"), *(pytest.param(core, "everything", marks=heavy) for core in CORES)]
)
def test_numpy_blas_and_the_c_library_on_another_processor_change_no_bit(core: str, what: str, tried: Tried) -> None:
    """Compare initial weights, schedules, constants of optimizers, metrics, tables and gradients of inputs."""
    has = np._core._multiarray_umath
    disabled = " ".join(feature for feature in has.__cpu_dispatch__ if has.__cpu_features__[feature])
    variables = {"NPY_DISABLE_CPU_FEATURES": disabled, "OPENBLAS_CORETYPE": core, "GLIBC_TUNABLES": OLD_LIBRARY}
    out, _ = run_python(PRINT.format(what=what), "-W", "error", seconds=600, **variables)
    found = found_by(out.splitlines()[1:])
    assert_same(found, here(what))
    tried("results with NumPy, BLAS and the C library on another processor, compared bit by bit", len(found))
