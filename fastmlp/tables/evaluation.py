"""Compute the metrics of a model on a table block by block, so that the table may be larger than memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import metrics
from fastmlp.tables.schema import ClassTarget, NumberTarget, Schema


class Evaluation:
    """Metrics of a model on a table, collected block by block.

    For classes it keeps the confusion matrix, and with two classes 9 bytes a row for ROC AUC. For numbers it keeps 16
    bytes a row.

    Parameters
    ----------
    schema : Schema
        The schema of the model.
    """

    def __init__(self, schema: Schema) -> None:
        self.target: ClassTarget | NumberTarget = schema.target
        outputs = self.target.outputs
        self.rows = 0
        self._matrix = np.zeros((outputs, outputs), np.int64)
        self._true: list[NDArray[Any]] = []
        self._predicted: list[NDArray[Any]] = []

    def add(self, y: NDArray[Any], outputs: NDArray[Any]) -> None:
        """Add some rows.

        Parameters
        ----------
        y : ndarray of shape (n,)
            The true targets: indices of classes, or numbers in the file's unit.
        outputs : ndarray of shape (n, k)
            The outputs of the model: probabilities of the classes, or (n, 1) numbers in the file's unit.
        """
        self.rows += len(y)
        if isinstance(self.target, NumberTarget):
            self._true.append(y)
            self._predicted.append(outputs[:, 0])
            return
        k = len(self._matrix)
        cells = np.bincount(y * k + outputs.argmax(axis=1), minlength=k * k)
        self._matrix += cells.reshape(k, k)
        if k == 2:
            self._true.append(y.astype(np.int8))
            self._predicted.append(outputs[:, 1])

    def result(self) -> dict[str, Any]:
        """Return the metrics of all rows added.

        Returns
        -------
        dict
            "rows", the number of rows, and the metrics. For classes: "accuracy"; "f1", the plain mean over the classes
            that occur; with two classes "roc_auc" of the second class, None if only one class occurs; and
            "confusion_matrix", whose rows are the true classes. For numbers: "mean_absolute_error",
            "root_mean_squared_error" and "r2", None if all true numbers are equal.
        """
        if isinstance(self.target, NumberTarget):
            true, predicted = np.concatenate(self._true), np.concatenate(self._predicted)
            return {
                "rows": self.rows,
                "mean_absolute_error": metrics.mean_absolute_error(true, predicted),
                "root_mean_squared_error": metrics.root_mean_squared_error(true, predicted),
                "r2": metrics.r2(true, predicted) if (true != true[0]).any() else None,
            }
        correct = self._matrix.diagonal()
        predicted_counts, true_counts = self._matrix.sum(axis=0), self._matrix.sum(axis=1)
        occurs = predicted_counts + true_counts > 0
        result: dict[str, Any] = {
            "rows": self.rows,
            "accuracy": float(correct.sum() / self.rows),
            "f1": float((2 * correct[occurs] / (predicted_counts + true_counts)[occurs]).mean()),
        }
        if len(true_counts) == 2:
            result["roc_auc"] = None
            if true_counts.all():
                result["roc_auc"] = metrics.roc_auc(np.concatenate(self._true), np.concatenate(self._predicted))
        return {**result, "confusion_matrix": self._matrix.tolist()}
