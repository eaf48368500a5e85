"""ONNX Runtime, which only predicts: the network is a graph of Gemm nodes, made with `onnx.helper`."""

from __future__ import annotations

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bench.peers import Predict
from bench.workloads import Workload

OPSET, IR_VERSION = 17, 8  # old enough for every ONNX Runtime of these years
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh"}


def model(workload: Workload) -> bytes:
    """Return the network as the content of an ONNX file."""
    nodes, constants, value = [], [], "X"
    weights = workload.weights()
    for l, (W, b) in enumerate(weights):
        constants += [numpy_helper.from_array(W, f"W{l}"), numpy_helper.from_array(b, f"b{l}")]
        nodes.append(helper.make_node("Gemm", [value, f"W{l}", f"b{l}"], [f"Z{l}"]))
        last = l == len(weights) - 1
        function = {"softmax": "Softmax", "linear": "Identity"}[workload.output] if last else None
        nodes.append(helper.make_node(function or ACTIVATIONS[workload.activation], [f"Z{l}"], [f"A{l}"]))
        value = f"A{l}"
    shapes = {"X": workload.sizes[0], value: workload.sizes[-1]}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", n]) for name, n in shapes.items()]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return made.SerializeToString()


def predictor(workload: Workload, threads: int | None) -> Predict:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(model(workload), options, providers=["CPUExecutionProvider"])
    X = workload.data()[0]
    return lambda: session.run(None, {"X": X})[0]
