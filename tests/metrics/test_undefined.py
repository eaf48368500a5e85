"""Metrics that are undefined for some samples have the value of scikit-learn, and warn where scikit-learn warns."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as peer
from scipy.stats import pearsonr

from fastmlp import metrics
from fastmlp.losses import LOSSES
from fastmlp.metrics import UndefinedMetricWarning
from fastmlp.metrics.evaluation import select_metrics, undefined_metrics


def macro(score: Callable[..., float]) -> Callable[..., float]:
    return lambda *arguments, sample_weight=None: score(*arguments, sample_weight=sample_weight, average="macro")


def of_three(true: Any, scores: Any, sample_weight: Any = None) -> float:
    return float(peer.roc_auc_score(true, scores, sample_weight=sample_weight, multi_class="ovr", labels=[0, 1, 2]))


THREE = [[0.2, 0.3, 0.5], [0.5, 0.2, 0.3], [0.1, 0.8, 0.1]]
LABELS: dict[str, tuple[Any, ...]] = {
    "all is right": ([0, 1, 1], [0, 1, 1]),
    "no sample is positive": ([0, 0, 0], [0, 1, 0]),
    "no sample is predicted as positive": ([0, 1, 1], [0, 0, 0]),
    "neither": ([0, 0], [0, 0]),
    "one sample": ([1], [1]),
    "no weight is positive": ([0, 1, 0], [0, 1, 1], [1.0, 0.0, 1.0]),
    "no weight is predicted as positive": ([0, 1, 1], [0, 1, 0], [1.0, 0.0, 1.0]),
}
CLASSES: dict[str, tuple[Any, ...]] = {
    "a class is never predicted": ([0, 1, 2], [0, 1, 1]),
    "a class is only predicted": ([0, 1, 1], [0, 1, 2]),
    "a class has no weight": ([0, 1, 2], [0, 1, 2], [1.0, 1.0, 0.0]),
}
SCORES: dict[str, tuple[Any, ...]] = {
    "only class 0": ([0, 0], [0.1, 0.2]),
    "only class 1": ([1, 1], [0.1, 0.2]),
    "one sample": ([1], [0.5]),
    "class 1 has no weight": ([0, 1], [0.1, 0.2], [1.0, 0.0]),
}
ABSENT: dict[str, tuple[Any, ...]] = {
    "no class 2": ([0, 1, 1], THREE),
    "class 2 has no weight": ([0, 1, 2], THREE, [1.0, 1.0, 0.0]),
}
NUMBERS: dict[str, tuple[Any, ...]] = {
    "one sample": ([1.0], [5.0]),
    "one exact sample": ([1.0], [1.0]),
    "one sample of two outputs": ([[1.0, 2.0]], [[1.0, 5.0]]),
    "one sample with a weight": ([1.0], [5.0], [3.0]),
    "equal values": ([1.0, 1.0], [5.0, 1.0]),
    "equal values, exact": ([1.0, 1.0], [1.0, 1.0]),
    "one of two has a weight": ([1.0, 2.0], [3.0, 1.0], [1.0, 0.0]),
    "an output of equal values": ([[1.0, 2.0], [1.0, 3.0]], [[1.0, 2.5], [2.0, 3.0]]),
}
PAIRS: list[tuple[Callable[..., float], Callable[..., Any], dict[str, tuple[Any, ...]]]] = [
    (metrics.precision, peer.precision_score, LABELS),
    (metrics.recall, peer.recall_score, LABELS),
    (metrics.f1, peer.f1_score, LABELS),
    (macro(metrics.precision), macro(peer.precision_score), LABELS | CLASSES),
    (macro(metrics.recall), macro(peer.recall_score), LABELS | CLASSES),
    (macro(metrics.f1), macro(peer.f1_score), LABELS | CLASSES),
    (metrics.accuracy, peer.accuracy_score, LABELS | CLASSES),
    (metrics.roc_auc, peer.roc_auc_score, SCORES),
    (metrics.roc_auc, of_three, ABSENT),
    (metrics.roc_curve, lambda *given, **more: peer.roc_curve(*given, **more, drop_intermediate=False), SCORES),
    (metrics.r2, peer.r2_score, NUMBERS),
    (metrics.mean_squared_error, peer.mean_squared_error, NUMBERS),
    (metrics.root_mean_squared_error, peer.root_mean_squared_error, NUMBERS),
    (metrics.mean_absolute_error, peer.mean_absolute_error, NUMBERS),
]  # fmt: skip


def measured(function: Callable[..., Any], arguments: Any) -> tuple[Any, bool]:
    """Return the value for (true, predicted) or (true, predicted, weights), and whether a warning came with it."""
    true, predicted, weights = (*arguments, None)[:3]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = function(np.array(true), np.array(predicted), sample_weight=weights)
    names = {warning.category.__name__ for warning in caught}
    assert names <= {"UndefinedMetricWarning"}
    return value, bool(names)


@pytest.mark.parametrize(
    ("ours", "theirs", "case"),
    [(ours, theirs, case) for ours, theirs, cases in PAIRS for case in cases.values()],
    ids=[f"{index}: {name}" for index, (_, _, cases) in enumerate(PAIRS) for name in cases],
)
def test_value_and_warning_are_those_of_scikit_learn(ours: Any, theirs: Any, case: Any) -> None:
    value, warned = measured(ours, case)
    expected, warns = measured(theirs, case)
    np.testing.assert_array_equal(value, expected) if isinstance(value, tuple) else np.testing.assert_equal(
        value, expected
    )
    assert warned == warns


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("true", "predicted", "weights"),
    [
        ([1.0, 1.0], [2.0, 3.0], None),
        ([2.0, 3.0], [1.0, 1.0], None),
        ([2.0, 3.0, 3.0], [1.0, 2.0, 4.0], [0.0, 1.0, 1.0]),
        ([0.1] * 9, [0.1] * 9, np.linspace(1, 2, 9)),
    ],
)
def test_the_correlation_of_equal_values_is_nan_as_in_scipy(true: Any, predicted: Any, weights: Any) -> None:
    assert measured(metrics.pearson, (true, predicted, weights)) == (pytest.approx(math.nan, nan_ok=True), True)
    if weights is None:
        assert math.isnan(pearsonr(true, predicted).statistic)
    assert math.isnan(metrics.pearson([1.0], [2.0]))
    assert math.isnan(metrics.pearson([[1.0, 1.0], [1.0, 2.0]], [[1.0, 1.0], [2.0, 2.0]]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.r2([1.0], [5.0]), "r2 is undefined and counts as NaN: it needs at least two samples, got 1"),
        (lambda: metrics.pearson([1.0], [5.0]), "pearson .* NaN: the true or the predicted values of an output are"),
        (lambda: metrics.roc_auc([1, 1], [0.1, 0.2]), "roc_auc .* NaN: all samples of positive weight are of class 1"),
        (lambda: metrics.roc_auc([0, 1], THREE[:2]), "roc_auc .* NaN: no samples of positive weight are of class 2"),
        (lambda: metrics.roc_curve([1, 1], [0.1, 0.2]), "the false positive rate .* no sample of positive weight is"),
        (lambda: metrics.precision([1, 1], [0, 0]), "precision .* 0: no .* weight is predicted as class 1"),
        (lambda: metrics.recall(["a"], ["a"], pos_label="b"), "recall .* 0: no .* weight is of class 'b'"),
        (lambda: metrics.evaluate("poisson", [1.0], [[2.0]]), "r2 is undefined and counts as NaN"),
        (lambda: metrics.recall([0, 0], [0, 1], average="macro"), "recall .* 0: no .* weight is of some class"),
        (lambda: metrics.f1([0], [0]), "f1 .* as 0: no sample of positive weight is of or predicted as class 1"),
    ],
)  # fmt: skip
def test_a_warning_says_what_is_missing_and_points_to_the_line_of_the_user(call: Any, message: str) -> None:
    with pytest.warns(UndefinedMetricWarning, match=message) as caught:
        call()
    assert [warning.filename for warning in caught] == [__file__]


WEIGHTED = [
    (function, case)
    for function, case in [
        (metrics.accuracy, ([0, 1], [0, 1])),
        (metrics.confusion_matrix, ([0, 1], [0, 1])),
        (metrics.precision, ([0, 1], [0, 1])),
        (metrics.recall, ([0, 1], [0, 1])),
        (metrics.f1, ([0, 1], [0, 1])),
        (metrics.roc_auc, ([0, 1], [0.1, 0.2])),
        (metrics.roc_curve, ([0, 1], [0.1, 0.2])),
        (metrics.log_loss, ([0, 1], [0.1, 0.2])),
        (lambda *given: metrics.top_k_accuracy(*given, k=1), ([0, 1], THREE[:2])),
        (metrics.mean_squared_error, ([0.0, 1.0], [0.0, 1.0])),
        (metrics.root_mean_squared_error, ([0.0, 1.0], [0.0, 1.0])),
        (metrics.mean_absolute_error, ([0.0, 1.0], [0.0, 1.0])),
        (metrics.r2, ([0.0, 1.0], [0.0, 1.0])),
        (metrics.pearson, ([0.0, 1.0], [0.0, 1.0])),
        (lambda *given: metrics.evaluate("mean_squared_error", *given), ([0.0, 1.0], [[0.0], [1.0]])),
    ]
]


@pytest.mark.parametrize(("function", "case"), WEIGHTED)
@pytest.mark.parametrize("weight", [0.0, 5e-324], ids=["zero", "too small to divide by"])
def test_weights_without_a_sum_are_refused_as_in_scikit_learn(function: Any, case: Any, weight: float) -> None:
    with pytest.raises(ValueError, match=r"sample_weight must have a weight greater than 0, got a sum of (0|\d.*e-32)"):
        function(*case, [weight, weight])
    function(*case, [1e-300, 1e-300])


DECISIONS = ["accuracy", "precision", "recall", "f1", "roc_auc"]
NEGATIVE = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "roc_auc": math.nan}
NONE: dict[str, float] = {}


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "weights", "undefined"),
    [
        ("categorical_crossentropy", [0, 1, 1], 2, None, NONE),
        ("categorical_crossentropy", [0, 0, 0], 2, None, NEGATIVE),
        ("categorical_crossentropy", [1, 1, 1], 2, None, {"roc_auc": math.nan}),
        ("categorical_crossentropy", [1, 0, 1], 2, [1, 0, 1], {"roc_auc": math.nan}),
        ("categorical_crossentropy", [0, 1, 1], 3, None, {"roc_auc": math.nan}),
        ("categorical_crossentropy", np.eye(3), 3, None, NONE),
        ("binary_crossentropy", [0.0, 0.0], 1, None, NEGATIVE),
        ("binary_crossentropy", [[0, 1], [0, 0]], 2, None, {"roc_auc": math.nan}),
        ("hinge", [-1.0, -1.0], 1, None, NEGATIVE),
        ("mean_squared_error", [1.0], 1, None, {"r2": math.nan, "pearson": math.nan}),
        ("mean_squared_error", [1.0, 1.0], 1, None, {"r2": 0.0, "pearson": math.nan}),
        ("mean_squared_error", [[1.0, 1.0], [1.0, 2.0]], 2, None, {"pearson": math.nan}),
        ("mean_squared_error", [1.0, 2.0], 1, None, NONE),
    ],
)
@pytest.mark.filterwarnings("ignore::fastmlp.metrics.UndefinedMetricWarning")
def test_what_no_predictions_can_change_is_known_before(
    loss: str, y: Any, outputs: int, weights: Any, undefined: dict[str, float]
) -> None:
    """Such metrics have the same value for random predictions; the others tell them apart."""
    names = ["mean_absolute_error", "r2", "pearson"] if loss == "mean_squared_error" else DECISIONS
    w = None if weights is None else np.array(weights)
    found = undefined_metrics(select_metrics(names, LOSSES[loss]), LOSSES[loss], np.array(y), outputs, w)
    np.testing.assert_equal({name: value for name, (_, value) in found.items()}, undefined)
    rng = np.random.default_rng(0)
    seen = [metrics.evaluate(loss, y, rng.normal(size=(len(y), outputs)), w, metrics=names) for _ in range(20)]
    for name in names:
        different = {repr(each[name]) for each in seen}
        assert (len(different) == 1) == (name in undefined), name
