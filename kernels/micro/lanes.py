"""Operations over the units of a row, on 16 transposed rows at a time: `lanes[unit, row]`, a row in each lane.

Softmax and the losses work on lanes. A sum over units then needs no sum across a register, skips the padding, and adds
up each row in the order of its units. At 100 units in float32, softmax with cross-entropy takes 1.0 ns a number with
these operations, and 5.0 ns with loops over the 16 lanes, which LLVM leaves half scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import inline
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import FEW, transpose, transpose_few_columns, transpose_few_rows
from fastmlp.kernels.vocabulary.pointers import offset
from fastmlp.kernels.vocabulary.simd import INT, Emitter, Vector, fma, instruction

CHAIN = 1024  # units that one chain of additions sums; in a single chain, a million probabilities sum to 0.993


@inline
def lanes_from_panels(lanes: Reals, panels: Reals, units: int, stride: int) -> None:
    """Transpose 16 rows of panels to lanes: `lanes[unit, row] = panels[row, unit]`; `stride` is from panel to panel."""
    for panel in range((units + PANEL - 1) // PANEL):
        if units - panel * PANEL <= FEW:
            transpose_few_columns(offset(lanes, panel * BLOCK), offset(panels, panel * stride))
        else:
            transpose(offset(lanes, panel * BLOCK), offset(panels, panel * stride))


@inline
def panels_from_lanes(panels: Reals, lanes: Reals, units: int, stride: int) -> None:
    """Transpose lanes to 16 rows of panels: `panels[row, unit] = lanes[unit, row]`. The padding becomes 0."""
    for panel in range((units + PANEL - 1) // PANEL):
        few = units - panel * PANEL <= FEW
        for i in range(units * PANEL, panel * BLOCK + (FEW * PANEL if few else BLOCK)):
            lanes[i] = 0.0
        if few:
            transpose_few_rows(offset(panels, panel * stride), offset(lanes, panel * BLOCK))
        else:
            transpose(offset(panels, panel * stride), offset(lanes, panel * BLOCK))


def _sum_units(emit: Emitter, out: Any, units: Any, add: Callable[[Any, Vector], Vector]) -> None:
    """Store a sum over the units, of which `add(place, sum)` adds one: chains of `CHAIN` units, then their sums."""
    builder = emit.builder

    def add_chain(index: Any, total: Vector) -> list[Vector]:
        first = builder.mul(index, INT(CHAIN))
        left = builder.sub(units, first)
        count = builder.select(builder.icmp_signed("<", left, INT(CHAIN)), left, INT(CHAIN))

        def add_unit(unit: Any, chain: Vector) -> list[Vector]:
            return [add(builder.mul(builder.add(first, unit), INT(PANEL)), chain)]

        (chain,) = emit.loop(count, [emit.zero()], add_unit)
        return [total + chain]

    (total,) = emit.loop(builder.sdiv(builder.add(units, INT(CHAIN - 1)), INT(CHAIN)), [emit.zero()], add_chain)
    emit.store(total, out)


@instruction
def sum_over_units(emit: Emitter, out: Any, lanes: Any, units: Any) -> None:
    """Compute `out[row] = sum over the units of lanes[unit, row]`."""
    _sum_units(emit, out, units, lambda place, total: total + emit.load(lanes, place))


@instruction
def dot_over_units(emit: Emitter, out: Any, a: Any, b: Any, units: Any) -> None:
    """Compute `out[row] = sum over the units of a[unit, row] * b[unit, row]`."""
    _sum_units(emit, out, units, lambda place, total: fma(emit.load(a, place), emit.load(b, place), total))


@instruction
def max_over_units(emit: Emitter, out: Any, lanes: Any, units: Any) -> None:
    """Compute `out[row] = max over the units of lanes[unit, row]`."""

    def include(unit: Any, largest: Vector) -> list[Vector]:
        value = emit.load(lanes, emit.builder.mul(unit, INT(PANEL)))
        return [emit.select(emit.builder.fcmp_ordered(">", value.value, largest.value), value, largest)]

    (largest,) = emit.loop(units, [emit.load(lanes)], include)
    emit.store(largest, out)


def _map_units(emit: Emitter, lanes: Any, units: Any, change: Callable[[Any, Vector], Vector]) -> None:
    """Replace the lanes of each unit by `change(place, lanes)`."""

    def replace(unit: Any) -> list[Any]:
        place = emit.builder.mul(unit, INT(PANEL))
        emit.store(change(place, emit.load(lanes, place)), lanes, place)
        return []

    emit.loop(units, [], replace)


@instruction
def subtract_from_units(emit: Emitter, lanes: Any, row: Any, units: Any) -> None:
    """Compute `lanes[unit, :] -= row`."""
    subtracted = emit.load(row)
    _map_units(emit, lanes, units, lambda _, x: x - subtracted)


@instruction
def divide_units(emit: Emitter, lanes: Any, row: Any, units: Any) -> None:
    """Compute `lanes[unit, :] *= 1 / row`, with one division a lane in place of one a number."""
    inverse = emit.splat(emit.real_constant(1.0)) / emit.load(row)
    _map_units(emit, lanes, units, lambda _, x: x * inverse)


@instruction
def scale_units(emit: Emitter, lanes: Any, row: Any, units: Any) -> None:
    """Compute `lanes[unit, :] *= row`."""
    factor = emit.load(row)
    _map_units(emit, lanes, units, lambda _, x: x * factor)


@instruction
def weighted_difference(emit: Emitter, t: Any, p: Any, mass: Any, factor: Any, units: Any) -> None:
    """Compute `t[unit, :] = (p[unit, :] * mass - t[unit, :]) * factor`."""
    m, f = emit.load(mass), emit.load(factor)
    _map_units(emit, t, units, lambda place, y: (emit.load(p, place) * m - y) * f)


@instruction
def jacobian_of_softmax(emit: Emitter, d: Any, p: Any, total: Any, units: Any) -> None:
    """Compute `d[unit, :] = p[unit, :] * (d[unit, :] - total)`."""
    subtracted = emit.load(total)
    _map_units(emit, d, units, lambda place, x: emit.load(p, place) * (x - subtracted))


@instruction
def jacobian_of_normalization(emit: Emitter, d: Any, n: Any, mean: Any, slope: Any, factor: Any, units: Any) -> None:
    """Compute `d[unit, :] = (d[unit, :] - mean - n[unit, :] * slope) * factor`."""
    m, s, f = emit.load(mean), emit.load(slope), emit.load(factor)
    _map_units(emit, d, units, lambda place, x: (x - m - emit.load(n, place) * s) * f)


@inline
def finish_losses(
    delta: Reals,
    losses: Floats,
    weights: Floats,
    scratch: Reals,
    gradients: Reals,
    values: Reals,
    first: int,
    units: int,
    count: int,
    stride: int,
    scale: float,
    share: float,
) -> None:
    """Write the losses of 16 rows, each the sum of `count` values, and delta; both times weight and share.

    `scratch` has two vectors of 16 lanes.
    """
    total, factor = scratch, offset(scratch, PANEL)
    sum_over_units(total, values, count)
    for lane in range(PANEL):
        factor[lane] = weights[first + lane] * (scale * share)
        losses[first + lane] = total[lane] * share * weights[first + lane]
    scale_units(gradients, factor, units)
    panels_from_lanes(offset(delta, first * PANEL), gradients, units, stride)
