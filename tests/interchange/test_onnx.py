"""to_onnx: the model predicts in ONNX Runtime as the network does, and its file is written atomically."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, Array
from conversion import (
    ALL_ACTIVATIONS,
    TOLERANCE,
    assert_predicts_as,
    close_ensemble,
    columns,
    difference,
    ensemble,
    extremes,
    network,
    registered_activation,
    rows,
)

from fastmlp import Dense, Ensemble, GaussianNLL, Network, __version__, to_onnx
from fastmlp import reference as plain
from fastmlp._data.names import Names
from fastmlp._engine.engine import engine_of
from fastmlp.activations import ACTIVATIONS, Activation
from fastmlp.interchange import onnx as exporter
from fastmlp.layers import LAYERS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(model: Any, X: Array, name: str = "X") -> Array:
    """Return the predictions of ONNX Runtime."""
    [result] = outputs(model, X, name)
    return result


def outputs(model: Any, X: Array, name: str = "X") -> list[Array]:
    """Return all outputs that ONNX Runtime computes."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(result) for result in session.run(None, {name: X})]


def shapes(model: Any) -> dict[str, list[Any]]:
    """Return the shape of each input and output."""
    ends = (*model.graph.input, *model.graph.output)
    return {end.name: [size.dim_param or size.dim_value for size in end.type.tensor_type.shape.dim] for end in ends}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ALL_ACTIVATIONS.values(), ids=ALL_ACTIVATIONS)
def test_predictions_equal_those_of_the_network(activation: Activation, dtype: str) -> None:
    net = network(activation, dtype)
    model = to_onnx(net)
    for count in (1, 50):
        X = rows(dtype, count)
        assert difference(run(model, X), net.predict(X)) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ALL_ACTIVATIONS.values(), ids=ALL_ACTIVATIONS)
def test_predictions_are_equal_for_tiny_and_huge_numbers(activation: Activation, dtype: str) -> None:
    net, X = extremes(activation, dtype)
    assert difference(run(to_onnx(net), X), net.predict(X)) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_layers_of_columns_are_exported(dtype: str) -> None:
    net, X = columns(dtype), rows(dtype)
    for opset in (13, 17, 21):
        assert difference(run(to_onnx(net, opset=opset), X), net.predict(X)) <= TOLERANCE[dtype]
    assert exporter.LAYERS.keys() == LAYERS.keys(), "LAYERS of fastmlp/interchange/onnx.py"


def test_every_built_in_activation_has_an_expression() -> None:
    assert exporter.EXPRESSIONS.keys() == {"gelu_tanh", *ACTIVATIONS}, "EXPRESSIONS of fastmlp/interchange/onnx.py"


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_old_and_new_operator_sets_work(opset: int) -> None:
    for activation in ALL_ACTIVATIONS.values():
        net, X = network(activation), rows("float32")
        model = to_onnx(net, opset=opset)
        assert model.opset_import[0].version == opset
        assert difference(run(model, X), net.predict(X)) <= TOLERANCE["float32"]


def test_the_newest_operator_set_works() -> None:
    to_onnx(network(ACTIVATIONS["gelu"]), opset=onnx.defs.onnx_opset_version())  # checked by onnx.checker


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_parameters_have_the_bits_of_the_network_and_no_others_exist(dtype: str) -> None:
    net = network(ACTIVATIONS["tanh"], dtype)
    graph = to_onnx(net).graph
    found = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    assert list(found) == ["layers.0.W", "layers.1.W", "layers.1.b", "layers.2.W", "layers.2.b"]
    for index, (W, b) in enumerate(net.get_weights()):
        assert found[f"layers.{index}.W"].tobytes() == W.tobytes()
        assert b is None or found[f"layers.{index}.b"].tobytes() == b.tobytes()
    assert {node.op_type for node in graph.node} == {"Gemm", "Tanh"}


def test_the_model_has_a_description_and_the_given_names() -> None:
    net = network(ACTIVATIONS["softmax"])
    model = to_onnx(net, input_name="measurements", output_name="probabilities")
    assert (model.producer_name, model.producer_version) == ("fastmlp", __version__)
    assert "5-16-7-3" in model.doc_string
    assert shapes(model) == {"measurements": ["rows", 5], "probabilities": ["rows", 3]}
    assert difference(run(model, rows("float32"), "measurements"), net.predict(rows("float32"))) <= 1e-5


def test_a_single_linear_layer_can_be_exported() -> None:
    net = Network([5, Dense(2, use_bias=False)], seed=0)
    assert difference(run(to_onnx(net), rows("float32")), net.predict(rows("float32"))) <= 1e-5


def test_the_file_replaces_an_old_one_and_is_the_only_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"an older one")
    model = to_onnx(network(ACTIVATIONS["relu"]), path)
    assert path.read_bytes() == model.SerializeToString()
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


def test_a_failed_export_writes_nothing(tmp_path: Path) -> None:
    with (
        registered_activation() as net,
        pytest.raises(ValueError, match=r"layer 1 .*'softsign', registered .*Supported are: "),
    ):
        to_onnx(net, tmp_path / "model.onnx")
    with pytest.raises(FileNotFoundError):
        to_onnx(network(ACTIVATIONS["relu"]), tmp_path / "missing" / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_registered_activation_with_the_name_of_a_formula_is_refused() -> None:
    with registered_activation():
        from fastmlp import register_activation

        register_activation("gelu_tanh", lambda z: 2.0 * z, lambda z: 2.0 + 0.0 * z)
        with pytest.raises(ValueError, match="registered by register_activation"):
            to_onnx(Network([5, Dense(3, "gelu_tanh")], seed=0))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"opset": 12}, ValueError, "opset must be at least 13, got 12"),
        ({"opset": 999}, ValueError, "opset must be at most .*, got 999"),
        ({"opset": "17"}, TypeError, "opset must be a whole number"),
        ({"input_name": ""}, ValueError, "input_name must not be empty"),
        ({"output_name": 3}, TypeError, "output_name must be a string, got 3"),
        ({"output_name": "X"}, ValueError, "must differ, got 'X' for both"),
        ({"input_name": "layers.0.W"}, ValueError, r"begin with 'layers\.' or 'members\.', got 'layers\.0\.W'"),
        ({"output_name": "members.mean"}, ValueError, r"begin with 'layers\.' or 'members\.'"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    for model in (network(ACTIVATIONS["relu"]), Ensemble([5, 3], members=2, seed=0)):
        with pytest.raises(error, match=message):
            to_onnx(model, **options)


def test_the_metadata_have_the_names_of_inputs_and_classes() -> None:
    net = Network([2, 2], output="softmax", seed=0)
    assert not to_onnx(net).metadata_props
    engine_of(net).names = Names(("größe", "b"), ("no", "yes"))
    found = {entry.key: json.loads(entry.value) for entry in to_onnx(net).metadata_props}
    assert found == {"feature_names": ["größe", "b"], "classes": ["no", "yes"]}


def test_other_objects_than_networks_are_refused() -> None:
    with pytest.raises(TypeError, match=r"to_onnx needs a fastmlp\.Network or fastmlp\.Ensemble, got builtins\.str"):
        to_onnx("model.safetensors")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"got fastmlp\.reference"):
        to_onnx(plain.Network([5, 3]))  # type: ignore[arg-type]


def test_more_parameters_than_protobuf_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "SIZE_LIMIT", 900)
    with pytest.raises(ValueError, match="up to 900 bytes of parameters, got 956"):
        to_onnx(Network([5, 16, 7, 3], seed=0))
    with pytest.raises(ValueError, match="up to 900 bytes of parameters, got 1,420"):
        to_onnx(Ensemble([5, 10, 1], members=5, seed=0))


def test_without_onnx_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'to_onnx needs onnx: pip install "fastmlp\[onnx\]"'):
        to_onnx(network(ACTIVATIONS["relu"]))


# Ensembles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [None, GaussianNLL(0.01)], ids=["mean_squared_error", "gaussian_nll"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_ensemble_has_the_mean_and_the_standard_deviation_as_outputs(dtype: str, loss: GaussianNLL | None) -> None:
    members = ensemble(dtype, loss)
    for opset in (13, 17, 21):
        model = to_onnx(members, opset=opset)
        for count in (1, 50):
            assert_predicts_as(members, rows(dtype, count), *outputs(model, rows(dtype, count)))
    columns = 4 if loss is None else 2
    assert shapes(model) == {"X": ["rows", 5], "Y": ["rows", columns], "std": ["rows", columns]}


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_small_deviation_of_large_predictions_keeps_its_digits(dtype: str) -> None:
    members, X = close_ensemble(dtype), rows(dtype)
    _, std = outputs(to_onnx(members), X)
    rounding = len(members) * 1000 * float(np.finfo(dtype).eps)  # of the sum that gives the mean
    np.testing.assert_allclose(std, members.predict(X, return_std=True)[1], rtol=0, atol=rounding)


def test_one_member_has_no_deviation_but_its_noise() -> None:
    X = rows("float32")
    assert not outputs(to_onnx(Ensemble([5, 3], members=1, seed=0)), X)[1].any()
    noisy = Ensemble([5, 4], members=1, loss=GaussianNLL(), seed=0)
    assert_predicts_as(noisy, X, *outputs(to_onnx(noisy), X))


def test_the_parameters_of_members_have_the_names_of_the_file_of_an_ensemble() -> None:
    members = Ensemble([5, 3, 2], members=2, seed=0)
    found = {each.name: onnx.numpy_helper.to_array(each) for each in to_onnx(members).graph.initializer}
    for index, net in enumerate(members.networks):
        for layer, (W, b) in enumerate(net.get_weights()):
            assert b is not None
            assert found.pop(f"members.{index}.layers.{layer}.W").tobytes() == W.tobytes()
            assert found.pop(f"members.{index}.layers.{layer}.b").tobytes() == b.tobytes()
    assert {name: array.tolist() for name, array in found.items()} == {
        "members.stack_shape": [0, 2, 2],
        "members.shape": [0, 2],
    }


def test_an_ensemble_has_a_description_names_and_the_given_names_of_outputs() -> None:
    members = Ensemble([5, 2], members=3, output="softmax", seed=0)
    for net in members.networks:
        engine_of(net).names = Names(tuple("abcde"), ("no", "yes"))
    model = to_onnx(members, input_name="measurements", output_name="std", std_name="layers")
    assert list(shapes(model)) == ["measurements", "std", "layers"]
    assert model.doc_string.startswith("Ensemble(3 x ")
    found = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert found == {"feature_names": list("abcde"), "classes": ["no", "yes"]}


def test_the_name_of_the_deviation_has_no_effect_for_a_network() -> None:
    net = Network([5, 3], seed=0)
    assert shapes(to_onnx(net, output_name="std")) == {"X": ["rows", 5], "std": ["rows", 3]}
    assert to_onnx(net, std_name="X") == to_onnx(net)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"std_name": "Y"}, ValueError, "output_name and std_name must differ, got 'Y' for both"),
        ({"std_name": "X"}, ValueError, "input_name and std_name must differ, got 'X' for both"),
        ({"output_name": "std"}, ValueError, "output_name and std_name must differ, got 'std' for both"),
        ({"std_name": ""}, ValueError, "std_name must not be empty"),
        ({"std_name": "members.std"}, ValueError, r"std_name must not .* or begin with 'layers\.' or 'members\.'"),
        ({"std_name": None}, TypeError, "std_name must be a string, got None"),
    ],
)
def test_bad_names_of_the_deviation_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        to_onnx(Ensemble([5, 3], members=2, seed=0), **options)


def test_the_message_about_an_activation_names_the_member() -> None:
    with registered_activation() as net, pytest.raises(ValueError, match=r"layer 1 of member 1 has .*'softsign'"):
        to_onnx(Ensemble.from_networks([Network([5, 2], seed=0), net]))
