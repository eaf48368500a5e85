"""`MLPSearchCV`: the searches of scikit-learn, whose candidates and folds are trained together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  (makes the halving searches importable)
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
)
from sklearn.model_selection._search import BaseSearchCV

from fastmlp._runtime.names import check_keywords
from fastmlp.kernels.host import threads
from fastmlp.sklearn.base import CompiledMLP
from fastmlp.sklearn.prepared import Fold, Preparation, Prepared
from fastmlp.sklearn.together import network_of


class _Folds:
    """A splitter that gives folds that are known."""

    def __init__(self, folds: Sequence[Fold]) -> None:
        self.folds = folds

    def split(self, X: Any, y: Any = None, **groups: Any) -> Sequence[Fold]:
        """Return the folds."""
        return self.folds


class _Together:
    """A part of a search of scikit-learn's: it prepares the fits before scikit-learn evaluates the candidates."""

    preparation: Preparation
    groups: Mapping[str, Any]

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}  # since scikit-learn 1.9
        super()._run_search(partial(self._evaluate, evaluate_candidates), **context)  # type: ignore[misc]

    def _evaluate(
        self, evaluate_candidates: Any, candidate_params: Any, cv: Any = None, more_results: Any = None, **context: Any
    ) -> Any:
        candidates, preparation = [*candidate_params], self.preparation
        splitter = cv or self._checked_cv_orig  # type: ignore[attr-defined]
        folds = [*splitter.split(preparation.X, preparation.y, **self.groups)]
        preparation.begin(candidates, folds)
        try:
            return evaluate_candidates(candidates, _Folds(folds), more_results=more_results, **context)
        finally:
            preparation.end()

    def _format_results(self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None) -> Any:
        """Return `cv_results_`, in which a fit of many has its share of their time."""
        for each, seconds in zip(out, self.preparation.seconds, strict=False):
            each["fit_time"] = each["fit_time"] if seconds is None else seconds
        return super()._format_results(candidate_params, n_splits, out, more_results)  # type: ignore[misc]


class _Grid(_Together, GridSearchCV):
    pass


class _Random(_Together, RandomizedSearchCV):
    pass


class _HalvingGrid(_Together, HalvingGridSearchCV):
    pass


class _HalvingRandom(_Together, HalvingRandomSearchCV):
    pass


_SEARCHES: dict[str, tuple[type[Any], str, tuple[str, ...]]] = {
    "grid": (_Grid, "param_grid", ()),
    "random": (_Random, "param_distributions", ("n_iter", "random_state")),
    "halving": (_HalvingGrid, "param_grid", ("factor", "resource", "max_resources", "min_resources", "random_state")),
    "halving random": (
        _HalvingRandom,
        "param_distributions",
        ("n_candidates", "factor", "resource", "max_resources", "min_resources", "random_state"),
    ),
}
"""The class of each strategy, its name of the parameters that are searched, and its own options."""

_COMMON = ("scoring", "refit", "cv", "verbose", "error_score", "return_train_score")


class MLPSearchCV(BaseSearchCV):
    """A search for the parameters of a perceptron, whose networks are trained together.

    It does what `GridSearchCV`, `RandomizedSearchCV`, `HalvingGridSearchCV` or `HalvingRandomSearchCV` of scikit-learn
    do with the same estimator, and has their results, but for the times. All candidates are trained on all folds by
    threads that claim one network after the other, without processes. In a pipeline, the steps before the network are
    fitted once for each fold.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, Pipeline or TransformedTargetRegressor
        An estimator of `fastmlp.sklearn`, or a pipeline or a transformation of the targets around one.
    param_grid : dict or list of dict
        From the name of a parameter to the values to try; for "random" and "halving random", lists or distributions.
    strategy : {"grid", "random", "halving", "halving random"}, default="grid"
        All combinations; some that are drawn; or successive halving, which trains many candidates with few resources,
        and the best of them with more.
    n_iter : int, default=10
        The number of candidates for "random".
    n_candidates : int or "exhaust", default="exhaust"
        The number of candidates of the first round for "halving random".
    factor, resource, max_resources, min_resources
        As in `HalvingGridSearchCV`, for both kinds of halving. With `resource="max_iter"` the resource is the number of
        epochs.
    random_state : int, RandomState instance or None, default=None
        Decides what is drawn.
    scoring, refit, cv, verbose, error_score, return_train_score
        As in `GridSearchCV`; with halving, `scoring` is one metric and `refit` is True or False.
    n_jobs : int, default=None
        The largest number of threads; None and -1 use all that Numba has.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in `GridSearchCV`. `mean_fit_time` is a share of the common time.
    search_ : BaseSearchCV
        The search of scikit-learn that was run, with attributes such as `n_iterations_`.

    See Also
    --------
    fastmlp.fit_many : Trains networks together that are no estimators.

    Notes
    -----
    A fit is trained with the others if it needs no Python between its epochs: not with callbacks, "lbfgs", the learning
    rates "adaptive" and "invscaling", sparse data, early stopping by another score than the accuracy of unweighted
    labels, or epochs that take long. scikit-learn runs such fits one after the other, each on all threads.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPClassifier, MLPSearchCV
    >>> pipeline = make_pipeline(StandardScaler(), MLPClassifier(random_state=0))
    >>> grid = {"mlpclassifier__hidden_layer_sizes": [(16,), (64,), (64, 64)], "mlpclassifier__alpha": [1e-4, 1e-2]}
    >>> search = MLPSearchCV(pipeline, grid, cv=5).fit(X, y)
    >>> search.best_params_, search.best_score_
    """

    _parameter_constraints: dict[str, list[Any]] = {}  # noqa: RUF012  (the search that is run checks its own)

    @check_keywords
    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        strategy: str = "grid",
        n_iter: int = 10,
        n_candidates: int | str = "exhaust",
        factor: float = 3,
        resource: str = "n_samples",
        max_resources: int | str = "auto",
        min_resources: int | str | None = None,
        random_state: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_grid = param_grid
        self.strategy = strategy
        self.n_iter = n_iter
        self.n_candidates = n_candidates
        self.factor = factor
        self.resource = resource
        self.max_resources = max_resources
        self.min_resources = min_resources
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, **params: Any) -> MLPSearchCV:
        """Train all candidates on all folds, and the best one on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        **params : dict
            As in `GridSearchCV.fit`: `groups` for the splitter, and arguments of the estimator's `fit`, such as
            `sample_weight`. Arrays with a row for each sample are split.

        Returns
        -------
        self : MLPSearchCV
            The search.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data is invalid.
        """
        kind, name, own = _SEARCHES[self._checked_strategy()]
        options = {option: getattr(self, option) for option in (*_COMMON, *own)}
        if "min_resources" in options and options["min_resources"] is None:
            del options["min_resources"]  # whose default depends on the strategy
        fit_options = {key: value for key, value in params.items() if key != "groups" and value is not None}
        preparation = Preparation(clone(self.estimator), X, y, fit_options)
        search = kind(Prepared(clone(self.estimator), preparation), **{name: self.param_grid}, **options, n_jobs=1)
        search.preparation = preparation
        search.groups = {"groups": params.get("groups")}
        with threads.limited_to(self._threads()):
            search.fit(X, y, **params)
        self._take_results(search)
        return self

    def _checked_strategy(self) -> str:
        if self.strategy not in _SEARCHES:
            raise ValueError(f"strategy must be one of {', '.join(map(repr, _SEARCHES))}, got {self.strategy!r}")
        last = network_of(self.estimator)
        if not isinstance(last, CompiledMLP):
            raise TypeError(
                "MLPSearchCV needs an estimator of fastmlp.sklearn, or a Pipeline or TransformedTargetRegressor around "
                f"one, got {type(last).__module__}.{type(last).__name__}; sklearn.model_selection takes any other"
            )
        return self.strategy

    def _threads(self) -> int:
        if self.n_jobs in (None, -1):
            return threads.available()
        if not isinstance(self.n_jobs, (int, np.integer)) or self.n_jobs < 1:
            raise ValueError(f"n_jobs must be None, -1 or at least 1, got {self.n_jobs!r}")
        return min(int(self.n_jobs), threads.available())

    def _take_results(self, search: Any) -> None:
        """Take the fitted attributes over, and the best estimator without its cover."""
        for attribute in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, attribute)
        for attribute, value in vars(search).items():
            if attribute.endswith("_") and not attribute.startswith("_"):
                setattr(self, attribute, value.estimator if isinstance(value, Prepared) else value)
        del search.preparation
        search.estimator = self.estimator
        if hasattr(search, "best_estimator_"):
            search.best_estimator_ = self.best_estimator_
        self.search_ = search
