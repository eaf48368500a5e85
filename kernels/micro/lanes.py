"""Rows turned into lanes, `lanes[unit, row]` for 16 rows: what runs over the units of a row runs down a register.

Softmax and the losses work so: no sum across a register, no padding in the way, and every row adds up in the order of
its units. Measured at 100 units, float32: softmax with cross-entropy 5.0 ns a number with loops over the 16 lanes,
which LLVM leaves half scalar, 1.0 with these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import inline
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import FEW, transpose, transpose_few_columns, transpose_few_rows
from fastmlp.kernels.vocabulary.simd import (
    INT,
    Emitter,
    Vector,
    fma,
    instruction,
    offset,
)

CHAIN = 1024  # units that are added up one after the other; in one chain a million probabilities sum to 0.993


@inline
def lanes_from_panels(lanes: Reals, panels: Reals, units: int, stride: int) -> None:
    """`lanes[unit, row] = panels[row, unit]` for 16 rows; `stride` elements from panel to panel."""
    for panel in range((units + PANEL - 1) // PANEL):
        if units - panel * PANEL <= FEW:
            transpose_few_columns(offset(lanes, panel * BLOCK), offset(panels, panel * stride))
        else:
            transpose(offset(lanes, panel * BLOCK), offset(panels, panel * stride))


@inline
def panels_from_lanes(panels: Reals, lanes: Reals, units: int, stride: int) -> None:
    """`panels[row, unit] = lanes[unit, row]` for 16 rows, the padding 0."""
    for panel in range((units + PANEL - 1) // PANEL):
        few = units - panel * PANEL <= FEW
        for i in range(units * PANEL, panel * BLOCK + (FEW * PANEL if few else BLOCK)):
            lanes[i] = 0.0
        if few:
            transpose_few_rows(offset(panels, panel * stride), offset(lanes, panel * BLOCK))
        else:
            transpose(offset(panels, panel * stride), offset(lanes, panel * BLOCK))


def _add_up(emit: Emitter, out: Any, units: Any, add: Callable[[Any, Vector], Vector]) -> None:
    """Store the sum of what `add(place, sum)` adds, unit after unit: chains of `CHAIN`, then these."""
    builder = emit.builder

    def chain(index: Any, total: Vector) -> list[Vector]:
        first = builder.mul(index, INT(CHAIN))
        left = builder.sub(units, first)
        count = builder.select(builder.icmp_signed("<", left, INT(CHAIN)), left, INT(CHAIN))

        def turn(unit: Any, own: Vector) -> list[Vector]:
            return [add(builder.mul(builder.add(first, unit), INT(PANEL)), own)]

        (own,) = emit.loop(count, [emit.zero()], turn)
        return [total + own]

    (total,) = emit.loop(builder.sdiv(builder.add(units, INT(CHAIN - 1)), INT(CHAIN)), [emit.zero()], chain)
    emit.store(total, out)


@instruction
def sum_over_units(emit: Emitter, out: Any, lanes: Any, units: Any) -> None:
    """`out[row] = sum over the units of lanes[unit, row]`."""
    _add_up(emit, out, units, lambda place, total: total + emit.load(lanes, place))


@instruction
def dot_over_units(emit: Emitter, out: Any, a: Any, b: Any, units: Any) -> None:
    """`out[row] = sum over the units of a[unit, row] * b[unit, row]`."""
    _add_up(emit, out, units, lambda place, total: fma(emit.load(a, place), emit.load(b, place), total))


@instruction
def max_over_units(emit: Emitter, out: Any, lanes: Any, units: Any) -> None:
    """`out[row] = the largest of lanes[:, row]`."""

    def turn(unit: Any, most: Vector) -> list[Vector]:
        value = emit.load(lanes, emit.builder.mul(unit, INT(PANEL)))
        return [emit.select(emit.builder.fcmp_ordered(">", value.value, most.value), value, most)]

    (most,) = emit.loop(units, [emit.load(lanes)], turn)
    emit.store(most, out)


def _each_unit(emit: Emitter, lanes: Any, units: Any, change: Callable[[Any, Vector], Vector]) -> None:
    """Replace each unit's lanes by `change(place, lanes)`."""

    def turn(unit: Any) -> list[Any]:
        place = emit.builder.mul(unit, INT(PANEL))
        emit.store(change(place, emit.load(lanes, place)), lanes, place)
        return []

    emit.loop(units, [], turn)


@instruction
def subtract_from_units(emit: Emitter, lanes: Any, row: Any, units: Any) -> None:
    """`lanes[unit, :] -= row`."""
    subtracted = emit.load(row)
    _each_unit(emit, lanes, units, lambda _, x: x - subtracted)


@instruction
def divide_units(emit: Emitter, lanes: Any, row: Any, units: Any) -> None:
    """`lanes[unit, :] *= 1 / row`: one division a lane in place of one a number."""
    inverse = emit.splat(emit.real_constant(1.0)) / emit.load(row)
    _each_unit(emit, lanes, units, lambda _, x: x * inverse)


@instruction
def scale_units(emit: Emitter, lanes: Any, row: Any, units: Any) -> None:
    """`lanes[unit, :] *= row`."""
    factor = emit.load(row)
    _each_unit(emit, lanes, units, lambda _, x: x * factor)


@instruction
def weighted_difference(emit: Emitter, t: Any, p: Any, mass: Any, factor: Any, units: Any) -> None:
    """`t[unit, :] = (p[unit, :] * mass - t[unit, :]) * factor`."""
    m, f = emit.load(mass), emit.load(factor)
    _each_unit(emit, t, units, lambda place, y: (emit.load(p, place) * m - y) * f)


@instruction
def jacobian_of_softmax(emit: Emitter, d: Any, p: Any, total: Any, units: Any) -> None:
    """`d[unit, :] = p[unit, :] * (d[unit, :] - total)`."""
    subtracted = emit.load(total)
    _each_unit(emit, d, units, lambda place, x: emit.load(p, place) * (x - subtracted))
