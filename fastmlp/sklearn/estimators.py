"""The estimators `MLPClassifier` and `MLPRegressor`: the parameters of scikit-learn, followed by those of fastmlp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn import neural_network
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from fastmlp._data.weights import check_weights
from fastmlp._runtime.names import check_keywords
from fastmlp.callbacks import Callback
from fastmlp.losses import Loss
from fastmlp.optimizers import Optimizer
from fastmlp.sklearn import networks
from fastmlp.sklearn.base import PARAMETERS, CompiledMLP
from fastmlp.sklearn.refusals import unchanged_if_refused


def _has_scores(estimator: MLPClassifier) -> bool:
    """Return whether the outputs are scores, as the last fit has learned them; before a fit, whether they will be."""
    fitted = getattr(estimator, "out_activation_", None)
    return networks.is_margin(estimator.loss) if fitted is None else fitted == "identity"


def _gives_probabilities(estimator: MLPClassifier) -> bool:
    """Return True, or raise AttributeError if the loss is a hinge loss, with which the outputs are scores."""
    if _has_scores(estimator):
        raise AttributeError(
            "an estimator with a hinge loss has scores and no probabilities; use decision_function, or fit with "
            "loss='log_loss'"
        )
    return True


class MLPClassifier(CompiledMLP, neural_network.MLPClassifier):
    """scikit-learn's `MLPClassifier`, computed by fastmlp.

    The parameters up to `max_fun` are those of scikit-learn, in its order and with its defaults. With the same
    `random_state` the learned weights agree with scikit-learn's. The parameters from `dropout` on are additions.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=(100,)
        The number of units of each hidden layer.
    activation : str, Activation or sequence of these, default="relu"
        The activation of all hidden layers, or a sequence with one for each hidden layer: 'identity', 'logistic',
        'tanh' or 'relu' of scikit-learn, another name of `fastmlp.activations.ACTIVATIONS`, or an instance such as
        `LeakyReLU(0.2)`.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state, tol, \
    verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, \
    n_iter_no_change, max_fun
        As in `sklearn.neural_network.MLPClassifier`.
    dropout : float or sequence of float, default=0.0
        The share of units that all hidden layers drop in training, or a sequence with one share for each layer.
    optimizer : str or Optimizer, default=None
        An optimizer that replaces the update rule of the solver 'sgd' or 'adam': a name of
        `fastmlp.optimizers.OPTIMIZERS` or an instance such as `AdamW(CosineDecay(1e-3, 2000))`. The parameters of the
        solver, `learning_rate` to `epsilon`, then have no effect.
    clipvalue : float, default=None
        The limit of the absolute value of each component of the gradient, as in `fastmlp.Adam`.
    global_clipnorm : float, default=None
        The limit of the norm of the whole gradient, as in `fastmlp.Adam`.
    scoring : str, callable or None, default=None
        What early stopping monitors: None for the accuracy, "loss" for the loss of the validation samples, or the name
        of a scorer or a scorer of scikit-learn.
    restore_best_weights : bool, default=False
        Whether a fit without early stopping ends with the weights of the iteration with the lowest training loss. With
        early stopping, a fit always ends with the weights of the best score.
    callbacks : sequence of Callback, default=None
        Callbacks of fastmlp, called in this order. Their `logs` contain "loss".
    n_threads : int, default=None
        The largest number of threads. None uses as many as shorten the computation.
    progress_bar : bool, default=False
        Whether to show a progress line on standard error.
    class_weight : dict, list of dict, "balanced" or None, default=None
        The weights of the classes, as in other classifiers of scikit-learn. They are multiplied by `sample_weight`.
    loss : str or Loss, default="log_loss"
        "log_loss", another name of `fastmlp.losses.LOSSES`, or an instance such as
        `CategoricalCrossentropy(label_smoothing=0.1)`, which becomes binary for two classes or several labels. With
        "hinge" the outputs are scores.

    Attributes
    ----------
    classes_, coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, \
    n_iter_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn. The solver 'lbfgs' sets `loss_curve_`, too.
    history_ : History
        The history of the last fit with the solver 'sgd' or 'adam'.
    hidden_activations_ : list of Activation
        The activation of each hidden layer in the last fit.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : The class that this one replaces.
    fastmlp.Network : The network that computes.

    Notes
    -----
    The differences from scikit-learn are:

    - With warm_start and early stopping, a second fit that finds no better score restores the best weights of the first
      fit, unless `scoring` or `X_val` has changed. scikit-learn 1.9 keeps its latest weights.
    - Parameters that are set after a fit have no effect before the next fit, except `n_threads`. A call that is refused
      changes nothing.
    - Masked arrays with masked values are refused.
    - If X is not scaled, a logarithmic loss can be larger than scikit-learn's, which limits the loss of a sample to 36.
      The learned weights are the same.
    - Sparse data becomes dense in chunks, and the results are those of dense data.
    - A fit that diverges ends when the loss becomes NaN or infinite, with the weights from the beginning of that
      iteration.

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

    @check_keywords
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
        """Set the attributes of a first fit. The output activation is linear for a hinge loss."""
        super()._initialize(y, layer_units, dtype)
        self.out_activation_ = self._output_activation()

    def _output_activation(self) -> str:
        if networks.is_margin(self.loss):
            return "identity"
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    @available_if(lambda estimator: estimator._check_solver())
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> MLPClassifier:
        """Run one iteration over the given data, from the current weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            The class labels.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample in the mean of the losses.
        classes : array-like of shape (n_classes,), optional
            All classes that any call will be given; needed in the first call.

        Returns
        -------
        self : MLPClassifier
            The estimator.
        """
        with unchanged_if_refused(self, X=X, y=y, sample_weight=sample_weight, classes=classes):
            super().partial_fit(X, y, sample_weight, classes)
        return self

    def _check_parameters(self, incremental: bool, hidden: int) -> None:
        super()._check_parameters(incremental, hidden)
        networks.classification_loss(self.loss, "softmax")  # raises ValueError for an unknown loss
        networks.check_class_weight(self.class_weight)

    def _network_loss(self) -> Loss:
        return networks.classification_loss(self.loss, self.out_activation_)

    def _combined_weights(self, sample_weight: Any, y: NDArray[Any], incremental: bool) -> Any:
        """Return the weights of the samples multiplied by those of their classes."""
        if self.class_weight is None:
            return sample_weight
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' needs all samples, but partial_fit sees only some; give the weights as a "
                "dict, for example from sklearn.utils.class_weight.compute_class_weight"
            )
        weights: NDArray[Any] = compute_sample_weight(self.class_weight, self._user_targets(y))
        if sample_weight is None:
            return weights
        check_weights(sample_weight, len(y))
        return check_weights(weights * sample_weight, len(y), " times class_weight")

    def _user_targets(self, y: NDArray[Any]) -> Any:
        return self._label_binarizer.inverse_transform(y)

    def _encoded_targets(self, y: Any) -> NDArray[Any]:
        encoded: NDArray[Any] = self._label_binarizer.transform(y)
        return encoded

    def _checked_targets(self, y: Any) -> Any:
        y = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y_val")
        y = column_or_1d(y, warn=True) if y.ndim == 1 or y.shape[1] == 1 else y
        if y.ndim == 1 and (unknown := np.setdiff1d(y, self.classes_)).size:
            raise ValueError(f"y_val has classes that y does not have: {unknown}; y has {self.classes_}")
        if y.ndim == 1 or y.shape[1] != self.n_outputs_ or not self._label_binarizer.y_type_.startswith("multilabel"):
            return y
        if (kind := type_of_target(y, input_name="y_val")) != "multilabel-indicator":
            raise ValueError(f"y_val must hold 0 and 1 for each label, as y does, got {kind} values")
        return self._user_targets(self._encoded_targets(y).astype(bool))

    def _predict(self, X: Any, check_input: bool = True) -> Any:
        """Return the predicted classes; with a hinge loss the threshold of the scores is 0."""
        if not _has_scores(self):
            return super()._predict(X, check_input=check_input)
        scores = self._forward_pass_fast(X, check_input=check_input)
        return self._label_binarizer.inverse_transform(scores.ravel() if self.n_outputs_ == 1 else scores, threshold=0)

    @available_if(_has_scores)
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return the scores of an estimator with a hinge loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            The scores, for two classes those of `classes_[1]`. A positive score means that the sample belongs to the
            class.
        """
        check_is_fitted(self)
        scores = self._forward_pass_fast(X)
        return scores.ravel() if self.n_outputs_ == 1 else scores

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class. The method does not exist with a hinge loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The probabilities, in the order of `classes_`.
        """
        probabilities: NDArray[Any] = super().predict_proba(X)
        return probabilities

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithm of the probability of each class. The method does not exist with a hinge loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The logarithms, in the order of `classes_`.
        """
        logarithms: NDArray[Any] = super().predict_log_proba(X)
        return logarithms


class MLPRegressor(CompiledMLP, neural_network.MLPRegressor):
    """scikit-learn's `MLPRegressor`, computed by fastmlp.

    The parameters up to `max_fun` are those of scikit-learn, in its order and with its defaults. With the same
    `random_state` the learned weights agree with scikit-learn's. The parameters from `dropout` on are additions.

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        'squared_error' or 'poisson' of scikit-learn, another name of `fastmlp.losses.LOSSES`, or an instance such as
        `Huber(0.5)`.
    hidden_layer_sizes : array-like of int, default=(100,)
        The number of units of each hidden layer.
    activation : str, Activation or sequence of these, default="relu"
        The activation of all hidden layers, or a sequence with one for each hidden layer: 'identity', 'logistic',
        'tanh' or 'relu' of scikit-learn, another name of `fastmlp.activations.ACTIVATIONS`, or an instance such as
        `LeakyReLU(0.2)`.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state, tol, \
    verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, \
    n_iter_no_change, max_fun
        As in `sklearn.neural_network.MLPRegressor`.
    dropout : float or sequence of float, default=0.0
        The share of units that all hidden layers drop in training, or a sequence with one share for each layer.
    optimizer : str or Optimizer, default=None
        An optimizer that replaces the update rule of the solver 'sgd' or 'adam': a name of
        `fastmlp.optimizers.OPTIMIZERS` or an instance such as `AdamW(CosineDecay(1e-3, 2000))`. The parameters of the
        solver, `learning_rate` to `epsilon`, then have no effect.
    clipvalue : float, default=None
        The limit of the absolute value of each component of the gradient, as in `fastmlp.Adam`.
    global_clipnorm : float, default=None
        The limit of the norm of the whole gradient, as in `fastmlp.Adam`.
    scoring : str, callable or None, default=None
        What early stopping monitors: None for R², "loss" for the loss of the validation samples, or the name of a
        scorer or a scorer of scikit-learn.
    restore_best_weights : bool, default=False
        Whether a fit without early stopping ends with the weights of the iteration with the lowest training loss. With
        early stopping, a fit always ends with the weights of the best score.
    callbacks : sequence of Callback, default=None
        Callbacks of fastmlp, called in this order. Their `logs` contain "loss".
    n_threads : int, default=None
        The largest number of threads. None uses as many as shorten the computation.
    progress_bar : bool, default=False
        Whether to show a progress line on standard error.

    Attributes
    ----------
    coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, n_iter_, \
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn. The solver 'lbfgs' sets `loss_curve_`, too.
    history_ : History
        The history of the last fit with the solver 'sgd' or 'adam'.
    hidden_activations_ : list of Activation
        The activation of each hidden layer in the last fit.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : The class that this one replaces.
    fastmlp.Network : The network that computes.

    Notes
    -----
    The differences from scikit-learn are:

    - With warm_start and early stopping, a second fit that finds no better score restores the best weights of the first
      fit, unless `scoring` or `X_val` has changed. scikit-learn 1.9 keeps its latest weights.
    - Parameters that are set after a fit have no effect before the next fit, except `n_threads`. A call that is refused
      changes nothing.
    - Masked arrays with masked values are refused.
    - Sparse data becomes dense in chunks, and the results are those of dense data.
    - A fit that diverges ends when the loss becomes NaN or infinite, with the weights from the beginning of that
      iteration.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPRegressor
    >>> MLPRegressor(hidden_layer_sizes=(64, 32), loss="huber", random_state=0).fit(X, y).score(X, y)
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  (scikit-learn's way to say them)
        **neural_network.MLPRegressor._parameter_constraints,
        **PARAMETERS,
    }

    @check_keywords
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
        """Set the attributes of a first fit. The output activation follows from the loss."""
        super()._initialize(y, layer_units, dtype)
        self.out_activation_ = self._output_activation()

    def _output_activation(self) -> str:
        return networks.sklearn_name(networks.resolve_activation(self._network_loss().partner or "linear"))

    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> MLPRegressor:
        """Run one iteration over the given data, from the current weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample in the mean of the losses.

        Returns
        -------
        self : MLPRegressor
            The estimator.
        """
        with unchanged_if_refused(self, X=X, y=y, sample_weight=sample_weight):
            super().partial_fit(X, y, sample_weight)
        return self

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> Any:
        if issparse(y):
            raise TypeError("y must be a dense array for a regressor, got a sparse matrix; use y.toarray()")
        X, y = super()._validate_input(X, y, incremental, reset)
        if y.dtype.kind not in "fiub":
            raise ValueError(f"y must hold numbers for a regressor, got {y.dtype}; an MLPClassifier learns labels")
        if self._network_loss().targets == "classes" and (y.ndim == 1 or y.shape[1] == 1):
            raise ValueError(
                f"loss={self.loss!r} needs shares of at least 2 classes in each row of y, got 1 column; an "
                "MLPClassifier learns labels"
            )
        return X, y

    def _check_parameters(self, incremental: bool, hidden: int) -> None:
        super()._check_parameters(incremental, hidden)
        self._network_loss()  # raises ValueError for an unknown loss

    def _network_loss(self) -> Loss:
        return networks.regression_loss(self.loss)

    def _checked_targets(self, y: Any) -> NDArray[Any]:
        y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y_val")
        return np.asarray(column_or_1d(y, warn=True) if y.ndim == 1 or y.shape[1] == 1 else y)
