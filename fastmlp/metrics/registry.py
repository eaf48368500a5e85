"""The two tables of the metrics: which metrics have a name, and which of them suit a loss.

`METRICS` gives each metric's function, its input and its direction. `TARGET_KINDS` gives, for each kind of targets
that a loss takes (`Loss.targets`), the inputs that a metric can get and the metrics that are measured by default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastmlp.metrics import classification, probabilities, regression
from fastmlp.metrics.averages import Floats
from fastmlp.metrics.undefined import Undefined

MetricFunction: TypeAlias = Callable[..., float]
MetricInput: TypeAlias = Literal["labels", "ranking", "scores", "probabilities", "numbers"]


@dataclass(frozen=True)
class Metric:
    """A metric with a name.

    Parameters
    ----------
    function : function
        Takes the true values, the predicted values and the sample weights; returns the metric. The name of the function
        is the name of the metric.
    reads : {"labels", "ranking", "scores", "probabilities", "numbers"}
        What the function gets. "labels": true and predicted class labels. "ranking": true labels and the scores of all
        classes. "scores": true labels and the scores of the positive class, or of all classes if there are more than
        two. "probabilities": y and the predicted probabilities. "numbers": y and the predictions, unchanged.
    rises : bool
        Whether larger is better.
    macro : bool
        Whether the function gets `average="macro"` if there are more than two classes.
    undefined : function or None
        Takes the true values, an array of the shape of the predictions, and the sample weights; returns why the metric
        cannot tell good predictions of these samples from bad ones, or None if it can. None if it always can.
    """

    function: MetricFunction
    reads: MetricInput
    rises: bool = False
    macro: bool = False
    undefined: Callable[[NDArray[Any], NDArray[Any], Floats], Undefined | None] | None = None

    @property
    def name(self) -> str:
        """The name that users give in `metrics=[...]`."""
        return self.function.__name__


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(classification.accuracy, "labels", rises=True),
        Metric(probabilities.top_k_accuracy, "ranking", rises=True),
        Metric(classification.precision, "labels", True, True, classification.undefined_without_positives),
        Metric(classification.recall, "labels", True, True, classification.undefined_without_positives),
        Metric(classification.f1, "labels", True, True, classification.undefined_without_positives),
        Metric(probabilities.roc_auc, "scores", rises=True, undefined=probabilities.undefined_roc_auc),
        Metric(probabilities.log_loss, "probabilities"),
        Metric(regression.mean_squared_error, "numbers"),
        Metric(regression.root_mean_squared_error, "numbers"),
        Metric(regression.mean_absolute_error, "numbers"),
        Metric(regression.r2, "numbers", rises=True, undefined=regression.undefined_r2),
        Metric(regression.pearson, "numbers", rises=True, undefined=regression.undefined_pearson),
    )
}


@dataclass(frozen=True)
class TargetKind:
    """What can be measured for one kind of targets.

    Parameters
    ----------
    default_metrics : tuple of str
        The metrics that are measured if none are requested.
    readable : tuple of str
        The inputs (`Metric.reads`) that a metric can get.
    positive : function or None
        If each output is a binary decision of its own: takes an array and returns which elements mean class 1. None if
        the outputs are classes of which exactly one is right, or numbers.
    """

    default_metrics: tuple[str, ...]
    readable: tuple[MetricInput, ...]
    positive: Callable[[NDArray[Any]], NDArray[np.bool_]] | None = None


def at_least_half(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which probabilities mean class 1: those of at least 1/2."""
    return values >= 0.5


def greater_than_zero(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which margins mean class 1: those greater than 0."""
    return values > 0


TARGET_KINDS: dict[str, TargetKind] = {
    "classes": TargetKind(("accuracy",), ("labels", "ranking", "scores", "probabilities")),
    "binary": TargetKind(("accuracy",), ("labels", "scores", "probabilities", "numbers"), positive=at_least_half),
    "signs": TargetKind(("accuracy",), ("labels", "scores"), positive=greater_than_zero),
    "values": TargetKind(("mean_absolute_error", "r2"), ("numbers",)),
    "counts": TargetKind(("mean_absolute_error", "r2"), ("numbers",)),
    "positive": TargetKind(("mean_absolute_error", "r2"), ("numbers",)),
}
"""The keys are the values of `Loss.targets`."""

NOTHING_TO_COMPARE = TargetKind((), ())
"""For a loss whose outputs do not estimate the targets: only functions of the user can measure them."""
