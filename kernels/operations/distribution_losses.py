"""Losses of outputs that describe the distribution of a target: several outputs belong to each target.

Their kernels are like those of `fastmlp.kernels.operations.losses`. Formulas: `fastmlp.reference.losses`.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Floats, Reals
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import LOSS_LANES, PANEL
from fastmlp.kernels.micro.functions import exp, log
from fastmlp.kernels.micro.lanes import finish_losses, lanes_from_panels
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
        finish_losses(delta, losses, weights, scratch, p, values, first, units, units, stride, scale, share)


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
        finish_losses(delta, losses, weights, scratch, p, values, first, units, columns, stride, scale, share)
