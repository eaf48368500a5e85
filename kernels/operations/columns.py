"""The layers of columns: Z from A below and two numbers of each column, w and b, in place of a product of matrices.

- `scale` is `w o A_below + b`.
- `layer_normalization` is `w o N + b`, where N is A below with each row normalized: `(A - mean) / sqrt(variance +
  epsilon)`.
- `normalization` is `(A_below - b) / w`: b and w are means and deviations, which no step changes.

W has one row, which its blocks hold as the first row, so that one panel of columns has one block. A step updates it as
any other W; its gradient is `dW = sum over the rows of factor o delta`, where `factor` is A below or N.

Formulas: `fastmlp.reference.layers`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import Kernel, inline, kernel
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.columns import (
    mask_columns,
    normalize_columns,
    normalize_columns_back,
    scale_columns,
    scale_columns_back,
)
from fastmlp.kernels.micro.lanes import (
    dot_over_units,
    jacobian_of_normalization,
    lanes_from_panels,
    panels_from_lanes,
    scale_units,
    subtract_from_units,
    sum_over_units,
)
from fastmlp.kernels.vocabulary.pointers import offset, real_like


@dataclass(frozen=True)
class ColumnKernels:
    """How a layer of columns computes Z, and dJ/dA below.

    Parameters
    ----------
    forward : Kernel
        Z from A below, or the threshold where Z is less.
    backward : Kernel
        dJ/dA below from delta, 0 where A below is not above the threshold of the layer below.
    forward_saving : Kernel or None
        `forward`, which also saves N and then `1 / sqrt(variance + epsilon)` of each row in `factor`, for `backward`;
        None if the factor is A below.
    """

    forward: Kernel
    backward: Kernel
    forward_saving: Kernel | None = None


def by_columns(name: str, forward_panel: Any, backward_panel: Any) -> ColumnKernels:
    """Make the kernels of a layer whose columns are independent, from the operations on one panel."""

    @kernel(name)
    def forward(
        out: Reals,
        below: Reals,
        factor: Reals,
        w: Reals,
        b: Reals,
        rows: int,
        units: int,
        stride: int,
        threshold: float,
        epsilon: float,
        work: Reals,
    ) -> None:
        limit = real_like(threshold, out)
        for panel in range((units + PANEL - 1) // PANEL):
            z, a = offset(out, panel * stride), offset(below, panel * stride)
            forward_panel(z, a, offset(w, panel * BLOCK), offset(b, panel * PANEL), limit, rows)

    @kernel(f"{name} back")
    def backward(
        out: Reals,
        delta: Reals,
        factor: Reals,
        w: Reals,
        below: Reals,
        rows: int,
        units: int,
        stride: int,
        threshold: float,
        work: Reals,
    ) -> None:
        for panel in range((units + PANEL - 1) // PANEL):
            place = panel * stride
            backward_panel(offset(out, place), offset(delta, place), offset(w, panel * BLOCK), rows)
        mask_panels(out, below, rows, units, stride, threshold)

    return ColumnKernels(forward, backward)


@kernel()
def layer_normalization(
    out: Reals,
    below: Reals,
    factor: Reals,
    w: Reals,
    b: Reals,
    rows: int,
    units: int,
    stride: int,
    threshold: float,
    epsilon: float,
    work: Reals,
) -> None:
    """Compute `out = w o N + b`, or the threshold where that is less, 16 rows at a time, a row in each lane."""
    for first in range(0, rows, PANEL):
        place = first * PANEL
        normalize_rows(offset(out, place), offset(below, place), units, stride, epsilon, work)
    scale_panels(out, out, w, b, rows, units, stride, threshold)


@kernel()
def layer_normalization_saving(
    out: Reals,
    below: Reals,
    factor: Reals,
    w: Reals,
    b: Reals,
    rows: int,
    units: int,
    stride: int,
    threshold: float,
    epsilon: float,
    work: Reals,
) -> None:
    """Compute `layer_normalization`, N into the panels of `factor`, and the factor of each row into the next panel."""
    saved = offset(factor, (units + PANEL - 1) // PANEL * stride)
    for first in range(0, rows, PANEL):
        place = first * PANEL
        normalize_rows(offset(factor, place), offset(below, place), units, stride, epsilon, work)
        for lane in range(PANEL):
            saved[place + lane] = work[lane]
    scale_panels(out, factor, w, b, rows, units, stride, threshold)


@kernel()
def layer_normalization_back(
    out: Reals,
    delta: Reals,
    factor: Reals,
    w: Reals,
    below: Reals,
    rows: int,
    units: int,
    stride: int,
    threshold: float,
    work: Reals,
) -> None:
    """Compute `out = s o (D - mean(D) - N o mean(D o N))` with `D = w o delta` and the saved factor s of each row."""
    panels = (units + PANEL - 1) // PANEL
    for panel in range(panels):
        place = panel * stride
        scale_columns_back(offset(out, place), offset(delta, place), offset(w, panel * BLOCK), rows)
    saved = offset(factor, panels * stride)
    mean, slope, d = work, offset(work, PANEL), offset(work, 2 * PANEL)
    n = offset(d, (units + PANEL) * PANEL)
    for first in range(0, rows, PANEL):
        place = first * PANEL
        lanes_from_panels(d, offset(out, place), units, stride)
        lanes_from_panels(n, offset(factor, place), units, stride)
        sum_over_units(mean, d, units)
        dot_over_units(slope, d, n, units)
        for lane in range(PANEL):
            mean[lane], slope[lane] = mean[lane] / units, slope[lane] / units
        jacobian_of_normalization(d, n, mean, slope, offset(saved, place), units)
        panels_from_lanes(offset(out, place), d, units, stride)
    mask_panels(out, below, rows, units, stride, threshold)


@inline
def normalize_rows(out: Reals, a: Reals, units: int, stride: int, epsilon: float, work: Reals) -> None:
    """Compute 16 rows of N from A, and `1 / sqrt(variance + epsilon)` of each row in the first lanes of `work`."""
    numbers, z = work, offset(work, PANEL)
    lanes_from_panels(z, a, units, stride)
    sum_over_units(numbers, z, units)
    for lane in range(PANEL):
        numbers[lane] /= units
    subtract_from_units(z, numbers, units)
    dot_over_units(numbers, z, z, units)
    for lane in range(PANEL):
        numbers[lane] = 1.0 / math.sqrt(numbers[lane] / units + epsilon)
    scale_units(z, numbers, units)
    panels_from_lanes(out, z, units, stride)


@inline
def scale_panels(
    out: Reals, a: Reals, w: Reals, b: Reals, rows: int, units: int, stride: int, threshold: float
) -> None:
    """Compute `out = w o a + b`, or the threshold where that is less."""
    limit = real_like(threshold, out)
    for panel in range((units + PANEL - 1) // PANEL):
        z, n = offset(out, panel * stride), offset(a, panel * stride)
        scale_columns(z, n, offset(w, panel * BLOCK), offset(b, panel * PANEL), limit, rows)


@inline
def mask_panels(out: Reals, below: Reals, rows: int, units: int, stride: int, threshold: float) -> None:
    """Set `out` to 0 where A below is not above the threshold of its layer. Without one, A below is not read."""
    if threshold == -math.inf:
        return
    limit = real_like(threshold, out)
    for panel in range((units + PANEL - 1) // PANEL):
        mask_columns(offset(out, panel * stride), offset(below, panel * stride), limit, rows)


COLUMNS: dict[str, ColumnKernels] = {
    "scale": by_columns("scale", scale_columns, scale_columns_back),
    "layer_normalization": ColumnKernels(
        layer_normalization, layer_normalization_back, forward_saving=layer_normalization_saving
    ),
    "normalization": by_columns("normalization", normalize_columns, normalize_columns_back),
}
