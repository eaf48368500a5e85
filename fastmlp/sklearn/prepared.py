"""What a search gives scikit-learn in place of an estimator: one whose fits were done together beforehand.

scikit-learn's searches clone an estimator, set its parameters, fit it on a fold and score it, candidate after candidate
and within a candidate fold after fold. `Prepared` is such an estimator, and its `fit` takes what `Preparation` has done
in the same order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import joblib
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from fastmlp.sklearn.together import PendingFit, fit_together

TOGETHER = 512  # fits whose networks are in memory at once

Fold = tuple[Any, Any]
"""The numbers of the rows that train, and of those that test."""


class Prepared:
    """An estimator for scikit-learn's searches, with the methods and attributes of the one inside.

    Parameters
    ----------
    estimator : estimator
        The estimator. `fit` replaces it by a fitted one, if one is prepared.
    preparation : Preparation
        The fits of a search, which all clones share.
    """

    def __init__(self, estimator: Any, preparation: Preparation) -> None:
        self.estimator, self.preparation = estimator, preparation

    def fit(self, X: Any, y: Any = None, **options: Any) -> Prepared:
        """Take the next prepared fit, or fit the estimator."""
        fitted = self.preparation.take()
        if fitted is None:
            self.estimator.fit(X, y, **options)
        else:
            self.estimator = fitted
        return self

    def set_params(self, **params: Any) -> Prepared:
        """Set parameters of the estimator."""
        self.estimator.set_params(**params)
        return self

    def __sklearn_clone__(self) -> Prepared:
        """Return a clone that takes its fits from the same preparation."""
        return Prepared(clone(self.estimator), self.preparation)

    def __sklearn_tags__(self) -> Any:
        """Return the tags of the estimator."""
        return get_tags(self.estimator)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the estimator, such as `predict` or `get_params`."""
        if name == "estimator":  # which is not set yet
            raise AttributeError(name)
        return getattr(self.estimator, name)


class Preparation:
    """The fits of a search, some hundreds at a time.

    Parameters
    ----------
    estimator : estimator
        An estimator of fastmlp, or a pipeline that ends with one.
    X, y : array-like
        The data.
    options : mapping
        Other arguments of `fit`, such as `sample_weight`.

    Attributes
    ----------
    seconds : list of float or None
        The time of each fit that was asked for; None if scikit-learn has measured it.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, options: Mapping[str, Any]) -> None:
        self.estimator, self.X, self.y, self.options = estimator, X, y, options
        self.seconds: list[float | None] = []
        self._fits: Iterator[_CandidateFit] = iter(())
        self._inputs: dict[Any, _Inputs] = {}

    def begin(self, candidates: Sequence[Mapping[str, Any]], folds: Sequence[Fold]) -> None:
        """Prepare the fits of candidates on folds, in the order in which scikit-learn asks for them."""
        self._inputs = {}
        self._fits = self._trained(itertools.product(candidates, enumerate(folds)))

    def end(self) -> None:
        """Forget the fits. Later ones are not prepared."""
        self._inputs, self._fits = {}, iter(())

    def take(self) -> Any:
        """Return the next fitted estimator, or None if it must be fitted as always.

        Raises
        ------
        Exception
            The error of the fit.
        """
        fit = next(self._fits, None)
        if fit is None:
            return None
        self.seconds.append(None)
        fitted = fit.finish()
        self.seconds[-1] = None if fitted is None else fit.seconds
        return fitted

    def _trained(self, pairs: Iterator[tuple[Mapping[str, Any], tuple[int, Fold]]]) -> Iterator[_CandidateFit]:
        """Yield the fits, which are trained `TOGETHER`."""
        while group := [*itertools.islice(pairs, TOGETHER)]:
            fits = [self._begun(params, *fold) for params, fold in group]
            fit_together([fit.pending for fit in fits if fit.pending is not None])
            yield from fits

    def _begun(self, params: Mapping[str, Any], number: int, fold: Fold) -> _CandidateFit:
        """Return the fit of a candidate on a fold. What stands before a network in a pipeline is fitted once a fold."""
        estimator = clone(self.estimator).set_params(**clone(dict(params), safe=False))
        last, steps, options = estimator, [], dict(self.options)
        if isinstance(estimator, Pipeline):
            *steps, (name, last) = estimator.steps
            prefix = f"{name}__"
            own = {key.removeprefix(prefix): value for key, value in options.items() if key.startswith(prefix)}
            if len(own) < len(options) or estimator.memory is not None or getattr(estimator, "transform_input", None):
                return _CandidateFit(estimator, None, None)
            options, params = own, {key: value for key, value in params.items() if not key.startswith(prefix)}
        if get_config()["enable_metadata_routing"] and options:
            return _CandidateFit(estimator, None, None)
        key = number, joblib.hash(dict(params) if steps else None)
        if key not in self._inputs:
            self._inputs[key] = _Inputs.of(self.estimator, self.X, self.y, fold[0], steps)
        inputs = self._inputs[key]
        selected = _check_method_params(self.X, params=options, indices=fold[0])
        return _CandidateFit(estimator, inputs, PendingFit(last, inputs.X, inputs.y, selected, inputs.error))


class _Inputs(NamedTuple):
    """What the networks of a fold are trained on: its rows, transformed by the fitted steps before the network."""

    X: Any
    y: Any
    steps: list[tuple[str, Any]]
    error: Exception | None = None

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any, rows: Any, steps: list[tuple[str, Any]]) -> _Inputs:
        """Fit the steps on some rows. An error is kept for the fits that need them."""
        X, y = _safe_split(estimator, X, y, rows)
        if not steps:
            return cls(X, y, steps)
        try:
            return cls(Pipeline(steps).fit_transform(X, y), y, steps)
        except Exception as error:
            return cls(X, y, steps, error)


class _CandidateFit(NamedTuple):
    """The fit of a candidate on a fold.

    Parameters
    ----------
    estimator : estimator
        The estimator, or the pipeline, with the parameters of the candidate.
    inputs : _Inputs or None
        What its network is trained on.
    pending : PendingFit or None
        The fit of its network; None if scikit-learn must do it.
    """

    estimator: Any
    inputs: _Inputs | None
    pending: PendingFit | None

    @property
    def seconds(self) -> float | None:
        """The time of the fit."""
        return None if self.pending is None else self.pending.seconds

    def finish(self) -> Any:
        """Return the fitted estimator, or None if it was not trained."""
        if self.pending is None or self.inputs is None or not self.pending.finish():
            return None
        if not isinstance(self.estimator, Pipeline):
            return self.pending.estimator
        name, _ = self.estimator.steps[-1]
        self.estimator.steps = [*self.inputs.steps, (name, self.pending.estimator)]
        return self.estimator
