"""The table of choices by processor: every kind has its row, and no other module asks what the processor can do."""

from __future__ import annotations

import ast

import pytest
from behaviour import ROOT, run_python
from cases import DTYPES
from numba.core import config

from fastmlp.kernels import processor
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.micro.product import division

ASKING = {
    *("get_host_cpu_features", "get_host_cpu_name"),  # of llvmlite
    *("CPU_FEATURES", "CPU_NAME"),  # of Numba
    *("machine", "processor"),  # of platform
    *("has", "kind"),  # of our own module
}
"""Names that tell the processor or its features."""

ALLOWED = {"kernels/processor.py", "fastmlp/_runtime/system.py"}
"""The table, and the report of the machine to its user."""

SSE = "+cx16,+fxsr,+mmx,+sse,+sse2"
AVX = SSE + ",+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx"
AVX2 = AVX + ",+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe"
AVX512 = AVX2 + ",+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl"

KINDS = {
    "AVX-512": (AVX512, False, "avx512"),
    "AVX2": (AVX2, False, "avx"),
    "AVX2, with AVX-512 switched off": (AVX2 + ",-avx512f", False, "avx"),
    "AVX": (AVX, False, "avx"),
    "SSE": (SSE, False, "other"),
    "nothing": ("", False, "other"),
    "NEON": ("+neon,+fp-armv8", False, "neon"),
    "ARM of which LLVM lists nothing": ("", True, "neon"),
}
"""Features, whether the machine is a 64-bit ARM, and the kind of processor."""

REGISTERS = {"avx512": (32, 64), "avx": (16, 32), "neon": (32, 16)}
"""How many vector registers there are, and the bytes of one."""


@pytest.mark.parametrize("name", KINDS)
def test_a_set_of_features_has_its_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features, arm, kind = KINDS[name]
    monkeypatch.setattr(config, "CPU_FEATURES", features)
    monkeypatch.setattr(processor, "IS_ARM", arm)
    assert processor.kind() == kind
    assert all(processor.tuning(dtype) is processor.TABLE[kind][dtype] for dtype in DTYPES)


def test_every_kind_is_tried() -> None:
    assert {kind for _, _, kind in KINDS.values()} == processor.TABLE.keys()
    assert all(rows.keys() == set(DTYPES) for rows in processor.TABLE.values())


def test_another_processor_without_a_list_of_features_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    monkeypatch.setattr(config, "CPU_NAME", "of another kind")
    assert not processor.has("sse2")
    assert processor.target()[1] == "of another kind"


@pytest.mark.parametrize("name", [None, "host"])
def test_the_host_has_what_llvm_finds(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    host = dict(processor.binding.get_host_cpu_features())
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    monkeypatch.setattr(config, "CPU_NAME", name)
    assert {feature: processor.has(feature) for feature in host} == host
    assert not processor.has("no such feature")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", processor.TABLE)
def test_a_row_is_one_that_the_kernels_can_use(kind: str, dtype: str) -> None:
    row = processor.TABLE[kind][dtype]
    rows, columns = row.tile
    assert columns in (PANEL, PANEL // 2)
    assert row.remainder_rows - 1 <= 3  # rows behind the last that a product may write
    assert row.row_panels.bit_count() == 1
    assert row.product_inputs % PANEL == 0
    assert row.product_rows > 0
    assert row.update_portions > 0
    assert row.woven_tile[1] in (PANEL, PANEL // 2)
    assert PANEL % row.woven_tile[0] == 0  # a block has no rest
    assert row.interleaved_vectors.bit_count() == 1  # LLVM ignores any other number
    for height in (rows, row.narrow_rows):
        assert 0 < row.remainder_rows <= height <= PANEL
        for count in range(PANEL, 10 * PANEL, PANEL):
            full, small = division(count, height, row.remainder_rows)
            assert full * height + small * row.remainder_rows == count  # threads that share a panel do not meet
    if kind in REGISTERS:
        count, size = REGISTERS[kind]
        element = 4 if dtype == "float32" else 8
        woven = [row.woven_tile] if row.weaves_updates else []
        for height, width in (row.tile, (row.narrow_rows, PANEL // 2), (row.remainder_rows, columns), *woven):
            assert (height + 1) * -(-width * element // size) < count  # accumulators, a row of weights, and a broadcast


@pytest.mark.parametrize(("height", "remainder"), [(16, 4), (8, 4), (6, 4), (4, 4), (2, 2)])
def test_tiles_compute_all_rows_and_few_in_vain(height: int, remainder: int) -> None:
    for rows in range(50):
        full, small = division(rows, height, remainder)
        computed = full * height + small * remainder
        assert rows <= computed <= rows + 3
        sizes = (full * height + small * remainder for full in range(rows + 1) for small in range(rows + 1))
        assert computed == min(size for size in sizes if size >= rows)


def questions(source: str) -> list[str]:
    """Return every name in a module that queries the processor or its features."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            called_of = node.value.id if isinstance(node.value, ast.Name) else ""
            names = [node.attr] if called_of in ("platform", "binding", "config", "processor", "ll") else []
        elif isinstance(node, ast.ImportFrom):
            asked_of = (node.module or "").rsplit(".")[-1]
            names = [alias.name for alias in node.names if asked_of in ("platform", "binding", "config", "processor")]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = ["CPU_NAME"] if node.value in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES") else []
        else:
            names = []
        found += [name for name in names if name in ASKING]
    return found


@pytest.mark.parametrize(
    "source",
    [
        "from llvmlite import binding\nbinding.get_host_cpu_features()",
        "from llvmlite.binding import get_host_cpu_name as name",
        "from numba.core import config\nconfig.CPU_FEATURES",
        "import platform\nx86 = platform.machine() == 'x86_64'",
        "from platform import machine",
        "from fastmlp.kernels.processor import has",
        "from fastmlp.kernels import processor\nif processor.has('avx2'): pass",
        "from fastmlp.kernels.processor import kind",
        "import os\nos.environ['NUMBA_CPU_NAME']",
    ],
)
def test_a_question_for_features_is_seen(source: str) -> None:
    assert len(questions(source)) == 1


def test_reading_the_table_is_no_question() -> None:
    assert not questions("from fastmlp.kernels.processor import IS_X86, tuning\ntuning('float32').tile")
    assert not questions("from fastmlp.kernels import processor\nprocessor.target()")


def test_no_other_module_asks_what_the_processor_can_do() -> None:
    package = ROOT / "fastmlp"
    kernels = package / "kernels" if (package / "kernels").is_dir() else ROOT / "kernels"
    sources = {f"kernels/{path.relative_to(kernels).as_posix()}": path for path in kernels.rglob("*.py")}
    for path in package.rglob("*.py"):
        if not path.is_relative_to(kernels):
            sources[f"fastmlp/{path.relative_to(package).as_posix()}"] = path
    asked = {name: questions(path.read_text("utf-8")) for name, path in sources.items()}
    assert {"kernels/vocabulary/simd.py", "kernels/host/code_cache.py", "fastmlp/network.py"} < asked.keys()
    assert {name for name, found in asked.items() if found} == ALLOWED


def test_importing_the_table_imports_no_kernel() -> None:
    code = "import sys, fastmlp.kernels.processor; print(*sys.modules)"
    imported = {name for name in run_python(code, "-W", "error")[0].split() if name.split(".")[0] == "fastmlp"}
    assert imported == {"fastmlp", "fastmlp.kernels", "fastmlp.kernels.processor"}
