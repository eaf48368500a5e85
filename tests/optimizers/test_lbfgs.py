"""LBFGS: fits on all rows at once, which SciPy runs."""

from __future__ import annotations

import contextlib
import copy
import itertools
import pickle
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, LOSSES, assert_same_bits, data_for, outputs_for

from fastmlp import (
    LBFGS,
    Adam,
    Callback,
    Dense,
    EarlyStopping,
    LayerNormalization,
    ModelCheckpoint,
    Network,
    NonFiniteLossError,
    ReduceLROnPlateau,
    Scale,
    losses,
)
from fastmlp._runtime import blas
from fastmlp.kernels.host import threads
from fastmlp.losses import Loss
from fastmlp.reference import Network as Reference
from fastmlp.sklearn import MLPRegressor

scipy_optimize = pytest.importorskip("scipy.optimize")

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, (80, 2))
Y = np.c_[np.sin(2 * X[:, 0]) * X[:, 1]]


def network(dtype: str = "float64", **options: Any) -> Network:
    return Network([2, Dense(12, "tanh"), 1], optimizer=LBFGS(), dtype=dtype, seed=1, **options)


class Recorder(Callback):
    """Records the events, and does something after an epoch."""

    def __init__(self, act: Any = None) -> None:
        self.events: list[Any] = []
        self.act = act

    def on_epoch_begin(self, epoch: int) -> None:
        self.events.append(("begin", epoch))

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.events.append(("step", batch, logs["loss"]))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.events.append(("end", epoch, logs["loss"]))
        if self.act:
            self.act(self.network, epoch)

    def on_train_end(self) -> None:
        self.events.append("over")


# What it minimizes ----------------------------------------------------------------------------------------------------


def minimized(reference: Reference, X: Any, y: Any, iterations: int) -> tuple[list[float], Any]:
    """Return the losses of the iterations and the last flat weights of SciPy's L-BFGS-B on the reference."""
    shapes = [(W.shape, None if b is None else b.shape) for W, b in reference.get_weights()]
    found: list[float] = []

    def unflat(flat: Any) -> list[Any]:
        pairs, place = [], 0
        for w_shape, b_shape in shapes:
            arrays = []
            for shape in (w_shape, b_shape):
                size = 0 if shape is None else int(np.prod(shape))
                arrays.append(None if shape is None else flat[place : place + size].reshape(shape))
                place += size
            pairs.append(tuple(arrays))
        return pairs

    def flat(pairs: Any) -> Any:
        return np.concatenate([each.ravel() for pair in pairs for each in pair if each is not None])

    def loss(weights: Any) -> tuple[float, Any]:
        reference.set_weights(unflat(weights))
        value, gradients = reference.loss_and_gradients(X, y)
        return value, flat(gradients)

    def record(intermediate_result: Any) -> None:
        found.append(float(intermediate_result.fun))

    options = {"maxiter": iterations, "maxfun": 10**6}
    start = flat(reference.get_weights())
    result = scipy_optimize.minimize(loss, start, jac=True, method="L-BFGS-B", callback=record, options=options)
    return found, result.x


@pytest.mark.parametrize(
    "layers",
    [
        [2, Dense(12, "tanh"), 1],
        [2, Dense(9, "gelu", l2=0.01, use_bias=False), Dense(7, "softplus", l1=0.001), 1],
        [2, Scale(), Dense(9, "linear"), LayerNormalization(activation="tanh"), 1],
    ],
)
def test_it_is_scipys_on_the_loss_of_the_reference(layers: list[Any]) -> None:
    net, reference = (kind(layers, optimizer=LBFGS(), dtype="float64", seed=1) for kind in (Network, Reference))
    history = net.fit(X, Y, epochs=15)
    found, flat = minimized(reference, X, Y, 15)
    np.testing.assert_allclose(history["loss"], found, rtol=1e-6)  # rounding errors grow from iteration to iteration
    np.testing.assert_allclose(net.flat_weights(), flat, rtol=1e-4, atol=1e-5)
    assert (net.epoch, net.step) == (15, 15)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_falls(loss: Loss) -> None:
    output = loss.partner or {"hinge": "tanh"}.get(loss.name, "softplus" if loss.name in losses.LOSSES else "linear")
    for dtype in DTYPES:
        layers = [3, Dense(7, "tanh"), Dense(outputs_for(loss, 2), output)]
        net = Network(layers, loss=loss, optimizer="lbfgs", dtype=dtype, seed=0)
        given, targets = data_for(net, 60, dtype)
        before = net.evaluate(given, targets, metrics=())["loss"]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LBFGS ended")
            history = net.fit(given, targets, epochs=10)["loss"]
        assert history[-1] < before
        assert all(after <= before for before, after in itertools.pairwise(history))
        assert net.evaluate(given, targets, metrics=())["loss"] == pytest.approx(history[-1], rel=1e-6)


def test_weights_of_rows_and_of_classes_count() -> None:
    given, labels = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
    weights = rng.uniform(0, 2, 60)
    options: Any = {"output": "softmax", "optimizer": LBFGS(), "dtype": "float64", "seed": 0}
    net, other = Network([4, Dense(5, "tanh"), 3], **options), Network([4, Dense(5, "tanh"), 3], **options)
    net.fit(given, labels, epochs=5, sample_weight=weights, class_weight={0: 2.0})
    other.fit(given, labels, epochs=5, sample_weight=np.where(labels == 0, 2, 1) * weights)
    assert_same_bits(net.flat_weights(), other.flat_weights())


def test_rows_of_validation_do_not_train() -> None:
    net = network()
    history = net.fit(X, Y, epochs=8, validation_split=0.25, metrics=["r2"])
    assert list(history.history) == ["loss", "val_loss", "val_r2"]
    assert len(history["val_r2"]) == 8
    assert history["loss"][-1] < history["val_loss"][-1]


def test_layers_at_rest_do_not_change() -> None:
    net = network()
    net.freeze(0)
    before = net.get_weights()
    net.fit(X, Y, epochs=5)
    assert_same_bits(net.get_weights()[0][0], before[0][0])
    assert (net.get_weights()[1][0] != before[1][0]).any()


def test_it_finds_what_steps_do_not_in_as_many_passes() -> None:
    losses = {}
    for optimizer in (LBFGS(), Adam(0.01)):
        net = Network([2, Dense(12, "tanh"), 1], optimizer=optimizer, dtype="float64", seed=1)
        losses[type(optimizer)] = net.fit(X, Y, epochs=200, batch_size=80)["loss"][-1]
    assert losses[LBFGS] < 0.1 * losses[Adam]


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_number_of_threads_gives_the_same_bits(dtype: str) -> None:
    given, targets = rng.normal(size=(3000, 40)), rng.normal(size=(3000, 3))
    found = []
    for count in (1, min(2, threads.available())):
        net = Network([40, Dense(60, "tanh"), 3], optimizer=LBFGS(), dtype=dtype, seed=0, threads=count)
        net.fit(given, targets, epochs=5)
        found.append(net.flat_weights())
    assert_same_bits(*found)


# The events of a fit --------------------------------------------------------------------------------------------------


def test_an_iteration_is_an_epoch_for_callbacks() -> None:
    recorder = Recorder()
    history = network().fit(X, Y, epochs=3, callbacks=[recorder])["loss"]
    expected: list[Any] = []
    for epoch, loss in enumerate(history):
        expected += [("begin", epoch), ("step", 0, loss), ("end", epoch, loss)]
    assert recorder.events == [*expected, "over"]


def test_a_fit_that_converges_ends() -> None:
    recorder = Recorder()
    net = Network([2, 1], optimizer=LBFGS(gtol=1e-9), dtype="float64", seed=0)
    history = net.fit(X, X @ [[1.0], [2.0]] + 0.5, epochs=1000, callbacks=[recorder])["loss"]
    assert len(history) < 100
    assert [event[0] for event in recorder.events[:-1]] == ["begin", "step", "end"] * len(history)
    np.testing.assert_allclose(net.flat_weights(), [1.0, 2.0, 0.5], rtol=1e-6)


def test_a_fit_of_weights_that_cannot_improve_is_one_epoch() -> None:
    recorder = Recorder()
    net = Network([2, 1], optimizer=LBFGS(), dtype="float64", seed=0)
    before = net.flat_weights()
    history = net.fit(X, net.predict(X), epochs=9, callbacks=[recorder])
    assert history.history == {"loss": [0.0]}
    assert "no element of the gradient is above gtol" in history.ending
    assert recorder.events == [("begin", 0), ("step", 0, 0.0), ("end", 0, 0.0), "over"]
    assert_same_bits(net.flat_weights(), before)


@pytest.mark.parametrize("name", ["stop_training", "stop_at_once"])
def test_a_callback_stops_the_fit(name: str) -> None:
    recorder = Recorder(lambda net, epoch: setattr(net, name, epoch == 2))
    net = network()
    assert len(net.fit(X, Y, epochs=50, callbacks=[recorder])["loss"]) == 3
    assert recorder.events[-1] == "over"
    assert net.epoch == 3


def test_early_stopping_restores_the_best_epoch() -> None:
    net = network()
    stopping = EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
    history = net.fit(X[:30], Y[:30], epochs=500, validation_data=(X[30:], Y[30:]), callbacks=[stopping])
    best = min(history["val_loss"])
    assert net.evaluate(X[30:], Y[30:])["loss"] == pytest.approx(best)
    assert len(history["loss"]) < 500


def test_an_exception_of_a_callback_leaves_the_last_iteration() -> None:
    def fail(net: Network, epoch: int) -> None:
        if epoch == 2:
            raise OSError("no space")

    net, other = network(), network()
    with pytest.raises(OSError, match="no space"):
        net.fit(X, Y, epochs=10, callbacks=[Recorder(fail)])
    other.fit(X, Y, epochs=3)
    assert_same_bits(net.flat_weights(), other.flat_weights())
    assert net.history is not None
    assert net.history["loss"] == other.history["loss"]  # type: ignore[index]
    net.fit(X, Y, epochs=1)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_keeps_the_last_iteration() -> None:
    net = network()

    def interrupt(_: Network, epoch: int) -> None:
        if epoch == 4:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=100, callbacks=[Recorder(interrupt)])
    assert net.history is not None
    assert net.evaluate(X, Y)["loss"] == pytest.approx(net.history["loss"][-1], rel=1e-12)
    assert len(net.history["loss"]) in (5, 6)


def test_other_threads_see_only_iterations() -> None:
    net, seen, over = network(), [], threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.append(net.evaluate(X, Y)["loss"])

    reader = threading.Thread(target=read)
    start = net.evaluate(X, Y)["loss"]
    reader.start()
    history = net.fit(X, Y, epochs=60)["loss"]
    over.set()
    reader.join()
    known = np.array([start, *history])
    assert all(np.isclose(known, loss, rtol=1e-12, atol=0).any() for loss in seen)


@pytest.mark.parametrize("act", [lambda net, _: net.set_flat_weights(net.flat_weights()), lambda net, _: net.freeze(0)])
def test_a_callback_that_changes_weights_or_what_is_trained_is_told(act: Any) -> None:
    net = network()
    with pytest.raises(RuntimeError, match="a callback changed the weights, or the layers that are trained"):
        net.fit(X, Y, epochs=5, callbacks=[Recorder(act)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_into_infinity_are_shortened(dtype: str) -> None:
    given = 200 * rng.normal(size=(60, 3)).astype(dtype)
    targets = rng.poisson(2.0, 60).astype(dtype)
    net = Network([3, 10, 1], output="exponential", optimizer=LBFGS(), dtype=dtype, seed=0)
    net.set_weights([(0.01 * W, b) for W, b in net.get_weights()])
    history = net.fit(given, targets, epochs=60)["loss"]
    assert len(history) > 20
    assert history[-1] < 0.9 * history[0]


def test_every_epoch_that_begins_ends_and_the_history_says_why_a_fit_ended() -> None:
    recorder = Recorder()
    kinked = LBFGS(gtol=0.0, ftol=0.0, max_line_search=3)
    net = Network([2, 4, 1], loss="mean_absolute_error", optimizer=kinked, seed=0)
    with pytest.warns(UserWarning, match="LBFGS ended in epoch"):
        history = net.fit(X, Y, epochs=10_000, callbacks=[recorder])
    begun, ended = ([event[1] for event in recorder.events if event[0] == what] for what in ("begin", "end"))
    assert begun == ended == history.epoch
    assert "no step along the direction lowers the loss further" in repr(history)
    net = Network([2, 1], optimizer=LBFGS(ftol=0.0), dtype="float64", seed=0)
    assert "gtol=1e-05" in net.fit(X, X @ [[1.0], [2.0]], epochs=1000).ending
    net = network()
    assert "ftol=1" in with_numbers(net, ftol=1.0).fit(X, Y, epochs=1000).ending
    assert net.fit(X, Y, epochs=3).ending == ""


def with_numbers(net: Network, **numbers: float) -> Network:
    """Return a copy of a network with other numbers of LBFGS."""
    return net.with_layers(2, [], optimizer=LBFGS(**numbers))  # type: ignore[arg-type]


def test_overlapping_fits_restore_the_threads_of_blas() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def limits() -> list[int]:
        return [each["num_threads"] for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]

    before = limits()
    with contextlib.ExitStack() as second:
        with blas.single_threaded():
            second.enter_context(blas.single_threaded())
        assert set(limits()) <= {1}
    assert limits() == before


def test_the_memory_of_a_fit_is_asked_for_before() -> None:
    small, large = (Network([20, 30, 1], optimizer=LBFGS(memory=m), seed=0) for m in (5, 500))
    assert large.memory() - small.memory() > 2 * 495 * 8 * 20 * 30
    huge = Network([4000, 4000, 4000, 1], optimizer=LBFGS(memory=1000), seed=0)
    with pytest.raises(MemoryError, match=r"L-BFGS of 3[0-9,]* parameters"):
        huge.fit(np.zeros((2, 4000)), np.zeros(2))


def test_files_and_copies(tmp_path: Path) -> None:
    net = network("float32")
    net.fit(X, Y, epochs=4, callbacks=[ModelCheckpoint(tmp_path / "best.safetensors", monitor="loss")])
    for other in (Network.load(tmp_path / "best.safetensors"), copy.copy(net), pickle.loads(pickle.dumps(net))):
        assert other.architecture.optimizer == LBFGS()
        assert_same_bits(other.flat_weights(), net.flat_weights())
        again = copy.copy(net)
        other.fit(X, Y, epochs=2)
        again.fit(X, Y, epochs=2)
        assert_same_bits(other.flat_weights(), again.flat_weights())


# What it refuses ------------------------------------------------------------------------------------------------------


def test_single_steps_need_another_optimizer() -> None:
    net = network()
    before = net.flat_weights()
    gradient = np.zeros_like(before)
    calls: list[Any] = [
        lambda: net.train_on_batch(X, Y),
        lambda: net.train_on_gradient(X, Y),
        lambda: net.apply_gradients(gradient),
        lambda: setattr(net, "learning_rate", 0.1),
        lambda: net.fit(X, Y, callbacks=[ReduceLROnPlateau("loss")]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="LBFGS trains on all rows at once, by fit"):
            call()
    assert not hasattr(net, "learning_rate")
    assert_same_bits(net.flat_weights(), before)
    assert net.gradients(X, Y) is not None  # gradients need no optimizer


def test_what_it_cannot_train_is_refused() -> None:
    with pytest.raises(ValueError, match=r"there is no dropout, got 0\.5 in layer 0"):
        Network([2, Dense(5, dropout=0.5), 1], optimizer="lbfgs")
    with pytest.raises(ValueError, match=r"no factor of it, got 0\.1 in layer 1"):
        Network([2, 5, Dense(1, learning_rate_factor=0.1)], optimizer=LBFGS())
    with pytest.raises(ValueError, match="needs all rows at once"):
        network().fit(iter([(X, Y)]))
    with pytest.raises(ValueError, match="write solver='lbfgs'"):
        MLPRegressor(optimizer=LBFGS()).fit(X, Y[:, 0])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"memory": 0}, "memory"),
        ({"memory": 10**6}, "at most 1000"),
        ({"gtol": -1.0}, "gtol"),
        ({"ftol": float("nan")}, "ftol"),
        ({"max_line_search": 0}, "max_line_search"),
        ({"learning_rate": 0.1}, "a line search chooses the length"),
        ({"max_iter": 5}, "epochs="),
        ({"history_size": 5}, "memory="),
    ],
)
def test_wrong_numbers_are_refused(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        LBFGS(**numbers)


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    net = Network([1, Dense(1, "exponential")], loss="mean_squared_error", optimizer=LBFGS(), seed=0)
    net.set_weights([(np.array([[1e3]]), np.zeros(1))])
    before = net.flat_weights()
    with pytest.raises(NonFiniteLossError, match="epoch 0"):
        net.fit(np.ones((4, 1)), np.ones(4), epochs=3)
    assert_same_bits(net.flat_weights(), before)


def test_without_scipy_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with pytest.raises(ImportError, match=r'LBFGS needs threadpoolctl: pip install "fastmlp\[scipy\]"'):
        net.fit(X, Y)
    assert net.history is None
