"""The inner loops of products keep their sums in registers, on processors of every kind."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from behaviour import Tried
from cases import DTYPES, heavy_but
from llvmlite import binding, ir

from fastmlp.kernels import processor
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.micro import product
from fastmlp.kernels.vocabulary.simd import INT, Emitter

X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
TARGETS = {
    "haswell": (X86, "avx"),
    "znver1": (X86, "avx"),
    "znver3": (X86, "avx"),
    "alderlake": (X86, "avx"),
    "skylake-avx512": (X86, "avx512"),
    "znver4": (X86, "avx512"),
    "generic": (ARM, "neon"),
    "apple-m1": (ARM, "neon"),
    "neoverse-v1": (ARM, "neon"),
}
"""Processors by LLVM's name: the platform, and the row of the table that their kernels use."""

USUAL = ("haswell", "znver3", "skylake-avx512", "apple-m1", "neoverse-v1")

MULTIPLY_ADD = re.compile(r"\tv?fmadd\w*ps|\tv?fmadd\w*pd|\tfmla")
STACK = re.compile(r"\(%rsp|\[sp")
JUMP = re.compile(r"\t(?:j\w+|b(?:\.\w+)?|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s+(\.L\w+)$")
LABEL = re.compile(r"^(\.L\w+):")


def assembly(name: str, real: ir.Type, lanes: int, target: str) -> str:
    """Return the assembly of a product for a processor."""
    pointer, module = real.as_pointer(), ir.Module(name)
    instruction, operands = {
        "panel": (product.panel_product, [*[pointer] * 3, INT, pointer, INT, pointer, INT, real, INT]),
        "block": (product.block_product, [*[pointer] * 4, INT, INT]),
    }[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), operands), name)
    builder = ir.IRBuilder(function.append_basic_block())
    instruction.body(Emitter(builder, real, lanes), *function.args)
    builder.ret_void()
    platform, _ = TARGETS[target]
    module.triple = platform
    parsed = binding.parse_assembly(str(module))
    machine = binding.Target.from_triple(platform).create_target_machine(cpu=target, opt=3, reloc="pic")
    options = binding.create_pipeline_tuning_options(speed_level=3)
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(parsed, passes)
    return str(machine.emit_assembly(parsed))


def inner_loops(text: str) -> Iterator[list[str]]:
    """Yield the lines of the loops without a loop or a branch inside that multiply and add."""
    lines = text.splitlines()
    places = {found.group(1): number for number, line in enumerate(lines) if (found := LABEL.match(line))}
    for number, line in enumerate(lines):
        jump = JUMP.match(line)
        if jump and places.get(jump.group(1), number) < number:
            body = lines[places[jump.group(1)] + 1 : number]
            if not any(LABEL.match(line) for line in body) and any(MULTIPLY_ADD.match(line) for line in body):
                yield body


@pytest.fixture(scope="module", autouse=True)
def _every_target() -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", heavy_but(USUAL, TARGETS))
def test_no_inner_loop_of_a_product_spills(
    target: str, dtype: str, monkeypatch: pytest.MonkeyPatch, tried: Tried
) -> None:
    row = processor.TABLE[TARGETS[target][1]][dtype]
    monkeypatch.setattr(product, "tuning", lambda _: row)
    real = ir.FloatType() if dtype == "float32" else ir.DoubleType()
    for lanes, height in ((PANEL, row.tile[0]), (PANEL // 2, row.narrow_rows)):
        for name in ("panel", "block"):
            loops = list(inner_loops(assembly(name, real, lanes, target)))
            spills = [line for body in loops for line in body if STACK.search(line)]
            counts = [sum(map(bool, map(MULTIPLY_ADD.match, body))) for body in loops]
            assert not spills
            assert any(count % height == 0 for count in counts)
            tried("inner loops of products, read as assembly", len(loops))


def test_a_tile_that_is_too_high_spills(monkeypatch: pytest.MonkeyPatch) -> None:
    high = processor.Tuning((16, 16), 16, 4, (16, 16), 8, 4)
    monkeypatch.setattr(product, "tuning", lambda _: high)
    loops = inner_loops(assembly("panel", ir.FloatType(), PANEL, "haswell"))
    assert any(STACK.search(line) for body in loops for line in body)
