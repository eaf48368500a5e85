"""`Ensemble`: networks that differ in their seeds, and predict together with a measure of their doubt."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import FLOAT64, RowArray, converted
from fastmlp._data.inputs import check_input_shape
from fastmlp._data.samples import Samples, check_samples
from fastmlp._display import summary
from fastmlp._engine.engine import engine_of
from fastmlp._engine.ensemble_files import load_members, save_members
from fastmlp._runtime import memory
from fastmlp._runtime.checks import check_bool, number, optional_whole_number, whole_number
from fastmlp._runtime.names import AttributeHints, check_keywords, on_class_only
from fastmlp.activations import Activation
from fastmlp.architecture import Architecture, resolve_seed
from fastmlp.callbacks import Callback, EarlyStopping
from fastmlp.ensembles.member_rows import VALIDATIONS, member_rows
from fastmlp.ensembles.mixture import Mixture, mean_learned_quantiles
from fastmlp.history import History
from fastmlp.layers import LayerDescription
from fastmlp.losses import Loss, Quantile
from fastmlp.many import fit_many
from fastmlp.metrics.evaluation import measure, predicted_classes, select_metrics
from fastmlp.metrics.registry import MetricFunction
from fastmlp.network import Network, network_with
from fastmlp.optimizers import Optimizer
from fastmlp.reference.losses import formula_of

Floats = NDArray[np.float64]
Array = NDArray[Any]

_PIECE_NUMBERS = 1 << 20  # predictions of all members that are in memory at once, as float64


class Ensemble(AttributeHints):
    """Networks that are trained on the same data from different seeds, and whose predictions are averaged.

    Averages of networks are more accurate than each of them, and their spread says where they are unsure ("deep
    ensembles": Lakshminarayanan, Pritzel and Blundell, 2017).

    Parameters
    ----------
    layers, activation, output, loss, optimizer, dtype, threads
        As in `Network`, for each member.
    members : int
        The number of networks.
    bootstrap : bool
        Whether each member trains on as many rows as it has, drawn with replacement.
    validation : {"own split", "same split", "out of bag"}
        Which rows validate a member: a random share of its own; a share that is the same for all; or those that its
        bootstrap has not drawn. `fit` says how large the share is.
    seed : int, optional
        Member i is a network with `seed + i`. None draws a seed.

    Attributes
    ----------
    networks : tuple of Network
        The members. They can be used, trained and changed by themselves.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, as in `Network`.

    Examples
    --------
    >>> ensemble = Ensemble([8, 64, 64, 2], loss=GaussianNLL(), members=10, seed=0)
    >>> histories = ensemble.fit(X, y, epochs=100, validation_split=0.1, early_stopping=EarlyStopping(patience=10))
    >>> mean, std = ensemble.predict(X_new, return_std=True)
    """

    @check_keywords
    def __init__(
        self,
        layers: Sequence[int | LayerDescription],
        *,
        members: int = 10,
        bootstrap: bool = False,
        validation: str = "own split",
        activation: str | Activation = "relu",
        output: str | Activation | None = None,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        dtype: Any = "float32",
        seed: int | None = None,
        threads: int | None = None,
    ) -> None:
        count, first = whole_number(members, "members"), resolve_seed(seed)
        resolve_seed(first + count - 1)
        layers = list(layers) if isinstance(layers, Iterator) else layers
        networks = [
            Network(
                layers,
                activation=activation,
                output=output,
                loss=loss,
                optimizer=optimizer,
                dtype=dtype,
                seed=first + index,
                threads=threads,
            )
            for index in range(count)
        ]
        self._set(networks, bootstrap, validation)

    @on_class_only
    @classmethod
    @check_keywords
    def from_networks(
        cls, networks: Iterable[Network], *, bootstrap: bool = False, validation: str = "own split"
    ) -> Ensemble:
        """Return an ensemble of given networks, such as those that `fit_many` has trained. They are not copied.

        Parameters
        ----------
        networks : iterable of Network
            Networks with the same inputs, outputs, loss, dtype and names. Their hidden layers may differ.
        bootstrap, validation
            As in the class.

        Raises
        ------
        ValueError, TypeError
            If the networks differ in one of these, or one occurs twice.
        """
        ensemble = cls.__new__(cls)
        ensemble._set(_check_members(networks), bootstrap, validation)
        return ensemble

    def _set(self, networks: Iterable[Network], bootstrap: object, validation: object) -> None:
        self.bootstrap = check_bool(bootstrap, "bootstrap")
        if validation not in VALIDATIONS:
            raise ValueError(f"validation must be one of {', '.join(map(repr, VALIDATIONS))}, got {validation!r}")
        if validation == "out of bag" and not self.bootstrap:
            raise ValueError("validation='out of bag' needs bootstrap=True, which leaves rows out")
        self.validation = str(validation)
        self.networks = tuple(networks)

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.networks)

    @property
    def _first(self) -> Architecture:
        """The architecture of the first member: what concerns inputs, outputs and loss is that of all."""
        return self.networks[0].architecture

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the inputs, if the members were trained on a frame."""
        return self.networks[0].feature_names

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The label of each class, if the members were trained on labels that are strings."""
        return self.networks[0].classes

    @property
    def histories(self) -> list[History | None]:
        """The history of each member's last fit."""
        return [network.history for network in self.networks]

    # Training --------------------------------------------------------------------------------------------------------

    @check_keywords
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation_split: float = 0.0,
        early_stopping: EarlyStopping | None = None,
        sample_weight: ArrayLike | None = None,
        shuffle: bool = True,
        metrics: Iterable[str | MetricFunction] | None = None,
        callbacks: Iterable[Callback] = (),
        verbose: bool | int | str = "auto",
    ) -> list[History]:
        """Train all members by `fit_many`, each to the bits that it would have alone.

        Without a bootstrap, and with a split of its own, member i ends with the bits of
        `Network(..., seed=seed + i).fit(X, y, validation_split=...)`.

        Parameters
        ----------
        X, y, epochs, batch_size, early_stopping, sample_weight, shuffle, metrics, callbacks, verbose
            As in `fit_many`.
        validation_split : float
            The share of the rows that validate each member, in [0, 1). 0 evaluates nothing. It must be 0 with
            `validation="out of bag"`, which evaluates the rows that a bootstrap has left out.

        Returns
        -------
        list of History
            One for each member.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, or there are too few rows. Nothing is changed.
        MemoryError, RuntimeError
            As in `fit_many`.
        """
        share = number(validation_split, "validation_split", below=1.0)
        if share and self.validation == "out of bag":
            raise ValueError("validation_split must be 0 with validation='out of bag', whose rows no share decides")
        names = engine_of(self.networks[0]).names.copy()
        learned = names.learn(X, y, self._first, None)
        samples = check_samples(X, learned, sample_weight, self._first, names)
        seeds = [network.seed for network in self.networks]
        rows, held_out = member_rows(len(samples.X), seeds, share, bootstrap=self.bootstrap, validation=self.validation)
        return fit_many(
            self.networks,
            X,
            y,
            rows=None if all(each is None for each in rows) else rows,
            epochs=epochs,
            batch_size=batch_size,
            validation_rows=held_out,
            early_stopping=early_stopping,
            sample_weight=sample_weight,
            shuffle=shuffle,
            metrics=metrics,
            callbacks=callbacks,
            verbose=verbose,
        )

    def adapt(self, X: ArrayLike) -> None:
        """Take the means and deviations of the `Normalization` layers of all members from data; see `Network.adapt`."""
        for network in self.networks:
            network.adapt(X)

    # Inference -------------------------------------------------------------------------------------------------------

    @check_keywords
    def predict(self, X: ArrayLike, return_std: bool = False) -> Any:
        """Return the mean of the members' predictions, and the standard deviation of what they predict.

        With `GaussianNLL` it is the mean of the means; the deviation then contains the noise that the members predict.
        Otherwise it is the deviation of the members from their mean, by the root of the mean square.

        Parameters
        ----------
        X : array-like or frame of shape (n, inputs)
            The inputs, as in `Network.predict`.
        return_std : bool
            Whether to return the standard deviation, too.

        Returns
        -------
        mean : ndarray of shape (n, outputs), or (n, targets) with `GaussianNLL`
            The mean, in the networks' dtype; probabilities for a network that predicts those.
        std : ndarray of the same shape
            The standard deviation. Only with `return_std`.

        Raises
        ------
        ValueError, TypeError
            If X does not suit the networks.
        MemoryError
            If there is not enough memory for the predictions.
        """
        if not check_bool(return_std, "return_std"):
            return self._apply(X, Mixture.mean)
        mean, std = self._apply(X, lambda mixture: np.stack([mixture.mean(), np.sqrt(mixture.variance())]), 2)
        return mean, std

    def predict_classes(self, X: ArrayLike) -> NDArray[np.intp]:
        """Return the class of each row by the mean of the members' predictions; see `Network.predict_classes`."""
        return predicted_classes(self.predict(X), self._first.loss)

    def predict_labels(self, X: ArrayLike) -> NDArray[np.str_]:
        """Return the label of each row, the name in `classes` of its class; see `Network.predict_labels`."""
        if self.classes is None:
            raise ValueError(
                "the networks know no labels, because they were not trained on strings; predict_classes returns the "
                "numbers of the classes"
            )
        return np.array(self.classes)[self.predict_classes(X)]

    @check_keywords
    def predict_quantiles(self, X: ArrayLike, levels: float | Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Return quantiles of what the members predict together.

        With `GaussianNLL` they are those of the mixture of the members' normal distributions. With `Quantile` they are
        the means of the quantiles that the members have learned. Otherwise they are the quantiles of the members'
        predictions, as `numpy.quantile` interpolates them; they do not contain the noise of the targets.

        Parameters
        ----------
        X : array-like or frame of shape (n, inputs)
            The inputs.
        levels : float or sequence of float
            The levels, each between 0 and 1.

        Returns
        -------
        ndarray of shape (levels, n, targets), or (n, targets) for a single level
            The quantiles, in the networks' dtype.

        Raises
        ------
        ValueError, TypeError
            If a level is out of range, or with `Quantile` none of those that were learned, or X does not suit.
        """
        chosen, several = _check_levels(levels)
        loss = self._first.loss
        if isinstance(loss, Quantile):
            if unknown := [level for level in chosen if level not in loss.levels]:
                raise ValueError(f"levels must be among those that were learned, {loss.levels}, got {unknown[0]}")
            found = self._apply_to_outputs(
                X, lambda outputs: mean_learned_quantiles(outputs, loss, chosen), len(chosen)
            )
        else:
            found = self._apply(X, lambda mixture: mixture.quantiles(chosen), len(chosen))
        return found if several else found[0]

    @check_keywords
    def predict_samples(self, X: ArrayLike, samples: int | None = None, *, seed: int | None = 0) -> Array:
        """Return draws from what the members predict together.

        Each draw takes one member for all rows, as Thompson sampling needs it, and with `GaussianNLL` adds the noise
        that this member predicts, for each row anew.

        Parameters
        ----------
        X : array-like or frame of shape (n, inputs)
            The inputs.
        samples : int, optional
            The number of draws, from members that are chosen at random. None draws once from each member, in order.
        seed : int, optional
            Decides the draws, the same on every machine but for rounding. None draws a seed.

        Returns
        -------
        ndarray of shape (samples, n, outputs), or (samples, n, targets) with `GaussianNLL`
            The draws, in the networks' dtype.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, or X does not suit the networks.
        MemoryError
            If there is not enough memory for the draws.
        """
        count = optional_whole_number(samples, "samples")
        generator = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(resolve_seed(seed))))
        chosen = np.arange(len(self)) if count is None else generator.randint(len(self), size=count)

        def draw(mixture: Mixture) -> Floats:
            drawn = mixture.values[chosen]
            if mixture.variances is None:
                return drawn
            draws, rows, columns = drawn.shape
            noise = generator.standard_normal((rows, draws, columns))  # row by row: the same however rows are cut
            return drawn + np.sqrt(mixture.variances[chosen]) * np.moveaxis(noise, 1, 0)

        return self._apply(X, draw, len(chosen))

    @check_keywords
    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        metrics: Iterable[str | MetricFunction] | None = None,
    ) -> dict[str, float]:
        """Return the loss and the metrics of the prediction that the members make together.

        The loss has no penalties. With `GaussianNLL` it is that of a normal distribution with mean and variance of the
        mixture.

        Parameters
        ----------
        X, y, sample_weight, metrics
            As in `Network.evaluate`.

        Returns
        -------
        dict of str to float
            "loss" and the metrics by their names.

        Raises
        ------
        ValueError, TypeError
            As in `Network.evaluate`.
        """
        loss = self._first.loss
        selected = select_metrics(metrics, loss)
        samples = check_samples(X, y, sample_weight, self._first, engine_of(self.networks[0]).names)
        outputs = self._apply_to_rows(samples.X, lambda stack: Mixture.of(stack, loss).outputs(loss), 1, FLOAT64)
        weights = None if samples.weights is None else converted(samples.weights[:], FLOAT64)
        with np.errstate(over="ignore"):
            predictions = outputs.astype(self._first.dtype)
        values = measure(selected, loss, samples.targets.as_array(), predictions, weights)
        return {"loss": _mean_loss(outputs, samples, weights), **values}

    def _apply(self, X: ArrayLike, function: Callable[[Mixture], Floats], factor: int = 1) -> Array:
        """Return a function of the mixture of all members, computed for some rows after the other."""
        loss = self._first.loss
        return self._apply_to_outputs(X, lambda outputs: function(Mixture.of(outputs, loss)), factor)

    def _apply_to_outputs(self, X: ArrayLike, function: Callable[[Floats], Floats], factor: int = 1) -> Array:
        """Return a function of the outputs (members, n, outputs), in the networks' dtype."""
        inputs = check_input_shape(X, self._first, names=engine_of(self.networks[0]).names)
        return self._apply_to_rows(inputs, function, factor, self._first.dtype)

    def _apply_to_rows(
        self, X: RowArray, function: Callable[[Floats], Floats], factor: int, dtype: np.dtype[Any]
    ) -> Array:
        """Return a function whose result has shape (..., n, columns): `factor` numbers for each output at most."""
        rows, outputs = len(X), self._first.outputs
        memory.require(rows * outputs * factor * dtype.itemsize, "the predictions")
        step = max(_PIECE_NUMBERS // (outputs * max(len(self), factor)), 1)
        result: Array | None = None
        for start in range(0, max(rows, 1), step):
            piece = slice(start, min(start + step, rows))
            stack = np.stack([engine_of(network).predict(X[piece]) for network in self.networks]).astype(FLOAT64)
            with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN are valid results
                found = function(stack)
                if result is None:
                    result = np.empty((*found.shape[:-2], rows, found.shape[-1]), dtype)
                result[..., piece, :] = found
        assert result is not None  # there is a piece, if an empty one
        return result

    # Display, files and copies ---------------------------------------------------------------------------------------

    def summary(self) -> None:
        """Print the table of the first member, and what the others have in common with it."""
        print(summary.text_table(self._first, engine_of(self.networks[0]).names))
        print(self._members_line())

    def _members_line(self) -> str:
        described = {repr(replaced) for replaced in map(_without_seed, self.networks)}
        alike = "alike" if len(described) == 1 else f"of {len(described)} kinds, of which the table shows the first"
        total = sum(network.architecture.parameters for network in self.networks)
        seeds = [network.seed for network in self.networks]
        shown = f"{seeds[0]} to {seeds[-1]}" if seeds == [*range(seeds[0], seeds[0] + len(seeds))] else str(seeds[:5])
        rows = "bootstraps of the rows" if self.bootstrap else "all rows"
        return f"{len(self):,} members, {alike}; {total:,} parameters; seeds {shown}; {rows}; {self.validation}"

    def __repr__(self) -> str:
        """Return the first member and the number of all in one line."""
        return f"Ensemble({len(self)} x {self.networks[0]!r})"

    @check_keywords
    def save(self, path: str | Path, *, optimizer: bool = True) -> None:
        """Write all members to one file in the safetensors layout; see `Network.save`.

        An older file is replaced only by a complete new one.

        Parameters
        ----------
        path : path
            The file.
        optimizer : bool
            Whether to store the optimizers' states, so that training continues as if never interrupted.

        Raises
        ------
        OSError, ValueError, MemoryError
            As in `Network.save`, or if the members know different names of inputs or classes, or are too many: a file
            has room for some thousands.
        """
        _check_members(self.networks)  # each may have learned other names in a training of its own
        options = {"bootstrap": self.bootstrap, "validation": self.validation}
        save_members([engine_of(network) for network in self.networks], path, options, optimizer=optimizer)

    @on_class_only
    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Ensemble:
        """Return the ensemble that `save` wrote. Call it on the class: `ensemble = Ensemble.load(path)`.

        Parameters
        ----------
        path : path
            The file.
        threads : int, optional
            The maximum number of threads. None lets the library choose.

        Raises
        ------
        OSError, ModelFormatError, MemoryError
            As in `Network.load`.
        """
        ensemble = cls.__new__(cls)
        with load_members(path, optional_whole_number(threads, "threads")) as (engines, options):
            members = _check_members(map(network_with, engines))
            ensemble._set(members, options.get("bootstrap"), options.get("validation"))
        return ensemble

    def __copy__(self) -> Ensemble:
        """Return a deep copy, which shares nothing with this ensemble."""
        return copy.deepcopy(self)


def _check_levels(levels: object) -> tuple[tuple[float, ...], bool]:
    """Return the levels of quantiles, and whether they were given as a sequence."""
    several = isinstance(levels, Iterable) and not isinstance(levels, str) and getattr(levels, "ndim", 1) > 0
    given: list[Any] = list(levels) if isinstance(levels, Iterable) and several else [levels]
    if not given:
        raise ValueError("levels must hold at least one level, got none")
    for level in given:
        if number(level, "levels", below=1.0) == 0.0:
            raise ValueError(f"levels must be between 0 and 1, got {level!r}")
    return tuple(map(float, given)), several


def _check_members(networks: Iterable[Network]) -> list[Network]:
    """Check that networks can predict together."""
    if isinstance(networks, Network) or not isinstance(networks, Iterable):
        raise TypeError(f"networks must be a list of networks, got {networks!r}")
    members = list(networks)
    if not members:
        raise ValueError("networks must hold at least one network, got none")
    for index, network in enumerate(members):
        if not isinstance(network, Network):
            raise TypeError(f"networks must be fastmlp.Network objects, got {type(network).__name__}")
        for what, first, own in zip(_COMMON, _common(members[0]), _common(network), strict=True):
            if first != own:
                raise ValueError(f"networks must agree in {what}, but 0 has {first} and {index} has {own}")
    if len({id(network) for network in members}) < len(members):
        raise ValueError("networks must be different objects, but one occurs twice; copy.copy(net) makes another")
    return members


_COMMON = ("inputs", "outputs", "loss", "dtype", "feature_names", "classes")


def _common(network: Network) -> tuple[Any, ...]:
    own = network.architecture
    return own.inputs, own.outputs, own.loss.label, own.dtype.name, network.feature_names, network.classes


def _without_seed(network: Network) -> dict[str, Any]:
    return {**network.architecture.to_dict(), "seed": None}


def _mean_loss(outputs: Floats, samples: Samples, weights: Floats | None) -> float:
    """Return the mean of the losses of rows, by the formulas of the reference."""
    loss = samples.targets.architecture.loss
    y = converted(samples.targets.as_array(), FLOAT64)
    if loss.targets == "classes" and y.ndim == 1:
        y = np.eye(outputs.shape[1])[y.astype(np.intp)]
    with np.errstate(all="ignore"):  # infinity and NaN are valid results
        losses = formula_of(loss).value(outputs, y, *loss.parameters)
        return float(np.average(losses, weights=weights))
