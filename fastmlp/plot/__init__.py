"""Pictures of networks and of their training; they need matplotlib, `pip install "fastmlp[plot]"`.

Every function takes its data, then `path` and, by name, `ax`, `title` and `theme`, and returns a matplotlib `Figure`:

- `path` is a PNG or SVG file to write, by its suffix; None writes none,
- `ax` is a matplotlib `Axes` to draw into, whose figure keeps its own ground; None makes a figure,
- `title` stands above the picture,
- `theme` is "light" or "dark", or "auto" for an SVG file that follows the reader's choice.

A figure is made without pyplot: no backend is chosen, and nothing must be closed. A notebook shows it.
"""

from fastmlp.plot.curves import gradient_norms, learning_curves
from fastmlp.plot.drawing import network
from fastmlp.plot.evaluation import confusion_matrix, predicted_versus_true, roc_curves
from fastmlp.plot.themes import Theme

__all__ = [
    "Theme",
    "confusion_matrix",
    "gradient_norms",
    "learning_curves",
    "network",
    "predicted_versus_true",
    "roc_curves",
]
