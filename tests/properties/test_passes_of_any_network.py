"""A step in parts has the bits of the whole step, and gradients from dJ/dA are the reference's, for any network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from behaviour import bits
from cases import TOLERANCE, largest_error, relative_error, tensors
from hypothesis import given
from networks import PLAIN, Case, cases

from fastmlp import NonFiniteLossError, to_torch
from fastmlp.reference import Network as Reference

STEPS = 3


def state_after(network: Any, step: Any) -> dict[str, Any]:
    """Do some steps and return the state of the network, and the message if a step fails."""
    try:
        for _ in range(STEPS):
            step(network)
    except NonFiniteLossError as error:
        return {**bits(network), "error": str(error)}
    return bits(network)


@given(cases(dropout=False))
def test_gradients_that_are_applied_are_a_step(case: Case) -> None:
    data = case.data()
    flat = np.empty(case.network().architecture.parameters, case.dtype)
    ways = [
        lambda net: net.train_on_batch(**data),
        lambda net: net.apply_gradients(net.gradients(**data)),
        lambda net: net.apply_gradients(net.gradients(**data, out=flat)),
    ]
    whole, *parts = (state_after(case.network(), way) for way in ways)
    if "error" not in whole:  # a loss that is not finite ends a step before its gradient
        assert all(part == whole for part in parts)


@given(cases())
def test_a_backward_pass_from_any_gradient_is_the_references(case: Case) -> None:
    network, X = case.network(), case.data()["X"]
    rng = np.random.default_rng(case.seed)
    dA = rng.normal(size=(case.rows, case.outputs)).astype(case.dtype)
    reference = Reference.like(network)
    expected, expected_dX = reference.backward(reference.forward(X), dA)
    found, dX = network.backward(X, dA, return_input_gradient=True)
    assert largest_error(found, expected) < 10 * TOLERANCE[case.dtype]
    assert relative_error(dX, expected_dX) < 10 * TOLERANCE[case.dtype]
    network.forward(X)
    again = network.backward(None, dA)
    assert all(np.array_equal(a, b) for a, b in zip(tensors(again), tensors(found), strict=True))


@given(cases(dropout=False))
def test_a_step_on_a_gradient_is_a_backward_pass_that_is_applied(case: Case) -> None:
    X = case.data()["X"]
    dA = np.random.default_rng(case.seed).normal(size=(case.rows, case.outputs))
    whole = state_after(case.network(), lambda net: net.train_on_gradient(X, dA))
    parts = state_after(case.network(), lambda net: net.apply_gradients(net.backward(X, dA)))
    assert whole == parts


# The derivative of PyTorch's hard_sigmoid uses 1/6 in float32, also in a float64 network.
EXACT = tuple(each for each in PLAIN if each.name != "hard_sigmoid")


@given(cases(dropout=False, penalties=False, activations=EXACT, dtypes=("float64",)))
def test_a_backward_pass_from_any_gradient_is_pytorchs(case: Case) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is an extra of its own")
    network, X = case.network(), case.data()["X"]
    dA = np.random.default_rng(case.seed).normal(size=(case.rows, case.outputs))
    module, inputs = to_torch(network), torch.tensor(X, requires_grad=True)
    module(inputs).backward(torch.from_numpy(dA))
    found, dX = network.backward(X, dA, return_input_gradient=True)
    expected = [each.grad.numpy().T for each in module.parameters()]  # of a layer W^T, then b
    assert max(map(relative_error, tensors(found), expected)) < 1e-9
    assert relative_error(dX, inputs.grad.numpy()) < 1e-9
