"""The two estimators: scikit-learn's parameters, and those of fastmlp's behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import neural_network
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastmlp.callbacks import Callback
from fastmlp.losses import Loss
from fastmlp.optimizers import Optimizer
from fastmlp.sklearn import networks
from fastmlp.sklearn.base import PARAMETERS, CompiledMLP


def _gives_probabilities(estimator: MLPClassifier) -> bool:
    """Raise AttributeError where the outputs are none: with a hinge loss they are scores."""
    if networks.is_margin(estimator.loss):
        raise AttributeError(f"loss={estimator.loss!r} gives scores, not probabilities; take loss='log_loss'")
    return True


class MLPClassifier(CompiledMLP, neural_network.MLPClassifier):
    """scikit-learn's `MLPClassifier`, compiled.

    All parameters up to `max_fun` are scikit-learn's, which documents them, in its order and with its defaults; with
    the same random_state the weights agree with those that scikit-learn learns. What follows is fastmlp's.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=(100,)
        The units of each hidden layer.
    activation : str, Activation or sequence of these, default="relu"
        scikit-learn's 'identity', 'logistic', 'tanh', 'relu', any other of `fastmlp.activations.ACTIVATIONS`, an object
        such as `LeakyReLU(0.2)`, or a sequence with one for each hidden layer.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state, tol, \
    verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, \
    n_iter_no_change, max_fun
        As in `sklearn.neural_network.MLPClassifier`.
    dropout : float or sequence of float, default=0.0
        The share of units that every hidden layer drops in training, or one number a layer.
    optimizer : str or Optimizer, default=None
        A name of `fastmlp.optimizers.OPTIMIZERS` or an object such as `AdamW(CosineDecay(1e-3, 2000))`, in place of
        what the solver 'sgd' or 'adam' does; the parameters of these, `learning_rate` to `epsilon`, then do nothing.
    clipvalue, global_clipnorm : float, default=None
        Limits of the gradient, as in `fastmlp.Adam`.
    scoring : str, callable or None, default=None
        What early stopping watches: None is the accuracy, "loss" the loss of the validation samples, any other a
        scorer's name or a scorer of scikit-learn's.
    restore_best_weights : bool, default=False
        Whether a fit without early stopping, too, ends with the weights of its best iteration, that of the least
        training loss; early stopping always gives back those of the best score.
    callbacks : sequence of Callback, default=None
        Called after each epoch and where else they ask to be, in this order; "loss" is in their logs.
    n_threads : int, default=None
        The most threads to use; None takes as many as pay.
    progress_bar : bool, default=False
        Whether to show a line of progress on standard error.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes, as elsewhere in scikit-learn; they multiply `sample_weight`.
    loss : str or Loss, default="log_loss"
        "log_loss", or another of `fastmlp.losses.LOSSES`, such as `CategoricalCrossentropy(label_smoothing=0.1)`, which
        for two classes or several labels takes its binary form, or "hinge", whose outputs are scores.

    Attributes
    ----------
    classes_, coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, \
    n_iter_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn; the solver 'lbfgs' has a loss_curve_ too.
    history_ : History
        Of the last fit by 'sgd' or 'adam'.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : What it takes the place of.
    fastmlp.Network : What computes.

    Notes
    -----
    A second fit with warm_start and early stopping that finds no better score gives the best weights of the first back;
    scikit-learn 1.9 gives its latest ones. Where X is not scaled a logarithmic loss can be larger than scikit-learn's,
    which counts no sample for more than 36; the weights are the same. Sparse data is computed with as if it were dense,
    a piece at a time. A fit that diverges ends where the loss became NaN or infinite, with the weights of the beginning
    of that iteration.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPClassifier
    >>> MLPClassifier((64, 32), random_state=0, class_weight="balanced").fit(X, y).score(X, y)
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  (scikit-learn's way to say them)
        **neural_network.MLPClassifier._parameter_constraints,
        **PARAMETERS,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        optimizer: str | Optimizer | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        scoring: Any = None,
        restore_best_weights: bool = False,
        callbacks: Sequence[Callback] | None = None,
        n_threads: int | None = None,
        progress_bar: bool = False,
        class_weight: Any = None,
        loss: str | Loss = "log_loss",
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.dropout = dropout
        self.optimizer = optimizer
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.scoring = scoring
        self.restore_best_weights = restore_best_weights
        self.callbacks = callbacks
        self.n_threads = n_threads
        self.progress_bar = progress_bar
        self.class_weight = class_weight
        self.loss = loss

    def _initialize(self, y: Any, layer_units: Any, dtype: Any) -> None:
        """Begin a first fit; a hinge loss has linear outputs."""
        super()._initialize(y, layer_units, dtype)
        if networks.is_margin(self.loss):
            self.out_activation_ = "identity"

    def _check_parameters(self, incremental: bool, hidden: int) -> None:
        super()._check_parameters(incremental, hidden)
        networks.is_margin(self.loss)  # refuses a loss that is unknown

    def _network_loss(self) -> Loss:
        return networks.classification_loss(self.loss, self.out_activation_)

    def _combined_weights(self, sample_weight: Any, y: NDArray[Any], incremental: bool) -> Any:
        """Those of the samples times those of their classes."""
        if self.class_weight is None:
            return sample_weight
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' needs all samples, partial_fit has some; give the weights as a dict, see "
                "sklearn.utils.class_weight.compute_class_weight"
            )
        weights: NDArray[Any] = compute_sample_weight(self.class_weight, self._user_targets(y))
        return weights if sample_weight is None else weights * sample_weight

    def _user_targets(self, y: NDArray[Any]) -> Any:
        return self._label_binarizer.inverse_transform(y)

    def _encoded_targets(self, y: Any) -> NDArray[Any]:
        learned: NDArray[Any] = self._label_binarizer.transform(y)
        return learned

    def _checked_targets(self, y: Any) -> NDArray[Any]:
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y_val")
        y = column_or_1d(y, warn=True) if y.ndim == 1 or y.shape[1] == 1 else y
        if y.ndim == 1 and (unknown := np.setdiff1d(y, self.classes_)).size:
            raise ValueError(f"y_val has classes that y does not have: {unknown}; y has {self.classes_}")
        return np.asarray(y)

    def _predict(self, X: Any, check_input: bool = True) -> Any:
        """The classes; those of scores are told apart at 0."""
        if not networks.is_margin(self.loss):
            return super()._predict(X, check_input=check_input)
        scores = self._forward_pass_fast(X, check_input=check_input)
        return self._label_binarizer.inverse_transform(scores.ravel() if self.n_outputs_ == 1 else scores, threshold=0)

    @available_if(lambda estimator: networks.is_margin(estimator.loss))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """The scores of a hinge loss, (n_samples,) for two classes, else (n_samples, n_classes); above 0 means yes."""
        check_is_fitted(self)
        scores = self._forward_pass_fast(X)
        return scores.ravel() if self.n_outputs_ == 1 else scores

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class, (n_samples, n_classes), as they stand in `classes_`; not with a hinge loss."""
        found: NDArray[Any] = super().predict_proba(X)
        return found

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """The logarithm of `predict_proba`."""
        found: NDArray[Any] = super().predict_log_proba(X)
        return found


class MLPRegressor(CompiledMLP, neural_network.MLPRegressor):
    """scikit-learn's `MLPRegressor`, compiled.

    All parameters up to `max_fun` are scikit-learn's, which documents them, in its order and with its defaults; with
    the same random_state the weights agree with those that scikit-learn learns. What follows is fastmlp's.

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        scikit-learn's 'squared_error' and 'poisson', another of `fastmlp.losses.LOSSES`, or an object such as
        `Huber(0.5)`.
    hidden_layer_sizes : array-like of int, default=(100,)
        The units of each hidden layer.
    activation : str, Activation or sequence of these, default="relu"
        scikit-learn's 'identity', 'logistic', 'tanh', 'relu', any other of `fastmlp.activations.ACTIVATIONS`, an object
        such as `LeakyReLU(0.2)`, or a sequence with one for each hidden layer.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state, tol, \
    verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, \
    n_iter_no_change, max_fun
        As in `sklearn.neural_network.MLPRegressor`.
    dropout : float or sequence of float, default=0.0
        The share of units that every hidden layer drops in training, or one number a layer.
    optimizer : str or Optimizer, default=None
        A name of `fastmlp.optimizers.OPTIMIZERS` or an object such as `AdamW(CosineDecay(1e-3, 2000))`, in place of
        what the solver 'sgd' or 'adam' does; the parameters of these, `learning_rate` to `epsilon`, then do nothing.
    clipvalue, global_clipnorm : float, default=None
        Limits of the gradient, as in `fastmlp.Adam`.
    scoring : str, callable or None, default=None
        What early stopping watches: None is R^2, "loss" the loss of the validation samples, any other a
        scorer's name or a scorer of scikit-learn's.
    restore_best_weights : bool, default=False
        Whether a fit without early stopping, too, ends with the weights of its best iteration, that of the least
        training loss; early stopping always gives back those of the best score.
    callbacks : sequence of Callback, default=None
        Called after each epoch and where else they ask to be, in this order; "loss" is in their logs.
    n_threads : int, default=None
        The most threads to use; None takes as many as pay.
    progress_bar : bool, default=False
        Whether to show a line of progress on standard error.

    Attributes
    ----------
    coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, n_iter_, \
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn; the solver 'lbfgs' has a loss_curve_ too.
    history_ : History
        Of the last fit by 'sgd' or 'adam'.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : What it takes the place of.
    fastmlp.Network : What computes.

    Notes
    -----
    A second fit with warm_start and early stopping that finds no better score gives the best weights of the first back;
    scikit-learn 1.9 gives its latest ones. Sparse data is computed with as if it were dense, a piece at a time. A fit
    that diverges ends where the loss became NaN or infinite, with the weights of the beginning of that iteration.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPRegressor
    >>> MLPRegressor(hidden_layer_sizes=(64, 32), loss="huber", random_state=0).fit(X, y).score(X, y)
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  (scikit-learn's way to say them)
        **neural_network.MLPRegressor._parameter_constraints,
        **PARAMETERS,
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        optimizer: str | Optimizer | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        scoring: Any = None,
        restore_best_weights: bool = False,
        callbacks: Sequence[Callback] | None = None,
        n_threads: int | None = None,
        progress_bar: bool = False,
    ) -> None:
        super().__init__(
            loss=loss,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.dropout = dropout
        self.optimizer = optimizer
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.scoring = scoring
        self.restore_best_weights = restore_best_weights
        self.callbacks = callbacks
        self.n_threads = n_threads
        self.progress_bar = progress_bar

    def _initialize(self, y: Any, layer_units: Any, dtype: Any) -> None:
        """Begin a first fit; the output activation follows from the loss."""
        super()._initialize(y, layer_units, dtype)
        partner = self._network_loss().partner
        self.out_activation_ = networks.sklearn_name(networks.resolve_activation(partner or "linear"))

    def _check_parameters(self, incremental: bool, hidden: int) -> None:
        super()._check_parameters(incremental, hidden)
        self._network_loss()  # refuses a loss that is unknown

    def _network_loss(self) -> Loss:
        return networks.regression_loss(self.loss)

    def _checked_targets(self, y: Any) -> NDArray[Any]:
        y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y_val")
        return np.asarray(column_or_1d(y, warn=True) if y.ndim == 1 or y.shape[1] == 1 else y)
