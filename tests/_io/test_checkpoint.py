"""A saved network comes back bit for bit, trains on as if never stored, and a file that is wrong is refused."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import Interruption, bits, small_data, small_network
from cases import LEARNERS

from fastmlp import (
    SGD,
    Adam,
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
from fastmlp._io import model_file

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
    _, tensors = model_file.read(path)
    assert set(tensors) == {f"layers.{layer}.{name}" for layer in range(3) for name in "Wb"}
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
    with pytest.raises(ValueError, match=r"takes .* characters beside the layers, the limit is 10000"):
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
    architecture = json.loads(metadata["architecture"])
    assert [(layer["inputs"], layer["units"]) for layer in architecture["layers"]] == [(3, 6), (6, 5), (5, 3)]
    assert [layer["activation"]["name"] for layer in architecture["layers"]] == ["tanh", "relu", "softmax"]
    assert architecture["optimizer"]["name"] == "adam"
    assert architecture["dtype"] == "float32"
    training = json.loads(metadata["training"])
    assert (training["epoch"], training["step"], training["optimizer_state"]) == (2, 12, True)


# Files that are wrong --------------------------------------------------------------------------------------------

Tensors = dict[str, Any]
Change = Callable[[dict[str, Any], dict[str, Any], Tensors], None]


def layer(index: int, **changes: Any) -> Change:
    def change(architecture: dict[str, Any], training: dict[str, Any], tensors: Tensors) -> None:
        architecture["layers"][index].update(changes)

    return change


def in_architecture(**changes: Any) -> Change:
    return lambda architecture, training, tensors: architecture.update(changes)


def in_training(**changes: Any) -> Change:
    return lambda architecture, training, tensors: training.update(changes)


def without(part: str, *keys: Any) -> Change:
    def change(architecture: dict[str, Any], training: dict[str, Any], tensors: Tensors) -> None:
        place: Any = {"architecture": architecture, "training": training, "tensors": tensors}[part]
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return change


def tensor(name: str, value: Any) -> Change:
    def change(architecture: dict[str, Any], training: dict[str, Any], tensors: Tensors) -> None:
        tensors[name] = value(tensors.get(name)) if callable(value) else value

    return change


def with_value(number: float) -> Callable[[Any], Any]:
    def changed(array: Any) -> Any:
        array.reshape(-1)[-1] = number
        return array

    return changed


def deep(architecture: dict[str, Any], training: dict[str, Any], tensors: Tensors) -> None:
    nested: Any = []
    for _ in range(500):
        nested = [nested]
    architecture["layers"] = nested


HUGE = 10**12
WRONG: dict[str, tuple[Change, str]] = {
    "missing W": (without("tensors", "layers.1.W"), "'layers.1.W' is missing"),
    "missing b": (without("tensors", "layers.2.b"), "'layers.2.b' is missing"),
    "missing slot": (without("tensors", "optimizer.v.layers.0.W"), "'optimizer.v.layers.0.W' is missing"),
    "missing totals": (without("tensors", "training.totals"), "'training.totals' is missing"),
    "unknown tensor": (tensor("layers.3.W", np.zeros((3, 3), np.float32)), "'layers.3.W' is unknown"),
    "unasked slot": (tensor("optimizer.u.layers.0.W", np.zeros((3, 6), np.float32)), "is unknown"),
    "slots not declared": (in_training(optimizer_state=False), "is unknown"),
    "transposed W": (tensor("layers.0.W", lambda w: w.T.copy()), r"'layers.0.W' is .*\(6, 3\).*expected .*\(3, 6\)"),
    "flat W": (tensor("layers.0.W", lambda w: w.ravel()), r"'layers.0.W' is .*\(18,\)"),
    "short b": (tensor("layers.0.b", lambda b: b[:-1]), r"'layers.0.b' is .*\(5,\).*expected .*\(6,\)"),
    "no W": (tensor("layers.0.W", lambda w: w[:0]), r"'layers.0.W' is .*\(0, 6\)"),
    "double W": (tensor("layers.0.W", lambda w: w.astype("f8")), "'layers.0.W' is .*float64.*expected .*float32"),
    "whole W": (tensor("layers.0.W", lambda w: w.astype("i8")), "'layers.0.W' is .*int64.*expected .*float32"),
    "NaN": (tensor("layers.2.W", with_value(np.nan)), "'layers.2.W' holds NaN or infinity"),
    "infinite b": (tensor("layers.2.b", with_value(-np.inf)), "'layers.2.b' holds NaN or infinity"),
    "NaN in a slot": (tensor("optimizer.m.layers.0.b", with_value(np.nan)), "'optimizer.m.layers.0.b' holds NaN"),
    "NaN in totals": (tensor("training.totals", with_value(np.nan)), "'training.totals' holds NaN"),
    "negative square": (
        tensor("optimizer.v.layers.0.W", with_value(-1e-30)),
        r"holds -1\.0\d*e-30, but it is made of squares",
    ),
    "no chain": (layer(1, inputs=7), "layers do not chain"),
    "chain of wrong kinds": (layer(1, inputs="6"), "must be a whole number"),
    "no layers": (in_architecture(layers=[]), "description of the network is wrong"),
    "layers a number": (in_architecture(layers=5), "description of the network is wrong"),
    "layers a dict": (in_architecture(layers={"a": 1}), "description of the network is wrong"),
    "layers of numbers": (in_architecture(layers=[1, 2]), "description of the network is wrong"),
    "layers nested": (deep, "description of the network is wrong"),
    "activation": (layer(0, activation={"name": "swash"}), "unknown activation 'swash'"),
    "activation a list": (layer(0, activation=["relu"]), "activation must be a dictionary with a 'name'"),
    "activation a string": (layer(0, activation="relu"), "activation must be a dictionary with a 'name'"),
    "activation's number": (layer(0, activation={"name": "elu", "alpha": -1.0}), "alpha must be"),
    "activation's unknown number": (
        layer(0, activation={"name": "tanh", "alpha": 1.0}),
        "'tanh' must have the entries name",
    ),
    "activation without its number": (layer(0, activation={"name": "elu"}), "'elu' must have the entries name, alpha"),
    "no activation": (without("architecture", "layers", 0, "activation"), "holds|wrong|missing|activation"),
    "no inputs": (without("architecture", "layers", 0, "inputs"), "inputs"),
    "no units": (without("architecture", "layers", 0, "units"), "units"),
    "unknown key of a layer": (layer(0, colour="red"), "colour"),
    "initializer": (layer(0, weight_init={"name": "one"}), "unknown initializer 'one'"),
    "initializer a name": (
        layer(0, weight_init="ones"),
        "initializer must be a dictionary with a 'name' and numbers",
    ),
    "initializer's number": (layer(0, bias_init={"name": "constant", "value": None}), "value must be a number"),
    "initializer without its number": (layer(0, bias_init={"name": "constant"}), "must have the entries name, value"),
    "no initializer": (without("architecture", "layers", 0, "weight_init"), "weight_init"),
    "orthogonal bias": (layer(0, bias_init={"name": "orthogonal", "gain": 1.0}), "a bias is a vector"),
    "dropout": (layer(0, dropout=1.5), "dropout must be at least 0 and less than 1"),
    "NaN penalty": (layer(0, l2=float("nan")), "l2 must be"),
    "enormous penalty": (layer(0, l2=10**400), "l2"),
    "bias a number": (layer(0, use_bias=1), "use_bias must be True or False"),
    "bias switched off": (layer(0, use_bias=False), "'layers.0.b' is unknown"),
    "last dropout": (layer(2, dropout=0.5), "last layer cannot have dropout"),
    "loss": (in_architecture(loss={"name": "hunge"}), "unknown loss 'hunge'"),
    "loss's number": (in_architecture(loss={"name": "huber", "delta": "1"}), "huber: delta must be a number"),
    "no loss": (without("architecture", "loss"), "loss"),
    "loss null": (in_architecture(loss=None), "loss"),
    "optimizer": (in_architecture(optimizer={"name": "adamgrad"}), "unknown optimizer 'adamgrad'"),
    "optimizer a name": (in_architecture(optimizer="adam"), "description of the network is wrong"),
    "optimizer null": (in_architecture(optimizer=None), "description of the network is wrong"),
    "optimizer's number": (in_architecture(optimizer=Adam().to_dict() | {"beta_1": 2}), "beta_1 must be"),
    "optimizer without a number": (
        in_architecture(optimizer={"name": "adam"}),
        "'adam' must have the entries name",
    ),
    "optimizer's unknown number": (in_architecture(optimizer={"name": "adam", "gamma": 1}), "gamma"),
    "other optimizer": (in_architecture(optimizer=SGD().to_dict()), "is unknown"),
    "dtype": (in_architecture(dtype="float16"), "dtype must be"),
    "other dtype": (in_architecture(dtype="float64"), "expected .*float64"),
    "dtype null": (in_architecture(dtype=None), "dtype must be"),
    "dtype by another name": (in_architecture(dtype="f4"), "dtype must be"),
    "a layer of 10,000 characters": (layer(0, colour="r" * 10_000), "wrong: Unterminated string"),
    "10,000 characters beside the layers": (
        in_architecture(colour="r" * 10_000),
        "takes .* characters beside the layers, the limit is 10000",
    ),
    "dtype a list": (in_architecture(dtype=["float32"]), "dtype must be|data type|wrong"),
    "seed": (in_architecture(seed=-1), "seed must be at least 0"),
    "seed null": (in_architecture(seed=None), "seed"),
    "seed too large": (in_architecture(seed=2**63), "seed must be less than"),
    "negative epoch": (in_training(epoch=-1), "epoch must be at least 0"),
    "fraction of a step": (in_training(step=0.5), "step must be a whole number"),
    "enormous step": (in_training(step=2**63), "training is"),
    "no batch": (without("training", "batch"), "batch"),
    "optimizer_state a number": (in_training(optimizer_state=1), "training is"),
    "enormous inputs": (layer(0, inputs=HUGE), "'layers.0.W' is"),
    "enormous units": (layer(2, units=HUGE), "'layers.2.W' is|'layers.2.b' is"),
    "units beyond 64 bits": (layer(2, units=10**30), "'layers.2.W' is|'layers.2.b' is"),
    "units beyond floats": (layer(2, units=10**400), "'layers.2.W' is|'layers.2.b' is|units"),
    "units a float": (layer(2, units=3.0), "units of a layer must be a whole number"),
    "no units at all": (layer(2, units=0), "units of a layer must be at least 1"),
}


def rewritten(source: Path, change: Change, target: Path) -> None:
    """A copy of a file, changed, whose digest is right."""
    metadata, tensors = model_file.read(source)
    architecture, training = json.loads(metadata["architecture"]), json.loads(metadata["training"])
    change(architecture, training, tensors)
    said = {"architecture": json.dumps(architecture), "training": json.dumps(training)}
    model_file.write(target, said, tensors)


def test_a_file_rewritten_as_it_was_is_right(path: Path) -> None:
    trained().save(path)
    rewritten(path, lambda architecture, training, tensors: None, path.with_name("again"))
    assert bits(Network.load(path.with_name("again"))) == bits(trained())


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_without_taking_memory(path: Path, change: Change, message: str) -> None:
    trained().save(path)
    wrong = path.with_name("wrong.safetensors")
    rewritten(path, change, wrong)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError, match=message) as info:
            Network.load(wrong)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert "wrong.safetensors" in str(info.value)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"architecture": "{}"},
        {"architecture": "{}", "training": "{}"},
        {"architecture": "not json", "training": "{}"},
        {"architecture": "[]", "training": "{}"},
        {"architecture": "null", "training": "null"},
        {"architecture": "1" * 5000, "training": "{}"},
        {"architecture": "[" * 100_000, "training": "{}"},
    ],
    ids=lambda metadata: str(metadata)[:60],
)
def test_metadata_that_describe_no_network_are_refused(path: Path, metadata: dict[str, str]) -> None:
    model_file.write(path, metadata, {})
    with pytest.raises(ModelFormatError, match="description of the network is wrong"):
        Network.load(path)


def test_training_that_is_no_table_is_refused(path: Path) -> None:
    trained().save(path)
    metadata, tensors = model_file.read(path)
    for training in ("[]", "null", "5", '"text"'):
        model_file.write(path, {**metadata, "training": training}, tensors)
        with pytest.raises(ModelFormatError, match="description of the network is wrong"):
            Network.load(path)


@pytest.mark.parametrize(("old", "new"), [("], ", "],  "), ('"layers": [{', '"layers": [  {'), ("}, {", "},{")])
def test_an_architecture_in_another_spelling_is_refused(path: Path, old: str, new: str) -> None:
    trained().save(path)
    metadata, tensors = model_file.read(path)
    assert old in metadata["architecture"]
    metadata["architecture"] = metadata["architecture"].replace(old, new, 1)
    model_file.write(path, metadata, tensors)
    with pytest.raises(ModelFormatError, match="description of the network is wrong"):
        Network.load(path)


def test_what_a_later_fastmlp_adds_to_the_metadata_is_passed_over(path: Path) -> None:
    trained().save(path)
    metadata, tensors = model_file.read(path)
    training = json.dumps({**json.loads(metadata["training"]), "later": [1]})
    model_file.write(path, {**metadata, "training": training, "later": "anything"}, tensors)
    assert bits(Network.load(path)) == bits(trained())


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


@pytest.mark.parametrize(("batch", "rows", "batch_size"), [(50, 100, 10), (10, 100, 10), (1, 0, 0), (1, 5, 5)])
def test_a_batch_that_is_not_within_its_epoch_is_refused(path: Path, batch: int, rows: int, batch_size: int) -> None:
    trained().save(path)

    def change(architecture: dict[str, Any], training: dict[str, Any], tensors: dict[str, Any]) -> None:
        training.update(batch=batch, rows=rows, batch_size=batch_size)

    rewritten(path, change, path)
    with pytest.raises(ModelFormatError, match="is not within an epoch of"):
        Network.load(path)
