"""Losses of outputs that describe the distribution of a target: several outputs belong to each target.

Their kernels are like those of `fastmlp.kernels.operations.losses`. Formulas: `fastmlp.reference.losses`.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import LOSS_LANES, PANEL
from fastmlp.kernels.micro.functions import exp, log
from fastmlp.kernels.micro.lanes import lanes_from_panels, panels_from_lanes, scale_units, sum_over_units
from fastmlp.kernels.vocabulary.arithmetic import half, one, zero
from fastmlp.kernels.vocabulary.pointers import offset, real_like


@kernel()
def quantile(
    delta: Reals,
    a: Reals,
    y: Reals,
    weights: Floats,
    losses: Floats,
    rows: int,
    units: int,
    columns: int,
    stride: int,
    scale: float,
    scratch: Reals,
    parameters: Floats,
) -> None:
    """Compute the pinball loss, the mean over the outputs. Those of a target stand side by side, level by level."""
    levels, share = units // columns, 1.0 / units
    total, factor = scratch, offset(scratch, PANEL)
    p = offset(scratch, LOSS_LANES * PANEL)
    t = offset(p, (units + PANEL) * PANEL)
    values = offset(t, (units + PANEL) * PANEL)
    for first in range(0, rows, PANEL):
        lanes_from_panels(p, offset(a, first * PANEL), units, stride)
        lanes_from_panels(t, offset(y, first * PANEL), columns, stride)
        for unit in range(units):
            column = unit // levels
            level = real_like(parameters[unit - column * levels], a)
            pinball(offset(p, unit * PANEL), offset(values, unit * PANEL), offset(t, column * PANEL), level)
        finish(delta, losses, weights, total, factor, p, values, first, units, units, stride, scale, share)


@inline
def pinball(p: Reals, values: Reals, t: Reals, level: float) -> None:
    """Compute the loss for a level, of 16 rows: `d level` for `d = y - a > 0`, else `-d (1 - level)`; p becomes dA."""
    for lane in range(PANEL):
        d = t[lane] - p[lane]
        values[lane] = d * level if d > zero(d) else -d * (one(d) - level)
        p[lane] = -level if d > zero(d) else (one(d) - level if d < zero(d) else zero(d) * d)


@kernel()
def gaussian_nll(
    delta: Reals,
    a: Reals,
    y: Reals,
    weights: Floats,
    losses: Floats,
    rows: int,
    units: int,
    columns: int,
    stride: int,
    scale: float,
    scratch: Reals,
    parameters: Floats,
) -> None:
    """Compute `(log v + (y - m)^2 / v) / 2`, the mean over the targets, for the outputs m of all targets, then s.

    `v = e^s + epsilon`.
    """
    share, epsilon = 1.0 / columns, real_like(parameters[0], a)
    total, factor = scratch, offset(scratch, PANEL)
    p = offset(scratch, LOSS_LANES * PANEL)
    t = offset(p, (units + PANEL) * PANEL)
    values = offset(t, (units + PANEL) * PANEL)
    for first in range(0, rows, PANEL):
        lanes_from_panels(p, offset(a, first * PANEL), units, stride)
        lanes_from_panels(t, offset(y, first * PANEL), columns, stride)
        logarithms = offset(p, columns * PANEL)
        for i in range(columns * PANEL):
            explained = exp(logarithms[i])
            variance = explained + epsilon
            d = t[i] - p[i]
            square = d * d / variance
            values[i] = half(d) * (log(variance) + square)
            p[i] = -d / variance
            logarithms[i] = half(d) * (explained / variance) * (one(d) - square)
        finish(delta, losses, weights, total, factor, p, values, first, units, columns, stride, scale, share)


@inline
def finish(
    delta: Reals,
    losses: Floats,
    weights: Floats,
    total: Reals,
    factor: Reals,
    gradients: Reals,
    values: Reals,
    first: int,
    units: int,
    count: int,
    stride: int,
    scale: float,
    share: float,
) -> None:
    """Write the losses of 16 rows, each the sum of `count` values, and delta; both times weight and share."""
    sum_over_units(total, values, count)
    for lane in range(PANEL):
        factor[lane] = weights[first + lane] * (scale * share)
        losses[first + lane] = total[lane] * share * weights[first + lane]
    scale_units(gradients, factor, units)
    panels_from_lanes(offset(delta, first * PANEL), gradients, units, stride)
