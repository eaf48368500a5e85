"""A diagram of a network: a column of units for each layer, and a line for each weight."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmlp._display.texts import printable_name
from fastmlp.plot.canvas import PLAIN, Canvas
from fastmlp.plot.themes import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastmlp.architecture import Architecture, Layer

_MAX_UNITS = 10  # of a column; a larger layer shows its first 5 and last 4 units
_FIRST_UNITS, _LAST_UNITS = 5, 4
_MAX_COLUMNS = 14  # a deeper network shows its first and last layers
_MAX_STEP, _MIN_STEP = 1.5, 0.9  # inches from column to column
_CHARACTER_WIDTH = 0.075  # inches, in the texts below the columns
_WIDTH = 12.0  # inches for all columns, while the step is within its limits


class _Network(Protocol):
    @property
    def architecture(self) -> Architecture: ...
    def get_weights(self) -> Sequence[tuple[NDArray[Any], NDArray[Any] | None]]: ...


class _Column(NamedTuple):
    x: float
    layer: int  # 0 is the input
    units: int
    heights: list[float]  # y of each drawn unit; 0 is the middle

    @property
    def complete(self) -> bool:
        """Whether every unit is drawn."""
        return len(self.heights) == self.units


def network(
    net: _Network,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    theme: Theme = "light",
) -> Figure:
    """Draw a network: a column of units for each layer, with its size, activation and dropout, and lines between units.

    Between layers of at most 10 units, each line shows a weight. Its width and opacity grow with the absolute value of
    the weight relative to the largest one of the layer. Positive weights have the first colour, negative weights the
    second. Of larger layers only some units are drawn, and all lines are alike.

    Parameters
    ----------
    net : Network
        A `fastmlp.Network` or a network of `fastmlp.reference`.
    path : path-like, optional
        The PNG or SVG file to write. Its folder must exist. None writes no file.
    ax : matplotlib.axes.Axes, optional
        The axes to draw into. None creates a figure.
    title : str, optional
        The title above the network. None gives the number of parameters and the loss.
    theme : {"light", "dark", "auto"}
        The colours. "auto" needs an SVG file, which follows the colour scheme of the reader.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, or the figure of `ax`. Of more than 13 layers, the first 7 and the last 6 are drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    TypeError
        If `net` is not a network or `ax` is not a matplotlib Axes.
    ValueError
        If `path` or `theme` is invalid.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> net = fastmlp.Network([4, 8, 3], output="softmax", seed=0)
    >>> network(net, "network.svg", theme="auto")
    """
    if not hasattr(net, "architecture") or not hasattr(net, "get_weights"):
        raise TypeError(f"net must be a Network, got {net!r} of type {type(net).__name__}")
    layers, weights = net.architecture.layers, net.get_weights()
    columns = _columns([net.architecture.inputs, *(layer.units for layer in layers)])
    height = 2 * max(column.heights[0] for column in columns) + 1
    step = max(_MIN_STEP, min(_MAX_STEP, _WIDTH / len(columns)))
    canvas = Canvas(path, ax, theme, (max(4.5, step * (columns[-1].x + 1.2)), 2.1 + 0.36 * height))
    axes = canvas.axes()
    axes.set_axis_off()
    for left, right in itertools.pairwise(columns):
        if right.layer == left.layer + 1:
            _draw_weights(canvas, axes, left, right, weights[right.layer - 1][0])
    texts = [_description(None if column.layer == 0 else layers[column.layer - 1]) for column in columns]
    slanted = _CHARACTER_WIDTH * max(len(line) for lines in texts for line in lines) > step - 0.1
    for column, lines in zip(columns, texts, strict=True):
        _draw_units(canvas, axes, column)
        _describe_column(canvas, axes, column, -height / 2 - 0.25, lines, slanted)
    for left, right in itertools.pairwise(columns):
        if right.layer > left.layer + 1:
            _write(canvas, axes, (left.x + right.x) / 2, 0, f"{right.layer - left.layer - 1} more\nlayers")
    axes.set(xlim=(-0.6, columns[-1].x + 0.6), ylim=(-height / 2 - 2.6, height / 2 + 0.4))
    canvas.title(axes, _default_title(net.architecture) if title is None else title, 12)
    return canvas.finish()


def _columns(sizes: Sequence[int]) -> list[_Column]:
    """Return the columns to draw for the input and all layers, given the number of units of each."""
    layers = list(range(len(sizes)))
    if len(layers) > _MAX_COLUMNS:
        layers = layers[: _MAX_COLUMNS // 2 + 1] + layers[-(_MAX_COLUMNS // 2 - 1) :]
    positions = np.cumsum([0, *(1.0 if b == a + 1 else 1.6 for a, b in itertools.pairwise(layers))])
    return [
        _Column(float(x), layer, sizes[layer], _unit_heights(sizes[layer]))
        for x, layer in zip(positions, layers, strict=True)
    ]


def _unit_heights(units: int) -> list[float]:
    if units <= _MAX_UNITS:
        return [(units - 1) / 2 - unit for unit in range(units)]
    slots = [(_MAX_UNITS - 1) / 2 - slot for slot in range(_MAX_UNITS)]
    return slots[:_FIRST_UNITS] + slots[-_LAST_UNITS:]  # the slot between them is for the dots


def _draw_weights(canvas: Canvas, axes: Axes, left: _Column, right: _Column, W: NDArray[Any]) -> None:
    """Draw a line for each weight, lines of small weights first.

    W has shape (left units, right units), with a line for each pair of units, or (units,), with a line for each unit.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    pairs = (
        itertools.product(left.heights, right.heights) if W.ndim == 2 else zip(left.heights, right.heights, strict=True)
    )
    lines = [((left.x, a), (right.x, b)) for a, b in pairs]
    if not (left.complete and right.complete):
        muted = to_rgba(canvas.palette.muted, 0.35)
        axes.add_collection(LineCollection(lines, colors=[muted], linewidths=0.5, zorder=1))
        return
    values = np.asarray(W, np.float64).ravel()
    strength = np.abs(values) / (np.abs(values).max() or 1)
    positive, negative = canvas.palette.series[:2]
    order = np.argsort(strength, kind="stable")
    axes.add_collection(
        LineCollection(
            [lines[index] for index in order],
            colors=[to_rgba(positive if values[i] > 0 else negative, 0.12 + 0.78 * strength[i]) for i in order],
            linewidths=[0.4 + 2.1 * strength[i] for i in order],
            zorder=1,
        )
    )


def _draw_units(canvas: Canvas, axes: Axes, column: _Column) -> None:
    ink, surface = canvas.palette.ink, canvas.palette.surface
    marker: dict[str, Any] = {
        "color": surface,
        "markeredgecolor": ink,
        "markeredgewidth": 1.3,
        "markersize": 11,
        "zorder": 2,
    }
    axes.plot([column.x] * len(column.heights), column.heights, "o", **marker)
    if not column.complete:
        gap = (column.heights[_FIRST_UNITS - 1] + column.heights[_FIRST_UNITS]) / 2
        dots = [gap + 0.3, gap, gap - 0.3]
        axes.plot([column.x] * 3, dots, "o", color=ink, markersize=2.2, markeredgewidth=0, zorder=2)


def _description(layer: Layer | None) -> list[str]:
    """Return the lines below a column, under the number of units; None is the input."""
    if layer is None:
        return ["inputs"]
    kind = [layer.kind.replace("_", " ")] if layer.is_columns else []
    dropout = [f"dropout {layer.dropout:g}"] if layer.dropout else []
    return [*kind, printable_name(layer.activation.label, 18), *dropout, *([] if layer.use_bias else ["no bias"])]


def _describe_column(
    canvas: Canvas, axes: Axes, column: _Column, y: float, lines: Sequence[str], slanted: bool
) -> None:
    """Write the number of units and the description below a column, slanted if the descriptions would overlap."""
    _write(canvas, axes, column.x, y, f"{column.units:,}", size=11, weight="bold")
    if slanted:
        rotation: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        _write(canvas, axes, column.x + 0.2, y - 0.9, ", ".join(lines), size=8.5, **rotation)
    else:
        _write(canvas, axes, column.x, y - 0.65, "\n".join(lines), size=8.5)


def _write(canvas: Canvas, axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    defaults: dict[str, Any] = {
        "ha": "center",
        "va": "center" if y == 0 else "top",
        "size": 9,
        "color": canvas.palette.ink,
    }
    axes.text(x, y, text, **defaults | style, **PLAIN)


def _default_title(architecture: Architecture) -> str:
    parameters = sum(layer.parameters for layer in architecture.layers)
    return f"{parameters:,} parameters, {printable_name(architecture.loss.label, 40)}"
