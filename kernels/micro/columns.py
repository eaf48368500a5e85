"""Layers of columns: multiply or divide each column of a panel by its own number, and sum products of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.vocabulary.simd import INT, Emitter, Vector, fma, instruction, maximum


@instruction
def scale_columns(emit: Emitter, out: Any, a: Any, w: Any, b: Any, threshold: Any, rows: Any) -> None:
    """Compute `out[i, :] = w * a[i, :] + b`, or the threshold where that is less, for all rows i of one panel."""
    factor, added, limit = emit.load(w), emit.load(b), emit.splat(threshold)
    _map_rows(emit, out, rows, lambda place: maximum(fma(factor, emit.load(a, place), added), limit))


@instruction
def normalize_columns(emit: Emitter, out: Any, a: Any, w: Any, b: Any, threshold: Any, rows: Any) -> None:
    """Compute `out[i, :] = (a[i, :] - b) / w`, 0 where w is 0, or the threshold where that is less, of one panel."""
    mean, divide, limit = emit.load(b), _division_by(emit, emit.load(w)), emit.splat(threshold)
    _map_rows(emit, out, rows, lambda place: maximum(divide(emit.load(a, place) - mean), limit))


@instruction
def scale_columns_back(emit: Emitter, out: Any, delta: Any, w: Any, rows: Any) -> None:
    """Compute `out[i, :] = w * delta[i, :]` for all rows i of one panel."""
    factor = emit.load(w)
    _map_rows(emit, out, rows, lambda place: factor * emit.load(delta, place))


@instruction
def normalize_columns_back(emit: Emitter, out: Any, delta: Any, w: Any, rows: Any) -> None:
    """Compute `out[i, :] = delta[i, :] / w`, 0 where w is 0, for all rows i of one panel."""
    divide = _division_by(emit, emit.load(w))
    _map_rows(emit, out, rows, lambda place: divide(emit.load(delta, place)))


@instruction
def mask_columns(emit: Emitter, out: Any, below: Any, threshold: Any, rows: Any) -> None:
    """Set `out[i, :]` to 0 where `below` is not above the threshold, for all rows i of one panel."""
    limit = emit.splat(threshold)

    def masked(place: Any) -> Vector:
        above = emit.builder.fcmp_unordered(">", emit.load(below, place).value, limit.value)
        return emit.select(above, emit.load(out, place), emit.zero())

    _map_rows(emit, out, rows, masked)


@instruction
def column_products(emit: Emitter, out: Any, start: Any, a: Any, delta: Any, rows: Any) -> None:
    """Compute `out[:] = start[:] + sum over r of a[r, :] * delta[r, :]` in four chains of additions."""
    builder = emit.builder

    def add_four(_: Any, a_r: Any, delta_r: Any, *chains: Vector) -> list[Any]:
        places = [i * PANEL for i in range(4)]
        sums = [fma(emit.load(a_r, i), emit.load(delta_r, i), c) for i, c in zip(places, chains, strict=True)]
        return [emit.at(a_r, 4 * PANEL), emit.at(delta_r, 4 * PANEL), *sums]

    def add_one(_: Any, a_r: Any, delta_r: Any, chain: Vector) -> list[Any]:
        return [emit.at(a_r, PANEL), emit.at(delta_r, PANEL), fma(emit.load(a_r), emit.load(delta_r), chain)]

    last_a, last_delta, *chains = emit.loop(builder.ashr(rows, INT(2)), [a, delta, *([emit.zero()] * 4)], add_four)
    total = emit.load(start) + ((chains[0] + chains[1]) + (chains[2] + chains[3]))
    *_, total = emit.loop(builder.and_(rows, INT(3)), [last_a, last_delta, total], add_one)
    emit.store(total, out)


def _division_by(emit: Emitter, w: Vector) -> Callable[[Vector], Vector]:
    """Return the function of x that divides by w, and gives 0 where w is 0, as in the padding."""
    nonzero = emit.builder.fcmp_unordered("!=", w.value, emit.zero().value)
    return lambda x: emit.select(nonzero, x / w, emit.zero())


def _map_rows(emit: Emitter, out: Any, rows: Any, value: Callable[[Any], Vector]) -> None:
    """Store `value(place)` in every row of a panel, which begins at `place`."""

    def store_row(row: Any) -> list[Any]:
        place = emit.builder.mul(row, INT(PANEL))
        emit.store(value(place), out, place)
        return []

    emit.loop(rows, [], store_row)
