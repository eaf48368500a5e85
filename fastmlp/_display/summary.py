"""Text descriptions of a network: the table that `Network.summary` prints, and the line that `repr` returns."""

from __future__ import annotations

from collections.abc import Sequence

from fastmlp._data.names import Names
from fastmlp._display.texts import printable_name
from fastmlp.architecture import Architecture, Layer

COLUMNS = ("layer", "units", "activation", "options", "parameters")
NUMERIC_COLUMNS = ("units", "parameters")
_SHOWN_NAMES = 4  # of inputs and of classes


def layer_rows(architecture: Architecture, names: Names) -> list[tuple[str, ...]]:
    """Return the rows of the table under `COLUMNS`: one for the input, and one for each layer.

    The names of the inputs are an option of the input, and those of the classes of the last layer.
    """
    rows = [["input", str(architecture.inputs), "", _listed(names.features), ""]]
    rows += [_layer_row(index, layer) for index, layer in enumerate(architecture.layers, 1)]
    rows[-1][3] = ", ".join(filter(None, (rows[-1][3], _listed(names.classes))))
    return [tuple(row) for row in rows]


def totals(architecture: Architecture) -> str:
    """Return the line below the table: number of parameters, dtype, loss, optimizer and seed."""
    total = sum(layer.parameters for layer in architecture.layers)
    return (
        f"{total:,} parameters, {architecture.dtype.name}; {architecture.loss.label}; {architecture.optimizer}; "
        f"seed {architecture.seed}"
    )


def text_table(architecture: Architecture, names: Names) -> str:
    """Return a text table with a line for each layer, and the totals below."""
    cells = [COLUMNS, *layer_rows(architecture, names)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    alignments = [str.rjust if name in NUMERIC_COLUMNS else str.ljust for name in COLUMNS]
    lines = [
        "  ".join(align(cell, width) for align, cell, width in zip(alignments, row, widths, strict=True))
        for row in cells
    ]
    rule = "-" * len(lines[0])
    return "\n".join(line.rstrip() for line in [lines[0], rule, *lines[1:], rule, totals(architecture)])


def one_line(architecture: Architecture, names: Names) -> str:
    """Return the sizes, output activation, loss, optimizer, dtype, seed and classes of a network in one line."""
    sizes = "-".join(str(size) for size in [architecture.inputs, *(layer.units for layer in architecture.layers)])
    output = architecture.layers[-1].activation.label
    classes = "" if names.classes is None else f", classes={_listed(names.classes)!r}"
    return (
        f"Network({sizes}, output={output!r}, loss={architecture.loss.label!r}, optimizer={architecture.optimizer}, "
        f"dtype={architecture.dtype.name!r}, seed={architecture.seed}{classes})"
    )


def _listed(names: Sequence[str] | None) -> str:
    """Return the first names as one line."""
    shown = [printable_name(name, 20) for name in (names or ())[:_SHOWN_NAMES]]
    return ", ".join([*shown, *(["..."] if len(names or ()) > _SHOWN_NAMES else [])])


def _layer_row(index: int, layer: Layer) -> list[str]:
    options = [
        f"{name} {getattr(layer, name):g}" for name in ("epsilon", "dropout", "l1", "l2") if getattr(layer, name)
    ]
    options += [] if layer.use_bias else ["no bias"]
    options += [] if layer.trainable or not layer.learns else ["frozen"]
    options += [] if layer.learning_rate_factor == 1 else [f"learning rate x {layer.learning_rate_factor:g}"]
    kind = layer.kind.replace("_", " ")
    return [f"{kind} {index}", str(layer.units), layer.activation.label, ", ".join(options), f"{layer.parameters:,}"]
