"""`CompiledMLP`: the methods of scikit-learn's perceptrons that a `fastmlp.Network` computes.

scikit-learn's own classes check the input, draw the initial weights, test for convergence and keep the fitted
attributes. `CompiledMLP` overrides the methods that take the time, and the methods that the added parameters concern.
"""

from __future__ import annotations

import copy
import warnings
from numbers import Integral, Real
from typing import Any

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
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastmlp._data.array_feed import ArrayData
from fastmlp._data.samples import Samples
from fastmlp._data.targets import Targets, check_targets
from fastmlp._data.weights import check_weights
from fastmlp._engine.engine import FitJob, NonFiniteLossError, engine_of
from fastmlp.activations import Activation
from fastmlp.callbacks import Callback
from fastmlp.callbacks.base import check_callbacks
from fastmlp.history import History
from fastmlp.losses import Loss
from fastmlp.network import Network
from fastmlp.optimizers import Optimizer
from fastmlp.sklearn import networks
from fastmlp.sklearn.conventions import Conventions, EpochLoss
from fastmlp.sklearn.lbfgs import Objective, minimise
from fastmlp.sklearn.networks import EstimatorNetwork
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


class CompiledMLP(BaseMultilayerPerceptron):
    """Base class of both estimators; it overrides methods of scikit-learn's class, which follows it among the bases."""

    _given_validation: tuple[Any, Any, Any] = (None, None, None)
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
            estimator has the weights from the beginning of that epoch.
        """
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
        return super()._validate_input(X, y, incremental, reset)

    def _check_parameters(self, incremental: bool, hidden: int) -> None:
        """Check the parameters before the fit replaces the weights of an earlier fit."""
        if incremental:
            for name in ("early_stopping", "restore_best_weights"):
                if getattr(self, name):
                    raise ValueError(f"partial_fit does not support {name}=True")
        if self.solver == "lbfgs":
            for name in STOCHASTIC_ONLY:
                given = getattr(self, name)
                if np.any(given) if name == "dropout" else given:
                    raise ValueError(f"{name} needs the solver 'sgd' or 'adam', got {name}={given!r} with 'lbfgs'")
        self._check_validation()
        check_callbacks(self.callbacks or ())
        networks.hidden_activations(self.activation, hidden)
        networks.dropout_rates(self.dropout, hidden)
        networks.optimizer_for(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state, without the validation data of a running fit (a callback may pickle the estimator)."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_given_validation"}

    # Fitting ---------------------------------------------------------------------------------------------------------

    def _fit_stochastic(self, X: Any, y: Any, sample_weight: Any, *others: Any) -> None:
        """Run the epochs of 'sgd' or 'adam'; the last of `others` says whether `partial_fit` is the caller."""
        incremental = bool(others[-1])
        weights = self._combined_weights(sample_weight, y, incremental)
        rows, validation = self._split(X, y, sample_weight)
        batch_size = self._checked_batch_size(len(rows))
        compiled = self._network_for_training(incremental)
        architecture = compiled.network.architecture
        samples = Samples(_as_table(X), self._network_targets(y, architecture), check_weights(weights, len(y)))
        data = ArrayData(samples, rows)
        callbacks = [Conventions(self, rows, validation, incremental), *(self.callbacks or ())]
        epochs = 1 if incremental else self.max_iter
        losses = EpochLoss(len(rows), batch_size, self._loss_factor())
        self.n_iter_ = 0
        try:
            self.history_ = self._run(compiled, data, epochs, batch_size, callbacks, losses)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        except NonFiniteLossError as error:
            self._diverge(error)
        finally:
            self._refresh_weights()
            if not incremental:
                engine_of(compiled.network).discard_training_buffers()
        if self.early_stopping or self.restore_best_weights:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts

    def _run(
        self,
        compiled: EstimatorNetwork,
        data: ArrayData,
        epochs: int,
        batch_size: int,
        callbacks: list[Callback],
        losses: EpochLoss,
    ) -> History:
        network = compiled.network
        engine = engine_of(network)
        engine.drop_epoch_under_way()
        job = FitJob(data, epochs, batch_size, False, callbacks, bool(self.progress_bar), losses=losses)
        return engine.fit(network, job)

    def _diverge(self, error: NonFiniteLossError) -> None:
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
        return Objective(compiled, samples, factor, alpha)

    # The data of a fit -----------------------------------------------------------------------------------------------

    def _combined_weights(self, sample_weight: Any, y: NDArray[Any], incremental: bool) -> NDArray[Any] | None:
        """Return the weight of each row, None if all are 1."""
        return sample_weight if sample_weight is None else np.asarray(sample_weight)

    def _split(self, X: Any, y: NDArray[Any], weights: Any) -> tuple[NDArray[np.int64], Validation | None]:
        """Return the indices of the training rows, and the validation rows that early stopping scores.

        The random draws are those of scikit-learn, which splits X itself.
        """
        rows = np.arange(X.shape[0])
        if not self.early_stopping:
            return rows, None
        if self._given_validation[0] is not None:
            return rows, self._checked_validation(X.dtype)
        stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
        rows, held_out = train_test_split(
            rows, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return rows, (X[held_out], self._user_targets(y[held_out]), None if weights is None else weights[held_out])

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

    def _checked_validation(self, dtype: Any) -> Validation:
        """Return the given validation data, checked and with the dtype of X."""
        X_val, y_val, weights_val = self._given_validation
        X_val = validate_data(self, X_val, accept_sparse=["csr", "csc"], dtype=dtype, reset=False)
        y_val = self._checked_targets(y_val)
        check_consistent_length(X_val, y_val)
        one = is_classifier(self) and not self._label_binarizer.y_type_.startswith("multilabel")
        columns = 1 if one else self.n_outputs_
        if y_val.size != len(y_val) * columns:
            plural = "s" if columns > 1 else ""
            raise ValueError(f"y_val must have {columns} column{plural}, as y has, got shape {y_val.shape}")
        return X_val, y_val, None if weights_val is None else _check_sample_weight(weights_val, X_val)

    def _checked_batch_size(self, samples: int) -> int:
        """Return the number of rows of a batch, clipped to the number of samples as in scikit-learn."""
        if self.batch_size == "auto":
            return min(200, samples)
        if self.batch_size > samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return min(int(self.batch_size), samples)

    def _network_targets(self, y: NDArray[Any], architecture: Any) -> Targets:
        """Return the targets for the loss of the network; `y` has shape (n_samples, n_outputs)."""
        if architecture.loss.targets == "classes":
            y = np.asarray(y).argmax(axis=1)
        return check_targets(y, len(y), architecture)

    def _loss_factor(self) -> float:
        """Return the factor between the learned loss and the loss that scikit-learn reports.

        scikit-learn learns the sum of squared errors over the outputs, but reports their mean over the outputs.
        """
        return 1.0 / self.n_outputs_ if self.loss == "squared_error" else 1.0

    # The network -----------------------------------------------------------------------------------------------------

    def _network_for_training(self, incremental: bool) -> EstimatorNetwork:
        """Return the network with the current weights.

        `partial_fit` continues with the state of its optimizer. `fit` gets a new network with a new optimizer.
        """
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._sklearn_optimizer()
            self._compiled = self._new_network(keep_optimizer=False)
        return self._current_network()

    def _current_network(self) -> EstimatorNetwork:
        """Return the network with the current weights and parameters of the estimator, a new one if necessary."""
        current: EstimatorNetwork | None = getattr(self, "_compiled", None)
        fits = current is not None and current.has_shapes_of(self.coefs_)
        if current is None or not fits or current.parameters != self._network_parameters():
            current = self._compiled = self._new_network(keep_optimizer=fits)
        current.set_weights(self.coefs_, self.intercepts_)
        return current

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
            dtype=coefs[0].dtype,
            seed=int(self._random_state.randint(np.iinfo(np.int32).max)) if any(rates) else 0,
            threads=self.n_threads,
        )
        compiled = EstimatorNetwork(network, self._network_parameters())
        if keep_optimizer:
            compiled.copy_optimizer_state(self._compiled)
        return compiled

    def _network_parameters(self) -> tuple[Any, ...]:
        """Return the parameters whose change between two calls of `partial_fit` has an effect, as in scikit-learn."""
        return float(self.alpha), repr(self.activation), repr(self.dropout), self.n_threads

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
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._current_network().predict(_as_table(X))

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score that early stopping maximises."""
        if self.scoring is None:
            predicted = np.asarray(self._predict(X, check_input=False))
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

    def _checked_targets(self, y: Any) -> NDArray[Any]:
        """Return the user's validation targets, checked."""
        raise NotImplementedError


def _as_table(X: Any) -> Any:
    """Return X as the network reads it: an array as it is, a sparse matrix as `SparseRows`."""
    return X if isinstance(X, np.ndarray) else SparseRows(X)
