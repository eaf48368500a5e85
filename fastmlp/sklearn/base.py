"""The fits and predictions of scikit-learn's perceptrons, done by a compiled network.

scikit-learn's own classes check the input, draw the first weights, watch for convergence and keep the fitted
attributes; here are the methods of theirs in which the time goes, and what stands around them.
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

from fastmlp._data.arrays import Targets, check_targets
from fastmlp._data.feeds import ArrayData
from fastmlp._data.weights import check_weights
from fastmlp._engine import inference
from fastmlp._engine.step_runner import NonFiniteLossError
from fastmlp.activations import Activation
from fastmlp.callbacks import Callback
from fastmlp.callbacks.base import check_callbacks
from fastmlp.history import History
from fastmlp.kernels import layout as at
from fastmlp.losses import Loss
from fastmlp.network import Network
from fastmlp.optimizers import Optimizer
from fastmlp.sklearn import networks
from fastmlp.sklearn.conventions import Conventions, EpochLoss
from fastmlp.sklearn.lbfgs import Objective, minimise
from fastmlp.sklearn.networks import Compiled
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
"""What fastmlp adds to scikit-learn's parameters, or takes more of."""

STOCHASTIC = ("dropout", "optimizer", "clipvalue", "global_clipnorm", "callbacks")
"""Parameters that would do nothing where the solver is lbfgs."""

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)

Validation = tuple[Any, Any, NDArray[Any] | None]
"""X, y and weights of the rows that early stopping scores."""


class CompiledMLP(BaseMultilayerPerceptron):
    """What both estimators do otherwise than scikit-learn's; it stands before those among the bases."""

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
            Class labels, or real numbers.
        sample_weight : array-like of shape (n_samples,), optional
            How much each sample counts.
        X_val, y_val, sample_weight_val : optional
            Samples for early stopping to score, in place of a share of X.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If something does not suit, or the weights become NaN or infinite; they are then those of the beginning of
            that epoch.
        """
        self._given_validation = (X_val, y_val, sample_weight_val)
        try:
            return super().fit(X, y, sample_weight)
        finally:
            self.__dict__.pop("_given_validation", None)  # a fit in a callback may have taken it away

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> Any:
        """X and y as a fit takes them; `reset` says whether it begins anew."""
        sizes = np.ravel(self.hidden_layer_sizes).tolist()
        if not reset and sizes != (known := [w.shape[1] for w in self.coefs_[:-1]]):
            raise ValueError(f"hidden_layer_sizes are {sizes}, but this fit would go on with layers of {known} units")
        self._check_parameters(incremental, len(sizes))
        return super()._validate_input(X, y, incremental, reset)

    def _check_parameters(self, incremental: bool, hidden: int) -> None:
        """Refuse what does not suit while the weights of an earlier fit are still there."""
        if incremental:
            for name in ("early_stopping", "restore_best_weights"):
                if getattr(self, name):
                    raise ValueError(f"partial_fit does not support {name}=True")
        if self.solver == "lbfgs":
            for name in STOCHASTIC:
                given = getattr(self, name)
                if np.any(given) if name == "dropout" else given:
                    raise ValueError(f"{name} is for the solvers 'sgd' and 'adam', got {given!r} with 'lbfgs'")
        self._check_validation()
        check_callbacks(self.callbacks or ())
        networks.hidden_activations(self.activation, hidden)
        networks.dropout_rates(self.dropout, hidden)
        networks.update_rule(self)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what is of a fit under way, whose callback may copy or pickle the estimator."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_given_validation"}

    # The two ways to fit ---------------------------------------------------------------------------------------------

    def _fit_stochastic(self, X: Any, y: Any, sample_weight: Any, *others: Any) -> None:
        """The epochs of sgd and adam; the last of `others` is whether this is partial_fit."""
        incremental = bool(others[-1])
        weights = self._weights(sample_weight, y, incremental)
        rows, validation = self._split(X, y, sample_weight)
        batch_size = self._rows_of_a_batch(len(rows))
        compiled = self._for_training(incremental)
        architecture = compiled.network.architecture
        data = ArrayData(_table(X), self._targets(y, architecture), check_weights(weights, len(y)), rows)
        callbacks = [Conventions(self, rows, validation, incremental), *(self.callbacks or ())]
        epochs = 1 if incremental else self.max_iter
        losses = EpochLoss(len(rows), batch_size, self._share_of_loss())
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
                compiled.network._plans.discard("training")
        if self.early_stopping or self.restore_best_weights:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts

    def _run(
        self,
        compiled: Compiled,
        data: ArrayData,
        epochs: int,
        batch_size: int,
        callbacks: list[Callback],
        losses: EpochLoss,
    ) -> History:
        network = compiled.network
        network._parameters.state[at.BATCH_OF_EPOCH] = 0  # an epoch that was interrupted is not gone on with
        return network._train(data, epochs, batch_size, False, callbacks, bool(self.progress_bar), None, losses)

    def _diverge(self, error: NonFiniteLossError) -> None:
        """End a fit whose loss is NaN or infinite: nothing could follow but more of these."""
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
        """L-BFGS over all rows, by SciPy on our loss and gradients."""
        compiled = self._for_training(False)
        del self._optimizer  # partial_fit begins with that of the solver it has then
        objective = self._objective(compiled, X, y, self._weights(sample_weight, y, False))
        found = minimise(objective, self)
        self.coefs_, self.intercepts_ = objective.unpack(found)

    def _loss_grad_lbfgs(self, packed: Any, X: Any, y: Any, sample_weight: Any, *buffers: Any) -> Any:
        """The loss and its gradient at packed weights; the buffers that scikit-learn's fills are not needed."""
        return self._objective(self._current(), X, y, sample_weight)(packed)

    def _objective(self, compiled: Compiled, X: Any, y: Any, weights: Any) -> Objective:
        targets = self._targets(y, compiled.network.architecture)
        share, alpha = self._share_of_loss(), float(self.alpha)
        return Objective(compiled, _table(X), targets, check_weights(weights, len(y)), share, alpha)

    # What a fit is made of -------------------------------------------------------------------------------------------

    def _weights(self, sample_weight: Any, y: NDArray[Any], incremental: bool) -> NDArray[Any] | None:
        """How much each row counts."""
        return sample_weight if sample_weight is None else np.asarray(sample_weight)

    def _split(self, X: Any, y: NDArray[Any], weights: Any) -> tuple[NDArray[np.int64], Validation | None]:
        """The rows that train, and what early stopping scores; the draws are those of scikit-learn's split of X."""
        rows = np.arange(X.shape[0])
        if not self.early_stopping:
            return rows, None
        if self._given_validation[0] is not None:
            return rows, self._checked_validation(X.dtype)
        stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
        rows, kept_out = train_test_split(
            rows, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
        )
        if len(kept_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return rows, (X[kept_out], self._as_given(y[kept_out]), None if weights is None else weights[kept_out])

    def _check_validation(self) -> None:
        X_val, y_val, weights_val = self._given_validation
        if X_val is None and y_val is None and weights_val is None:
            return
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together; one of them is None")
        if not self.early_stopping or self.solver == "lbfgs":
            raise ValueError(
                "X_val and y_val are for early stopping: set early_stopping=True, and solver='sgd' or 'adam'"
            )

    def _checked_validation(self, dtype: Any) -> Validation:
        X_val, y_val, weights_val = self._given_validation
        X_val = validate_data(self, X_val, accept_sparse=["csr", "csc"], dtype=dtype, reset=False)
        y_val = self._checked_targets(y_val)
        check_consistent_length(X_val, y_val)
        one = is_classifier(self) and not self._label_binarizer.y_type_.startswith("multilabel")
        columns = 1 if one else self.n_outputs_
        if y_val.size != len(y_val) * columns:
            raise ValueError(f"y_val must have {columns} column{'s' * (columns > 1)} as y has, got shape {y_val.shape}")
        return X_val, y_val, None if weights_val is None else _check_sample_weight(weights_val, X_val)

    def _rows_of_a_batch(self, samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, samples)
        if self.batch_size > samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return min(int(self.batch_size), samples)

    def _targets(self, y: NDArray[Any], architecture: Any) -> Targets:
        """Y, a row a sample, as the network's loss takes it."""
        if architecture.loss.targets == "classes":
            y = np.asarray(y).argmax(axis=1)
        return check_targets(y, len(y), architecture)

    def _share_of_loss(self) -> float:
        """What of the data's loss scikit-learn tells: of squared errors the mean over the outputs."""
        return 1.0 / self.n_outputs_ if self.loss == "squared_error" else 1.0

    # The network -----------------------------------------------------------------------------------------------------

    def _for_training(self, incremental: bool) -> Compiled:
        """The network with these weights; a new one, whose optimizer remembers nothing, but for partial_fit."""
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._scikit_optimizer()
            self._compiled = self._compile(keep_optimizer=False)
        return self._current()

    def _current(self) -> Compiled:
        """The network with the weights and parameters that this estimator has now."""
        known: Compiled | None = getattr(self, "_compiled", None)
        if known is None or not known.suits(self.coefs_) or known.made_of != self._made_of():
            known = self._compiled = self._compile(keep_optimizer=known is not None and known.suits(self.coefs_))
        known.take(self.coefs_, self.intercepts_)
        return known

    def _compile(self, keep_optimizer: bool) -> Compiled:
        """Another network for these weights, whose optimizer remembers what the present one's does, or nothing."""
        coefs, hidden = self.coefs_, len(self.coefs_) - 1
        output = networks.named_activation(self.out_activation_)
        activations = [*networks.hidden_activations(self.activation, hidden), output]
        rates = networks.dropout_rates(self.dropout, hidden)
        network = Network(
            networks.layers_for(coefs, activations, rates, float(self.alpha)),
            loss=self._network_loss(),
            optimizer=self._compiled.network.architecture.optimizer if keep_optimizer else networks.update_rule(self),
            dtype=coefs[0].dtype,
            seed=int(self._random_state.randint(np.iinfo(np.int32).max)) if any(rates) else 0,
            threads=self.n_threads,
        )
        compiled = Compiled(network, self._made_of())
        if keep_optimizer:
            compiled.remember(self._compiled)
        return compiled

    def _made_of(self) -> tuple[Any, ...]:
        """The parameters that may change between two calls of partial_fit and then count, as scikit-learn's do."""
        return float(self.alpha), repr(self.activation), repr(self.dropout), self.n_threads

    def _network_loss(self) -> Loss:
        raise NotImplementedError

    def _scikit_optimizer(self) -> BaseOptimizer:
        """scikit-learn's own, with no parameters to move: it keeps the learning rate and says when to stop."""
        if self.optimizer is not None:
            return BaseOptimizer(self.learning_rate_init)
        if self.solver == "adam":
            return AdamOptimizer([], self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return SGDOptimizer(
            [], self.learning_rate_init, self.learning_rate, self.momentum, self.nesterovs_momentum, self.power_t
        )

    def _refresh_weights(self) -> None:
        """Take the network's weights."""
        self.coefs_, self.intercepts_ = self._compiled.give()

    def _keep_best(self) -> None:
        """Remember these weights."""
        self._best_coefs = [w.copy() for w in self.coefs_]
        self._best_intercepts = [b.copy() for b in self.intercepts_]

    # What it says ----------------------------------------------------------------------------------------------------

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> NDArray[Any]:
        """The activations of the output layer, (n, outputs)."""
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._current().predict(_table(X))

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """What early stopping watches."""
        if self.scoring is None:
            predicted = np.asarray(self._predict(X, check_input=False))
            if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
                return float("nan")
            metric = accuracy_score if is_classifier(self) else r2_score
            return float(metric(y, predicted, sample_weight=sample_weight))
        if self.scoring == "loss":
            network = self._current().network
            targets = self._targets(self._as_learned(y), network.architecture)
            weights = check_weights(sample_weight, len(targets))
            return -inference.loss(network._plans, _table(X), targets, weights)
        view = copy.copy(self)
        if hasattr(view, "feature_names_in_"):
            del view.feature_names_in_  # X has none any more
        scorer = get_scorer(self.scoring) if isinstance(self.scoring, str) else self.scoring
        options = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(view, X, y, **options))

    def _as_given(self, y: NDArray[Any]) -> Any:
        """Rows of targets as the user gives them."""
        return y.ravel() if self.n_outputs_ == 1 else y

    def _as_learned(self, y: Any) -> NDArray[Any]:
        """A row a sample of the user's targets."""
        return np.asarray(y).reshape(len(y), -1)

    def _checked_targets(self, y: Any) -> NDArray[Any]:
        raise NotImplementedError


def _table(X: Any) -> Any:
    """X as the network's feeding reads it."""
    return X if isinstance(X, np.ndarray) else SparseRows(X)
