"""`to_onnx` exports a network or an ensemble as an ONNX model. It needs onnx: `pip install "fastmlp[onnx]"`.

Each layer becomes a Gemm operator, or the operators of a layer of columns, and its activation. An activation that ONNX
lacks becomes several operators. A float64 network uses only operators for which ONNX Runtime has a float64 kernel. It
avoids operators with attributes, because attributes are float32.

The members of an ensemble are in one graph. Their outputs are joined to an array (rows, members, outputs). The outputs
of the model are its mean and its standard deviation along the members.
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
from fastmlp.interchange.exports import Mixture, WeightedLayer, exported, translate_activation

OPSET = 17  # ONNX Runtime reads it since version 1.12
OLDEST_OPSET = 13  # the first in which Softmax works along one axis
RESERVED = ("layers.", "members.")  # prefixes of the names inside the graph
SIZE_LIMIT = 2**31 - 2**20  # bytes of all parameters; a protobuf message has at most 2 GB, names and nodes included


def to_onnx(
    network: fastmlp.Network | fastmlp.Ensemble,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int = OPSET,
    input_name: str = "X",
    output_name: str = "Y",
    std_name: str = "std",
) -> Any:
    """Export a network or an ensemble as an ONNX model that predicts as its method `predict` does.

    Dropout, penalties and the optimizer affect only training and are not exported. `onnx.checker` checks the model
    before it is returned or written.

    The model of an ensemble has two outputs, those of `Ensemble.predict(X, return_std=True)`. It computes the deviation
    in the dtype of the members. In float32 a deviation above 1e19 is therefore infinite, and one below 1e-19 inexact.

    Parameters
    ----------
    network : Network or Ensemble
        The network or the ensemble. The input and the outputs of the model have its dtype, float32 or float64.
    path : path-like, optional
        The file to write, usually `*.onnx`. It is replaced atomically. None writes no file.
    opset : int
        The version of the ONNX operator set, from 13 to the newest of the installed onnx. ONNX Runtime 1.12 and later
        read the default, 17.
    input_name : str
        The name of the input, which has shape (rows, inputs) for any number of rows.
    output_name : str
        The name of the output, which has shape (rows, outputs). That of an ensemble is the mean, and has shape
        (rows, targets) with `GaussianNLL`.
    std_name : str
        The name of the second output of an ensemble, the standard deviation, which has the shape of the mean. A network
        has no such output, and the name no effect.

    Returns
    -------
    onnx.ModelProto
        The model; `model.SerializeToString()` is the content of its file. The parameters have the names that they have
        in a model file of fastmlp, `layers.0.W` and so on, or `members.3.layers.0.W` in an ensemble. The names of
        inputs and classes, if the network knows them, are JSON under "feature_names" and "classes" of the metadata.

    Raises
    ------
    ImportError
        If onnx is not installed. The message gives the command that installs it.
    TypeError
        If `network` is neither a Network nor an Ensemble, or an argument has the wrong type.
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

    >>> fastmlp.to_onnx(ensemble, "ensemble.onnx")
    >>> session = onnxruntime.InferenceSession("ensemble.onnx")
    >>> mean, std = session.run(["Y", "std"], {"X": X.astype("float32")})
    """
    with needed_by("to_onnx", "fastmlp[onnx]"):
        import onnx
    networks, mixture, dtype = exported(network, "to_onnx")
    version = _check_opset(opset, onnx.defs.onnx_opset_version())
    _check_size(networks)
    outputs = {"output_name": output_name} if mixture is None else {"output_name": output_name, "std_name": std_name}
    _check_names(input_name=input_name, **outputs)
    graph = _Graph(dtype, version, input_name)
    if mixture is None:
        graph.add_layers(networks[0])
        graph.add_output(output_name, networks[0][-1].layer.units)
    else:
        values = [graph.add_layers(layers, member) for member, layers in enumerate(networks)]
        _add_mixture(graph, values, mixture, output_name, std_name)
    model = graph.model(networks[0][0].layer.inputs, repr(network))
    onnx.helper.set_model_props(model, _names_of(network))
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        write_atomically(path, [model.SerializeToString()])
    return model


def _names_of(network: fastmlp.Network | fastmlp.Ensemble) -> dict[str, str]:
    """Return the names that the network knows, as JSON, by the names of its attributes."""
    names = {"feature_names": network.feature_names, "classes": network.classes}
    return {key: json.dumps(value) for key, value in names.items() if value is not None}


def _check_opset(opset: int, newest: int) -> int:
    version = whole_number(opset, "opset", minimum=OLDEST_OPSET)
    if version > newest:
        raise ValueError(f"opset must be at most {newest}, the newest of the installed onnx, got {version}")
    return version


def _check_size(networks: list[list[WeightedLayer]]) -> None:
    """Check that the parameters of all networks fit in one model."""
    arrays = [array for layers in networks for _, W, b in layers for array in (W, b) if array is not None]
    size = sum(array.nbytes for array in arrays)
    if size > SIZE_LIMIT:
        raise ValueError(f"an ONNX model holds up to {SIZE_LIMIT:,} bytes of parameters, got {size:,}")


def _check_names(**names: str) -> None:
    """Check the names of the input and the outputs, given by the arguments that they come from."""
    arguments: dict[str, str] = {}
    for what, name in names.items():
        if not isinstance(name, str):
            raise TypeError(f"{what} must be a string, got {name!r}")
        if not name or name.startswith(RESERVED):
            raise ValueError(f"{what} must not be empty or begin with {' or '.join(map(repr, RESERVED))}, got {name!r}")
        other = arguments.setdefault(name, what)
        if other != what:
            raise ValueError(f"{other} and {what} must differ, got {name!r} for both")


class _Graph:
    """The nodes and constants of a model, added layer by layer, and its outputs with their numbers of columns."""

    def __init__(self, dtype: np.dtype[Any], opset: int, input_name: str) -> None:
        self.dtype = dtype
        self.opset = opset
        self.input_name = input_name
        self.outputs: dict[str, int] = {}
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._prefix, self._node_count = "", 0  # of the current part, such as a layer

    @property
    def is_float64(self) -> bool:
        """Whether the model computes in float64."""
        return self.dtype == np.dtype(np.float64)

    def begin(self, part: str) -> None:
        """Begin a part of the graph, a prefix of the names of its nodes and constants."""
        self._prefix, self._node_count = part, 0

    def add_layers(self, layers: list[WeightedLayer], member: int | None = None) -> str:
        """Add all layers of a network, and return the name of what it predicts.

        In each layer Z is A W + b, if the layer is dense, and A = g(Z).
        """
        a = self.input_name
        for index, (layer, W, b) in enumerate(layers):
            self.begin(f"layers.{index}." if member is None else f"members.{member}.layers.{index}.")
            z = LAYERS[layer.kind](self, a, layer, W, b)
            expression = translate_activation(layer.activation, EXPRESSIONS, index, "to_onnx", member)
            a = expression(self, z, *layer.activation.parameters)
        return a

    def add_output(self, name: str, columns: int) -> None:
        """Make the result of the last added node an output of the model, and give it a name."""
        self.nodes[-1].output[0] = name
        self.outputs[name] = columns

    def add(self, operator: str, *inputs: str | float, **attributes: Any) -> str:
        """Add a node and return the name of its output. A number among the inputs becomes a constant."""
        from onnx import helper

        self._node_count += 1
        name = f"{self._prefix}{operator}_{self._node_count}"
        names = [each if isinstance(each, str) else self._add_number(each) for each in inputs]
        self.nodes.append(helper.make_node(operator, names, [f"{name}.out"], name=name, **attributes))
        return f"{name}.out"

    def add_mean(self, value: str) -> str:
        """Add the mean along axis 1, which is kept with length 1, and return its name."""
        if self.opset < 18:  # later the axes are an input
            return self.add("ReduceMean", value, axes=[1], keepdims=1)
        return self.add("ReduceMean", value, self.add_constant("columns", np.array([1])), keepdims=1)

    def model(self, inputs: int, description: str) -> Any:
        """Return the model as a ModelProto."""
        from onnx import helper, numpy_helper

        dtype = helper.np_dtype_to_tensor_dtype(self.dtype)
        sizes = {self.input_name: inputs, **self.outputs}
        ends = [helper.make_tensor_value_info(name, dtype, ["rows", size]) for name, size in sizes.items()]
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
        """Add a constant of the current part, and return its name in the graph."""
        self.constants[self._prefix + name] = array
        return self._prefix + name

    def _add_number(self, number: float) -> str:
        return self.add_constant(f"number_{number!r}", np.array(number, self.dtype))


def _add_mixture(graph: _Graph, values: list[str], mixture: Mixture, output_name: str, std_name: str) -> None:
    """Add the mean and the standard deviation of what the members predict, both as outputs.

    The variance is the mean of the squared deviations, because `E[y^2] - E[y]^2` would lose digits.
    """
    graph.begin("members.")
    stack_shape = graph.add_constant("stack_shape", np.array([0, mixture.members, mixture.outputs]))  # 0 keeps the rows
    shape = graph.add_constant("shape", np.array([0, mixture.columns]))
    outputs = graph.add("Reshape", graph.add("Concat", *values, axis=1), stack_shape)
    predicted = outputs if mixture.epsilon is None else _slice(graph, outputs, 0, mixture.columns)
    mean = graph.add_mean(predicted)
    graph.add("Reshape", mean, shape)
    graph.add_output(output_name, mixture.columns)
    deviation = graph.add("Sub", predicted, mean)
    variance = graph.add("Mul", deviation, deviation)
    if mixture.epsilon is not None:
        noise = graph.add("Exp", _slice(graph, outputs, mixture.columns, mixture.outputs))
        variance = graph.add("Add", variance, graph.add("Add", noise, mixture.epsilon))
    graph.add("Reshape", graph.add("Sqrt", graph.add_mean(variance)), shape)
    graph.add_output(std_name, mixture.columns)


def _slice(graph: _Graph, value: str, start: int, stop: int) -> str:
    """Add a range of the last axis of a value (rows, members, outputs), and return its name."""
    bounds = [graph.add_constant(f"index_{index}", np.array([index])) for index in (start, stop, 2)]
    return graph.add("Slice", value, *bounds)


# Layers: each function adds nodes, from the name of A below, and returns the name of Z -------------------------------


def _dense(graph: _Graph, a: str, layer: Layer, W: NDArray[Any], b: NDArray[Any] | None) -> str:
    return graph.add("Gemm", a, graph.add_constant("W", W), *([] if b is None else [graph.add_constant("b", b)]))


def _scale(graph: _Graph, a: str, layer: Layer, W: NDArray[Any], b: NDArray[Any] | None) -> str:
    product = graph.add("Mul", a, graph.add_constant("W", W))
    return product if b is None else graph.add("Add", product, graph.add_constant("b", b))


def _layer_normalization(graph: _Graph, a: str, layer: Layer, W: NDArray[Any], b: NDArray[Any] | None) -> str:
    """Add N and its factors. The operator LayerNormalization has an epsilon in float32, and needs opset 17."""
    centred = graph.add("Sub", a, graph.add_mean(a))
    variance = graph.add_mean(graph.add("Mul", centred, centred))
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
