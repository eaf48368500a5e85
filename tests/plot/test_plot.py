"""Plots: their content, their files in both formats and all themes, and no change of the state of matplotlib."""

import pickle
import re
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from cases import heavy_but
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from fastmlp import Dense, GradientMonitor, History, Network, metrics, plot, reference
from fastmlp.plot.evaluation import _MAX_OPACITY
from fastmlp.plot.themes import DARK, DARK_RULES, LIGHT

LOSS = [0.9, 0.5, 0.3, 0.2]
VAL_LOSS = [0.8, 0.4, 0.45, 0.6]
NAN = float("nan")
HOSTILE = ["$a_{$", "_hidden", "<b>&\"'", "two\nlines\x00", "long " * 20]


def legend(axes):
    found = axes.get_legend() or axes.figure.legends[0]
    return [text.get_text() for text in found.get_texts()]


def monitor(epochs=3, layers=2, **entries):
    """Return an object with the attributes of a GradientMonitor after a fit."""
    values = np.full((epochs, layers), 0.5) * 10.0 ** -np.arange(layers)
    names = ("weight_norm", "gradient_norm", "activation_rms", "dead", "saturated")
    history = {name: np.broadcast_to(entries.get(name, values), (epochs, layers)).tolist() for name in names}
    labels = [f"{layer + 1}: 3-3 tanh" for layer in range(layers)]
    return SimpleNamespace(history=history, epoch=list(range(4, 4 + epochs)), layers=labels)


def small_network(**options):
    return Network([3, Dense(4, "tanh", dropout=0.25), Dense(2, use_bias=False)], output="softmax", seed=0, **options)


PLOTS = {
    "learning_curves": lambda **options: plot.learning_curves({"loss": LOSS, "val_loss": VAL_LOSS}, **options),
    "several runs": lambda **options: plot.learning_curves({"a": {"loss": LOSS}, "b": {"loss": VAL_LOSS}}, **options),
    "confusion_matrix": lambda **options: plot.confusion_matrix([0, 1, 1], [0, 1, 0], **options),
    "roc_curves": lambda **options: plot.roc_curves([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.6], **options),
    "predicted_versus_true": lambda **options: plot.predicted_versus_true([1.0, 2.0], [1.5, 2.5], **options),
    "prediction_spread": lambda **options: plot.prediction_spread([1.0, 2.0], [0.5, 0.2], [1.5, 2.5], **options),
    "prediction_spread over x": lambda **options: plot.prediction_spread([1.0, 2.0], [0.5, 0.2], x=[0, 1], **options),
    "calibration": lambda **options: plot.calibration([1.0, 2.0], [1.5, 2.5], [0.5, 0.2], **options),
    "gradient_norms": lambda **options: plot.gradient_norms(monitor(), what="gradient_norm", **options),
    "network": lambda **options: plot.network(small_network(), **options),
}
every_plot = pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)
two_plots = pytest.mark.parametrize(
    "draw", heavy_but([PLOTS["learning_curves"], PLOTS["network"]], PLOTS.values()), ids=PLOTS
)
"""For what happens to a figure that is complete: with axes and a legend, and with neither. Drawing takes its time."""


# All plots ------------------------------------------------------------------------------------------------------------


@every_plot
@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.heavy)])
def test_a_png_has_the_size_of_the_figure_and_its_background(tmp_path, draw, theme):
    path = tmp_path / "picture.png"
    figure = draw(path=path, theme=theme)
    assert isinstance(figure, Figure)
    pixels = matplotlib.image.imread(path)[..., :3]
    assert pixels.shape[:2] == tuple(int(side) for side in (figure.get_size_inches() * figure.dpi)[::-1])
    colours = np.rint(pixels * 255).astype(np.int64) @ (1 << 16, 1 << 8, 1)
    assert len(np.unique(colours)) > 10
    ground = rgb((LIGHT if theme == "light" else DARK).surface)
    np.testing.assert_allclose(pixels[0, 0], ground, atol=0.5 / 255)
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


@two_plots
def test_an_svg_is_well_formed_and_reproducible(tmp_path, draw):
    for name in ("a.svg", "b.SVG"):
        draw(path=tmp_path / name)
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.SVG").read_bytes()


@two_plots
def test_the_rules_of_an_auto_svg_turn_the_light_plot_into_the_dark_one(tmp_path, draw):
    text = {}
    for theme in ("light", "dark", "auto"):
        draw(path=tmp_path / f"{theme}.svg", theme=theme)
        text[theme] = re.sub(r'id="[^"]*"|#[mp][0-9a-f]{10}', "", (tmp_path / f"{theme}.svg").read_text())
    rules = re.search(r"\n <style>@media \(prefers-color-scheme: dark\)\{(.*)\}</style>", text["auto"])
    plain = text["auto"].replace(rules[0], "")
    assert plain == text["light"]
    for what, light, dark in re.findall(r'\[style\*="(fill|stroke): (#\w+)"\]\{\1:(#\w+) !important\}', rules[1]):
        plain = re.sub(f'(style="[^"]*{what}: ){light}', rf"\g<1>@{dark}", plain)
    assert plain.replace("@", "") == text["dark"]


@two_plots
def test_plots_can_be_drawn_into_given_axes(tmp_path, draw):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert draw(ax=right, title="A title", path=tmp_path / "picture.png") is figure
    assert right.get_title(loc="left") == "A title"
    assert right.has_data()
    assert not left.has_data()
    assert figure.axes == [left, right]


@every_plot
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"theme": "sepia"}, ValueError, "theme must be one of 'light', 'dark', 'auto', got 'sepia'"),
        ({"theme": "auto"}, ValueError, "theme='auto' needs an SVG file, got path=None"),
        ({"theme": "auto", "path": "a.png"}, ValueError, "theme='auto' needs an SVG file, got path='a.png'"),
        ({"path": "a.pdf"}, ValueError, r"path must end in .png or .svg, got 'a.pdf'"),
        ({"path": "picture"}, ValueError, "path must end in .png or .svg"),
        ({"path": "nowhere/a.png"}, FileNotFoundError, "nowhere/a.png"),
        ({"ax": 3}, TypeError, "ax must be a matplotlib Axes, got 3 of type int"),
    ],
)
def test_invalid_arguments_are_refused_and_nothing_is_written(tmp_path, monkeypatch, draw, options, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        draw(**options)
    assert list(tmp_path.iterdir()) == []


@every_plot
def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch, draw):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "fastmlp\[plot\]"'):
        draw(path=tmp_path / "picture.png")
    assert list(tmp_path.iterdir()) == []


@two_plots
def test_figures_and_their_copies_have_a_png_for_notebooks(draw):
    figure = draw()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert pickle.loads(pickle.dumps(figure))._repr_png_() == figure._repr_png_()


def test_backend_figures_and_settings_of_the_user_are_unchanged(tmp_path):
    code = f"""
import sys, matplotlib
matplotlib.use("svg")
matplotlib.rcParams["savefig.transparent"] = True
before = dict(matplotlib.rcParams)
from fastmlp import plot
for name in ("a.png", "a.svg"):
    plot.learning_curves({{"loss": [1.0, 2.0]}}, {str(tmp_path)!r} + "/" + name)
    plot.confusion_matrix([0, 1], [0, 1], {str(tmp_path)!r} + "/" + name)
assert dict(matplotlib.rcParams) == before
assert matplotlib.get_backend() == "svg", matplotlib.get_backend()
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_matplotlib_is_not_imported_before_the_first_plot():
    code = "import sys, fastmlp.plot, fastmlp; fastmlp.History; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_colours_of_a_theme_are_distinct_and_have_a_rule():
    for palette in (LIGHT, DARK):
        assert len(set(palette.colours)) == len(palette.colours)
    assert all(DARK_RULES.count(f': {colour}"]') == 2 for colour in LIGHT.colours)


def rgb(colour):
    return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def contrast(*colours):
    """Return the contrast of two colours, as WCAG 2 defines it."""
    parts = np.array(colours)
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_the_colours_are_legible_on_the_background(palette):
    """WCAG 2.2 requires a contrast of 4.5 for texts and of 3 for meaningful lines."""
    assert min(contrast(rgb(text), rgb(palette.surface)) for text in (palette.ink, palette.muted)) >= 4.5
    assert min(contrast(rgb(line), rgb(palette.surface)) for line in palette.series) >= 3
    ground, colour = np.array(rgb(palette.surface)), np.array(rgb(palette.series[0]))
    darkest = ground + _MAX_OPACITY * (colour - ground)
    assert contrast(rgb(palette.ink), darkest) >= 4.5


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_names_with_special_characters_are_shown_literally(tmp_path, suffix):
    path, labels = tmp_path / f"picture.{suffix}", np.arange(5)
    figures = [
        plot.confusion_matrix(labels, labels, path, display_labels=HOSTILE),
        plot.roc_curves(labels, np.eye(5), path, display_labels=HOSTILE),
        plot.learning_curves({name: {"loss": LOSS} for name in HOSTILE}, path),
        plot.predicted_versus_true(np.eye(5), np.eye(5), path, display_labels=HOSTILE),
        plot.gradient_norms(SimpleNamespace(history={"$x$": [[1.0] * 5]}, epoch=[0], layers=HOSTILE), path),
    ]
    ticks = [label.get_text() for label in figures[0].axes[0].get_xticklabels()]
    shown = [ticks, *(legend(figure.axes[0]) for figure in figures[1:])]
    for names in shown:
        for name, start in zip(names, ("$a_{$", "_hidden", "<b>&\"'", "two lines\ufffd", "long long"), strict=True):
            assert name.startswith(start)
            assert len(name) < 60
    if suffix == "svg":
        ElementTree.parse(path)


# Learning curves ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [dict, lambda curves: SimpleNamespace(history=curves)], ids=["dict", "History"])
def test_both_losses_are_drawn_and_the_best_epoch_is_marked(wrap):
    [axes] = plot.learning_curves(wrap({"loss": LOSS, "val_loss": VAL_LOSS}), title="A title").axes
    training, validation, best_line, best = axes.lines
    assert training.get_xydata().tolist() == [[1, 0.9], [2, 0.5], [3, 0.3], [4, 0.2]]
    assert validation.get_xydata().tolist() == [[1, 0.8], [2, 0.4], [3, 0.45], [4, 0.6]]
    assert best.get_xydata().tolist() == [[2, 0.4]]
    assert best_line.get_xdata()[0] == 2
    assert legend(axes) == ["training", "validation", "best epoch 2: 0.4"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")) == ("epoch", "loss", "A title")


def test_history_plot_equals_learning_curves(tmp_path):
    history = History({"loss": LOSS, "val_loss": VAL_LOSS}, [0, 1, 2, 3], 0.1)
    history.plot(tmp_path / "a.svg", theme="auto")
    plot.learning_curves(history, tmp_path / "b.svg", theme="auto")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert history.plot(metric="loss", title=None).axes[0].get_title(loc="left") == ""


def test_without_validation_the_training_loss_decides_the_best_epoch():
    [axes] = plot.learning_curves({"loss": LOSS}).axes
    assert legend(axes) == ["training", "best epoch 4: 0.2"]


def test_any_metric_can_be_drawn_and_the_best_accuracy_is_the_highest():
    [axes] = plot.learning_curves({"loss": LOSS, "val_accuracy": [0.5, 0.9, 0.7]}, metric="accuracy").axes
    assert axes.get_ylabel() == "accuracy"
    assert legend(axes) == ["validation", "best epoch 2: 0.9"]
    [axes] = plot.learning_curves({"val_mine": [0.5, 0.9, 0.4]}, metric="val_mine").axes
    assert legend(axes)[-1] == "best epoch 3: 0.4"


def test_each_of_several_runs_has_a_name_a_colour_and_a_best_epoch():
    runs = {"adam": {"loss": LOSS, "val_loss": VAL_LOSS}, "sgd": History({"loss": VAL_LOSS}, [0, 1, 2, 3])}
    [axes] = plot.learning_curves(runs).axes
    training, validation, best, alone, best_alone = axes.lines
    assert training.get_ydata().tolist() == LOSS
    assert training.get_linewidth() < validation.get_linewidth()
    assert training.get_color() == validation.get_color() != alone.get_color()
    assert (best.get_xydata().tolist(), best_alone.get_xydata().tolist()) == ([[2, 0.4]], [[2, 0.4]])
    assert legend(axes) == ["adam: 0.4, epoch 2", "sgd: 0.4, epoch 2"]
    assert axes.get_ylabel() == "loss (thin: training)"


def test_24_runs_have_different_line_styles():
    [axes] = plot.learning_curves({f"run {i}": {"loss": LOSS} for i in range(24)}).axes
    styles = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in axes.lines if line.get_marker() != "o"}
    assert len(styles) == 24


@pytest.mark.parametrize(
    ("loss", "scale"), [(LOSS, "linear"), ([10.0, 0.01], "log"), ([10.0, 0.0], "linear"), ([1.0, -3.0], "linear")]
)
def test_losses_over_several_decades_have_a_logarithmic_axis(loss, scale):
    assert plot.learning_curves({"loss": loss}).axes[0].get_yscale() == scale


@pytest.mark.parametrize(
    ("loss", "dots"),
    [([1.0], [0]), ([1.0, NAN, 2.0, 3.0], [0]), ([NAN, 2.0, float("inf"), 3.0], [1, 3]), ([1.0, 2.0], None)],
)
def test_isolated_epochs_are_dots(loss, dots):
    line = plot.learning_curves({"loss": loss}).axes[0].lines[0]
    assert line.get_markevery() == dots
    assert (line.get_marker() == "o") == (dots is not None)


def test_a_single_epoch_has_one_tick():
    figure = plot.learning_curves({"loss": [1.0], "val_loss": [2.0]})
    figure.draw_without_rendering()
    left, right = figure.axes[0].get_xlim()
    assert [tick for tick in figure.axes[0].get_xticks() if left <= tick <= right] == [1]


@pytest.mark.parametrize(
    ("history", "error", "message"),
    [
        ({}, ValueError, "history must have a finite loss of at least one epoch"),
        ({"loss": []}, ValueError, "loss of at least one epoch"),
        ({"accuracy": [1.0]}, ValueError, r"loss of at least one epoch.*\['accuracy'\]"),
        ({"loss": [NAN, NAN]}, ValueError, "finite loss of at least one epoch"),
        ({"a": {"loss": [1.0]}, "b": {"acc": [1.0]}}, ValueError, "the history of 'b' must have a finite loss"),
        ({"a": {"loss": [1.0]}, "b": [1.0]}, TypeError, "the history of 'b' must be a History"),
        ({"loss": ["high"]}, TypeError, "'loss' of history must be a list of numbers"),
        ({"loss": [[1.0]]}, ValueError, r"'loss' of history must be a list of numbers, got shape \(1, 1\)"),
        ([1.0, 2.0], TypeError, "history must be a History, or a mapping"),
    ],
)
def test_invalid_histories_are_refused(tmp_path, history, error, message):
    with pytest.raises(error, match=message):
        plot.learning_curves(history, tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []


# Predictions ----------------------------------------------------------------------------------------------------------

TRUE, PREDICTED = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]


def cells(figure):
    [axes] = figure.axes
    k = len(axes.get_xticks())
    texts = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}
    return [[texts[row, column] for column in range(k)] for row in range(k)]


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        (None, ["2 1 0", "0 1 1", "0 0 1"]),
        ("true", ["0.67 0.33 0.00", "0.00 0.50 0.50", "0.00 0.00 1.00"]),
        ("pred", ["1.00 0.50 0.00", "0.00 0.50 0.50", "0.00 0.00 0.50"]),
        ("all", ["0.33 0.17 0.00", "0.00 0.17 0.17", "0.00 0.00 0.17"]),
    ],
)
def test_cells_hold_counts_or_shares(normalize, expected):
    figure = plot.confusion_matrix(TRUE, PREDICTED, normalize=normalize)
    assert cells(figure) == [row.split() for row in expected]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("predicted", "true")


def test_the_opacity_of_a_cell_is_proportional_to_its_value():
    [squares] = plot.confusion_matrix(TRUE, PREDICTED).axes[0].collections
    corners = [tuple(path.vertices[0] + 0.5) for path in squares.get_paths()]
    strength = dict(zip(corners, squares.get_facecolor()[:, 3], strict=True))
    assert strength == {(0, 0): 0.5, (1, 0): 0.25, (1, 1): 0.25, (2, 1): 0.25, (2, 2): 0.25}


def test_classes_have_the_given_order_and_names():
    figure = plot.confusion_matrix(["b", "a"], ["b", "b"], labels=["b", "a", "c"], display_labels=["B", "A", "C"])
    assert cells(figure) == [["1", "0", "0"], ["1", "0", "0"], ["0", "0", "0"]]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["B", "A", "C"]
    assert [label.get_text() for label in plot.confusion_matrix([1, 5], [5, 5]).axes[0].get_xticklabels()] == ["1", "5"]


def test_a_matrix_of_100_classes_has_no_numbers_and_some_names():
    labels = np.arange(100)
    [axes] = plot.confusion_matrix(labels, labels).axes
    assert not axes.texts
    assert 30 < len(axes.get_xticks()) <= 60
    assert "the darkest cell: 1" in axes.get_xlabel()


def test_a_matrix_is_square_and_larger_for_more_classes():
    sizes = [plot.confusion_matrix(range(count), range(count)).get_size_inches() for count in (2, 20)]
    assert all(width == height for width, height in sizes)
    assert sizes[1][0] > sizes[0][0] + 2


def test_numbers_fit_into_their_cells():
    for classes, count in ((2, 1), (5, 400_000), (30, 999)):
        y = np.repeat(np.arange(classes), count)
        figure = plot.confusion_matrix(y, y)
        figure.draw_without_rendering()
        [axes] = figure.axes
        width = axes.get_window_extent().width / classes
        assert max(text.get_window_extent().width for text in axes.texts) < width


def test_a_binary_roc_curve_equals_the_metric():
    y, scores = np.array([0, 1, 1, 0, 1]), np.array([0.2, 0.9, 0.4, 0.4, 0.8])
    for given in (scores, scores[:, None], np.stack([1 - scores, scores], axis=1)):
        [axes] = plot.roc_curves(y, given).axes
        chance, curve = axes.lines
        assert chance.get_xydata().tolist() == [[0, 0], [1, 1]]
        across, up, _ = metrics.roc_curve(y, scores)
        assert curve.get_xydata().tolist() == np.stack([across, up], axis=1).tolist()
        assert legend(axes) == [f"AUC {metrics.roc_auc(y, scores):.3f}"]
    assert legend(plot.roc_curves(y, given, display_labels=["no", "yes"]).axes[0])[0].startswith("yes: AUC")


def test_every_class_has_a_curve_against_the_others():
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 4, 50), rng.random((50, 4))
    expected = [f"{c}: AUC {metrics.roc_auc((y == c).astype(int), scores[:, c]):.3f}" for c in range(4)]
    for true in (y, np.eye(4)[y]):
        [axes] = plot.roc_curves(true, scores).axes
        assert legend(axes) == expected
        assert len(axes.lines) == 1 + 4


def test_rows_with_several_labels_have_a_curve_for_each_output():
    y, scores = np.array([[0, 1], [1, 1], [1, 0]]), np.array([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]])
    [axes] = plot.roc_curves(y, scores, display_labels=["wet", "cold"]).axes
    assert legend(axes) == ["wet: AUC 1.000", "cold: AUC 0.500"]


def test_a_class_without_rows_has_a_name_and_no_curve():
    [axes] = plot.roc_curves([0, 1, 1, 0], np.random.default_rng(0).random((4, 3))).axes
    assert legend(axes)[2] == "2: one kind of rows only"
    assert [len(line.get_xdata()) > 0 for line in axes.lines] == [True, True, True, False]


def test_of_many_curves_those_with_the_smallest_area_are_named():
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 30, 900), rng.random((900, 30))
    [axes] = plot.roc_curves(y, scores).axes
    areas = sorted(metrics.roc_auc((y == c).astype(int), scores[:, c]) for c in range(30))
    assert len(axes.lines) == 31
    assert legend(axes)[0] == f"21 more: AUC {areas[9]:.3f} to {areas[-1]:.3f}"
    assert [float(name.split()[-1]) for name in legend(axes)[1:]] == [round(area, 3) for area in areas[:9]]


def test_points_diagonal_and_r2_are_drawn():
    true, predicted = [1.0, 2.0, 4.0], [1.5, 2.0, 3.0]
    [axes] = plot.predicted_versus_true(true, predicted).axes
    diagonal, points = axes.lines
    assert diagonal.get_xydata().tolist() == [[1, 1], [4, 4]]
    assert points.get_xydata().tolist() == [[1, 1.5], [2, 2], [4, 3]]
    assert legend(axes) == [f"R² = {metrics.r2(true, predicted):.4g}"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true", "predicted")


def test_a_single_point_has_no_r2():
    [axes] = plot.predicted_versus_true([1.0], [5.0]).axes
    assert legend(axes) == ["R² needs two rows"]


def test_each_output_has_a_colour_and_r2():
    true = np.array([[1.0, 5.0], [2.0, 7.0]])
    [axes] = plot.predicted_versus_true(true, true, display_labels=["x", "y"]).axes
    assert legend(axes) == ["x: R² = 1", "y: R² = 1"]
    assert axes.lines[1].get_color() != axes.lines[2].get_color()


def test_of_many_points_some_are_drawn_and_r2_is_that_of_all():
    rng = np.random.default_rng(0)
    true = rng.normal(size=12_001)
    predicted = true + rng.normal(size=12_001)
    [axes] = plot.predicted_versus_true(true, predicted).axes
    assert 2500 < len(axes.lines[1].get_xdata()) <= 5000
    assert legend(axes) == [f"R² = {metrics.r2(true, predicted):.4g}"]
    assert re.fullmatch(r"true \(4,001 of 12,001 rows shown\)", axes.get_xlabel())


@pytest.mark.parametrize(
    ("draw", "arguments", "message"),
    [
        ("confusion_matrix", ([0, 1], [0]), "y_true and y_pred must both have shape"),
        ("confusion_matrix", ([], []), "n > 0"),
        ("confusion_matrix", ([0, 1], np.eye(2)), r"y_pred must hold labels.*shape \(2, 2\).*predict_classes"),
        ("roc_curves", (np.eye(2), [0, 1]), r"y_true must have shape \(n,\) and scores .*, got \(2, 2\) and \(2,\)"),
        (
            "confusion_matrix",
            ([0, 1], [0, 1], {"normalize": "rows"}),
            "normalize must be None, 'true', 'pred' or 'all'",
        ),
        ("confusion_matrix", ([0, 1], [0, 1], {"labels": [0]}), "labels must hold every label that occurs"),
        (
            "confusion_matrix",
            ([0, 1], [0, 1], {"display_labels": ["a"]}),
            "display_labels must have a name for each of the 2 classes",
        ),
        ("roc_curves", ([0, 1], [0.1]), "y_true must have shape"),
        ("roc_curves", ([0, 2], [0.1, 0.2]), "y_true must hold labels from 0 to 1"),
        ("roc_curves", ([0, 3], np.ones((2, 3))), r"y_true must hold labels from 0 to 2, got \[3\]"),
        ("roc_curves", (["a", "b"], np.ones((2, 3))), "y_true must hold labels from 0 to 2"),
        ("roc_curves", ([[0.5, 0.5]], [[0.5, 0.5]]), "must hold 0 or 1 for each output, got 0.5"),
        ("roc_curves", ([0, 0], [0.1, 0.2]), "needs rows inside and outside at least one class"),
        ("roc_curves", ([[0, 0, 0]], [[1, 1, 1]]), "needs rows inside and outside at least one class"),
        ("roc_curves", ([0, 1], [0.1, NAN]), "scores must be numbers, got NaN"),
        ("predicted_versus_true", ([1.0], [1.0, 2.0]), "y_true and y_pred must both have shape"),
        ("predicted_versus_true", ([1.0, 2.0], [1.0, NAN]), "y_pred must hold finite numbers, got nan"),
        (
            "predicted_versus_true",
            ([1.0], [1.0], {"display_labels": "ab"}),
            "display_labels must have a name for each of the 1 outputs",
        ),
    ],
)
def test_invalid_predictions_are_refused(draw, arguments, message):
    *given, options = arguments if isinstance(arguments[-1], dict) else (*arguments, {})
    with pytest.raises(ValueError, match=message):
        getattr(plot, draw)(*given, **options)


# Layers ---------------------------------------------------------------------------------------------------------------


def test_each_measure_has_a_panel_and_each_layer_a_line():
    figure = plot.gradient_norms(monitor(layers=3), title="A title")
    assert figure.get_suptitle() == "A title"
    assert figure.get_figheight() >= 3 * 3  # of five panels in two columns
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "norm of W",
        "norm of dW",
        "activations, root mean square",
        "share of dead units",
        "share of saturated units",
    ]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "log", "linear", "linear"]
    assert all(len(axes.lines) == 3 for axes in figure.axes)
    assert figure.axes[0].lines[1].get_xydata().tolist() == [[5, 0.05], [6, 0.05], [7, 0.05]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1: 3-3 tanh", "2: 3-3 tanh", "3: 3-3 tanh"]


def test_one_measure_can_be_selected():
    [axes] = plot.gradient_norms(monitor(), what="gradient_norm").axes
    assert axes.get_title(loc="left") == "norm of dW"
    assert len(axes.lines) == 2


def test_measures_without_values_have_no_panel_and_zeros_leave_gaps():
    titles = [axes.get_title(loc="left") for axes in plot.gradient_norms(monitor(saturated=NAN, dead=NAN)).axes]
    assert titles == ["norm of W", "norm of dW", "activations, root mean square"]
    [axes] = plot.gradient_norms(
        monitor(gradient_norm=[[0.0, 1.0], [1e-3, 1.0], [0.0, 1.0]]), what="gradient_norm"
    ).axes
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [True, False, True]
    assert axes.lines[0].get_markevery() == [1]


@pytest.mark.parametrize("factor", [1.0, 1.001, 1.9, 2.1, 5.0, 50.0, 1e3, 1e9])
def test_an_axis_of_norms_has_at_least_two_ticks(factor):
    figure = plot.gradient_norms(monitor(weight_norm=[6.1, 6.1 * factor]), what="weight_norm")
    figure.draw_without_rendering()
    [axes] = figure.axes
    low, high = axes.get_ylim()
    assert len([tick for tick in axes.get_yticks() if low <= tick <= high]) >= 2


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        (monitor(epochs=0), {}, ValueError, "the monitor has no finite values"),
        (GradientMonitor([[1.0]], [0]), {}, ValueError, r"no finite values; fit with callbacks=\[monitor\]"),
        (GradientMonitor([[1.0]], [0]), {"what": "dead"}, ValueError, "the monitor has no finite values"),
        (monitor(), {"what": "loss"}, ValueError, "what must be one of weight_norm, gradient_norm, .*, got 'loss'"),
        (monitor(), {"ax": Figure().subplots()}, ValueError, "an ax can show one measure, got 5; give what="),
        (History(), {}, TypeError, "monitor must be a GradientMonitor, got History"),
        (
            SimpleNamespace(history={"dead": [[1.0]]}, epoch=[0, 1], layers=["1"]),
            {},
            ValueError,
            r"'dead' of the monitor must have shape \(epochs, layers\) = \(2, 1\), got shape \(1, 1\)",
        ),
    ],
)
def test_invalid_monitors_are_refused(given, options, error, message):
    with pytest.raises(error, match=message):
        plot.gradient_norms(given, **options)


def test_the_values_of_a_gradient_monitor_are_drawn():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
    watching = GradientMonitor(X, y)
    small_network().fit(X, y, epochs=3, callbacks=[watching], verbose=False)
    figure = plot.gradient_norms(watching)
    assert figure.get_suptitle() == ""
    drawn = np.array([line.get_ydata() for line in figure.axes[1].lines]).T
    np.testing.assert_array_equal(drawn, watching.history["gradient_norm"])


# The network ----------------------------------------------------------------------------------------------------------


def columns(axes):
    """Return the number of drawn units of each column by its x."""
    return {line.get_xdata()[0]: len(line.get_xdata()) for line in axes.lines if line.get_markersize() > 5}


@pytest.mark.parametrize("make", [Network, reference.Network])
def test_columns_show_size_activation_and_dropout(make):
    layers = [3, Dense(4, "tanh", dropout=0.25), Dense(2, use_bias=False)]
    [axes] = plot.network(make(layers, output="softmax", seed=0)).axes
    assert columns(axes) == {0: 3, 1: 4, 2: 2}
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["3", "inputs", "4", "tanh\ndropout 0.25", "2", "softmax\nno bias"]
    assert axes.get_title(loc="left") == "24 parameters, categorical_crossentropy"


def test_lines_show_absolute_value_and_sign_of_the_weights():
    net = Network([2, 2], seed=0)
    net.set_weights([([[1.0, -0.5], [0.0, 0.25]], [0.0, 0.0])])
    [lines] = plot.network(net).axes[0].collections
    ends = {
        tuple(map(tuple, path.vertices)): look
        for path, *look in zip(lines.get_paths(), lines.get_linewidths(), lines.get_colors(), strict=True)
    }
    top, bottom = 0.5, -0.5
    by_weight = [ends[(0, a), (1, b)] for a, b in ((bottom, top), (bottom, bottom), (top, bottom), (top, top))]
    widths = [width for width, _ in by_weight]
    assert widths == sorted(widths)
    assert len(set(widths)) == 4
    positive, negative = (matplotlib.colors.to_rgb(colour) for colour in LIGHT.series[:2])
    assert tuple(by_weight[3][1][:3]) == tuple(by_weight[1][1][:3]) == positive
    assert tuple(by_weight[2][1][:3]) == negative


def test_large_layers_and_deep_networks_are_drawn_in_part():
    [axes] = plot.network(Network([1000, 11, 10, 1], seed=0)).axes
    assert list(columns(axes).values()) == [9, 9, 10, 1]
    assert [text.get_text() for text in axes.texts][::2] == ["1,000", "11", "10", "1"]
    widths = [set(lines.get_linewidths()) for lines in axes.collections]
    assert [len(found) for found in widths] == [1, 1, 10]  # the weights are drawn only between completely drawn layers
    [axes] = plot.network(Network([3] * 31, seed=0)).axes
    assert len(columns(axes)) == 14
    assert (axes.texts[-1].get_text(), axes.texts[-1].get_va()) == ("17 more\nlayers", "center")
    assert {text.get_va() for text in axes.texts[:-1]} == {"top"}
    assert len(plot.network(Network([3] * 14, seed=0)).axes[0].collections) == 13


@pytest.mark.parametrize("layers", [[2, 2], [30, *[16] * 11, 2], [3] * 40, [5, Dense(4, "leaky_relu", dropout=0.5), 1]])
def test_units_and_texts_lie_within_the_picture_and_do_not_overlap(layers):
    figure = plot.network(Network(layers, activation="hard_sigmoid", seed=0))
    figure.draw_without_rendering()
    [axes] = figure.axes
    units = Bbox.union([line.get_window_extent() for line in axes.lines if line.get_markersize() > 5])
    np.testing.assert_array_equal(Bbox.intersection(axes.get_window_extent(), units), units)
    texts = Bbox.union([text.get_window_extent() for text in axes.texts])
    np.testing.assert_array_equal(Bbox.intersection(figure.bbox, texts), texts)
    boxes = [text.get_window_extent() for text in axes.texts if not text.get_rotation()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert not any(box.y0 < units.y0 < box.y1 for box in boxes)


def test_other_objects_than_networks_are_refused():
    with pytest.raises(TypeError, match=r"net must be a Network, got \[3, 2\] of type list"):
        plot.network([3, 2])
