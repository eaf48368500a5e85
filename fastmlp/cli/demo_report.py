"""The texts that `fastmlp train` without a file prints, at most 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from fastmlp import metrics
from fastmlp.cli.table_report import hint_lines, kept_out_line, training_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fastmlp.cli.demo import Split
    from fastmlp.datasets import Dataset
    from fastmlp.history import History

Measured: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The metrics of "validation" and of "test"."""

_NAMES = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1", "roc_auc": "ROC AUC"}


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
    """Compute the metrics of some rows.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The true classes, 0 or 1. Class 1 is the positive one.
    probabilities : ndarray of shape (n, 2)
        The predicted probabilities.
    """
    predicted = probabilities.argmax(axis=1)
    return {
        "rows": len(y),
        "accuracy": metrics.accuracy(y, predicted),
        "precision": metrics.precision(y, predicted),
        "recall": metrics.recall(y, predicted),
        "f1": metrics.f1(y, predicted),
        "roc_auc": metrics.roc_auc(y, probabilities[:, 1]),
        "confusion_matrix": metrics.confusion_matrix(y, predicted, labels=[0, 1]).tolist(),
    }


def to_dict(measured: Measured) -> dict[str, Any]:
    """Return the metrics as --json prints them: those of the test rows, and under "validation" those of its rows."""
    validation, test = ({name: values[name] for name in values if name != "rows"} for values in measured.values())
    return {"test_accuracy": test.pop("accuracy"), **test, "validation": validation}


def metric_rows(measured: Measured) -> list[tuple[str, ...]]:
    """Return the name of each metric in words, and its value in each part of the rows as text."""
    return [(name, *(f"{values[key]:.4f}" for values in measured.values())) for key, name in _NAMES.items()]


def evaluated_on(measured: Measured, positive: str) -> str:
    """Return sentences that say on which rows the metrics were computed."""
    return f"{kept_out_line({part: values['rows'] for part, values in measured.items()})} Positive: {positive}."


def results(measured: Measured, history: History, classes: Sequence[str], hints: Sequence[str]) -> str:
    """Return the metrics, one a line, and the confusion matrix of the test rows with the names of the classes.

    Parameters
    ----------
    measured : mapping of str to mapping
        The metrics that `compute_metrics` returned for "validation" and for "test".
    history : History
        The losses of each epoch.
    classes : sequence of str
        The names of the two classes.
    hints : sequence of str
        What the training suggests.
    """
    matrix = measured["test"]["confusion_matrix"]
    lines = [
        training_line(history),
        *textwrap.wrap(evaluated_on(measured, classes[1]), 80),
        "",
        f"  {'':<10}{''.join(f'{part:>12}' for part in measured)}",
        *(f"  {name:<10}{''.join(f'{value:>12}' for value in values)}" for name, *values in metric_rows(measured)),
        "",
        f"  {'test rows:':<17} {'predicted':>10}",
        f"  {'':<17} {classes[0]:>10} {classes[1]:>10}",
        *(
            f"  {'true' if row == 0 else '':<5}{name:<12} {matrix[row][0]:>10} {matrix[row][1]:>10}"
            for row, name in enumerate(classes)
        ),
        "",
    ]
    for hint in hint_lines(hints):
        lines += [*textwrap.wrap(hint, 80), ""]
    return "\n".join(lines)
