"""A network, drawn: its layers as columns of units, its weights as lines."""

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

_MOST_UNITS = 10  # of a column that are drawn; of more, the first 5 and the last 4
_FIRST, _LAST = 5, 4
_MOST_COLUMNS = 14  # of more layers the first and the last ones
_STEP, _LEAST_STEP = 1.5, 0.9  # inches from column to column: of few layers, and of many
_CHARACTER = 0.075  # inches of a description
_WIDTH = 12.0  # inches that many layers share


class _Network(Protocol):
    architecture: Architecture

    def get_weights(self) -> Sequence[tuple[NDArray[Any], NDArray[Any] | None]]: ...


class _Column(NamedTuple):
    place: float
    layer: int  # 0 is the input
    units: int
    heights: list[float]  # of the units that are drawn; 0 is the middle

    @property
    def whole(self) -> bool:
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
    """Draw a network: a column for each layer, with its size, activation and dropout, and lines between the units.

    Between layers of at most 10 units a line is a weight, the stronger the larger among those of its layer, in the
    first colour if it is positive and in the second if it is negative. Of longer layers some units are drawn, and
    their lines say nothing of the weights.

    Parameters
    ----------
    net : Network
        Compiled, or of `fastmlp.reference`.
    path : path-like, optional
        The PNG or SVG file to write; its folder must exist.
    ax : Axes, optional
        Where to draw; None makes a figure.
    title : str, optional
        Stands above the network; None gives its sizes and its loss.
    theme : {"light", "dark", "auto"}
        The colours; "auto" is for SVG files.

    Returns
    -------
    Figure
        Of more than 13 layers the first 7 and the last 6 are drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the extra that brings it.
    ValueError, TypeError
        If `net` is no network, or path, axes or theme do not suit.
    OSError
        If the file cannot be written.
    """
    if not hasattr(net, "architecture") or not hasattr(net, "get_weights"):
        raise TypeError(f"net must be a Network, got {net!r} of type {type(net).__name__}")
    layers, weights = net.architecture.layers, net.get_weights()
    columns = _columns([net.architecture.inputs, *(layer.units for layer in layers)])
    most = 2 * max(column.heights[0] for column in columns) + 1
    step = max(_LEAST_STEP, min(_STEP, _WIDTH / len(columns)))
    canvas = Canvas(path, ax, theme, (max(4.5, step * (columns[-1].place + 1.2)), 2.1 + 0.36 * most))
    axes = canvas.styled(canvas.axes())
    axes.set_axis_off()
    for left, right in itertools.pairwise(columns):
        if right.layer == left.layer + 1:
            _draw_weights(canvas, axes, left, right, weights[right.layer - 1][0])
    texts = [_lines(None if column.layer == 0 else layers[column.layer - 1]) for column in columns]
    slanted = _CHARACTER * max(len(line) for lines in texts for line in lines) > step - 0.1
    for column, lines in zip(columns, texts, strict=True):
        _draw_units(canvas, axes, column)
        _describe(canvas, axes, column, -most / 2 - 0.25, lines, slanted)
    for left, right in itertools.pairwise(columns):
        if right.layer > left.layer + 1:
            _text(canvas, axes, (left.place + right.place) / 2, 0, f"{right.layer - left.layer - 1} more\nlayers")
    axes.set(xlim=(-0.6, columns[-1].place + 0.6), ylim=(-most / 2 - 2.6, most / 2 + 0.4))
    canvas.title(axes, _headline(net.architecture) if title is None else title, 12)
    return canvas.done()


def _columns(sizes: Sequence[int]) -> list[_Column]:
    layers = list(range(len(sizes)))
    if len(layers) > _MOST_COLUMNS:
        layers = layers[: _MOST_COLUMNS // 2 + 1] + layers[-(_MOST_COLUMNS // 2 - 1) :]
    places = np.cumsum([0, *(1.0 if b == a + 1 else 1.6 for a, b in itertools.pairwise(layers))])
    return [
        _Column(float(place), layer, sizes[layer], _heights(sizes[layer]))
        for place, layer in zip(places, layers, strict=True)
    ]


def _heights(units: int) -> list[float]:
    if units <= _MOST_UNITS:
        return [(units - 1) / 2 - unit for unit in range(units)]
    slots = [(_MOST_UNITS - 1) / 2 - slot for slot in range(_MOST_UNITS)]
    return slots[:_FIRST] + slots[-_LAST:]  # the slot between them is for the dots


def _draw_weights(canvas: Canvas, axes: Axes, left: _Column, right: _Column, W: NDArray[Any]) -> None:
    """A line for each pair of units, the weaker ones first."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    lines = [((left.place, a), (right.place, b)) for a in left.heights for b in right.heights]
    if not (left.whole and right.whole):
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
    look: dict[str, Any] = {
        "color": surface,
        "markeredgecolor": ink,
        "markeredgewidth": 1.3,
        "markersize": 11,
        "zorder": 2,
    }
    axes.plot([column.place] * len(column.heights), column.heights, "o", **look)
    if not column.whole:
        gap = (column.heights[_FIRST - 1] + column.heights[_FIRST]) / 2
        dots = [gap + 0.3, gap, gap - 0.3]
        axes.plot([column.place] * 3, dots, "o", color=ink, markersize=2.2, markeredgewidth=0, zorder=2)


def _lines(layer: Layer | None) -> list[str]:
    """What stands below a column, under its size; None is the input."""
    if layer is None:
        return ["inputs"]
    dropout = [f"dropout {layer.dropout:g}"] if layer.dropout else []
    return [printable_name(layer.activation.label, 18), *dropout, *([] if layer.use_bias else ["no bias"])]


def _describe(canvas: Canvas, axes: Axes, column: _Column, below: float, lines: Sequence[str], slanted: bool) -> None:
    _text(canvas, axes, column.place, below, f"{column.units:,}", size=11, weight="bold")
    if slanted:  # beside one another they would overlap
        turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        _text(canvas, axes, column.place + 0.2, below - 0.9, ", ".join(lines), size=8.5, **turned)
    else:
        _text(canvas, axes, column.place, below - 0.65, "\n".join(lines), size=8.5)


def _text(canvas: Canvas, axes: Axes, x: float, y: float, text: str, **look: Any) -> None:
    usual: dict[str, Any] = {
        "ha": "center",
        "va": "center" if y == 0 else "top",
        "size": 9,
        "color": canvas.palette.ink,
    }
    axes.text(x, y, text, **usual | look, **PLAIN)


def _headline(architecture: Architecture) -> str:
    weights = sum(layer.parameters for layer in architecture.layers)
    return f"{weights:,} parameters, {printable_name(architecture.loss.label, 40)}"
