"""Say what the course of a training suggests: more epochs, another learning rate, or that nothing was learned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.plain_math import logarithm

FEW_DUPLICATES = 0.05  # of the test rows; fewer change their figures little


def curve_hints(curves: Mapping[str, Sequence[float]]) -> list[str]:
    """Return what the losses of the epochs suggest.

    Parameters
    ----------
    curves : mapping of str to sequence of float
        "loss" and, if rows validated, "val_loss", as in `History.history`.
    """
    loss, validation = curves.get("loss", ()), curves.get("val_loss")
    hints = []
    if _only_rose(loss):
        hints.append(
            "The training loss was never lower than in the first epoch: the learning rate is probably too high; try a "
            "tenth of it."
        )
    elif validation and _only_rose(validation):
        hints.append(
            "The validation loss was never lower than in the first epoch, though the training loss was: the network "
            "overfits at once. Try a lower learning rate, fewer units, dropout or an L2 penalty."
        )
    elif validation and validation[-1] == min(validation):
        epochs = "1 epoch" if len(validation) == 1 else f"{len(validation)} epochs"
        hints.append(f"The last epoch was the best, so more than {epochs} may give a better model.")
    return hints


def duplicate_hints(share: float | None, by_chance: float | None) -> list[str]:
    """Return whether many test rows, and twice as many as by chance, are training rows or validation rows as well.

    Parameters
    ----------
    share : float or None
        The share of the test rows that are. None if it is unknown.
    by_chance : float or None
        The share that would be if the columns had nothing to do with each other.
    """
    if share is None or share < max(FEW_DUPLICATES, 2 * (by_chance or 0.0)):
        return []
    return [
        f"{100 * share:.3g} % of the test rows are equal to rows that trained the model or chose its epoch, so that "
        "the test figures may be too good."
    ]


def class_hints(
    part: str, y: NDArray[Any], outputs: NDArray[Any], training: NDArray[Any], classes: Sequence[str]
) -> list[str]:
    """Return whether a model of classes is no better than always predicting the class of most training rows.

    Parameters
    ----------
    part : str
        What the rows are called: "validation" or "training".
    y : ndarray of shape (n,)
        Indices of the true classes.
    outputs : ndarray of shape (n, classes)
        The predicted probabilities.
    training : ndarray
        The class indices of the training rows.
    classes : sequence of str
        The names of the classes.
    """
    shares = np.bincount(training, minlength=outputs.shape[1]) / len(training)
    majority = int(shares.argmax())
    accuracy, constant = float((y == outputs.argmax(axis=1)).mean()), float((y == majority).mean())
    if accuracy > constant or constant == 1:
        return []
    # Where one class is rare, a good model may always predict the other one.
    learned = _log_loss(outputs[np.arange(len(y)), y]) < _log_loss(shares[y])
    rest = (
        ", but its probabilities are better than the shares of the classes"
        if learned
        else ": nothing useful was learned"
    )
    return [
        f"On the {part} rows, the accuracy of {accuracy:.4f} is no better than that of always predicting "
        f"{classes[majority]!r}, {constant:.4f}{rest}."
    ]


def number_hints(part: str, y: NDArray[Any], predicted: NDArray[Any], mean: float) -> list[str]:
    """Return whether a model of numbers is no better than always predicting their mean.

    Parameters
    ----------
    part : str
        What the rows are called: "validation" or "training".
    y, predicted : ndarray of shape (n,)
        The true and the predicted numbers.
    mean : float
        The mean of the training rows.
    """
    errors, constant = np.abs(y - predicted), np.abs(y - mean)
    rmse, constant_rmse = _root_mean_square(errors), _root_mean_square(constant)
    # A model of the median may have a larger squared error than the mean, and yet be better.
    if rmse < constant_rmse or errors.mean() < constant.mean():
        return []
    return [
        f"On the {part} rows, the root mean squared error of {rmse:.6g} is no better than that of always predicting "
        f"the mean, {constant_rmse:.6g}: nothing useful was learned."
    ]


def _only_rose(losses: Sequence[float]) -> bool:
    """Return whether every loss is higher than the first one."""
    return len(losses) > 1 and min(losses[1:]) > losses[0]


def _log_loss(probabilities: NDArray[Any]) -> float:
    """Return the mean log loss of the probabilities of the true classes."""
    return -float(logarithm(np.maximum(probabilities, 1e-7)).mean())


def _root_mean_square(values: NDArray[Any]) -> float:
    largest = float(values.max())  # squares may overflow
    return largest * math.sqrt(float(np.square(values / largest).mean())) if largest else 0.0
