"""What a file says of its network is read as it was written, refused where it is wrong, and may grow."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import bits, small_data, small_network
from model_files import PARTS, as_version_1, metadata_of, parts_of

from fastmlp import SGD, Adam, ModelFormatError, Network
from fastmlp._io import checkpoint, description, model_file, version_1

X, LABELS = small_data()
BATCH = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def trained() -> Network:
    network = small_network()
    network.fit(X, LABELS, epochs=2, batch_size=BATCH)
    return network


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
    "transposed W": (
        tensor("layers.0.W", lambda w: w.T.copy()),
        r"'layers.0.W' has shape \(6, 3\) .*expected .*\(3, 6\)",
    ),
    "flat W": (tensor("layers.0.W", lambda w: w.ravel()), r"'layers.0.W' has shape \(18,\)"),
    "short b": (tensor("layers.0.b", lambda b: b[:-1]), r"'layers.0.b' has shape \(5,\).*expected .*\(6,\)"),
    "no W": (tensor("layers.0.W", lambda w: w[:0]), r"'layers.0.W' has shape \(0, 6\)"),
    "double W": (
        tensor("layers.0.W", lambda w: w.astype("f8")),
        "'layers.0.W' has .*dtype float64, expected .*dtype float32",
    ),
    "whole W": (
        tensor("layers.0.W", lambda w: w.astype("i8")),
        "'layers.0.W' has .*dtype int64, expected .*dtype float32",
    ),
    "NaN": (tensor("layers.2.W", with_value(np.nan)), "'layers.2.W' holds NaN or infinity"),
    "infinite b": (tensor("layers.2.b", with_value(-np.inf)), "'layers.2.b' holds NaN or infinity"),
    "NaN in a slot": (tensor("optimizer.m.layers.0.b", with_value(np.nan)), "'optimizer.m.layers.0.b' holds NaN"),
    "NaN in totals": (tensor("training.totals", with_value(np.nan)), "'training.totals' holds NaN"),
    "negative square": (
        tensor("optimizer.v.layers.0.W", with_value(-1e-30)),
        r"holds -1\.0\d*e-30, but a mean or sum of squares cannot be negative",
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
    "no inputs": (without("architecture", "layers", 0, "inputs"), "wrong: 'inputs' is missing"),
    "no units": (without("architecture", "layers", 0, "units"), "units"),
    "unknown key of a layer": (layer(0, colour="red"), "colour"),
    "initializer": (layer(0, weight_init={"name": "one"}), "unknown initializer 'one'"),
    "initializer a name": (layer(0, weight_init="ones"), "initializer must be a dictionary with a 'name' and numbers"),
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
    "no loss": (without("architecture", "loss"), "wrong: 'loss' is missing|must be written as"),
    "no optimizer": (without("architecture", "optimizer"), "wrong: 'optimizer' is missing"),
    "no dtype": (without("architecture", "dtype"), "wrong: 'dtype' is missing"),
    "no seed": (without("architecture", "seed"), "wrong: 'seed' is missing"),
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
    "other dtype": (in_architecture(dtype="float64"), "expected .*dtype float64"),
    "dtype null": (in_architecture(dtype=None), "dtype must be"),
    "dtype by another name": (in_architecture(dtype="f4"), "dtype must be"),
    "a layer of 10,000 characters": (layer(0, colour="r" * 10_000), "wrong: .*Unterminated string"),
    "10,000 characters beside the layers": (
        in_architecture(colour="r" * 10_000),
        "takes .* characters.*, the limit is 10000",
    ),
    "dtype a list": (in_architecture(dtype=["float32"]), "dtype must be|data type|wrong"),
    "seed": (in_architecture(seed=-1), "seed must be at least 0"),
    "seed null": (in_architecture(seed=None), "seed"),
    "seed too large": (in_architecture(seed=2**63), "seed must be less than"),
    "negative epoch": (in_training(epoch=-1), "epoch must be at least 0"),
    "fraction of a step": (in_training(step=0.5), "step must be a whole number"),
    "enormous step": (in_training(step=2**63), "step must be less than 4611686018427387904, got 9223372036854775808"),
    "optimizer_state a number": (in_training(optimizer_state=1), "optimizer_state must be true or false, got 1"),
    "no optimizer_state": (without("training", "optimizer_state"), "wrong: 'optimizer_state' is missing"),
    "enormous inputs": (layer(0, inputs=HUGE), "'layers.0.W' has shape"),
    "enormous units": (layer(2, units=HUGE), "'layers.2.W' has shape|'layers.2.b' has shape"),
    "units beyond 64 bits": (layer(2, units=10**30), "'layers.2.W' has shape|'layers.2.b' has shape"),
    "units beyond floats": (layer(2, units=10**400), "'layers.2.W' has shape|'layers.2.b' has shape|units"),
    "units a float": (layer(2, units=3.0), "units of a layer must be a whole number"),
    "no units at all": (layer(2, units=0), "units of a layer must be at least 1"),
}


ONLY_IN: dict[str, dict[str, tuple[Change, str]]] = {
    "1": {"no batch": (without("training", "batch"), "wrong: 'batch' is missing")},
    "2": {
        "no layers' key": (without("architecture", "layers"), "wrong: 'layers' is missing"),
        "optimizer of 10,000 characters": (
            in_architecture(optimizer={"name": "r" * 10_000}),
            "the JSON of 'network' and 'loss' and 'optimizer' takes .* characters, the limit is 10000",
        ),
        "training of 10,000 characters": (
            in_training(later="r" * 10_000),
            "the JSON of 'training' takes .* characters, the limit is 10000",
        ),
        "loss a list": (in_architecture(loss=[1]), r"'loss' must hold a JSON object, got '\[1\]'"),
    },
}
CASES = [
    pytest.param(version, *case, id=f"{name}-{version}")
    for version in model_file.VERSIONS
    for name, case in (WRONG | ONLY_IN[version]).items()
]
both_versions = pytest.mark.parametrize("version", model_file.VERSIONS)


def written(path: Path, version: str, metadata: dict[str, str], tensors: Tensors) -> None:
    """Write a file of that version."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_file, "VERSION", version)
        model_file.write(path, metadata, tensors)


def rewritten(source: Path, change: Change, target: Path, version: str) -> None:
    """Write a changed copy of a file of version 2, of another version, with the digest that fits."""
    _, metadata, tensors = model_file.read(source)
    architecture, training = parts_of(metadata)
    change(architecture, training, tensors)
    written(target, version, metadata_of(version, architecture, training), tensors)


def unchanged(architecture: dict[str, Any], training: dict[str, Any], tensors: Tensors) -> None:
    """Change nothing."""


@both_versions
def test_a_file_rewritten_as_it_was_is_right(path: Path, version: str) -> None:
    trained().save(path)
    rewritten(path, unchanged, path.with_name("again"), version)
    assert model_file.read(path.with_name("again")).version == version
    assert bits(Network.load(path.with_name("again"))) == bits(trained())
    assert (path.with_name("again").read_bytes() == path.read_bytes()) == (version == "2")


@pytest.mark.parametrize(("version", "change", "message"), CASES)
def test_a_wrong_file_is_refused_without_taking_memory(path: Path, version: str, change: Change, message: str) -> None:
    trained().save(path)
    wrong = path.with_name("wrong.safetensors")
    rewritten(path, change, wrong, version)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError, match=message) as info:
            Network.load(wrong)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert "wrong.safetensors" in str(info.value)


OBJECTS = dict.fromkeys(PARTS, "{}")
NO_NETWORK: dict[str, list[dict[str, str]]] = {
    "1": [
        {},
        {"architecture": "{}"},
        {"architecture": "{}", "training": "{}"},
        {"architecture": "not json", "training": "{}"},
        {"architecture": "[]", "training": "{}"},
        {"architecture": "null", "training": "null"},
        {"architecture": "1" * 5000, "training": "{}"},
        {"architecture": "[" * 100_000, "training": "{}"},
    ],
    "2": [
        {},
        {"architecture": "{}", "training": "{}"},
        OBJECTS,
        OBJECTS | {"layers": "[]"},
        OBJECTS | {"layers": "not json"},
        OBJECTS | {"layers": "null"},
        OBJECTS | {"layers": "1" * 5000},
        OBJECTS | {"layers": "[" * 100_000},
        OBJECTS | {"network": "not json"},
        OBJECTS | {"network": "null"},
        OBJECTS | {"network": "1" * 5000},
        OBJECTS | {"loss": "[" * 9_000},
        OBJECTS | {"optimizer": "[" * 100_000},
        OBJECTS | {"training": ""},
    ],
}


@pytest.mark.parametrize(
    ("version", "metadata"),
    [(version, metadata) for version, given in NO_NETWORK.items() for metadata in given],
    ids=lambda given: str(given)[-60:],
)
def test_metadata_that_describe_no_network_are_refused(path: Path, version: str, metadata: dict[str, str]) -> None:
    written(path, version, metadata, {})
    with pytest.raises(ModelFormatError, match="description of the network is wrong"):
        Network.load(path)


@both_versions
def test_training_that_is_no_object_is_refused(path: Path, version: str) -> None:
    trained().save(path)
    _, metadata, tensors = model_file.read(path)
    metadata = metadata_of(version, *parts_of(metadata))
    for wrong in ("[]", "null", "5", '"text"'):
        written(path, version, {**metadata, "training": wrong}, tensors)
        with pytest.raises(ModelFormatError, match="wrong: 'training' must hold a JSON object, got"):
            Network.load(path)


@pytest.mark.parametrize(("old", "new"), [("], ", "],  "), ('"layers": [{', '"layers": [  {'), ("}, {", "},{")])
def test_an_architecture_of_version_1_in_another_spelling_is_refused(path: Path, old: str, new: str) -> None:
    trained().save(path)
    _, metadata, tensors = model_file.read(path)
    metadata = metadata_of("1", *parts_of(metadata))
    assert old in metadata["architecture"]
    metadata["architecture"] = metadata["architecture"].replace(old, new, 1)
    written(path, "1", metadata, tensors)
    with pytest.raises(ModelFormatError, match="description of the network is wrong"):
        Network.load(path)


def test_of_an_architecture_of_version_1_only_the_rest_behind_the_layers_is_limited(path: Path) -> None:
    network = Network([1] * 60, seed=0)
    network.save(path)
    path.write_bytes(as_version_1(path.read_bytes()))
    _, metadata, tensors = model_file.read(path)
    assert len(metadata["architecture"]) > 10_000
    assert bits(Network.load(path)) == bits(network)
    metadata["architecture"] = metadata["architecture"].replace('"loss": ', '"loss": ' + " " * 10_000)
    written(path, "1", metadata, tensors)
    with pytest.raises(ModelFormatError, match=r"'architecture' takes 1\d{4} characters beside the layers"):
        Network.load(path)


@pytest.mark.parametrize("options", [{"indent": 1}, {"separators": (",", ":")}, {"sort_keys": True}], ids=str)
def test_the_parts_of_version_2_may_be_spelled_as_json_may(path: Path, options: dict[str, Any]) -> None:
    trained().save(path)
    _, metadata, tensors = model_file.read(path)
    model_file.write(path, {key: json.dumps(json.loads(text), **options) for key, text in metadata.items()}, tensors)
    assert bits(Network.load(path)) == bits(trained())


SPELLINGS = {
    "blanks": (" \t\r\n[ {} \n,\t{}\r] ", None),
    "no beginning": ("{}, {}]", r"'layers' must hold a JSON array, got '\{"),
    "a comma first": ("[, {}, {}]", "layer 0 is not JSON of at most 10000 characters: Expecting value"),
    "no comma": ("[{} {}]", r"'layers' has ' \{.*' after layer 0, expected ',' or '\]'"),
    "two commas": ("[{},, {}]", "layer 1 is not JSON of at most 10000 characters: Expecting value"),
    "a bracket between": ("[{}[{}]", r"'layers' has '\[\{.*' after layer 0, expected ',' or '\]'"),
    "a comma last": ("[{}, {},]", "layer 2 is not JSON of at most 10000 characters: Expecting value"),
    "no end": ("[{}, {}", "has '' after layer 1, expected"),
    "another layer after the end": ("[{}, {}], {}", r"has ', \{.*after its end"),
    "two ends": ("[{}, {}]]", r"has '\]' after its end"),
    "other blanks": ("[{},\u00a0{}]", "layer 1 is not JSON"),
    "a byte-order mark": ("\ufeff[{}, {}]", "must hold a JSON array"),
}


@pytest.mark.parametrize(("spelling", "message"), SPELLINGS.values(), ids=SPELLINGS)
def test_layers_are_a_json_array_or_refused(path: Path, spelling: str, message: str | None) -> None:
    network = Network([3, 4, 2], seed=1)
    network.save(path)
    _, metadata, tensors = model_file.read(path)
    for layer in json.loads(metadata["layers"]) * 2:
        spelling = spelling.replace("{}", json.dumps(layer), 1)
    metadata["layers"] = spelling
    model_file.write(path, metadata, tensors)
    if message is None:
        assert bits(Network.load(path)) == bits(network)
        return
    with pytest.raises(ModelFormatError, match=f"the description of the network is wrong: .*{message}"):
        Network.load(path)


@both_versions
@pytest.mark.parametrize(("batch", "rows", "batch_size"), [(50, 100, 10), (10, 100, 10), (1, 0, 0), (1, 5, 5)])
def test_a_batch_that_is_not_within_its_epoch_is_refused(
    path: Path, batch: int, rows: int, batch_size: int, version: str
) -> None:
    trained().save(path)

    def change(architecture: dict[str, Any], training: dict[str, Any], tensors: dict[str, Any]) -> None:
        training.update(batch=batch, rows=rows, batch_size=batch_size)

    rewritten(path, change, path, version)
    with pytest.raises(ModelFormatError, match="is not within an epoch of"):
        Network.load(path)


@pytest.mark.parametrize(
    "best",
    [
        *("", "{}", "[]", "null", "[" * 9000),
        '{"monitor": "a", "value": 1}',
        '{"monitor": 1, "value": "1"}',
        '{"monitor": "a", "value": "one"}',
    ],
    ids=lambda best: best[:40],
)
def test_a_best_figure_that_is_none_is_refused(path: Path, best: str) -> None:
    trained().save(path)
    _, metadata, tensors = model_file.read(path)
    model_file.write(path, {**metadata, "best": best}, tensors)
    with pytest.raises(ModelFormatError, match="description of the network is wrong"):
        Network.load(path)
    assert checkpoint.best_of(path, trained().architecture, "a") is None


# How the format may grow -----------------------------------------------------------------------------------------


@both_versions
def test_what_a_later_fastmlp_adds_to_the_metadata_is_passed_over(path: Path, version: str) -> None:
    trained().save(path)
    _, metadata, tensors = model_file.read(path)
    architecture, training = parts_of(metadata)
    architecture["later"], training["later"] = "anything", [1]
    written(path, version, {**metadata_of(version, architecture, training), "later": "anything"}, tensors)
    assert bits(Network.load(path)) == bits(trained())


@pytest.mark.parametrize("name", description.COUNTERS)
def test_a_counter_that_a_file_does_not_have_takes_its_default(path: Path, name: str) -> None:
    trained().save(path)
    counters = checkpoint.read(path).counters
    rewritten(path, without("training", name), path, "2")
    assert checkpoint.read(path).counters == {**counters, name: 0}
    Network.load(path).fit(X, LABELS, batch_size=BATCH)


@both_versions
def test_a_later_counter_leaves_older_files_readable(path: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trained().save(path)
    rewritten(path, unchanged, path, version)
    older = checkpoint.read(path).counters
    monkeypatch.setitem(description.COUNTERS, "later", 5)
    assert checkpoint.read(path).counters == {**older, "later": 5}
    assert bits(Network.load(path)) == bits(trained())


def test_a_later_counter_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained().save(path)
    stored = checkpoint.read(path)
    monkeypatch.setitem(description.COUNTERS, "later", 5)
    checkpoint.write(path, dataclasses.replace(stored, counters={**stored.counters, "later": 9}))
    assert checkpoint.read(path).counters["later"] == 9
    monkeypatch.undo()
    assert checkpoint.read(path).counters == stored.counters  # as today's reader reads a file of that later fastmlp


def test_version_1_has_the_counters_that_it_had() -> None:
    assert version_1._COUNTERS == ("epoch", "batch", "step", "rows", "batch_size", "mark")


@pytest.mark.parametrize("version", ["3", "0", "", "2.0"])
def test_a_file_of_another_version_is_refused(path: Path, version: str) -> None:
    trained().save(path)
    _, metadata, tensors = model_file.read(path)
    written(path, version, metadata, tensors)
    with pytest.raises(ModelFormatError) as refused:
        Network.load(path)
    assert str(refused.value) == (
        f"{str(path)!r} is not a valid fastmlp model: its format version is {version!r}, but this fastmlp reads '1' "
        "and '2'; a newer fastmlp may have written it: update fastmlp"
    )


# Names ----------------------------------------------------------------------------------------------------------------

WRONG_NAMES: dict[str, tuple[str, str, str]] = {
    "an object": ("feature_names", "{}", "'feature_names' must hold a JSON array, got '{}'"),
    "no names": ("classes", "[]", "classes must have 3 names for this network, got 0"),
    "numbers": ("classes", "[1, 2, 3]", "name 0 is not a string"),
    "a list within": ("classes", '["a", ["b"], "c"]', "name 1 is not a string"),
    "too few": ("feature_names", '["a", "b"]', "columns must have 3 names for this network, got 2: 'a', 'b'$"),
    "too many": (
        "classes",
        '["a"' + ', "b"' * 1_000 + "]",
        r"classes must have 3 names .*, got 1001: 'a', .*, \.\.\.$",
    ),
    "repeated": ("feature_names", '["a", "b", "a"]', "columns must have different names, but 'a' is there twice"),
    "NUL": ("classes", '["a", "b", "c\\u0000"]', "classes must have names that do not end with NUL"),
    "no end": ("classes", '["a", "b", "c', "name 2 is Unterminated string"),
    "more": ("classes", '["a", "b", "c"] 1', r"'classes' has '1' after its end"),
}


@pytest.mark.parametrize("case", WRONG_NAMES)
def test_wrong_names_are_refused(path: Path, case: str) -> None:
    key, text, message = WRONG_NAMES[case]
    trained().save(path)
    _, metadata, tensors = model_file.read(path)
    written(path, "2", metadata | {key: text}, tensors)
    with pytest.raises(ModelFormatError, match=message):
        Network.load(path)


def test_classes_of_a_network_without_classes_are_refused(path: Path) -> None:
    Network([3, 3], seed=0).save(path)
    _, metadata, tensors = model_file.read(path)
    written(path, "2", metadata | {"classes": '["a", "b", "c"]'}, tensors)
    with pytest.raises(ModelFormatError, match="classes need a softmax, or one sigmoid or hinge output; this network"):
        Network.load(path)


def test_wrong_names_take_little_memory(path: Path) -> None:
    inputs = 10_000
    Network([inputs, 1], seed=0).save(path, optimizer=False)
    _, metadata, tensors = model_file.read(path)
    names = [f"{number:x}" for number in range(inputs - 1)]
    written(path, "2", metadata | {"feature_names": json.dumps([*names, "0"])}, tensors)
    del names, tensors
    size = path.stat().st_size
    header = int.from_bytes(path.read_bytes()[:8], "little")
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError, match="columns must have different names, but '0' is there twice"):
            Network.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * size + 2 * header
    finally:
        tracemalloc.stop()
