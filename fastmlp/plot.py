"""Pictures of a training; they need matplotlib, `pip install "fastmlp[plot]"`."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fastmlp._files import write_atomically

_TRAIN, _VALIDATION, _INK, _FAINT = "#1f6fb4", "#d9722a", "#333333", "#dddddd"
_DECADES_FOR_LOG = 100  # losses that span more than this factor are hard to read on a linear axis


class _History(Protocol):
    history: dict[str, list[float]]


def learning_curves(
    history: _History | Mapping[str, Sequence[float]], path: str | os.PathLike[str], *, title: str = "Learning curves"
) -> None:
    """Draw the loss of every epoch, on training and validation rows, and mark the best epoch.

    The best epoch is the one of least validation loss, or of least training loss where there is no validation.
    matplotlib's backend and its open figures are not touched.

    Parameters
    ----------
    history : History or mapping
        With "loss", and "val_loss" where there was validation: a number for each epoch.
    path : path-like
        The PNG file to write; its folder must exist.
    title : str
        Stands above the curves.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the extra that brings it.
    ValueError
        If the history has no "loss" or no epochs.
    OSError
        If the file cannot be written.
    """
    curves = history if isinstance(history, Mapping) else history.history
    if not curves.get("loss"):
        raise ValueError(f"history must hold the loss of at least one epoch, it has {list(curves)}")
    figure = _draw(list(curves["loss"]), list(curves.get("val_loss", ())), title)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(path, [picture.getvalue()])


def _draw(loss: list[float], val_loss: list[float], title: str) -> Any:
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise ImportError('learning curves need matplotlib: pip install "fastmlp[plot]"') from error

    # A Figure of its own, not pyplot: savefig then picks Agg for itself, whatever backend the user has chosen.
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained", facecolor="white")
    axes = figure.add_subplot(facecolor="white")
    marker = "o" if len(loss) == 1 else None  # a line needs two points to be seen
    axes.plot(range(1, len(loss) + 1), loss, color=_TRAIN, linewidth=2, marker=marker, label="training")
    if val_loss:
        axes.plot(
            range(1, len(val_loss) + 1), val_loss, color=_VALIDATION, linewidth=2, marker=marker, label="validation"
        )
    _mark_best(axes, val_loss or loss, _VALIDATION if val_loss else _TRAIN)

    positive = [value for value in loss + val_loss if value > 0]
    if len(positive) == len(loss + val_loss) and max(positive) > _DECADES_FOR_LOG * min(positive):
        axes.set_yscale("log")
    axes.set_title(title, loc="left", fontsize=14, color=_INK, pad=12)
    axes.set_xlabel("epoch", fontsize=11, color=_INK)
    axes.set_ylabel("loss", fontsize=11, color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right", frameon=False, fontsize=11, labelcolor=_INK)
    return figure


def _mark_best(axes: Any, losses: list[float], color: str) -> None:
    best = min(range(len(losses)), key=losses.__getitem__)
    label = f"best epoch {best + 1}: {losses[best]:.4g}"
    axes.axvline(best + 1, color=color, linewidth=1, linestyle=(0, (4, 4)))
    axes.plot(
        [best + 1], [losses[best]], "o", color="white", markeredgecolor=color, markeredgewidth=2, ms=8, label=label
    )
