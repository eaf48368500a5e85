"""What every picture shares: a figure that no global state knows, axes in a theme, and the file that is written."""

from __future__ import annotations

import functools
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmlp._display.texts import printable_name
from fastmlp._io.atomic import write_atomically
from fastmlp.plot.themes import DARK_RULES, palette_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""Of texts that hold a user's names: a dollar sign is one, and no formula begins there."""

_SUFFIXES = (".png", ".svg")
_LONGEST_LEGEND = 6  # entries that find room in the axes
_LEGEND_WIDTH = 2.4  # inches beside the axes
_STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)))  # when the colours have all been used


class Canvas:
    """A figure in the making: the axes to draw into, the colours, and where the result goes.

    Parameters
    ----------
    path : path-like, optional
        The PNG or SVG file.
    ax : Axes, optional
        Where to draw; None makes a figure.
    theme : {"light", "dark", "auto"}
        The colours.
    size : tuple of float
        Width and height of a new figure, in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the extra that brings it.
    ValueError, TypeError
        If the suffix is not known, or theme or axes do not suit.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, ax: Axes | None, theme: str, size: tuple[float, float]
    ) -> None:
        self.palette = palette_of(theme)
        self.path, self.adaptive = path, theme == "auto"
        suffix = None if path is None else _suffix(path)
        if self.adaptive and suffix != ".svg":
            raise ValueError(
                "theme='auto' is for SVG files, which follow the reader's choice; give a path that ends in .svg, or "
                "theme='light' or 'dark'"
            )
        figure_class = require_matplotlib()
        self._axes = ax
        if ax is None:
            # A Figure of its own, not pyplot: savefig then picks Agg for itself, whatever backend the user has chosen.
            self.figure: Figure = figure_class(
                figsize=size, dpi=150, layout="constrained", facecolor=self.palette.surface
            )
            # IPython shows figures once pyplot is imported; these show themselves.
            self.figure.__dict__["_repr_png_"] = functools.partial(written, self.figure, ".png")
        elif not hasattr(ax, "get_figure") or not hasattr(ax, "plot"):
            raise TypeError(f"ax must be a matplotlib Axes, got {ax!r} of type {type(ax).__name__}")
        else:
            self.figure = ax.figure.figure  # also of a subfigure

    def axes(self) -> Axes:
        """The axes of a picture that has one."""
        return self.styled(self.figure.add_subplot() if self._axes is None else self._axes)

    def panels(self, columns: int, rows: int) -> list[Axes]:
        """Many axes, row by row."""
        return [self.styled(axes) for axes in self.figure.subplots(rows, columns, squeeze=False).flat]

    def styled(self, axes: Axes) -> Axes:
        """The axes in the colours of the theme."""
        axes.set_facecolor(self.palette.surface)
        axes.grid(color=self.palette.faint, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(which="both", colors=self.palette.ink)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(self.palette.ink)
        return axes

    def title(self, axes: Axes, text: str, size: float = 14) -> None:
        """Write above the axes."""
        axes.set_title(text, loc="left", fontsize=size, color=self.palette.ink, pad=12, **PLAIN)

    def labels(self, axes: Axes, x: str, y: str) -> None:
        """Write beside the axes."""
        axes.set_xlabel(x, fontsize=11, color=self.palette.ink, **PLAIN)
        axes.set_ylabel(y, fontsize=11, color=self.palette.ink, **PLAIN)

    def line(self, index: int) -> dict[str, Any]:
        """Colour and style of one of many lines: 24 are different."""
        series = self.palette.series
        return {"color": series[index % len(series)], "linestyle": _STYLES[index // len(series) % len(_STYLES)]}

    def legend(
        self, axes: Axes, handles: Sequence[Any], names: Sequence[str], place: str = "best", *, outside: bool = False
    ) -> None:
        """Name the lines; many names, or those of all panels, stand on the right of the figure."""
        options: dict[str, Any] = {"frameon": False, "fontsize": 10, "labelcolor": self.palette.ink}
        own = self._axes is None
        if own and (outside or len(names) > _LONGEST_LEGEND):
            self.figure.set_figwidth(self.figure.get_figwidth() + _LEGEND_WIDTH)
            legend = self.figure.legend(handles, [""] * len(names), loc="outside right upper", **options)
        else:
            options["loc"] = place
            legend = axes.legend(handles, [""] * len(names), **options)
        for text, name in zip(legend.get_texts(), names, strict=True):
            text.set(text=name, **PLAIN)  # not before: matplotlib leaves out names that begin with "_"

    def done(self) -> Figure:
        """Write the file, if one was asked for."""
        if self.path is not None:
            data = written(self.figure, _suffix(self.path), DARK_RULES if self.adaptive else "")
            write_atomically(self.path, [data])
        return self.figure


def require_matplotlib() -> type[Figure]:
    """The class of figures.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the extra that brings it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "fastmlp[plot]"') from error
    return Figure


def written(figure: Figure, suffix: str, rules: str = "") -> bytes:
    """The file of a figure, the same bytes each time; an SVG's texts are texts, in the reader's fonts.

    `rules` is CSS for an SVG.
    """
    import matplotlib

    picture = io.BytesIO()
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "fastmlp",
        "savefig.bbox": None,
        "savefig.transparent": False,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        if suffix == ".svg":
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader's fonts may have it
        metadata = {"Date": None} if suffix == ".svg" else None
        figure.savefig(picture, format=suffix[1:], facecolor=figure.get_facecolor(), dpi=figure.dpi, metadata=metadata)
    data = picture.getvalue()
    return data.replace(b"</metadata>", f"</metadata>\n <style>{rules}</style>".encode(), 1) if rules else data


def evenly(count: int, most: int) -> Any:
    """A slice of every so manieth of `count`, so that at most `most` are left."""
    return slice(None, None, max(1, -(-count // most)))


def named(names: Sequence[object] | None, count: int, what: str, most: int = 24) -> list[str]:
    """The names to be shown of so many things, or "0", "1" ...

    Raises
    ------
    ValueError
        If there are more names or fewer.
    """
    if names is None:
        return [str(index) for index in range(count)]
    given = [printable_name(name, most) for name in names]
    if len(given) != count:
        raise ValueError(f"display_labels must name the {count} {what}, got {len(given)} names")
    return given


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(os.fsdecode(path)).suffix.lower()
    if suffix not in _SUFFIXES:
        raise ValueError(f"path must end in .png or .svg, got {os.fspath(path)!r}")
    return suffix
