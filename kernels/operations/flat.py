"""The parameter vector in the order of `Network.flat_weights`: of each layer W, row by row, then b; and transposes."""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Reals, Records
from fastmlp.kernels.host.jit import inline, kernel
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import panels_to_row, row_to_panels, transpose
from fastmlp.kernels.tables import Layer
from fastmlp.kernels.vocabulary.pointers import offset


@inline
def row_of_w(layer: Layer, k: int) -> int:
    """Return where row k of W begins in the parameter vector."""
    return layer.w + k // PANEL * BLOCK + k % PANEL * PANEL


@kernel()
def flatten(layers: Records[Layer], count: int, flat: Reals, vector: Reals) -> None:
    """Copy a parameter vector of `count` layers to a flat one."""
    place = 0
    for index in range(count):
        layer = layers[index]
        for k in range(layer.w_rows):
            row = offset(vector, row_of_w(layer, k))
            panels_to_row(offset(flat, place), row, layer.units, layer.w_panels * BLOCK)
            place += layer.units
        if layer.uses_bias != 0:
            panels_to_row(offset(flat, place), offset(vector, layer.b), layer.units, PANEL)
            place += layer.units


@kernel()
def unflatten(layers: Records[Layer], count: int, vector: Reals, flat: Reals) -> None:
    """Copy a flat vector to a parameter vector. The padding of units becomes 0, that of inputs is not written."""
    place = 0
    for index in range(count):
        layer = layers[index]
        for k in range(layer.w_rows):
            row = offset(vector, row_of_w(layer, k))
            row_to_panels(row, offset(flat, place), layer.units, layer.w_panels * BLOCK)
            place += layer.units
        if layer.uses_bias != 0:
            row_to_panels(offset(vector, layer.b), offset(flat, place), layer.units, PANEL)
            place += layer.units


@kernel()
def transposes(layers: Records[Layer], count: int, vector: Reals) -> None:
    """Write every W^T from its W."""
    for index in range(count):
        layer = layers[index]
        for block in range(layer.unit_panels * layer.w_panels):
            transpose_block(layer, vector, block)


@inline
def transpose_block(layer: Layer, vector: Reals, block: int) -> None:
    """Write the transpose of a block of the layer's W in a parameter vector."""
    panel = block // layer.w_panels
    rows = block - panel * layer.w_panels
    out = offset(layer.wt, (rows * layer.unit_panels + panel) * BLOCK)
    transpose(out, offset(vector, layer.w + block * BLOCK))
