"""Layers: what stands in the list of layers of a `Network` where a number of units is not enough.

A description is a frozen object that holds only options. The network makes an `fastmlp.architecture.Layer` of it, with
nothing left open, and owns the parameters. `fastmlp.reference.layers` has the formulas in NumPy.

To add a layer of columns, whose W is a number for each column, touch these places:

1. `fastmlp/reference/layers.py`: the formulas as a class, and an entry in its `LAYERS`.
2. `kernels/operations/columns.py`: the kernels, and a line in its `COLUMNS`.
3. A class in `columns`: its options as dataclass fields, and `kind`.
4. This module: the import, `__all__` and `LAYERS`. `fastmlp/__init__.py` and `fastmlp/__init__.pyi`: the public name.
5. The exports: `fastmlp/interchange/onnx.py`, `c.py` and `torch.py`.
6. Tests: `LAYERS` in `tests/cases.py`. `docs/networks.md`: a section.
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
