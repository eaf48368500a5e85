"""fit_many: many networks at once, each to the bits of its own fit."""

from __future__ import annotations

import copy
import sys
from typing import Any

import numba
import numpy as np
import pytest
from behaviour import run_python
from cases import DTYPES, LEARNERS, OPTIONS, assert_same_bits

from fastmlp import (
    LBFGS,
    SGD,
    Adam,
    Callback,
    CosineDecay,
    Dense,
    EarlyStopping,
    LayerNormalization,
    Network,
    Normalization,
    Scale,
    Schedule,
    fit_many,
)
from fastmlp._engine import many_fits as module

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 6))
LABELS, NUMBERS = rng.integers(0, 3, 90), rng.normal(size=(90, 2))


def assert_equal(found: list[Network], expected: list[Network]) -> None:
    """Check weights, slots, counters and histories."""
    for got, wanted in zip(found, expected, strict=True):
        assert_same_bits(got.flat_weights(), wanted.flat_weights())
        assert_same_bits(got._engine.parameters.slots, wanted._engine.parameters.slots)
        assert_same_bits(got._engine.parameters.transposed, wanted._engine.parameters.transposed)
        assert (got.epoch, got.step) == (wanted.epoch, wanted.step)
        assert got.history is not None
        assert wanted.history is not None
        assert got.history.epoch == wanted.history.epoch
        np.testing.assert_array_equal([*got.history.history.values()], [*wanted.history.history.values()], strict=True)
        assert list(got.history) == list(wanted.history)


def classifiers(dtype: str = "float32") -> list[Network]:
    """Networks that differ in shape, seed, rate, optimizer, activation, dropout and penalties."""
    made = [
        Network([6, 16, 8, 3], output="softmax", dtype=dtype, seed=0),
        Network([6, 16, 8, 3], output="softmax", dtype=dtype, seed=1, optimizer=Adam(CosineDecay(0.01, 40))),
        Network(
            [6, Dense(33, "gelu", dropout=0.3), Dense(5, "tanh", l2=0.01), 3], output="softmax", dtype=dtype, seed=2
        ),
        Network([6, 3], output="softmax", dtype=dtype, seed=3, optimizer=SGD(0.1, momentum=0.9, global_clipnorm=0.1)),
        Network([6, Scale(), 70, LayerNormalization(activation="silu"), 3], output="softmax", dtype=dtype, seed=4),
        Network([6, Dense(9, trainable=False), Dense(7, "softmax"), 3], output="softmax", dtype=dtype, seed=5),
        *(
            Network([6, Dense(16, l2=0.1), Dense(16, l2=0.1, trainable=False), 3], **options, dtype=dtype)
            for options in (
                {"output": "softmax", "seed": 6},
                {"output": "softmax", "seed": 7, "optimizer": Adam(0.01, global_clipnorm=0.05)},
            )
        ),
    ]
    return [*made, *(Network([6, 16, 8, 3], output="softmax", dtype=dtype, seed=seed) for seed in range(10, 12))]


@pytest.fixture(autouse=True)
def _together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count on the common loop: a test that means the other one says so."""
    calls = []
    alone = module._train_alone
    monkeypatch.setattr(module, "_train_alone", lambda *given: (calls.append(1), alone(*given))[1])
    monkeypatch.setattr(module, "alone_calls", calls, raising=False)


def alone_calls() -> int:
    return len(module.alone_calls)  # type: ignore[attr-defined]


# The bits of a fit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_networks_of_any_kind_end_as_their_own_fits_do(dtype: str, weighted: bool) -> None:
    weights = rng.uniform(0, 2, 90) if weighted else None
    found, expected = classifiers(dtype), classifiers(dtype)
    histories = fit_many(found, X, LABELS, epochs=7, batch_size=16, sample_weight=weights)
    for net in expected:
        net.fit(X, LABELS, epochs=7, batch_size=16, sample_weight=weights)
    assert_equal(found, expected)
    assert [net.history for net in found] == histories
    assert not alone_calls()


@pytest.mark.parametrize("name", LEARNERS)
def test_every_optimizer_steps_as_in_its_own_fit(name: str) -> None:
    found, expected = (
        [Network([6, 9, 2], optimizer=LEARNERS[name], dtype="float64", seed=seed) for seed in range(3)]
        for _ in range(2)
    )
    for epochs in (3, 2):  # the second goes on
        fit_many(found, X, NUMBERS, epochs=epochs)
        for net in expected:
            net.fit(X, NUMBERS, epochs=epochs)
        assert_equal(found, expected)


@pytest.mark.parametrize(
    "stopping",
    [
        None,
        EarlyStopping(patience=2),
        EarlyStopping("val_accuracy", patience=1, min_delta=0.01),
        EarlyStopping("loss", patience=3, restore_best_weights=False),
    ],
)
def test_folds_and_early_stopping_are_those_of_fits(stopping: EarlyStopping | None) -> None:
    found, expected = classifiers(), classifiers()
    folds = [np.setdiff1d(np.arange(90), np.arange(i * 9, i * 9 + 9)) for i in range(10)]
    held_out = [np.arange(i * 9, i * 9 + 9) for i in range(10)]
    folds[3], folds[4] = rng.integers(0, 90, 90), rng.integers(0, 90, 40)  # bootstraps
    weights = rng.uniform(0.1, 2, 90)
    fit_many(
        found,
        X,
        LABELS,
        rows=folds,
        validation_rows=held_out,
        epochs=25,
        early_stopping=stopping,
        sample_weight=weights,
    )
    for net, train, test in zip(expected, folds, held_out, strict=True):
        callbacks = [copy.deepcopy(stopping)] if stopping else []
        data = (X[test], LABELS[test], weights[test])
        net.fit(
            X[train], LABELS[train], epochs=25, validation_data=data, callbacks=callbacks, sample_weight=weights[train]
        )
    assert_equal(found, expected)
    assert not alone_calls()
    stopped = [net.history.ending for net in found if net.history and len(net.history.epoch) < 25]
    assert all(ending.startswith("stopped early; the best epoch was") for ending in stopped)


@pytest.mark.parametrize("metrics", [None, [], ["r2", "root_mean_squared_error"], ["pearson"]])
def test_metrics_are_those_of_fits(metrics: Any) -> None:
    found, expected = ([Network([6, 9, 2], dtype="float64", seed=seed) for seed in range(3)] for _ in range(2))
    train, test = np.arange(60), np.arange(60, 90)
    fit_many(found, X, NUMBERS, rows=train, validation_rows=test, epochs=4, metrics=metrics)
    for net in expected:
        net.fit(X[train], NUMBERS[train], epochs=4, validation_data=(X[test], NUMBERS[test]), metrics=metrics)
    assert_equal(found, expected)
    assert alone_calls() == (3 if metrics == ["pearson"] else 0)


@pytest.mark.parametrize("name", [name for name in OPTIONS if "weight" not in name and "valid" not in name])
def test_options_of_networks_are_kept(name: str) -> None:
    training = OPTIONS[name]
    given = training.arguments(training.make(Network, "float32"), "float32")
    given.pop("class_weight", None)
    x, y = given.pop("X"), given.pop("y")
    found, expected = ([training.make(Network, "float32") for _ in range(2)] for _ in range(2))
    fit_many(found, x, y, epochs=2, **given)
    for net in expected:
        net.fit(x, y, epochs=2, **given)
    assert_equal(found, expected)


MANY = """
import hashlib, numpy as np
from fastmlp import Dense, EarlyStopping, Network, fit_many
rng = np.random.default_rng(0)
X, y = rng.normal(size=(120, 6)), rng.integers(0, 3, 120)
nets = [Network([6, Dense(8 + seed % 5, dropout=0.2), 3], output="softmax", seed=seed) for seed in range(40)]
stopping = EarlyStopping(patience=2)
fit_many(nets, X, y, rows=range(90), validation_rows=range(90, 120), epochs=30, early_stopping=stopping)
weights = b"".join(net.flat_weights().tobytes() for net in nets)
print(hashlib.sha256(weights).hexdigest(), sum(net.epoch for net in nets))
"""


def test_any_number_of_threads_gives_the_same_bits() -> None:
    found = {run_python(MANY, "-W", "error", NUMBA_NUM_THREADS=str(count))[0] for count in (1, 2, 4)}
    assert len(found) == 1


# What is trained by the network's own fit -----------------------------------------------------------------------------


class Counting(Callback):
    def __init__(self) -> None:
        self.epochs = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.epochs += 1
        self.network.epochs_seen = self.epochs  # type: ignore[attr-defined]


def test_callbacks_are_copied_for_each_network() -> None:
    nets, counting = [Network([6, 4, 2], seed=seed) for seed in range(3)], Counting()
    fit_many(nets, X, NUMBERS, epochs=3, callbacks=[counting])
    assert counting.epochs == 0
    assert [net.epochs_seen for net in nets] == [3, 3, 3]  # type: ignore[attr-defined]
    assert alone_calls() == 3


def test_networks_that_the_loop_cannot_train_are_trained_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> list[Network]:
        return [
            Network([6, 4, 2], optimizer=LBFGS(), dtype="float64", seed=0),
            Network([6, 4, 2], dtype="float64", seed=1),
            Network([6, 5, 2], dtype="float64", seed=2),
            Network([6, 4, 2], dtype="float32", seed=3),
        ]

    found, expected = make(), make()
    fit_many(found, X, NUMBERS, rows=range(50), validation_rows=range(50, 90), epochs=3)
    for net in expected:
        net.fit(X[:50], NUMBERS[:50], validation_data=(X[50:], NUMBERS[50:]), epochs=3)
    assert_equal(found, expected)
    assert alone_calls() == 1  # both dtypes in one loop
    monkeypatch.setattr(module, "FLOPS_PER_SECOND", 1.0)  # every epoch takes long
    fit_many(found[1:3], X, NUMBERS, epochs=1)
    assert alone_calls() == 3


def test_an_early_stopping_with_methods_of_its_own_is_used() -> None:
    class Late(EarlyStopping):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            if epoch >= 10:
                super().on_epoch_end(epoch, logs)

    nets = [Network([6, 4, 2], seed=seed) for seed in range(3)]
    fit_many(
        nets, X, NUMBERS, rows=range(50), validation_rows=range(50, 90), epochs=40, early_stopping=Late(patience=1)
    )
    assert min(net.epoch for net in nets) > 10
    assert alone_calls() == 3


def test_schedules_of_the_users_own_class_are_not_confused() -> None:
    class Kept(Schedule):
        name = "kept"

        def __init__(self, rate: float) -> None:
            object.__setattr__(self, "rate_kept", rate)

        def _rates(self, steps: Any) -> Any:
            return np.full(len(steps), self.rate_kept)

    found, expected = ([Network([6, 4, 2], optimizer=Adam(Kept(r)), seed=0) for r in (0.1, 0.01)] for _ in range(2))
    fit_many(found, X, NUMBERS, epochs=3)
    for net in expected:
        net.fit(X, NUMBERS, epochs=3)
    assert_equal(found, expected)


def test_an_epoch_under_way_is_finished_first() -> None:
    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            self.network.stop_at_once = batch == 1

    found, expected = ([Network([6, 4, 2], seed=seed) for seed in range(3)] for _ in range(2))
    for net in (*found, *expected):
        net.fit(X, NUMBERS, callbacks=[Stop()])
    fit_many(found, X, NUMBERS, epochs=2)
    for net in expected:
        net.fit(X, NUMBERS, epochs=2)
    assert_equal(found, expected)


def test_row_numbers_are_copied() -> None:
    rows = np.arange(50)

    class Change(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            rows[:] = 10**13

    fit_many([Network([6, 4, 2], seed=0)], X, NUMBERS, rows=rows, epochs=3, callbacks=[Change()])


def test_a_fit_that_may_be_long_takes_memory_as_it_goes() -> None:
    nets = [Network([6, 4, 2], seed=seed) for seed in range(8)]
    stopping = EarlyStopping(patience=1, min_delta=100.0)
    fit_many(nets, X, NUMBERS, rows=range(50), validation_rows=range(50, 90), epochs=10**9, early_stopping=stopping)
    assert {net.epoch for net in nets} == {2}


def test_one_network_that_cannot_be_trained_stops_all_before_they_begin() -> None:
    nets = [Network([6, 4, 2], seed=seed, dtype=dtype) for seed, dtype in enumerate(("float64", "float64", "float32"))]
    nets[2]._engine.parameters.weights[0] = np.nan
    with pytest.raises(ValueError, match="the weights of network 2 hold NaN"):
        fit_many(nets, X, NUMBERS, epochs=1)
    assert {net.epoch for net in nets} == {0}
    with pytest.warns(UserWarning, match="call net.adapt"):
        fit_many([Network([6, Normalization(), 2], seed=seed) for seed in range(3)], X, NUMBERS)


def test_names_are_learned_as_by_fit() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    labels = np.array(["low", "mid", "top"])[LABELS]
    nets = [Network([6, 4, 3], output="softmax", seed=seed) for seed in range(3)]
    fit_many(nets, frame, labels, epochs=1)
    assert {(net.feature_names, net.classes) for net in nets} == {(tuple("abcdef"), ("low", "mid", "top"))}
    with pytest.raises(ValueError, match="columns"):
        fit_many(nets, frame.rename(columns={"a": "z"}), labels)


def test_a_normalization_is_part_of_each_network() -> None:
    nets = [Network([6, Normalization(), 4, 2], dtype="float64", seed=seed) for seed in range(3)]
    for net in nets:
        net.adapt(X)
    others = [copy.copy(net) for net in nets]
    fit_many(nets, X, NUMBERS, epochs=2)
    for net in others:
        net.fit(X, NUMBERS, epochs=2)
    assert_equal(nets, others)


# What goes wrong ------------------------------------------------------------------------------------------------------


def test_networks_that_overflow_are_told_of_and_the_others_go_on() -> None:
    rates = [1e-3] * 100
    rates[37] = rates[70] = 1e30
    nets, others = (
        [Network([6, 8, 2], optimizer=SGD(rate), seed=seed) for seed, rate in enumerate(rates)] for _ in range(2)
    )
    with pytest.warns(
        UserWarning, match="NaN or infinite in 2 of 100 networks, at the places 37, 70; `history.ending`"
    ):
        histories = fit_many(nets, X, NUMBERS, epochs=5)
    assert [len(history.epoch) for history in histories].count(5) == 98
    assert "became NaN or infinite" in histories[37].ending
    for seed, net in enumerate(others):
        if rates[seed] < 1:
            net.fit(X, NUMBERS, epochs=5)
            assert_same_bits(nets[seed].flat_weights(), net.flat_weights())
        else:
            assert nets[seed].epoch == 0
            assert_same_bits(nets[seed].flat_weights(), net.flat_weights())


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_leaves_whole_epochs_and_their_histories() -> None:
    code = """
import signal, threading, time
import numba
import numpy as np
from fastmlp import Network, fit_many
X, y = np.random.default_rng(0).normal(size=(500, 20)), np.random.default_rng(1).normal(size=(500, 1))
fit_many([Network([20, 8, 1], seed=s) for s in range(4)], X, y, epochs=1)
for moment in (0.02, 0.05, 0.11, 0.2):
    nets = [Network([20, 8, 1], seed=s) for s in range(60)]
    signal.setitimer(signal.ITIMER_REAL, moment)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    started = time.perf_counter()
    try:
        fit_many(nets, X, y, epochs=10_000)
        print("not interrupted")
    except KeyboardInterrupt:
        pass
    late = time.perf_counter() - started - moment
    for net in nets:
        history = [] if net.history is None else net.history.epoch  # None if it came before the first epoch could begin
        assert len(history) == net.epoch and net.step == 16 * net.epoch
        assert np.isfinite(net.flat_weights()).all()
        net.fit(X, y)
    print("prompt" if late < 0.5 else late)
"""
    assert run_python(code, "-W", "error")[0].split() == ["prompt"] * 4


def test_wrong_arguments_are_explained_and_change_nothing() -> None:
    nets = [Network([6, 4, 2], seed=seed) for seed in range(2)]
    before = [net.flat_weights() for net in nets]
    other = Network([5, 4, 2], seed=0)
    busy: Any = {"validation_rows": range(10)}
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"networks": []}, ValueError, "at least one network"),
        ({"networks": nets[0]}, TypeError, "networks must be a list"),
        ({"networks": [nets[0], nets[0]]}, ValueError, "occurs twice"),
        ({"networks": [nets[0], 3]}, TypeError, "must be fastmlp.Network"),
        ({"networks": [nets[0], other]}, ValueError, "shape"),
        ({"rows": [0, 90]}, ValueError, "must be from 0 to 89"),
        ({"rows": [-1]}, ValueError, "must be from 0 to 89"),
        ({"rows": []}, ValueError, "at least one"),
        ({"rows": [[0, 1]]}, ValueError, "one for each network; got 1"),
        ({"rows": [0.5]}, ValueError, "row numbers"),
        ({"rows": np.ones(90, bool)}, ValueError, "row numbers"),
        ({"validation_rows": [None, [1, 2]]}, ValueError, "for every network"),
        ({"metrics": ["r2"]}, ValueError, "give validation_rows"),
        ({"metrics": ["accuracy"], **busy}, ValueError, "accuracy"),
        ({"early_stopping": 3}, TypeError, "must be an EarlyStopping"),
        ({"early_stopping": EarlyStopping()}, ValueError, "monitors 'val_loss'"),
        ({"epochs": 0}, ValueError, "epochs"),
        ({"callbacks": EarlyStopping()}, TypeError, "must be a list of callbacks"),
        ({"sample_weight": np.zeros(90)}, ValueError, "weight"),
        ({"sample_weight": np.r_[np.zeros(10), np.ones(80)], "rows": range(10)}, ValueError, "rows of a network"),
        ({"validation_split": 0.2}, TypeError, "validation_split"),
    ]
    for change, error, message in cases:
        given = {"networks": nets, "X": X, "y": NUMBERS, **change}
        with pytest.raises(error, match=message):
            fit_many(**given)
    for net, weights in zip(nets, before, strict=True):
        assert_same_bits(net.flat_weights(), weights)
        assert net.history is None


def test_networks_of_both_dtypes_share_threads() -> None:
    """Kernels read zeros at the beginning of the scratch, whose length depends on the dtype."""

    def make() -> list[Network]:
        return [
            Network([6, 33, 20, 2], dtype=dtype, seed=seed, optimizer=Adam(0.01))
            for seed in range(3)
            for dtype in ("float32", "float64")
        ]

    found, expected, before = make(), make(), numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        fit_many(found, X, NUMBERS, epochs=4)
    finally:
        numba.set_num_threads(before)
    for net in expected:
        net.fit(X, NUMBERS, epochs=4)
    assert_equal(found, expected)


def test_penalties_that_are_averaged() -> None:
    """The estimators of ensembles use the penalties of scikit-learn."""

    def make() -> list[Network]:
        nets = [Network([6, Dense(8, l2=0.5), 2], seed=seed) for seed in range(3)]
        for net in nets:
            net._engine.averages_penalties = True
        return nets

    found, expected = make(), make()
    fit_many(found, X, NUMBERS, rows=range(50), validation_rows=range(50, 90), epochs=3)
    for net in expected:
        net.fit(X[:50], NUMBERS[:50], validation_data=(X[50:], NUMBERS[50:]), epochs=3)
    assert_equal(found, expected)
    plain = Network([6, Dense(8, l2=0.5), 2], seed=0)
    plain.fit(X[:50], NUMBERS[:50], epochs=3)
    assert plain.history is not None
    assert found[0].history is not None
    assert plain.history["loss"] != found[0].history["loss"]
