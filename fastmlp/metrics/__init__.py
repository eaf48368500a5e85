"""How good predictions are: the metrics of classes and of numbers, weighted, as scikit-learn defines them.

The weights w are at least 0; every sum and mean runs over the samples. A quotient 0 / 0, as with weights that are all
zero, counts as 0.
"""

from fastmlp.metrics.classification import accuracy, confusion_matrix, f1, precision, recall
from fastmlp.metrics.probabilities import log_loss, roc_auc, roc_curve, top_k_accuracy
from fastmlp.metrics.regression import mean_absolute_error, mean_squared_error, pearson, r2, root_mean_squared_error
from fastmlp.metrics.table import METRICS, evaluate

__all__ = [
    "METRICS",
    "accuracy",
    "confusion_matrix",
    "evaluate",
    "f1",
    "log_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "pearson",
    "precision",
    "r2",
    "recall",
    "roc_auc",
    "roc_curve",
    "root_mean_squared_error",
    "top_k_accuracy",
]
