"""`Canvas`, the common part of all plots: a figure without global state, axes in the colours of a theme, the file."""

from __future__ import annotations

import functools
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fastmlp._display.texts import printable_name
from fastmlp._io.atomic import write_atomically
from fastmlp.plot.themes import DARK_RULES, palette_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""Options for texts with the user's names, in which a dollar sign is a dollar sign and does not begin a formula."""

_SUFFIXES = (".png", ".svg")
_MAX_LEGEND_INSIDE = 6  # entries; a longer legend is placed outside the axes
_LEGEND_WIDTH = 2.4  # inches that an outside legend adds to the figure
_LINE_STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)))  # the next one begins when all colours are used


class Canvas:
    """A figure under construction: the axes to draw into, the colours, and the file to write.

    Parameters
    ----------
    path : path-like or None
        The PNG or SVG file to write; None writes no file.
    ax : matplotlib.axes.Axes or None
        The axes to draw into; None creates a figure.
    theme : {"light", "dark", "auto"}
        The colours.
    size : tuple of float
        The width and height of a new figure in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    ValueError
        If the suffix of `path` is unknown, the theme is unknown, or the theme is "auto" without an SVG file.
    TypeError
        If `ax` is not a matplotlib Axes.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, ax: Axes | None, theme: str, size: tuple[float, float]
    ) -> None:
        self.palette = palette_for(theme)
        self.path, self.adaptive = path, theme == "auto"
        suffix = None if path is None else _suffix(path)
        if self.adaptive and suffix != ".svg":
            raise ValueError(
                f"theme='auto' needs an SVG file, got path={None if path is None else os.fspath(path)!r}; give a path "
                "that ends in .svg, or theme='light' or 'dark'"
            )
        figure_class = require_matplotlib()
        self._axes = ax
        if ax is None:
            # Not pyplot: savefig of such a figure uses Agg, whatever backend the user has selected.
            self.figure: Figure = figure_class(
                figsize=size, dpi=150, layout="constrained", facecolor=self.palette.surface
            )
            # IPython displays figures only after pyplot is imported; this method displays the figure without pyplot.
            self.figure.__dict__["_repr_png_"] = functools.partial(encode_figure, self.figure, ".png")
        elif not hasattr(ax, "get_figure") or not hasattr(ax, "plot"):
            raise TypeError(f"ax must be a matplotlib Axes, got {ax!r} of type {type(ax).__name__}")
        else:
            self.figure = ax.figure.figure  # the figure of a subfigure, too

    def axes(self) -> Axes:
        """Return the only axes of a plot: the axes of the user, or new ones."""
        return self.apply_theme(self.figure.add_subplot() if self._axes is None else self._axes)

    def panels(self, columns: int, rows: int) -> list[Axes]:
        """Return the axes of a grid of plots, row by row."""
        return [self.apply_theme(axes) for axes in self.figure.subplots(rows, columns, squeeze=False).flat]

    def apply_theme(self, axes: Axes) -> Axes:
        """Set the colours of the axes, and return the axes."""
        axes.set_facecolor(self.palette.surface)
        axes.grid(color=self.palette.faint, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(which="both", colors=self.palette.ink)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(self.palette.ink)
        return axes

    def title(self, axes: Axes, text: str, size: float = 14) -> None:
        """Set the title above the axes."""
        axes.set_title(text, loc="left", fontsize=size, color=self.palette.ink, pad=12, **PLAIN)

    def labels(self, axes: Axes, x: str, y: str) -> None:
        """Set the labels of both axes."""
        axes.set_xlabel(x, fontsize=11, color=self.palette.ink, **PLAIN)
        axes.set_ylabel(y, fontsize=11, color=self.palette.ink, **PLAIN)

    def line_style(self, index: int) -> dict[str, Any]:
        """Return the colour and line style of the line with this index; 24 combinations are different."""
        series = self.palette.series
        style = _LINE_STYLES[index // len(series) % len(_LINE_STYLES)]
        return {"color": series[index % len(series)], "linestyle": style}

    def legend(
        self,
        axes: Axes,
        handles: Sequence[Any],
        names: Sequence[str],
        loc: Literal["best", "upper left", "lower right"] = "best",
        *,
        outside: bool = False,
    ) -> None:
        """Add a legend at `loc` in the axes, or to the right of a new figure if it is long or `outside` is True."""
        options: dict[str, Any] = {"frameon": False, "fontsize": 10, "labelcolor": self.palette.ink}
        new_figure = self._axes is None
        if new_figure and (outside or len(names) > _MAX_LEGEND_INSIDE):
            self.figure.set_figwidth(self.figure.get_figwidth() + _LEGEND_WIDTH)
            legend = self.figure.legend(handles, [""] * len(names), loc="outside right upper", **options)
        else:
            legend = axes.legend(handles, [""] * len(names), loc=loc, **options)
        for text, name in zip(legend.get_texts(), names, strict=True):
            text.set(text=name, **PLAIN)  # set later, because matplotlib omits entries whose name begins with "_"

    def finish(self) -> Figure:
        """Write the file if there is a path, and return the figure."""
        if self.path is not None:
            data = encode_figure(self.figure, _suffix(self.path), DARK_RULES if self.adaptive else "")
            write_atomically(self.path, [data])
        return self.figure


def require_matplotlib() -> type[Figure]:
    """Return the `Figure` class of matplotlib.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "fastmlp[plot]"') from error
    return Figure


def encode_figure(figure: Figure, suffix: str, css: str = "") -> bytes:
    """Return the content of the file of a figure. The same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    suffix : {".png", ".svg"}
        The format. An SVG holds its texts as texts, shown in the fonts of the reader.
    css : str
        Style rules to embed in an SVG.
    """
    import matplotlib

    buffer = io.BytesIO()
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "fastmlp",
        "savefig.bbox": None,
        "savefig.transparent": False,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        if suffix == ".svg":
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader's fonts may have the glyph
        metadata = {"Date": None} if suffix == ".svg" else None
        figure.savefig(buffer, format=suffix[1:], facecolor=figure.get_facecolor(), dpi=figure.dpi, metadata=metadata)
    data = buffer.getvalue()
    return data.replace(b"</metadata>", f"</metadata>\n <style>{css}</style>".encode(), 1) if css else data


def every_nth(count: int, max_count: int) -> slice:
    """Return a slice that takes every n-th of `count` items, with the smallest n that leaves at most `max_count`."""
    return slice(None, None, max(1, -(-count // max_count)))


def display_names(names: Sequence[object] | None, count: int, what: str) -> list[str]:
    """Return the names to show for `count` classes or outputs; without names they are "0", "1" ...

    Raises
    ------
    ValueError
        If the number of names is not `count`.
    """
    if names is None:
        return [str(index) for index in range(count)]
    printable = [printable_name(name, 24) for name in names]
    if len(printable) != count:
        raise ValueError(f"display_labels must have a name for each of the {count} {what}, got {len(printable)} names")
    return printable


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(os.fsdecode(path)).suffix.lower()
    if suffix not in _SUFFIXES:
        raise ValueError(f"path must end in .png or .svg, got {os.fspath(path)!r}")
    return suffix
