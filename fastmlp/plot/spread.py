"""Plots of predictions with a standard deviation: the spread beside the true values, and whether it is calibrated."""

from __future__ import annotations

import os
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.plot.canvas import Canvas, every_nth
from fastmlp.plot.themes import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_POINTS = 5000
_MAX_BARS = 200  # error bars; more would hide each other
_BANDS = {2: 0.18, 1: 0.36}  # the opacity of the bands of so many standard deviations
_LEVELS = np.linspace(0, 1, 101)
_BY_CHANCE = 1.96  # standard deviations that 95% of the shares of independent rows stay within

_Floats = NDArray[np.float64]


def prediction_spread(
    mean: ArrayLike,
    std: ArrayLike,
    y_true: ArrayLike | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    x: ArrayLike | None = None,
    ax: Axes | None = None,
    title: str | None = "Predictions and their spread",
    theme: Theme = "light",
) -> Figure:
    """Draw the predictions of one target with 1 and 2 standard deviations.

    With `x` it is the curve of the means over x, with bands, and a point for each true number. Without `x` it is the
    predicted over the true numbers, with error bars and the diagonal of exact predictions.

    Parameters
    ----------
    mean : array-like of shape (n,) or (n, 1)
        The predicted means, finite.
    std : array-like of shape (n,) or (n, 1)
        The standard deviations, finite and at least 0, such as `Ensemble.predict(X, return_std=True)` returns.
    y_true : array-like of shape (n,) or (n, 1), optional
        The true numbers, finite. They can be left out if there is `x`.
    path : path-like, optional
        The PNG or SVG file to write. Its folder must exist. None writes no file.
    x : array-like of shape (n,) or (n, 1), optional
        The input over which the curve is drawn, finite, in any order.
    ax : matplotlib.axes.Axes, optional
        The axes to draw into. None creates a figure.
    title : str, optional
        The title above the plot.
    theme : {"light", "dark", "auto"}
        The colours. "auto" needs an SVG file, which follows the colour scheme of the reader.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, or the figure of `ax`. Of more than 5,000 points, or 200 error bars, only some are drawn. The
        legend says which share of all true numbers lies within 1 and 2 deviations.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    TypeError
        If `ax` is not a matplotlib Axes, or the numbers are not numbers.
    ValueError
        If the shapes differ, a number is not finite, a deviation is negative, `x` and `y_true` are both None, or `path`
        or `theme` is invalid.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> mean, std = ensemble.predict(X, return_std=True)
    >>> prediction_spread(mean, std, y, "spread.png")
    >>> prediction_spread(mean, std, y, "curve.png", x=X[:, 0])
    """
    if x is None and y_true is None:
        raise ValueError("prediction_spread needs y_true, the true numbers, or x, over which it draws a curve")
    arrays = _checked_columns(mean=mean, std=std, y_true=y_true, x=x)
    canvas = Canvas(path, ax, theme, (7, 6.2) if x is None else (8, 5))
    axes = canvas.axes()
    if x is None:
        _draw_error_bars(canvas, axes, arrays["y_true"], arrays["mean"], arrays["std"])
    else:
        _draw_bands(canvas, axes, arrays)
    canvas.title(axes, title or "")
    return canvas.finish()


def calibration(
    y_true: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: Axes | None = None,
    title: str | None = "Calibration",
    theme: Theme = "light",
) -> Figure:
    """Draw which share of the true numbers lies within intervals that should contain a given share of them.

    The interval of a share p is the central one of the normal distribution with the predicted mean and deviation. The
    curve of a calibrated prediction is close to the diagonal. It is below if the deviations are too small.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        The true numbers, finite, of rows that did not train the networks.
    mean : array-like of shape (n,) or (n, 1)
        The predicted means, finite.
    std : array-like of shape (n,) or (n, 1)
        The predicted standard deviations, finite and at least 0.
    path : path-like, optional
        The PNG or SVG file to write. Its folder must exist. None writes no file.
    ax : matplotlib.axes.Axes, optional
        The axes to draw into. None creates a figure.
    title : str, optional
        The title above the curve.
    theme : {"light", "dark", "auto"}
        The colours. "auto" needs an SVG file, which follows the colour scheme of the reader.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, or the figure of `ax`. At each share, the grey band contains 95% of the curves that n rows of
        a calibrated prediction give by chance. The legend says whether the deviations are too large or too small, if
        most of the curve is outside.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message gives the command that installs it.
    TypeError
        If `ax` is not a matplotlib Axes, or the numbers are not numbers.
    ValueError
        If the shapes differ, a number is not finite, a deviation is negative, or `path` or `theme` is invalid.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> mean, std = ensemble.predict(X_test, return_std=True)
    >>> calibration(y_test, mean, std, "calibration.png")
    """
    arrays = _checked_columns(y_true=y_true, mean=mean, std=std)
    shares = _shares_within(np.abs(arrays["y_true"] - arrays["mean"]), arrays["std"])
    canvas = Canvas(path, ax, theme, (7.2, 6))
    axes, rows = canvas.axes(), len(arrays["mean"])
    color, muted = canvas.line_style(0)["color"], canvas.palette.muted
    half_width = _BY_CHANCE * np.sqrt(_LEVELS * (1 - _LEVELS) / rows)
    low, high = np.clip(_LEVELS - half_width, 0, 1), np.clip(_LEVELS + half_width, 0, 1)
    band = axes.fill_between(_LEVELS, low, high, color=muted, alpha=0.2, linewidth=0)
    axes.plot([0, 1], [0, 1], color=muted, linewidth=1, linestyle=(0, (4, 4)))
    [curve] = axes.plot(_LEVELS, shares, color=color, linewidth=2)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    canvas.labels(axes, "share that an interval should contain", "share of the true values that it contains")
    above, outside = np.mean(shares - _LEVELS) > 0, np.mean((shares < low) | (shares > high)) > 0.5
    verdict = f": deviations too {'large' if above else 'small'}" if outside else ""
    names = [f"off by {np.abs(shares - _LEVELS).mean():.3f} on average{verdict}", f"95% by chance, {rows:,} rows"]
    canvas.legend(axes, [curve, band], names, "lower right" if above else "upper left")
    canvas.title(axes, title or "")
    return canvas.finish()


# Over x, and over the true numbers ------------------------------------------------------------------------------------


def _draw_bands(canvas: Canvas, axes: Axes, arrays: dict[str, _Floats]) -> None:
    """Draw the means over x, the bands around them, and the true numbers if there are any."""
    from matplotlib.patches import Patch

    order = np.argsort(arrays["x"], kind="stable")[every_nth(len(arrays["x"]), _MAX_POINTS)]
    x, mean, std = (arrays[name][order] for name in ("x", "mean", "std"))
    color = canvas.line_style(0)["color"]
    handles: list[Any] = axes.plot(x, mean, color=color, linewidth=2, marker="o" if len(x) == 1 else "")
    names = ["mean"]
    drawn = 0.0
    for deviations, opacity in _BANDS.items():  # the narrow band lies on the wide one
        alpha = 1 - (1 - opacity) / (1 - drawn)
        edges = mean - deviations * std, mean + deviations * std
        axes.fill_between(x, *edges, color=color, alpha=alpha, linewidth=0)
        drawn = opacity
    shares = _shares_of_bands(arrays) if "y_true" in arrays else {}
    for deviations in sorted(_BANDS):
        handles.append(Patch(facecolor=color, alpha=_BANDS[deviations], linewidth=0))
        names.append(_band_name(deviations) + shares.get(deviations, ""))
    if "y_true" in arrays:
        marker: dict[str, Any] = {"markersize": 4.5 if len(x) <= 500 else 3, "alpha": 0.65, "markeredgewidth": 0}
        handles += axes.plot(x, arrays["y_true"][order], "o", color=canvas.line_style(1)["color"], **marker)
        names.append("true")
    canvas.labels(axes, _shown_rows("x", len(x), len(arrays["x"])), "y")
    canvas.legend(axes, handles, names)


def _draw_error_bars(canvas: Canvas, axes: Axes, true: _Floats, mean: _Floats, std: _Floats) -> None:
    """Draw the means over the true numbers with thick bars of 1 and thin bars of 2 deviations, and the diagonal."""
    drawn = np.argsort(true, kind="stable")[every_nth(len(true), _MAX_BARS)]
    color = canvas.line_style(0)["color"]
    ends = [true.min(), true.max()]
    axes.plot(ends, ends, color=canvas.palette.muted, linewidth=1.2, linestyle=(0, (4, 4)), zorder=3)
    shares = _shares_of_bands({"y_true": true, "mean": mean, "std": std})
    handles: list[Any] = []
    names = []
    for deviations, width in ((1, 2.4), (2, 0.9)):
        edges = mean[drawn] - deviations * std[drawn], mean[drawn] + deviations * std[drawn]
        handles.append(axes.vlines(true[drawn], *edges, color=color, linewidth=width, alpha=0.45))
        names.append(_band_name(deviations) + shares[deviations])
    points = axes.plot(true[drawn], mean[drawn], "o", color=color, markersize=4.5, markeredgewidth=0)
    canvas.labels(axes, _shown_rows("true", len(drawn), len(true)), "predicted")
    canvas.legend(axes, [*points, *handles], ["mean", *names], "upper left")


def _band_name(deviations: int) -> str:
    return f"±{deviations} standard deviation{'s' * (deviations > 1)}"


def _shares_of_bands(arrays: dict[str, _Floats]) -> dict[int, str]:
    """Return, for each band, which share of all true numbers it contains, for the legend."""
    errors = np.abs(arrays["y_true"] - arrays["mean"])
    return {each: f", {100 * np.mean(errors <= each * arrays['std']):.0f}% of true values" for each in _BANDS}


def _shown_rows(label: str, drawn: int, rows: int) -> str:
    return label if drawn == rows else f"{label} ({drawn:,} of {rows:,} rows shown)"


# Numbers --------------------------------------------------------------------------------------------------------------


def _shares_within(errors: _Floats, std: _Floats) -> _Floats:
    """Return the share of errors within the central interval of each of `_LEVELS`; that of level 1 is infinite."""
    widths = [NormalDist().inv_cdf((1 + level) / 2) for level in _LEVELS[:-1].tolist()]
    return np.array([*(np.mean(errors <= width * std) for width in widths), 1.0])


def _checked_columns(**given: ArrayLike | None) -> dict[str, _Floats]:
    """Return the arguments that are not None with shape (n,), checked."""
    arrays = {name: np.asarray(values, np.float64) for name, values in given.items() if values is not None}
    columns = {name: array[:, 0] if array.shape[1:] == (1,) else array for name, array in arrays.items()}
    first = next(iter(columns.values()))
    if any(array.shape != first.shape or array.ndim != 1 for array in columns.values()) or not first.size:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        several = any(array.ndim == 2 and array.shape[1] > 1 for array in arrays.values())
        hint = "; give one target, such as mean[:, 0]" if several else ""
        raise ValueError(
            f"{' and '.join(arrays)} must have shape (n,) or (n, 1), with the same n > 0, got {shapes}{hint}"
        )
    for name, array in columns.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must hold finite numbers, got {array[~np.isfinite(array)][0]}")
    if (columns["std"] < 0).any():
        raise ValueError(f"std must be at least 0, got {columns['std'].min()}")
    return columns
