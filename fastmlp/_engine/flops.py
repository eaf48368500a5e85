"""How much work a step is, which decides whether threads are worth waking."""

from __future__ import annotations

from fastmlp.architecture import Architecture

SERIAL_FLOPS = 1.5e6  # below this, 15 microseconds of one core, a second thread gains nothing


def forward_flops(architecture: Architecture, rows: int) -> float:
    """Floating-point operations of the products of a forward pass."""
    return 2.0 * rows * architecture.weights


def step_flops(architecture: Architecture, rows: int) -> float:
    """The same of a training step: forward, delta (not for the inputs) and dW."""
    products = sum(layer.inputs * layer.units * (3 if index else 2) for index, layer in enumerate(architecture.layers))
    return 2.0 * rows * products
