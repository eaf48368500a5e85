"""Plots of networks, of their training and of their predictions. They need matplotlib: `pip install "fastmlp[plot]"`.

Each function takes its data and `path`, and the keyword arguments `ax`, `title` and `theme`. It returns a matplotlib
`Figure`.

- `path` is the PNG or SVG file to write; the suffix decides. None writes no file.
- `ax` is a matplotlib `Axes` to draw into; its figure keeps its background. None creates a figure.
- `title` is the text above the plot.
- `theme` is "light" or "dark", or "auto" for an SVG file that follows the colour scheme of the reader.

The figures do not use pyplot: drawing selects no backend, and figures need not be closed. Notebooks show them.

>>> fastmlp.plot.learning_curves(net.history, "curves.png")
>>> fastmlp.plot.confusion_matrix(labels, net.predict_classes(X), "confusion.svg", theme="auto")
"""

from typing import TYPE_CHECKING

from fastmlp._runtime.names import module_attributes
from fastmlp.plot.evaluation import confusion_matrix, predicted_versus_true, roc_curves
from fastmlp.plot.network_diagram import network
from fastmlp.plot.spread import calibration, prediction_spread
from fastmlp.plot.themes import Theme
from fastmlp.plot.training_curves import gradient_norms, learning_curves

__all__ = [
    "Theme",
    "calibration",
    "confusion_matrix",
    "gradient_norms",
    "learning_curves",
    "network",
    "predicted_versus_true",
    "prediction_spread",
    "roc_curves",
]

if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
