"""What happens from epoch to epoch: the curves of one training or of several, and the gradients layer by layer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._display.texts import printable_name
from fastmlp.metrics import METRICS
from fastmlp.plot.canvas import Canvas
from fastmlp.plot.themes import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FACTOR_FOR_LOG = 100  # losses that span more than this factor are hard to read on a linear axis
_FACTOR_FOR_POWERS = 1000  # values that span more have enough ticks at the powers of 10
_LEAST_FACTOR = 2.0  # norms that span less may have no round number among them on a logarithmic axis
_QUANTITIES = {
    "weight_norm": "norm of W",
    "gradient_norm": "norm of dW",
    "activation_rms": "activations, root mean square",
    "dead": "share of dead units",
    "saturated": "share of saturated units",
}
_SHARES = ("dead", "saturated")


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
    """Draw a metric of every epoch, on training and validation rows, and mark the best epoch.

    The best epoch is that of the best validation value, or training value where there is no validation: the highest of
    metrics that rise, such as accuracy, else the lowest. An epoch whose value is NaN or infinite is a gap.

    Parameters
    ----------
    history : History, mapping of lists, or mapping of runs
        One run: a `History` or its dict, a number for each epoch. Several: `{"adam": history_1, "sgd": history_2}`,
        a colour each; with validation the thin lines are training.
    path : path-like, optional
        The PNG or SVG file to write; its folder must exist.
    metric : str
        The entry to draw, with that of the same name after "val_": "loss", "accuracy" ...
    ax : Axes, optional
        Where to draw; None makes a figure.
    title : str, optional
        Stands above the curves.
    theme : {"light", "dark", "auto"}
        The colours; "auto" is for SVG files.

    Returns
    -------
    Figure
        With the curves on its axes, or the one that `ax` belongs to.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the extra that brings it.
    ValueError, TypeError
        If a run has no such entry or no epoch with a finite value, or path, axes or theme do not suit.
    OSError
        If the file cannot be written.
    """
    runs = _runs(history, metric)
    canvas = Canvas(path, ax, theme, (8, 5))
    axes = canvas.axes()
    draw = _draw_one if list(runs) == [None] else _draw_several
    draw(canvas, axes, runs, metric)
    _scale(axes, np.concatenate([values for curves in runs.values() for values in curves if values is not None]))
    _epochs(axes)
    canvas.title(axes, title or "")
    return canvas.done()


def gradient_norms(
    monitor: _Monitor,
    path: str | os.PathLike[str] | None = None,
    *,
    what: str | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    theme: Theme = "light",
) -> Figure:
    """Draw what a `GradientMonitor` saw of each layer, epoch by epoch: do gradients vanish, do units die?

    Parameters
    ----------
    monitor : GradientMonitor
        After a fit.
    path : path-like, optional
        The PNG or SVG file to write; its folder must exist.
    what : str, optional
        An entry of `monitor.history` such as "gradient_norm"; None draws a panel of each that has values.
    ax : Axes, optional
        Where to draw one entry; None makes a figure.
    title : str, optional
        Stands above the picture; None says what is drawn.
    theme : {"light", "dark", "auto"}
        The colours; "auto" is for SVG files.

    Returns
    -------
    Figure
        With a line a layer in each panel, on logarithmic axes, except shares and what hardly differs.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the extra that brings it.
    ValueError, TypeError
        If the monitor has seen no epoch or no such entry, or path, axes or theme do not suit.
    OSError
        If the file cannot be written.
    """
    quantities = _quantities(monitor, what)
    if ax is not None and len(quantities) > 1:
        raise ValueError(f"one ax has room for one quantity; choose with what=, one of {', '.join(quantities)}")
    columns = 2 if len(quantities) > 1 else 1
    rows = -(-len(quantities) // columns)
    canvas = Canvas(path, ax, theme, (4.7 * columns, 3 * rows + 0.4) if columns > 1 else (8, 5))
    panels = [canvas.axes()] if columns == 1 else canvas.panels(columns, rows)
    epochs = np.asarray(monitor.epoch) + 1
    for axes, (name, values) in zip(panels, quantities.items(), strict=False):
        _draw_layers(canvas, axes, epochs, values, name)
        shown = title if columns == 1 and title is not None else _QUANTITIES.get(name, name)
        canvas.title(axes, shown, 14 if columns == 1 else 11)
    for axes in panels[len(quantities) :]:
        axes.remove()
    names = [printable_name(label, 28) for label in monitor.layers]
    canvas.legend(panels[0], panels[0].lines, names, outside=True)
    if columns > 1 and title is not None:
        canvas.figure.suptitle(title, fontsize=14, color=canvas.palette.ink, x=0.01, ha="left", parse_math=False)
    return canvas.done()


# One run or several ---------------------------------------------------------------------------------------------------


def _runs(history: Any, metric: str) -> dict[str | None, tuple[_Values | None, _Values | None]]:
    """Training and validation values by the name of the run; one run has none."""
    several = isinstance(history, Mapping) and any(_is_run(value) for value in history.values())
    given = history if several else {None: history}
    return {name: _values_of(run, metric, name) for name, run in given.items()}


def _is_run(value: object) -> bool:
    return isinstance(value, Mapping) or hasattr(value, "history")


def _values_of(run: Any, metric: str, name: object) -> tuple[_Values | None, _Values | None]:
    of = "history" if name is None else f"the history of {name!r}"
    curves = run if isinstance(run, Mapping) else getattr(run, "history", None)
    if not isinstance(curves, Mapping):
        raise TypeError(f"{of} must be a History, or a mapping from names to numbers an epoch, got {run!r}")
    training, validation = (_values(curves.get(entry), of, entry) for entry in (metric, f"val_{metric}"))
    if not any(values is not None and np.isfinite(values).any() for values in (training, validation)):
        raise ValueError(f"{of} must hold the {metric} of at least one epoch, a finite number; it has {list(curves)}")
    return training, validation


def _values(entry: ArrayLike | None, of: str, name: str) -> _Values | None:
    if entry is None:
        return None
    try:
        values = np.asarray(entry, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name!r} of {of} must be a list of numbers, got {entry!r}") from None
    if values.ndim != 1:
        raise ValueError(f"{name!r} of {of} must be a list of numbers, got shape {values.shape}")
    return np.where(np.isfinite(values), values, np.nan) if len(values) else None


def _draw_one(canvas: Canvas, axes: Axes, runs: Mapping[Any, Any], metric: str) -> None:
    [curves] = runs.values()
    handles, names = [], []
    for index, (values, name) in enumerate(zip(curves, ("training", "validation"), strict=True)):
        if values is not None:
            handles.append(_draw(axes, values, canvas.line(index)))
            names.append(name)
    best = curves[1] if _has_values(curves[1]) else curves[0]
    epoch = _best(best, metric)
    color = canvas.palette.series[1 if best is curves[1] else 0]
    axes.axvline(epoch + 1, color=color, linewidth=1, linestyle=(0, (4, 4)))
    handles.append(_mark(canvas, axes, epoch, best, color))
    names.append(f"best epoch {epoch + 1}: {best[epoch]:.4g}")
    canvas.labels(axes, "epoch", printable_name(metric))
    canvas.legend(axes, handles, names)


def _draw_several(canvas: Canvas, axes: Axes, runs: Mapping[Any, Any], metric: str) -> None:
    handles, names = [], []
    both = False
    for index, (name, (training, validation)) in enumerate(runs.items()):
        style = canvas.line(index)
        main = validation if _has_values(validation) else training
        if main is validation and training is not None:
            both = True
            _draw(axes, training, style, width=0.9)
        handles.append(_draw(axes, main, style))
        epoch = _best(main, metric)
        _mark(canvas, axes, epoch, main, style["color"])
        names.append(f"{printable_name(name, 24)}: {main[epoch]:.4g}, epoch {epoch + 1}")
    canvas.labels(axes, "epoch", f"{printable_name(metric)} (thin: training)" if both else printable_name(metric))
    canvas.legend(axes, handles, names)


def _has_values(values: _Values | None) -> bool:
    return values is not None and bool(np.isfinite(values).any())


def _best(values: _Values, metric: str) -> int:
    rises = metric in METRICS and METRICS[metric].rises
    return int(np.nanargmax(values) if rises else np.nanargmin(values))


def _mark(canvas: Canvas, axes: Axes, epoch: int, values: _Values, color: str) -> Any:
    look: dict[str, Any] = {"color": canvas.palette.surface, "markeredgecolor": color, "markeredgewidth": 2, "ms": 8}
    return axes.plot([epoch + 1], [values[epoch]], "o", **look)[0]


# Lines and axes -------------------------------------------------------------------------------------------------------


def _draw(axes: Axes, values: _Values, style: Mapping[str, Any], epochs: Any = None, width: float = 2.0) -> Any:
    """A line; an epoch whose neighbours have no value is a dot, since a line needs two points to be seen."""
    places = np.arange(1, len(values) + 1) if epochs is None else epochs
    there = np.pad(np.isfinite(values), 1)
    alone = np.flatnonzero(there[1:-1] & ~there[:-2] & ~there[2:])
    dots: dict[str, Any] = {"marker": "o", "markersize": 5, "markevery": alone.tolist()} if len(alone) else {}
    return axes.plot(places, values, linewidth=width, **style, **dots)[0]


def _scale(axes: Axes, values: _Values) -> None:
    known = values[np.isfinite(values)]
    if known.min() > 0 and known.max() > _FACTOR_FOR_LOG * known.min():
        _logarithmic(axes, known.max() / known.min())


def _logarithmic(axes: Axes, factor: float) -> None:
    """A logarithmic axis for values that span this factor; where that is small, more of it than the powers of 10."""
    from matplotlib.ticker import LogLocator

    axes.set_yscale("log")
    if factor < _FACTOR_FOR_POWERS:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if factor > 10 else (1, 2, 3, 4, 5, 6, 8)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def _epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    first, last = axes.dataLim.intervalx
    if first == last:
        axes.set_xlim(first - 0.5, last + 0.5)


# Layers ---------------------------------------------------------------------------------------------------------------


def _quantities(monitor: _Monitor, what: str | None) -> dict[str, _Values]:
    """The entries to draw, (epochs, layers) each."""
    for name in ("history", "epoch", "layers"):
        if not hasattr(monitor, name):
            raise TypeError(f"monitor must be a GradientMonitor, got {monitor!r} of type {type(monitor).__name__}")
    if what is not None and what not in monitor.history:
        raise ValueError(f"what must be one of {', '.join(monitor.history) or '(nothing was seen)'}, got {what!r}")
    shape = (len(monitor.epoch), len(monitor.layers))
    found = {}
    for name in monitor.history if what is None else [what]:
        values = np.asarray(monitor.history[name], np.float64)
        if values.size and values.shape != shape:
            raise ValueError(
                f"{name!r} of the monitor must have a number for each epoch and layer, {shape}, got {values.shape}"
            )
        if np.isfinite(values).any():
            found[name] = values
    if not found:
        raise ValueError("the monitor has seen no epoch with finite values; fit with callbacks=[monitor] first")
    return found


def _draw_layers(canvas: Canvas, axes: Axes, epochs: Any, values: _Values, name: str) -> None:
    known = np.where(np.isfinite(values), values, np.nan)
    if name in _SHARES:
        axes.set_ylim(-0.03, 1.03)
    elif (known > 0).any():
        positive = known[known > 0]
        factor = positive.max() / positive.min()
        if factor > _LEAST_FACTOR:
            _logarithmic(axes, factor)
            known = np.where(known > 0, known, np.nan)  # 0 has no place there
    for layer in range(known.shape[1]):
        _draw(axes, known[:, layer], canvas.line(layer), epochs, 1.6)
    canvas.labels(axes, "epoch", "")
    _epochs(axes)
