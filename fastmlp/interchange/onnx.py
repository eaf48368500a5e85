"""`to_onnx` exports a network as an ONNX model. It needs onnx: `pip install "fastmlp[onnx]"`.

Each layer becomes a Gemm operator, or the operators of a layer of columns, and its activation. An activation that ONNX
lacks becomes several operators. A float64 network uses only operators for which ONNX Runtime has a float64 kernel. It
avoids operators with attributes, because attributes are float32.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp._io.atomic import write_atomically
from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.extras import needed_by
from fastmlp._runtime.normal import erfc_polynomial, erfc_range
from fastmlp.architecture import Layer
from fastmlp.interchange.exports import WeightedLayer, translate_activation, weighted_layers

OPSET = 17  # ONNX Runtime reads it since version 1.12
OLDEST_OPSET = 13  # the first in which Softmax works along one axis
SIZE_LIMIT = 2**31 - 2**20  # bytes of all parameters; a protobuf message has at most 2 GB, names and nodes included


def to_onnx(
    network: fastmlp.Network,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int = OPSET,
    input_name: str = "X",
    output_name: str = "Y",
) -> Any:
    """Export a network as an ONNX model that predicts as `Network.predict` does.

    Dropout, penalties and the optimizer affect only training and are not exported. `onnx.checker` checks the model
    before it is returned or written.

    Parameters
    ----------
    network : Network
        The network. The input and the output of the model have its dtype, float32 or float64.
    path : path-like, optional
        The file to write, usually `*.onnx`. It is replaced atomically. None writes no file.
    opset : int
        The version of the ONNX operator set, from 13 to the newest of the installed onnx. ONNX Runtime 1.12 and later
        read the default, 17.
    input_name : str
        The name of the input, which has shape (rows, inputs) for any number of rows.
    output_name : str
        The name of the output, which has shape (rows, outputs).

    Returns
    -------
    onnx.ModelProto
        The model; `model.SerializeToString()` is the content of its file. The parameters have the names that they have
        in a model file of fastmlp, `layers.0.W` and so on. The names of inputs and classes, if the network knows them,
        are JSON under "feature_names" and "classes" of the metadata.

    Raises
    ------
    ImportError
        If onnx is not installed. The message gives the command that installs it.
    TypeError
        If `network` is not a Network, or an argument has the wrong type.
    ValueError
        If a layer has an activation registered by `register_activation`, a name is empty, reserved or used twice, the
        opset is not supported, or the parameters take more than 2 GB.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> fastmlp.to_onnx(net, "model.onnx")
    >>> session = onnxruntime.InferenceSession("model.onnx")
    >>> [predictions] = session.run(None, {"X": X.astype("float32")})
    """
    with needed_by("to_onnx", "fastmlp[onnx]"):
        import onnx
    layers = weighted_layers(network, "to_onnx")
    version = _check_opset(opset, onnx.defs.onnx_opset_version())
    architecture = network.architecture
    size = sum(layer.parameters for layer in architecture.layers) * architecture.dtype.itemsize
    if size > SIZE_LIMIT:
        raise ValueError(f"an ONNX model holds up to {SIZE_LIMIT:,} bytes of parameters, this network has {size:,}")
    _check_names(input_name, output_name)
    graph = _Graph(architecture.dtype, version, input_name, output_name)
    for index, layer in enumerate(layers):
        graph.add_layer(index, layer, last=index == len(layers) - 1)
    model = graph.model((architecture.inputs, architecture.outputs), repr(network))
    onnx.helper.set_model_props(model, _names_of(network))
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        write_atomically(path, [model.SerializeToString()])
    return model


def _names_of(network: fastmlp.Network) -> dict[str, str]:
    """Return the names that the network knows, as JSON, by the names of its attributes."""
    names = {"feature_names": network.feature_names, "classes": network.classes}
    return {key: json.dumps(value) for key, value in names.items() if value is not None}


def _check_opset(opset: int, newest: int) -> int:
    version = whole_number(opset, "opset", minimum=OLDEST_OPSET)
    if version > newest:
        raise ValueError(f"opset must be at most {newest}, the newest of the installed onnx, got {version}")
    return version


def _check_names(input_name: str, output_name: str) -> None:
    """Check the names of input and output. The prefix `layers.` is reserved for the other names of the graph."""
    for what, name in (("input_name", input_name), ("output_name", output_name)):
        if not isinstance(name, str):
            raise TypeError(f"{what} must be a string, got {name!r}")
        if not name or name.startswith("layers."):
            raise ValueError(f"{what} must not be empty or begin with 'layers.', got {name!r}")
    if input_name == output_name:
        raise ValueError(f"input_name and output_name must differ, got {input_name!r} for both")


class _Graph:
    """The nodes and constants of a model, added layer by layer; `value` is the name of the last computed value."""

    def __init__(self, dtype: np.dtype[Any], opset: int, input_name: str, output_name: str) -> None:
        self.dtype = dtype
        self.opset = opset
        self.value = self.input_name = input_name
        self.output_name = output_name
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._prefix, self._node_count = "", 0  # of the current layer

    @property
    def is_float64(self) -> bool:
        """Whether the model computes in float64."""
        return self.dtype == np.dtype(np.float64)

    def add_layer(self, index: int, weighted: WeightedLayer, last: bool) -> None:
        """Add Z, which is A W + b in a dense layer, and A = g(Z)."""
        layer, W, b = weighted
        self._prefix, self._node_count = f"layers.{index}.", 0
        self.value = LAYERS[layer.kind](self, self.value, layer, W, b)
        expression = translate_activation(layer.activation, EXPRESSIONS, index, "to_onnx")
        self.value = expression(self, self.value, *layer.activation.parameters)
        if last:
            self.nodes[-1].output[0] = self.value = self.output_name

    def add(self, operator: str, *inputs: str | float, **attributes: Any) -> str:
        """Add a node and return the name of its output. A number among the inputs becomes a constant."""
        from onnx import helper

        self._node_count += 1
        name = f"{self._prefix}{operator}_{self._node_count}"
        names = [each if isinstance(each, str) else self._add_number(each) for each in inputs]
        self.nodes.append(helper.make_node(operator, names, [f"{name}.out"], name=name, **attributes))
        return f"{name}.out"

    def add_row_mean(self, value: str) -> str:
        """Add the mean of each row, (rows, 1), and return its name."""
        if self.opset < 18:  # later the axes are an input
            return self.add("ReduceMean", value, axes=[1], keepdims=1)
        return self.add("ReduceMean", value, self.add_constant("columns", np.array([1])), keepdims=1)

    def model(self, sizes: tuple[int, int], description: str) -> Any:
        """Return the model as a ModelProto; `sizes` are the number of inputs and outputs of the network."""
        from onnx import helper, numpy_helper

        dtype = helper.np_dtype_to_tensor_dtype(self.dtype)
        names = (self.input_name, self.output_name)
        ends = [
            helper.make_tensor_value_info(name, dtype, ["rows", size]) for name, size in zip(names, sizes, strict=True)
        ]
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "fastmlp", ends[:1], ends[1:], constants)
        operator_sets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(
            graph,
            opset_imports=operator_sets,
            ir_version=helper.find_min_ir_version_for(operator_sets),
            producer_name="fastmlp",
            producer_version=fastmlp.__version__,
            doc_string=description,
        )

    def add_constant(self, name: str, array: NDArray[Any]) -> str:
        """Add a constant of the current layer, and return its name in the graph."""
        self.constants[self._prefix + name] = array
        return self._prefix + name

    def _add_number(self, number: float) -> str:
        return self.add_constant(f"number_{number!r}", np.array(number, self.dtype))


# Layers: each function adds nodes, from the name of A below, and returns the name of Z -------------------------------


def _dense(graph: _Graph, a: str, layer: Layer, W: NDArray[Any], b: NDArray[Any] | None) -> str:
    return graph.add("Gemm", a, graph.add_constant("W", W), *([] if b is None else [graph.add_constant("b", b)]))


def _scale(graph: _Graph, a: str, layer: Layer, W: NDArray[Any], b: NDArray[Any] | None) -> str:
    product = graph.add("Mul", a, graph.add_constant("W", W))
    return product if b is None else graph.add("Add", product, graph.add_constant("b", b))


def _layer_normalization(graph: _Graph, a: str, layer: Layer, W: NDArray[Any], b: NDArray[Any] | None) -> str:
    """Add N and its factors. The operator LayerNormalization has an epsilon in float32, and needs opset 17."""
    centred = graph.add("Sub", a, graph.add_row_mean(a))
    variance = graph.add_row_mean(graph.add("Mul", centred, centred))
    spread = graph.add("Sqrt", graph.add("Add", variance, layer.epsilon))
    return _scale(graph, graph.add("Div", centred, spread), layer, W, b)


def _normalization(graph: _Graph, a: str, layer: Layer, W: NDArray[Any], b: NDArray[Any] | None) -> str:
    """Add `(a - b) / W`. An infinite divisor takes the place of 0, which gives 0 as the layer does."""
    assert b is not None
    divisor = np.where(W == 0, np.inf, W).astype(W.dtype)
    return graph.add("Div", graph.add("Sub", a, graph.add_constant("b", b)), graph.add_constant("W", divisor))


LAYERS: dict[str, Callable[..., str]] = {
    "dense": _dense,
    "scale": _scale,
    "layer_normalization": _layer_normalization,
    "normalization": _normalization,
}


# Activations: each function adds nodes, from the name of Z, and returns the name of A --------------------------------

Expression = Callable[..., str]


def _operator(name: str, **attributes: Any) -> Expression:
    """Return a function that adds a single operator, one that ONNX Runtime has in float32 and float64."""
    return lambda graph, z: graph.add(name, z, **attributes)


def _linear(graph: _Graph, z: str) -> str:
    return z


def _leaky_relu(graph: _Graph, z: str, slope: float) -> str:
    if not graph.is_float64:
        return graph.add("LeakyRelu", z, alpha=slope)
    return graph.add("Max", z, graph.add("Mul", z, slope))  # correct because the slope is at most 1


def _relu6(graph: _Graph, z: str) -> str:
    return graph.add("Clip", z, 0.0, 6.0)


def _elu(graph: _Graph, z: str, alpha: float) -> str:
    if not graph.is_float64:
        return graph.add("Elu", z, alpha=alpha)
    negative_part = graph.add("Sub", graph.add("Exp", graph.add("Min", z, 0.0)), 1.0)
    return graph.add("Add", graph.add("Relu", z), graph.add("Mul", negative_part, alpha))


def _selu(graph: _Graph, z: str) -> str:
    if not graph.is_float64:
        return graph.add("Selu", z)
    return graph.add("Mul", _elu(graph, z, 1.6732632423543772), 1.0507009873554805)


def _softplus(graph: _Graph, z: str) -> str:
    if not graph.is_float64:
        return graph.add("Softplus", z)
    decay = graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))
    return graph.add("Add", graph.add("Relu", z), graph.add("Log", graph.add("Add", decay, 1.0)))


def _gelu(graph: _Graph, z: str) -> str:
    """Add z Phi(z), in float64 as max(z, 0) - |z| erfc(|z| / sqrt(2)) / 2: ONNX Runtime has erf only in float32."""
    if not graph.is_float64:
        error = graph.add("Erf", graph.add("Mul", z, math.sqrt(0.5)))
        return graph.add("Mul", z, graph.add("Mul", graph.add("Add", error, 1.0), 0.5))
    size = graph.add("Abs", z)
    tail = _erfc(graph, graph.add("Mul", size, math.sqrt(0.5)))
    return graph.add("Sub", graph.add("Relu", z), graph.add("Mul", graph.add("Mul", size, 0.5), tail))


def _erfc(graph: _Graph, x: str) -> str:
    """Add the complementary error function for x >= 0 as e^(-x^2) p(u)."""
    center, half_width = erfc_range()
    t = graph.add("Div", 1.0, graph.add("Add", graph.add("Mul", x, 0.5), 1.0))
    u = graph.add("Mul", graph.add("Sub", t, center), 1.0 / half_width)
    *lower, leading = erfc_polynomial()
    p: str | float = leading
    for coefficient in reversed(lower):
        p = graph.add("Add", graph.add("Mul", p, u), coefficient)
    return graph.add("Mul", graph.add("Exp", graph.add("Neg", graph.add("Mul", x, x))), p)


def _gelu_tanh(graph: _Graph, z: str) -> str:
    """Add z (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (z + 0.044715 z^3), computed as z sigmoid(2 u)."""
    cube = graph.add("Mul", graph.add("Mul", z, z), z)
    inner = graph.add("Add", z, graph.add("Mul", cube, 0.044715))
    return graph.add("Mul", z, graph.add("Sigmoid", graph.add("Mul", inner, math.sqrt(8 / math.pi))))


def _silu(graph: _Graph, z: str) -> str:
    return graph.add("Mul", z, graph.add("Sigmoid", z))


def _mish(graph: _Graph, z: str) -> str:
    return graph.add("Mul", z, graph.add("Tanh", _softplus(graph, z)))


def _hard_sigmoid(graph: _Graph, z: str) -> str:
    if not graph.is_float64:
        return graph.add("HardSigmoid", z, alpha=1 / 6, beta=0.5)
    return graph.add("Div", graph.add("Clip", graph.add("Add", z, 3.0), 0.0, 6.0), 6.0)


EXPRESSIONS: dict[str, Expression] = {
    "linear": _linear,
    "relu": _operator("Relu"),
    "leaky_relu": _leaky_relu,
    "relu6": _relu6,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "exponential": _operator("Exp"),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "mish": _mish,
    "sigmoid": _operator("Sigmoid"),
    "hard_sigmoid": _hard_sigmoid,
    "tanh": _operator("Tanh"),
    "softmax": _operator("Softmax", axis=1),
}
