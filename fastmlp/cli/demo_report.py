"""The texts that `fastmlp train` without a file prints, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastmlp import metrics
from fastmlp.cli.table_report import best_epoch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fastmlp.cli.demo import Split
    from fastmlp.datasets import Dataset

_NAMES = {"test_accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1", "roc_auc": "ROC AUC"}


def before_training(data: Dataset, rows: Split, seed: int) -> str:
    """Return some lines on the data and the split."""
    samples, measurements = data.X.shape
    train, validation, test = (len(part) for part in rows)
    return (
        f"Breast Cancer Wisconsin (Diagnostic): {samples} samples of {measurements} measurements,\n"
        f"{data.y.sum()} of them {data.target_names[1]}.\n"
        f"With seed {seed}: {train} training, {validation} validation and {test} test rows.\n"
    )


def compute_metrics(y: NDArray[np.int64], probabilities: NDArray[Any]) -> dict[str, Any]:
    """Compute the metrics as --json prints them.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The true classes, 0 or 1. Class 1 is the positive one.
    probabilities : ndarray of shape (n, 2)
        The predicted probabilities.
    """
    predicted = probabilities.argmax(axis=1)
    return {
        "test_accuracy": metrics.accuracy(y, predicted),
        "precision": metrics.precision(y, predicted),
        "recall": metrics.recall(y, predicted),
        "f1": metrics.f1(y, predicted),
        "roc_auc": metrics.roc_auc(y, probabilities[:, 1]),
        "confusion_matrix": metrics.confusion_matrix(y, predicted, labels=[0, 1]).tolist(),
    }


def metric_rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the name of each metric in words, and its value as text."""
    return [(name, f"{values[key]:.4f}") for key, name in _NAMES.items()]


def evaluated_on(rows: int, positive: str) -> str:
    """Return the phrase that says on which rows the metrics were computed."""
    return f"On the {rows} test rows, which were not used in training ({positive} is positive)"


def results(
    values: Mapping[str, Any], curves: Mapping[str, Sequence[float]], seconds: float, classes: Sequence[str]
) -> str:
    """Return the metrics, one a line, and the confusion matrix with the names of the classes.

    Parameters
    ----------
    values : mapping
        The metrics that `compute_metrics` returned.
    curves : mapping
        The losses of each epoch, "val_loss" among them.
    seconds : float
        The time that the training took.
    classes : sequence of str
        The names of the two classes.
    """
    matrix = values["confusion_matrix"]
    lines = [
        f"{len(curves['val_loss'])} epochs in {seconds:.2f} s, the best was epoch {best_epoch(curves)}.",
        "",
        f"{evaluated_on(sum(map(sum, matrix)), classes[1])}:",
        "",
        *(f"  {name:<10} {value:>8}" for name, value in metric_rows(values)),
        "",
        f"  {'':<17} {'predicted':>10}",
        f"  {'':<17} {classes[0]:>10} {classes[1]:>10}",
        *(
            f"  {'true' if row == 0 else '':<5}{name:<12} {matrix[row][0]:>10} {matrix[row][1]:>10}"
            for row, name in enumerate(classes)
        ),
        "",
    ]
    return "\n".join(lines)
