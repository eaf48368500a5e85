"""The compiled update rules, alone and within a product, follow the formulas of the reference step by step."""

from __future__ import annotations

import numpy as np
import pytest
from cases import DTYPES, OPTIMIZERS, TOLERANCE, Array, heavy_but, relative_error, rounded, run

from fastmlp.kernels.layout import BLOCK, CONSTANT_COUNT, DECAY, PANEL
from fastmlp.kernels.operations.optimizers import UPDATES
from fastmlp.optimizers import Adam, Nadam, Optimizer
from fastmlp.reference.optimizers import OPTIMIZERS as FORMULAS
from fastmlp.reference.optimizers import empty_slots, update

STEPS = 10
CANARY = -987.25
COUNTS = (0, 1, 7, 15, 16)
SLOT_STRIDE = BLOCK + 3 * PANEL  # slots lie apart, with canaries between them


class Block:
    """A block of weights with its slots, updated by the kernels, and a float64 copy, updated by the reference."""

    def __init__(self, optimizer: Optimizer, dtype: str, count: int) -> None:
        self.optimizer, self.dtype, self.count = optimizer, dtype, count
        w, truth = rounded(np.random.default_rng(0).normal(size=(PANEL, PANEL)), dtype)
        self.w = np.full((PANEL + 2, PANEL), CANARY, dtype)
        self.w[1:-1] = w
        self.truth = truth
        self.slots_of_truth = empty_slots(optimizer, truth)
        self.slots = np.full((len(optimizer.slots) + 1, SLOT_STRIDE), CANARY, dtype)
        self.slots[:-1, :BLOCK] = 0
        self.slots[: len(optimizer.slots)][:1, :BLOCK] = optimizer.first_slot_value
        table, steps = np.zeros((STEPS, CONSTANT_COUNT)), np.arange(1, STEPS + 1)
        constants = optimizer.constants(steps)
        table[:, : constants.shape[1]] = constants
        table[:, DECAY] = optimizer.decay(steps)
        self.constants = table.astype(dtype)

    def update(self, g: Array, t: int) -> None:
        """Do step t by the kernel that only updates."""
        arguments = (self.w[1:], self.slots, SLOT_STRIDE, g, self.constants[t - 1], self.count)
        run(UPDATES[self.optimizer.kernel].update, self.dtype, *arguments)

    def product_update(self, g: Array, t: int, a: Array, delta: Array) -> Array:
        """Do step t by the kernel that also computes the product of another block. Return the product."""
        product = np.full((PANEL, PANEL), CANARY, self.dtype)
        updated = (self.w[1:], self.slots, SLOT_STRIDE, g, self.constants[t - 1], self.count)
        run(UPDATES[self.optimizer.kernel].product_update, self.dtype, product, a, delta, len(a), *updated)
        return product

    def follow(self, g: Array, t: int) -> None:
        """Do step t by the reference."""
        update(self.optimizer, self.truth, g.astype(np.float64), self.slots_of_truth, t)

    def check(self) -> None:
        """Check that the first `count` rows equal the reference and that nothing else has changed."""
        tolerance, count = TOLERANCE[self.dtype], self.count
        start = np.random.default_rng(0).normal(size=(PANEL, PANEL)).astype(self.dtype)
        if count:
            assert relative_error(self.w[1 : 1 + count], self.truth[:count]) <= tolerance
            for slot, expected in zip(self.slots, scaled_slots(self.optimizer, self.slots_of_truth), strict=False):
                assert relative_error(slot[: count * PANEL], expected[:count].ravel()) <= tolerance
        np.testing.assert_array_equal(self.w[1 + count : -1], start[count:])
        assert (self.w[[0, -1]] == CANARY).all()
        untouched = np.zeros((len(self.slots) - 1, 1), self.dtype)
        untouched[:1] = self.optimizer.first_slot_value
        assert (self.slots[:-1, count * PANEL : BLOCK] == untouched).all()
        assert (self.slots[:, BLOCK:] == CANARY).all()
        assert (self.slots[-1] == CANARY).all()


def scaled_slots(optimizer: Optimizer, slots: dict[str, Array]) -> list[Array]:
    """Convert the reference's slots to those of the kernels: Adam's moments without the factor 1 - beta."""
    if isinstance(optimizer, (Adam, Nadam)):
        return [slot / (1 - (optimizer.beta_1 if name == "m" else optimizer.beta_2)) for name, slot in slots.items()]
    return list(slots.values())


def gradients(dtype: str) -> list[Array]:
    """Return gradients of very different sizes, with zeros."""
    rng = np.random.default_rng(1)
    sizes = 10.0 ** rng.integers(-6, 2, (STEPS, PANEL, PANEL))
    sizes[:, 3] = 0
    return list((rng.normal(size=sizes.shape) * sizes).astype(dtype))


def test_every_rule_and_every_optimizer_takes_part() -> None:
    assert {optimizer.kernel for optimizer in OPTIMIZERS.values()} == UPDATES.keys()
    assert {optimizer.name for optimizer in OPTIMIZERS.values()} == FORMULAS.keys()
    for optimizer in OPTIMIZERS.values():
        assert len(optimizer.slots) == UPDATES[optimizer.kernel].slots


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_follow_the_reference(name: str, count: int, dtype: str) -> None:
    block = Block(OPTIMIZERS[name], dtype, count)
    for t, g in enumerate(gradients(dtype), 1):
        block.update(g, t)
        block.follow(g, t)
        block.check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", heavy_but([0, 5, 16, 33], [0, 1, 5, 8, 16, 33, 128]))
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_within_a_product_gives_the_results_of_both_alone(name: str, rows: int, dtype: str) -> None:
    rng = np.random.default_rng(rows)
    (a, a64), (delta, delta64) = (rounded(rng.normal(size=(rows, PANEL)), dtype) for _ in range(2))
    for count in COUNTS:
        woven, alone = Block(OPTIMIZERS[name], dtype, count), Block(OPTIMIZERS[name], dtype, count)
        for t, g in enumerate(gradients(dtype), 1):
            product = woven.product_update(g, t, a, delta)
            alone.update(g, t)
            assert relative_error(product, a64.T @ delta64) <= TOLERANCE[dtype]
            np.testing.assert_array_equal(woven.w, alone.w)
            np.testing.assert_array_equal(woven.slots, alone.slots)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_nan_in_a_gradient_is_seen_in_its_weight_alone(name: str, dtype: str) -> None:
    block = Block(OPTIMIZERS[name], dtype, PANEL)
    g = gradients(dtype)[0]
    g[2, 5] = np.nan
    block.update(g, 1)
    assert np.argwhere(np.isnan(block.w)).tolist() == [[3, 5]]
