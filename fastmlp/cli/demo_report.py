"""What the training on the breast-cancer data tells: opening lines, test figures and their table in 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastmlp import metrics
from fastmlp.cli.table_report import best_epoch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fastmlp.datasets import Dataset

_NAMES = {"test_accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1", "roc_auc": "ROC AUC"}


def opening(data: Dataset, parts: Sequence[Sequence[int] | NDArray[np.intp]], seed: int) -> str:
    """What is going to be learned from which rows."""
    rows, columns = data.X.shape
    train, validation, test = (len(part) for part in parts)
    return (
        f"Breast Cancer Wisconsin (Diagnostic): {rows} aspirates, {columns} measurements each,\n"
        f"{data.y.sum()} of them {data.target_names[1]}. "
        f"With seed {seed}: {train} rows train, {validation} validate, {test} test.\n"
    )


def score(y: NDArray[np.int64], probabilities: NDArray[Any]) -> dict[str, Any]:
    """The figures of y, 0 or 1 of shape (n,), and the predicted probabilities (n, 2); 1 is the positive class."""
    called = probabilities.argmax(axis=1)
    return {
        "test_accuracy": metrics.accuracy(y, called),
        "precision": metrics.precision(y, called),
        "recall": metrics.recall(y, called),
        "f1": metrics.f1(y, called),
        "roc_auc": metrics.roc_auc(y, probabilities[:, 1]),
        "confusion_matrix": metrics.confusion_matrix(y, called, labels=[0, 1]).tolist(),
    }


def named(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names of the figures in words, and their values."""
    return [(name, f"{results[key]:.4f}") for key, name in _NAMES.items()]


def table(
    results: Mapping[str, Any], curves: Mapping[str, Sequence[float]], seconds: float, classes: Sequence[str]
) -> str:
    """The figures one below the other, then the confusion matrix with the names of its classes."""
    matrix = results["confusion_matrix"]
    lines = [
        f"{len(curves['val_loss'])} epochs in {seconds:.2f} s, the best was epoch {best_epoch(curves)}.",
        "",
        f"On {sum(map(sum, matrix))} rows that it has never seen ({classes[1]} is positive):",
        "",
        *(f"  {name:<10} {value:>8}" for name, value in named(results)),
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
