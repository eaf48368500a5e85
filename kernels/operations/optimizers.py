"""The update rules of the optimizers. Each is written once and compiled into two kernels: alone, and within a product.

A rule takes a vector of weights w, its gradient g, its slots (the values that an optimizer keeps for each weight) and
the constants of this step, which `fastmlp.optimizers` computes. It returns the new weights and slots. The order of its
operations decides how they are rounded.

Formulas: `fastmlp.reference.optimizers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import Kernel, kernel
from fastmlp.kernels.micro.product import Rule, emit_block_product, emit_update
from fastmlp.kernels.vocabulary.simd import Emitter, Vector, fma, instruction, maximum, sign_times, sqrt

Updated = tuple[Vector, Sequence[Vector]]


def sgd(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """SGD: `w - learning_rate * g`."""
    minus_rate, *_ = constants
    return fma(minus_rate, g, w), ()


def momentum(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """SGD with momentum: `v = mu * v - learning_rate * g`, `w + v`; with Nesterov, `w + mu * v - learning_rate * g`."""
    mu, minus_rate, velocity_factor, gradient_factor, *_ = constants
    v = fma(mu, slots[0], minus_rate * g)
    return fma(gradient_factor, g, fma(velocity_factor, v, w)), (v,)


def rmsprop(centered: bool, with_momentum: bool) -> Rule:
    """RMSprop: `v` the mean of g^2, `w - learning_rate * g / (sqrt(v) + epsilon)`.

    With `centered`, the variance of g replaces v. With momentum, the steps accumulate in a slot.
    """

    def rule(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
        rho, one_minus_rho, minus_rate, epsilon, mu, *_ = constants
        v = fma(rho, slots[0], one_minus_rho * g * g)
        new_slots, variance = [v], v
        if centered:
            mean = fma(rho, slots[1], one_minus_rho * g)
            variance = maximum(v - mean * mean, g.emitter.zero())
            new_slots.append(mean)
        step = g / (sqrt(variance) + epsilon)
        if with_momentum:
            step = fma(mu, slots[-1], step)
            new_slots.append(step)
        return fma(minus_rate, step, w), new_slots

    return rule


def adagrad(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """Adagrad: `s = s + g^2`, `w - learning_rate * g / (sqrt(s) + epsilon)`."""
    minus_rate, epsilon, *_ = constants
    s = fma(g, g, slots[0])
    return fma(minus_rate, g / (sqrt(s) + epsilon), w), (s,)


def adadelta(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """Adadelta: `u = g sqrt(d + epsilon) / sqrt(v + epsilon)`, `w - learning_rate * u`; v, d the means of g^2, u^2."""
    rho, one_minus_rho, minus_rate, epsilon, *_ = constants
    v = fma(rho, slots[0], one_minus_rho * g * g)
    u = sqrt(slots[1] + epsilon) / sqrt(v + epsilon) * g
    return fma(minus_rate, u, w), (v, fma(rho, slots[1], one_minus_rho * u * u))


def adam(decays: bool, amsgrad: bool) -> Rule:
    """Adam, AdamW and AMSGrad. The moments lack the factor `1 - beta`, which the step size and epsilon account for."""

    def rule(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
        beta_1, beta_2, minus_step, epsilon, *_, decay = constants
        m = fma(beta_1, slots[0], g)
        v = fma(beta_2, slots[1], g * g)
        largest_v = maximum(v, slots[2]) if amsgrad else v
        decayed_w = w * decay if decays else w
        return fma(minus_step, m / (sqrt(largest_v) + epsilon), decayed_w), (m, v, largest_v) if amsgrad else (m, v)

    return rule


def nadam(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """Nadam: Adam's moments, with a step along a weighted sum of the gradient and of m."""
    beta_1, beta_2, gradient_factor, m_factor, epsilon, *_ = constants
    m = fma(beta_1, slots[0], g)
    v = fma(beta_2, slots[1], g * g)
    return w + fma(gradient_factor, g, m_factor * m) / (sqrt(v) + epsilon), (m, v)


def lion(w: Vector, g: Vector, slots: Sequence[Vector], constants: Sequence[Vector]) -> Updated:
    """Lion: `w * decay - learning_rate * sign(beta_1 m + (1 - beta_1) g)`, then `m = beta_2 m + (1 - beta_2) g`."""
    beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, minus_rate, *_, decay = constants
    direction = fma(beta_1, slots[0], one_minus_beta_1 * g)
    rate = g.emitter.zero() - minus_rate
    return w * decay - sign_times(rate, direction), (fma(beta_2, slots[0], one_minus_beta_2 * g),)


@dataclass(frozen=True)
class UpdateKernels:
    """The kernels of one rule.

    Parameters
    ----------
    slots : int
        How many values the rule keeps for each weight.
    product_update : Kernel
        Computes the gradient of one block and updates another block meanwhile.
    update : Kernel
        Updates one block.
    """

    slots: int
    product_update: Kernel
    update: Kernel


def _kernels_of(name: str, rule: Rule, slots: int) -> UpdateKernels:
    """Make the kernels of a rule."""

    @instruction
    def emit_both(
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
        updated_block = (w, slot, stride, gradient, constants, count)
        emit_block_product(emit, rule, slots, out, a, delta, rows, updated_block)

    @instruction
    def emit_alone(emit: Emitter, w: Any, slot: Any, stride: Any, gradient: Any, constants: Any, count: Any) -> None:
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
        emit_both(out, a, delta, rows, w, slot, slot_stride, gradient, constants, count)

    @kernel(name)
    def update(w: Reals, slot: Reals, slot_stride: int, gradient: Reals, constants: Reals, count: int) -> None:
        emit_alone(w, slot, slot_stride, gradient, constants, count)

    return UpdateKernels(slots, product_update, update)


UPDATES: dict[str, UpdateKernels] = {
    name: _kernels_of(name, rule, slots)
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
