"""Format version 1, which fastmlp 0.1.0 wrote: how its metadata are read. Its files load for ever; nothing writes it.

    architecture  {"layers": [{...}, {...}], "loss": {...}, "optimizer": {...}, "dtype": "float32", "seed": 7}
    training      {"epoch": 2, "batch": 0, "step": 12, ..., "optimizer_state": true}
    best, table   as in version 2

The tensors, and what stands within a layer, the loss or the optimizer, are those of version 2. Only one layer may be in
memory as Python's objects at a time, so the text of the architecture is divided at `{"layers": [`, `, ` and
`], "loss": `, in the one spelling that 0.1.0 wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastmlp import architecture as architectures
from fastmlp._io.description import TEXT_LIMIT, Description, decode_objects, describe

_DECODER = json.JSONDecoder()
_LAYERS = '{"layers": ['
_REST = '], "loss": '
_COUNTERS = ("epoch", "batch", "step", "rows", "batch_size", "mark")  # every file of version 1 has these


def decode(metadata: Mapping[str, str]) -> tuple[Description, bool]:
    """Return the description and whether the file has the optimizer's tensors.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError
        If something is missing, unknown, out of range or spelled differently.
    """
    architecture = architectures.from_dict(_decode_architecture(metadata["architecture"]))
    (training,) = decode_objects(metadata, "training")
    for name in _COUNTERS:
        if name not in training:
            raise KeyError(name)
    return describe(architecture, training, metadata)


def _decode_architecture(text: str) -> dict[str, Any]:
    """Return what `architecture.from_dict` takes, with an iterator over the layers."""
    end = text.rfind(_REST)
    if not text.startswith(_LAYERS) or end < 0:
        raise ValueError(f"'architecture' must be written as {_LAYERS}...{_REST}..., got {text[:40]!r}")
    begin = end + len("], ")
    if len(text) - begin > TEXT_LIMIT:
        raise ValueError(
            f"'architecture' takes {len(text) - begin} characters beside the layers, the limit is {TEXT_LIMIT}"
        )
    return {"layers": _decode_layers(text, end), **json.loads("{" + text[begin:])}


def _decode_layers(text: str, end: int) -> Iterator[Any]:
    position = len(_LAYERS)
    while position < end:
        layer, length = _DECODER.raw_decode(text[position : min(position + TEXT_LIMIT, end)])
        yield layer
        position += length
        if text[position : position + 2] != ", " and position != end:
            raise ValueError(f"'architecture' has {text[position : position + 20]!r} after a layer")
        position += 2
