"""The two products of a training step. Each is a loop over k that keeps a tile of accumulators in registers.

- `panel_product`, of a panel of rows with a panel of weights: `A @ W + b` forward, `delta @ W^T` backward.
- `block_product`, of a panel of A with a panel of delta: a 16 x 16 block of `dW = A^T @ delta`.
- `emit_block_product` computes a block of dW while it updates another block of weights.

Each element of a product is one chain of fused multiply-adds in the order of k, so neither the shape of the tile nor
the width of the processor's vectors changes a bit.

A tile is the part of a result whose sums are in registers. `kernels.processor` says how many rows and columns it has.
Panels of which at most 8 columns are used have a tile of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from fastmlp.kernels.layout import CONSTANT_COUNT, PANEL
from fastmlp.kernels.processor import tuning
from fastmlp.kernels.vocabulary.simd import INT, Emitter, Vector, fma, instruction

Loop = Callable[..., Sequence[Any]]
"""What a loop computes: (where a tile begins, values) to the values of the next turn."""

AddInput = Callable[[Any, Sequence[Any], Sequence[Vector]], list[Vector]]
"""How the products of one input are added: (its place in a, its row in each panel of weights, sums) to new sums."""

Rule = Callable[[Vector, Vector, Sequence[Vector], Sequence[Vector]], tuple[Vector, Sequence[Vector]]]
"""The rule of an optimizer: (w, gradient, slots, constants) to (new w, new slots)."""


def division(rows: int, height: int, remainder: int) -> tuple[int, int]:
    """Return how many full tiles, and how many tiles of `remainder` rows, compute `rows` rows.

    Those that compute the fewest rows in vain, and of these the ones with most full tiles: 32 rows are 4 tiles of 6 and
    2 of 4, which compute exactly 32.
    """
    choices = [(max(0, -(-(rows - n * remainder) // height)), n) for n in range(-(-rows // remainder) + 1)]
    return min(choices, key=lambda counts: (counts[0] * height + counts[1] * remainder, counts[1]))


class _Tiling:
    """The tiles of a product, for vectors of as many lanes as there are columns: 16, or 8."""

    def __init__(self, emit: Emitter, tile: tuple[int, int], remainder: int) -> None:
        self._emit = emit
        self._height, self._remainder = tile[0], remainder
        self.part = emit.with_lanes(tile[1])
        self.store = self.part.store if emit.lanes == PANEL else emit.store_padded  # a narrow product pads its columns

    @classmethod
    def of(cls, emit: Emitter) -> _Tiling:
        """Return the tiles of a product that computes nothing else."""
        row = tuning(emit.dtype)
        tile = row.tile if emit.lanes == PANEL else (row.narrow_rows, PANEL // 2)
        return cls(emit, tile, row.remainder_rows)

    @property
    def tiles_of_block(self) -> int:
        """How many tiles a block of 16 rows has."""
        return sum(division(PANEL, self._height, self._remainder)) * (self._emit.lanes // self.part.lanes)

    def loop(self, rows: Any, values: Sequence[Any], tile: Callable[[int], Loop]) -> list[Any]:
        """Emit the loops over the tiles of `rows` rows. Each computes `values = tile(height)(row, column, *values)`."""
        builder, height, remainder = self._emit.builder, self._height, self._remainder
        if height == remainder:
            return self.loop_over_small(rows, values, tile)
        # The numbers of small tiles, in 2 bits each: of less than one full tile, then of the rest of more rows.
        numbers = [division(rows, height, remainder)[1] for rows in range(2 * height)]
        packed = INT(sum(number << 2 * place for place, number in enumerate(numbers)) - (numbers[-1] >> 1 << 64))
        more = builder.select(builder.icmp_signed("<", rows, INT(height)), INT(0), INT(height))
        place = builder.add(builder.srem(rows, INT(height)), more)
        small = builder.and_(builder.lshr(packed, builder.shl(place, INT(1))), INT(3))
        left = builder.sub(rows, builder.mul(small, INT(remainder)))
        full = builder.sdiv(builder.add(left, INT(height - 1)), INT(height))
        row, *values = self._emit.loop(full, [INT(0), *values], self._next_tile(height, tile(height)))
        return self._emit.loop(small, [row, *values], self._next_tile(remainder, tile(remainder)))[1:]

    def loop_over_small(self, rows: Any, values: Sequence[Any], tile: Callable[[int], Loop]) -> list[Any]:
        """Emit `loop` with tiles of the small height alone."""
        builder, remainder = self._emit.builder, self._remainder
        count = builder.sdiv(builder.add(rows, INT(remainder - 1)), INT(remainder))
        return self._emit.loop(count, [INT(0), *values], self._next_tile(remainder, tile(remainder)))[1:]

    def _next_tile(self, height: int, compute: Loop) -> Loop:
        """Return the body of a loop over rows: all columns of the tiles of this height that begin at `row`."""
        emit, width = self._emit, self.part.lanes

        def compute_row(_: Any, row: Any, *values: Any) -> list[Any]:
            def compute_part(part: Any, *values: Any) -> Sequence[Any]:
                return compute(row, emit.builder.mul(part, INT(width)), *values)

            parts = emit.lanes // width
            after = compute(row, INT(0), *values) if parts == 1 else emit.loop(INT(parts), values, compute_part)
            return [emit.builder.add(row, INT(height)), *after]

        return compute_row


def _of_few_columns(product: Any) -> Any:
    """Return a product for a panel, or a block, that uses at most its first 8 columns. The other columns become 0.

    Vectors of 8 lanes halve the work: a step of 30-16-8-2 at batch 32 takes 2.24 us, and 2.34 without this.
    """

    @functools.wraps(product.body)
    def narrow(emit: Emitter, *operands: Any) -> None:
        product.body(emit.with_lanes(PANEL // 2), *operands)

    return instruction(narrow)


@instruction
def panel_product(
    emit: Emitter,
    out: Any,
    a: Any,
    w: Any,
    k: Any,
    start: Any,
    start_stride: Any,
    below: Any,
    stride: Any,
    threshold: Any,
    rows: Any,
) -> None:
    """Compute `out[i, :] = finish(start[i, :] + sum over k of a[i, k] * w[k, :])` for all rows i of one panel.

    `a` is [panel][row][16] with `stride` elements from panel to panel. `w` is [k][16]. `out` and `below` are one panel,
    [row][16]. `start_stride` elements lie from row to row of `start`: 0 for a bias, which all rows share.

    If `below` is null, `finish` is the forward pass: z, or the threshold where z is less. A threshold of 0 is relu;
    minus infinity changes nothing. Otherwise `finish` is the derivative of that function: the sum where `below` is
    greater than the threshold, else 0. NaN stays NaN in both.

    The last tile may compute up to 3 rows behind the last row. The buffers have space for them, and nothing reads them.
    Multiples of 16 rows are computed exactly, so threads that share a panel do not meet.
    """
    tiling = _Tiling.of(emit)
    part = tiling.part

    def add_to_rows(a_k: Any, weights: Sequence[Any], sums: Sequence[Vector]) -> list[Vector]:
        row_of_w = part.load(weights[0])
        return [fma(part.splat(part.scalar(a_k, i * PANEL)), row_of_w, total) for i, total in enumerate(sums)]

    def tile(height: int) -> Loop:
        def compute_tile(row: Any, column: Any) -> list[Any]:
            builder = emit.builder
            first = builder.mul(row, INT(PANEL))
            place = builder.add(first, column)
            numbers = [builder.add(row, INT(i)) for i in range(height)]
            sums = [part.load(start, builder.mul(start_stride, number), column) for number in numbers]
            sums = _add_products(part, sums, part.at(a, first), [part.at(w, column)], k, stride, add_to_rows)
            places = [builder.add(place, INT(i * PANEL)) for i in range(height)]
            _finish(part, sums, tiling.store, out, below, places, threshold)
            return []

        return compute_tile

    tiling.loop(rows, [], tile)


narrow_panel_product = _of_few_columns(panel_product)


def _add_products(
    emit: Emitter, sums: Sequence[Vector], a: Any, weights: Sequence[Any], k: Any, stride: Any, add: AddInput
) -> list[Vector]:
    """Return the sums after the products of k inputs: panels of 16 in `a`, and a row of each of `weights` for each."""
    builder, count = emit.builder, len(weights)

    def add_k(_: Any, a_k: Any, *values: Any) -> list[Any]:
        weights_k, sums = values[:count], values[count:]
        return [emit.at(a_k, 1), *(emit.at(w, PANEL) for w in weights_k), *add(a_k, weights_k, sums)]

    def add_panel(_: Any, a_panel: Any, *values: Any) -> list[Any]:
        _a, *added = emit.loop(INT(PANEL), [a_panel, *values], add_k)
        return [emit.at(a_panel, stride), *added]

    whole = emit.loop(builder.ashr(k, INT(4)), [a, *weights, *sums], add_panel)
    return emit.loop(builder.and_(k, INT(PANEL - 1)), whole, add_k)[1 + count :]


def _finish(
    emit: Emitter,
    sums: Sequence[Vector],
    store: Callable[..., Any],
    out: Any,
    below: Any,
    places: Sequence[Any],
    threshold: Any,
) -> None:
    """Apply the threshold, or its derivative if `below` is not null, to each sum, and store it in `out`."""
    builder = emit.builder
    limit = emit.splat(threshold)
    forward = builder.icmp_unsigned("==", builder.ptrtoint(below, INT), INT(0))
    with builder.if_else(forward) as (yes, no):
        with yes:
            for place, z in zip(places, sums, strict=True):
                less = builder.fcmp_ordered("<", z.value, limit.value)
                store(emit.select(less, limit, z), out, place)
        with no:
            for place, total in zip(places, sums, strict=True):
                above = builder.fcmp_unordered(">", emit.load(below, place).value, limit.value)
                store(emit.select(above, total, emit.zero()), out, place)


@instruction
def row_product(
    emit: Emitter,
    out: Any,
    a: Any,
    w: Any,
    w_stride: Any,
    k: Any,
    bias: Any,
    bias_stride: Any,
    below: Any,
    stride: Any,
    threshold: Any,
    panels: Any,
) -> None:
    """Compute `panel_product` of one row with several panels of weights, some of them side by side.

    `out` and `below` are [panel][row][16], as `a` is; `w` has `w_stride` elements from panel to panel, `bias` has
    `bias_stride`. A single row with a single panel would wait for each multiply-add to finish.
    """
    builder = emit.builder
    size, first = tuning(emit.dtype).row_panels, INT(0)

    def add_to_panels(a_k: Any, weights: Sequence[Any], sums: Sequence[Vector]) -> list[Vector]:
        number = emit.splat(emit.scalar(a_k))
        return [fma(number, emit.load(w), total) for w, total in zip(weights, sums, strict=True)]

    def compute(size: int) -> Loop:
        def compute_group(_: Any, panel: Any) -> list[Any]:
            numbers = [builder.add(panel, INT(i)) for i in range(size)]
            sums = [emit.load(bias, builder.mul(number, bias_stride)) for number in numbers]
            weights = [emit.at(w, builder.mul(number, w_stride)) for number in numbers]
            sums = _add_products(emit, sums, a, weights, k, stride, add_to_panels)
            places = [builder.mul(number, stride) for number in numbers]
            _finish(emit, sums, emit.store, out, below, places, threshold)
            return [builder.add(panel, INT(size))]

        return compute_group

    while size:
        count = builder.sdiv(builder.sub(panels, first), INT(size))
        (first,) = emit.loop(count, [first], compute(size))
        size //= 2


@instruction
def block_product(emit: Emitter, out: Any, start: Any, a: Any, delta: Any, rows: Any, inputs: Any) -> None:
    """Compute `out[k, n] = start[k, n] + sum over rows of a[row, k] * delta[row, n]`, a block of 16 inputs k.

    If at most 8 inputs are used, only these are computed, in tiles of `remainder_rows`: with tiles of 4, a quarter of
    the work where a layer has 4 inputs.
    """
    tiling = _Tiling.of(emit)
    part = tiling.part

    def tile(height: int) -> Loop:
        def compute_tile(k: Any, column: Any) -> list[Any]:
            place = emit.builder.add(emit.builder.mul(k, INT(PANEL)), column)
            sums = [part.load(start, place, i * PANEL) for i in range(height)]
            operands = [part.at(a, k), part.at(delta, column)]
            _a, _d, *sums = emit.loop(rows, [*operands, *sums], _add_row(part, height))
            for i, total in enumerate(sums):
                tiling.store(total, out, place, i * PANEL)
            return []

        return compute_tile

    with emit.builder.if_else(emit.builder.icmp_signed("<=", inputs, INT(PANEL // 2))) as (yes, no):
        with yes:
            tiling.loop_over_small(inputs, [], tile)
        with no:
            tiling.loop(INT(PANEL), [], tile)


narrow_block_product = _of_few_columns(block_product)


def _add_row(emit: Emitter, height: int) -> Callable[..., list[Any]]:
    """Return the body of a loop over rows: `sums[i, :] += a[row, i] * delta[row, :]` for `height` inputs i."""

    def add_row(_: Any, a_row: Any, delta_row: Any, *sums: Vector) -> list[Any]:
        d = emit.load(delta_row)
        added = [fma(emit.splat(emit.scalar(a_row, i)), d, sums[i]) for i in range(height)]
        return [emit.at(a_row, PANEL), emit.at(delta_row, PANEL), *added]

    return add_row


def emit_block_product(
    emit: Emitter, rule: Rule, slots: int, out: Any, a: Any, delta: Any, rows: Any, update: Sequence[Any]
) -> None:
    """Emit a block of 16 x 16 of a product, and the update of another block between its rows.

    The product is `out[k, n] = sum over rows of a[row, k] * delta[row, n]`. Multiply-adds bound it, while divisions and
    square roots bound an optimizer, so the two overlap. The rows are cut into portions (`update_portions`). After each
    portion some vectors of the other block are updated. `update` describes that block as in `emit_update`: (w, slots,
    stride, gradient, constants, count).
    """
    builder, row = emit.builder, tuning(emit.dtype)
    tiling, portions = _Tiling(emit, row.woven_tile, row.woven_tile[0]), row.update_portions
    part = tiling.part
    vectors = -(-PANEL // (tiling.tiles_of_block * portions))  # to update after a portion
    portion_rows = builder.sdiv(builder.add(rows, INT(portions - 1)), INT(portions))

    def tile(height: int) -> Loop:
        def add_portion(_: Any, a_row: Any, delta_row: Any, left: Any, next_vector: Any, *sums: Vector) -> list[Any]:
            count = builder.select(builder.icmp_signed("<", left, portion_rows), left, portion_rows)
            a_next, delta_next, *added = emit.loop(count, [a_row, delta_row, *sums], _add_row(part, height))
            for i in range(vectors):
                _emit_update_of_vector(emit, rule, slots, builder.add(next_vector, INT(i)), *update)
            return [a_next, delta_next, builder.sub(left, count), builder.add(next_vector, INT(vectors)), *added]

        def compute_tile(k: Any, column: Any, next_vector: Any) -> list[Any]:
            sums = [part.zero() for _ in range(height)]
            carried = [part.at(a, k), part.at(delta, column), rows, next_vector, *sums]
            _a, _d, _left, next_vector, *sums = emit.loop(INT(portions), carried, add_portion)
            place = builder.add(builder.mul(k, INT(PANEL)), column)
            for i, total in enumerate(sums):
                tiling.store(total, out, place, i * PANEL)
            return [next_vector]

        return compute_tile

    tiling.loop(INT(PANEL), [INT(0)], tile)


def emit_update(emit: Emitter, rule: Rule, slots: int, *update: Any) -> None:
    """Emit the update of the first `count` rows of a block.

    `update` is (w, slots, stride, gradient, constants, count). `stride` elements lie from slot to slot.
    """

    def update_row(i: Any) -> list[Any]:
        _emit_update_of_vector(emit, rule, slots, i, *update)
        return []

    emit.loop(update[-1], [], update_row)


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
    """Emit the update of row `index` of a block, if `index` is less than `count`."""
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
