"""Layers: what stands in the list of layers of a `Network` where a number of units is not enough.

A description is a frozen object that holds only options. The network makes an `fastmlp.architecture.Layer` of it, with
nothing left open, and owns the parameters. `fastmlp.reference.layers` has the formulas in NumPy.

To add a layer of columns, whose W is a number for each column, touch these places:

1. `fastmlp/reference/layers.py`: the formulas as a class, and an entry in its `LAYERS`.
2. `kernels/operations/columns.py`: the kernels, and a line in its `COLUMNS`.
3. A class in `columns`: its options as dataclass fields, `kind`, and `mixes_columns` if a row must be known as a whole.
   A new number of a layer is also a field of `fastmlp.architecture.Layer` and of `Layer` in `kernels/tables.py`.
4. This module: the import, `__all__` and `LAYERS`. `fastmlp/__init__.py` and `fastmlp/__init__.pyi`: the public name.
5. The exports: `LAYERS` of `fastmlp/interchange/onnx.py` and `c.py`; in `torch.py` `_make_layer`, `_layer_readers` and
   `_Layer.describe`.
6. Tests: `KINDS` in `tests/test_column_layers.py`, and `columns` in `tests/interchange/conversion.py`.
   `docs/networks.md`: a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmlp._runtime.names import module_attributes
from fastmlp.layers.base import LayerDescription
from fastmlp.layers.columns import LayerNormalization, Normalization, Scale
from fastmlp.layers.dense import Dense

__all__ = ["LAYERS", "Dense", "LayerDescription", "LayerNormalization", "Normalization", "Scale"]

LAYERS: dict[str, type[LayerDescription]] = {
    kind.kind: kind for kind in (Dense, Scale, LayerNormalization, Normalization)
}
"""The class of each kind of layer, by the name that model files store."""


if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
