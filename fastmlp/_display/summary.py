"""Text descriptions of a network: the table that `Network.summary` prints, and the line that `repr` returns."""

from __future__ import annotations

from fastmlp.architecture import Architecture, Layer

COLUMNS = ("layer", "units", "activation", "options", "parameters")
NUMERIC_COLUMNS = ("units", "parameters")


def layer_rows(architecture: Architecture) -> list[tuple[str, ...]]:
    """Return the rows of the table under `COLUMNS`: one for the input, and one for each layer."""
    first = ("input", str(architecture.inputs), "", "", "")
    return [first, *(_layer_row(index, layer) for index, layer in enumerate(architecture.layers, 1))]


def totals(architecture: Architecture) -> str:
    """Return the line below the table: number of parameters, dtype, loss, optimizer and seed."""
    total = sum(layer.parameters for layer in architecture.layers)
    return (
        f"{total:,} parameters, {architecture.dtype.name}; {architecture.loss.label}; {architecture.optimizer}; "
        f"seed {architecture.seed}"
    )


def text_table(architecture: Architecture) -> str:
    """Return a text table with a line for each layer, and the totals below."""
    cells = [COLUMNS, *layer_rows(architecture)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    alignments = [str.rjust if name in NUMERIC_COLUMNS else str.ljust for name in COLUMNS]
    lines = [
        "  ".join(align(cell, width) for align, cell, width in zip(alignments, row, widths, strict=True))
        for row in cells
    ]
    rule = "-" * len(lines[0])
    return "\n".join(line.rstrip() for line in [lines[0], rule, *lines[1:], rule, totals(architecture)])


def one_line(architecture: Architecture) -> str:
    """Return the sizes, output activation, loss, optimizer, dtype and seed of a network in one line."""
    sizes = "-".join(str(size) for size in [architecture.inputs, *(layer.units for layer in architecture.layers)])
    output = architecture.layers[-1].activation.label
    return (
        f"Network({sizes}, output={output!r}, loss={architecture.loss.label!r}, optimizer={architecture.optimizer}, "
        f"dtype={architecture.dtype.name!r}, seed={architecture.seed})"
    )


def _layer_row(index: int, layer: Layer) -> tuple[str, str, str, str, str]:
    options = [f"{name} {getattr(layer, name):g}" for name in ("dropout", "l1", "l2") if getattr(layer, name)]
    options += [] if layer.use_bias else ["no bias"]
    return f"dense {index}", str(layer.units), layer.activation.label, ", ".join(options), f"{layer.parameters:,}"
