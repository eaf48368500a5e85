"""A grid search by `MLPSearchCV`, beside `GridSearchCV` over the estimators of fastmlp and of scikit-learn.

`python -m bench.search` prints the seconds of each, the best of some rounds that alternate, and the largest difference
of its scores from those of `MLPSearchCV`.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import datasets
from fastmlp.sklearn import MLPClassifier, MLPSearchCV

ROUNDS = 3
REST = 0.13  # seconds after a competitor whose threads spin
GRID = {
    "mlpclassifier__hidden_layer_sizes": [(16,), (32,), (16, 8)],
    "mlpclassifier__alpha": [1e-4, 1e-3, 1e-2],
    "mlpclassifier__learning_rate_init": [1e-3, 3e-3, 1e-2],
}
FOLDS = 5


def searches(options: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name."""
    ours = make_pipeline(StandardScaler(), MLPClassifier(**options))
    theirs = make_pipeline(StandardScaler(), TheirClassifier(**options))
    return {
        "MLPSearchCV": lambda: MLPSearchCV(ours, GRID, cv=FOLDS, refit=False),
        "GridSearchCV, fastmlp": lambda: GridSearchCV(ours, GRID, cv=FOLDS, refit=False),
        "GridSearchCV, fastmlp, 2 processes": lambda: GridSearchCV(ours, GRID, cv=FOLDS, refit=False, n_jobs=2),
        "GridSearchCV, scikit-learn": lambda: GridSearchCV(theirs, GRID, cv=FOLDS, refit=False),
        "GridSearchCV, scikit-learn, 2 processes": lambda: GridSearchCV(theirs, GRID, cv=FOLDS, refit=False, n_jobs=2),
    }


def scores(search: Any) -> np.ndarray[Any, Any]:
    return np.stack([search.cv_results_[f"split{fold}_test_score"] for fold in range(FOLDS)])


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = datasets.load_breast_cancer()
    print(binding.get_host_cpu_name())
    for name, options in (
        ("max_iter=100, batches of 200", {"max_iter": 100, "random_state": 0}),
        ("max_iter=100, batches of 32", {"max_iter": 100, "random_state": 0, "batch_size": 32}),
        (
            "early stopping, batches of 32",
            {"max_iter": 200, "random_state": 0, "batch_size": 32, "early_stopping": True},
        ),
    ):
        runs = searches(options)
        best, found = dict.fromkeys(runs, math.inf), {}
        for _ in range(ROUNDS):
            for each, make in runs.items():
                started = time.perf_counter()
                found[each] = make().fit(data.X, data.y)
                best[each] = min(best[each], time.perf_counter() - started)
                time.sleep(REST)
        print(f"{np.prod([len(values) for values in GRID.values()])} candidates, {FOLDS} folds, {name}")
        for each, seconds in best.items():
            difference = np.abs(scores(found[each]) - scores(found["MLPSearchCV"])).max()
            print(
                f"  {each:<42}{seconds:8.2f} s, {seconds / best['MLPSearchCV']:6.2f}; largest difference {difference:g}"
            )


if __name__ == "__main__":
    main()
