"""How good predictions are: which classes are taken for which, ROC curves, predicted against true numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import metrics
from fastmlp.plot.canvas import PLAIN, Canvas, evenly, named
from fastmlp.plot.themes import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NUMBERS = 30  # classes whose cells hold numbers
_MOST_TICKS = 60  # classes that are all named
_DARKEST = 0.5  # opacity of a cell; ink is legible on it in both themes
_WIDEST = 10.0  # inches of a matrix
_MOST_CURVES = 10  # with a name and a colour
_MOST_MORE = 90  # curves without
_MOST_POINTS = 5000
_SHARES_OF = {"true": 1, "pred": 0, "all": None}

Normalize = Literal["true", "pred", "all"]


def confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    labels: ArrayLike | None = None,
    display_labels: Sequence[object] | None = None,
    normalize: Normalize | None = None,
    ax: Axes | None = None,
    title: str | None = "Confusion matrix",
    theme: Theme = "light",
) -> Figure:
    """Draw how often class i, a row, was called class j, a column.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Class labels.
    path : path-like, optional
        The PNG or SVG file to write; its folder must exist.
    labels : array-like of shape (k,), optional
        The classes in the order of rows and columns; None takes those that occur, ascending.
    display_labels : sequence, optional
        Their names; None shows the labels.
    normalize : {"true", "pred", "all"}, optional
        Shares of the row, of the column or of all in place of counts; 0 where there is none.
    ax : Axes, optional
        Where to draw; None makes a figure.
    title : str, optional
        Stands above the matrix.
    theme : {"light", "dark", "auto"}
        The colours; "auto" is for SVG files.

    Returns
    -------
    Figure
        With the matrix; of more than 30 classes the cells hold no numbers, of more than 60 not all are named.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the extra that brings it.
    ValueError, TypeError
        As in `fastmlp.metrics.confusion_matrix`, or if names, normalize, path, axes or theme do not suit.
    OSError
        If the file cannot be written.
    """
    if normalize is not None and normalize not in _SHARES_OF:
        raise ValueError(f"normalize must be None, 'true', 'pred' or 'all', got {normalize!r}")
    for name, given in (("y_true", y_true), ("y_pred", y_pred)):
        if np.ndim(given) == 2:
            raise ValueError(
                f"{name} must hold labels, (n,), got shape {np.shape(given)}; rows of probabilities become labels by "
                "argmax(axis=1), and Network.predict_classes gives them"
            )
    counts = metrics.confusion_matrix(y_true, y_pred, labels=labels)
    shown = np.unique(np.concatenate([np.asarray(y_true), np.asarray(y_pred)])) if labels is None else labels
    names = named(np.asarray(shown).tolist() if display_labels is None else display_labels, len(counts), "classes")
    values = counts if normalize is None else _shares(counts, _SHARES_OF[normalize])
    texts = [[_number(value) for value in row] for row in values] if len(names) <= _MOST_NUMBERS else []
    cell = _cell_size(texts) if texts else _WIDEST / len(names)
    room = 1.2 + 0.085 * max(map(len, names))  # for names and titles
    canvas = Canvas(path, ax, theme, (cell * len(names) + room, cell * len(names) + room))
    axes = canvas.axes()
    if ax is not None:
        cell = axes.get_window_extent().width / canvas.figure.dpi / len(names)
    _draw_cells(canvas, axes, values)
    if texts:
        _write_cells(canvas, axes, texts, cell)
    _name_classes(axes, names)
    largest = "" if texts else f" (the darkest cell: {_number(values.max())})"
    canvas.labels(axes, f"predicted{largest}", "true")
    canvas.title(axes, title or "")
    return canvas.done()


def roc_curves(
    y_true: ArrayLike,
    scores: ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    display_labels: Sequence[object] | None = None,
    ax: Axes | None = None,
    title: str | None = "ROC curves",
    theme: Theme = "light",
) -> Figure:
    """Draw ROC curves and the area under each: of class 1, of every class against all others, or of every output.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, k)
        0 or 1; labels 0 to k - 1; or for each of k outputs 0 or 1 (one-hot rows, or several labels a row).
    scores : array-like of shape (n,) or (n, k)
        The higher, the more positive, as `Network.predict` gives them. With labels and two columns the second is
        that of class 1, whose curve is the only one.
    path : path-like, optional
        The PNG or SVG file to write; its folder must exist.
    display_labels : sequence, optional
        The names of the k classes or outputs; None counts them.
    ax : Axes, optional
        Where to draw; None makes a figure.
    title : str, optional
        Stands above the curves.
    theme : {"light", "dark", "auto"}
        The colours; "auto" is for SVG files.

    Returns
    -------
    Figure
        A class of which there are no rows, or no others, is named without a curve. Of more than 10 curves those of
        the smallest areas have names and colours.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the extra that brings it.
    ValueError, TypeError
        As in `fastmlp.metrics.roc_curve`, if no class has a curve, or if names, path, axes or theme do not suit.
    OSError
        If the file cannot be written.
    """
    curves = _curves(y_true, scores, display_labels)
    canvas = Canvas(path, ax, theme, (7.2, 6))
    axes = canvas.axes()
    axes.plot([0, 1], [0, 1], color=canvas.palette.muted, linewidth=1, linestyle=(0, (4, 4)))
    drawn = sorted((curve for curve in curves if curve.exists), key=lambda curve: curve.area)
    named_ones = curves if len(curves) <= _MOST_CURVES else drawn[: _MOST_CURVES - 1]
    rest = [] if named_ones is curves else drawn[len(named_ones) :]
    handles, names = [], []
    for curve in rest[evenly(len(rest), _MOST_MORE)]:
        handles = axes.plot(curve.across, curve.up, color=canvas.palette.muted, linewidth=0.8, alpha=0.6)
    if rest:
        names.append(f"{len(rest)} more: AUC {rest[0].area:.3f} to {rest[-1].area:.3f}")
    for index, curve in enumerate(named_ones):
        handles += axes.plot(curve.across, curve.up, linewidth=2, **canvas.line(index))
        area = f"AUC {curve.area:.3f}" if curve.exists else "one kind of rows only"
        names.append(f"{curve.name}: {area}" if curve.name else area)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    canvas.labels(axes, "false positive rate", "true positive rate")
    canvas.title(axes, title or "")
    canvas.legend(axes, handles, names, "lower right")
    return canvas.done()


def predicted_versus_true(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    display_labels: Sequence[object] | None = None,
    ax: Axes | None = None,
    title: str | None = "Predicted versus true",
    theme: Theme = "light",
) -> Figure:
    """Draw a point for each row, the diagonal on which it should lie, and say R squared.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, outputs)
        Finite numbers.
    path : path-like, optional
        The PNG or SVG file to write; its folder must exist.
    display_labels : sequence, optional
        The names of several outputs; None counts them.
    ax : Axes, optional
        Where to draw; None makes a figure.
    title : str, optional
        Stands above the points.
    theme : {"light", "dark", "auto"}
        The colours; "auto" is for SVG files.

    Returns
    -------
    Figure
        With a colour for each output. Of more than 5,000 points some are shown; R squared is that of all.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the extra that brings it.
    ValueError, TypeError
        If shapes do not match, a number is not finite, or names, path, axes or theme do not suit.
    OSError
        If the file cannot be written.
    """
    true, predicted = _columns(y_true, y_pred)
    outputs = true.shape[1]
    names = named(display_labels, outputs, "outputs")
    canvas = Canvas(path, ax, theme, (7, 6.2))
    axes = canvas.axes()
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    axes.plot([low, high], [low, high], color=canvas.palette.muted, linewidth=1.2, linestyle=(0, (4, 4)), zorder=3)
    some = evenly(true.size, _MOST_POINTS)
    look: dict[str, Any] = {"markersize": 5 if true.size <= 500 else 3.5, "alpha": 0.65, "markeredgewidth": 0}
    handles, texts = [], []
    for output, name in enumerate(names):
        columns = true[some, output], predicted[some, output]
        handles += axes.plot(*columns, "o", color=canvas.line(output)["color"], **look)
        fit = f"R² = {metrics.r2(true[:, output], predicted[:, output]):.4g}"
        texts.append(fit if outputs == 1 and display_labels is None else f"{name}: {fit}")
    shown, rows = len(true[some]), len(true)
    canvas.labels(axes, "true" if shown == rows else f"true ({shown:,} of {rows:,} rows shown)", "predicted")
    canvas.title(axes, title or "")
    canvas.legend(axes, handles, texts, "upper left")
    return canvas.done()


# The matrix -----------------------------------------------------------------------------------------------------------


def _shares(counts: NDArray[Any], axis: int | None) -> NDArray[np.float64]:
    total = counts.sum(axis=axis, keepdims=True)
    shares: NDArray[np.float64] = np.divide(counts, total, out=np.zeros(counts.shape), where=total != 0)
    return shares


def _draw_cells(canvas: Canvas, axes: Axes, values: NDArray[Any]) -> None:
    """Squares of one colour, the more opaque the more there is, so that the same picture does on any ground."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    k, most = len(values), values.max() or 1
    places = np.argwhere(values > 0)
    squares = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in places]
    color = canvas.palette.series[0]
    shades = [to_rgba(color, _DARKEST * values[row, column] / most) for row, column in places]
    axes.add_collection(PatchCollection(squares, facecolors=shades, edgecolors="none", linewidths=0))
    axes.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), aspect="equal")
    axes.grid(False)
    axes.spines[["top", "right"]].set_visible(True)
    axes.spines[["top", "right"]].set_color(canvas.palette.ink)


def _cell_size(texts: Sequence[Sequence[str]]) -> float:
    """Inches: as wide as the longest number, and the whole matrix neither tiny nor huge."""
    longest = max(len(text) for row in texts for text in row)
    return min(max(0.5, 0.11 * longest, 3.2 / len(texts)), _WIDEST / len(texts))


def _write_cells(canvas: Canvas, axes: Axes, texts: Sequence[Sequence[str]], cell: float) -> None:
    """The numbers, a character of which is 0.65 of the font's size wide."""
    longest = max(len(text) for row in texts for text in row)
    size = min(12.0, 0.9 * 72 * cell / (0.65 * longest))
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": size, "color": canvas.palette.ink, **PLAIN}
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            axes.text(column, row, text, **look)


def _number(value: Any) -> str:
    """A count, or a share to two places."""
    if isinstance(value, np.floating):
        return f"{value:.2f}"
    return f"{value:,}" if value < 1_000_000 else f"{value:.2g}"


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    places = np.arange(len(names))[evenly(len(names), _MOST_TICKS)]
    shown = [names[place] for place in places]
    size = 10 if len(shown) <= 15 else 8 if len(shown) <= 35 else 6
    turned = sum(map(len, shown)) > 45 or max(map(len, shown)) > 9
    slanted: dict[str, Any] = (
        {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(shown) <= 15 else {"rotation": 90}
    )
    axes.set_xticks(places, shown, fontsize=size, **(slanted if turned else {}), **PLAIN)
    axes.set_yticks(places, shown, fontsize=size, **PLAIN)


# ROC curves -----------------------------------------------------------------------------------------------------------


class _Curve(NamedTuple):
    name: str
    across: NDArray[np.float64]  # the false positive rates
    up: NDArray[np.float64]
    area: float

    @property
    def exists(self) -> bool:
        """Whether there are positive and other rows."""
        return len(self.up) > 0


def _curves(y_true: ArrayLike, scores: ArrayLike, display_labels: Sequence[object] | None) -> list[_Curve]:
    true, values = np.asarray(y_true), np.asarray(scores)
    if values.ndim == 2 and true.shape == values.shape and true.shape[1] > 1:
        if not np.isin(true, (0, 1)).all():
            raise ValueError(f"y_true of shape {true.shape} must hold 0 or 1 for each output")
        columns = list(zip(true.T, values.T, strict=True))
    elif true.ndim == 1 and values.ndim == 2 and values.shape[1] > 2:
        unknown = np.setdiff1d(true, np.arange(values.shape[1]))
        if len(unknown):
            raise ValueError(f"y_true must hold labels from 0 to {values.shape[1] - 1}, got {unknown.tolist()}")
        columns = [((true == label).astype(int), column) for label, column in enumerate(values.T)]
    else:
        names = [""] if display_labels is None else named(display_labels, 2, "classes")[1:]
        positive = values[:, 1] if values.ndim == 2 and values.shape[1] == 2 else values
        return [_drawn(names[0], true.ravel() if true.shape[1:] == (1,) else true, positive)]
    names = named(display_labels, len(columns), "classes")
    found = [_curve(name, *column) for name, column in zip(names, columns, strict=True)]
    if not any(curve.exists for curve in found):
        raise ValueError("roc_curves needs rows of a class and rows of others, y_true has one kind only")
    return found


def _curve(name: str, positive: NDArray[Any], scores: NDArray[Any]) -> _Curve:
    if len(positive) and positive.min() == positive.max():
        return _Curve(name, np.empty(0), np.empty(0), np.nan)
    return _drawn(name, positive, scores)


def _drawn(name: str, positive: NDArray[Any], scores: NDArray[Any]) -> _Curve:
    across, up, _ = metrics.roc_curve(positive, scores)
    return _Curve(name, across, up, metrics.roc_auc(positive, scores))


# Numbers --------------------------------------------------------------------------------------------------------------


def _columns(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    given = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    true, predicted = (array.reshape(-1, 1) if array.ndim == 1 else array for array in given)
    if true.ndim != 2 or true.shape != predicted.shape or not true.size:
        raise ValueError(
            "y_true and y_pred must both have shape (n,) or (n, outputs), n > 0, "
            f"got {given[0].shape} and {given[1].shape}"
        )
    for name, values in (("y_true", true), ("y_pred", predicted)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must hold finite numbers, got {values[~np.isfinite(values)][0]}")
    return true, predicted
