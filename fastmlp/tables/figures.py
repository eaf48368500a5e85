"""How good a model's predictions of a table are, summed up block by block, so that no file is too long."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import metrics
from fastmlp.tables.schema import ClassTarget, NumberTarget, Schema


class Figures:
    """The figures of many blocks; of classes it keeps their matrix, of numbers 16 bytes a row.

    Parameters
    ----------
    schema : Schema
        Of the model.
    """

    def __init__(self, schema: Schema) -> None:
        self.target: ClassTarget | NumberTarget = schema.target
        outputs = self.target.outputs
        self.rows = 0
        self._matrix = np.zeros((outputs, outputs), np.int64)
        self._true: list[NDArray[Any]] = []
        self._predicted: list[NDArray[Any]] = []

    def add(self, y: NDArray[Any], outputs: NDArray[Any]) -> None:
        """Count some rows.

        Parameters
        ----------
        y : ndarray of shape (n,)
            Places of classes, or numbers in the file's unit.
        outputs : ndarray of shape (n, k)
            Probabilities, or (n, 1) numbers in the file's unit.
        """
        self.rows += len(y)
        if isinstance(self.target, NumberTarget):
            self._true.append(y)
            self._predicted.append(outputs[:, 0])
            return
        k = len(self._matrix)
        places = np.bincount(y * k + outputs.argmax(axis=1), minlength=k * k)
        self._matrix += places.reshape(k, k)
        if k == 2:
            self._true.append(y.astype(np.int8))
            self._predicted.append(outputs[:, 1])

    def result(self) -> dict[str, Any]:
        """The figures, as a command prints them.

        Returns
        -------
        dict
            "rows"; of classes "accuracy", "f1" (the plain mean over the classes that occur), with two classes "roc_auc"
            (None where only one of them occurs; the second is the positive one), and "confusion_matrix", whose rows
            are the true classes; of numbers "mean_absolute_error", "root_mean_squared_error" and "r2".
        """
        if isinstance(self.target, NumberTarget):
            true, predicted = np.concatenate(self._true), np.concatenate(self._predicted)
            return {
                "rows": self.rows,
                "mean_absolute_error": metrics.mean_absolute_error(true, predicted),
                "root_mean_squared_error": metrics.root_mean_squared_error(true, predicted),
                "r2": metrics.r2(true, predicted),
            }
        right, called, there = self._matrix.diagonal(), self._matrix.sum(axis=0), self._matrix.sum(axis=1)
        occurs = called + there > 0
        found: dict[str, Any] = {
            "rows": self.rows,
            "accuracy": float(right.sum() / self.rows),
            "f1": float((2 * right[occurs] / (called + there)[occurs]).mean()),
        }
        if len(there) == 2:
            both = bool(there.all())
            found["roc_auc"] = (
                metrics.roc_auc(np.concatenate(self._true), np.concatenate(self._predicted)) if both else None
            )
        return {**found, "confusion_matrix": self._matrix.tolist()}
