"""The operations of a step are those of its products: forward, delta, which X needs not, and dW."""

from __future__ import annotations

from fastmlp import Network
from fastmlp._engine.flops import forward_flops, step_flops


def test_multiplications_and_additions_of_products_are_counted() -> None:
    architecture = Network([3, 5, 2], seed=0).architecture
    assert forward_flops(architecture, 10) == 2 * 10 * (3 * 5 + 5 * 2)
    assert step_flops(architecture, 10) == 2 * 10 * (2 * 3 * 5 + 3 * 5 * 2)
