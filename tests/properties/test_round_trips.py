"""Relations of a network to what other software makes of it: ONNX Runtime, a C compiler, PyTorch and scikit-learn.

Their predictions are other computations of the same function, with sums in other orders. So they differ by no more than
the derived bound of the network's own predictions.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import ROUNDINGS, Ball, assert_within, forward
from cases import ACTIVATIONS, LOSSES, Array, assert_same_bits, tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import PLAIN, Case, cases

from fastmlp import Network, from_sklearn, from_torch, to_c, to_onnx, to_sklearn, to_torch

COMPILER = next(filter(None, map(shutil.which, ("gcc", "clang", "cc"))), "")
PROGRAM = 25  # networks in one C program


def assert_same_predictions(network: Network, X: Array, found: Any, cancels: bool = True) -> None:
    """Check predictions of other software, whose activations are written with or without care for small z."""
    A, _ = forward(network, X, cancels)
    assert_within(found, network.predict(X), A[-1], "predictions")


@given(cases(dropout=False, penalties=False))
def test_onnx_runtime_predicts_the_same(case: Case) -> None:
    """To the derived bound."""
    onnxruntime = pytest.importorskip("onnxruntime")
    network, X = case.network(), case.data()["X"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = to_onnx(network).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"X": X})
    assert found.dtype == case.dtype
    assert_same_predictions(network, X, found)


def c_program(networks: list[Network], rows: list[int]) -> str:
    """Return a C program that reads the rows of each network from the standard input, and writes its predictions."""
    parts = ["#include <stdio.h>"]
    parts += [to_c(network, name=f"net{i}") for i, network in enumerate(networks)]
    parts.append("int main(void) {")
    for i, (network, count) in enumerate(zip(networks, rows, strict=True)):
        real = "float" if network.architecture.dtype == np.float32 else "double"
        parts.append(f"static {real} x{i}[NET{i}_INPUTS], y{i}[NET{i}_OUTPUTS];")
        parts.append(
            f"for (int row = 0; row < {count}; row++) {{ if (fread(x{i}, sizeof x{i}, 1, stdin) != 1) return 1;"
        )
        parts.append(f"net{i}_predict(x{i}, y{i}); fwrite(y{i}, sizeof y{i}, 1, stdout); }}")
    return "\n".join([*parts, "return 0; }"])


@pytest.mark.skipif(not COMPILER, reason="there is no C compiler: neither gcc, clang nor cc was found")
@settings(max_examples=max(settings().max_examples // PROGRAM, 1))
@given(drawn=st.lists(cases(dropout=False, penalties=False), min_size=PROGRAM, max_size=PROGRAM))
def test_c_programs_predict_the_same(drawn: list[Case], tmp_path_factory: pytest.TempPathFactory) -> None:
    """To the derived bound. An example is a program of 25 networks."""
    folder: Path = tmp_path_factory.mktemp("programs")
    networks, data = [case.network() for case in drawn], [case.data()["X"] for case in drawn]
    (folder / "main.c").write_text(c_program(networks, [len(X) for X in data]))
    arguments = [COMPILER, "-std=c99", "-Wall", "-Wextra", "-Werror", "-O0", "main.c", "-o", "main", "-lm"]
    subprocess.run(arguments, cwd=folder, check=True)
    written = subprocess.run(
        [folder / "main"], input=b"".join(X.tobytes() for X in data), stdout=subprocess.PIPE, check=True
    ).stdout
    shutil.rmtree(folder)
    for case, network, X in zip(drawn, networks, data, strict=True):
        size = len(X) * case.outputs * X.itemsize
        assert_same_predictions(network, X, np.frombuffer(written[:size], X.dtype).reshape(len(X), -1), False)
        written = written[size:]
    assert not written


@given(cases(dropout=False, penalties=False, activations=PLAIN))
def test_pytorch_predicts_the_same(case: Case) -> None:
    """To the derived bound; and the way back to the bit."""
    torch = pytest.importorskip("torch", reason="PyTorch is an extra of its own")
    network, X = case.network(), case.data()["X"]
    module = to_torch(network).eval()
    with torch.no_grad():
        assert_same_predictions(network, X, module(torch.from_numpy(X)).numpy())
    back = from_torch(module, loss=case.loss, seed=0)
    for one, other in zip(tensors(back.get_weights()), tensors(network.get_weights()), strict=True):
        assert_same_bits(one, other)


OUTPUTS = {
    "softmax": "categorical_crossentropy",
    "sigmoid": "binary_crossentropy",
    "linear": "mean_squared_error",
    "exponential": "poisson",
}
"""The output activations that scikit-learn has, each with a loss of it."""


HIDDEN = ("linear", "relu", "sigmoid", "tanh")


@st.composite
def sklearn_cases(draw: Any) -> Case:
    """Draw networks that scikit-learn has, too: one activation in all hidden layers."""
    case = draw(cases(dropout=False, penalties=False, weights=("none",)))
    hidden, output = ACTIVATIONS[draw(st.sampled_from(HIDDEN))], draw(st.sampled_from([*OUTPUTS]))
    inputs, *inner, last = case.layers
    inner = [dataclasses.replace(layer, activation=hidden) for layer in inner]
    last = dataclasses.replace(last, activation=ACTIVATIONS[output], units=max(last.units, 1 + (output == "softmax")))
    return dataclasses.replace(case, layers=(inputs, *inner, last), loss=LOSSES[OUTPUTS[output]], labels=True)


@given(sklearn_cases(), st.randoms(use_true_random=False))
def test_scikit_learn_predicts_the_same(case: Case, random: Any) -> None:
    """To the derived bound, in the order of the sorted labels; and a second way there and back to the bit."""
    network, X = case.network(), case.data()["X"]
    A, Z = forward(network, X)
    ball, expected = A[-1], network.predict(X)
    if case.loss.targets in ("values", "counts"):
        estimator = to_sklearn(network)
        found = estimator.predict(X).reshape(expected.shape)
    elif case.loss.targets == "binary" and case.outputs > 1:
        estimator = to_sklearn(network)
        found = estimator.predict_proba(X)
    else:
        labels = np.array(random.sample(range(100), max(case.outputs, 2)))
        estimator = to_sklearn(network, classes=labels)
        assert estimator.classes_.tolist() == sorted(labels)
        found = estimator.predict_proba(X)[:, np.argsort(np.argsort(labels))]  # in the order of the outputs
        if case.outputs <= 2:
            expected, ball = of_two_classes(expected[:, -1:], Z[-1])
    assert_within(found, expected, ball)
    assert (estimator.predict(X) == to_sklearn(from_sklearn(estimator), **labels_of(estimator)).predict(X)).all()


def of_two_classes(p: Array, Z: Ball) -> tuple[Array, Ball]:
    """Return the probabilities of both classes, given that of the second one, and their bound.

    Two softmax outputs become a logistic output of the difference of their z. Its error is at most the sum of theirs,
    times the largest slope of the sigmoid, 1/4.
    """
    both = np.hstack([1 - p, p])
    radius = 0.25 * Z.radius.sum(axis=1, keepdims=True) * np.ones(2)
    return both, Ball(both, radius + Z.arithmetic.gamma(ROUNDINGS), Z.arithmetic)


def labels_of(estimator: Any) -> dict[str, Any]:
    """Return the labels of a classifier, for `to_sklearn`; several labels in a row have none."""
    multilabel = estimator.n_outputs_ > 1 and estimator.out_activation_ == "logistic"
    return {"classes": estimator.classes_} if hasattr(estimator, "classes_") and not multilabel else {}
