"""Plots over the epochs of a training: learning curves of one or several runs, and measures of each layer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._display.texts import printable_name
from fastmlp._runtime.names import hint
from fastmlp.metrics import METRICS
from fastmlp.plot.canvas import Canvas
from fastmlp.plot.themes import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Ratios of the largest to the smallest value:
_LOG_FOR_LOSSES = 100  # above, losses are hard to read on a linear axis
_LOG_FOR_NORMS = 2.0  # below, a logarithmic axis may have no tick at a round number
_POWERS_SUFFICE = 1000  # above, ticks at the powers of 10 are enough

_MEASURE_TITLES = {
    "weight_norm": "norm of W",
    "gradient_norm": "norm of dW",
    "activation_rms": "activations, root mean square",
    "dead": "share of dead units",
    "saturated": "share of saturated units",
}
_SHARES = ("dead", "saturated")  # measures between 0 and 1


class _History(Protocol):
    history: dict[str, list[float]]


class _Monitor(Protocol):
    history: dict[str, list[list[float]]]
    epoch: list[int]
    layers: list[str]


_Curves: TypeAlias = _History | Mapping[str, Sequence[float]]
_Values: TypeAlias = NDArray[np.float64]


def learning_curves(
    history: _Curves | Mapping[str, _Curves],
    path: str | os.PathLike[str] | None = None,
    *,
    metric: str = "loss",
    ax: Axes | None = None,
    title: str | None = "Learning curves",
    theme: Theme = "light",
) -> Figure:
    """Draw a loss or metric over the epochs, for training and validation, and mark the best epoch.

    The best epoch has the best validation value, or the best training value if there is no validation. The best value
    is the highest for metrics such as accuracy, and the lowest for losses and errors. A value that is NaN or infinite
    leaves a gap.

    Parameters
    ----------
    history : History, mapping of lists, or mapping of runs
        One run: a `History`, or a mapping from the name of an entry to a list with a number for each epoch. Several
        runs: a mapping from the name of the run to one of these, such as `{"adam": history_1, "sgd": history_2}`. Each
        run has its own colour. If a run has validation values, its training values are a thin line.
    path : path-like, optional
        The PNG or SVG file to write. Its folder must exist. None writes no file.
    metric : str
        The entry to draw, such as "loss" or "accuracy", together with the entry "val_" + `metric`. With "val_" at its
        beginning, the entry alone.
    ax : matplotlib.axes.Axes, optional
        The axes to draw into. None creates a figure.
    title : str, optional
        The title above the curves.
    theme : {"light", "dark", "auto"}
        The colours. "auto" needs an SVG file, which follows the colour scheme of the reader.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, or the figure of `ax`.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    TypeError
        If `history` or `ax` has the wrong type, or an entry is not a list of numbers.
    ValueError
        If a run has no finite value of `metric`, or `path` or `theme` is invalid.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> learning_curves(net.history, "loss.png")
    >>> learning_curves({"adam": net.history, "sgd": other.history}, "accuracy.svg", metric="accuracy", theme="auto")
    """
    runs = _runs(history, metric)
    canvas = Canvas(path, ax, theme, (8, 5))
    axes = canvas.axes()
    draw = _draw_run if list(runs) == [None] else _draw_runs
    draw(canvas, axes, runs, metric)
    _choose_scale(axes, np.concatenate([values for run in runs.values() for values in run if values is not None]))
    _set_epoch_ticks(axes)
    canvas.title(axes, title or "")
    return canvas.finish()


def gradient_norms(
    monitor: _Monitor,
    path: str | os.PathLike[str] | None = None,
    *,
    what: str | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    theme: Theme = "light",
) -> Figure:
    """Draw the measures of each layer that a `GradientMonitor` recorded, over the epochs.

    The plot shows vanishing gradients, and dead and saturated units.

    Parameters
    ----------
    monitor : GradientMonitor
        The monitor, after a fit.
    path : path-like, optional
        The PNG or SVG file to write. Its folder must exist. None writes no file.
    what : str, optional
        The measure to draw, a key of `monitor.history` such as "gradient_norm". None draws a panel for each measure
        that has finite values.
    ax : matplotlib.axes.Axes, optional
        The axes to draw one measure into. None creates a figure.
    title : str, optional
        The title. None gives each panel the name of its measure.
    theme : {"light", "dark", "auto"}
        The colours. "auto" needs an SVG file, which follows the colour scheme of the reader.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, or the figure of `ax`. Each panel has a line for each layer. The axes are logarithmic, except
        for shares and for values that differ by less than a factor of 2.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    TypeError
        If `monitor` or `ax` has the wrong type.
    ValueError
        If the monitor has recorded no finite values or not the measure `what`, if several measures are to be drawn into
        one `ax`, or if `path` or `theme` is invalid.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> monitor = GradientMonitor(X[:500], y[:500])
    >>> net.fit(X, y, epochs=30, callbacks=[monitor])
    >>> gradient_norms(monitor, "gradients.png", what="gradient_norm")
    """
    measures = _measures(monitor, what)
    if ax is not None and len(measures) > 1:
        raise ValueError(f"an ax can show one measure, got {len(measures)}; give what=, one of {', '.join(measures)}")
    columns = 2 if len(measures) > 1 else 1
    rows = -(-len(measures) // columns)
    canvas = Canvas(path, ax, theme, (4.7 * columns, 3 * rows + 0.4) if columns > 1 else (8, 5))
    panels = [canvas.axes()] if columns == 1 else canvas.panels(columns, rows)
    epochs = np.asarray(monitor.epoch) + 1
    for axes, (name, values) in zip(panels, measures.items(), strict=False):
        _draw_layers(canvas, axes, epochs, values, name)
        panel_title = title if columns == 1 and title is not None else _MEASURE_TITLES.get(name, name)
        canvas.title(axes, panel_title, 14 if columns == 1 else 11)
    for axes in panels[len(measures) :]:
        axes.remove()
    names = [printable_name(label, 28) for label in monitor.layers]
    canvas.legend(panels[0], panels[0].lines, names, outside=True)
    if columns > 1 and title is not None:
        canvas.figure.suptitle(title, fontsize=14, color=canvas.palette.ink, x=0.01, ha="left", parse_math=False)
    return canvas.finish()


# One run or several ---------------------------------------------------------------------------------------------------


def _runs(history: Any, metric: str) -> dict[str | None, tuple[_Values | None, _Values | None]]:
    """Return the training and validation values of each run by its name; a single run has the name None."""
    several = isinstance(history, Mapping) and any(_is_run(value) for value in history.values())
    given = history if several else {None: history}
    return {name: _run_values(run, metric, name) for name, run in given.items()}


def _is_run(value: object) -> bool:
    return isinstance(value, Mapping) or hasattr(value, "history")


def _run_values(run: Any, metric: str, name: object) -> tuple[_Values | None, _Values | None]:
    """Return the training and validation values of a run, checked; `name` is the name of the run in messages."""
    where = "history" if name is None else f"the history of {name!r}"
    entries = run if isinstance(run, Mapping) else getattr(run, "history", None)
    if not isinstance(entries, Mapping):
        raise TypeError(
            f"{where} must be a History, or a mapping from names to lists with a number for each epoch, got {run!r}"
        )
    names = ("", metric) if metric.startswith("val_") else (metric, f"val_{metric}")
    training, validation = (_checked_values(entries.get(entry), where, entry) for entry in names)
    if not any(_has_finite(values) for values in (training, validation)):
        raise ValueError(
            f"{where} must have a finite {metric} of at least one epoch; it has the entries {list(entries)}"
            f"{'' if metric in entries else hint(metric, entries)}"
        )
    return training, validation


def _checked_values(entry: ArrayLike | None, where: str, name: str) -> _Values | None:
    """Return an entry of a history as an array with NaN for values that are not finite, None if it has no values."""
    if entry is None:
        return None
    try:
        values = np.asarray(entry, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name!r} of {where} must be a list of numbers, got {entry!r}") from None
    if values.ndim != 1:
        raise ValueError(f"{name!r} of {where} must be a list of numbers, got shape {values.shape}")
    return np.where(np.isfinite(values), values, np.nan) if len(values) else None


def _draw_run(canvas: Canvas, axes: Axes, runs: Mapping[Any, Any], metric: str) -> None:
    """Draw the training and the validation curve of the only run, and mark its best epoch."""
    [curves] = runs.values()
    handles, names = [], []
    for index, (values, name) in enumerate(zip(curves, ("training", "validation"), strict=True)):
        if values is not None:
            handles.append(_draw_line(axes, values, canvas.line_style(index)))
            names.append(name)
    decisive = curves[1] if _has_finite(curves[1]) else curves[0]
    epoch = _best_epoch(decisive, metric)
    color = canvas.palette.series[1 if decisive is curves[1] else 0]
    axes.axvline(epoch + 1, color=color, linewidth=1, linestyle=(0, (4, 4)))
    handles.append(_mark_epoch(canvas, axes, epoch, decisive, color))
    names.append(f"best epoch {epoch + 1}: {decisive[epoch]:.4g}")
    canvas.labels(axes, "epoch", printable_name(metric))
    canvas.legend(axes, handles, names)


def _draw_runs(canvas: Canvas, axes: Axes, runs: Mapping[Any, Any], metric: str) -> None:
    """Draw a curve for each run, a thin one for training if the run has validation, and mark the best epochs."""
    handles, names = [], []
    thin_lines = False
    for index, (name, (training, validation)) in enumerate(runs.items()):
        style = canvas.line_style(index)
        decisive = validation if _has_finite(validation) else training
        if decisive is validation and training is not None:
            thin_lines = True
            _draw_line(axes, training, style, width=0.9)
        handles.append(_draw_line(axes, decisive, style))
        epoch = _best_epoch(decisive, metric)
        _mark_epoch(canvas, axes, epoch, decisive, style["color"])
        names.append(f"{printable_name(name, 24)}: {decisive[epoch]:.4g}, epoch {epoch + 1}")
    canvas.labels(axes, "epoch", f"{printable_name(metric)} (thin: training)" if thin_lines else printable_name(metric))
    canvas.legend(axes, handles, names)


def _has_finite(values: _Values | None) -> bool:
    return values is not None and bool(np.isfinite(values).any())


def _best_epoch(values: _Values, metric: str) -> int:
    name = metric.removeprefix("val_")
    larger_is_better = name in METRICS and METRICS[name].rises
    return int(np.nanargmax(values) if larger_is_better else np.nanargmin(values))


def _mark_epoch(canvas: Canvas, axes: Axes, epoch: int, values: _Values, color: str) -> Any:
    marker: dict[str, Any] = {"color": canvas.palette.surface, "markeredgecolor": color, "markeredgewidth": 2, "ms": 8}
    return axes.plot([epoch + 1], [values[epoch]], "o", **marker)[0]


# Lines and axes -------------------------------------------------------------------------------------------------------


def _draw_line(axes: Axes, values: _Values, style: Mapping[str, Any], epochs: Any = None, width: float = 2.0) -> Any:
    """Draw values over the epochs. A value without finite neighbours becomes a dot, because a line needs two points."""
    x = np.arange(1, len(values) + 1) if epochs is None else epochs
    finite = np.pad(np.isfinite(values), 1)
    isolated = np.flatnonzero(finite[1:-1] & ~finite[:-2] & ~finite[2:])
    dots: dict[str, Any] = {"marker": "o", "markersize": 5, "markevery": isolated.tolist()} if len(isolated) else {}
    return axes.plot(x, values, linewidth=width, **style, **dots)[0]


def _choose_scale(axes: Axes, values: _Values) -> None:
    """Make the y axis logarithmic if the values are positive and span a large range."""
    finite = values[np.isfinite(values)]
    if finite.min() > 0 and finite.max() > _LOG_FOR_LOSSES * finite.min():
        _set_log_scale(axes, finite.max() / finite.min())


def _set_log_scale(axes: Axes, ratio: float) -> None:
    """Make the y axis logarithmic; a small ratio of largest to smallest value gets ticks between powers of 10."""
    from matplotlib.ticker import LogLocator

    axes.set_yscale("log")
    if ratio < _POWERS_SUFFICE:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio > 10 else (1, 2, 3, 4, 5, 6, 8)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def _set_epoch_ticks(axes: Axes) -> None:
    """Put the ticks of the x axis at whole epochs, also if there is only one epoch."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    first, last = axes.dataLim.intervalx
    if first == last:
        axes.set_xlim(first - 0.5, last + 0.5)


# Layers ---------------------------------------------------------------------------------------------------------------


def _measures(monitor: _Monitor, what: str | None) -> dict[str, _Values]:
    """Return the measures to draw, an array of shape (epochs, layers) each."""
    for name in ("history", "epoch", "layers"):
        if not hasattr(monitor, name):
            raise TypeError(f"monitor must be a GradientMonitor, got {monitor!r} of type {type(monitor).__name__}")
    if what is not None and what not in monitor.history:
        raise ValueError(f"what must be one of {', '.join(monitor.history) or '(no measures)'}, got {what!r}")
    shape = (len(monitor.epoch), len(monitor.layers))
    measures = {}
    for name in monitor.history if what is None else [what]:
        values = np.asarray(monitor.history[name], np.float64)
        if values.size and values.shape != shape:
            raise ValueError(
                f"{name!r} of the monitor must have shape (epochs, layers) = {shape}, got shape {values.shape}"
            )
        if np.isfinite(values).any():
            measures[name] = values
    if not measures:
        raise ValueError("the monitor has no finite values; fit with callbacks=[monitor] first")
    return measures


def _draw_layers(canvas: Canvas, axes: Axes, epochs: Any, values: _Values, name: str) -> None:
    """Draw a measure, shape (epochs, layers), with a line for each layer."""
    finite = np.where(np.isfinite(values), values, np.nan)
    if name in _SHARES:
        axes.set_ylim(-0.03, 1.03)
    elif (finite > 0).any():
        positive = finite[finite > 0]
        ratio = positive.max() / positive.min()
        if ratio > _LOG_FOR_NORMS:
            _set_log_scale(axes, ratio)
            finite = np.where(finite > 0, finite, np.nan)  # a logarithmic axis has no 0
    for layer in range(finite.shape[1]):
        _draw_line(axes, finite[:, layer], canvas.line_style(layer), epochs, 1.6)
    canvas.labels(axes, "epoch", "")
    _set_epoch_ticks(axes)
