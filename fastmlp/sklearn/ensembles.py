"""`MLPEnsembleClassifier` and `MLPEnsembleRegressor`: `fastmlp.Ensemble` as estimators of scikit-learn."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastmlp import losses
from fastmlp._engine.engine import engine_of
from fastmlp._runtime.names import check_keywords
from fastmlp._runtime.plain_math import logarithm
from fastmlp.activations import Activation
from fastmlp.callbacks import EarlyStopping
from fastmlp.ensembles import Ensemble
from fastmlp.history import History
from fastmlp.layers import Dense
from fastmlp.losses import GaussianNLL, Loss
from fastmlp.optimizers import Adam, Optimizer
from fastmlp.sklearn import networks
from fastmlp.sklearn.base import NOT_FINITE
from fastmlp.sklearn.refusals import refuse_masked_arguments, unchanged_if_refused

_PARAMETERS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [str, Activation, list, tuple],
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "bootstrap": ["boolean"],
    "loss": [str, Loss, None],
    "optimizer": [str, Optimizer, None],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "verbose": ["verbose"],
}


class _MLPEnsemble(BaseEstimator):
    """The base class of both estimators: their parameters, and the fit of an ensemble."""

    _parameter_constraints: dict[str, list[Any]] = _PARAMETERS

    @check_keywords
    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        n_estimators: int = 10,
        bootstrap: bool = False,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        learning_rate_init: float = 0.001,
        alpha: float = 0.0001,
        dropout: Any = 0.0,
        batch_size: Any = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.n_estimators = n_estimators
        self.bootstrap = bootstrap
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.dropout = dropout
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def _fit(self, X: NDArray[Any], y: NDArray[Any], sample_weight: Any, outputs: int, loss: Loss) -> None:
        """Train the ensemble; the weights of the rows may be None."""
        sizes = np.ravel(self.hidden_layer_sizes).tolist()
        networks.check_hidden_sizes(np.ravel(self.hidden_layer_sizes))
        activations = networks.hidden_activations(self.activation, len(sizes))
        rates = networks.dropout_rates(self.dropout, len(sizes))
        hidden = [
            Dense(size, activation, dropout=rate, l2=float(self.alpha))
            for size, activation, rate in zip(sizes, activations, rates, strict=True)
        ]
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max - self.n_estimators))
        ensemble = Ensemble(
            [X.shape[1], *hidden, Dense(outputs, l2=float(self.alpha))],
            members=self.n_estimators,
            bootstrap=self.bootstrap,
            loss=loss,
            optimizer=Adam(float(self.learning_rate_init)) if self.optimizer is None else self.optimizer,
            dtype=X.dtype,
            seed=seed,
            threads=self.n_threads,
        )
        for network in ensemble.networks:
            engine_of(network).averages_penalties = True  # as `alpha` in scikit-learn
        histories = ensemble.fit(
            X,
            y,
            epochs=self.max_iter,
            batch_size=min(200, len(X)) if self.batch_size == "auto" else min(self.batch_size, len(X)),
            validation_split=self.validation_fraction if self.early_stopping else 0.0,
            early_stopping=self._stopping(),
            sample_weight=sample_weight,
            metrics=[] if self.early_stopping else None,
            verbose=bool(self.verbose),
        )
        self._check_endings(histories)
        self.ensemble_, self.histories_ = ensemble, histories
        self.n_iter_ = max(len(history.epoch) for history in histories)

    def _stopping(self) -> EarlyStopping:
        early = self.early_stopping
        return EarlyStopping(
            "val_loss" if early else "loss",
            min_delta=float(self.tol),
            patience=self.n_iter_no_change,
            restore_best_weights=early,
        )

    def _check_endings(self, histories: list[History]) -> None:
        """Raise ValueError if a member has diverged; warn of members that have not converged."""
        ends = [history.ending for history in histories if len(history.epoch) < self.max_iter]
        if any(end and not end.startswith("stopped early") for end in ends):
            raise ValueError(NOT_FINITE)
        if late := len(histories) - len(ends):
            warnings.warn(
                f"{late} of {len(histories)} networks reached the maximum of {self.max_iter} iterations and have not "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _checked(self, X: Any) -> NDArray[Any]:
        """Return X, checked against the data of the fit."""
        check_is_fitted(self)
        refuse_masked_arguments(X=X)
        checked: NDArray[Any] = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return checked


class MLPEnsembleClassifier(ClassifierMixin, _MLPEnsemble):
    """A classifier that averages the probabilities of networks with different seeds; see `fastmlp.Ensemble`.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=(100,)
        The number of units of each hidden layer.
    activation : str, Activation or sequence of these, default="relu"
        The activation of all hidden layers, or one for each, as in `MLPClassifier`.
    n_estimators : int, default=10
        The number of networks.
    bootstrap : bool, default=False
        Whether each network trains on as many rows as there are, drawn with replacement.
    loss : str or Loss, default=None
        A loss of class probabilities, by its name or as an object. None and "log_loss" are the cross-entropy.
    optimizer : str or Optimizer, default=None
        A name of `fastmlp.optimizers.OPTIMIZERS` or an object. None is `Adam(learning_rate_init)`.
    learning_rate_init : float, default=0.001
        The learning rate, if `optimizer` is None.
    alpha : float, default=0.0001
        The strength of the L2 penalty, as in `MLPClassifier`.
    dropout : float or sequence of float, default=0.0
        The share of units that all hidden layers drop in training, or one share for each.
    batch_size : int or "auto", default="auto"
        The rows of a batch; "auto" is 200, or all if there are fewer.
    max_iter : int, default=200
        The largest number of epochs.
    tol : float, default=1e-4
        A loss must be lower by more than this to count as better.
    early_stopping : bool, default=False
        Whether each network holds out rows of its own, stops when their loss gets no better, and ends with its best
        weights. Otherwise the loss of training decides, and the last weights stay.
    validation_fraction : float, default=0.1
        The share of the rows that are held out.
    n_iter_no_change : int, default=10
        The number of epochs without a better loss after which a network stops.
    random_state : int, RandomState instance or None, default=None
        Decides initial weights, shuffles, dropout, splits and bootstraps.
    n_threads : int, default=None
        The largest number of threads of a single network. None lets the library choose.
    verbose : bool, default=False
        Whether to show a line of progress on standard error.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    ensemble_ : fastmlp.Ensemble
        The networks.
    histories_ : list of fastmlp.History
        The history of each network.
    n_iter_ : int
        The largest number of epochs of a network.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    See Also
    --------
    MLPClassifier : A single network, with the conventions of scikit-learn.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPEnsembleClassifier
    >>> model = make_pipeline(StandardScaler(), MLPEnsembleClassifier((64,), random_state=0)).fit(X, y)
    >>> model.predict_proba(X_new)
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> MLPEnsembleClassifier:
        """Train the networks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,)
            The class labels.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample in the mean of the losses.

        Returns
        -------
        self : MLPEnsembleClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is invalid, or the loss of a network becomes NaN or infinite.
        """
        with unchanged_if_refused(self, X=X, y=y, sample_weight=sample_weight):
            X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
            check_classification_targets(y)
            encoder = LabelEncoder().fit(y)
            if len(encoder.classes_) < 2:
                raise ValueError(f"y must have at least 2 classes, got 1 class: {encoder.classes_[0]}")
            weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
            self.classes_ = encoder.classes_
            self._fit(X, encoder.transform(y), weights, len(self.classes_), self._network_loss())
        return self

    def _network_loss(self) -> Loss:
        loss = networks.classification_loss(self.loss or "log_loss", "softmax")
        if loss.targets != "classes":
            raise ValueError(f"loss={self.loss!r} has no class probabilities; 'log_loss' has")
        return loss

    def predict_proba(self, X: Any, return_std: bool = False) -> Any:
        """Return the mean of the networks' probabilities of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        return_std : bool, default=False
            Whether to return the standard deviation of the networks' probabilities, too.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            The probabilities, in the order of `classes_`.
        std : ndarray of shape (n_samples, n_classes)
            The standard deviation. Only with `return_std`.
        """
        checked = self._checked(X)
        return self.ensemble_.predict(checked, return_std=return_std)

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithms of `predict_proba`, in float64."""
        probabilities = np.asarray(self.predict_proba(X), np.float64)
        possible = probabilities > 0
        return np.where(possible, logarithm(np.where(possible, probabilities, 1.0)), -np.inf)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class with the largest probability for each row of X."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        chosen: NDArray[Any] = self.classes_[most_probable]
        return chosen


class MLPEnsembleRegressor(MultiOutputMixin, RegressorMixin, _MLPEnsemble):
    """A regressor that averages networks with different seeds, and knows how sure it is; see `fastmlp.Ensemble`.

    Parameters
    ----------
    hidden_layer_sizes, activation, n_estimators, bootstrap, optimizer, learning_rate_init, alpha, dropout, \
    batch_size, max_iter, tol, early_stopping, validation_fraction, n_iter_no_change, random_state, n_threads, verbose
        As in `MLPEnsembleClassifier`.
    loss : str or Loss, default=None
        A loss of `MLPRegressor`, by its name or as an object; None is "squared_error". With "gaussian_nll" each network
        predicts a mean and a variance, so that the standard deviation contains the noise of the targets.

    Attributes
    ----------
    ensemble_, histories_, n_iter_, n_features_in_, feature_names_in_
        As in `MLPEnsembleClassifier`.
    n_outputs_ : int
        The number of targets.

    Notes
    -----
    Scale the targets to about zero mean and unit variance, as for any network.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPEnsembleRegressor
    >>> model = MLPEnsembleRegressor((64, 64), loss="gaussian_nll", random_state=0).fit(X, y)
    >>> mean, std = model.predict(X_new, return_std=True)
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> MLPEnsembleRegressor:
        """Train the networks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample in the mean of the losses.

        Returns
        -------
        self : MLPEnsembleRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is invalid, or the loss of a network becomes NaN or infinite.
        """
        with unchanged_if_refused(self, X=X, y=y, sample_weight=sample_weight):
            X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), multi_output=True, y_numeric=True)
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)
            weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
            self._is_vector, self.n_outputs_ = y.ndim == 1, 1 if y.ndim == 1 else y.shape[1]
            loss = self._network_loss()
            outputs = self.n_outputs_ * (2 if isinstance(loss, GaussianNLL) else 1)
            self._fit(X, y.reshape(len(y), -1), weights, outputs, loss)
        return self

    def _network_loss(self) -> Loss:
        given = self.loss or "squared_error"
        if isinstance(given, GaussianNLL) or given == GaussianNLL.name:
            return losses.resolve(given)
        return networks.regression_loss(given)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the mean of what the networks predict.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        return_std : bool, default=False
            Whether to return the standard deviation, too: of the networks from their mean, and with the loss
            "gaussian_nll" of the noise that they predict.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The mean, in the shape of y.
        std : ndarray of the same shape
            The standard deviation. Only with `return_std`.
        """
        checked = self._checked(X)
        found = self.ensemble_.predict(checked, return_std=return_std)
        return tuple(map(self._like_y, found)) if return_std else self._like_y(found)

    def sample_y(self, X: Any, n_samples: int = 1, random_state: int = 0) -> NDArray[Any]:
        """Return draws from what the networks predict, each from one network that is chosen at random.

        Parameters
        ----------
        X : array-like of shape (n_samples_X, n_features)
            The inputs.
        n_samples : int, default=1
            The number of draws.
        random_state : int, default=0
            Decides the draws.

        Returns
        -------
        ndarray of shape (n_samples_X, n_samples) or (n_samples_X, n_outputs, n_samples)
            The draws, as `GaussianProcessRegressor.sample_y` has them.
        """
        checked = self._checked(X)
        moved = np.moveaxis(self.ensemble_.predict_samples(checked, n_samples, seed=random_state), 0, 2)
        return moved[:, 0] if self._is_vector else moved

    def _like_y(self, predicted: NDArray[Any]) -> NDArray[Any]:
        return predicted[:, 0] if self._is_vector else predicted
