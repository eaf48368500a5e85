"""`fit_many`: trains many networks at once, each on one thread, to the bits of its own fit."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp._data.arrays import converted_if_small
from fastmlp._data.names import Names
from fastmlp._data.samples import Samples, check_samples
from fastmlp._data.weights import require_weight
from fastmlp._engine.engine import NonFiniteLossError, engine_of, plan_validation
from fastmlp._engine.many_fits import Fit, ManyJob, Stopping, Validation, fit_all
from fastmlp._runtime.checks import check_bool, whole_number
from fastmlp._runtime.names import check_keywords, module_attributes
from fastmlp._runtime.user_warnings import warn_user
from fastmlp.callbacks import Callback, EarlyStopping, UndefinedScoreError
from fastmlp.callbacks.base import check_callbacks
from fastmlp.callbacks.monitoring import larger_is_better
from fastmlp.history import History
from fastmlp.metrics.evaluation import select_metrics
from fastmlp.metrics.registry import MetricFunction
from fastmlp.network import Network

Numbers = NDArray[np.int64]
Rows = ArrayLike | Sequence[ArrayLike | None] | None


@check_keywords
def fit_many(
    networks: Iterable[Network],
    X: ArrayLike,
    y: ArrayLike,
    *,
    rows: Rows = None,
    epochs: int = 1,
    batch_size: int = 32,
    validation_rows: Rows = None,
    early_stopping: EarlyStopping | None = None,
    sample_weight: ArrayLike | None = None,
    shuffle: bool = True,
    metrics: Iterable[str | MetricFunction] | None = None,
    callbacks: Iterable[Callback] = (),
    verbose: bool | int | str = "auto",
) -> list[History]:
    """Train many networks on the same data, each as its own `fit` would, to the same bits.

    Threads claim networks and train one at a time. They never wait for each other, and no Python runs between the
    epochs. So ensembles, searches and folds of small networks train several times as fast as by a loop of fits. The
    networks may differ in everything: layers, losses, optimizers, seeds and dtypes.

    Parameters
    ----------
    networks : iterable of Network
        The networks, no two of them the same object.
    X, y, sample_weight
        The data of all networks, as in `Network.fit`. Chunks are not possible.
    rows : array of int, or sequence of such arrays, optional
        The numbers of the rows that train: one array for all networks, or one for each, such as folds or bootstraps, in
        which None means all rows. A number may occur more than once.
    epochs, batch_size, shuffle
        As in `Network.fit`.
    validation_rows : array of int, or sequence of such arrays, optional
        The numbers of the rows that are evaluated after each epoch, in the same form.
    early_stopping : EarlyStopping, optional
        Ends the training of each network by itself, and restores its best weights.
    metrics : iterable of str or function, optional
        The metrics of the rows of validation. None takes the defaults of the losses.
    callbacks : iterable of Callback
        Each network has copies of its own. With callbacks, networks are trained one after the other.
    verbose : {"auto", True, False}
        Whether to show a line of progress.

    Returns
    -------
    list of History
        One for each network; `network.history` is the same. `ending` says why one ended before its last epoch.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, or does not suit a network. Nothing is changed.
    MemoryError
        If there is not enough memory.
    RuntimeError
        If a network is being fitted already.

    Warns
    -----
    UserWarning
        If the loss of a network, or the value that early stopping monitors, became NaN or infinite. After a loss the
        network is back where that epoch began. The others go on.

    Notes
    -----
    Ctrl-C ends the training within about 50 ms; every network is then in the state after a whole epoch, and has its
    history. Networks whose epochs take longer than about 25 ms, or of which there are fewer than threads, are trained
    one after the other by `Network.fit`, on all threads; so are those with `LBFGS`, with metrics that kernels do not
    compute, and all on data that is too large to be copied in the dtype of the network.

    Examples
    --------
    >>> nets = [Network([30, 16, 8, 2], output="softmax", seed=seed) for seed in range(100)]
    >>> histories = fit_many(nets, X, y, epochs=50, validation_rows=range(400, 569), early_stopping=EarlyStopping())
    """
    members = _check_networks(networks)
    count = len(members)
    check_bool(shuffle, "shuffle")
    compiled = early_stopping if _is_plain(early_stopping) else None
    job = ManyJob(
        whole_number(epochs, "epochs"),
        whole_number(batch_size, "batch_size"),
        bool(shuffle),
        _stopping_of(compiled),
        compiled,
        [*check_callbacks(callbacks), *([early_stopping] if early_stopping and compiled is None else [])],
        verbose,
        (NonFiniteLossError, UndefinedScoreError),
    )
    if validation_rows is None and metrics is not None:
        raise ValueError("metrics are measured on rows of validation; give validation_rows")
    data = _check_data(members, X, y, sample_weight)
    length = len(data[0].samples.X)
    training = _check_rows(rows, count, length, "rows")
    held_out = _check_rows(validation_rows, count, length, "validation_rows")
    if validation_rows is not None and any(each is None for each in held_out):
        raise ValueError("validation_rows must name rows for every network, got None")
    plans = _Validations(None if metrics is None else list(metrics))
    fits = [
        Fit(network, engine_of(network), *each, own, v, plans.of(network, each.samples, v))
        for network, each, own, v in zip(members, data, training, held_out, strict=True)
    ]
    for fit in fits:
        number = length if fit.rows is None else len(fit.rows)
        require_weight(fit.samples.weights, number, "sample_weight of the rows of a network", fit.rows)
        _check_monitor(early_stopping, fit)
    for place, fit in enumerate(fits):
        _check_ready(place, fit)
    _warn_of_failures(fit_all(fits, job), count)
    return [network.history or History() for network in members]


class _Data(NamedTuple):
    """The data as they were given, and as a kind of network reads them, and the names that they give."""

    source: Samples
    samples: Samples
    names: Names


class _Validations:
    """The validations of networks, each made once for the networks that share rows and loss."""

    def __init__(self, metrics: list[str | MetricFunction] | None) -> None:
        self._metrics = metrics
        self._known: dict[Hashable, Validation] = {}

    def of(self, network: Network, samples: Samples, rows: Numbers | None) -> Validation | None:
        """Return the validation of a network by these rows."""
        if rows is None:
            return None
        key = (id(samples), id(rows))
        if key not in self._known:
            chosen = samples.select(rows)
            require_weight(chosen.weights, len(rows), "sample_weight of validation_rows")
            metrics = select_metrics(self._metrics, network.architecture.loss)
            self._known[key] = plan_validation(chosen, metrics, self._metrics is not None)
        return self._known[key]


def _check_networks(networks: Iterable[Network]) -> list[Network]:
    if isinstance(networks, Network) or not isinstance(networks, Iterable):
        raise TypeError(f"networks must be a list of networks, got {networks!r}")
    members = list(networks)
    if not members:
        raise ValueError("networks must hold at least one network, got none")
    for network in members:
        if not isinstance(network, Network):
            raise TypeError(f"networks must be fastmlp.Network objects, got {type(network).__name__}")
    if len({id(network) for network in members}) < len(members):
        raise ValueError(
            "networks must be different objects, but one of them occurs twice; copy.copy(net) makes another"
        )
    return members


def _is_plain(stopping: EarlyStopping | None) -> bool:
    """Return whether kernels can stop as this does: not if a subclass or the object itself has methods of its own."""
    if stopping is not None and not isinstance(stopping, EarlyStopping):
        raise TypeError(f"early_stopping must be an EarlyStopping, such as EarlyStopping(patience=5), got {stopping!r}")
    return type(stopping) is EarlyStopping and not any(name.startswith("on_") for name in vars(stopping))


def _stopping_of(stopping: EarlyStopping | None) -> Stopping | None:
    """Return what early stopping monitors, and when it ends a fit."""
    if stopping is None:
        return None
    larger = larger_is_better(stopping.monitor, stopping._monitor.mode)
    return Stopping(stopping.monitor, larger, stopping.min_delta, stopping.patience, stopping.restore_best_weights)


def _check_monitor(stopping: EarlyStopping | None, fit: Fit) -> None:
    """Check that the fit has the entry that early stopping monitors."""
    if stopping is not None:
        probe = copy.copy(stopping)
        probe.entries = fit.entries
        undefined = {} if fit.validation is None else fit.validation.undefined
        probe.undefined = {f"val_{name}": each.reason for name, each in undefined.items()}
        probe._monitor.begin(probe)


def _check_data(members: list[Network], X: Any, y: Any, sample_weight: Any) -> list[_Data]:
    """Check the data once for each kind of network, and copy X in its dtype if that is small."""
    known: dict[Hashable, _Data] = {}
    found = []
    for network in members:
        architecture, own = network.architecture, engine_of(network).names
        kind = (
            architecture.dtype.name,
            architecture.inputs,
            architecture.outputs,
            architecture.loss,
            own.features,
            own.classes,
        )
        if kind not in known:
            names = own.copy()
            samples = check_samples(X, names.learn(X, y, architecture, None), sample_weight, architecture, names)
            ready = samples._replace(X=converted_if_small(samples.X, architecture.dtype))
            known[kind] = _Data(samples, ready, names)
        found.append(known[kind])
    return found


def _check_rows(rows: Rows, count: int, length: int, name: str) -> list[Numbers | None]:
    """Return the row numbers of each network; None means all rows."""
    if rows is None:
        return [None] * count
    all_rows: Any = rows
    if isinstance(rows, (list, tuple)) and any(each is None or np.ndim(each) for each in rows):
        given: list[Any] = list(rows)
    elif np.ndim(all_rows) == 2:
        given = list(np.asarray(rows))
    else:
        given = [rows] * count
    if len(given) != count:
        raise ValueError(f"{name} must be one array, or {count} arrays, one for each network; got {len(given)}")
    known: dict[int, Numbers | None] = {id(None): None}
    for each in given:
        if id(each) not in known:
            known[id(each)] = _check_numbers(each, length, name)
    return [known[id(each)] for each in given]


def _check_numbers(rows: Any, length: int, name: str) -> Numbers:
    array = np.asarray(rows)
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold row numbers, at least one, such as [0, 1, 5]; got {array!r:.80}")
    numbers = np.array(array, np.int64)  # a copy, since kernels index by them and the user may change the array
    if numbers.min() < 0 or numbers.max() >= length:
        raise ValueError(f"{name} must be from 0 to {length - 1}, got {numbers.min()} to {numbers.max()}")
    return numbers


def _check_ready(place: int, fit: Fit) -> None:
    """Check that a network can be trained now, before any is."""
    fit.engine.lock.require_no_fit()
    if not fit.engine.are_finite():
        raise ValueError(f"the weights of network {place} hold NaN or infinity; set_weights or reinitialize it")
    fit.engine.warn_if_not_adapted()


def _warn_of_failures(failed: list[int], count: int) -> None:
    """Warn of networks that a NaN or infinity ended."""
    if failed:
        shown = ", ".join(map(str, failed[:10])) + (", ..." if len(failed) > 10 else "")
        warn_user(
            f"a loss or the monitored value became NaN or infinite in {len(failed):,} of {count:,} networks, at the "
            f"places {shown}; `history.ending` says what became of each"
        )


if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
