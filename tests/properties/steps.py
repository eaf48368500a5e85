"""One step of gradient descent over all rows, of which the result depends on the order of the rows only by rounding."""

from __future__ import annotations

from typing import Any

from bounds import Arithmetic, Ball, Bounded, assert_equal_gradients, assert_within
from hypothesis import strategies as st
from networks import Case, cases

from fastmlp import SGD, Network

RATE = 0.125  # a power of two: the product with the gradient is exact


def step_cases(**options: Any) -> st.SearchStrategy[Case]:
    """Draw networks that take steps without dropout, `w - RATE dW`."""
    return cases(optimizers=(SGD(RATE),), dropout=False, centred=True, **options)


def weights_after_step(network: Network, data: dict[str, Any]) -> list[Any]:
    """Return the weights after one step over all rows in their order, and set the weights back."""
    before = network.get_weights()
    network.train_on_batch(*data.values())
    after = network.get_weights()
    network.set_weights(before)
    return after


def assert_equal_weights(network: Network, got: list[Any], expected: list[Any], bounds: Bounded) -> None:
    """Check the weights after a step: the error of `w - RATE dW` is RATE times that of dW, and one rounding."""
    arithmetic = Arithmetic.of(network.architecture.dtype)
    for l, layers in enumerate(zip(got, expected, network.get_weights(), bounds.gradients, strict=True)):
        for name, one, other, start, gradient in zip("Wb", *layers, strict=True):
            if gradient is not None:
                ball = Ball(start, 0.0, arithmetic) - gradient * RATE
                assert_within(one, other, ball, f"{name}[{l}] after a step")


def assert_equal_training(network: Network, data: dict[str, Any], other: dict[str, Any], bounds: Bounded) -> None:
    """Check that two sets of data give the same loss, gradients and weights after a step, to the bound."""
    first, second = (network.loss_and_gradients(*each.values()) for each in (data, other))
    assert_equal_gradients(first, second, bounds)
    first, second = (weights_after_step(network, each) for each in (data, other))
    assert_equal_weights(network, first, second, bounds)
