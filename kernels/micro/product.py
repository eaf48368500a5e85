"""The two products of a training step, each a loop over k with its tile of accumulators in registers.

Every element of a product is one chain of fused multiply-adds in the order of k, so neither the shape of a tile nor the
width of the processor's vectors changes a bit.

The tile is 16 columns wide and as high as the registers allow. Measured on one Zen 4 core (AVX-512, float32): tiles
from 8 x 16 to 12 x 32 all reach 98 % of FMA peak, so one shape serves every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastmlp.kernels.layout import CONSTANT_COUNT, PANEL
from fastmlp.kernels.processor import tuning
from fastmlp.kernels.vocabulary.simd import (
    INT,
    Emitter,
    Vector,
    fma,
    instruction,
)

Rule = Callable[[Vector, Vector, Sequence[Vector], Sequence[Vector]], tuple[Vector, Sequence[Vector]]]


@instruction
def panel_product(
    emit: Emitter, out: Any, a: Any, w: Any, k: Any, bias: Any, below: Any, stride: Any, threshold: Any, rows: Any
) -> None:
    """`out[i, :] = finish(bias[:] + sum over k of a[i, k] * w[k, :])` for all rows i of one panel.

    `a` is in panels, [panel][row][16] with `stride` elements from panel to panel; w is [k][16]; out and below are one
    panel, [row][16]. Without `below` (address 0), finish is the forward pass: z, or the threshold where z is less,
    which is relu for 0 and nothing for minus infinity. With it, finish is the derivative of that: the sum where
    `below` is greater than the threshold, else 0. NaN goes through both.

    Up to 3 rows behind the last are computed too; the buffers have room for them and nobody reads them.
    """
    builder = emit.builder

    def tiles_of(height: int) -> Callable[[Any, Any], list[Any]]:
        def one_tile(_: Any, done: Any) -> list[Any]:
            first = builder.mul(done, INT(PANEL))
            sums = _row_sums(emit, height, emit.at(a, first), w, k, emit.load(bias), stride)
            _finish_rows(emit, sums, emit.at(out, first), below, first, threshold)
            return [builder.add(done, INT(height))]

        return one_tile

    tile, few = tuning(emit.dtype).tile_rows, tuning(emit.dtype).remainder_rows
    (done,) = emit.loop(builder.sdiv(rows, INT(tile)), [INT(0)], tiles_of(tile))
    left = builder.sdiv(builder.add(builder.sub(rows, done), INT(few - 1)), INT(few))
    emit.loop(left, [done], tiles_of(few))


@instruction
def narrow_panel_product(
    emit: Emitter, out: Any, a: Any, w: Any, k: Any, bias: Any, below: Any, stride: Any, threshold: Any, rows: Any
) -> None:
    """The same for a panel that uses at most its first 8 columns, in vectors of 8 lanes; the other columns become 0.

    It halves the work: a whole step of 30-16-8-2 at batch 32 takes 2.24 us with it and 2.34 without.
    """
    panel_product.body(emit.narrowed(PANEL // 2), out, a, w, k, bias, below, stride, threshold, rows)


def _row_sums(emit: Emitter, height: int, a: Any, w: Any, k: Any, start: Vector, stride: Any) -> list[Vector]:
    """`start + a[i, :] @ w` for `height` rows, one accumulator a row."""
    builder = emit.builder

    def turn(_: Any, a_k: Any, w_k: Any, *sums: Vector) -> list[Any]:
        weights = emit.load(w_k)
        added = [fma(emit.splat(emit.scalar(a_k, i * PANEL)), weights, sums[i]) for i in range(height)]
        return [emit.at(a_k, 1), emit.at(w_k, PANEL), *added]

    def panel(_: Any, a_panel: Any, w_panel: Any, *sums: Vector) -> list[Any]:
        _a, w_next, *added = emit.loop(INT(PANEL), [a_panel, w_panel, *sums], turn)
        return [emit.at(a_panel, stride), w_next, *added]

    a_rest, w_rest, *sums = emit.loop(builder.ashr(k, INT(4)), [a, w, *([start] * height)], panel)
    _a, _w, *sums = emit.loop(builder.and_(k, INT(PANEL - 1)), [a_rest, w_rest, *sums], turn)
    return sums


def _finish_rows(emit: Emitter, sums: Sequence[Vector], out: Any, below: Any, first: Any, threshold: Any) -> None:
    builder = emit.builder
    limit = emit.splat(threshold)
    forward = builder.icmp_unsigned("==", builder.ptrtoint(below, INT), INT(0))
    with builder.if_else(forward) as (yes, no):
        with yes:
            for i, z in enumerate(sums):
                less = builder.fcmp_ordered("<", z.value, limit.value)
                emit.store_padded(emit.select(less, limit, z), out, i * PANEL)
        with no:
            for i, total in enumerate(sums):
                kept = builder.fcmp_unordered(">", emit.load(below, first, i * PANEL).value, limit.value)
                emit.store_padded(emit.select(kept, total, emit.zero()), out, i * PANEL)


@instruction
def block_product(emit: Emitter, out: Any, start: Any, a: Any, delta: Any, rows: Any, inputs: Any) -> None:
    """`out[k, n] = start[k, n] + sum over rows of a[row, k] * delta[row, n]` for the first `inputs` k, up to 16.

    Of 8 and less only these, in fours: a quarter of the work where a layer has 4 inputs.
    """
    builder = emit.builder

    def tiles_of(height: int) -> Callable[[Any], list[Any]]:
        def one_tile(index: Any) -> list[Any]:
            column = builder.mul(index, INT(height))
            first = builder.mul(column, INT(PANEL))
            sums = [emit.load(start, first, i * PANEL) for i in range(height)]
            _a, _d, *sums = emit.loop(rows, [emit.at(a, column), delta, *sums], _add_row(emit, height))
            for i, total in enumerate(sums):
                emit.store_padded(total, out, first, i * PANEL)
            return []

        return one_tile

    tile, few = tuning(emit.dtype).tile_rows, tuning(emit.dtype).remainder_rows
    with builder.if_else(builder.icmp_signed("<=", inputs, INT(PANEL // 2))) as (yes, no):
        with yes:
            emit.loop(builder.sdiv(builder.add(inputs, INT(few - 1)), INT(few)), [], tiles_of(few))
        with no:
            emit.loop(INT(PANEL // tile), [], tiles_of(tile))


@instruction
def narrow_block_product(emit: Emitter, out: Any, start: Any, a: Any, delta: Any, rows: Any, inputs: Any) -> None:
    """The same for a block that uses at most its first 8 columns; the other columns become 0."""
    block_product.body(emit.narrowed(PANEL // 2), out, start, a, delta, rows, inputs)


def _add_row(emit: Emitter, height: int) -> Callable[..., list[Any]]:
    """A turn of the loop over rows: `sums[i, :] += a[row, i] * delta[row, :]`."""

    def turn(_: Any, a_row: Any, delta_row: Any, *sums: Vector) -> list[Any]:
        d = emit.load(delta_row)
        added = [fma(emit.splat(emit.scalar(a_row, i)), d, sums[i]) for i in range(height)]
        return [emit.at(a_row, PANEL), emit.at(delta_row, PANEL), *added]

    return turn


def emit_block_product(
    emit: Emitter, rule: Rule, slots: int, out: Any, a: Any, delta: Any, rows: Any, update: Sequence[Any]
) -> None:
    """`out[k, n] = sum over rows of a[row, k] * delta[row, n]`, 16 x 16; an update runs in its shadow.

    The optimizer is bound by divisions and square roots and this product by multiply-adds, so an `update` of another
    block, (w, slots, stride, gradient, constants, count) as in `emit_update`, is woven in: some vectors of it after
    every eighth of the rows. On a Zen 4 core a vector of Adam costs 16 cycles alone and 8 here.
    """
    builder = emit.builder
    tile, portions = tuning(emit.dtype).tile_rows, tuning(emit.dtype).update_portions
    groups = PANEL // tile
    share = -(-PANEL // (groups * portions))
    portion_rows = builder.sdiv(builder.add(rows, INT(portions - 1)), INT(portions))

    turn = _add_row(emit, tile)

    def portion(_: Any, a_row: Any, delta_row: Any, left: Any, next_vector: Any, *sums: Vector) -> list[Any]:
        count = builder.select(builder.icmp_signed("<", left, portion_rows), left, portion_rows)
        a_next, delta_next, *added = emit.loop(count, [a_row, delta_row, *sums], turn)
        for i in range(share):
            _emit_update_of_vector(emit, rule, slots, builder.add(next_vector, INT(i)), *update)
        return [a_next, delta_next, builder.sub(left, count), builder.add(next_vector, INT(share)), *added]

    def group(_: Any, column: Any, next_vector: Any) -> list[Any]:
        first = builder.mul(column, INT(PANEL))
        sums = [emit.zero() for _ in range(tile)]
        carried = [emit.at(a, column), delta, rows, next_vector, *sums]
        _a, _d, _left, next_vector, *sums = emit.loop(INT(portions), carried, portion)
        for i, total in enumerate(sums):
            emit.store(total, out, first, i * PANEL)
        return [builder.add(column, INT(tile)), next_vector]

    emit.loop(INT(groups), [INT(0), INT(0)], group)


def emit_update(emit: Emitter, rule: Rule, slots: int, *update: Any) -> None:
    """Update the first `count` rows of a block: `update` is (w, slots, stride, gradient, constants, count)."""

    def one(i: Any) -> list[Any]:
        _emit_update_of_vector(emit, rule, slots, i, *update)
        return []

    emit.loop(update[-1], [], one)


def _emit_update_of_vector(
    emit: Emitter,
    rule: Rule,
    slot_count: int,
    index: Any,
    w: Any,
    slots: Any,
    stride: Any,
    gradient: Any,
    constants: Any,
    count: Any,
) -> None:
    """Apply the rule to row `index` of the block, if it is less than `count`."""
    builder = emit.builder
    with builder.if_then(builder.icmp_signed("<", index, count)):
        place = builder.mul(index, INT(PANEL))
        slot_places = [emit.at(slots, builder.mul(stride, INT(s)), place) for s in range(slot_count)]
        numbers = [emit.splat(emit.scalar(constants, i)) for i in range(CONSTANT_COUNT)]
        before = [emit.load(slot) for slot in slot_places]
        new_w, after = rule(emit.load(w, place), emit.load(gradient, place), before, numbers)
        for slot, value in zip(slot_places, after, strict=True):
            emit.store(value, slot)
        emit.store(new_w, w, place)
