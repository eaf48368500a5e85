"""Metrics: how good predictions are, for classes and for numbers, weighted, as scikit-learn defines them.

The weights w are at least 0 and not all 0, and sums and means run over the samples. Where a metric is undefined, it is
NaN or 0 as in scikit-learn, with an `UndefinedMetricWarning`.

To add a metric, touch these places:

1. A function in `classification`, `probabilities` or `regression`. It takes the true values, the predicted values and
   `sample_weight`, and returns a float. `checks` has the checks of its arguments, `averages` the weighted sums.
2. `METRICS` in `registry`: an entry with the function, the input that it reads, whether larger is better, and for which
   samples it is undefined. From then on `evaluate`, `fit(metrics=[...])`, `EarlyStopping` and the plots know the name.
3. `working_memory` in `evaluation`: only if the metric needs more bytes for each prediction than the figure of its
   input.
4. This module: an import and a name in `__all__`.
5. `tests/metrics`: a comparison with scikit-learn in `test_metrics.py`, and an entry in the tables of
   `test_selected_metrics.py`, which fails as long as a metric is missing there.
6. `docs/metrics.md`: the name in its table.
"""

from typing import TYPE_CHECKING

from fastmlp._runtime.names import module_attributes
from fastmlp.metrics.classification import accuracy, confusion_matrix, f1, precision, recall
from fastmlp.metrics.evaluation import evaluate
from fastmlp.metrics.probabilities import log_loss, roc_auc, roc_curve, top_k_accuracy
from fastmlp.metrics.registry import METRICS
from fastmlp.metrics.regression import mean_absolute_error, mean_squared_error, pearson, r2, root_mean_squared_error
from fastmlp.metrics.undefined import UndefinedMetricWarning

__all__ = [
    "METRICS",
    "UndefinedMetricWarning",
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

if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
