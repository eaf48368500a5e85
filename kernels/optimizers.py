"""The update rules, each written once for vectors and compiled into two kernels: alone, and woven into a product.

A rule receives a vector of weights, its gradient, its slots (the values an optimizer keeps beside each weight) and the
constants of this step from `fastmlp.optimizers`, and returns the new weights and slots. It rounds as its text says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastmlp.kernels._jit import Kernel, Reals, kernel
from fastmlp.kernels.product import Rule, emit_block_product, emit_update
from fastmlp.kernels.simd import Emitter, Vector, fma, instruction, sqrt

Updated = tuple[Vector, Sequence[Vector]]


def sgd(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """`w - learning_rate * g`."""
    minus_rate, *_ = constants
    return fma(minus_rate, g, w), ()


def momentum(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """`v = momentum * v - learning_rate * g`; then v is added to w, or with Nesterov what v will be a step later."""
    share, minus_rate, of_velocity, of_gradient = constants
    v = fma(share, slots[0], minus_rate * g)
    return fma(of_gradient, g, fma(of_velocity, v, w)), (v,)


def adam(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """Adam with moments left undivided by `1 - beta`; the step size and epsilon carry every correction."""
    beta_1, beta_2, minus_step, epsilon = constants
    m = fma(beta_1, slots[0], g)
    v = fma(beta_2, slots[1], g * g)
    return fma(minus_step, m / (sqrt(v) + epsilon), w), (m, v)


@dataclass(frozen=True)
class UpdateKernels:
    """One rule, compiled.

    Parameters
    ----------
    slots : int
        How many values the rule keeps for each weight.
    product_update : Kernel
        The gradient of one block, while another block is updated.
    update : Kernel
        The update of one block.
    """

    slots: int
    product_update: Kernel
    update: Kernel


def _compiled(rule: Rule, slots: int) -> UpdateKernels:
    @instruction
    def woven(
        emit: Emitter,
        out: Any,
        start: Any,
        a: Any,
        delta: Any,
        rows: Any,
        w: Any,
        slot: Any,
        stride: Any,
        gradient: Any,
        constants: Any,
        count: Any,
    ) -> None:
        held = (w, slot, stride, gradient, constants, count)
        emit_block_product(emit, rule, slots, out, start, a, delta, rows, held)

    @instruction
    def alone(emit: Emitter, w: Any, slot: Any, stride: Any, gradient: Any, constants: Any, count: Any) -> None:
        emit_update(emit, rule, slots, w, slot, stride, gradient, constants, count)

    @kernel(f"{rule.__name__} in a product")
    def product_update(
        out: Reals,
        start: Reals,
        a: Reals,
        delta: Reals,
        rows: int,
        w: Reals,
        slot: Reals,
        slot_stride: int,
        gradient: Reals,
        constants: Reals,
        count: int,
    ) -> None:
        woven(out, start, a, delta, rows, w, slot, slot_stride, gradient, constants, count)

    @kernel(rule.__name__)
    def update(w: Reals, slot: Reals, slot_stride: int, gradient: Reals, constants: Reals, count: int) -> None:
        alone(w, slot, slot_stride, gradient, constants, count)

    return UpdateKernels(slots, product_update, update)


UPDATES: dict[str, UpdateKernels] = {
    "sgd": _compiled(sgd, slots=0),
    "momentum": _compiled(momentum, slots=1),
    "adam": _compiled(adam, slots=2),
}
