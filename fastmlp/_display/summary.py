"""What a network is, in words: the table that `Network.summary` prints, and the line that `repr` gives."""

from __future__ import annotations

from fastmlp.architecture import Architecture, Layer

HEAD = ("layer", "units", "activation", "options", "parameters")
NUMBERS = ("units", "parameters")
"""The columns of numbers."""


def rows(architecture: Architecture) -> list[tuple[str, ...]]:
    """The cells under `HEAD`, a row for the input and one for each layer."""
    first = ("input", str(architecture.inputs), "", "", "")
    return [first, *(_row(index, layer) for index, layer in enumerate(architecture.layers, 1))]


def totals(architecture: Architecture) -> str:
    """The number of parameters, dtype, loss, optimizer and seed."""
    total = sum(layer.parameters for layer in architecture.layers)
    return (
        f"{total:,} parameters, {architecture.dtype.name}; {architecture.loss.label}; {architecture.optimizer}; "
        f"seed {architecture.seed}"
    )


def table(architecture: Architecture) -> str:
    """The layers one below the other, then the totals."""
    cells = [HEAD, *rows(architecture)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [str.rjust if name in NUMBERS else str.ljust for name in HEAD]
    lines = [
        "  ".join(align(cell, width) for align, cell, width in zip(aligned, row, widths, strict=True)) for row in cells
    ]
    rule = "-" * len(lines[0])
    return "\n".join(line.rstrip() for line in [lines[0], rule, *lines[1:], rule, totals(architecture)])


def line(architecture: Architecture) -> str:
    """Sizes, output activation, loss, optimizer, dtype and seed."""
    sizes = "-".join(str(size) for size in [architecture.inputs, *(layer.units for layer in architecture.layers)])
    output = architecture.layers[-1].activation.label
    return (
        f"Network({sizes}, output={output!r}, loss={architecture.loss.label!r}, optimizer={architecture.optimizer}, "
        f"dtype={architecture.dtype.name!r}, seed={architecture.seed})"
    )


def _row(index: int, layer: Layer) -> tuple[str, str, str, str, str]:
    options = [f"{name} {getattr(layer, name):g}" for name in ("dropout", "l1", "l2") if getattr(layer, name)]
    options += [] if layer.use_bias else ["no bias"]
    return f"dense {index}", str(layer.units), layer.activation.label, ", ".join(options), f"{layer.parameters:,}"
