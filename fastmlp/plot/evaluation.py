"""Plots of predictions: confusion matrix, ROC curves, and predicted against true numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import metrics
from fastmlp.plot.canvas import PLAIN, Canvas, display_names, every_nth
from fastmlp.plot.themes import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_CLASSES_WITH_NUMBERS = 30  # with more classes the cells of a matrix hold no numbers
_MAX_TICKS = 60  # with more classes not all have a tick
_MAX_OPACITY = 0.5  # of a cell; texts remain legible on it in both themes
_MAX_MATRIX_WIDTH = 10.0  # inches
_MAX_NAMED_CURVES = 10  # with a name and a colour of their own
_MAX_OTHER_CURVES = 90
_MAX_POINTS = 5000
_SUMMED_AXIS = {"true": 1, "pred": 0, "all": None}  # the axis over which `normalize` sums the counts

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
    """Draw the confusion matrix: how often class i (row) was predicted as class j (column).

    Parameters
    ----------
    y_true : array-like of shape (n,)
        The true class labels.
    y_pred : array-like of shape (n,)
        The predicted class labels, for example from `Network.predict_classes`.
    path : path-like, optional
        The PNG or SVG file to write. Its folder must exist. None writes no file.
    labels : array-like of shape (k,), optional
        The classes in the order of rows and columns. None takes the classes that occur, in ascending order.
    display_labels : sequence of length k, optional
        The names of the classes. None shows the labels.
    normalize : {"true", "pred", "all"}, optional
        Show shares of the row ("true"), of the column ("pred") or of all samples ("all") instead of counts. The shares
        of an empty row or column are 0.
    ax : matplotlib.axes.Axes, optional
        The axes to draw into. None creates a figure.
    title : str, optional
        The title above the matrix.
    theme : {"light", "dark", "auto"}
        The colours. "auto" needs an SVG file, which follows the colour scheme of the reader.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, or the figure of `ax`. With more than 30 classes the cells hold no numbers, with more than 60
        classes not all are named.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    TypeError
        If `ax` is not a matplotlib Axes.
    ValueError
        If the labels do not have the same shape (n,), n > 0, if `labels` omits a label that occurs, or if
        `display_labels`, `normalize`, `path` or `theme` is invalid.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> confusion_matrix(labels, net.predict_classes(X), "confusion.png", display_labels=["benign", "malignant"])
    """
    if normalize is not None and normalize not in _SUMMED_AXIS:
        raise ValueError(f"normalize must be None, 'true', 'pred' or 'all', got {normalize!r}")
    for name, given in (("y_true", y_true), ("y_pred", y_pred)):
        if np.ndim(given) == 2:
            raise ValueError(
                f"{name} must hold labels and have shape (n,), got shape {np.shape(given)}; convert probabilities "
                "to labels with argmax(axis=1), or use Network.predict_classes"
            )
    counts = metrics.confusion_matrix(y_true, y_pred, labels=labels)
    classes = np.unique(np.concatenate([np.asarray(y_true), np.asarray(y_pred)])) if labels is None else labels
    names = display_names(
        np.asarray(classes).tolist() if display_labels is None else display_labels, len(counts), "classes"
    )
    values = counts if normalize is None else _shares(counts, _SUMMED_AXIS[normalize])
    with_numbers = len(names) <= _MAX_CLASSES_WITH_NUMBERS
    texts = [[_format_cell(value) for value in row] for row in values] if with_numbers else []
    cell = _cell_width(texts) if texts else _MAX_MATRIX_WIDTH / len(names)
    margin = 1.2 + 0.085 * max(map(len, names))  # for names and titles
    canvas = Canvas(path, ax, theme, (cell * len(names) + margin, cell * len(names) + margin))
    axes = canvas.axes()
    if ax is not None:
        cell = axes.get_window_extent().width / canvas.figure.dpi / len(names)
    _draw_cells(canvas, axes, values)
    if texts:
        _write_numbers(canvas, axes, texts, cell)
    _write_class_names(axes, names)
    maximum = "" if texts else f" (the darkest cell: {_format_cell(values.max())})"
    canvas.labels(axes, f"predicted{maximum}", "true")
    canvas.title(axes, title or "")
    return canvas.finish()


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
    """Draw ROC curves with the area under each curve (AUC).

    Two classes have one curve, that of class 1. Several classes have a curve for each class against all others. Several
    outputs have a curve for each output.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, k)
        For two classes, 0 or 1. For k classes, labels from 0 to k - 1. For k outputs, 0 or 1 for each output: one-hot
        rows, or rows with several labels.
    scores : array-like of shape (n,), (n, 2) or (n, k)
        The scores; a higher score means that the class is more probable. The predictions of `Network.predict` are
        scores. If `y_true` has two classes, the second of two columns is used.
    path : path-like, optional
        The PNG or SVG file to write. Its folder must exist. None writes no file.
    display_labels : sequence of length k, optional
        The names of the classes or outputs. None shows their indices.
    ax : matplotlib.axes.Axes, optional
        The axes to draw into. None creates a figure.
    title : str, optional
        The title above the curves.
    theme : {"light", "dark", "auto"}
        The colours. "auto" needs an SVG file, which follows the colour scheme of the reader.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, or the figure of `ax`. A class has no curve, but an entry in the legend, if all rows or no rows
        belong to it. Of more than 10 curves, the 9 with the smallest areas have names and colours of their own.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    TypeError
        If `ax` is not a matplotlib Axes.
    ValueError
        If `y_true` and `scores` have no matching shapes, a label or a score is invalid, no class has a curve, or
        `display_labels`, `path` or `theme` is invalid.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> roc_curves(labels, net.predict(X), "roc.png")
    """
    curves = _roc_curves(y_true, scores, display_labels)
    canvas = Canvas(path, ax, theme, (7.2, 6))
    axes = canvas.axes()
    axes.plot([0, 1], [0, 1], color=canvas.palette.muted, linewidth=1, linestyle=(0, (4, 4)))
    by_area = sorted((curve for curve in curves if curve.exists), key=lambda curve: curve.area)
    named = curves if len(curves) <= _MAX_NAMED_CURVES else by_area[: _MAX_NAMED_CURVES - 1]
    others = [] if named is curves else by_area[len(named) :]
    handles, names = [], []
    for curve in others[every_nth(len(others), _MAX_OTHER_CURVES)]:
        handles = axes.plot(curve.x, curve.y, color=canvas.palette.muted, linewidth=0.8, alpha=0.6)
    if others:
        names.append(f"{len(others)} more: AUC {others[0].area:.3f} to {others[-1].area:.3f}")
    for index, curve in enumerate(named):
        handles += axes.plot(curve.x, curve.y, linewidth=2, **canvas.line_style(index))
        area = f"AUC {curve.area:.3f}" if curve.exists else "one kind of rows only"
        names.append(f"{curve.name}: {area}" if curve.name else area)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    canvas.labels(axes, "false positive rate", "true positive rate")
    canvas.title(axes, title or "")
    canvas.legend(axes, handles, names, "lower right")
    return canvas.finish()


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
    """Draw the predicted over the true numbers, with the diagonal of exact predictions and R squared.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, outputs)
        The true numbers, finite.
    y_pred : array-like of shape (n,) or (n, outputs)
        The predicted numbers, finite.
    path : path-like, optional
        The PNG or SVG file to write. Its folder must exist. None writes no file.
    display_labels : sequence of length `outputs`, optional
        The names of the outputs. None shows their indices.
    ax : matplotlib.axes.Axes, optional
        The axes to draw into. None creates a figure.
    title : str, optional
        The title above the points.
    theme : {"light", "dark", "auto"}
        The colours. "auto" needs an SVG file, which follows the colour scheme of the reader.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, or the figure of `ax`. Each output has a colour. Of more than 5,000 points only some are drawn;
        R squared is computed from all rows.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    TypeError
        If `ax` is not a matplotlib Axes, or the numbers are not numbers.
    ValueError
        If the shapes differ, a number is not finite, or `display_labels`, `path` or `theme` is invalid.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> predicted_versus_true(y, net.predict(X), "predictions.png")
    """
    true, predicted = _checked_columns(y_true, y_pred)
    outputs = true.shape[1]
    names = display_names(display_labels, outputs, "outputs")
    canvas = Canvas(path, ax, theme, (7, 6.2))
    axes = canvas.axes()
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    axes.plot([low, high], [low, high], color=canvas.palette.muted, linewidth=1.2, linestyle=(0, (4, 4)), zorder=3)
    drawn = every_nth(true.size, _MAX_POINTS)
    marker: dict[str, Any] = {"markersize": 5 if true.size <= 500 else 3.5, "alpha": 0.65, "markeredgewidth": 0}
    handles, texts = [], []
    for output, name in enumerate(names):
        points = true[drawn, output], predicted[drawn, output]
        handles += axes.plot(*points, "o", color=canvas.line_style(output)["color"], **marker)
        known = len(true) > 1
        r2 = f"R² = {metrics.r2(true[:, output], predicted[:, output]):.4g}" if known else "R² needs two rows"
        texts.append(r2 if outputs == 1 and display_labels is None else f"{name}: {r2}")
    rows_drawn, rows = len(true[drawn]), len(true)
    canvas.labels(axes, "true" if rows_drawn == rows else f"true ({rows_drawn:,} of {rows:,} rows shown)", "predicted")
    canvas.title(axes, title or "")
    canvas.legend(axes, handles, texts, "upper left")
    return canvas.finish()


# The confusion matrix -------------------------------------------------------------------------------------------------


def _shares(counts: NDArray[Any], axis: int | None) -> NDArray[np.float64]:
    """Return the counts divided by their sum over an axis; 0 where the sum is 0."""
    total = counts.sum(axis=axis, keepdims=True)
    shares: NDArray[np.float64] = np.divide(counts, total, out=np.zeros(counts.shape), where=total != 0)
    return shares


def _draw_cells(canvas: Canvas, axes: Axes, values: NDArray[Any]) -> None:
    """Draw a square for each cell: one colour, whose opacity is proportional to the value, for any background."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    k, maximum = len(values), values.max() or 1
    cells = np.argwhere(values > 0)
    squares = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in cells]
    color = canvas.palette.series[0]
    shades = [to_rgba(color, _MAX_OPACITY * values[row, column] / maximum) for row, column in cells]
    axes.add_collection(PatchCollection(squares, facecolors=shades, edgecolors="none", linewidths=0))
    axes.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), aspect="equal")
    axes.grid(False)
    axes.spines[["top", "right"]].set_visible(True)
    axes.spines[["top", "right"]].set_color(canvas.palette.ink)


def _cell_width(texts: Sequence[Sequence[str]]) -> float:
    """Return the width of a cell in inches: enough for the longest number, within limits for the whole matrix."""
    longest = max(len(text) for row in texts for text in row)
    return min(max(0.5, 0.11 * longest, 3.2 / len(texts)), _MAX_MATRIX_WIDTH / len(texts))


def _write_numbers(canvas: Canvas, axes: Axes, texts: Sequence[Sequence[str]], cell: float) -> None:
    """Write the numbers into the cells. The width of a character is 0.65 of the font size."""
    longest = max(len(text) for row in texts for text in row)
    size = min(12.0, 0.9 * 72 * cell / (0.65 * longest))
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": size, "color": canvas.palette.ink, **PLAIN}
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            axes.text(column, row, text, **style)


def _format_cell(value: Any) -> str:
    """Return a count, or a share with two decimal places."""
    if isinstance(value, np.floating):
        return f"{value:.2f}"
    return f"{value:,}" if value < 1_000_000 else f"{value:.2g}"


def _write_class_names(axes: Axes, names: Sequence[str]) -> None:
    """Write the names of the classes at the ticks of both axes; rotate long names at the x axis."""
    ticks = np.arange(len(names))[every_nth(len(names), _MAX_TICKS)]
    texts = [names[tick] for tick in ticks]
    size = 10 if len(texts) <= 15 else 8 if len(texts) <= 35 else 6
    rotation: dict[str, Any] = {}
    if sum(map(len, texts)) > 45 or max(map(len, texts)) > 9:
        slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        rotation = slanted if len(texts) <= 15 else {"rotation": 90}
    axes.set_xticks(ticks, texts, fontsize=size, **rotation, **PLAIN)
    axes.set_yticks(ticks, texts, fontsize=size, **PLAIN)


# ROC curves -----------------------------------------------------------------------------------------------------------


class _RocCurve(NamedTuple):
    name: str
    x: NDArray[np.float64]  # false positive rates
    y: NDArray[np.float64]  # true positive rates
    area: float

    @property
    def exists(self) -> bool:
        """Whether there are rows inside and outside the class."""
        return len(self.y) > 0


def _roc_curves(y_true: ArrayLike, scores: ArrayLike, display_labels: Sequence[object] | None) -> list[_RocCurve]:
    """Return the curve of each output, of each class, or of class 1 alone."""
    true, values = np.asarray(y_true), np.asarray(scores)
    if values.ndim == 2 and true.shape == values.shape and true.shape[1] > 1:
        if not np.isin(true, (0, 1)).all():
            wrong = true[~np.isin(true, (0, 1))][0]
            raise ValueError(f"y_true of shape {true.shape} must hold 0 or 1 for each output, got {wrong}")
        columns = list(zip(true.T, values.T, strict=True))
        names = display_names(display_labels, len(columns), "classes")
    elif true.ndim == 1 and values.ndim == 2 and values.shape[1] > 2:
        unknown = np.setdiff1d(true, np.arange(values.shape[1]))
        if len(unknown):
            raise ValueError(f"y_true must hold labels from 0 to {values.shape[1] - 1}, got {unknown.tolist()}")
        columns = [((true == label).astype(int), column) for label, column in enumerate(values.T)]
        names = display_names(display_labels, len(columns), "classes")
    else:
        name = "" if display_labels is None else display_names(display_labels, 2, "classes")[1]
        positive_scores = values[:, 1] if values.ndim == 2 and values.shape[1] == 2 else values
        columns = [(true.ravel() if true.shape[1:] == (1,) else true, positive_scores)]
        names = [name]
    curves = [_roc_curve_if_any(name, *column) for name, column in zip(names, columns, strict=True)]
    if not any(curve.exists for curve in curves):
        raise ValueError(
            "roc_curves needs rows inside and outside at least one class, but in y_true all rows or no rows belong to "
            "each class"
        )
    return curves


def _roc_curve_if_any(name: str, positive: NDArray[Any], scores: NDArray[Any]) -> _RocCurve:
    """Return the curve of a class, or one without points if all rows or no rows belong to the class."""
    if len(positive) and positive.min() == positive.max():
        return _RocCurve(name, np.empty(0), np.empty(0), np.nan)
    return _roc_curve(name, positive, scores)


def _roc_curve(name: str, positive: NDArray[Any], scores: NDArray[Any]) -> _RocCurve:
    x, y, _ = metrics.roc_curve(positive, scores)
    return _RocCurve(name, x, y, metrics.roc_auc(positive, scores))


# Numbers --------------------------------------------------------------------------------------------------------------


def _checked_columns(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both arguments with shape (n, outputs), checked."""
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
