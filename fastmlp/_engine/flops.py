"""Floating-point operations of a step, which decide whether another thread saves time."""

from __future__ import annotations

from fastmlp.architecture import Architecture

SERIAL_FLOPS = 1.5e6  # 15 us of one core: smaller work runs on one thread, since waking another costs as much


def forward_flops(architecture: Architecture, rows: int) -> float:
    """Return the floating-point operations of the products of a forward pass."""
    return 2.0 * rows * architecture.weights


def step_flops(architecture: Architecture, rows: int) -> float:
    """Return the floating-point operations of the products of a training step: forward, delta (not of X) and dW."""
    lowest = architecture.lowest_trained
    products = sum(
        layer.weights * (1 + layer.trainable + (index > lowest)) for index, layer in enumerate(architecture.layers)
    )
    return 2.0 * rows * products
