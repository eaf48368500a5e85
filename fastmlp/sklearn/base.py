"""`CompiledMLP`: the methods of scikit-learn's perceptrons that a `fastmlp.Network` computes.

scikit-learn's own classes check the input, draw the initial weights, test for convergence and keep the fitted
attributes. `CompiledMLP` overrides the methods that take the time, and the methods that the added parameters concern.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from numbers import Integral, Real
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, get_scorer, get_scorer_names, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, BaseOptimizer, SGDOptimizer
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp._data.array_feed import ArrayData
from fastmlp._data.samples import Samples
from fastmlp._data.targets import Targets, check_targets
from fastmlp._data.weights import check_weights, require_weight
from fastmlp._engine.engine import FitJob, NonFiniteLossError, engine_of
from fastmlp.activations import Activation
from fastmlp.architecture import Architecture
from fastmlp.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, UndefinedScoreError
from fastmlp.callbacks.base import check_callbacks
from fastmlp.losses import Loss
from fastmlp.network import Network
from fastmlp.optimizers import Optimizer
from fastmlp.sklearn import nested, networks
from fastmlp.sklearn.conventions import Conventions, EpochLoss
from fastmlp.sklearn.lbfgs import Objective, minimise
from fastmlp.sklearn.networks import EstimatorNetwork
from fastmlp.sklearn.refusals import refuse_masked_arguments, unchanged_if_refused
from fastmlp.sklearn.sparse import SparseRows

PARAMETERS: dict[str, list[Any]] = {
    "activation": [str, Activation, list, tuple],
    "loss": [str, Loss],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "optimizer": [str, Optimizer, None],
    "clipvalue": [Interval(Real, 0, None, closed="neither"), None],
    "global_clipnorm": [Interval(Real, 0, None, closed="neither"), None],
    "scoring": [StrOptions({*get_scorer_names(), "loss"}), callable, None],
    "restore_best_weights": ["boolean"],
    "callbacks": [list, tuple, None],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "progress_bar": ["boolean"],
}
"""Constraints of the parameters that fastmlp adds, or for which it accepts more values than scikit-learn."""

STOCHASTIC_ONLY = ("dropout", "optimizer", "clipvalue", "global_clipnorm", "callbacks")
"""Parameters that have no effect with the solver 'lbfgs', which therefore refuses them."""

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)
"""The message of scikit-learn for weights that are NaN or infinite."""

Validation = tuple[Any, Any, NDArray[Any] | None]
"""X, y and sample weights of the rows that early stopping scores."""


_OF_A_FIT = ("_given_validation", "_training_began")
"""Attributes that an estimator has only while it is fitted."""


class StochasticFit(NamedTuple):
    """A fit by 'sgd' or 'adam' that is about to begin its first epoch.

    Attributes
    ----------
    compiled : EstimatorNetwork
        The network.
    samples : Samples
        All rows.
    rows : ndarray of int64
        Those that train.
    held_out : ndarray of int64, or None
        Those that early stopping has held out.
    validation : tuple or None
        The rows that early stopping scores.
    epochs, batch_size : int
        The number of epochs, and the rows of a batch.
    incremental : bool
        Whether `partial_fit` is the caller.
    """

    compiled: EstimatorNetwork
    samples: Samples
    rows: NDArray[np.int64]
    held_out: NDArray[np.int64] | None
    validation: Validation | None
    epochs: int
    batch_size: int
    incremental: bool


TAKE_OVER: ContextVar[Callable[[Any, StochasticFit], None] | None] = ContextVar("TAKE_OVER", default=None)
"""What takes over a fit where its epochs would begin, to train the network together with others; it is called with the
estimator and its fit. It is a variable of the context because an estimator may be cloned by another one around it."""


class CompiledMLP(BaseMultilayerPerceptron):
    """Base class of both estimators; it overrides methods of scikit-learn's class, which follows it among the bases."""

    _training_began = False
    _given_validation: tuple[Any, Any, Any] = (None, None, None)
    loss_curve_: list[float]
    validation_scores_: Any
    _best_coefs: list[NDArray[Any]]
    _best_intercepts: list[NDArray[Any]]

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Any:
        """Fit the model to data X and targets y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The class labels, or the real numbers of a regression.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample in the mean of the losses.
        X_val : {array-like, sparse matrix} of shape (n_validation, n_features), optional
            The inputs that early stopping scores. By default, early stopping scores a random share of X,
            `validation_fraction`.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), optional
            The targets that belong to `X_val`.
        sample_weight_val : array-like of shape (n_validation,), optional
            The weight of each validation sample in the score.

        Returns
        -------
        self : MLPClassifier or MLPRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is invalid, or the weights become NaN or infinite. In the latter case the
            estimator has the weights from the beginning of that epoch. Also if the weights of the samples sum to 0, or
            the score that early stopping watches is NaN.
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        with unchanged_if_refused(self, X=X, y=y, sample_weight=sample_weight, **validation):
            self._given_validation = (X_val, y_val, sample_weight_val)
            try:
                return super().fit(X, y, sample_weight)
            finally:
                self.__dict__.pop("_given_validation", None)  # a nested fit, called by a callback, may have removed it

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> Any:
        """Return the checked X and y; `reset` is False if the fit continues from the current weights."""
        sizes = np.ravel(self.hidden_layer_sizes).tolist()
        if not reset and sizes != (fitted := [w.shape[1] for w in self.coefs_[:-1]]):
            raise ValueError(
                f"hidden_layer_sizes are {sizes}, but this fit would continue with layers of {fitted} units; "
                "restore hidden_layer_sizes, or fit with warm_start=False"
            )
        self._check_parameters(incremental, len(sizes))
        X, y = super()._validate_input(X, y, incremental, reset)
        if not reset:
            self._check_continued_outputs(1 if y.ndim == 1 else y.shape[1])
        return X, y

    def _check_continued_outputs(self, outputs: int) -> None:
        """Check that a fit that continues from the current weights has their number of outputs and their activation."""
        fitted = len(self.intercepts_[-1])
        if outputs != fitted:
            raise ValueError(
                f"y has {outputs} outputs, but this fit would continue with a network of {fitted} outputs; "
                "fit with warm_start=False"
            )
        if (activation := self._output_activation()) != self.out_activation_:
            raise ValueError(
                f"loss={self.loss!r} needs the output activation {activation!r}, but this fit would continue with "
                f"{self.out_activation_!r}; restore loss, or fit with warm_start=False"
            )

    def _check_parameters(self, incremental: bool, hidden: int) -> None:
        """Check the parameters before the fit replaces the weights of an earlier fit."""
        if incremental:
            self._validate_params()  # scikit-learn checks them in the first call alone
            for name in ("early_stopping", "restore_best_weights"):
                if getattr(self, name) and self.solver != "lbfgs":
                    raise ValueError(f"partial_fit does not support {name}=True")
        if self.solver == "lbfgs":
            for name in STOCHASTIC_ONLY:
                given = getattr(self, name)
                if np.any(given) if name == "dropout" else given:
                    raise ValueError(f"{name} needs the solver 'sgd' or 'adam', got {name}={given!r} with 'lbfgs'")
        self._check_validation()
        self._check_callbacks()
        networks.hidden_activations(self.activation, hidden)
        networks.dropout_rates(self.dropout, hidden)
        networks.optimizer_for(self)

    def _check_callbacks(self) -> None:
        """Check that the callbacks are some, and that none monitors what a fit of an estimator does not record."""
        for callback in check_callbacks(self.callbacks or ()):
            if isinstance(callback, ModelCheckpoint) and not callback.save_best_only:
                continue
            if not isinstance(callback, (EarlyStopping, ModelCheckpoint, ReduceLROnPlateau)):
                continue
            if callback.monitor.startswith("val_"):
                raise ValueError(
                    f"{type(callback).__name__} monitors {callback.monitor!r}, but an estimator gives callbacks only "
                    "the loss; monitor 'loss', or set early_stopping=True, which scores rows that are not trained on"
                )

    def __getstate__(self) -> dict[str, Any]:
        """Return the state, without what belongs to a running fit (a callback may pickle the estimator)."""
        state: dict[str, Any] = super().__getstate__()
        return {
            name: value
            for name, value in state.items()
            if name not in ("_given_validation", "_takes_over", "_training_began")
        }

    # Parameters ------------------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the numbers of activation, loss and optimizer, as `optimizer__learning_rate`.

        Returns
        -------
        dict
            From name to value.
        """
        found: dict[str, Any] = super().get_params(deep=deep)
        return nested.numbers_of_all(found) | found if deep else found

    def set_params(self, **params: Any) -> Any:
        """Set parameters of the estimator. If one of them is invalid, none is set.

        Parameters
        ----------
        **params : dict
            The parameters. `optimizer__learning_rate=0.01` puts a copy of the optimizer with this learning rate in the
            place of `optimizer`, and likewise the numbers of a schedule, an activation or a loss. What the last fit
            has learned, and what it predicts, does not change.

        Returns
        -------
        self : MLPClassifier or MLPRegressor
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter, or a number is out of range for its object.
        """
        own, numbers = nested.split(params)
        before = dict(vars(self))
        try:
            super().set_params(**own)
            for name, changes in numbers.items():
                setattr(self, name, nested.with_numbers(self, name, changes))
        except BaseException:
            self.__dict__.update(before)
            raise
        return self

    # Fitting ---------------------------------------------------------------------------------------------------------

    def _fit_stochastic(self, X: Any, y: Any, sample_weight: Any, *others: Any) -> None:
        """Run the epochs of 'sgd' or 'adam'; the last of `others` says whether `partial_fit` is the caller."""
        begun = self._begin_stochastic(X, y, sample_weight, bool(others[-1]))
        take_over = TAKE_OVER.get()
        if take_over is not None:
            take_over(self, begun)
            return
        undefined_score = None
        try:
            self._run(begun)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        except NonFiniteLossError as error:
            self._diverge(error)
        except UndefinedScoreError as error:
            undefined_score = error
        finally:
            self._refresh_weights()
            self.history_ = begun.compiled.network.history
            if not begun.incremental:
                engine_of(begun.compiled.network).discard_training_buffers()
        if self.early_stopping or self.restore_best_weights:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts
        if undefined_score is not None:
            raise undefined_score

    def _begin_stochastic(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> StochasticFit:
        """Check and prepare a fit, up to its first epoch."""
        weights = self._combined_weights(sample_weight, y, incremental)
        rows, held_out, validation = self._split(X, y, sample_weight)
        batch_size = self._checked_batch_size(len(rows))
        compiled = self._network_for_training(incremental)
        architecture = compiled.network.architecture
        samples = Samples(_as_table(X), self._network_targets(y, architecture), check_weights(weights, len(y)))
        require_weight(samples.weights, len(rows), "sample_weight and class_weight of the training samples", rows)
        self._check_scoring(validation, architecture)
        self._begin_scores(validation)
        self.n_iter_ = 0
        epochs = 1 if incremental else self.max_iter
        return StochasticFit(compiled, samples, rows, held_out, validation, epochs, batch_size, incremental)

    def _begin_scores(self, validation: Validation | None) -> None:
        """Reset the best loss or score, unless this fit continues that of the last fit.

        A best score continues if the last fit had the same scoring and the same given rows, and ended with its weights.
        As in scikit-learn, it also continues if both fits held out rows of their own.
        """
        early, last = validation is not None, getattr(self, "_measured", None)
        given = early and self._given_validation[0] is not None
        measured = (str(self.scoring), joblib.hash(validation) if given else "rows that were held out")
        self._measured = measured
        if not hasattr(self, "loss_curve_"):
            self.loss_curve_ = []
        scored = getattr(self, "validation_scores_", None) is not None
        if not hasattr(self, "_no_improvement_count") or scored != early:
            self.best_loss_ = None if early else np.inf
            self.validation_scores_ = [] if early else None
        elif not early or (measured == last and self.coefs_ is self._best_coefs):
            return
        self._no_improvement_count = 0
        self.best_validation_score_ = -np.inf if early else None
        self._store_best_weights()

    def _run(self, begun: StochasticFit) -> None:
        """Run the epochs of a fit."""
        engine, rows = engine_of(begun.compiled.network), begun.rows
        engine.drop_epoch_under_way()
        conventions = Conventions(self, rows, begun.validation, begun.incremental)
        job = FitJob(
            ArrayData(begun.samples, rows),
            begun.epochs,
            begun.batch_size,
            shuffle=False,
            callbacks=[conventions, *(self.callbacks or ())],
            verbose=bool(self.progress_bar),
            losses=EpochLoss(len(rows), begun.batch_size, self._loss_factor()),
        )
        engine.fit(begun.compiled.network, job)

    def _diverge(self, error: NonFiniteLossError | None) -> None:
        """End a fit whose loss is NaN or infinite: raise ValueError, or with early stopping warn."""
        if not self.early_stopping:
            raise ValueError(NOT_FINITE) from error
        self.n_iter_ += 1
        self.loss_ = float("nan")
        self.loss_curve_.append(self.loss_)
        self.validation_scores_.append(float("nan"))
        warnings.warn(
            f"The loss became NaN or infinite in iteration {self.n_iter_}; the best weights before it are kept.",
            ConvergenceWarning,
            stacklevel=2,
        )

    def _fit_lbfgs(self, X: Any, y: Any, sample_weight: Any, *others: Any) -> None:
        """Fit by L-BFGS over all rows: SciPy minimises, the network computes the loss and its gradient."""
        compiled = self._network_for_training(False)
        del self._optimizer  # a later partial_fit creates the optimizer of its own solver
        objective = self._objective(compiled, X, y, self._combined_weights(sample_weight, y, False))
        solution = minimise(objective, self)
        self.coefs_, self.intercepts_ = objective.unpack(solution)

    def _loss_grad_lbfgs(self, packed: Any, X: Any, y: Any, sample_weight: Any, *buffers: Any) -> Any:
        """Return the loss and its gradient at packed weights; scikit-learn's buffers remain unused."""
        return self._objective(self._current_network(), X, y, sample_weight)(packed)

    def _objective(self, compiled: EstimatorNetwork, X: Any, y: Any, weights: Any) -> Objective:
        targets = self._network_targets(y, compiled.network.architecture)
        factor, alpha = self._loss_factor(), float(self.alpha)
        samples = Samples(_as_table(X), targets, check_weights(weights, len(y)))
        require_weight(samples.weights, len(y), "sample_weight and class_weight")
        return Objective(compiled, samples, factor, alpha)

    # The data of a fit -----------------------------------------------------------------------------------------------

    def _combined_weights(self, sample_weight: Any, y: NDArray[Any], incremental: bool) -> NDArray[Any] | None:
        """Return the weight of each row, None if all are 1."""
        return sample_weight if sample_weight is None else np.asarray(sample_weight)

    def _split(
        self, X: Any, y: NDArray[Any], weights: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, Validation | None]:
        """Return the indices of the training rows, those of rows that are held out, and what early stopping scores.

        The random draws are those of scikit-learn, which splits X itself.
        """
        rows = np.arange(X.shape[0])
        if not self.early_stopping:
            return rows, None, None
        if self._given_validation[0] is not None:
            return rows, None, self._checked_validation(X.dtype)
        stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
        rows, held_out = train_test_split(
            rows, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        validation = X[held_out], self._user_targets(y[held_out]), None if weights is None else weights[held_out]
        return rows, held_out, validation

    def _check_validation(self) -> None:
        """Check that the validation data is complete and that early stopping will use it."""
        X_val, y_val, weights_val = self._given_validation
        if X_val is None and y_val is None and weights_val is None:
            return
        if X_val is None or y_val is None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"validation data needs both X_val and y_val, got {missing}=None")
        if not self.early_stopping or self.solver == "lbfgs":
            raise ValueError(
                "X_val and y_val need early_stopping=True and solver='sgd' or 'adam', got "
                f"early_stopping={self.early_stopping!r} and solver={self.solver!r}"
            )

    def _check_scoring(self, validation: Validation | None, architecture: Architecture) -> None:
        """Check that the rows that early stopping scores have a score.

        A scorer that is given by name is tried on the initial weights, so that its errors are raised now, too.
        """
        if validation is None:
            return
        X, y, weights = validation
        samples = X.shape[0]
        require_weight(check_weights(weights, samples), samples, "sample_weight of the validation samples")
        if self.scoring is None and not is_classifier(self) and samples < 2:
            raise ValueError("early stopping scores R², which needs at least two validation samples, got 1")
        if self.scoring == "loss":
            self._network_targets(self._encoded_targets(y), architecture, "y_val")
        elif isinstance(self.scoring, str) and np.isnan(self._score(X, y, weights)):
            classes = f" of the classes {np.unique(np.asarray(y)).tolist()}" if is_classifier(self) else ""
            raise ValueError(
                f"scoring={self.scoring!r} is NaN for the {samples} validation samples{classes}, and early stopping "
                "cannot compare iterations by it; give other validation samples or another scoring"
            )

    def _checked_validation(self, dtype: Any) -> Validation:
        """Return the given validation data, checked and with the dtype of X."""
        X_val, y_val, weights_val = self._given_validation
        try:
            X_val = validate_data(self, X_val, accept_sparse=["csr", "csc"], dtype=dtype, reset=False)
        except ValueError as error:
            raise ValueError(f"in X_val: {error}") from None
        y_val = self._checked_targets(y_val)
        check_consistent_length(X_val, y_val)
        one = is_classifier(self) and not self._label_binarizer.y_type_.startswith("multilabel")
        columns = 1 if one else self.n_outputs_
        if columns != (1 if y_val.ndim == 1 else y_val.shape[1]):
            plural = "s" if columns > 1 else ""
            raise ValueError(f"y_val must have {columns} column{plural}, as y has, got shape {y_val.shape}")
        if np.ndim(weights_val) == 0 and weights_val is not None:  # one weight for all rows, as scikit-learn takes it
            weights_val = np.full(X_val.shape[0], weights_val)
        return X_val, y_val, check_weights(weights_val, X_val.shape[0], "_val")

    def _checked_batch_size(self, samples: int) -> int:
        """Return the number of rows of a batch, clipped to the number of samples as in scikit-learn."""
        if self.batch_size == "auto":
            return min(200, samples)
        if self.batch_size > samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return min(int(self.batch_size), samples)

    def _network_targets(self, y: NDArray[Any], architecture: Any, name: str = "y") -> Targets:
        """Return the targets for the loss of the network; `y` has shape (n_samples, n_outputs)."""
        if architecture.loss.targets == "classes":
            y = np.asarray(y).argmax(axis=1)
        return check_targets(y, len(y), architecture, name)

    def _loss_factor(self) -> float:
        """Return the factor between the learned loss and the loss that scikit-learn reports.

        scikit-learn learns the sum of squared errors over the outputs, but reports their mean over the outputs.
        """
        return 1.0 / self.n_outputs_ if self.loss == "squared_error" else 1.0

    def _output_activation(self) -> str:
        """Return scikit-learn's name of the output activation that the loss needs."""
        raise NotImplementedError

    # The network -----------------------------------------------------------------------------------------------------

    def _network_for_training(self, incremental: bool) -> EstimatorNetwork:
        """Return the network with the current weights.

        `partial_fit` continues with the state of its optimizer. `fit` gets a new network with a new optimizer.
        """
        current: EstimatorNetwork | None = getattr(self, "_compiled", None)
        if current is None or not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._sklearn_optimizer()
            self._compiled = self._new_network(keep_optimizer=False)
        elif current.parameters != self._network_parameters():
            self._compiled = self._new_network(keep_optimizer=current.has_shapes_of(self.coefs_))
        return self._current_network()

    def _current_network(self) -> EstimatorNetwork:
        """Return the network of the last fit, with the current weights.

        Parameters that were set after that fit have no effect, except `n_threads`, which changes no result.
        """
        current: EstimatorNetwork | None = getattr(self, "_compiled", None)
        if current is None:  # the fitted attributes were set by hand
            current = self._compiled = self._new_network(keep_optimizer=False)
        if not current.has_shapes_of(self.coefs_) or not current.has_threads(self.n_threads):
            current = self._compiled = current.adapted(self.coefs_, self.n_threads)
        current.set_weights(self.coefs_, self.intercepts_)
        return current

    @property
    def hidden_activations_(self) -> list[Activation]:
        """The activation of each hidden layer in the last fit, which `activation` may no longer be."""
        check_is_fitted(self)
        return [layer.activation for layer in self._current_network().network.architecture.layers[:-1]]

    def _new_network(self, keep_optimizer: bool) -> EstimatorNetwork:
        """Return a new network for the current weights, with the optimizer of the current network or a new one."""
        coefs, hidden = self.coefs_, len(self.coefs_) - 1
        output = networks.resolve_activation(self.out_activation_)
        activations = [*networks.hidden_activations(self.activation, hidden), output]
        rates = networks.dropout_rates(self.dropout, hidden)
        network = Network(
            networks.layers_for(coefs, activations, rates, float(self.alpha)),
            loss=self._network_loss(),
            optimizer=self._compiled.network.architecture.optimizer if keep_optimizer else networks.optimizer_for(self),
            dtype=networks.dtype_of(coefs),
            seed=int(self._random_state.randint(np.iinfo(np.int32).max)) if any(rates) else 0,
            threads=self.n_threads,
        )
        compiled = EstimatorNetwork(network, self._network_parameters())
        if keep_optimizer:
            compiled.copy_optimizer_state(self._compiled)
        return compiled

    def _network_parameters(self) -> tuple[Any, ...]:
        """Return the parameters whose change between two calls of `partial_fit` has an effect, as in scikit-learn."""
        return float(self.alpha), repr(self.activation), repr(self.dropout), repr(self.loss)

    def _network_loss(self) -> Loss:
        """Return the loss of the network."""
        raise NotImplementedError

    def _sklearn_optimizer(self) -> BaseOptimizer:
        """Return scikit-learn's optimizer without weights: it keeps the learning rate and decides when to stop."""
        if self.optimizer is not None:
            return BaseOptimizer(self.learning_rate_init)
        if self.solver == "adam":
            return AdamOptimizer([], self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return SGDOptimizer(
            [], self.learning_rate_init, self.learning_rate, self.momentum, self.nesterovs_momentum, self.power_t
        )

    def _refresh_weights(self) -> None:
        """Copy the weights of the network to `coefs_` and `intercepts_`."""
        self.coefs_, self.intercepts_ = self._compiled.get_weights()

    def _store_best_weights(self) -> None:
        """Store a snapshot of the current weights as the best ones."""
        self._best_coefs = [w.copy() for w in self.coefs_]
        self._best_intercepts = [b.copy() for b in self.intercepts_]

    # Predictions and scores ------------------------------------------------------------------------------------------

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> NDArray[Any]:
        """Return the activations of the output layer, shape (n_samples, n_outputs)."""
        if check_input:
            refuse_masked_arguments(X=X)
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._current_network().predict(_as_table(X))

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of a classifier, or R² of a regressor.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            The true labels or numbers.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample in the score.

        Returns
        -------
        float
            The score.
        """
        refuse_masked_arguments(X=X, y=y, sample_weight=sample_weight)
        return float(super().score(X, y, sample_weight))

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score that early stopping maximises."""
        if self.scoring is None:
            predicted = self._predict(X, check_input=False)  # a sparse matrix if the labels of the fit were sparse
            if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
                return float("nan")
            metric = accuracy_score if is_classifier(self) else r2_score
            return float(metric(y, predicted, sample_weight=sample_weight))
        if self.scoring == "loss":
            network = self._current_network().network
            targets = self._network_targets(self._encoded_targets(y), network.architecture)
            weights = check_weights(sample_weight, len(targets))
            return -engine_of(network).loss(Samples(_as_table(X), targets, weights))
        view = copy.copy(self)
        if hasattr(view, "feature_names_in_"):
            del view.feature_names_in_  # X is an array by now and has no names
        scorer = get_scorer(self.scoring) if isinstance(self.scoring, str) else self.scoring
        options = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(view, X, y, **options))

    def _user_targets(self, y: NDArray[Any]) -> Any:
        """Return encoded targets of shape (n_samples, n_outputs) in the form in which the user gives them."""
        return y.ravel() if self.n_outputs_ == 1 else y

    def _encoded_targets(self, y: Any) -> NDArray[Any]:
        """Return the user's targets as an array of shape (n_samples, n_outputs)."""
        return np.asarray(y).reshape(len(y), -1)

    def _checked_targets(self, y: Any) -> Any:
        """Return the user's validation targets, checked; those of a classifier may be a sparse matrix of labels."""
        raise NotImplementedError


def _as_table(X: Any) -> Any:
    """Return X as the network reads it: an array as it is, a sparse matrix as `SparseRows`."""
    return X if isinstance(X, np.ndarray) else SparseRows(X)
