"""An ensemble comes back from its file bit for bit and trains on; a file that is wrong is refused."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from behaviour import bits
from cases import LEARNERS, assert_same_bits

from fastmlp import Dense, EarlyStopping, Ensemble, GaussianNLL, ModelFormatError, Network
from fastmlp._io import model_file

rng = np.random.default_rng(0)
X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
Metadata = dict[str, str]
Tensors = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ensemble.safetensors"


def trained(**options: Any) -> Ensemble:
    ensemble = Ensemble([3, Dense(4, dropout=0.1), 2], **{"loss": GaussianNLL(), "members": 3, "seed": 0, **options})
    ensemble.fit(X, y, epochs=3, validation_split=0.2)
    return ensemble


def all_bits(ensemble: Ensemble) -> list[dict[str, bytes]]:
    return [bits(network) for network in ensemble.networks]


# There and back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
def test_training_goes_on_from_a_file_to_the_same_bits(path: Path, optimizer: Any, dtype: str) -> None:
    ensemble = trained(dtype=dtype, optimizer=optimizer, bootstrap=True)
    ensemble.save(path)
    loaded = Ensemble.load(path)
    assert (len(loaded), loaded.bootstrap, loaded.validation) == (3, True, "own split")
    assert [each.architecture for each in loaded.networks] == [each.architecture for each in ensemble.networks]
    assert all_bits(loaded) == all_bits(ensemble)
    for one, other in zip(loaded.predict(X, return_std=True), ensemble.predict(X, return_std=True), strict=True):
        assert_same_bits(one, other)
    for each in (loaded, ensemble):
        each.fit(X, y, epochs=2, validation_split=0.2, early_stopping=EarlyStopping())
    assert all_bits(loaded) == all_bits(ensemble)
    ensemble.save(path)
    first = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == first


def test_without_the_optimizer_the_file_holds_weights_alone(path: Path) -> None:
    ensemble = trained(bootstrap=True, validation="same split")
    ensemble.save(path, optimizer=False)
    names = {f"members.{member}.layers.{layer}.{kind}" for member in range(3) for layer in range(2) for kind in "Wb"}
    assert set(model_file.read(path).tensors) == names
    loaded = Ensemble.load(path, threads=1)
    assert [network.threads for network in loaded.networks] == [1, 1, 1]
    assert loaded.validation == "same split"
    assert [each["weights"] for each in all_bits(loaded)] == [each["weights"] for each in all_bits(ensemble)]


def test_members_of_different_shapes_optimizers_and_progress_come_back(path: Path) -> None:
    networks = [
        Network([3, 4, 1], seed=3),
        Network([3, Dense(2, "tanh", use_bias=False), 9, 1], seed=1, optimizer="sgd"),
        Network([3, 4, 1], seed=7, output="exponential", loss="mean_squared_error"),
    ]
    networks[1].fit(X, y, epochs=2)
    Ensemble.from_networks(networks).save(path)
    loaded = Ensemble.load(path)
    assert [each.architecture for each in loaded.networks] == [each.architecture for each in networks]
    assert all_bits(loaded) == [bits(network) for network in networks]
    assert [network.epoch for network in loaded.networks] == [0, 2, 0]


def test_names_of_columns_and_classes_come_back(path: Path) -> None:
    ensemble = Ensemble([3, 2], output="softmax", members=2, seed=0)
    ensemble.fit(pd.DataFrame(X, columns=[*"abc"]), np.where(y > 0, "high", "low"))
    ensemble.save(path)
    loaded = Ensemble.load(path)
    for network in (loaded, *loaded.networks):
        assert (network.feature_names, network.classes) == (("a", "b", "c"), ("high", "low"))


def test_members_with_different_names_are_not_saved(path: Path) -> None:
    ensemble = Ensemble([3, 2], output="softmax", members=2, seed=0)
    ensemble.save(path)
    ensemble.networks[1].fit(pd.DataFrame(X, columns=[*"abc"]), np.where(y > 0, "high", "low"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"agree in feature_names, but 0 has None and 1 has \('a', 'b', 'c'\)"):
        ensemble.save(path)
    assert path.read_bytes() == before


def test_a_member_with_weights_that_are_not_finite_does_not_replace_a_good_file(path: Path) -> None:
    ensemble = trained()
    ensemble.save(path)
    before = path.read_bytes()
    ensemble.networks[1]._engine.parameters.weights[0] = np.inf
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        ensemble.save(path)
    assert path.read_bytes() == before


# Files that are wrong -------------------------------------------------------------------------------------------------


def test_a_network_and_an_ensemble_are_not_taken_for_each_other(path: Path) -> None:
    trained().save(path)
    with pytest.raises(ModelFormatError, match=r"it holds an ensemble; load it with fastmlp\.Ensemble\.load"):
        Network.load(path)
    Network([3, 1], seed=0).save(path)
    with pytest.raises(ModelFormatError, match=r"it holds a single network; load it with fastmlp\.Network\.load"):
        Ensemble.load(path)
    with pytest.raises(FileNotFoundError):
        Ensemble.load(path.with_name("none"))


def test_a_file_that_is_cut_or_has_another_bit_is_refused(path: Path, tried: Callable[[str, int], None]) -> None:
    trained().save(path)
    good = path.read_bytes()
    places = np.random.default_rng(0).integers(0, len(good), 150).tolist()
    for place in places:
        path.write_bytes(good[:place])
        with pytest.raises(ModelFormatError):
            Ensemble.load(path)
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        with pytest.raises(ModelFormatError):
            Ensemble.load(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(ModelFormatError):
        Ensemble.load(path)
    tried("a damaged file of an ensemble", 2 * len(places) + 1)


def without(name: str) -> Callable[[Metadata, Tensors], None]:
    return lambda metadata, tensors: tensors.pop(name)


def renamed(old: str, new: str) -> Callable[[Metadata, Tensors], None]:
    return lambda metadata, tensors: tensors.update({new: tensors.pop(old)})


def with_text(key: str, text: str) -> Callable[[Metadata, Tensors], None]:
    return lambda metadata, tensors: metadata.update({key: text})


def with_member(text: str) -> Callable[[Metadata, Tensors], None]:
    """Replace the description of member 1."""

    def change(metadata: Metadata, tensors: Tensors) -> None:
        members = json.loads(metadata["members"])
        metadata["members"] = json.dumps([members[0], text, *members[2:]])

    return change


def with_part(key: str, text: str) -> Callable[[Metadata, Tensors], None]:
    return with_member(json.dumps([key, text]))


def other_loss(metadata: Metadata, tensors: Tensors) -> None:
    with_part("loss", '{"name": "mean_squared_error"}')(metadata, tensors)


WRONG: dict[str, tuple[Callable[[Metadata, Tensors], Any], str]] = {
    "a tensor less": (without("members.1.layers.0.W"), "member 1: tensor 'layers.0.W' is missing"),
    "no totals": (without("members.2.training.totals"), "member 2: tensor 'training.totals' is missing"),
    "a tensor more": (renamed("members.0.layers.0.b", "members.0.layers.7.b"), "member 0: .*'layers.7.b' is unknown"),
    "a member more": (renamed("members.0.layers.0.b", "members.3.layers.0.b"), "is unknown: there are 3 members"),
    "no member": (renamed("members.0.layers.0.b", "layers.0.b"), "tensor 'layers.0.b' is unknown"),
    "a member 01": (renamed("members.1.layers.0.b", "members.01.layers.0.b"), "'members.01.layers.0.b' is unknown"),
    "a huge member": (renamed("members.1.layers.0.b", f"members.{9**20}.layers.0.b"), "is unknown"),
    "another shape": (
        lambda metadata, tensors: tensors.update({"members.1.layers.0.W": np.zeros((3, 5), np.float32)}),
        r"member 1: tensor 'layers.0.W' has shape \(3, 5\)",
    ),
    "NaN": (
        lambda metadata, tensors: tensors["members.2.layers.0.W"].fill(np.nan),
        "member 2: tensor 'layers.0.W' holds NaN",
    ),
    "members of another kind": (with_text("members", "{}"), "'members' must hold a JSON array, got '{}'"),
    "no members": (with_text("members", "[]"), "it has no members"),
    "members not text": (with_text("members", "[1]"), "name 0 is not a string"),
    "members without end": (with_text("members", '["[]"'), "expected ',' or ']'"),
    "a member less": (with_text("members", '["[]"]'), "is unknown: there are 1 members"),
    "a member not JSON": (with_member("{"), r"member 1: 'members' must hold a JSON array, got '{'"),
    "a key without text": (with_member('["network"]'), "member 1: its description has a key without a text"),
    "a text that is no string": (with_member('["network", 3]'), "member 1: name 1 is not a string"),
    "too many keys": (with_member(json.dumps(["a"] * 202)), "member 1: its description has more than 100 keys"),
    "a wrong network": (with_part("network", "{}"), "member 1: the description of the network is wrong"),
    "a wrong layer": (with_part("layers", "[3]"), "member 1: the description of the network is wrong"),
    "another loss": (other_loss, "networks must agree in loss, but 0 has gaussian_nll.* and 1 has mean_squared_error"),
    "no options": (lambda metadata, tensors: metadata.pop("ensemble"), "'ensemble' is missing"),
    "options of another kind": (with_text("ensemble", "[]"), r"'ensemble' must hold a JSON object, got '\[\]'"),
    "options not JSON": (with_text("ensemble", "{"), "Expecting property name"),
    "empty options": (with_text("ensemble", "{}"), "bootstrap must be True or False, got None"),
    "a wrong bootstrap": (with_text("ensemble", '{"bootstrap": 1}'), "bootstrap must be True or False, got 1"),
    "a wrong validation": (
        with_text("ensemble", '{"bootstrap": true, "validation": "all"}'),
        "validation must be one of .*, got 'all'",
    ),
    "deep options": (with_text("ensemble", "[" * 5000), "'ensemble' is wrong: maximum recursion depth"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_with_wrong_content_is_refused(path: Path, name: str) -> None:
    change, message = WRONG[name]
    trained().save(path)
    _, metadata, tensors = model_file.read(path)
    change(metadata, tensors)
    model_file.write(path, metadata, tensors)
    with pytest.raises(ModelFormatError, match=f"{path.name}' is not a valid fastmlp model: .*(?:{message})"):
        Ensemble.load(path)


def test_later_versions_may_add_keys_and_options(path: Path) -> None:
    ensemble = trained()
    ensemble.save(path)
    _, metadata, tensors = model_file.read(path)
    metadata |= {"ensemble": '{"bootstrap": false, "validation": "own split", "later": [1]}', "later": "2"}
    members = json.loads(metadata["members"])
    members[1] = json.dumps([*json.loads(members[1]), "later", "3"])
    model_file.write(path, metadata | {"members": json.dumps(members)}, tensors)
    assert all_bits(Ensemble.load(path)) == all_bits(ensemble)


@pytest.mark.parametrize(
    "text",
    [json.dumps(["[]"] * 1_000_000), json.dumps([json.dumps(["a"] * 700_000)]), "[" + '"[]",' * 1_000_000],
    ids=["many members", "many keys", "no end"],
)
def test_a_text_that_describes_much_is_refused_quickly_and_with_little_memory(path: Path, text: str) -> None:
    Ensemble([3, 1], members=2, seed=0).save(path)
    _, metadata, tensors = model_file.read(path)
    model_file.write(path, metadata | {"members": text}, tensors)
    size, began = path.stat().st_size, time.perf_counter()
    del metadata, tensors
    with pytest.raises(ModelFormatError):
        Ensemble.load(path)
    assert time.perf_counter() - began < 5
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError):
            Ensemble.load(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * size + 2**20
    finally:
        tracemalloc.stop()


def test_an_ensemble_of_many_members_comes_back(path: Path) -> None:
    ensemble = Ensemble([1, 1], members=300, seed=0)
    ensemble.save(path)
    assert all_bits(Ensemble.load(path)) == all_bits(ensemble)


def test_too_many_members_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "HEADER_LIMIT", 20_000)
    with pytest.raises(ValueError, match=r"metadata and tensor names take .* bytes, the limit is 20000"):
        Ensemble([1, 1], members=300, seed=0).save(path)
    assert not path.exists()
