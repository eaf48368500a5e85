"""Plots of predictions with standard deviations: what is drawn where, and what the legend says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from scipy.stats import norm

from fastmlp import plot
from fastmlp.plot.themes import DARK, LIGHT

MEAN, STD, TRUE = [2.0, 1.0, 3.0], [0.5, 0.25, 1.0], [2.1, 1.4, 9.0]
NAN = float("nan")


def legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


# Over x ---------------------------------------------------------------------------------------------------------------


def test_the_curve_and_its_bands_are_drawn_in_the_order_of_x() -> None:
    [axes] = plot.prediction_spread(MEAN, STD, x=[5.0, 1.0, 3.0]).axes
    [curve] = axes.lines
    assert curve.get_xydata().tolist() == [[1, 1], [3, 3], [5, 2]]
    for band, deviations in zip(axes.collections, (2, 1), strict=True):
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
        for x, mean, std in ((1, 1, 0.25), (3, 3, 1), (5, 2, 0.5)):
            assert {(x, mean - deviations * std), (x, mean + deviations * std)} <= corners
    assert legend(axes) == ["mean", "±1 standard deviation", "±2 standard deviations"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")) == (
        "x",
        "y",
        "Predictions and their spread",
    )


def test_true_numbers_are_points_and_counted_in_the_bands() -> None:
    [axes] = plot.prediction_spread(np.array(MEAN)[:, None], STD, TRUE, x=[5.0, 1.0, 3.0]).axes
    points = axes.lines[1]
    assert points.get_xydata().tolist() == [[1, 1.4], [3, 9], [5, 2.1]]
    assert points.get_color() == LIGHT.series[1]
    texts = ["mean", "±1 standard deviation, 33% of true values", "±2 standard deviations, 67% of true values", "true"]
    assert legend(axes) == texts


@pytest.mark.parametrize(("theme", "palette"), [("light", LIGHT), ("dark", DARK)])
def test_the_legend_shows_the_opacity_that_overlapping_bands_have(theme: Any, palette: Any) -> None:
    [axes] = plot.prediction_spread(MEAN, STD, x=[1, 2, 3], theme=theme).axes
    wide, narrow = (band.get_facecolor()[0] for band in axes.collections)
    shown = [patch.get_facecolor() for patch in axes.get_legend().get_patches()]
    assert tuple(wide[:3]) == to_rgba(palette.series[0])[:3]
    np.testing.assert_allclose(shown[1][3], wide[3])
    np.testing.assert_allclose(shown[0][3], 1 - (1 - wide[3]) * (1 - narrow[3]))


def test_one_row_is_a_dot() -> None:
    assert plot.prediction_spread([1.0], [0.5], x=[2.0]).axes[0].lines[0].get_marker() == "o"


def test_of_many_rows_some_are_drawn_and_all_are_counted() -> None:
    rng = np.random.default_rng(0)
    mean, x = rng.normal(size=12_001), rng.normal(size=12_001)
    true = mean + rng.normal(size=12_001)
    share = f"±1 standard deviation, {100 * np.mean(np.abs(true - mean) <= 1):.0f}% of true values"
    for given, drawn in ((x, 4001), (None, 197)):
        [axes] = plot.prediction_spread(mean, np.ones(12_001), true, x=given).axes
        assert len(axes.lines[1].get_xdata()) == drawn
        assert re.fullmatch(rf"(x|true) \({drawn:,} of 12,001 rows shown\)", axes.get_xlabel())
        assert share in legend(axes)


# Over the true numbers ------------------------------------------------------------------------------------------------


def test_error_bars_reach_one_and_two_deviations() -> None:
    [axes] = plot.prediction_spread(MEAN, STD, TRUE).axes
    diagonal, points = axes.lines
    assert diagonal.get_xydata().tolist() == [[1.4, 1.4], [9, 9]]
    assert points.get_xydata().tolist() == [[1.4, 1], [2.1, 2], [9, 3]]
    for bars, deviations in zip(axes.collections, (1, 2), strict=True):
        ends = [segment.tolist() for segment in bars.get_segments()]
        expected = [(1.4, 1, 0.25), (2.1, 2, 0.5), (9, 3, 1)]
        assert ends == [[[x, m - deviations * s], [x, m + deviations * s]] for x, m, s in expected]
    assert axes.collections[0].get_linewidths()[0] > axes.collections[1].get_linewidths()[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true", "predicted")
    assert legend(axes)[1:] == [
        "±1 standard deviation, 33% of true values",
        "±2 standard deviations, 67% of true values",
    ]


# Calibration ----------------------------------------------------------------------------------------------------------


def curve(axes: Any) -> tuple[Any, Any]:
    return axes.lines[1].get_xdata(), axes.lines[1].get_ydata()


def test_the_curve_is_the_share_within_central_intervals() -> None:
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=200), rng.uniform(0.5, 2, 200)
    true = mean + 1.3 * std * rng.normal(size=200)
    [axes] = plot.calibration(true, mean[:, None], std).axes
    level, share = curve(axes)
    expected = [np.mean(np.abs(true - mean) <= norm.ppf((1 + each) / 2) * std) for each in level[:-1]]
    np.testing.assert_allclose(share, [*expected, 1], atol=1e-12)
    assert axes.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert legend(axes)[1] == "95% by chance, 200 rows"


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, ""), (0.5, ": deviations too small"), (2.0, ": deviations too large")]
)
def test_the_legend_says_on_which_side_the_deviations_are_wrong(factor: float, verdict: str) -> None:
    rng = np.random.default_rng(0)
    [axes] = plot.calibration(rng.normal(size=500), np.zeros(500), np.full(500, factor)).axes
    level, share = curve(axes)
    assert legend(axes)[0] == f"off by {np.abs(share - level).mean():.3f} on average{verdict}"


def test_95_percent_of_calibrated_curves_lie_within_the_band_at_each_share() -> None:
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(60):
        [axes] = plot.calibration(rng.normal(size=100), np.zeros(100), np.ones(100)).axes
        edges = axes.collections[0].get_paths()[0].vertices
        x, y = curve(axes)
        low, high = (pick([e[1] for e in edges if e[0] == x[50]]) for pick in (min, max))
        inside.append(low <= y[50] <= high)
    assert 0.85 <= np.mean(inside) <= 1


def test_deviations_of_zero_contain_only_exact_predictions() -> None:
    _, share = curve(plot.calibration([1.0, 2.0], [1.0, 5.0], [0.0, 0.0]).axes[0])
    assert share.tolist() == [0.5] * 100 + [1.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot.prediction_spread(MEAN, STD), ValueError, "needs y_true, the true numbers, or x"),
        (
            lambda: plot.prediction_spread(MEAN, STD[:2], TRUE),
            ValueError,
            r"mean and std and y_true must have .* got mean \(3,\), std \(2,\), y_true \(3,\)$",
        ),
        (lambda: plot.prediction_spread([], [], x=[]), ValueError, "with the same n > 0"),
        (
            lambda: plot.prediction_spread(np.ones((3, 2)), np.ones((3, 2)), np.ones((3, 2))),
            ValueError,
            r"give one target, such as mean\[:, 0\]",
        ),
        (lambda: plot.prediction_spread(MEAN, [1, 1, -2.0], TRUE), ValueError, "std must be at least 0, got -2.0"),
        (lambda: plot.prediction_spread(MEAN, [1, 1, NAN], TRUE), ValueError, "std must hold finite numbers, got nan"),
        (lambda: plot.prediction_spread(MEAN, STD, x=[1, NAN, 2]), ValueError, "x must hold finite numbers, got nan"),
        (lambda: plot.calibration(TRUE, MEAN, [np.inf] * 3), ValueError, "std must hold finite numbers, got inf"),
        (lambda: plot.calibration(TRUE, MEAN, 1.0), ValueError, r"must have shape \(n,\) or \(n, 1\).* std \(\)"),
    ],
)
def test_invalid_predictions_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
