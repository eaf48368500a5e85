"""One step of gradient descent over all rows, of which the result depends on the order of the rows only by rounding."""

from __future__ import annotations

from typing import Any

from bounds import Arithmetic, Ball, Bounded, assert_within
from hypothesis import strategies as st
from networks import Case, cases

from fastmlp import SGD

RATE = 0.125  # a power of two: the product with the gradient is exact


def step_cases(**options: Any) -> st.SearchStrategy[Case]:
    """Draw networks that take steps without dropout, `w - RATE dW`."""
    return cases(optimizers=(SGD(RATE),), dropout=False, centred=True, **options)


def weights_after_step(case: Case, data: dict[str, Any]) -> list[Any]:
    """Return the weights after one step over all rows in their order."""
    network = case.network()
    network.fit(**data, batch_size=len(data["X"]), shuffle=False, verbose=False)
    return network.get_weights()


def assert_equal_weights(case: Case, got: list[Any], expected: list[Any], bounds: Bounded) -> None:
    """Check the weights after a step: the error of `w - RATE dW` is RATE times that of dW, and one rounding."""
    arithmetic = Arithmetic.of(case.dtype)
    before = case.network().get_weights()
    for l, layers in enumerate(zip(got, expected, before, bounds.gradients, strict=True)):
        for name, one, other, start, gradient in zip("Wb", *layers, strict=True):
            if gradient is not None:
                ball = Ball(start, 0.0, arithmetic) - gradient * RATE
                assert_within(one, other, ball, f"{name}[{l}] after a step")


def assert_equal_steps(case: Case, data: dict[str, Any], other: dict[str, Any], bounds: Bounded) -> None:
    """Check that a step on either data gives the same weights, to the bound."""
    assert_equal_weights(case, weights_after_step(case, data), weights_after_step(case, other), bounds)
