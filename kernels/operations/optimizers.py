"""The update rules, each written once for vectors and compiled into two kernels: alone, and woven into a product.

A rule receives a vector of weights, its gradient, its slots (the values an optimizer keeps beside each weight) and the
constants of this step from `fastmlp.optimizers`, and returns the new weights and slots. It rounds as its text says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import Kernel, kernel
from fastmlp.kernels.micro.product import Rule, emit_block_product, emit_update
from fastmlp.kernels.vocabulary.simd import (
    Emitter,
    Vector,
    fma,
    instruction,
    maximum,
    sign_times,
    sqrt,
)

Updated = tuple[Vector, Sequence[Vector]]


def sgd(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """`w - learning_rate * g`."""
    minus_rate, *_ = constants
    return fma(minus_rate, g, w), ()


def momentum(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """`v = momentum * v - learning_rate * g`; then v is added to w, or with Nesterov what v will be a step later."""
    share, minus_rate, of_velocity, of_gradient, *_ = constants
    v = fma(share, slots[0], minus_rate * g)
    return fma(of_gradient, g, fma(of_velocity, v, w)), (v,)


def rmsprop(centered: bool, with_momentum: bool) -> Rule:
    """RMSprop, divided by the deviation in place of the root mean square, and with momentum, where asked for."""

    def rule(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
        rho, rest, minus_rate, epsilon, share, *_ = constants
        v = fma(rho, slots[0], rest * g * g)
        after, variance = [v], v
        if centered:
            mean = fma(rho, slots[1], rest * g)
            variance = maximum(v - mean * mean, g.emitter.zero())
            after.append(mean)
        step = g / (sqrt(variance) + epsilon)
        if with_momentum:
            step = fma(share, slots[-1], step)
            after.append(step)
        return fma(minus_rate, step, w), after

    return rule


def adagrad(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """`s = s + g^2`, `w - learning_rate * g / (sqrt(s) + epsilon)`."""
    minus_rate, epsilon, *_ = constants
    s = fma(g, g, slots[0])
    return fma(minus_rate, g / (sqrt(s) + epsilon), w), (s,)


def adadelta(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """The means v of g^2 and d of u^2, `u = g sqrt(d + epsilon) / sqrt(v + epsilon)`, `w - learning_rate * u`."""
    rho, rest, minus_rate, epsilon, *_ = constants
    v = fma(rho, slots[0], rest * g * g)
    u = sqrt(slots[1] + epsilon) / sqrt(v + epsilon) * g
    return fma(minus_rate, u, w), (v, fma(rho, slots[1], rest * u * u))


def adam(decays: bool, amsgrad: bool) -> Rule:
    """Adam with moments left undivided by `1 - beta`; the step size and epsilon carry every correction."""

    def rule(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
        beta_1, beta_2, minus_step, epsilon, *_, decay = constants
        m = fma(beta_1, slots[0], g)
        v = fma(beta_2, slots[1], g * g)
        size = maximum(v, slots[2]) if amsgrad else v
        start = w * decay if decays else w
        return fma(minus_step, m / (sqrt(size) + epsilon), start), (m, v, size) if amsgrad else (m, v)

    return rule


def nadam(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """Adam's moments; the step goes along a share of the gradient and a share of m."""
    beta_1, beta_2, of_gradient, of_mean, epsilon, *_ = constants
    m = fma(beta_1, slots[0], g)
    v = fma(beta_2, slots[1], g * g)
    return w + fma(of_gradient, g, of_mean * m) / (sqrt(v) + epsilon), (m, v)


def lion(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """`w * decay - learning_rate * sign(beta_1 m + (1 - beta_1) g)`, then `m = beta_2 m + (1 - beta_2) g`."""
    beta_1, rest_1, beta_2, rest_2, minus_rate, *_, decay = constants
    mean = fma(beta_1, slots[0], rest_1 * g)
    rate = g.emitter.zero() - minus_rate
    return w * decay - sign_times(rate, of=mean), (fma(beta_2, slots[0], rest_2 * g),)


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


def _compiled(name: str, rule: Rule, slots: int) -> UpdateKernels:
    @instruction
    def woven(
        emit: Emitter,
        out: Any,
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
        emit_block_product(emit, rule, slots, out, a, delta, rows, held)

    @instruction
    def alone(emit: Emitter, w: Any, slot: Any, stride: Any, gradient: Any, constants: Any, count: Any) -> None:
        emit_update(emit, rule, slots, w, slot, stride, gradient, constants, count)

    @kernel(f"{name} in a product")
    def product_update(
        out: Reals,
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
        woven(out, a, delta, rows, w, slot, slot_stride, gradient, constants, count)

    @kernel(name)
    def update(w: Reals, slot: Reals, slot_stride: int, gradient: Reals, constants: Reals, count: int) -> None:
        alone(w, slot, slot_stride, gradient, constants, count)

    return UpdateKernels(slots, product_update, update)


UPDATES: dict[str, UpdateKernels] = {
    name: _compiled(name, rule, slots)
    for name, rule, slots in (
        ("sgd", sgd, 0),
        ("momentum", momentum, 1),
        ("rmsprop", rmsprop(centered=False, with_momentum=False), 1),
        ("rmsprop_centered", rmsprop(centered=True, with_momentum=False), 2),
        ("rmsprop_momentum", rmsprop(centered=False, with_momentum=True), 2),
        ("rmsprop_centered_momentum", rmsprop(centered=True, with_momentum=True), 3),
        ("adagrad", adagrad, 1),
        ("adadelta", adadelta, 2),
        ("adam", adam(decays=False, amsgrad=False), 2),
        ("adam_amsgrad", adam(decays=False, amsgrad=True), 3),
        ("adamw", adam(decays=True, amsgrad=False), 2),
        ("adamw_amsgrad", adam(decays=True, amsgrad=True), 3),
        ("nadam", nadam, 2),
        ("lion", lion, 1),
    )
}
