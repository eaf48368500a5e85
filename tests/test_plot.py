"""Learning curves are drawn from a history into a PNG, and nothing of the user's matplotlib changes."""

import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from fastmlp import plot

LOSS = [0.9, 0.5, 0.3, 0.2]
VAL_LOSS = [0.8, 0.4, 0.45, 0.6]


def drawn(history, monkeypatch, path):
    """The axes that `learning_curves` drew into the file."""
    figures = []
    draw = plot._draw
    monkeypatch.setattr(plot, "_draw", lambda *arguments: figures.append(draw(*arguments)) or figures[-1])
    plot.learning_curves(history, path, title="A title")
    return figures[0].axes[0]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize("wrap", [dict, lambda curves: SimpleNamespace(history=curves)], ids=["dict", "History"])
def test_the_file_is_a_picture_with_something_on_it(tmp_path, wrap):
    path = tmp_path / "curves.png"
    plot.learning_curves(wrap({"loss": LOSS, "val_loss": VAL_LOSS}), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[0] >= 600
    assert pixels.shape[1] >= 1000
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]


def test_both_losses_are_drawn_over_the_epochs_and_the_best_is_marked(tmp_path, monkeypatch):
    axes = drawn({"loss": LOSS, "val_loss": VAL_LOSS}, monkeypatch, tmp_path / "curves.png")
    training, validation, best_line, best = axes.lines
    assert training.get_xydata().tolist() == [[1, 0.9], [2, 0.5], [3, 0.3], [4, 0.2]]
    assert validation.get_xydata().tolist() == [[1, 0.8], [2, 0.4], [3, 0.45], [4, 0.6]]
    assert best.get_xydata().tolist() == [[2, 0.4]]
    assert best_line.get_xdata()[0] == 2
    assert legend(axes) == ["training", "validation", "best epoch 2: 0.4"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")) == ("epoch", "loss", "A title")


def test_without_validation_the_best_epoch_is_that_of_the_training_loss(tmp_path, monkeypatch):
    axes = drawn({"loss": LOSS}, monkeypatch, tmp_path / "curves.png")
    assert legend(axes) == ["training", "best epoch 4: 0.2"]


@pytest.mark.parametrize(
    ("loss", "scale"), [(LOSS, "linear"), ([10.0, 0.01], "log"), ([10.0, 0.0], "linear"), ([1.0, -3.0], "linear")]
)
def test_losses_over_many_decades_get_a_logarithmic_axis(tmp_path, monkeypatch, loss, scale):
    assert drawn({"loss": loss}, monkeypatch, tmp_path / "curves.png").get_yscale() == scale


def test_a_single_epoch_can_be_seen(tmp_path, monkeypatch):
    assert drawn({"loss": [1.0]}, monkeypatch, tmp_path / "curves.png").lines[0].get_marker() == "o"


@pytest.mark.parametrize("history", [{}, {"loss": []}, {"accuracy": [1.0]}])
def test_a_history_without_epochs_is_refused(tmp_path, history):
    with pytest.raises(ValueError, match="loss of at least one epoch"):
        plot.learning_curves(history, tmp_path / "curves.png")


def test_the_users_backend_and_figures_are_not_touched(tmp_path):
    code = (
        "import sys, matplotlib; matplotlib.use('svg');"
        "from fastmlp.plot import learning_curves;"
        f"learning_curves({{'loss': [1.0, 2.0]}}, {str(tmp_path / 'curves.png')!r});"
        "assert matplotlib.get_backend() == 'svg', matplotlib.get_backend();"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_matplotlib_is_imported_when_a_picture_is_drawn_and_not_before():
    subprocess.run(
        [sys.executable, "-c", "import sys, fastmlp.plot; assert 'matplotlib' not in sys.modules"], check=True
    )


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "fastmlp\[plot\]"'):
        plot.learning_curves({"loss": LOSS}, tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []
