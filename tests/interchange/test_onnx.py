"""to_onnx: the model predicts in ONNX Runtime as the network does, and its file is written atomically."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, Array
from conversion import ALL_ACTIVATIONS, TOLERANCE, columns, difference, extremes, network, registered_activation, rows

from fastmlp import Dense, Network, __version__, to_onnx
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
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [result] = session.run(None, {name: X})
    return np.asarray(result)


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
    shapes = {
        end.name: [size.dim_param or size.dim_value for size in end.type.tensor_type.shape.dim]
        for end in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"measurements": ["rows", 5], "probabilities": ["rows", 3]}
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
        ({"input_name": "layers.0.W"}, ValueError, r"begin with 'layers\.'"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        to_onnx(network(ACTIVATIONS["relu"]), **options)


def test_the_metadata_have_the_names_of_inputs_and_classes() -> None:
    net = Network([2, 2], output="softmax", seed=0)
    assert not to_onnx(net).metadata_props
    engine_of(net).names = Names(("größe", "b"), ("no", "yes"))
    found = {entry.key: json.loads(entry.value) for entry in to_onnx(net).metadata_props}
    assert found == {"feature_names": ["größe", "b"], "classes": ["no", "yes"]}


def test_other_objects_than_networks_are_refused() -> None:
    with pytest.raises(TypeError, match=r"to_onnx needs a fastmlp\.Network, got builtins\.str"):
        to_onnx("model.safetensors")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"got fastmlp\.reference"):
        to_onnx(plain.Network([5, 3]))  # type: ignore[arg-type]


def test_more_parameters_than_protobuf_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "SIZE_LIMIT", 900)
    with pytest.raises(ValueError, match="up to 900 bytes of parameters, this network has 956"):
        to_onnx(Network([5, 16, 7, 3], seed=0))


def test_without_onnx_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'to_onnx needs onnx: pip install "fastmlp\[onnx\]"'):
        to_onnx(network(ACTIVATIONS["relu"]))
