"""A network as an ONNX model; it needs onnx, `pip install "fastmlp[onnx]"`.

Each layer is a Gemm, and its activation one operator where ONNX has it, else the few that make it up. float64 networks
take only operators for which ONNX Runtime has a float64 kernel and whose attributes, which are float32, are not needed.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

import fastmlp
from fastmlp._display import summary
from fastmlp._io.atomic import write_atomically
from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.extras import needed_by
from fastmlp.interchange.exports import Weighted, said, weighted_layers

OPSET = 17  # what ONNX Runtime reads since 1.12
OLDEST_OPSET = 13  # where Softmax became that of one axis
SIZE_LIMIT = 2**31 - 2**20  # bytes of all parameters: protobuf holds 2 GB, names and nodes included

_ERFC_END = 6.5  # beyond, erfc is below 4e-20, and e^(-x^2) makes little of whatever the polynomial says
_ERFC_DEGREE = 18  # 2e-15 from erfc; higher degrees come no nearer


def to_onnx(
    network: fastmlp.Network,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int = OPSET,
    input_name: str = "X",
    output_name: str = "Y",
) -> Any:
    """The network as an ONNX model, which predicts as `Network.predict` does.

    Dropout and penalties, which are of training alone, are not in it, nor is the optimizer. The model is checked by
    `onnx.checker` before it is given or written.

    Parameters
    ----------
    network : Network
        float32 or float64; the model's input and output are of the same dtype.
    path : path-like, optional
        Where to write it, whole or not at all; usually `*.onnx`.
    opset : int
        The version of ONNX's operators, from 13 to the newest that the installed onnx knows. The default is old enough
        for the runtimes of these years.
    input_name, output_name : str
        What a runtime calls the input, (rows, inputs), and the output, (rows, outputs); the number of rows is free.

    Returns
    -------
    onnx.ModelProto
        `model.SerializeToString()` is the content of a file. Its parameters have the names of those in a model file,
        `layers.0.W` and so on.

    Raises
    ------
    ImportError
        If onnx is not installed.
    ValueError, TypeError
        If a layer has an activation of your own, a name is no string, empty or taken, or the opset is not supported.
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
    graph = _Graph(architecture.dtype, _check_names(input_name, output_name, len(layers)), output_name)
    for index, layer in enumerate(layers):
        graph.layer(index, layer, last=index == len(layers) - 1)
    model = graph.model(version, (architecture.inputs, architecture.outputs), summary.one_line(architecture))
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        write_atomically(path, [model.SerializeToString()])
    return model


def _check_opset(opset: int, newest: int) -> int:
    version = whole_number(opset, "opset", minimum=OLDEST_OPSET)
    if version > newest:
        raise ValueError(f"opset must be at most {newest}, the newest of the installed onnx, got {version}")
    return version


def _check_names(input_name: str, output_name: str, layers: int) -> str:
    """The input's name; what the graph calls by itself begins with `layers.`."""
    for what, name in (("input_name", input_name), ("output_name", output_name)):
        if not isinstance(name, str):
            raise TypeError(f"{what} must be a string, got {name!r}")
        if not name or name.startswith("layers."):
            raise ValueError(f"{what} must not be empty or begin with 'layers.', got {name!r}")
    if input_name == output_name:
        raise ValueError(f"input_name and output_name must differ, got {input_name!r} for both")
    return input_name


class _Graph:
    """Nodes and constants, grown layer by layer; `value` is the name of what was computed last."""

    def __init__(self, dtype: np.dtype[Any], input_name: str, output_name: str) -> None:
        self.dtype = dtype
        self.value = self.input_name = input_name
        self.output_name = output_name
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._prefix, self._counts = "", 0

    @property
    def wide(self) -> bool:
        """Whether it is of float64."""
        return self.dtype == np.dtype(np.float64)

    def layer(self, index: int, weighted: Weighted, last: bool) -> None:
        """Z = A W + b, then A = g(Z)."""
        layer, W, b = weighted
        self._prefix, self._counts = f"layers.{index}.", 0
        inputs = [self.value, self._keep("W", W), *([] if b is None else [self._keep("b", b)])]
        self.value = self.add("Gemm", *inputs)
        expression = said(layer.activation, EXPRESSIONS, index, "to_onnx")
        self.value = expression(self, self.value, *layer.activation.parameters)
        if last:  # the name that the user gave
            self.nodes[-1].output[0] = self.value = self.output_name

    def add(self, operator: str, *inputs: str | float, **attributes: Any) -> str:
        """A node; returns the name of its output. A number among the inputs becomes a constant."""
        from onnx import helper

        self._counts += 1
        name = f"{self._prefix}{operator}_{self._counts}"
        names = [each if isinstance(each, str) else self._number(each) for each in inputs]
        self.nodes.append(helper.make_node(operator, names, [f"{name}.out"], name=name, **attributes))
        return f"{name}.out"

    def model(self, opset: int, sizes: tuple[int, int], text: str) -> Any:
        """All of it as a ModelProto."""
        from onnx import helper, numpy_helper

        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        names = (self.input_name, self.output_name)
        ends = [
            helper.make_tensor_value_info(name, kind, ["rows", size]) for name, size in zip(names, sizes, strict=True)
        ]
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "fastmlp", ends[:1], ends[1:], constants)
        operators = [helper.make_opsetid("", opset)]
        return helper.make_model(
            graph,
            opset_imports=operators,
            ir_version=helper.find_min_ir_version_for(operators),
            producer_name="fastmlp",
            producer_version=fastmlp.__version__,
            doc_string=text,
        )

    def _keep(self, name: str, array: NDArray[Any]) -> str:
        self.constants[self._prefix + name] = array
        return self._prefix + name

    def _number(self, number: float) -> str:
        return self._keep(f"number_{number!r}", np.array(number, self.dtype))


# Activations: from the name of Z to that of A -------------------------------------------------------------------------

Expression = Callable[..., str]


def _operator(name: str, **attributes: Any) -> Expression:
    """One operator, which ONNX Runtime has in both dtypes."""
    return lambda graph, z: graph.add(name, z, **attributes)


def _linear(graph: _Graph, z: str) -> str:
    return z


def _leaky_relu(graph: _Graph, z: str, slope: float) -> str:
    if not graph.wide:
        return graph.add("LeakyRelu", z, alpha=slope)
    return graph.add("Max", z, graph.add("Mul", z, slope))  # the slope is at most 1


def _relu6(graph: _Graph, z: str) -> str:
    return graph.add("Clip", z, 0.0, 6.0)


def _elu(graph: _Graph, z: str, alpha: float) -> str:
    if not graph.wide:
        return graph.add("Elu", z, alpha=alpha)
    below = graph.add("Sub", graph.add("Exp", graph.add("Min", z, 0.0)), 1.0)
    return graph.add("Add", graph.add("Relu", z), graph.add("Mul", below, alpha))


def _selu(graph: _Graph, z: str) -> str:
    if not graph.wide:
        return graph.add("Selu", z)
    return graph.add("Mul", _elu(graph, z, 1.6732632423543772), 1.0507009873554805)


def _softplus(graph: _Graph, z: str) -> str:
    if not graph.wide:
        return graph.add("Softplus", z)
    decay = graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))
    return graph.add("Add", graph.add("Relu", z), graph.add("Log", graph.add("Add", decay, 1.0)))


def _gelu(graph: _Graph, z: str) -> str:
    """`z Phi(z)`; ONNX Runtime has erf in float32 alone, so in float64 `max(z, 0) - |z| erfc(|z| / sqrt(2)) / 2`."""
    if not graph.wide:
        error = graph.add("Erf", graph.add("Mul", z, math.sqrt(0.5)))
        return graph.add("Mul", z, graph.add("Mul", graph.add("Add", error, 1.0), 0.5))
    size = graph.add("Abs", z)
    tail = _erfc(graph, graph.add("Mul", size, math.sqrt(0.5)))
    return graph.add("Sub", graph.add("Relu", z), graph.add("Mul", graph.add("Mul", size, 0.5), tail))


def _erfc(graph: _Graph, x: str) -> str:
    """The complementary error function from 0 on, `e^(-x^2) p(u)`; up to its end u goes from 1 to -1."""
    middle, half = _erfc_range()
    t = graph.add("Div", 1.0, graph.add("Add", graph.add("Mul", x, 0.5), 1.0))
    u = graph.add("Mul", graph.add("Sub", t, middle), 1.0 / half)
    *lower, highest = _erfc_polynomial()
    p: str | float = highest
    for coefficient in reversed(lower):
        p = graph.add("Add", graph.add("Mul", p, u), coefficient)
    return graph.add("Mul", graph.add("Exp", graph.add("Neg", graph.add("Mul", x, x))), p)


def _erfc_range() -> tuple[float, float]:
    """The middle of where `t = 1 / (1 + x / 2)` goes, and half its length."""
    least = 1.0 / (1.0 + _ERFC_END / 2)
    return (1.0 + least) / 2, (1.0 - least) / 2


@functools.cache
def _erfc_polynomial() -> list[float]:
    """Coefficients, from that of u^0, of the polynomial through `erfc(x) e^(x^2)` at Chebyshev's points."""
    middle, half = _erfc_range()
    points = chebyshev.chebpts1(_ERFC_DEGREE + 1)
    scaled = [math.erfc(x) * math.exp(x**2) for x in (2.0 / (middle + half * points) - 2.0).tolist()]
    coefficients: list[float] = chebyshev.cheb2poly(chebyshev.chebfit(points, scaled, _ERFC_DEGREE)).tolist()
    return coefficients


def _gelu_tanh(graph: _Graph, z: str) -> str:
    """`z (1 + tanh(u)) / 2` with `u = sqrt(2 / pi) (z + 0.044715 z^3)`, as `z sigmoid(2 u)`."""
    cube = graph.add("Mul", graph.add("Mul", z, z), z)
    inner = graph.add("Add", z, graph.add("Mul", cube, 0.044715))
    return graph.add("Mul", z, graph.add("Sigmoid", graph.add("Mul", inner, math.sqrt(8 / math.pi))))


def _silu(graph: _Graph, z: str) -> str:
    return graph.add("Mul", z, graph.add("Sigmoid", z))


def _mish(graph: _Graph, z: str) -> str:
    return graph.add("Mul", z, graph.add("Tanh", _softplus(graph, z)))


def _hard_sigmoid(graph: _Graph, z: str) -> str:
    if not graph.wide:
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
