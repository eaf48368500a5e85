"""A saved network comes back bit for bit, trains on as if never stored, and a file that is wrong is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import Interruption, bits, small_data, small_network
from cases import LEARNERS
from model_files import PARTS

from fastmlp import (
    SGD,
    Callback,
    ConstantRate,
    Dense,
    ModelFormatError,
    Network,
    NonFiniteLossError,
    Orthogonal,
    RandomUniform,
    Schedule,
    Warmup,
)
from fastmlp._io import checkpoint, description, model_file
from fastmlp._io.checkpoint import Checkpoint
from fastmlp.architecture import build

X, LABELS = small_data()
BATCH = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def trained(**options: Any) -> Network:
    network = small_network(**options)
    network.fit(X, LABELS, epochs=2, batch_size=BATCH)
    return network


# There and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [True, False])
def test_a_loaded_network_predicts_the_same_bits(path: Path, dtype: str, optimizer: bool) -> None:
    network = trained(dtype=dtype)
    network.save(path, optimizer=optimizer)
    loaded = Network.load(path)
    assert loaded.architecture == network.architecture
    assert repr(loaded) == repr(network)
    assert (loaded.epoch, loaded.step, loaded.seed) == (network.epoch, network.step, network.seed)
    assert bits(loaded)["weights"] == bits(network)["weights"]
    assert (bits(loaded) == bits(network)) == optimizer
    assert np.array_equal(loaded.predict(X), network.predict(X))
    assert loaded.evaluate(X, LABELS) == network.evaluate(X, LABELS)
    # The gradient goes through the transposed weights.
    assert np.array_equal(loaded.loss_and_gradients(X, LABELS)[1][0][0], network.loss_and_gradients(X, LABELS)[1][0][0])


def test_every_option_of_a_layer_is_kept(path: Path) -> None:
    layers: list[int | Dense] = [
        4,
        Dense(17, "sigmoid", use_bias=False, dropout=0.25, l1=1e-3, l2=0.5, weight_init=Orthogonal(0.5)),
        Dense(33, "tanh", bias_init=RandomUniform(0.25, 0.5)),
        Dense(2, "relu"),
    ]
    network = Network(layers, loss="mean_squared_error", optimizer=SGD(0.5, momentum=0.25), dtype="float64", seed=2**62)
    network.save(str(path))
    loaded = Network.load(str(path))
    assert loaded.architecture == network.architecture
    assert [b is None for _, b in loaded.get_weights()] == [True, False, False]
    assert bits(loaded) == bits(network)


def test_loading_takes_a_limit_of_threads(path: Path) -> None:
    small_network().save(path)
    assert Network.load(path).threads is None
    assert Network.load(path, threads=1).threads == 1


def test_saving_changes_nothing_and_a_second_file_is_the_same(path: Path) -> None:
    network = trained()
    before = bits(network)
    network.save(path)
    first = path.read_bytes()
    assert bits(network) == before
    Network.load(path).save(path)
    assert path.read_bytes() == first


def test_a_loaded_network_can_be_pickled_and_reinitialized(path: Path) -> None:
    trained().save(path)
    loaded = copy.deepcopy(Network.load(path))
    assert bits(loaded) == bits(trained())
    loaded.reinitialize(3)
    assert bits(loaded) == bits(small_network(seed=3))


# Training on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
def test_training_goes_on_from_a_file_to_the_same_bits(path: Path, optimizer: Any, dtype: str) -> None:
    one, other = (small_network(optimizer=optimizer, dtype=dtype) for _ in range(2))
    whole = one.fit(X, LABELS, epochs=5, batch_size=BATCH, validation_split=0.2)
    other.fit(X, LABELS, epochs=2, batch_size=BATCH, validation_split=0.2)
    other.save(path)
    loaded = Network.load(path)
    rest = loaded.fit(X, LABELS, epochs=3, batch_size=BATCH, validation_split=0.2)
    assert rest.epoch == [2, 3, 4]
    assert rest.history == {name: values[2:] for name, values in whole.history.items()}
    assert bits(loaded) == bits(one)


@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
@pytest.mark.parametrize("steps", [1, 4, 6, 9])
def test_training_goes_on_from_a_file_written_within_an_epoch(path: Path, optimizer: Any, steps: int) -> None:
    one, other = small_network(optimizer=optimizer), small_network(optimizer=optimizer)
    whole = one.fit(X, LABELS, epochs=3, batch_size=BATCH)
    with pytest.raises(KeyboardInterrupt):
        other.fit(X, LABELS, epochs=3, batch_size=BATCH, callbacks=[Interruption(steps)])
    other.save(path)
    loaded = Network.load(path)
    assert (loaded.step, loaded.epoch) == (steps, steps // 6)
    rest = loaded.fit(X, LABELS, epochs=3 - loaded.epoch, batch_size=BATCH)
    assert (loaded.epoch, loaded.step) == (3, 18)
    assert rest.history["loss"] == whole.history["loss"][loaded.epoch - len(rest.epoch) :]
    assert bits(loaded) == bits(one)


def test_a_network_can_be_saved_by_a_callback(path: Path) -> None:
    class Checkpoint(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            self.network.save(path.with_name(f"{epoch}"))

    one, other = small_network(), small_network()
    one.fit(X, LABELS, epochs=3, batch_size=BATCH, callbacks=[Checkpoint()])
    other.fit(X, LABELS, epochs=3, batch_size=BATCH)
    assert bits(one) == bits(other)
    loaded = Network.load(path.with_name("0"))
    loaded.fit(X, LABELS, epochs=2, batch_size=BATCH)
    assert bits(loaded) == bits(other)


@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
def test_without_what_the_optimizer_remembers_training_begins_with_empty_slots(path: Path, optimizer: Any) -> None:
    network = trained(optimizer=optimizer)
    network.save(path, optimizer=False)
    assert set(model_file.read(path).tensors) == {f"layers.{layer}.{name}" for layer in range(3) for name in "Wb"}
    loaded = Network.load(path)
    state, kept = loaded.__getstate__(), network.__getstate__()
    fresh = small_network(optimizer=optimizer)
    assert bits(loaded)["slots"] == bits(fresh)["slots"]
    assert np.array_equal(state["weights"], kept["weights"])
    assert (loaded.epoch, loaded.step) == (2, 12)
    history = loaded.fit(X, LABELS, batch_size=BATCH)
    assert np.isfinite(history.history["loss"]).all()


def test_a_file_without_the_optimizer_written_within_an_epoch_can_be_trained_on(path: Path) -> None:
    network = small_network()
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, LABELS, batch_size=BATCH, callbacks=[Interruption(2)])
    network.save(path, optimizer=False)
    loaded = Network.load(path)
    history = loaded.fit(X, LABELS, batch_size=BATCH)
    assert loaded.epoch == 1
    assert np.isfinite(history.history["loss"]).all()


# What would be refused is not saved --------------------------------------------------------------------------------


def test_weights_that_are_not_finite_do_not_replace_a_good_file(path: Path) -> None:
    """The loss is still finite when the step makes the weights infinite; a callback sees them before fit goes back."""

    class Checkpoint(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            with pytest.raises(ValueError, match=r"tensor 'layers\.0\.W' holds NaN or infinity"):
                self.network.save(path)
            refused.append(batch)

    refused: list[int] = []
    network = Network([3, 4, 3], loss="mean_squared_error", optimizer=SGD(1e39), seed=7)
    network.save(path)
    before = path.read_bytes()
    with pytest.raises(NonFiniteLossError):
        network.fit(X, np.eye(3, dtype=np.float32)[LABELS], batch_size=BATCH, callbacks=[Checkpoint()])
    assert refused == [0]
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    network.save(path)
    Network.load(path)


def test_a_description_that_is_too_long_to_be_loaded_is_not_saved(path: Path) -> None:
    rate: Schedule = ConstantRate(0.1)
    for _ in range(300):
        rate = Warmup(1, rate)
    network = small_network(optimizer=SGD(rate))
    with pytest.raises(ValueError, match=r"cannot be saved: .* 'optimizer' takes .* characters, the limit is 10000"):
        network.save(path)
    assert list(path.parent.iterdir()) == []


# The layout ------------------------------------------------------------------------------------------------------


def test_a_file_opens_with_json_and_numpy_alone(path: Path) -> None:
    network = trained()
    network.save(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    kinds = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}
    tensors = {
        name: np.frombuffer(data[8 + length :][slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
    }
    for index, (w, b) in enumerate(network.get_weights()):
        assert np.array_equal(tensors[f"layers.{index}.W"], w)
        assert b is not None
        assert np.array_equal(tensors[f"layers.{index}.b"], b)
        for slot in "mv":
            assert tensors[f"optimizer.{slot}.layers.{index}.W"].shape == w.shape
            assert tensors[f"optimizer.{slot}.layers.{index}.b"].any()
    found = {key: json.loads(text) for key, text in metadata.items() if key in PARTS}
    assert [(layer["inputs"], layer["units"]) for layer in found["layers"]] == [(3, 6), (6, 5), (5, 3)]
    assert [layer["activation"]["name"] for layer in found["layers"]] == ["tanh", "relu", "softmax"]
    assert found["loss"]["name"] == "categorical_crossentropy"
    assert found["optimizer"]["name"] == "adam"
    assert found["network"] == {"dtype": "float32", "seed": 7}
    training = found["training"]
    assert (training["epoch"], training["step"], training["optimizer_state"]) == (2, 12, True)
    assert set(training) == {*description.COUNTERS, "optimizer_state"}
    assert set(metadata) == {"sha256", "format", "format_version", *PARTS}


# Checkpoints by themselves ---------------------------------------------------------------------------------------


def small_checkpoint(**changes: Any) -> Checkpoint:
    architecture = build([2, Dense(3, use_bias=False), 1], optimizer=SGD(momentum=0.5), dtype="float64", seed=1)
    shapes = [((2, 3), None), ((3, 1), (1,))]
    arrays = [(np.full(w, 0.5), None if b is None else np.full(b, -1.0)) for w, b in shapes]
    (slot,) = architecture.optimizer.slots
    given = {"slots": {slot: arrays}, "totals": np.arange(3.0), "counters": {**description.COUNTERS, "step": 3}}
    return Checkpoint(**{"architecture": architecture, "weights": arrays, **given, **changes})


def contents(found: Checkpoint) -> list[Any]:
    def plain(layers: Any) -> list[Any]:
        return [(w.tolist(), None if b is None else b.tolist()) for w, b in layers]

    slots = None if found.slots is None else {name: plain(layers) for name, layers in found.slots.items()}
    totals = None if found.totals is None else found.totals.tolist()
    return [found.architecture, found.counters, found.table, found.best, plain(found.weights), slots, totals]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"slots": None, "totals": None},
        {"table": "", "best": ("val_loss", 0.1)},
        {"table": '{"any": "thing"}', "best": ("a \u00fc", float("inf"))},
    ],
    ids=["all", "without the optimizer", "table and best", "infinite best"],
)
def test_a_checkpoint_comes_back(path: Path, changes: dict[str, Any]) -> None:
    written_one = small_checkpoint(**changes)
    checkpoint.write(path, written_one)
    assert contents(checkpoint.read(path)) == contents(written_one)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"totals": None}, "'training.totals' is missing"),
        ({"slots": None}, "'training.totals' is unknown"),
        ({"slots": {}}, "'optimizer.v.*layers.0.W' is missing"),
        ({"weights": []}, "'layers.0.W' is missing"),
        ({"weights": [(np.ones((2, 3)), np.ones(3)), (np.ones((3, 1)), np.ones(1))]}, "'layers.0.b' is unknown"),
        ({"counters": {"step": -1}}, "step must be at least 0, got -1"),
        ({"best": ("x" * 10_000, 1.0)}, "'best' takes .* characters, the limit is 10000"),
    ],
)
def test_a_checkpoint_that_could_not_be_read_is_not_written(path: Path, changes: dict[str, Any], message: str) -> None:
    checkpoint.write(path, small_checkpoint())
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"the network cannot be saved: .*{message}"):
        checkpoint.write(path, small_checkpoint(**changes))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_file_holds_many_layers(path: Path) -> None:
    network = Network([1] * 2000, seed=1)
    network.save(path)
    assert bits(Network.load(path)) == bits(network)


def test_a_damaged_file_is_refused(path: Path) -> None:
    trained().save(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(data)
    with pytest.raises(ModelFormatError, match="damaged"):
        Network.load(path)
