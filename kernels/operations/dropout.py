"""Dropout: units of a hidden layer at 0, drawn anew for every row of every step: `A = D o g(Z)`.

A unit is dropped where its random number u is less than the share p. u is n / 2**53, n the upper 53 of the 64 bits of
a hash, so u >= p exactly where n >= p 2**53 and, n being whole, where n >= c = ceil(p 2**53); the product is exact.
The 11 bits below n decide nothing: the hash is at least c 2**11 exactly where n >= c. Since p < 1, c is below 2**53 and
c 2**11 a word.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from fastmlp.kernels.host.jit import inline
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.operations.random import DROPOUT_DRAW, GOLDEN, key, mixed
from fastmlp.kernels.tables import Plan
from fastmlp.kernels.vocabulary.pointers import exists
from fastmlp.kernels.vocabulary.simd import INT, Emitter, instruction, offset, real_like


@inline
def least(share: float) -> int:
    """The least n that is kept, ceil(share 2**53)."""
    return math.ceil(share * 2.0**53)


@inline
def drop_out(plan: Plan, index: int, from_panel: int, to_panel: int, start: int, first: int, rows: int) -> None:
    """Compute `A = D o g(Z)`, where the layer has dropout: D is drawn for (step, layer) at (row of the batch, unit)."""
    layer = plan.layers[index]
    if not exists(layer.mask):
        return
    state = plan.state[0]
    stream = key(state.seed, DROPOUT_DRAW, state.step + 1, index)
    kept = real_like(1.0 / (1.0 - layer.dropout), plan.weights)
    for panel in range(from_panel, to_panel):
        place = (panel * plan.capacity + first) * PANEL
        a, mask, g = offset(layer.a, place), offset(layer.mask, place), offset(layer.g, place)
        element = start * layer.units + panel * PANEL
        drop_panel(a, mask, g, rows, layer.units, stream, element, least(layer.dropout), kept)


# A number takes 0.23 ns, in float64 0.25, and 0.55 where vectors have 32 bytes; one after the other, as LLVM leaves a
# loop over `uniform`, 1.4. To multiply each number of an element anew, rather than add up, would make it 0.29 and 0.75.
@instruction
def drop_panel(
    emit: Emitter,
    a: Any,
    mask: Any,
    g: Any,
    rows: Any,
    units: Any,
    stream: Any,
    element: Any,
    lowest: Any,
    kept: Any,
) -> None:
    """`mask[r, i] = kept if 2**53 * uniform(stream, element + r * units + i) >= lowest else 0`, `a = g * mask`."""
    builder = emit.builder
    words = Emitter(builder, INT)
    lanes = ir.Constant(words.type, list(range(1, PANEL + 1)))
    elements = builder.add(words.splat(element).value, lanes)
    golden = words.splat(INT(GOLDEN)).value
    counted = builder.add(words.splat(stream).value, builder.mul(golden, elements))
    from_row_to_row = words.splat(builder.mul(INT(GOLDEN), units)).value
    limit = words.splat(builder.shl(lowest, INT(11))).value
    factor = emit.splat(kept)

    def row(r: Any, z: Any) -> list[Any]:
        place = builder.mul(r, INT(PANEL))
        d = emit.select(builder.icmp_unsigned(">=", mixed(builder, z), limit), factor, emit.zero())
        emit.store(d, mask, place)
        emit.store(emit.load(g, place) * d, a, place)
        return [builder.add(z, from_row_to_row)]

    emit.loop(rows, [counted], row)
