"""scikit-learn: one `fit` for all epochs of a round, which checks the data once, not each epoch as `partial_fit` does.

Two definitions differ from the other libraries. They are adjusted here, at no cost of time:

- The gradient is that of half the squared error, summed over the outputs, so it is outputs / 2 times the gradient of
  the other libraries. Adam takes the same steps if its epsilon has the same factor.
- Two classes get one logistic output. Here the labels are put into two columns, as for more classes, so that the
  network is the same.

scikit-learn adds Adam's epsilon before it corrects the second moment. The epsilon therefore counts 32 times as much in
the first step, where it matters most, and less in each further step. It is chosen to be equal in the first step.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer

from bench.peers import Predict, Train
from bench.workloads import BETA_1, BETA_2, EPSILON, RATE, Workload


class TwoColumns(LabelBinarizer):
    """Labels as a column for each class, also for two classes."""

    def fit(self, y: Any) -> TwoColumns:
        super().fit(y)
        self.y_type_ = "multiclass"
        return self

    def transform(self, y: Any) -> Any:
        return np.asarray(y)[:, None] == self.classes_


class Classifier(MLPClassifier):
    """A classifier that uses a softmax also for two classes."""

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> Any:
        X, _ = super()._validate_input(X, y, incremental, reset)
        self._label_binarizer = TwoColumns().fit(y)
        return X, self._label_binarizer.transform(y)


def started(workload: Workload) -> Any:
    """Return the estimator with its initial weights."""
    softmax = workload.output == "softmax"
    estimator = (Classifier if softmax else MLPRegressor)(
        hidden_layer_sizes=workload.sizes[1:-1],
        activation=workload.activation,
        alpha=0.0,
        batch_size=workload.batch_size,
        learning_rate_init=RATE,
        beta_1=BETA_1,
        beta_2=BETA_2,
        epsilon=EPSILON * math.sqrt(1 - BETA_2) * (1 if softmax else workload.sizes[-1] / 2),
        max_iter=1,
        shuffle=False,
        warm_start=True,
        n_iter_no_change=np.inf,
    )
    X, y = workload.data()
    classes = workload.sizes[-1]
    X, y = (np.resize(X, (classes, X.shape[1])), np.arange(classes)) if softmax else (X[:2], y[:2])
    trained(estimator.set_params(batch_size=1), X, targets(y), 1)  # creates the arrays and learns all classes
    estimator.set_params(batch_size=workload.batch_size)
    weights = workload.weights()
    estimator.coefs_, estimator.intercepts_ = [W for W, _ in weights], [b for _, b in weights]
    return estimator


def targets(y: Any) -> Any:
    """Return a single column as a vector, as scikit-learn requires."""
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def trained(estimator: Any, X: Any, y: Any, epochs: int) -> list[float]:
    """Fit for some epochs and return the loss of each, as scikit-learn defines it."""
    estimator.max_iter = epochs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(X, y)
    return [float(loss) for loss in estimator.loss_curve_[-epochs:]]


def trainer(workload: Workload, threads: int | None) -> Train:
    estimator, (X, y) = started(workload), workload.data()
    y, factor = targets(y), 1.0 if workload.output == "softmax" else 2.0
    return lambda epochs: [factor * loss for loss in trained(estimator, X, y, epochs)]


def predictor(workload: Workload, threads: int | None) -> Predict:
    estimator, (X, _) = started(workload), workload.data()
    predict = estimator.predict_proba if workload.output == "softmax" else estimator.predict
    return lambda: predict(X)
