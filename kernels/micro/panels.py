"""Copies between the user's rows and panels, and transposes and sums of panels and blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.processor import tuning
from fastmlp.kernels.vocabulary.simd import INT, INT32, Emitter, Vector, fma, instruction

FEW = 4  # columns of a block, or rows, that `transpose_few_columns` and `transpose_few_rows` transpose
LINE = 64  # bytes of a cache line, to which all buffers are aligned


@instruction
def row_to_panels(emit: Emitter, panels: Any, row: Any, columns: Any, stride: Any) -> None:
    """Copy `panels[p, 0:16] = row[16 p : 16 p + 16]` and pad the last panel with 0; `stride` is from panel to panel."""
    full, rest = _panels_and_rest(emit, columns)

    def copy(p: Any) -> list[Any]:
        emit.store(emit.load(row, emit.builder.mul(p, INT(PANEL))), panels, emit.builder.mul(p, stride))
        return []

    emit.loop(full, [], copy)
    with emit.builder.if_then(emit.builder.icmp_signed(">", rest, INT(0))):
        last = emit.at(row, emit.builder.mul(full, INT(PANEL)))
        emit.store(_load_some(emit, last, rest), panels, emit.builder.mul(full, stride))


@instruction
def panels_to_row(emit: Emitter, row: Any, panels: Any, columns: Any, stride: Any) -> None:
    """Copy `row[16 p : 16 p + 16] = panels[p, 0:16]`, without the padding of the last panel."""
    full, rest = _panels_and_rest(emit, columns)

    def copy(p: Any) -> list[Any]:
        emit.store(emit.load(panels, emit.builder.mul(p, stride)), row, emit.builder.mul(p, INT(PANEL)))
        return []

    emit.loop(full, [], copy)
    with emit.builder.if_then(emit.builder.icmp_signed(">", rest, INT(0))):
        last, source = emit.at(row, emit.builder.mul(full, INT(PANEL))), emit.at(panels, emit.builder.mul(full, stride))
        if tuning(emit.dtype).stores_masked:
            _store_some(emit, emit.load(source), last, rest)
        else:
            _copy_some(emit, last, source, rest)


@instruction
def transpose(emit: Emitter, out: Any, block: Any) -> None:
    """Transpose a block: `out[j, i] = block[i, j]`, in four rounds that swap squares of 1, 2, 4 and 8 elements."""
    rows = [emit.load(block, i * PANEL) for i in range(PANEL)]
    for i, row in enumerate(_swapped(emit, rows, (1, 2, 4, 8))):
        emit.store(row, out, i * PANEL)


@instruction
def transpose_few_columns(emit: Emitter, out: Any, block: Any) -> None:
    """Transpose the first FEW columns of a block: `out[j, i] = block[i, j]`.

    Rows i, i + 4, i + 8 and i + 12 share a vector, so the first two rounds of `transpose` are enough.
    """
    narrow = emit.with_lanes(FEW)
    rows = [narrow.load(block, i * PANEL) for i in range(PANEL)]
    for j, column in enumerate(_swapped(emit, [_joined(rows[k::FEW]) for k in range(FEW)], (1, 2))):
        emit.store(column, out, j * PANEL)


@instruction
def transpose_few_rows(emit: Emitter, out: Any, block: Any) -> None:
    """Transpose the first FEW rows of a block: `out[i, j] = block[j, i]`. The other columns of `out` become 0."""
    groups = _swapped(emit, [emit.load(block, j * PANEL) for j in range(FEW)], (1, 2))
    for i in range(PANEL):
        first = i // FEW * FEW
        row = emit.shuffle(groups[i % FEW], emit.zero(), [*range(first, first + FEW), *range(PANEL, 2 * PANEL - FEW)])
        emit.store(row, out, i * PANEL)


def _joined(parts: Sequence[Vector]) -> Vector:
    """Concatenate the lanes of some vectors, whose number is a power of 2."""
    if len(parts) == 1:
        return parts[0]
    low, high = (_joined(half) for half in (parts[: len(parts) // 2], parts[len(parts) // 2 :]))
    wide = low.emitter.with_lanes(2 * low.emitter.lanes)
    return Vector(wide, low.emitter.shuffle(low, high, range(wide.lanes)).value)


def _swapped(emit: Emitter, rows: list[Vector], distances: Sequence[int]) -> list[Vector]:
    """Swap off-diagonal squares between the rows `i` and `i + distance`, for one distance after the other."""
    for distance in distances:
        low = [lane if not lane & distance else lane - distance + PANEL for lane in range(PANEL)]
        high = [lane + distance if not lane & distance else lane + PANEL for lane in range(PANEL)]
        swapped = list(rows)
        for i in range(len(rows)):
            if not i & distance:
                swapped[i] = emit.shuffle(rows[i], rows[i + distance], low)
                swapped[i + distance] = emit.shuffle(rows[i], rows[i + distance], high)
        rows = swapped
    return rows


@instruction
def copy_past_caches(emit: Emitter, out: Any, numbers: Any, count: Any) -> None:
    """Copy `out[:count] = numbers[:count]` with non-temporal stores, so that the copy displaces nothing in the caches.

    Both arrays begin at whole panels and consist of whole panels. The stores state their alignment, without which they
    would go element by element. It is one cache line: a panel of float64 does not always begin at a pair of lines.
    """
    builder = emit.builder
    nontemporal = builder.module.add_metadata([INT32(1)])

    def copy(i: Any) -> list[Any]:
        place = builder.mul(i, INT(PANEL))
        stored = emit.store(emit.load(numbers, place), out, place)
        stored.align = LINE
        stored.set_metadata("nontemporal", nontemporal)
        return []

    emit.loop(builder.ashr(count, INT(4)), [], copy)


@instruction
def sum_of_rows(emit: Emitter, out: Any, panel: Any, rows: Any) -> None:
    """Compute `out[:] = sum over r of panel[r, :]` in four chains of additions: rows 0, 4, 8 ..., rows 1, 5, 9 ..."""
    builder = emit.builder

    def add_four(_: Any, row: Any, *chains: Vector) -> list[Any]:
        return [emit.at(row, 4 * PANEL), *(chains[i] + emit.load(row, i * PANEL) for i in range(4))]

    def add_one(_: Any, row: Any, chain: Vector) -> list[Any]:
        return [emit.at(row, PANEL), chain + emit.load(row)]

    last, *chains = emit.loop(builder.ashr(rows, INT(2)), [panel, *([emit.zero()] * 4)], add_four)
    total = (chains[0] + chains[1]) + (chains[2] + chains[3])
    _, total = emit.loop(builder.and_(rows, INT(3)), [last, total], add_one)
    emit.store(total, out)


@instruction
def add_squares(emit: Emitter, values: Any, rows: Any, factor: Any, total: Any) -> None:
    """Add `factor * sum of x^2` over `rows` x 16 numbers x to `total[0]`, in float64, where no square overflows."""
    _add_sum(emit, values, rows, factor, total, lambda x, sums: fma(x, x, sums))


@instruction
def add_abs(emit: Emitter, values: Any, rows: Any, factor: Any, total: Any) -> None:
    """Add `factor * sum of |x|` over `rows` x 16 numbers x to `total[0]`, in float64."""
    _add_sum(emit, values, rows, factor, total, lambda x, sums: sums + x.emitter.call("llvm.fabs", x))


def _add_sum(
    emit: Emitter, values: Any, rows: Any, factor: Any, total: Any, add: Callable[[Vector, Vector], Vector]
) -> None:
    """Sum each of 16 columns in the order of the rows, then the 16 sums in the order of the columns.

    The penalties of a block and their gradient take 45 ns in these 16 chains of additions, and 280 ns in one.
    """
    builder, wide = emit.builder, Emitter(emit.builder, ir.DoubleType())

    def add_row(row: Any, sums: Vector) -> list[Vector]:
        x = emit.load(values, builder.mul(row, INT(PANEL))).value
        return [add(Vector(wide, x if emit.type == wide.type else builder.fpext(x, wide.type)), sums)]

    (sums,) = emit.loop(rows, [wide.zero()], add_row)
    result = wide.real_constant(0.0)
    for lane in range(PANEL):
        result = builder.fadd(result, builder.extract_element(sums.value, INT32(lane)))
    builder.store(builder.fadd(wide.scalar(total), builder.fmul(factor, result)), total)


def _panels_and_rest(emit: Emitter, columns: Any) -> tuple[Any, Any]:
    """Return how many whole panels so many columns fill, and how many columns remain."""
    return emit.builder.ashr(columns, INT(4)), emit.builder.and_(columns, INT(PANEL - 1))


def _first_lanes(emit: Emitter, count: Any) -> Any:
    """Return a mask that is true in the first `count` lanes."""
    kind = ir.VectorType(INT32, emit.lanes)
    undefined = ir.Constant(kind, ir.Undefined)
    first = emit.builder.insert_element(undefined, emit.builder.trunc(count, INT32), INT32(0))
    counts = emit.builder.shuffle_vector(first, undefined, ir.Constant(kind, [0] * emit.lanes))
    return emit.builder.icmp_signed("<", ir.Constant(kind, list(range(emit.lanes))), counts)


def _load_some(emit: Emitter, pointer: Any, count: Any) -> Vector:
    """Load the first `count` elements at the pointer, 0 in the other lanes. No byte behind them is read."""
    mask = _first_lanes(emit, count)
    place = emit.builder.bitcast(pointer, emit.type.as_pointer())
    kind = ir.FunctionType(emit.type, [place.type, INT32, mask.type, emit.type])
    name = f"llvm.masked.load.v{emit.lanes}{emit.suffix}.p0"
    function = cgutils.get_or_insert_function(emit.builder.module, kind, name)
    return Vector(emit, emit.builder.call(function, [place, INT32(emit.element_bytes), mask, emit.zero().value]))


def _copy_some(emit: Emitter, target: Any, source: Any, count: Any) -> None:
    """Copy the first `count` elements, fewer than `lanes`, by halves, quarters and so on. No byte more is touched."""
    builder, size = emit.builder, emit.lanes // 2
    while size:
        part, copied = emit.with_lanes(size), builder.and_(count, INT(size))
        with builder.if_then(builder.icmp_signed("!=", copied, INT(0))):
            part.store(part.load(source), target)
        target, source = emit.at(target, copied), emit.at(source, copied)
        size //= 2


def _store_some(emit: Emitter, vector: Vector, pointer: Any, count: Any) -> None:
    """Store the first `count` lanes at the pointer. No byte behind them is written."""
    mask = _first_lanes(emit, count)
    place = emit.builder.bitcast(pointer, emit.type.as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [emit.type, place.type, INT32, mask.type])
    name = f"llvm.masked.store.v{emit.lanes}{emit.suffix}.p0"
    function = cgutils.get_or_insert_function(emit.builder.module, kind, name)
    emit.builder.call(function, [vector.value, place, INT32(emit.element_bytes), mask])
