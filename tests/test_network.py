"""What a network is and says: its construction, weights, copies, and predictions on any kind of input."""

from __future__ import annotations

import copy
import pickle
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from behaviour import bits, small_data, small_network
from numpy.typing import NDArray

from fastmlp import SGD, Adam, Dense, Network
from fastmlp._engine.purposes import TRAINING

X, LABELS = small_data()


def same_weights(one: Network, other: Network) -> bool:
    return all(
        np.array_equal(w, v) and str(b) == str(c)
        for (w, b), (v, c) in zip(one.get_weights(), other.get_weights(), strict=True)
    )


# Construction ----------------------------------------------------------------------------------------------------


def test_short_form_is_the_long_form() -> None:
    short = Network([30, 16, 8, 2], activation="tanh", output="softmax", seed=3)
    long = Network([30, Dense(16, "tanh"), Dense(8, "tanh"), Dense(2, "softmax")], seed=3)
    assert short.architecture == long.architecture
    assert same_weights(short, long)


@pytest.mark.parametrize(
    ("arguments", "output", "loss"),
    [
        ({}, "linear", "mean_squared_error"),
        ({"output": "softmax"}, "softmax", "categorical_crossentropy"),
        ({"output": "sigmoid"}, "sigmoid", "binary_crossentropy"),
        ({"output": "tanh"}, "tanh", "mean_squared_error"),
        ({"loss": "categorical_crossentropy"}, "softmax", "categorical_crossentropy"),
        ({"loss": "binary_crossentropy"}, "sigmoid", "binary_crossentropy"),
        ({"loss": "mean_squared_error"}, "linear", "mean_squared_error"),
        ({"output": "softmax", "loss": "mean_squared_error"}, "softmax", "mean_squared_error"),
        ({"output": "linear", "loss": "categorical_crossentropy"}, "linear", "categorical_crossentropy"),
    ],
)
def test_output_and_loss_follow_from_each_other(arguments: dict[str, str], output: str, loss: str) -> None:
    architecture = Network([4, 3, 2], seed=0, **arguments).architecture  # type: ignore[arg-type]
    assert (architecture.layers[-1].activation.name, architecture.loss.name) == (output, loss)


def test_activation_of_the_last_layer_decides_like_output() -> None:
    network = Network([4, 3, Dense(2, "softmax")], output="softmax", seed=0)
    assert network.architecture == Network([4, 3, 2], output="softmax", seed=0).architecture


def test_defaults() -> None:
    architecture = Network([4, 3, 2], seed=0).architecture
    assert architecture.optimizer == Adam(1e-3)
    assert architecture.dtype == np.float32
    assert [layer.activation.name for layer in architecture.layers] == ["relu", "linear"]
    assert [layer.weight_init.name for layer in architecture.layers] == ["he_uniform", "glorot_uniform"]


@pytest.mark.parametrize(
    ("layers", "arguments", "message"),
    [
        ([4, Dense(2, "softmax")], {"output": "sigmoid"}, "output='sigmoid' contradicts .*'softmax'"),
        ([4, 1], {"output": "softmax"}, "softmax over a single unit"),
        ([4, 1], {"loss": "categorical_crossentropy"}, "at least 2 outputs|softmax over a single unit"),
        ([4, Dense(2, dropout=0.5)], {}, "last layer cannot have dropout"),
    ],
)
def test_contradictions_are_refused(layers: list[Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network(layers, **arguments)


def test_no_seed_draws_one_and_stores_it() -> None:
    network = Network([4, 3, 2])
    assert same_weights(network, Network([4, 3, 2], seed=network.seed))


def test_counters_begin_at_nothing() -> None:
    network = small_network()
    assert (network.epoch, network.step, network.history, network.stop_training) == (0, 0, None, False)


# What it shows ---------------------------------------------------------------------------------------------------


def test_repr_names_all_that_matters() -> None:
    network = Network([30, 16, 2], output="softmax", optimizer=SGD(0.25), dtype="float64", seed=11)
    for part in (
        "30-16-2",
        "'softmax'",
        "'categorical_crossentropy'",
        "SGD(0.25",
        "'float64'",
        "seed=11",
    ):
        assert part in repr(network)


def test_summary_prints_every_layer_and_the_number_of_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    Network([30, Dense(1000, "tanh", dropout=0.1, l2=0.5), Dense(2, "softmax", use_bias=False)], seed=11).summary()
    lines = [re.sub(" +", " ", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert "input 30" in lines
    assert "dense 1 1000 tanh dropout 0.1, l2 0.5 31,000" in lines
    assert "dense 2 2 softmax no bias 2,000" in lines
    assert lines[-1].startswith("33,000 parameters, float32; categorical_crossentropy; Adam(")
    assert lines[-1].endswith("seed 11")


# Weights ---------------------------------------------------------------------------------------------------------


def test_weights_have_the_shapes_of_the_layers_and_are_copies() -> None:
    network = Network([20, Dense(17, use_bias=False), 3], seed=0)
    weights = network.get_weights()
    assert [(w.shape, None if b is None else b.shape) for w, b in weights] == [((20, 17), None), ((17, 3), (3,))]
    before = bits(network)
    for w, b in weights:
        w[:] = 5
        if b is not None:
            b[:] = 5
    assert bits(network) == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_set_are_the_weights_got_and_used(dtype: str) -> None:
    one, other = small_network(dtype=dtype), small_network(dtype=dtype, seed=8)
    assert not np.array_equal(one.predict(X), other.predict(X))
    other.set_weights(one.get_weights())
    assert same_weights(one, other)
    assert np.array_equal(one.predict(X), other.predict(X))
    # The gradient goes through the transposed weights, which must have followed.
    assert np.array_equal(one.loss_and_gradients(X, LABELS)[1][0][0], other.loss_and_gradients(X, LABELS)[1][0][0])


def test_weights_may_be_lists_of_numbers() -> None:
    network = Network([2, 1], seed=0)
    network.set_weights([([[1], [2]], [3])])
    assert network.predict([[10, 20]]).tolist() == [[53.0]]


def test_setting_weights_leaves_optimizer_and_counters() -> None:
    network = small_network()
    network.fit(X, LABELS)
    before = bits(network)
    network.set_weights(small_network(seed=8).get_weights())
    after = bits(network)
    assert (after["slots"], after["counters"]) == (before["slots"], before["counters"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reinitialized_is_like_new(dtype: str) -> None:
    network = small_network(dtype=dtype)
    network.fit(X, LABELS, epochs=2, batch_size=8)
    network.reinitialize(99)
    fresh = small_network(dtype=dtype, seed=99)
    assert (network.seed, network.epoch, network.step, network.history) == (99, 0, 0, None)
    assert network.architecture == fresh.architecture
    assert bits(network) == bits(fresh)
    losses = [n.fit(X, LABELS, epochs=2, batch_size=8).history for n in (network, fresh)]
    assert losses[0] == losses[1]
    assert bits(network) == bits(fresh)


def test_reinitialized_without_seed_draws_one() -> None:
    network = small_network()
    network.reinitialize()
    assert same_weights(network, small_network(seed=network.seed))


# Copies ----------------------------------------------------------------------------------------------------------

COPIES: dict[str, Callable[[Network], Network]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    "old pickle": lambda network: pickle.loads(pickle.dumps(network, protocol=2)),
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_train_on_to_the_same_bits(how: str) -> None:
    network = small_network()
    network.fit(X, LABELS, epochs=2, batch_size=8)
    other = COPIES[how](network)
    assert (other.epoch, other.step, other.history) == (network.epoch, network.step, network.history)
    assert bits(other) == bits(network)
    assert np.array_equal(other.predict(X), network.predict(X))
    losses = [n.fit(X, LABELS, epochs=2, batch_size=8).history for n in (network, other)]
    assert losses[0] == losses[1]
    assert bits(other) == bits(network)


@pytest.mark.parametrize("how", COPIES)
def test_copies_share_nothing(how: str) -> None:
    network = small_network()
    network.fit(X, LABELS)
    before, history = bits(network), copy.deepcopy(network.history)
    other = COPIES[how](network)
    other.fit(X, LABELS, epochs=3)
    assert bits(network) == before
    assert network.history == history


def test_copies_keep_the_limit_of_threads() -> None:
    assert copy.deepcopy(small_network(threads=1)).threads == 1


# Single steps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, momentum=0.9, nesterov=True), Adam(0.01)])
def test_train_on_batch_is_one_step_of_fit(optimizer: Any) -> None:
    by_batch, by_fit = small_network(optimizer=optimizer), small_network(optimizer=optimizer)
    for count in range(1, 4):
        loss = by_batch.train_on_batch(X, LABELS)
        history = by_fit.fit(X, LABELS, batch_size=len(X), shuffle=False)
        assert loss == history.history["loss"][0]
        assert by_batch.step == by_fit.step == count
        assert same_weights(by_batch, by_fit)
        assert bits(by_batch)["slots"] == bits(by_fit)["slots"]


def test_train_on_batch_takes_weights_of_samples() -> None:
    weights = np.linspace(0, 2, len(X))
    one, other = small_network(), small_network()
    loss = one.train_on_batch(X, LABELS, weights)
    assert loss == other.fit(X, LABELS, batch_size=len(X), shuffle=False, sample_weight=weights).history["loss"][0]
    assert same_weights(one, other)


def test_train_on_batch_counts_a_step_and_no_epoch() -> None:
    network = small_network()
    network.train_on_batch(X[:4], LABELS[:4])
    network.train_on_batch(X, LABELS)
    assert (network.epoch, network.step, network.history) == (0, 2, None)


# Predictions -----------------------------------------------------------------------------------------------------


class Frame:
    """A table that is no array but can become one, as a DataFrame can."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype)


def _unaligned(values: NDArray[Any]) -> NDArray[Any]:
    raw = np.empty(values.nbytes + 1, np.uint8)
    result = raw[1:].view(values.dtype).reshape(values.shape)
    result[:] = values
    assert not result.flags.aligned
    return result


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    result = values.copy()
    result.flags.writeable = False
    return result


KINDS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "list": lambda a: a.tolist(),
    "tuple of arrays": lambda a: tuple(a),
    "frame": Frame,
    "Fortran order": np.asfortranarray,
    "transposed copy": lambda a: a.T.copy().T,
    "rows backwards": lambda a: a[::-1].copy()[::-1],
    "columns backwards": lambda a: a[:, ::-1].copy()[:, ::-1],
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every other column": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "columns of a wider table": lambda a: np.hstack([a, a])[:, : a.shape[1]],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": _read_only,
    "unaligned": _unaligned,
    "field of a record": lambda a: _record_field(a),
    "objects": lambda a: a.astype(object),
    "longdouble": lambda a: a.astype(np.longdouble),
}


def _record_field(values: NDArray[Any]) -> NDArray[Any]:
    records = np.zeros(len(values), [("flag", "u1"), ("x", values.dtype, values.shape[1])])
    records["x"] = values
    return records["x"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_any_layout_predicts_as_its_plain_copy_and_is_left_alone(kind: str, dtype: str) -> None:
    network = small_network(dtype=dtype)
    plain = X.astype(dtype)
    given = KINDS[kind](plain)
    before = copy.deepcopy(given)
    found = network.predict(given)
    assert (found.dtype, found.shape, found.flags.c_contiguous) == (np.dtype(dtype), (len(X), 3), True)
    assert np.array_equal(found, network.predict(plain))
    assert np.array_equal(np.asarray(given), np.asarray(before))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", ["?", "i1", "u1", "<i4", ">i8", "u8", "f2", "f4", "f8", ">f8"])
def test_any_dtype_predicts_as_its_numbers(given: str, dtype: str) -> None:
    numbers = np.abs(np.round(X * 2)).astype(given)
    network = small_network(dtype=dtype)
    assert np.array_equal(network.predict(numbers), network.predict(numbers.astype(dtype)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_broadcast_rows_and_columns_predict_as_their_copies(dtype: str) -> None:
    network = small_network(dtype=dtype)
    for given in (np.broadcast_to(X.astype(dtype)[0], (9, 3)), np.broadcast_to(X.astype(dtype)[:, :1], (len(X), 3))):
        assert 0 in given.strides
        assert np.array_equal(network.predict(given), network.predict(given.copy()))


def test_one_column_of_any_stride_predicts_as_its_copy() -> None:
    network = Network([1, 4, 2], seed=0)
    for column in (X[:, 1:2], X[::-3, 2:], np.broadcast_to(X[0, 0], (7, 1))):
        assert np.array_equal(network.predict(column), network.predict(column.copy()))


def test_a_mapped_file_predicts_as_its_copy(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    network = small_network()
    assert np.array_equal(network.predict(mapped), network.predict(X))


@pytest.mark.parametrize("kind", KINDS)
def test_any_layout_trains_as_its_plain_copy_and_is_left_alone(kind: str) -> None:
    one, other = small_network(), small_network()
    given = KINDS[kind](X)
    before = copy.deepcopy(given)
    one.fit(given, KINDS["rows backwards"](LABELS[:, None])[:, 0], epochs=2, batch_size=8)
    other.fit(X, LABELS, epochs=2, batch_size=8)
    assert bits(one) == bits(other)
    assert np.array_equal(np.asarray(given), np.asarray(before))


@pytest.mark.parametrize("kind", ["list", "Fortran order", "big-endian", "columns backwards", "unaligned"])
def test_targets_of_any_layout_train_as_their_plain_copy(kind: str) -> None:
    one, other = small_network(), small_network()
    soft = np.full((len(X), 3), 0.125, np.float32) + np.eye(3, dtype=np.float32)[LABELS] * 0.625
    one.fit(X, KINDS[kind](soft), epochs=2, sample_weight=KINDS["rows backwards"](soft)[:, 0])
    other.fit(X, soft, epochs=2, sample_weight=soft[:, 0])
    assert bits(one) == bits(other)


def test_no_rows_predict_no_rows() -> None:
    network = small_network()
    nothing = np.empty((0, 3))
    assert network.predict(nothing).shape == (0, 3)
    assert network.predict_classes(nothing).shape == (0,)
    assert [a.shape for a in network.hidden_activations(nothing)] == [(0, 6), (0, 5)]
    assert network.input_gradients(nothing).shape == (0, 3, 3)


@pytest.mark.parametrize("rows", [1, 16, 41, 1000])
def test_size_of_prediction_batches_does_not_change_the_bits(rows: int) -> None:
    network = small_network()
    assert np.array_equal(network.predict(X, batch_size=rows), network.predict(X))


def test_rows_predict_alone_as_together() -> None:
    network = small_network()
    together = network.predict(X)
    assert all(np.array_equal(network.predict(X[r : r + 1])[0], together[r]) for r in range(len(X)))


def test_prediction_does_not_change_the_network() -> None:
    network = small_network()
    network.fit(X, LABELS)
    before = bits(network)
    network.predict(X)
    network.predict_classes(X)
    network.hidden_activations(X)
    network.input_gradients(X)
    network.evaluate(X, LABELS)
    network.loss_and_gradients(X, LABELS)
    assert bits(network) == before


def test_a_prediction_is_not_overwritten_by_the_next() -> None:
    network = small_network()
    first = network.predict(X)
    kept = first.copy()
    network.predict(-X)
    assert np.array_equal(first, kept)


def test_classes_are_the_most_probable() -> None:
    network = small_network()
    classes = network.predict_classes(X)
    assert classes.dtype.kind == "i"
    assert np.array_equal(classes, network.predict(X).argmax(axis=1))


def test_classes_of_one_output_are_cut_at_one_half() -> None:
    network = Network([1, 1], output="sigmoid", seed=0)
    network.set_weights([([[1.0]], [0.0])])
    assert network.predict_classes([[-1.0], [0.0], [1.0]]).tolist() == [0, 1, 1]


def test_evaluation_names_what_suits_the_loss() -> None:
    assert list(small_network().evaluate(X, LABELS)) == ["loss", "accuracy"]
    regression = Network([3, 4, 1], seed=0)
    assert list(regression.evaluate(X, X[:, 0])) == ["loss", "mean_absolute_error", "r2"]


# Memory and threads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "batch_size"), [([3, 6, 3], 1), ([100, 300, 3], 50), ([3, Dense(64, dropout=0.5), 3], 999)]
)
def test_memory_is_what_a_plan_takes(layers: list[Any], batch_size: int) -> None:
    network = Network(layers, output="softmax", seed=0)
    own = network._engine.parameters
    plan = network._engine.plans.get(TRAINING, batch_size)
    tables = network._engine.constants.nbytes
    taken = own.weights.nbytes + own.transposed.nbytes + own.slots.nbytes + plan.nbytes + tables
    said = network.memory(batch_size)
    assert 0 <= taken - said < 4096  # the words and numbers of the plan


def test_memory_is_what_a_fit_takes() -> None:
    tall = np.zeros((512, 256), np.float32)
    sizes, labels = [256, 1024, 512, 2], tall[:, 0].astype(np.int64)
    Network(sizes, output="softmax", seed=0).fit(tall, labels, batch_size=512)  # everything is imported and loaded now
    tracemalloc.start()
    try:
        network = Network(sizes, output="softmax", seed=0)
        network.fit(tall, labels, batch_size=512)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken == pytest.approx(network.memory(512), rel=0.1)


def test_memory_grows_with_the_batch_and_needs_a_size() -> None:
    network = small_network()
    assert network.memory(1000) > network.memory(10) > 0
    assert network.memory() == network.memory(32)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        network.memory(0)


@pytest.mark.parametrize("limit", [None, 1, 2, 10_000])
def test_limit_of_threads_is_kept_and_does_not_change_the_bits(limit: int | None) -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(300, 64)).astype(np.float32)
    labels = rng.integers(0, 64, 300)
    one = Network([64, 64, 64], output="softmax", seed=0, threads=1)
    other = Network([64, 64, 64], output="softmax", seed=0, threads=limit)
    for network in (one, other):
        network.fit(wide, labels, batch_size=128, epochs=2)
    assert other.threads == limit
    assert other._engine.plans.thread_count() <= min(limit or 10_000, numba.config.NUMBA_NUM_THREADS)
    assert bits(one) == bits(other)
    assert np.array_equal(one.predict(wide), other.predict(wide))
